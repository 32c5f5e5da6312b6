//! The measures of a bridge in the text format of Prometheus.
//!
//! No label holds an id, a directory, a command or the name of a client.

use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as Times, LabelPair, Metric, MetricFamily, MetricType,
};

use crate::api::{ChannelStatus, Counts};
use crate::bridge::measures::{Histogram, Measures};
use crate::bridge::{Counters, EndReason};
use crate::runtime::{Figures, Passed, Traffic};

const GAUGE: MetricType = MetricType::GAUGE;
const COUNTER: MetricType = MetricType::COUNTER;

/// The figures of a bridge, and the memory of its agents, as text.
pub(super) fn text(figures: &Figures, channels: &[ChannelStatus]) -> String {
    let Figures { counts, in_state, counters, measures, traffic } = figures;
    let mut families = Families(Vec::new());
    let states = in_state.iter().map(|(state, count)| (*state, *count as u64));
    families.each(GAUGE, ("sessions", "Sessions: live, opening and parked."), "state", states);
    families.each(GAUGE, ("channels", "Agent processes."), "state", by_state(channels));
    families.rows(*counts);
    let rss = channels.iter().filter_map(|channel| channel.tree).map(|tree| tree.memory_bytes);
    families.one(
        GAUGE,
        ("agent_rss_bytes", "Resident memory of all process trees of agents."),
        rss.sum(),
    );
    families.measures(measures);
    families.dropped(counters);
    families.traffic(traffic);
    // It fails for names that are none, and for families without a metric.
    families.0.retain(|family| !family.get_metric().is_empty());
    TextEncoder::new().encode_to_string(&families.0).unwrap_or_default()
}

fn by_state(channels: &[ChannelStatus]) -> Vec<(&'static str, u64)> {
    let states = ["spawned", "starting", "ready", "draining", "stopping"];
    let count = |state: &str| channels.iter().filter(|row| row.state.word() == state).count();
    states.into_iter().map(|state| (state, count(state) as u64)).collect()
}

/// The metrics, one family for each name.
struct Families(Vec<MetricFamily>);

