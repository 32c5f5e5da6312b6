//! A heartbeat while very many agents flood the same client.

use std::io;
use std::time::{Duration, Instant};

use super::Lab;
use crate::client::{Client, Flood};
use crate::payload::Style;
use crate::stats::Latency;
use crate::text;

/// The agents that flood at the same time, each with a session of its own.
pub const AGENTS: usize = 200;

/// More updates than any run takes.
const ENDLESS: Flood = Flood { size: 200, style: Style::Plain, count: 1 << 30 };

/// The time from an answer to the next heartbeat.
const REST: Duration = Duration::from_millis(5);

/// The time until the floods are at their full rate.
const WARM_UP: Duration = Duration::from_millis(500);

/// The longest time of the measurement, should the answers take seconds.
const LONGEST: Duration = Duration::from_secs(60);

/// Heartbeats beside the floods.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// The time from a heartbeat to its answer.
    pub heartbeat: Latency,
}

/// Measures it once: every heartbeat is a sample.
pub fn measure(lab: &Lab) -> io::Result<Crowd> {
    let beats = lab.effort.of(100, 500);
    let options = ["--share", "session", "--shutdown-timeout-ms", "300"];
    let mut client = Client::connect(lab.programs.drawbridge(&options, &[]))?;
    let mut sessions = Vec::with_capacity(AGENTS);
    for _ in 0..AGENTS {
        sessions.push(client.open()?);
    }
    for session in &sessions {
        client.prompt(session, &ENDLESS.command())?;
    }
    let begun = Instant::now();
    while begun.elapsed() < WARM_UP {
        client.output.next()?;
    }
    let mut trips = Vec::with_capacity(beats);
    while trips.len() < beats && begun.elapsed() < LONGEST {
        let start = Instant::now();
        let params = format!(r#"{{"sessionId":"{}"}}"#, sessions[0]);
        let id = client.request("_drawbridge/heartbeat", &params)?;
        while text::answer(client.output.next()?) != Some(id) {}
        let answered = Instant::now();
        trips.push(answered.duration_since(start));
        while answered.elapsed() < REST {
            client.output.next()?;
        }
    }
    // The agents are in the middle of endless floods.
    client.kill()?;
    Ok(Crowd { heartbeat: Latency::of(&trips) })
}
