//! A place with a daemon of its own, and the editors that use it: each has `drawbridge connect`
//! at its stdio.

use std::io::Read;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::{env, fs, process, thread};

use nix::sys::signal::Signal;

use crate::bridge::stub;
use crate::client::Client;
use crate::processes::{self, MARK, eventually};
use crate::scratch::Scratch;

/// Limits with which a test need not wait.
pub(crate) const SHORT: &str = "shutdown-timeout = '1s'\nlost-client-timeout = '300ms'\n\
                                channel-idle-timeout = '300ms'\n";

/// The program under test.
pub(crate) const DRAWBRIDGE: &str = env!("CARGO_BIN_EXE_drawbridge");

/// The place: its directory holds the socket, the configuration and the log of all.
pub(crate) struct Site {
    pub(crate) scratch: Scratch,
    mark: String,
    /// Daemons that the test has started itself.
    served: Vec<Child>,
    /// The user that everything here is started as, if not this one.
    user: Option<u32>,
    is_checked: bool,
}

impl Site {
    /// A place whose configuration has these defaults.
    pub(crate) fn new(defaults: &str) -> Site {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("site-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let site = Site {
            scratch: Scratch::new(),
            mark,
            served: Vec::new(),
            user: None,
            is_checked: false,
        };
        site.configure(defaults);
        site
    }

    /// Makes everything here belong to another user, as which it is started. Only root may.
    pub(crate) fn of_user(mut self, user: u32) -> Site {
        for path in [self.scratch.path(), &self.scratch.file("config.toml")] {
            chown(path, Some(user), Some(user)).expect("root may");
        }
        self.user = Some(user);
        self
    }

    /// Writes the configuration file: these defaults, and the stub as the agent `stub`.
    pub(crate) fn configure(&self, defaults: &str) {
        let log = self.scratch.file("log").display().to_string();
        let text = format!(
            "[defaults]\nlog-file = '{log}'\n{defaults}\n[agents.stub]\ncommand = '{}'\n",
            stub().display()
        );
        fs::write(self.scratch.file("config.toml"), text).expect("the configuration");
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.scratch.file("socket")
    }

    /// `drawbridge COMMAND` at this place.
    pub(crate) fn command(&self, command: &str) -> Command {
        self.command_with(command, &self.socket(), &self.scratch.file("config.toml"))
    }

    /// A command that looks at the daemon of this place, or steers it.
    pub(crate) fn tool(&self, words: &[&str]) -> Command {
        let mut program = self.program();
        program.args(words).arg("--socket").arg(self.socket());
        program
    }

    /// The same with another socket or another configuration file.
    pub(crate) fn command_with(&self, command: &str, socket: &Path, config: &Path) -> Command {
        let mut program = self.program();
        program.arg(command).arg("--socket").arg(socket);
        if command != "reload" {
            program.arg("--config").arg(config);
        }
        program
    }

