//! The binary under test: its start, its streams, its end.

use std::io::Read;
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::{env, fs, process, thread};

use nix::sys::signal::Signal;

use crate::client::Client;
use crate::confinement::{self, Keepers};
use crate::processes::{self, MARK, eventually};
use crate::scratch::Scratch;

/// What is to be started.
pub(crate) struct Setup {
    options: Vec<String>,
    command: Vec<String>,
    variables: Vec<(String, String)>,
    scratch: Scratch,
    stdio: Option<(Stdio, Stdio)>,
    is_unread: bool,
    is_deaf: bool,
    is_grouped: bool,
    is_direct: bool,
    confined: Option<Keepers>,
    launcher: Option<String>,
    prepare: Option<fn(&mut Command)>,
    binary: PathBuf,
}

impl Setup {
    /// A bridge with these options in front of the stub with these flags.
    pub(crate) fn new(options: &[&str], flags: &[&str]) -> Setup {
        let stub = stub().display().to_string();
        let mut setup = Setup::with_command(options, &[&stub]);
        setup.command.extend(owned(flags));
        setup
    }

    /// The same with any other agent.
    pub(crate) fn with_command(options: &[&str], command: &[&str]) -> Setup {
        Setup {
            options: owned(options),
            command: owned(command),
            variables: Vec::new(),
            scratch: Scratch::new(),
            stdio: None,
            is_unread: false,
            is_deaf: false,
            is_grouped: false,
            is_direct: false,
            confined: None,
            launcher: None,
            prepare: None,
            binary: env!("CARGO_BIN_EXE_drawbridge").into(),
        }
    }

    /// The stub writes a log; each of its processes has its own.
    pub(crate) fn logged(mut self) -> Setup {
        let script = r#"log=$1; shift; exec "$@" --log "$log-$$""#;
        let log = self.scratch.file("agent").display().to_string();
        self.command.splice(0..0, owned(&["sh", "-c", script, "sh", &log]));
        self
    }

    /// The stub's processes keep their sessions in a folder that they share.
    pub(crate) fn stored(mut self) -> Setup {
        let store = self.scratch.directory("store").display().to_string();
        self.command.extend(owned(&["--state-dir", &store]));
        self
    }

    /// Wraps the agent's command into a shell script, in which it is `"$@"`.
    pub(crate) fn wrapped(mut self, script: &str) -> Setup {
        self.command.splice(0..0, owned(&["sh", "-c", script, "sh"]));
        self
    }

    /// A shell starts the bridge, by a script in which the bridge's command is `"$@"`. The
    /// shell stands in the bridge's place.
    pub(crate) fn launched(mut self, script: &str) -> Setup {
        self.launcher = Some(script.to_owned());
        self
    }

    /// Changes the command that starts the bridge.
    pub(crate) fn prepared(mut self, prepare: fn(&mut Command)) -> Setup {
        self.prepare = Some(prepare);
        self
    }

    /// One more variable in the environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Setup {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Other streams than pipes; the test keeps the other ends.
    pub(crate) fn stdio(mut self, stdin: Stdio, stdout: Stdio) -> Setup {
        self.stdio = Some((stdin, stdout));
        self
    }

    /// Nobody reads its stdout until [`Bridge::read_from_now_on`].
    pub(crate) fn unread(mut self) -> Setup {
        self.is_unread = true;
        self
    }

    /// Nobody ever reads its stderr.
    pub(crate) fn deaf(mut self) -> Setup {
        self.is_deaf = true;
        self
    }

    /// It leads a process group of its own.
    pub(crate) fn grouped(mut self) -> Setup {
        self.is_grouped = true;
        self
    }

    /// The agent alone, without a bridge: it stands in the bridge's place.
    pub(crate) fn direct(mut self) -> Setup {
        self.is_direct = true;
        self
    }

