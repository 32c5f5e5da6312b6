//! The targets, row by row, and whether they hold.

use crate::host;
use crate::measure::speed::{LARGE, LONG, PIPE, SHORT, Speed};
use crate::measure::{Figures, PerPath, core, crowd, life, memory};
use crate::paths::Path::{self, Conductor, Connect, Direct, Drawbridge, Relay};
use crate::payload::Style;
use crate::units::{bytes, bytes_a_second, rate, time, times};

/// Whether a target holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target is reached.
    Holds,
    /// The target is not reached.
    Misses,
    /// The target cannot be measured; the text says why.
    Missing(&'static str),
}

impl Verdict {
    fn of(holds: bool) -> Verdict {
        if holds { Verdict::Holds } else { Verdict::Misses }
    }

    /// One word for the table.
    pub fn word(&self) -> &str {
        match self {
            Verdict::Holds => "yes",
            Verdict::Misses => "no",
            Verdict::Missing(word) => word,
        }
    }
}

/// A row of the table of targets.
#[derive(Clone, Debug)]
pub struct TargetRow {
    /// The name of the measured quantity.
    pub what: String,
    /// The measured figure.
    pub figure: String,
    /// The ratio of the figure to the one that it is compared with, or to its limit.
    pub ratio: String,
    /// The target.
    pub target: String,
    /// Whether it was reached.
    pub verdict: Verdict,
}

/// All rows, in the order of the targets.
pub fn lines(figures: &Figures) -> Vec<TargetRow> {
    let mut lines = Vec::new();
    round_trip(&figures.speed, &mut lines);
    floods(&figures.speed, &mut lines);
    fairness(figures, &mut lines);
    memory(&figures.memory, &mut lines);
    core(&figures.core, &mut lines);
    life(figures, &mut lines);
    lines
}

impl TargetRow {
    /// A row for a target that cannot be measured; `why` is its verdict.
    fn missing(what: &str, target: &str, why: &'static str) -> TargetRow {
        let dash = || "–".to_owned();
        let (what, target, verdict) = (what.to_owned(), target.to_owned(), Verdict::Missing(why));
        TargetRow { what, figure: dash(), ratio: dash(), target, verdict }
    }
}

/// A figure that must be at most `limit` times another one.
fn at_most(what: &str, figure: String, ratio: f64, limit: f64, than: &str) -> TargetRow {
    let verdict = Verdict::of(ratio <= limit);
    let target = format!("≤ {limit} × {than}");
    TargetRow { what: what.to_owned(), figure, ratio: times(ratio), target, verdict }
}

/// A figure that must be at least `limit` times another one.
fn at_least(what: &str, figure: String, ratio: f64, limit: f64, than: &str) -> TargetRow {
    let verdict = Verdict::of(ratio >= limit);
    let target = format!("≥ {limit} × {than}");
    TargetRow { what: what.to_owned(), figure, ratio: times(ratio), target, verdict }
}

/// A figure with an absolute limit; the ratio says how much of the limit is used.
fn within(
    what: &str,
    value: f64,
    limit: f64,
    unit: fn(f64) -> String,
    target: String,
) -> TargetRow {
    let ratio = format!("{:.0} % of it", 100.0 * value / limit);
    let verdict = Verdict::of(value <= limit);
    TargetRow { what: what.to_owned(), figure: unit(value), ratio, target, verdict }
}

/// A comparison with the conductor, which may not be there.
fn beside_conductor<T: Copy>(
    what: &str,
    target: &str,
    paths: &PerPath<T>,
    line: impl FnOnce(T) -> TargetRow,
) -> TargetRow {
    let absent = || TargetRow::missing(what, target, "no conductor");
    paths.get(&Conductor).map_or_else(absent, |figure| line(*figure))
}

fn round_trip(speed: &Speed, lines: &mut Vec<TargetRow>) {
    let trips = &speed.round_trip;
    let p50 = |path: Path| trips[&path].p50;
    let p99 = |path: Path| trips[&path].p99;
    let ours = p50(Drawbridge);
    lines.push(at_most("prompt round trip, p50", time(ours), ours / p50(Relay), 1.2, "bare relay"));
    let slow = p99(Drawbridge);
    lines.push(at_most("prompt round trip, p99", time(slow), slow / p99(Relay), 1.3, "bare relay"));
    let what = "latency added to a round trip, p50";
    let added = ours - p50(Direct);
    lines.push(beside_conductor(what, "≤ 1/8 × conductor", trips, |conductor| {
        let ratio = added / (conductor.p50 - p50(Direct));
        let line = at_most(what, time(added), ratio, 1.0 / 8.0, "");
        TargetRow {
            target: "≤ 1/8 × conductor".to_owned(),
            ratio: format!("1/{:.1} ×", 1.0 / ratio),
            ..line
        }
    }));
    let what = "the same through connect and the daemon, p50";
    let by_daemon = p50(Connect);
    lines.push(at_most(what, time(by_daemon), by_daemon / p50(Relay), 2.4, "bare relay"));
    let opening = &speed.opening;
    let added = (opening[&Drawbridge].p50 - opening[&Direct].p50).max(0.0);
    let target = "direct + ≤ 100 µs".to_owned();
    lines.push(within("session/new on a warm channel, added", added, 100e-6, time, target));
}