impl Families {
    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        let mut family = MetricFamily::default();
        family.set_name(format!("drawbridge_{name}"));
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }

    /// A metric without labels.
    fn one(&mut self, kind: MetricType, (name, help): (&str, &str), value: u64) {
        self.add(name, help, kind, vec![metric(kind, Vec::new(), value)]);
    }

    /// A metric with this label, whose words have these values.
    fn each(
        &mut self,
        kind: MetricType,
        (name, help): (&str, &str),
        label: &str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        let values = values.into_iter();
        let metrics = values.map(|(word, value)| metric(kind, vec![pair(label, word)], value));
        self.add(name, help, kind, metrics.collect());
    }

    fn times(&mut self, name: &str, help: &str, histogram: &Histogram) {
        let mut times = Times::default();
        times.set_sample_count(histogram.count());
        times.set_sample_sum(seconds(histogram.sum_ms()));
        let bucket = |(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(seconds(bound));
            bucket.set_cumulative_count(count);
            bucket
        };
        times.set_bucket(histogram.up_to().map(bucket).collect());
        let mut metric = Metric::from_label(Vec::new());
        metric.set_histogram(times);
        self.add(name, help, MetricType::HISTOGRAM, vec![metric]);
    }

    fn rows(&mut self, counts: Counts) {
        self.one(GAUGE, ("clients", "Connected clients."), counts.clients as u64);
        self.one(
            GAUGE,
            ("open_questions", "Requests of agents without an answer."),
            counts.questions as u64,
        );
        self.one(GAUGE, ("queued_bytes", "Bytes in all write queues."), counts.queued_bytes);
        self.one(GAUGE, ("parked_bytes", "Bytes kept of parked sessions."), counts.parked_bytes);
        self.one(
            GAUGE,
            ("replay_bytes", "Bytes kept for clients that join a session."),
            counts.replay_bytes,
        );
    }

    fn measures(&mut self, measures: &Measures) {
        let closes = measures.closes.iter().map(|(reason, count)| (reason.word(), *count));
        self.each(COUNTER, ("session_closes_total", "Sessions that ended."), "reason", closes);
        let exits = measures.exits.iter().map(|(reason, count)| (*reason, *count));
        self.each(COUNTER, ("channel_exits_total", "Agent processes that ended."), "reason", exits);
        let closed = measures.closes.get(&EndReason::IdleTimeout);
        for (name, help, value) in [
            (
                "nominated",
                "Sessions that were due to be closed for being idle.",
                measures.nominated,
            ),
            ("vetoed", "Idle sessions that were kept for background work.", measures.vetoed),
            ("closed", "Sessions that were closed for being idle.", closed.copied().unwrap_or(0)),
        ] {
            self.one(COUNTER, (&format!("reaper_{name}_total"), help), value);
        }
        let restores = [("restored", measures.restores), ("failed", measures.failed_restores)];
        let help = "Attempts to bring a parked session back.";
        self.each(COUNTER, ("restores_total", help), "outcome", restores);
        self.times(
            "handshake_seconds",
            "From initialize, sent as an agent starts, to its answer.",
            &measures.handshake,
        );
        self.times(
            "open_seconds",
            "From the request for a session to its opening.",
            &measures.open,
        );
        self.times("close_seconds", "From session/close to its answer.", &measures.close);
        self.times("turn_seconds", "From a prompt to its answer.", &measures.turn);
    }

    fn dropped(&mut self, counters: &Counters) {
        let what = [
            ("late_frames", counters.late_frames),
            ("unknown_session_frames", counters.unknown_session_frames),
            ("early_frames", counters.early_frames),
            ("stray_answers", counters.stray_answers),
            ("stray_lines", counters.stray_lines),
            ("overlong_lines", counters.overlong_lines),
            ("half_line_bytes", counters.half_line_bytes),
            ("tombstones", counters.tombstones),
            ("passing_ids", counters.passing_ids),
            ("unrouted", counters.unrouted),
            ("cursors", counters.cursors),
            ("set_up_requests", counters.set_up_requests),
            ("parked_sessions", counters.parked_sessions),
            ("muted", counters.muted),
        ];
        self.each(
            COUNTER,
            ("dropped_total", "Things that were thrown away, by kind."),
            "what",
            what,
        );
        self.one(COUNTER, ("refused_total", "Requests that were refused."), counters.refused);
        self.one(
            COUNTER,
            ("strikes_total", "Agents found without a sign of life."),
            counters.strikes,
        );
    }

    fn traffic(&mut self, traffic: &Traffic) {
        let Traffic { from_clients, to_clients, from_agents, to_agents } = traffic;
        let all = [
            ("from_clients", from_clients),
            ("to_clients", to_clients),
            ("from_agents", from_agents),
            ("to_agents", to_agents),
        ];
        let of = |part: fn(&Passed) -> u64| all.map(|(name, passed)| (name, part(passed)));
        let (frames, bytes) = (of(|passed| passed.frames), of(|passed| passed.bytes));
        self.each(COUNTER, ("frames_total", "Messages."), "direction", frames);
        self.each(COUNTER, ("bytes_total", "Bytes of messages."), "direction", bytes);
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn metric(kind: MetricType, labels: Vec<LabelPair>, value: u64) -> Metric {
    let mut metric = Metric::from_label(labels);
    if kind == COUNTER {
        let mut counter = Counter::default();
        counter.set_value(float(value));
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(float(value));
        metric.set_gauge(gauge);
    }
    metric
}

/// The format knows no other numbers.
#[allow(clippy::cast_precision_loss)]
fn float(value: u64) -> f64 {
    value as f64
}

fn seconds(millis: u64) -> f64 {
    float(millis) / 1_000.0
}
