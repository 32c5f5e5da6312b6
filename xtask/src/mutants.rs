//! Small mistakes in the core, made by a machine one after the other: those that
//! no test of the core finds are listed.
//!
//! cargo-mutants is put into a cache outside the tree if it is not here already.
//! It works on a copy of the tree; what it writes stands in `target/mutants/`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The files of the core.
const CORE: [&str; 2] = ["src/bridge.rs", "src/bridge/**/*.rs"];
/// How long the whole run may take, unless the environment says otherwise (s).
const SECONDS: &str = "3600";
/// How long the tests of one mutant may take (s); a mutant that takes longer mostly never ends.
const LONGEST_TEST: &str = "120";
/// The interval between two looks whether the run is over.
const LOOK: Duration = Duration::from_millis(200);

/// Exit codes of a run that came to its end: nothing survived, something did, or
/// some tests took too long.
const DONE: [i32; 3] = [0, 2, 3];

/// Runs until the mutants or the time are used up; `false` if that went wrong.
pub fn run() -> bool {
    match mutate() {
        Ok(done) => done,
        Err(error) => {
            eprintln!("the mutants cannot be run: {error}");
            false
        }
    }
}

fn mutate() -> io::Result<bool> {
    let seconds = env::var("DRAWBRIDGE_MUTANTS_SECONDS").unwrap_or_else(|_| SECONDS.to_owned());
    let limit = Duration::from_secs(seconds.parse().map_err(io::Error::other)?);
    let cache =
        cache().ok_or_else(|| io::Error::other("neither XDG_CACHE_HOME nor HOME is set"))?;
    if !is_installed(&cache)? {
        install(&cache)?;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
    let output = root.join("target").join("mutants");
    fs::create_dir_all(&output)?;
    let mut command = cargo(&cache)?;
    command.args(["mutants", "--shuffle", "--timeout", LONGEST_TEST, "--output"]).arg(&output);
    match env::var_os("DRAWBRIDGE_MUTANTS_FILE") {
        Some(file) => command.arg("--file").arg(file),
        None => command.args(CORE.map(|glob| format!("--file={glob}"))),
    };
    // The copy needs a target folder of its own; tests fail on purpose, so no backtraces.
    command.current_dir(root).env_remove("CARGO_TARGET_DIR").env("RUST_BACKTRACE", "0");
    eprintln!("+ cargo mutants, for {seconds} s at most");
    let status = wait(command.spawn()?, limit)?;
    if status.is_none() {
        eprintln!("the time is up");
    }
    let is_done =
        status.is_none_or(|status| status.code().is_some_and(|code| DONE.contains(&code)));
    if is_done {
        tell(&output.join("mutants.out"));
    }
    Ok(is_done)
}

/// The folder where cargo-mutants is installed: outside the tree, and kept. `None` if neither
/// XDG_CACHE_HOME nor HOME is set.
fn cache() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    Some(cache.or_else(home)?.join("drawbridge-xtask"))
}

/// A `cargo` command that also finds the programs in the cache.
fn cargo(cache: &Path) -> io::Result<Command> {
    let search: OsString = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&search).chain([cache.join("bin")]);
    let mut command = Command::new("cargo");
    command.env("PATH", env::join_paths(folders).map_err(io::Error::other)?);
    Ok(command)
}

fn is_installed(cache: &Path) -> io::Result<bool> {
    let mut asked = cargo(cache)?;
    asked.args(["mutants", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(asked.status()?.success())
}

fn install(cache: &Path) -> io::Result<()> {
    eprintln!("+ cargo install cargo-mutants --locked --root {}", cache.display());
    let mut command = cargo(cache)?;
    command.args(["install", "cargo-mutants", "--locked", "--root"]).arg(cache);
    if command.status()?.success() {
        Ok(())
    } else {
        Err(io::Error::other("cargo-mutants was not installed"))
    }
}

/// Waits for the end of a run; `None` if its time was up and it was interrupted.
fn wait(mut run: Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = run.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(LOOK);
    }
    // On SIGINT cargo-mutants ends the build or the test that it has started, and removes its copy.
    Command::new("kill").args(["-INT", &run.id().to_string()]).status()?;
    run.wait()?;
    Ok(None)
}

/// Prints how many mutants were found, had no end or did not compile, and which survived.
fn tell(folder: &Path) {
    let list = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let count = |name: &str| list(name).lines().count();
    let survived = list("missed.txt");
    eprintln!(
        "{} found, {} without an end, {} that do not compile; {} survived:",
        count("caught.txt"),
        count("timeout.txt"),
        count("unviable.txt"),
        survived.lines().count(),
    );
    eprint!("{survived}");
}