fn floods(speed: &Speed, lines: &mut Vec<TargetRow>) {
    for flood in [SHORT, LONG] {
        let rates = &speed.floods[&flood];
        let ours = rates[&Drawbridge];
        let what = format!("flood of {} small updates", flood.count);
        lines.push(at_least(&what, rate(ours), ours / rates[&Relay], 0.62, "bare relay"));
    }
    let rates = &speed.floods[&SHORT];
    let by_daemon = rates[&Connect];
    let what = "flood of small updates through connect and the daemon";
    lines.push(at_least(what, rate(by_daemon), by_daemon / rates[&Relay], 0.45, "bare relay"));
    let ours = rates[&Drawbridge];
    let what = "flood of small updates";
    lines.push(beside_conductor(what, "≥ 50 × conductor", rates, |conductor| {
        at_least(what, rate(ours), ours / conductor, 50.0, "conductor")
    }));
    for (style, limit) in [(Style::Plain, 0.75), (Style::Escaped, 0.6)] {
        for size in LARGE {
            let volume = |path| speed.rate(size, style, path).unwrap_or(f64::NAN) * size as f64;
            let ours = volume(Drawbridge);
            let what = format!("flood of {} updates, {style} text", bytes(size as f64));
            let figure = bytes_a_second(ours);
            lines.push(at_least(&what, figure, ours / volume(Relay), limit, "bare relay"));
        }
    }
    // A line that is a little longer than a pipe straddles two reads.
    let cost = |size: usize| {
        let rate = |path| speed.rate(size, Style::Plain, path).unwrap_or(f64::NAN);
        rate(Drawbridge) / rate(Relay)
    };
    let (fits, straddles) = (cost(PIPE), cost(PIPE + 1024));
    lines.push(TargetRow {
        what: "65 KiB beside 64 KiB, in parts of the bare relay".to_owned(),
        figure: format!("{straddles:.2} and {fits:.2}"),
        ratio: times(straddles / fits),
        target: "≥ 0.9 ×".to_owned(),
        verdict: Verdict::of(straddles / fits >= 0.9),
    });
}

fn fairness(figures: &Figures, lines: &mut Vec<TargetRow>) {
    let (direct, ours) = (figures.fairness.direct.p99, figures.fairness.drawbridge.p99);
    let what = "round trip beside another channel's flood, p99";
    lines.push(at_most(what, time(ours), ours / direct, 2.0, "two direct agents"));
    let what = format!("heartbeat while {} agents flood, p99", crowd::AGENTS);
    let beat = figures.crowd.heartbeat.p99;
    lines.push(within(&what, beat, 20e-3, time, "≤ 20 ms".to_owned()));
    let many = &figures.many;
    let (unloaded, ours) = (many.unloaded.p99, many.beside_silent.p99);
    let what = "a client's p99 while another client never reads";
    lines.push(at_most(what, time(ours), ours / unloaded, 2.0, "unloaded"));
    let (limit, peak) = (2.0 * host::OUTBOX as f64, many.peak as f64);
    let what =
        format!("… and the memory that it takes, outboxes of {}", bytes(host::OUTBOX as f64));
    lines.push(within(&what, peak, limit, bytes, format!("≤ 2 limits = {}", bytes(limit))));
}

fn memory(figures: &memory::MemoryFigures, lines: &mut Vec<TargetRow>) {
    let of = |value: f64, target: &str| format!("{target} {}", bytes(value));
    let mib = |count: f64| count * f64::from(1 << 20);
    let idle = figures.idle as f64;
    lines.push(within("memory of an idle bridge", idle, mib(6.0), bytes, of(mib(6.0), "≤")));
    let shim = figures.shim as f64;
    lines.push(within("memory of an idle shim", shim, mib(4.0), bytes, of(mib(4.0), "≤")));
    match figures.keeper {
        None => lines.push(TargetRow::missing("keeper of a channel", "≤ 2 MiB PSS", "none here")),
        Some(keeper) => {
            let (own, all) = (keeper.anonymous as f64, keeper.proportional as f64);
            let what = "keeper of a channel, anonymous";
            lines.push(within(what, own, mib(0.5), bytes, of(mib(0.5), "≤")));
            let what = "keeper of a channel, PSS";
            lines.push(within(what, all, mib(2.0), bytes, of(mib(2.0), "≤")));
        }
    }
    for (count, each) in &figures.per_session {
        let what = format!("memory per idle session, of {count}");
        lines.push(within(&what, *each, 1024.0, bytes, of(1024.0, "≤")));
    }
    let what = format!("memory of a parked session, of {}", memory::PARKED);
    lines.push(within(&what, figures.per_parked, 2048.0, bytes, of(2048.0, "≤")));
    for stalled in &figures.stalled_clients {
        peak("client", "then everything comes, in order", stalled, lines);
    }
    peak("agent", "then every request is answered, once", &figures.stalled_agent, lines);
}