    /// The system refuses what its keepers need.
    pub(crate) fn confined(mut self, keepers: Keepers) -> Setup {
        self.confined = Some(keepers);
        self
    }

    /// Another file with the program under test.
    pub(crate) fn binary(mut self, path: &Path) -> Setup {
        path.clone_into(&mut self.binary);
        self
    }

    /// The directory in which it will run.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    pub(crate) fn start(self) -> Bridge {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let Setup { options, command, variables, scratch, stdio, is_unread, is_deaf, .. } = self;
        let mut bridge = if self.is_direct {
            let mut agent = Command::new(&command[0]);
            agent.args(&command[1..]);
            agent
        } else {
            let mut bridge = match &self.launcher {
                Some(script) => {
                    let mut shell = Command::new("sh");
                    shell.args(["-c", script, "sh"]).arg(&self.binary);
                    shell
                }
                None => Command::new(&self.binary),
            };
            let log = scratch.file("bridge.log");
            bridge.arg("--log-file").arg(log).args(options).arg("--").args(command);
            bridge
        };
        if self.is_grouped {
            bridge.process_group(0);
        }
        if let Some(keepers) = self.confined {
            confinement::without_subreapers(&mut bridge, keepers);
        }
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("DRAWBRIDGE_")) {
            bridge.env_remove(name);
        }
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            bridge.env(name, scratch.path());
        }
        let is_piped = stdio.is_none();
        let (stdin, stdout) = stdio.unwrap_or_else(|| (Stdio::piped(), Stdio::piped()));
        bridge
            .env_remove("RUST_LOG")
            .env(MARK, &mark)
            .envs(variables)
            .current_dir(scratch.path())
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped());
        if let Some(prepare) = self.prepare {
            prepare(&mut bridge);
        }
        let mut child = bridge.spawn().expect("the bridge is started");
        let said = Arc::new(Mutex::new(String::new()));
        if !is_deaf {
            gather(child.stderr.take().expect("its stderr"), said.clone());
        }
        let client = Client::unconnected(scratch.path());
        let mut started = Bridge { client, said, scratch, mark, is_checked: false, child };
        if is_piped {
            let stdin = started.child.stdin.take().expect("its stdin");
            started.write_to(stdin);
            if !is_unread {
                started.read_from_now_on();
            }
        }
        started
    }
}

/// A running bridge. It, its agents and all they started are killed when the
/// test lets go of it; a test that ends well has called [`Bridge::end`] or
/// [`Bridge::is_gone`] before.
pub(crate) struct Bridge {
    child: Child,
    /// The client at its stdio.
    client: Client,
    /// Its stderr so far.
    said: Arc<Mutex<String>>,
    pub(crate) scratch: Scratch,
    mark: String,
    is_checked: bool,
}

impl Deref for Bridge {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Bridge {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Bridge {
    /// A bridge that has been introduced to its client.
    pub(crate) fn ready(options: &[&str], flags: &[&str]) -> Bridge {
        let mut bridge = Setup::new(options, flags).start();
        bridge.initialize();
        bridge
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes its stdout, which nobody reads yet.
    pub(crate) fn hang_up(&mut self) {
        self.child.stdout = None;
    }

    /// Begins to read its stdout.
    pub(crate) fn read_from_now_on(&mut self) {
        let stdout = self.child.stdout.take().expect("its stdout, which nobody reads yet");
        self.read_from(stdout);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        processes::send_signal(self.pid(), signal);
    }

    /// What it and its agents have said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.said.lock().expect("the reader of stderr lives").clone()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scratch.file("bridge.log")).unwrap_or_default()
    }

    /// Waits for a text in its log.
    pub(crate) fn logs(&self, text: &str) {
        eventually(text, || self.log().contains(text));
    }

    /// What the stub process with this id has logged so far.
    pub(crate) fn log_of(&self, agent: u32) -> String {
        fs::read_to_string(self.scratch.file(&format!("agent-{agent}"))).unwrap_or_default()
    }

