//! Round trips on one session while another one floods, each with an agent of its own.
//!
//! The floor is the same load without a bridge: one client that reads two agents.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::speed::SHORT;
use super::{Lab, REPETITIONS};
use crate::client::Client;
use crate::stats::Latency;
use crate::text;

/// Round trips beside a flood.
#[derive(Clone, Copy, Debug)]
pub struct Fairness {
    /// With two agents and no bridge.
    pub direct: Latency,
    /// With one bridge in front of both.
    pub drawbridge: Latency,
}

/// The pause between an answer and the next prompt, in which the flood gets to its full rate.
const REST: Duration = Duration::from_millis(1);

/// The state of the session whose round trips are measured.
#[derive(Clone, Copy)]
enum Asking {
    /// No prompt is open since this moment.
    Rests(Instant),
    /// The prompt with this id is open since this moment.
    Waits(u64, Instant),
}

/// The index of a client in `Load::clients`, and the id of one of its sessions.
type ClientPlace = (usize, String);

/// One client of a bridge, or a client for each agent; and the sessions that flood and ask.
struct Load {
    clients: Vec<Client>,
    floods: ClientPlace,
    asks: ClientPlace,
}

/// Measures both in turn.
pub fn measure(lab: &Lab) -> io::Result<Fairness> {
    let pings = lab.effort.of(100, 1_000);
    let (mut direct, mut drawbridge) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        direct.push(Latency::of(&Load::direct(lab)?.run(pings)?));
        drawbridge.push(Latency::of(&Load::through_drawbridge(lab)?.run(pings)?));
    }
    Ok(Fairness { direct: Latency::middle(&direct), drawbridge: Latency::middle(&drawbridge) })
}

impl Load {
    fn direct(lab: &Lab) -> io::Result<Load> {
        let mut one = Client::connect(lab.programs.agent())?;
        let mut other = Client::connect(lab.programs.agent())?;
        let (floods, asks) = ((0, one.open()?), (1, other.open()?));
        Ok(Load { clients: vec![one, other], floods, asks })
    }

    fn through_drawbridge(lab: &Lab) -> io::Result<Load> {
        let options = ["--share", "session"];
        let mut client = Client::connect(lab.programs.drawbridge(&options, &[]))?;
        let (floods, asks) = ((0, client.open()?), (0, client.open()?));
        Ok(Load { clients: vec![client], floods, asks })
    }

    /// Sends `pings` prompts on one session while the other floods, and returns their round
    /// trips.
    fn run(mut self, pings: usize) -> io::Result<Vec<Duration>> {
        let mut trips = Vec::with_capacity(pings);
        let mut flooding = Some(self.flood()?);
        let mut asking = Asking::Rests(Instant::now());
        while flooding.is_some() || trips.len() < pings {
            for (client, id, seen) in self.answers()? {
                if client == self.floods.0 && flooding == Some(id) {
                    flooding = if trips.len() < pings { Some(self.flood()?) } else { None };
                }
                if let Asking::Waits(asked, since) = asking
                    && (client, id) == (self.asks.0, asked)
                {
                    trips.push(seen.duration_since(since));
                    asking = Asking::Rests(seen);
                }
            }
            if let Asking::Rests(since) = asking
                && since.elapsed() > REST
                && trips.len() < pings
            {
                let now = Instant::now();
                asking = Asking::Waits(self.ask()?, now);
            }
        }
        Ok(trips)
    }

    fn flood(&mut self) -> io::Result<u64> {
        self.clients[self.floods.0].prompt(&self.floods.1, &SHORT.command())
    }

    fn ask(&mut self) -> io::Result<u64> {
        self.clients[self.asks.0].prompt(&self.asks.1, "ping")
    }

    /// Reads once from every client that has something: the client's index, the id and the
    /// time of each answer.
    fn answers(&mut self) -> io::Result<Vec<(usize, u64, Instant)>> {
        let mut waiting: Vec<PollFd<'_>> = self
            .clients
            .iter()
            .map(|client| PollFd::new(client.as_fd(), PollFlags::POLLIN))
            .collect();
        poll(&mut waiting, PollTimeout::NONE)?;
        let ready: Vec<bool> = waiting.iter().map(|fd| fd.any().unwrap_or_default()).collect();
        let mut answers = Vec::new();
        for (place, client) in
            self.clients.iter_mut().enumerate().filter(|(place, _)| ready[*place])
        {
            if !client.output.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            while let Some(line) = client.output.take() {
                if let Some(id) = text::answer(line) {
                    answers.push((place, id, Instant::now()));
                }
            }
        }
        Ok(answers)
    }
}
