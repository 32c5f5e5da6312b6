//! Round trips, floods and openings over every path, side by side.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use super::{Lab, PerPath, REPETITIONS};
use crate::client::{Client, Flood};
use crate::paths::Path;
use crate::payload::Style;
use crate::stats::{Latency, median};

/// A small update, in bytes.
pub const SMALL: usize = 200;
/// The large updates that have targets, in bytes: most are sizes that suit no read.
pub const LARGE: [usize; 5] = [48 << 10, PIPE, PIPE + (1 << 10), 100 << 10, 1 << 20];
/// The size of a pipe, in bytes.
pub const PIPE: usize = 64 << 10;
/// The update sizes of the throughput picture, in bytes.
pub const SIZES: [usize; 7] = [SMALL, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// The short flood of small updates, which every path takes part in.
pub const SHORT: Flood = Flood { size: SMALL, style: Style::Plain, count: 20_000 };
/// The long flood; without the conductor, which would take a quarter of a minute each time.
pub const LONG: Flood = Flood { size: SMALL, style: Style::Plain, count: 200_000 };

/// The figures of all paths.
#[derive(Debug)]
pub struct Speed {
    /// A prompt that is answered at once.
    pub round_trip: PerPath<Latency>,
    /// `session/new` on a warm channel.
    pub opening: PerPath<Latency>,
    /// Updates a second.
    pub floods: BTreeMap<Flood, PerPath<f64>>,
}

impl Speed {
    /// Updates a second over a path, in the flood with this size and style that is not [`LONG`].
    pub fn rate(&self, size: usize, style: Style, path: Path) -> Option<f64> {
        let mut like_it = self.floods.iter().filter(|(flood, _)| {
            (flood.size, flood.style) == (size, style) && flood.count != LONG.count
        });
        like_it.next().and_then(|(_, rates)| rates.get(&path).copied())
    }
}

/// The floods of a run.
fn floods(lab: &Lab) -> Vec<Flood> {
    let volume = lab.effort.of(16 << 20, 128 << 20);
    let count = |size: usize| (volume / size).min(SHORT.count);
    let sized = |size, style| Flood { size, style, count: count(size) };
    let mut floods = vec![SHORT, LONG];
    floods.extend(SIZES[1..].iter().map(|size| sized(*size, Style::Plain)));
    let others = LARGE.iter().filter(|size| !SIZES.contains(size));
    floods.extend(others.map(|size| sized(*size, Style::Plain)));
    floods.extend(LARGE.map(|size| sized(size, Style::Escaped)));
    floods
}

/// Measures every path in every repetition, one after the other.
pub fn measure(lab: &Lab) -> io::Result<Speed> {
    let pings = lab.effort.of(500, 5_000);
    let mut trips: PerPath<Vec<Latency>> = BTreeMap::new();
    let mut openings: PerPath<Vec<Latency>> = BTreeMap::new();
    let mut rates: BTreeMap<Flood, PerPath<Vec<f64>>> = BTreeMap::new();
    for _ in 0..REPETITIONS {
        let mut lanes = lanes(lab)?;
        for (path, client, session) in &mut lanes {
            // So that every buffer has been used before anything counts.
            client.flood(session, SHORT)?;
            round_trips(client, session, pings / 10)?;
            trips
                .entry(*path)
                .or_default()
                .push(Latency::of(&round_trips(client, session, pings)?));
        }
        for (path, client, _) in &mut lanes {
            openings.entry(*path).or_default().push(Latency::of(&open(client, pings / 10)?));
        }
        for flood in floods(lab) {
            for (path, client, session) in &mut lanes {
                if *path == Path::Conductor && flood == LONG {
                    continue;
                }
                let rate = flood.count as f64 / client.flood(session, flood)?.as_secs_f64();
                rates.entry(flood).or_default().entry(*path).or_default().push(rate);
            }
        }
    }
    let middle = |all: PerPath<Vec<Latency>>| {
        all.into_iter().map(|(path, each)| (path, Latency::middle(&each))).collect()
    };
    let medians = |rates: PerPath<Vec<f64>>| {
        rates.into_iter().map(|(path, each)| (path, median(&each))).collect()
    };
    Ok(Speed {
        round_trip: middle(trips),
        opening: middle(openings),
        floods: rates.into_iter().map(|(flood, rates)| (flood, medians(rates))).collect(),
    })
}

/// A client on every path, with a session each.
pub fn lanes(lab: &Lab) -> io::Result<Vec<(Path, Client, String)>> {
    let lane = |path| {
        let mut client = Client::connect(lab.programs.command(path))?;
        let session = client.open()?;
        Ok((path, client, session))
    };
    lab.programs.paths().into_iter().map(lane).collect()
}

fn round_trips(client: &mut Client, session: &str, count: usize) -> io::Result<Vec<Duration>> {
    (0..count).map(|_| client.ping(session)).collect()
}

/// Opens sessions, and closes each of them again.
fn open(client: &mut Client, count: usize) -> io::Result<Vec<Duration>> {
    let mut durations = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        let session = client.open()?;
        durations.push(start.elapsed());
        client.close(&session)?;
    }
    Ok(durations)
}