    /// Living agents and what they started.
    pub(crate) fn others(&self) -> Vec<u32> {
        let mut pids = self.left();
        pids.retain(|pid| !processes::is_keeper(*pid));
        pids
    }

    /// Living keepers.
    pub(crate) fn keepers(&self) -> Vec<u32> {
        let mut pids = self.left();
        pids.retain(|pid| processes::is_keeper(*pid));
        pids
    }

    /// All that lives but the bridge itself.
    pub(crate) fn left(&self) -> Vec<u32> {
        let mut pids = processes::marked(&self.mark);
        pids.retain(|pid| *pid != self.pid());
        // Their marks may not be readable.
        let keepers = processes::keepers_of(self.pid());
        pids.extend(keepers.iter().filter(|pid| !pids.contains(pid)).collect::<Vec<_>>());
        pids
    }

    /// The one living agent.
    pub(crate) fn agent(&self) -> u32 {
        let others = self.others();
        assert_eq!(others.len(), 1, "one agent\n{self}");
        others[0]
    }

    /// Waits for the end of the bridge's own process.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the end of the bridge", || {
            status = self.child.try_wait().expect("our child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Whether the bridge's own process is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    /// Closes its stdin and waits for a good end.
    pub(crate) fn end(mut self) {
        self.close_stdin();
        self.is_gone();
    }

    /// Waits for a good end: exit code 0, no process left, no error in the log.
    pub(crate) fn is_gone(&mut self) {
        self.exits_with(0);
    }

    /// Waits for the end of a bridge that has no agent for its editor.
    pub(crate) fn gives_up(mut self) {
        self.exits_with(1);
    }

    fn exits_with(&mut self, code: i32) {
        let status = self.exit();
        assert_eq!(status.code(), Some(code), "{status}\n{self}");
        let left = self.left();
        assert_eq!(left, [0; 0], "left behind when the bridge exited\n{self}");
        self.has_no_errors();
    }

    /// Waits for the end of all agents after the bridge was killed.
    pub(crate) fn is_killed(&mut self) {
        self.exit();
        eventually("the end of all agents and keepers", || self.left().is_empty());
        self.has_no_errors();
    }

    fn has_no_errors(&mut self) {
        self.is_checked = true;
        let log = self.log();
        let stderr = self.stderr();
        let is_error =
            |line: &&str| line.contains(" ERROR drawbridge[") || line.contains("panicked");
        let errors: Vec<&str> = log.lines().chain(stderr.lines()).filter(is_error).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{self}");
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{self}");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        processes::end_marked(&self.mark);
        if !thread::panicking() {
            assert!(self.is_checked, "the test has not looked at the end of its bridge");
        }
    }
}

impl std::fmt::Display for Bridge {
    /// What a failing test shows.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, text) in [("stderr", self.stderr()), ("log", self.log())] {
            let skipped = text.lines().count().saturating_sub(30);
            writeln!(f, "{name}:")?;
            text.lines().skip(skipped).try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        write!(f, "processes:")?;
        for pid in self.left() {
            write!(f, " {pid} ({})", processes::name(pid))?;
        }
        Ok(())
    }
}

/// Where cargo has put the stub: beside the directory of this test's own executable.
pub(crate) fn stub() -> PathBuf {
    let own = env::current_exe().expect("the path of this test");
    let profile = own.ancestors().nth(2).expect("target/PROFILE/deps/process-HASH");
    let stub = profile.join("agent-stub");
    assert!(stub.exists(), "{} is missing: cargo build -p agent-stub", stub.display());
    stub
}

fn gather(mut stderr: impl Read + Send + 'static, said: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut chunk = [0; 8192];
        while let Ok(read @ 1..) = stderr.read(&mut chunk) {
            let piece = String::from_utf8_lossy(&chunk[..read]);
            said.lock().expect("the test lives").push_str(&piece);
        }
    });
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
