//! Many clients of one bridge, at a socket: round trips as they grow in number, and beside one
//! that never reads.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Lab, REPETITIONS};
use crate::client::{Client, Flood};
use crate::payload::Style;
use crate::process::memory;
use crate::stats::Latency;

/// The numbers of clients that are measured, and the sessions of each.
pub const WIDTHS: [(usize, usize); 4] = [(1, 1), (4, 16), (16, 16), (64, 16)];

/// The pause between an answer and the next prompt.
const REST: Duration = Duration::from_millis(1);

/// The time in which the outbox of a client that never reads goes over its mark.
const FILLED: Duration = Duration::from_secs(2);

/// More updates than any run takes.
const ENDLESS: Flood = Flood { size: 200, style: Style::Plain, count: 1 << 30 };

/// The figures of many clients.
#[derive(Clone, Debug)]
pub struct Many {
    /// Round trips, one session after the other, for each of [`WIDTHS`].
    pub growth: Vec<Latency>,
    /// Round trips of a client, with nothing else to do for the bridge.
    pub unloaded: Latency,
    /// The same while another client never reads what its own agent says.
    pub beside_silent: Latency,
    /// The peak memory of that bridge, in bytes, above what it had before.
    pub peak: u64,
}

/// A bridge for many clients; it is ended when this is dropped.
struct Host {
    child: Child,
    socket: PathBuf,
}

impl Host {
    fn start(lab: &Lab, share: &str) -> io::Result<Host> {
        let (mut command, socket) = lab.programs.host(share);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let host = Host { child: command.spawn()?, socket };
        Ok(host)
    }

    /// A client of it; waits for the bridge to listen, as it may have just begun.
    fn client(&self) -> io::Result<Client> {
        let begun = Instant::now();
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => return Client::at(stream),
                Err(error) if begun.elapsed() > Duration::from_secs(5) => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may be gone by now, which is what is wanted.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Measures all of it.
pub fn measure(lab: &Lab) -> io::Result<Many> {
    let mut grown: Vec<Vec<Latency>> = vec![Vec::new(); WIDTHS.len()];
    let (mut unloaded, mut beside_silent, mut peak) = (Vec::new(), Vec::new(), 0);
    for _ in 0..REPETITIONS {
        let host = Host::start(lab, "agent")?;
        let mut clients: Vec<(Client, Vec<String>)> = Vec::new();
        for ((count, each), grown) in WIDTHS.into_iter().zip(&mut grown) {
            while clients.len() < count {
                clients.push((host.client()?, Vec::new()));
            }
            for (client, sessions) in &mut clients {
                while sessions.len() < each {
                    sessions.push(client.open()?);
                }
            }
            grown.push(Latency::of(&in_turn(&mut clients, lab.effort.of(300, 3_000))?));
        }
        drop((clients, host));
        let host = Host::start(lab, "session")?;
        let pings = lab.effort.of(200, 1_000);
        let mut client = host.client()?;
        let session = client.open()?;
        unloaded.push(Latency::of(&paced(&mut client, &session, pings)?));
        let before = memory(host.child.id())?.resident;
        let mut silent = host.client()?;
        let flooded = silent.open()?;
        silent.prompt(&flooded, &ENDLESS.command())?;
        std::thread::sleep(FILLED);
        beside_silent.push(Latency::of(&paced(&mut client, &session, pings)?));
        peak = peak.max(memory(host.child.id())?.peak.saturating_sub(before));
    }
    Ok(Many {
        growth: grown.iter().map(|latencies| Latency::middle(latencies)).collect(),
        unloaded: Latency::middle(&unloaded),
        beside_silent: Latency::middle(&beside_silent),
        peak,
    })
}

/// Round trips of every client in turn, each on its next session.
fn in_turn(clients: &mut [(Client, Vec<String>)], count: usize) -> io::Result<Vec<Duration>> {
    let width = clients.len();
    let trip = |place: usize| {
        let (client, sessions) = &mut clients[place % width];
        client.ping(&sessions[place / width % sessions.len()])
    };
    (0..count).map(trip).collect()
}

fn paced(client: &mut Client, session: &str, count: usize) -> io::Result<Vec<Duration>> {
    let trip = |_| {
        std::thread::sleep(REST);
        client.ping(session)
    };
    (0..count).map(trip).collect()
}
