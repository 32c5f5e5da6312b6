//! Resident memory: idle, with sessions, and while a peer does not read.

use std::time::{Duration, Instant};
use std::{io, thread};

use super::Lab;
use super::speed::SMALL;
use crate::client::{Client, Flood};
use crate::paths::Path;
use crate::payload::{DIGITS, Style};
use crate::process::{Shared, children, memory, shared, wait_until_calm};
use crate::text;

/// The numbers of sessions with which the memory of one is measured.
pub const SESSIONS: [usize; 2] = [1_000, 10_000];
/// The number of parked sessions with which the memory of one is measured.
pub const PARKED: usize = 10_000;
/// The options with which sessions are parked a second after they were opened, and their agent
/// ends.
const PARKS: [&str; 12] = [
    "--idle-policy",
    "restorable",
    "--attached-idle-timeout-ms",
    "1000",
    "--session-reap-interval-ms",
    "100",
    "--max-parked-sessions",
    "20000",
    "--parked-bytes",
    "67108864",
    "--channel-idle-timeout-ms",
    "100",
];
/// The flood towards a client that does not read.
pub const UNREAD: Flood = Flood { size: SMALL, style: Style::Plain, count: 300_000 };
/// Limits of an outbox that are measured, in bytes: the default and a small one.
const OUTBOXES: [u64; 2] = [64 << 20, 1 << 20];
/// The number of requests to an agent that does not read, and the bytes of each.
const UNHEARD: (usize, usize) = (300, 64 << 10);
/// A process has given back by then what only its start has needed.
const SETTLED: Duration = Duration::from_secs(2);
/// Memory is final when it has not grown for this time.
const CALM: Duration = Duration::from_millis(500);
/// The longest wait for the final memory.
const PATIENCE: Duration = Duration::from_secs(30);

/// The figures, in bytes.
#[derive(Debug)]
pub struct MemoryFigures {
    /// A bridge that is initialized, with a running agent and no session.
    pub idle: u64,
    /// The keeper of its agent; `None` where there is none.
    pub keeper: Option<Shared>,
    /// The memory of a shim, in bytes.
    pub shim: u64,
    /// The number of sessions, and the memory of each.
    pub per_session: Vec<(usize, f64)>,
    /// The memory of each of [`PARKED`] parked sessions, which have no agent.
    pub per_parked: f64,
    /// A client that does not read, with the default and a small outbox.
    pub stalled_clients: Vec<Stalled>,
    /// An agent that does not read, with a small outbox.
    pub stalled_agent: Stalled,
    /// The peak of the conductor with the same stalled client; `None` if it is not installed.
    pub stalled_conductor: Option<u64>,
}

/// The memory that a peer that does not read costs.
#[derive(Clone, Copy, Debug)]
pub struct Stalled {
    /// The limit of each of the two outboxes.
    pub outbox: u64,
    /// Resident memory before the peer stalls, in bytes.
    pub base: u64,
    /// Peak memory, in bytes.
    pub peak: u64,
    /// Whether everything came afterwards: all updates in order, or an answer to each request.
    pub complete: bool,
}

impl Stalled {
    /// The most memory that is allowed, in bytes: the memory before, and both limits.
    pub fn bound(&self) -> u64 {
        self.base + 2 * self.outbox
    }
}

/// Measures all of it.
pub fn measure(lab: &Lab) -> io::Result<MemoryFigures> {
    let (idle, per_session) = sessions(lab)?;
    let stalled_clients =
        OUTBOXES.iter().map(|outbox| stalled_client(lab, *outbox)).collect::<io::Result<_>>()?;
    Ok(MemoryFigures {
        idle,
        keeper: keeper(lab)?,
        shim: shim(lab)?,
        per_session,
        per_parked: parked(lab)?,
        stalled_clients,
        stalled_agent: stalled_agent(lab, OUTBOXES[1])?,
        stalled_conductor: stalled_conductor(lab)?,
    })
}

/// The memory of the keeper of an agent that has served a turn; `None` without a keeper.
fn keeper(lab: &Lab) -> io::Result<Option<Shared>> {
    let mut client = Client::connect(lab.programs.drawbridge(&[], &[]))?;
    let session = client.open()?;
    client.ping(&session)?;
    let named = children(client.pid())?.into_iter().find(|(_, name)| name == "channel-keeper");
    named.map(|(pid, _)| shared(pid)).transpose()
}

/// The memory of a shim that has served turns, in bytes: the last one after its start was over.
fn shim(lab: &Lab) -> io::Result<u64> {
    let mut client = Client::connect(lab.programs.command(Path::Connect))?;
    let session = client.open()?;
    client.ping(&session)?;
    thread::sleep(SETTLED);
    client.ping(&session)?;
    Ok(wait_until_calm(client.pid(), CALM, PATIENCE)?.resident)
}

