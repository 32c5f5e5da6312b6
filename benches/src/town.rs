//! The soak of the daemon: very many editors through `drawbridge connect`, each with several
//! sessions, while editors, shims, agents and the daemon itself die at random.
//!
//! Every text that an agent is told to say holds the mark of its session, and every editor looks
//! whether what it hears is its own. Every request must be answered, whatever dies.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::paths::Programs;
use crate::soak::chance::Chance;

/// Editors at once, sessions of each, and directories, each of which has an agent process.
const EDITORS: usize = 200;
const SESSIONS: usize = 5;
const FOLDERS: usize = 50;

/// A request that is not answered within this time is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pauses between the deaths of an agent, and of the daemon.
const BETWEEN_AGENTS: Duration = Duration::from_secs(2);
const BETWEEN_DAEMONS: Duration = Duration::from_secs(45);

/// The variable that marks all editors and agents of a run.
const MARK: &str = "BENCH_TOWN_MARK";

/// The counts of a run.
#[derive(Default)]
struct Counts {
    turns: AtomicU64,
    sessions: AtomicU64,
    errors: AtomicU64,
    killed_editors: AtomicU64,
    left: AtomicU64,
    killed_agents: AtomicU64,
    killed_daemons: AtomicU64,
    crossed: AtomicU64,
    unanswered: AtomicU64,
    stray: AtomicU64,
    failed: AtomicU64,
}

/// The state that all editors of a run share.
struct Town {
    folder: PathBuf,
    drawbridge: PathBuf,
    stub: PathBuf,
    mark: String,
    is_over: AtomicBool,
    counts: Counts,
}

/// Runs for `seconds` and prints the counts; an error if one of the conditions does not hold.
pub fn run(seconds: u64, seed: u64) -> io::Result<()> {
    let programs = Programs::find(None, None)?;
    let folder = env::temp_dir().join(format!("drawbridge-town-{}", std::process::id()));
    for name in 0..FOLDERS {
        fs::create_dir_all(folder.join(name.to_string()))?;
    }
    let log = folder.join("log").display().to_string();
    let text = format!(
        "[defaults]\nlog-file = '{log}'\nlog = 'warn'\nmax-sessions = 0\nmax-channels = 0\n\
         lost-client-timeout = '1s'\nchannel-idle-timeout = '2s'\nshutdown-timeout = '2s'\n\
         restart-limit = 0\nsession-open-timeout = '30s'\n"
    );
    fs::write(folder.join("config.toml"), text)?;
    let town = Town {
        stub: programs.drawbridge.with_file_name("agent-stub"),
        drawbridge: programs.drawbridge.clone(),
        mark: std::process::id().to_string(),
        is_over: AtomicBool::new(false),
        counts: Counts::default(),
        folder,
    };
    let begun = Instant::now();
    let (mut most_agents, mut daemons) = (0, BTreeSet::new());
    thread::scope(|scope| -> io::Result<()> {
        for number in 0..EDITORS {
            let town = &town;
            scope.spawn(move || live(town, number, Chance::new(seed * 1_000 + number as u64)));
        }
        let mut chance = Chance::new(seed);
        let (mut agent_at, mut daemon_at) = (Instant::now(), Instant::now());
        while begun.elapsed() < Duration::from_secs(seconds) {
            thread::sleep(Duration::from_millis(100));
            if agent_at.elapsed() > BETWEEN_AGENTS {
                agent_at = Instant::now();
                let agents = town.agents()?;
                most_agents = most_agents.max(agents.len());
                if !agents.is_empty() {
                    end(agents[chance.below(agents.len())]);
                    town.counts.killed_agents.fetch_add(1, Relaxed);
                }
            }
            if daemon_at.elapsed() > BETWEEN_DAEMONS {
                daemon_at = Instant::now();
                for daemon in town.daemons()? {
                    daemons.insert(daemon);
                    end(daemon);
                    town.counts.killed_daemons.fetch_add(1, Relaxed);
                }
            }
        }
        town.is_over.store(true, Relaxed);
        Ok(())
    })?;
    let last = town.daemons()?;
    // The sessions that the editors have left are closed, and the agents are ended.
    let begun_to_end = Instant::now();
    while !town.agents()?.is_empty() && begun_to_end.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(50));
    }
    let agents = town.agents()?.len();
    let figures = last.first().map(|daemon| figures(*daemon)).transpose()?;
    for daemon in &last {
        let _ = kill(Pid::from_raw(daemon.cast_signed()), Signal::SIGTERM);
    }
    while !town.daemons()?.is_empty() && begun_to_end.elapsed() < 2 * PATIENCE {
        thread::sleep(Duration::from_millis(50));
    }
    let log = fs::read_to_string(town.folder.join("log")).unwrap_or_default();
    let errors = log.lines().filter(|line| line.contains(" ERROR ")).count();
    let embedded = log.matches("served without the daemon").count();
    let left = town.marked()?.len() + town.daemons()?.len();
    town.report(begun.elapsed(), seed, most_agents);
    let rows = [
        ("daemons at the end", last.len()),
        ("agents left by the last daemon", agents),
        ("processes left", left),
        ("ERROR lines", errors),
        ("editors served without the daemon", embedded),
    ];
    for (what, count) in rows {
        println!("  {what:<34}{count:>10}");
    }
    if let Some((descriptors, resident)) = figures {
        println!("  {:<34}{descriptors:>10}", "descriptors of the daemon");
        println!("  {:<34}{:>10.1}", "memory of the daemon (MiB)", resident);
    }
    let counts = &town.counts;
    let bad = [&counts.crossed, &counts.unanswered, &counts.stray, &counts.failed];
    let is_bad = bad.iter().any(|count| count.load(Relaxed) > 0);
    let leaks = figures.is_none_or(|(descriptors, resident)| descriptors > 64 || resident > 200.0);
    if is_bad || leaks || last.len() != 1 || agents + left + errors + embedded > 0 {
        let hint = format!("a condition does not hold; the log is in {}", town.folder.display());
        return Err(io::Error::other(hint));
    }
    fs::remove_dir_all(&town.folder)
}