/// Adds two rows for a peer that does not read: the peak memory, and whether everything came
/// afterwards.
fn peak(who: &str, then: &str, stalled: &memory::Stalled, lines: &mut Vec<TargetRow>) {
    let (limit, bound) = (bytes(stalled.outbox as f64), stalled.bound() as f64);
    let what = format!("peak with a stalled {who}, outboxes of {limit}");
    let target = format!("≤ base + 2 limits = {}", bytes(bound));
    lines.push(within(&what, stalled.peak as f64, bound, bytes, target));
    lines.push(TargetRow {
        what: format!("… {then}"),
        figure: if stalled.complete { "all" } else { "not all" }.to_owned(),
        ratio: "–".to_owned(),
        target: "all".to_owned(),
        verdict: Verdict::of(stalled.complete),
    });
}

fn core(core: &core::Core, lines: &mut Vec<TargetRow>) {
    let (channels, sessions) = core::WIDTH;
    let events = [("update", core.update), ("prompt", core.prompt), ("answer", core.answer)];
    for (name, cost) in events {
        let what = format!("core, {channels} channels × {sessions} sessions: {name}");
        lines.push(within(&what, cost, 300e-9, time, "≤ 300 ns".to_owned()));
    }
    let live = core::LIVE;
    let what = format!("reaper tick, {live} sessions, none due");
    lines.push(within(&what, core.tick_idle, 10e-6, time, "O(1): ≤ 10 µs".to_owned()));
    let stall = || "no visible stall: ≤ 5 ms".to_owned();
    let what = format!("longest stall, {live} sessions, all used since");
    lines.push(within(&what, core.stall_touched, 5e-3, time, stall()));
    let what = format!("longest stall, {live} sessions, {} due", core::DUE);
    lines.push(within(&what, core.stall_due, 5e-3, time, stall()));
    let what = format!("reaper tick, {live} sessions, {} due", core::DUE);
    lines.push(within(&what, core.tick_due, 5e-3, time, "what is due: ≤ 5 µs each".to_owned()));
}

fn life(figures: &Figures, lines: &mut Vec<TargetRow>) {
    let life = &figures.life;
    let watched = life.watched.as_secs();
    let what = format!("wake-ups of an idle bridge in {watched} s");
    let of_shim = format!("wake-ups of an idle shim in {watched} s");
    for (what, woken) in [(what, life.wake_ups), (of_shim, life.wake_ups_of_shim)] {
        lines.push(TargetRow {
            figure: woken.to_string(),
            ratio: "–".to_owned(),
            ..within(&what, woken as f64, 0.0, rate, "0".to_owned())
        });
    }
    let start = life.start[&Drawbridge];
    lines.push(within("start to first byte out", start, 5e-3, time, "≤ 5 ms".to_owned()));
    let start = life.start[&Connect];
    let what = "connect to first byte out, with a daemon";
    lines.push(within(what, start, 10e-3, time, "≤ 10 ms".to_owned()));
    let what = "connect to first byte out, which starts a daemon";
    lines.push(within(what, life.first_start, 100e-3, time, "≤ 100 ms".to_owned()));
    let added = (life.last_close - life.exit).max(0.0);
    let target = format!("agent's own exit ({}) + ≤ 50 ms", time(life.exit));
    lines.push(within("last close to tree gone, added", added, 50e-3, time, target));
    let what = format!("shutdown with {} stuck agents", life::STUCK);
    let target = format!("the ladder ({}), once", time(life::SHUTDOWN_BOUND));
    // The bound, and 0.1 s for the last look at the processes that are left.
    lines.push(TargetRow {
        ratio: format!("{} with one", times(life.all_stuck / life.one_stuck)),
        ..within(&what, life.all_stuck, life::SHUTDOWN_BOUND + 0.1, time, target)
    });
    let limit = f64::from(8 << 20);
    lines.push(within("size of the binary", life.size as f64, limit, bytes, "≤ 8 MiB".to_owned()));
}
