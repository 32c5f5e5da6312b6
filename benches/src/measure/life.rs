//! Starting, idling and ending.

use std::collections::BTreeMap;
use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::{Lab, PerPath, REPETITIONS};
use crate::client::{Client, agent_of};
use crate::paths::Path;
use crate::process::{switches, wait_until_gone};
use crate::stats::median;

/// The number of stuck agents in the shutdown that is compared with one of a single stuck agent.
pub const STUCK: usize = 8;
/// The bound of a shutdown by default, in seconds.
pub const SHUTDOWN_BOUND: f64 = 2.5;

/// The figures, in seconds unless a field says otherwise.
#[derive(Debug)]
pub struct Life {
    /// From the start of the path to the first byte of the answer to a line that is no message.
    /// drawbridge answers itself; on the other paths the agent does.
    pub start: PerPath<f64>,
    /// The same for `drawbridge connect` that has to start a daemon.
    pub first_start: f64,
    /// The agent's own exit, from the end of its stdin.
    pub exit: f64,
    /// From the last close to the end of the agent, with an idle timeout of 0.
    pub last_close: f64,
    /// The end of one bridge with one stuck agent.
    pub one_stuck: f64,
    /// The end of one bridge with [`STUCK`] stuck agents.
    pub all_stuck: f64,
    /// The context switches of an idle bridge during `watched`.
    pub wake_ups: u64,
    /// The same of an idle shim.
    pub wake_ups_of_shim: u64,
    /// How long the idle bridge was watched.
    pub watched: Duration,
    /// The size of the binary, in bytes.
    pub size: u64,
}

/// Measures all of it.
pub fn measure(lab: &Lab) -> io::Result<Life> {
    let watched = Duration::from_secs(lab.effort.of(5, 60));
    let (mut exits, mut closes, mut ones, mut alls) = (vec![], vec![], vec![], vec![]);
    for _ in 0..REPETITIONS {
        exits.push(exit(lab)?);
        closes.push(last_close(lab)?);
    }
    // Stuck agents take the whole ladder each time: three repetitions tell enough.
    for _ in 0..lab.effort.of(1, 3) {
        ones.push(stuck(lab, 1)?);
        alls.push(stuck(lab, STUCK)?);
    }
    Ok(Life {
        start: starts(lab)?,
        first_start: first_start(lab)?,
        exit: median(&exits),
        last_close: median(&closes),
        one_stuck: median(&ones),
        all_stuck: median(&alls),
        wake_ups: wake_ups(lab, Path::Drawbridge, watched)?,
        wake_ups_of_shim: wake_ups(lab, Path::Connect, watched)?,
        watched,
        size: std::fs::metadata(&lab.programs.drawbridge)?.len(),
    })
}

fn starts(lab: &Lab) -> io::Result<PerPath<f64>> {
    let mut starts: PerPath<Vec<f64>> = BTreeMap::new();
    let with_daemon = Client::connect(lab.programs.command(Path::Connect))?;
    for _ in 0..lab.effort.of(10, 30) {
        // What the conductor does with such a line is not comparable.
        for path in [Path::Direct, Path::Relay, Path::Drawbridge, Path::Connect] {
            starts.entry(path).or_default().push(first_byte(lab.programs.command(path))?);
        }
    }
    drop(with_daemon);
    Ok(starts.into_iter().map(|(path, each)| (path, median(&each))).collect())
}

fn first_byte(command: Command) -> io::Result<f64> {
    let start = Instant::now();
    let mut client = Client::start(command)?;
    client.send(b"this is no message\n")?;
    client.output.fill()?;
    Ok(start.elapsed().as_secs_f64())
}

fn first_start(lab: &Lab) -> io::Result<f64> {
    const SOCKET: &str = "socket-of-start";
    let mut starts = Vec::new();
    for _ in 0..REPETITIONS {
        starts.push(first_byte(lab.programs.connect(SOCKET))?);
        // The daemon ends soon after its only client.
        while lab.programs.has_daemon(SOCKET) {
            thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(median(&starts))
}

fn exit(lab: &Lab) -> io::Result<f64> {
    let mut client = Client::connect(lab.programs.agent())?;
    let start = Instant::now();
    client.hang_up();
    client.wait()?;
    Ok(start.elapsed().as_secs_f64())
}

fn last_close(lab: &Lab) -> io::Result<f64> {
    let options = ["--channel-idle-timeout-ms", "0"];
    let mut client = Client::connect(lab.programs.drawbridge(&options, &[]))?;
    let session = client.open()?;
    client.ping(&session)?;
    let agent = agent_of(&session)?;
    let start = Instant::now();
    client.close(&session)?;
    wait_until_gone(agent);
    Ok(start.elapsed().as_secs_f64())
}

fn stuck(lab: &Lab, agents: usize) -> io::Result<f64> {
    let options = ["--share", "session"];
    let mut client = Client::connect(lab.programs.drawbridge(&options, &["--stuck"]))?;
    let sessions: Vec<String> = (0..agents).map(|_| client.open()).collect::<io::Result<_>>()?;
    let start = Instant::now();
    client.hang_up();
    client.wait()?;
    let took = start.elapsed().as_secs_f64();
    for session in sessions {
        wait_until_gone(agent_of(&session)?);
    }
    Ok(took)
}

fn wake_ups(lab: &Lab, path: Path, watched: Duration) -> io::Result<u64> {
    let mut client = Client::connect(lab.programs.command(path))?;
    let session = client.open()?;
    client.ping(&session)?;
    // The survey after the turn is over by then.
    thread::sleep(Duration::from_secs(2));
    let before = switches(client.pid())?;
    thread::sleep(watched);
    Ok(switches(client.pid())? - before)
}