/// The open descriptors of a process, and its memory in mebibytes.
fn figures(pid: u32) -> io::Result<(usize, f64)> {
    let resident = crate::process::memory(pid)?.resident as f64 / f64::from(1 << 20);
    Ok((fs::read_dir(format!("/proc/{pid}/fd"))?.count(), resident))
}

fn end(pid: u32) {
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
}

impl Town {
    /// The processes with the mark of this run.
    fn marked(&self) -> io::Result<Vec<u32>> {
        let pair = format!("{MARK}={}", self.mark);
        self.found(|place| {
            let environment = fs::read(place.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|one| one == pair.as_bytes())
        })
    }

    /// The agents of this run.
    fn agents(&self) -> io::Result<Vec<u32>> {
        let mut found = self.marked()?;
        found.retain(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.trim_end() == "agent-stub"
        });
        Ok(found)
    }

    /// The daemons of this run.
    fn daemons(&self) -> io::Result<Vec<u32>> {
        let socket = self.folder.join("socket").display().to_string();
        self.found(|place| {
            let line = fs::read(place.join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words.get(1) == Some(&&b"serve"[..]) && words.contains(&socket.as_bytes())
        })
    }

    fn found(&self, is_it: impl Fn(&Path) -> bool) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(pid) = number.filter(|_| is_it(&entry.path())) {
                found.push(pid);
            }
        }
        Ok(found)
    }

    fn report(&self, took: Duration, seed: u64, most_agents: usize) {
        let counts = &self.counts;
        println!("town: {} s, seed {seed}, {EDITORS} editors", took.as_secs());
        for (what, count) in [
            ("sessions opened", &counts.sessions),
            ("turns", &counts.turns),
            ("requests answered by an error", &counts.errors),
            ("editors killed", &counts.killed_editors),
            ("editors that left", &counts.left),
            ("agents killed", &counts.killed_agents),
            ("daemons killed", &counts.killed_daemons),
            ("frames of another session", &counts.crossed),
            ("requests without an answer", &counts.unanswered),
            ("answers that nobody asked for", &counts.stray),
            ("editors that could not work", &counts.failed),
        ] {
            println!("  {what:<34}{:>10}", count.load(Relaxed));
        }
        println!("  {:<34}{most_agents:>10}", "agents at once, at most");
    }
}

/// The life of an editor: it is started again and again until the run is over.
fn live(town: &Town, number: usize, mut chance: Chance) {
    while !town.is_over.load(Relaxed) {
        if let Err(error) = Editor::start(town, number).and_then(|mut one| one.work(&mut chance)) {
            eprintln!("editor {number}: {error}");
            town.counts.failed.fetch_add(1, Relaxed);
            thread::sleep(Duration::from_secs(1));
        }
    }
}

/// An editor with its shim.
struct Editor<'a> {
    town: &'a Town,
    number: usize,
    shim: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
    asked: u64,
    waiting: BTreeSet<u64>,
    /// The sessions that are open.
    sessions: BTreeSet<String>,
    /// The mark of each session that was ever open.
    marks: BTreeMap<String, String>,
}

impl Drop for Editor<'_> {
    fn drop(&mut self) {
        let _ = self.shim.kill();
        let _ = self.shim.wait();
    }
}