    /// The program under test at this place, without a word.
    pub(crate) fn program(&self) -> Command {
        let mut program = Command::new(DRAWBRIDGE);
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("DRAWBRIDGE_")) {
            program.env_remove(name);
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            program.env(name, self.scratch.path());
        }
        program.env_remove("RUST_LOG").env(MARK, &self.mark).current_dir(self.scratch.path());
        if let Some(user) = self.user {
            program.uid(user).gid(user);
        }
        program
    }

    /// An editor that wants the stub with these flags, in front of `drawbridge connect`.
    pub(crate) fn connect(&self, flags: &[&str]) -> Command {
        let mut shim = self.command("connect");
        shim.arg("--").arg(stub()).args(flags);
        shim
    }

    /// An editor that has shaken hands.
    pub(crate) fn editor(&self, flags: &[&str]) -> Editor {
        let mut editor = Editor::start(self.connect(flags));
        editor.initialize();
        editor
    }

    /// Starts a daemon with these options, and waits for its socket.
    pub(crate) fn serve(&mut self, options: &[&str]) -> u32 {
        let mut daemon = self.command("serve");
        daemon.args(options).stdin(Stdio::null()).stdout(Stdio::null());
        self.serve_by(daemon)
    }

    /// The same by this command.
    pub(crate) fn serve_by(&mut self, mut command: Command) -> u32 {
        let child = command.spawn().expect("the daemon is started");
        let pid = child.id();
        self.served.push(child);
        eventually("the socket", || self.socket().exists());
        pid
    }

    /// Waits for the end of the daemon that was started last.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.served.pop().expect("a daemon was started");
        let mut status = None;
        eventually(&format!("the end of the daemon\n{self}"), || {
            status = child.try_wait().expect("our child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// The living daemons of this place.
    pub(crate) fn daemons(&self) -> Vec<u32> {
        let socket = self.socket().display().to_string();
        let is_one = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words.get(1) == Some(&&b"serve"[..]) && words.contains(&socket.as_bytes())
        };
        let numbers = fs::read_dir("/proc").expect("a process table");
        let numbers = numbers.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers.filter(is_one).filter(|pid| processes::is_alive(*pid)).collect()
    }

    /// The one daemon of this place.
    pub(crate) fn daemon(&self) -> u32 {
        let daemons = self.daemons();
        assert_eq!(daemons.len(), 1, "{daemons:?}\n{self}");
        daemons[0]
    }

    /// Kills the daemon, and waits until the editors have another one.
    pub(crate) fn lose_daemon(&self) {
        let daemon = self.daemon();
        processes::send_signal(daemon, Signal::SIGKILL);
        eventually("its end", || !processes::is_alive(daemon));
        eventually("another daemon", || self.daemons().iter().any(|pid| *pid != daemon));
    }

    /// Living agents and what they started.
    pub(crate) fn agents(&self) -> Vec<u32> {
        let mut pids = processes::marked(&self.mark);
        pids.retain(|pid| {
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            !processes::is_keeper(*pid) && program != Path::new(DRAWBRIDGE)
        });
        pids
    }

    /// Everything that editors of this place have started and that still lives.
    pub(crate) fn left(&self) -> Vec<u32> {
        processes::marked(&self.mark)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scratch.file("log")).unwrap_or_default()
    }

    /// Waits for a text in the log.
    pub(crate) fn logs(&self, text: &str) {
        eventually(&format!("{text}\n{self}"), || self.log().contains(text));
    }

    /// Ends the daemon, if there is one, and sees that nothing is left.
    pub(crate) fn end(mut self) {
        for daemon in self.daemons() {
            processes::send_signal(daemon, Signal::SIGTERM);
        }
        for mut child in std::mem::take(&mut self.served) {
            let _ = child.wait();
        }
        eventually(&format!("the end of the daemon\n{self}"), || self.daemons().is_empty());
        eventually(&format!("the end of all agents\n{self}"), || self.left().is_empty());
        let log = self.log();
        let errors: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        assert!(!self.socket().exists(), "the socket is left");
        self.is_checked = true;
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{self}");
        }
        for daemon in self.daemons() {
            processes::send_signal(daemon, Signal::SIGKILL);
        }
        for child in &mut self.served {
            let _ = child.kill();
            let _ = child.wait();
        }
        processes::end_marked(&self.mark);
        if !thread::panicking() {
            assert!(self.is_checked, "the test has not looked at the end of its daemon");
        }
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let log = self.log();
        let skipped = log.lines().count().saturating_sub(40);
        writeln!(f, "log:")?;
        log.lines().skip(skipped).try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// The same command, started by a shell script in which it is `"$@"`.
pub(crate) fn wrapped(command: &Command, script: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(command.get_current_dir().expect("a directory"));
    shell
}

/// A script that keeps a shell above the command: it stands for the editor.
pub(crate) const BELOW: &str = r#""$@"; exit"#;

/// An editor, and the process at its stdio. That is killed when this is dropped.
pub(crate) struct Editor {
    child: Child,
    client: Client,
    said: Arc<Mutex<String>>,
}

impl Deref for Editor {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Editor {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Editor {
    /// Starts a process.
    pub(crate) fn start(command: Command) -> Editor {
        let mut editor = Editor::start_unread(command);
        editor.read_from_now_on();
        editor
    }

    /// Begins to read what the process says.
    pub(crate) fn read_from_now_on(&mut self) {
        let stdout = self.child.stdout.take().expect("its stdout, which nobody reads yet");
        self.client.read_from(stdout);
    }

    /// Starts a process that nobody reads yet.
    pub(crate) fn start_unread(mut command: Command) -> Editor {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it is started");
        let cwd = command.get_current_dir().expect("a directory");
        let mut client = Client::unconnected(cwd);
        client.write_to(child.stdin.take().expect("its stdin"));
        let said = Arc::new(Mutex::new(String::new()));
        let (mut stderr, gathered) = (child.stderr.take().expect("its stderr"), said.clone());
        thread::spawn(move || {
            let mut text = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut text) {
                gathered.lock().unwrap().push_str(&String::from_utf8_lossy(&text[..length]));
            }
        });
        Editor { child, client, said }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines of the process on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits for the end of the process.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the end of the shim", || {
            status = self.child.try_wait().expect("our child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Closes the stdin of the process, which ends with success.
    pub(crate) fn leave(mut self) {
        self.close_stdin();
        let status = self.exit();
        assert!(status.success(), "{status:?} {}", self.stderr());
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
