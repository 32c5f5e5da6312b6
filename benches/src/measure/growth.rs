//! The same figures with 1, 10, 100 and 1 000 sessions on one channel.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::speed::{SHORT, lanes};
use super::{Lab, PerPath, REPETITIONS};
use crate::client::{Client, Flood};
use crate::stats::{Latency, median};

/// The numbers of sessions that are measured.
pub const SESSIONS: [usize; 4] = [1, 10, 100, 1_000];

/// The figures of one path with one number of sessions.
#[derive(Clone, Copy, Debug)]
pub struct Grown {
    /// Round trips, one session after the other.
    pub round_trip: Latency,
    /// Small updates a second, in a short flood on the newest session.
    pub rate: f64,
}

/// The figures for each number of sessions.
pub type Growth = BTreeMap<usize, PerPath<Grown>>;

/// Measures every path with each number of sessions, in every repetition.
pub fn measure(lab: &Lab) -> io::Result<Growth> {
    let pings = lab.effort.of(300, 3_000);
    let flood = Flood { count: lab.effort.of(SHORT.count / 4, SHORT.count), ..SHORT };
    let mut samples: BTreeMap<usize, PerPath<Vec<Grown>>> = BTreeMap::new();
    for _ in 0..REPETITIONS {
        let mut lanes: Vec<_> = lanes(lab)?
            .into_iter()
            .map(|(path, client, session)| (path, client, vec![session]))
            .collect();
        for count in SESSIONS {
            for (path, client, sessions) in &mut lanes {
                while sessions.len() < count {
                    sessions.push(client.open()?);
                }
                let round_trip = Latency::of(&in_turn(client, sessions, pings)?);
                let newest = &sessions[count - 1];
                let rate = flood.count as f64 / client.flood(newest, flood)?.as_secs_f64();
                let grown = Grown { round_trip, rate };
                samples.entry(count).or_default().entry(*path).or_default().push(grown);
            }
        }
    }
    let middles = |paths: PerPath<Vec<Grown>>| {
        paths.into_iter().map(|(path, grown)| (path, middle(&grown))).collect()
    };
    Ok(samples.into_iter().map(|(count, paths)| (count, middles(paths))).collect())
}

fn in_turn(client: &mut Client, sessions: &[String], count: usize) -> io::Result<Vec<Duration>> {
    sessions.iter().cycle().take(count).map(|session| client.ping(session)).collect()
}

fn middle(grown: &[Grown]) -> Grown {
    let latencies: Vec<_> = grown.iter().map(|grown| grown.round_trip).collect();
    let rates: Vec<_> = grown.iter().map(|grown| grown.rate).collect();
    Grown { round_trip: Latency::middle(&latencies), rate: median(&rates) }
}
