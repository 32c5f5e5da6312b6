//! The command line, from outside: the real binary, its output, its exit code.

mod agents;
mod check;
mod commands;
mod configuration;
mod errors;
mod foreign;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A home directory of its own for one test, removed at its end.
struct Home {
    path: PathBuf,
}

impl Home {
    fn new() -> io::Result<Home> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("drawbridge-cli-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Home { path })
    }

    /// A home with `text` as its configuration file.
    fn with_config(text: &str) -> io::Result<Home> {
        let home = Home::new()?;
        let file = home.config_file();
        fs::create_dir_all(file.parent().unwrap_or(&home.path))?;
        fs::write(file, text)?;
        Ok(home)
    }

    fn config_file(&self) -> PathBuf {
        let directory = if cfg!(target_os = "macos") {
            "Library/Application Support/drawbridge"
        } else {
            ".config/drawbridge"
        };
        self.path.join(directory).join("config.toml")
    }

    /// Runs the binary with nothing in its environment but this home and `variables`.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> io::Result<Run> {
        // Not an agent: nothing is left to look after when its output is there.
        #[allow(clippy::disallowed_methods)]
        let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", &self.path)
            .envs(variables.iter().copied())
            .stdin(Stdio::null());
        command.output().map(Run::from)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What stays behind is in the directory for temporary files.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// What came of running the binary.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Run {
    /// The rows that `drawbridge config` printed: option, value, origin.
    fn rows(&self) -> Vec<[&str; 3]> {
        let row = |line| {
            let mut cells = str::split(line, "  ").map(str::trim).filter(|cell| !cell.is_empty());
            [(); 3].map(|()| cells.next().unwrap_or_default())
        };
        self.stdout.lines().skip(1).map(row).collect()
    }

    /// Value and origin of one option.
    fn row(&self, name: &str) -> Option<(&str, &str)> {
        let rows = self.rows();
        rows.into_iter().find(|[option, ..]| *option == name).map(|[_, value, from]| (value, from))
    }
}
