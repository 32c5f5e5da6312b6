//! The cost of a frame on the hot path, in allocations: a check that any machine
//! can do, since it looks at no clock.
//!
//! Frames go through the same steps as in the bridge (lines, frame, core, effect,
//! bytes out) and the allocator counts. `hot-path.txt` holds the committed
//! figures; the check fails if one of them grew by more than a tenth.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::BytesMut;
use drawbridge::bridge::{ChannelId, Config, Effect, Event};
use drawbridge::wire::line::LineSplitter;
use drawbridge::wire::{FrameReader, Lines, OutgoingFrame};

use crate::payload::{Style, Update};
use crate::stand::{CLIENT, Stand};

/// The system's allocator, counted.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Loads and stores are separate, which is cheap: `bench allocations` has one thread, and nothing
/// else reads the counts.
fn count(bytes: usize) {
    ALLOCATIONS.store(ALLOCATIONS.load(Relaxed) + 1, Relaxed);
    BYTES.store(BYTES.load(Relaxed) + bytes as u64, Relaxed);
}

// SAFETY: every call is handed to the system's allocator as it came.
#[allow(unsafe_code)] // there is no other way to count allocations
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the system's allocator has the same contract, which the caller keeps.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Frames that are sent for a figure, at most.
const FRAMES: usize = 10_000;
/// Prompts that are open at the same time: fewer than the 1 024 that the core allows a client.
const ROUND: usize = 500;
/// Bytes of one read.
const READ: usize = 64 * 1024;
/// The most lines that are handed in before their effects are taken.
const BATCH: usize = 128;
/// A figure may grow by a tenth.
const TOLERANCE: f64 = 1.1;
/// Growth that is allowed beside the tenth, since a tenth of 0 is 0: allocations
/// and bytes of one frame.
const SLACK: (f64, f64) = (0.01, 1.0);

/// The mean cost of one frame of a kind.
#[derive(Clone, Debug, PartialEq)]
struct Cost {
    name: String,
    allocations: f64,
    bytes: f64,
}

/// Counts, and compares with the committed figures or writes them.
pub fn run(write: bool) -> io::Result<()> {
    let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("hot-path.txt");
    let costs = measure();
    print!("{}", text(&costs));
    if write {
        return fs::write(place, text(&costs));
    }
    let committed = parse(&fs::read_to_string(place)?);
    let mut grown = costs.iter().filter(|cost| {
        let before = committed.iter().find(|before| before.name == cost.name);
        before.is_none_or(|before| {
            cost.allocations > before.allocations * TOLERANCE + SLACK.0
                || cost.bytes > before.bytes * TOLERANCE + SLACK.1
        })
    });
    match grown.next() {
        None => Ok(()),
        Some(cost) => Err(io::Error::other(format!(
            "`{}` costs over a tenth more than benches/hot-path.txt says; if it must: bench allocations --write",
            cost.name
        ))),
    }
}

fn text(costs: &[Cost]) -> String {
    let mut text = String::from(
        "# Each frame's cost from its line to its bytes out; `bench allocations --write` writes this.\n\
         # frame                 allocations      bytes\n",
    );
    for Cost { name, allocations, bytes } in costs {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<24}{allocations:>11.3}{bytes:>11.1}");
    }
    text
}

fn parse(text: &str) -> Vec<Cost> {
    let cost = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        Some(Cost {
            name,
            allocations: words.next()?.parse().ok()?,
            bytes: words.next()?.parse().ok()?,
        })
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(cost).collect()
}

fn measure() -> Vec<Cost> {
    let mut stand = Stand::new(Config::default());
    stand.open(1);
    let Some((channel, session)) = stand.sessions.first().cloned() else { return Vec::new() };
    let mut costs = Vec::new();
    for (name, size) in
        [("update-200-B", 200), ("update-4-KiB", 4 << 10), ("update-64-KiB", 64 << 10)]
    {
        let update = Update::new(&session, size, Style::Plain).line;
        let count = FRAMES.min((64 << 20) / size);
        costs.push(cost(&mut stand, name, &update.repeat(count), count, From::Agent(channel)));
    }
    let params =
        format!(r#"{{"sessionId":"{session}","prompt":[{{"type":"text","text":"ping"}}]}}"#);
    let mut prompts = String::new();
    let mut answers = String::new();
    let mut pairs = Vec::new();
    for _ in 0..FRAMES / ROUND {
        prompts.clear();
        answers.clear();
        for _ in 0..ROUND {
            prompts.push_str(&stand.request("session/prompt", &params));
            prompts.push('\n');
        }
        let prompt = cost(&mut stand, "prompt", prompts.as_bytes(), ROUND, From::Client);
        for (_, answer) in stand.answers() {
            answers.push_str(&answer);
            answers.push('\n');
        }
        let answer = cost(&mut stand, "answer", answers.as_bytes(), ROUND, From::Agent(channel));
        pairs.push([prompt, answer]);
    }
    for kind in 0..2 {
        let mean = |part: fn(&Cost) -> f64| {
            pairs.iter().map(|pair| part(&pair[kind])).sum::<f64>() / pairs.len() as f64
        };
        let (allocations, bytes) = (mean(|cost| cost.allocations), mean(|cost| cost.bytes));
        costs.extend(pairs.first().map(|pair| Cost { allocations, bytes, ..pair[kind].clone() }));
    }
    costs
}

/// The sender of the frames.
#[derive(Clone, Copy)]
enum From {
    Client,
    Agent(ChannelId),
}

/// Sends `input` in pieces as large as a read, as the runtime does, and counts.
fn cost(stand: &mut Stand, name: &str, input: &[u8], frames: usize, from: From) -> Cost {
    let mut lines = LineSplitter::new(64 << 20);
    let mut reader = FrameReader::default();
    let mut waiting: VecDeque<OutgoingFrame> = VecDeque::new();
    let mut burst = BytesMut::new();
    let before = (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed));
    for piece in input.chunks(READ) {
        lines.buffer().extend_from_slice(piece);
        let mut batch = Vec::new();
        while let Some(next) = reader.next(&mut lines, BATCH) {
            batch.push(next);
        }
        for next in batch {
            let event = match (from, next) {
                (From::Client, Lines::One(frame)) => Event::ClientFrame { client: CLIENT, frame },
                (From::Agent(channel), Lines::One(frame)) => Event::ChannelFrame { channel, frame },
                (From::Agent(channel), Lines::Run(run)) => Event::ChannelRun { channel, run },
                // Clients send no updates.
                (From::Client, Lines::Run(_)) => continue,
            };
            stand.bridge.handle(stand.now, event);
            while let Some(effect) = stand.bridge.poll_effect() {
                match effect {
                    Effect::ToClient { frame, .. } => waiting.push_back(frame),
                    Effect::ToChannel { channel, frame } => {
                        stand.prompts.push((channel, frame.clone()));
                        waiting.push_back(frame);
                    }
                    _ => {}
                }
            }
        }
        for frame in waiting.drain(..) {
            frame.write_to(&mut burst);
        }
        burst.clear();
    }
    let each = |after: u64, before: u64| (after - before) as f64 / frames as f64;
    Cost {
        name: name.to_owned(),
        allocations: each(ALLOCATIONS.load(Relaxed), before.0),
        bytes: each(BYTES.load(Relaxed), before.1),
    }
}
