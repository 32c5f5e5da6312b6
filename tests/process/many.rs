//! A bridge for many clients, and its clients: started, connected, looked at, ended.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Shutdown;
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process, thread};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::bridge::stub;
use crate::client::Client;
use crate::processes::{self, MARK, eventually};
use crate::scratch::Scratch;

/// What a client says of itself before its first message.
#[derive(Clone)]
pub(crate) struct Hello {
    pub(crate) agent: usize,
    pub(crate) directory: PathBuf,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) editor: Option<u32>,
}

/// A client with its connection, which is lost when this is dropped.
pub(crate) struct Connected {
    client: Client,
    stream: UnixStream,
}

impl Deref for Connected {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Connected {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        // The thread that reads has a descriptor of its own.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A running bridge for many clients.
pub(crate) struct Host {
    child: Child,
    pub(crate) scratch: Scratch,
    mark: String,
    is_checked: bool,
}

impl Host {
    /// A bridge in front of the stub with these flags, with these limits.
    pub(crate) fn start(limits: &Value, flags: &[&str]) -> Host {
        Host::with(limits, &[flags], "cwd")
    }

    /// A bridge in front of several agents: the stub, with these flags each.
    pub(crate) fn with(limits: &Value, agents: &[&[&str]], share: &str) -> Host {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("many-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let scratch = Scratch::new();
        let path = stub().display().to_string();
        let command = |flags: &&[&str]| {
            let words = flags.iter().map(|flag| (*flag).to_owned());
            [path.clone()].into_iter().chain(words).collect::<Vec<String>>()
        };
        let settings = json!({
            "socket": scratch.file("socket"),
            "log": scratch.file("bridge.log"),
            "agents": agents.iter().map(command).collect::<Vec<_>>(),
            "limits": limits,
            "share": share,
        });
        let file = scratch.file("settings.json");
        fs::write(&file, settings.to_string()).expect("the settings");
        let child = Command::new(program())
            .arg(&file)
            .env(MARK, &mark)
            .env_remove("RUST_LOG")
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the bridge is started");
        let host = Host { child, scratch, mark, is_checked: false };
        // The file is there before it is listened on. A client that says nothing is none.
        eventually("its socket", || UnixStream::connect(host.scratch.file("socket")).is_ok());
        host
    }

    /// What a client of this bridge says of itself, if nothing else matters.
    pub(crate) fn hello(&self) -> Hello {
        let path = env::var("PATH").unwrap_or_default();
        let variables = [("PATH".to_owned(), path), (MARK.to_owned(), self.mark.clone())];
        Hello {
            agent: 0,
            directory: self.scratch.path().to_owned(),
            variables: variables.into(),
            editor: None,
        }
    }

    /// A client that has connected and said this.
    pub(crate) fn connect(&self, hello: &Hello) -> Connected {
        let stream = self.stream(hello);
        let mut client = Client::unconnected(self.scratch.path());
        client.write_to(stream.try_clone().expect("a descriptor"));
        client.read_from(stream.try_clone().expect("a descriptor"));
        Connected { client, stream }
    }

    /// The same, and nobody reads the stream.
    pub(crate) fn stream(&self, hello: &Hello) -> UnixStream {
        let stream = UnixStream::connect(self.scratch.file("socket")).expect("it listens");
        let line = json!({
            "agent": hello.agent,
            "directory": hello.directory,
            "variables": hello.variables,
            "editor": hello.editor,
        });
        writeln!(&stream, "{line}").expect("it reads");
        stream
    }

    /// A client that has shaken hands.
    pub(crate) fn client(&self) -> Connected {
        self.client_with(&self.hello())
    }

    /// The same for one that says this of itself.
    pub(crate) fn client_with(&self, hello: &Hello) -> Connected {
        let mut client = self.connect(hello);
        let answer = client.initialize_numbered();
        assert!(answer["result"]["protocolVersion"] == 1, "{answer}\n{self}");
        client
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scratch.file("bridge.log")).unwrap_or_default()
    }

    /// Waits for a text in its log.
    pub(crate) fn logs(&self, text: &str) {
        eventually(&format!("{text}\n{self}"), || self.log().contains(text));
    }

    /// Living agents and what they started.
    pub(crate) fn agents(&self) -> Vec<u32> {
        let mut pids = processes::marked(&self.mark);
        pids.retain(|pid| *pid != self.pid() && !processes::is_keeper(*pid));
        pids
    }

    /// Ends it by SIGTERM, and sees that nothing is left.
    pub(crate) fn end(mut self) {
        processes::send_signal(self.pid(), Signal::SIGTERM);
        let mut status = None;
        eventually("the end of the bridge", || {
            status = self.child.try_wait().expect("our child");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()), "{status:?}\n{self}");
        eventually("the end of all agents", || processes::marked(&self.mark).is_empty());
        let log = self.log();
        let errors: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        self.is_checked = true;
    }
}

impl Drop for Host {
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

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let log = self.log();
        let skipped = log.lines().count().saturating_sub(30);
        writeln!(f, "log:")?;
        log.lines().skip(skipped).try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Where cargo has put the bridge for many clients, an example of this package.
fn program() -> PathBuf {
    let own = env::current_exe().expect("the path of this test");
    let profile = own.ancestors().nth(2).expect("target/PROFILE/deps/process-HASH");
    let program = profile.join("examples/shared_bridge");
    assert!(program.exists(), "{} is missing: cargo build --examples", program.display());
    program
}