fn sessions(lab: &Lab) -> io::Result<(u64, Vec<(usize, f64)>)> {
    let mut client = Client::connect(lab.programs.command(Path::Drawbridge))?;
    thread::sleep(SETTLED);
    let idle = wait_until_calm(client.pid(), CALM, PATIENCE)?.resident;
    // The first session brings the code back that sessions need.
    client.open()?;
    let with_one = wait_until_calm(client.pid(), CALM, PATIENCE)?.resident;
    let mut per_session = Vec::new();
    let mut open = 1;
    for count in SESSIONS {
        while open < count {
            client.open()?;
            open += 1;
        }
        let now = wait_until_calm(client.pid(), CALM, PATIENCE)?.resident;
        per_session.push((count, now.saturating_sub(with_one) as f64 / (count - 1) as f64));
    }
    Ok((idle, per_session))
}

/// The memory of a parked session, its recipe included; one of them is woken at last.
fn parked(lab: &Lab) -> io::Result<f64> {
    let mut client = Client::connect(lab.programs.drawbridge(&PARKS, &[]))?;
    let session = client.open()?;
    await_end_of_agent(&client)?;
    thread::sleep(SETTLED);
    let base = wait_until_calm(client.pid(), CALM, PATIENCE)?.resident;
    for _ in 0..PARKED {
        client.open()?;
    }
    await_end_of_agent(&client)?;
    let now = wait_until_calm(client.pid(), CALM, PATIENCE)?.resident;
    client.ping(&session)?;
    Ok(now.saturating_sub(base) as f64 / PARKED as f64)
}

/// Waits until the bridge has no agent, because all sessions are parked.
fn await_end_of_agent(client: &Client) -> io::Result<()> {
    let begun = Instant::now();
    while !children(client.pid())?.is_empty() {
        if begun.elapsed() > PATIENCE {
            return Err(io::Error::other("an agent whose sessions are idle has not ended"));
        }
        thread::sleep(CALM);
    }
    Ok(())
}

fn with_outbox(lab: &Lab, outbox: u64) -> io::Result<(Client, String, u64)> {
    let options = ["--outbox-bytes", &outbox.to_string()];
    let mut client = Client::connect(lab.programs.drawbridge(&options, &[]))?;
    let session = client.open()?;
    let base = memory(client.pid())?.resident;
    Ok((client, session, base))
}

fn stalled_client(lab: &Lab, outbox: u64) -> io::Result<Stalled> {
    let (mut client, session, base) = with_outbox(lab, outbox)?;
    let id = client.prompt(&session, &UNREAD.command())?;
    wait_until_calm(client.pid(), CALM, PATIENCE)?;
    let complete = all_in_order(&mut client, id)?;
    Ok(Stalled { outbox, base, peak: memory(client.pid())?.peak, complete })
}

/// Whether every update comes, each under the next number, and then the answer.
fn all_in_order(client: &mut Client, id: u64) -> io::Result<bool> {
    for expected in 0..UNREAD.count {
        let digits =
            text::string(client.output.next()?, text::TEXT).and_then(|text| text.get(..DIGITS));
        if digits.and_then(|digits| digits.parse().ok()) != Some(expected) {
            return Ok(false);
        }
    }
    Ok(text::answer(client.output.next()?) == Some(id))
}

/// Every request is answered, by the agent when it reads again, or by a refusal.
fn stalled_agent(lab: &Lab, outbox: u64) -> io::Result<Stalled> {
    let (mut client, session, base) = with_outbox(lab, outbox)?;
    let first = client.prompt(&session, "sleep 2000")?;
    let long = format!("ping {}", "x".repeat(UNHEARD.1));
    let mut open = vec![first];
    for _ in 0..UNHEARD.0 {
        open.push(client.prompt(&session, &long)?);
    }
    let mut complete = true;
    while complete && !open.is_empty() {
        let answered = text::answer(client.output.next()?);
        let place = open.iter().position(|id| Some(*id) == answered);
        complete = place.map(|place| open.swap_remove(place)).is_some();
    }
    Ok(Stalled { outbox, base, peak: memory(client.pid())?.peak, complete })
}

fn stalled_conductor(lab: &Lab) -> io::Result<Option<u64>> {
    if lab.programs.conductor.is_none() {
        return Ok(None);
    }
    let mut client = Client::connect(lab.programs.command(Path::Conductor))?;
    let session = client.open()?;
    client.prompt(&session, &UNREAD.command())?;
    let peak = wait_until_calm(client.pid(), CALM, PATIENCE)?.peak;
    client.kill()?;
    Ok(Some(peak))
}
