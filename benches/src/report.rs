//! The table on the terminal, and the page that is published.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path as FilePath;

use crate::measure::growth::SESSIONS;
use crate::measure::many::WIDTHS;
use crate::measure::speed::{LARGE, LONG, SHORT, SIZES};
use crate::measure::{Figures, PerPath};
use crate::paths::Path;
use crate::payload::Style;
use crate::pictures;
use crate::targets::{TargetRow, Verdict};
use crate::units::{bytes, bytes_a_second, rate, time};

/// A table: its head, and its rows.
type Table = (Vec<String>, Vec<Vec<String>>);

/// The results of a run.
#[derive(Debug)]
pub struct Report<'a> {
    /// The machine and the programs of the run: name and value.
    pub facts: Vec<(&'static str, String)>,
    /// The rows of the table of targets.
    pub lines: Vec<TargetRow>,
    /// All figures.
    pub figures: &'a Figures,
}

impl Report<'_> {
    /// The whole report as text for a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.facts {
            text.push_str(&format!("{name}: {value}\n"));
        }
        for table in [self.targets(), self.paths(), self.growth(), self.many()] {
            text.push('\n');
            text.push_str(&aligned(&table));
        }
        text.push_str(&format!("\n{}\n", self.summary()));
        text
    }

    /// A sentence that says how many targets hold.
    fn summary(&self) -> String {
        let count = |wanted: fn(&Verdict) -> bool| {
            self.lines.iter().filter(|line| wanted(&line.verdict)).count()
        };
        let holds = count(|verdict| *verdict == Verdict::Holds);
        let misses = count(|verdict| *verdict == Verdict::Misses);
        let missing = count(|verdict| matches!(verdict, Verdict::Missing(_)));
        format!("{holds} targets hold, {misses} do not, {missing} cannot be measured.")
    }

    fn targets(&self) -> Table {
        let head = ["what", "figure", "ratio", "target", "holds"].map(str::to_owned).to_vec();
        let row = |line: &TargetRow| {
            let verdict = line.verdict.word().to_owned();
            let TargetRow { what, figure, ratio, target, .. } = line.clone();
            vec![what, figure, ratio, target, verdict]
        };
        (head, self.lines.iter().map(row).collect())
    }

    /// The table with a column of figures for each path.
    fn paths(&self) -> Table {
        let speed = &self.figures.speed;
        let mut rows = vec![
            row("prompt round trip, p50", &speed.round_trip, |trip| time(trip.p50)),
            row("prompt round trip, p99", &speed.round_trip, |trip| time(trip.p99)),
            row("session/new, p50", &speed.opening, |opening| time(opening.p50)),
        ];
        for flood in [SHORT, LONG] {
            let what = format!("{} updates of {} B", flood.count, flood.size);
            rows.push(row(&what, &speed.floods[&flood], |per_second| rate(*per_second)));
        }
        let large = SIZES[1..].iter().map(|size| (*size, Style::Plain));
        for (size, style) in large.chain(LARGE.map(|size| (size, Style::Escaped))) {
            let volume = |path| Some((path, speed.rate(size, style, path)? * size as f64));
            let volumes: PerPath<f64> = Path::ALL.into_iter().filter_map(volume).collect();
            let what = format!("updates of {}, {style} text", bytes(size as f64));
            rows.push(row(&what, &volumes, |volume| bytes_a_second(*volume)));
        }
        rows.push(row("start to first byte out", &self.figures.life.start, |start| time(*start)));
        let memory = &self.figures.memory;
        let mut peaks: PerPath<u64> = PerPath::new();
        peaks.extend(memory.stalled_clients.first().map(|ours| (Path::Drawbridge, ours.peak)));
        peaks.extend(memory.stalled_conductor.map(|peak| (Path::Conductor, peak)));
        rows.push(row("peak memory, stalled client", &peaks, |peak| bytes(*peak as f64)));
        (head("what"), rows)
    }

    fn growth(&self) -> Table {
        let mut rows = Vec::new();
        for count in SESSIONS {
            let paths = &self.figures.growth[&count];
            rows.push(row(&format!("{count}: round trip, p50"), paths, |grown| {
                time(grown.round_trip.p50)
            }));
            rows.push(row(&format!("{count}: round trip, p99"), paths, |grown| {
                time(grown.round_trip.p99)
            }));
            rows.push(row(&format!("{count}: small updates"), paths, |grown| rate(grown.rate)));
        }
        (head("sessions on one channel"), rows)
    }

    fn many(&self) -> Table {
        let head = ["clients × sessions on one channel", "p50", "p99"].map(str::to_owned);
        let rows = WIDTHS.iter().zip(&self.figures.many.growth).map(|((clients, each), trip)| {
            vec![format!("{clients} × {each}"), time(trip.p50), time(trip.p99)]
        });
        (head.to_vec(), rows.collect())
    }

    /// Writes the page and its pictures into `folder`.
    pub fn write(&self, folder: &FilePath) -> io::Result<()> {
        let pictures = folder.join("pictures");
        fs::create_dir_all(&pictures)?;
        let speed = &self.figures.speed;
        fs::write(pictures.join("round-trip.svg"), pictures::round_trip(&speed.round_trip))?;
        fs::write(pictures.join("throughput.svg"), pictures::throughput(speed))?;
        fs::write(folder.join("performance.md"), self.page())
    }

    fn page(&self) -> String {
        let fairness = &self.figures.fairness;
        let mut page = String::from(INTRODUCTION);
        page.push_str(&markdown(&self.targets()));
        page.push_str(&format!("\n{}\n\n## What each path does\n\n", self.summary()));
        page.push_str(&markdown(&self.paths()));
        page.push_str("\n## Growth\n\n");
        page.push_str(&markdown(&self.growth()));
        page.push_str("\n## Many clients\n\n");
        page.push_str(&markdown(&self.many()));
        page.push_str("\n## Fairness\n\n");
        let trips = [("two direct agents", fairness.direct), ("drawbridge", fairness.drawbridge)];
        let rows = trips.map(|(name, trip)| vec![name.to_owned(), time(trip.p50), time(trip.p99)]);
        let head = ["round trip beside a flood", "p50", "p99"].map(str::to_owned).to_vec();
        page.push_str(&markdown(&(head, rows.to_vec())));
        page.push_str("\n## Machine\n\n");
        let facts = self.facts.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]);
        page.push_str(&markdown(&(vec![String::new(), String::new()], facts.collect())));
        page.push_str(METHOD);
        page
    }
}