impl Editor<'_> {
    fn start(town: &Town, number: usize) -> io::Result<Editor<'_>> {
        let mut shim = Command::new(&town.drawbridge);
        shim.arg("connect").arg("--socket").arg(town.folder.join("socket"));
        shim.arg("--config").arg(town.folder.join("config.toml")).arg("--").arg(&town.stub);
        shim.args(["--session-ids", "random"]).env(MARK, &town.mark);
        shim.current_dir(town.folder.join((number % FOLDERS).to_string()));
        shim.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shim = shim.spawn()?;
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (stdin, stdout) = (shim.stdin.take(), shim.stdout.take());
        let (sender, lines) = sync_channel(1024);
        let stdout = BufReader::new(stdout.ok_or_else(gone)?);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Half a line is no JSON.
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let (waiting, sessions, marks) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let stdin = stdin.ok_or_else(gone)?;
        Ok(Editor { town, number, shim, stdin, lines, asked: 0, waiting, sessions, marks })
    }

    fn ask(&mut self, method: &str, params: &Value) -> io::Result<u64> {
        self.asked += 1;
        let id = self.asked;
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        writeln!(self.stdin, "{line}")?;
        self.waiting.insert(id);
        Ok(id)
    }

    /// Waits for the answer to a request. `mark`: what is said meanwhile belongs to it.
    fn answer(&mut self, id: u64) -> io::Result<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let frame = match self.lines.recv_timeout(left) {
                Ok(frame) => frame,
                Err(RecvTimeoutError::Timeout) => {
                    self.town.counts.unanswered.fetch_add(1, Relaxed);
                    return Err(io::Error::other(format!("request {id} has no answer")));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the shim has ended"));
                }
            };
            self.look(&frame);
            if frame["method"].is_null() && frame["id"] == id {
                if frame["error"].is_object() {
                    self.town.counts.errors.fetch_add(1, Relaxed);
                }
                return Ok(frame);
            }
        }
    }

    /// Looks whether a frame is one of this editor's.
    fn look(&mut self, frame: &Value) {
        let counts = &self.town.counts;
        let text = frame["params"]["update"]["content"]["text"].as_str();
        if let (Some(text), Some(id)) = (text, frame["params"]["sessionId"].as_str()) {
            if self.marks.get(id).is_none_or(|mark| !text.starts_with(mark)) {
                eprintln!("editor {}: {frame}", self.number);
                counts.crossed.fetch_add(1, Relaxed);
            }
        } else if frame["method"].is_null() {
            let is_asked = frame["id"].as_u64().is_some_and(|id| self.waiting.remove(&id));
            if !is_asked {
                eprintln!("editor {}: {frame}", self.number);
                counts.stray.fetch_add(1, Relaxed);
            }
        }
    }

    fn open(&mut self) -> io::Result<()> {
        let cwd = self.town.folder.join((self.number % FOLDERS).to_string());
        let id = self.ask("session/new", &json!({ "cwd": cwd, "mcpServers": [] }))?;
        let answer = self.answer(id)?;
        if let Some(session) = answer["result"]["sessionId"].as_str() {
            let mark = format!("<{}-{}-{}>", self.number, self.shim.id(), self.asked);
            self.marks.insert(session.to_owned(), mark);
            self.sessions.insert(session.to_owned());
            self.town.counts.sessions.fetch_add(1, Relaxed);
        } else {
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// Works for a while, and ends in one of the ways in which editors do.
    fn work(&mut self, chance: &mut Chance) -> io::Result<()> {
        let params = json!({ "protocolVersion": 1, "clientCapabilities": {} });
        let id = self.ask("initialize", &params)?;
        if self.answer(id)?["result"].is_null() {
            // The daemon was lost at that moment.
            return Ok(());
        }
        let turns = 20 + chance.below(200);
        for _ in 0..turns {
            if self.town.is_over.load(Relaxed) {
                break;
            }
            if self.sessions.len() < SESSIONS {
                self.open()?;
                continue;
            }
            let place = chance.below(self.sessions.len());
            let Some(session) = self.sessions.iter().nth(place).cloned() else { continue };
            let mark = self.marks.get(&session).cloned().unwrap_or_default();
            let script = match chance.below(20) {
                0 => format!("say {mark} begins\nsleep {}\nsay {mark} ends", chance.below(300)),
                _ => format!("say {mark} one\nsay {mark} two"),
            };
            let content = json!([{ "type": "text", "text": script }]);
            let params = json!({ "sessionId": session, "prompt": content });
            let id = self.ask("session/prompt", &params)?;
            if chance.below(400) == 0 {
                // In the middle of a turn.
                self.town.counts.killed_editors.fetch_add(1, Relaxed);
                return Ok(());
            }
            if self.answer(id)?["error"].is_object() {
                // The agent or the daemon is gone, and the session with it.
                self.sessions.remove(&session);
            } else {
                self.town.counts.turns.fetch_add(1, Relaxed);
            }
            thread::sleep(Duration::from_millis(chance.below(400) as u64));
        }
        self.town.counts.left.fetch_add(1, Relaxed);
        Ok(())
    }
}