/// The head of a table with a column for each path.
fn head(first: &str) -> Vec<String> {
    let paths = Path::ALL.iter().map(|path| path.to_string());
    std::iter::once(first.to_owned()).chain(paths).collect()
}

fn row<T>(what: &str, paths: &PerPath<T>, cell: impl Fn(&T) -> String) -> Vec<String> {
    let cells = Path::ALL.iter().map(|path| paths.get(path).map_or("–".to_owned(), &cell));
    std::iter::once(what.to_owned()).chain(cells).collect()
}

/// A table as text in columns, for a terminal.
fn aligned((head, rows): &Table) -> String {
    let mut text = String::new();
    let width = |column: usize| {
        let cells = std::iter::once(head).chain(rows).map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in std::iter::once(head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A table in Markdown; all columns but the first are aligned to the right.
fn markdown((head, rows): &Table) -> String {
    let mut text = format!("| {} |\n|---|{}\n", head.join(" | "), "--:|".repeat(head.len() - 1));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

const INTRODUCTION: &str = "\
# What a process in the middle costs

Six paths from a client to an agent, measured in one run, side by side: **direct** (two pipes: \
the floor), a **bare relay** (one process that copies bytes and looks at none of them: the limit \
for any process in the middle), **two relays** in a row (the limit for any two processes in the \
middle), **drawbridge** as it is by default, **connect** (`drawbridge connect` and the daemon \
behind it: two processes in the middle), and **conductor** (`agent-client-protocol-conductor`, \
the official process in the middle).

![Prompt round trip over all paths](pictures/round-trip.svg)

![Throughput against message size](pictures/throughput.svg)

This page is written by `bench run --out docs`; do not edit it. Ratios are what counts: absolute \
times are those of one machine on one day.

## Targets

";

const METHOD: &str = "
## How to repeat it

```sh
cargo build --release -p acp-drawbridge -p bench
target/release/bench run --install-conductor --out docs
```

`--quick` takes a look in about a minute; without `--out` nothing is written. The conductor is \
installed once, from the public registry, into `~/.cache/drawbridge-bench`; without it its \
column stays empty.

## How it is measured

- Client and agent are our own (`benches/`): blocking reads and writes on pipes, plain byte \
searches, no SDK and no JSON library, so that they hide nothing. An agent built with an SDK stops \
near 20 000 messages a second.
- Client, agent and the process in the middle run on one core: the cost of a path cannot \
hide on another core. Every hop is a change of process.
- The client finds every line and looks at its method and its session, as any client must.
- The bare relay is one thread around `epoll` with reads and writes of up to 64 KiB; two threads \
with blocking reads, and `poll`, are slower. Two of them in a row \
show what a second process in the middle costs, whatever it does: a round trip through connect \
cannot take less.
- In every repetition all paths are measured one after the other, then the next repetition \
begins. Figures are medians of five repetitions; a p99 is the median of five p99s. Memory, \
wake-ups and sizes are measured once, a shutdown with stuck agents up to three times.
- A round trip is a `session/prompt` that the agent answers at once. A flood is one prompt with \
that many `session/update`s before its answer; the clock stops at the answer. Updates are 200 B \
long, or as long as the row says. Plain text needs no escapes in JSON; escaped text is Rust \
source with its line ends, quotes and backslashes.
- Fairness: `--share session`, so that two sessions have an agent each. One floods without a \
pause, the other is prompted a millisecond after each answer. The floor is the same client \
reading the same two agents itself.
- The daemon of the path **connect** keeps transcripts, as by default: what an agent says is \
also copied for clients that come later.
- Many clients: the clients of one bridge at a Unix socket, with the limits of a bridge for many \
clients, prompt in turn, each on its next session. The one that never reads has asked its agent \
for updates without an end two seconds before; the other one prompts a millisecond after each \
answer, and its floor is the same without the silent one.
- Memory is `VmRSS`, peaks are `VmHWM`. An idle bridge is looked at two seconds after its start, \
and a shim when it has served one more turn then; the memory of a session is that of the second \
and later ones. The stalled client asks for 300 000 updates and reads \
nothing until the bridge's memory has stopped growing; then it reads, and checks the number in \
every update. The stalled agent sleeps while 300 requests of 64 KiB are sent to it; each of them \
must be answered, by the agent or with a refusal.
- Wake-ups are the context switches of all threads of a bridge with one live, idle session.
- A start is timed from before the process is made until the answer to a line that is no \
message; over direct and relay the agent gives that answer.
- The core is measured in the bench's own process, through the four methods of `Bridge`; reading \
and writing frames is not part of it. A stall is the longest single call \
into it while a tick is worked off: between two calls frames are served.
- `bench allocations` counts what a frame costs on the hot path, in allocations and bytes, and \
fails if that grew by more than a tenth over `benches/hot-path.txt`. It does not look at a \
clock.
";
