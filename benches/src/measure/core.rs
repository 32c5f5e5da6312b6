//! The core alone, in this process: what an event and a tick cost.

use std::hint::black_box;
use std::io;
use std::time::Instant;

use drawbridge::bridge::config::{BackgroundWork, IdlePolicy};
use drawbridge::bridge::{Bridge, Config, Effect, Event, Moment};

use super::{Lab, REPETITIONS};
use crate::stand::{Stand, from_agent, from_client};
use crate::stats::median;

/// Channels, and sessions on each, for the cost of an event.
pub const WIDTH: (usize, usize) = (64, 16);
/// Live sessions when the reaper ticks.
pub const LIVE: usize = 100_000;
/// How many of the live sessions come due.
pub const DUE: usize = 1_000;

const MINUTE: u64 = 60_000;
/// When the sessions that come due are opened, and when the others (ms).
const OPENED: [u64; 2] = [0, 10 * MINUTE];
/// How long a session may be idle (ms).
const IDLE: u64 = 30 * MINUTE;

/// The costs of events and ticks, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Core {
    /// An update of an agent.
    pub update: f64,
    /// A prompt of the client.
    pub prompt: f64,
    /// The answer to a prompt.
    pub answer: f64,
    /// A tick with nothing due.
    pub tick_idle: f64,
    /// The longest stall while every session is looked at and found to have been used since.
    pub stall_touched: f64,
    /// The longest stall while [`DUE`] sessions are closed.
    pub stall_due: f64,
    /// The whole time in which [`DUE`] sessions are closed.
    pub tick_due: f64,
}

/// Measures the costs of events only, and prints them.
pub fn look(rounds: u64) -> io::Result<()> {
    let [update, prompt, answer] = events(rounds as usize).map(|each| each * 1e9);
    println!("update {update:.0} ns, prompt {prompt:.0} ns, answer {answer:.0} ns");
    Ok(())
}

/// Measures all of it.
pub fn measure(lab: &Lab) -> io::Result<Core> {
    let mut samples: [Vec<f64>; 7] = Default::default();
    for _ in 0..REPETITIONS {
        let [update, prompt, answer] = events(lab.effort.of(20, 200));
        let [idle, touched, due] = ticks();
        let round = [update, prompt, answer, idle.total, touched.longest, due.longest, due.total];
        for (all, one) in samples.iter_mut().zip(round) {
            all.push(one);
        }
    }
    let [update, prompt, answer, tick_idle, stall_touched, stall_due, tick_due] =
        samples.map(|each| median(&each));
    Ok(Core { update, prompt, answer, tick_idle, stall_touched, stall_due, tick_due })
}

/// The mean costs of an update, a prompt and an answer, over `rounds` rounds of all sessions.
fn events(rounds: usize) -> [f64; 3] {
    let mut stand = Stand::new({
        let mut config = Config::default();
        config.agent.sessions_per_channel = WIDTH.1;
        config
    });
    stand.open(WIDTH.0 * WIDTH.1);
    // Successive events are for different channels, as in practice.
    let mut sessions: Vec<_> = stand.sessions.clone();
    sessions.sort_by_key(|(_, session)| session.bytes().rev().collect::<Vec<_>>());
    let updates: Vec<Event> =
        sessions.iter().map(|(channel, session)| from_agent(*channel, &update(session))).collect();
    let mut spent = [0.0; 3];
    for _ in 0..rounds {
        spent[0] += timed(&mut stand, updates.clone(), |_, effect| drop(black_box(effect)));
        let prompts = sessions
            .iter()
            .map(|(_, session)| {
                let params = format!(r#"{{"sessionId":"{session}","prompt":[]}}"#);
                from_client(&stand.request("session/prompt", &params))
            })
            .collect();
        spent[1] += timed(&mut stand, prompts, |stand, effect| {
            if let Effect::ToChannel { channel, frame } = effect {
                stand.prompts.push((channel, frame));
            }
        });
        let answers = stand.answers();
        let answers = answers.iter().map(|(channel, line)| from_agent(*channel, line)).collect();
        spent[2] += timed(&mut stand, answers, |_, effect| drop(black_box(effect)));
    }
    spent.map(|spent| spent / (rounds * sessions.len()) as f64)
}

fn timed(
    stand: &mut Stand,
    events: Vec<Event>,
    mut on_effect: impl FnMut(&mut Stand, Effect),
) -> f64 {
    let start = Instant::now();
    for event in events {
        stand.bridge.handle(stand.now, event);
        while let Some(effect) = stand.bridge.poll_effect() {
            on_effect(stand, effect);
        }
    }
    start.elapsed().as_secs_f64()
}

fn update(session: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":"{session}","update":{{"sessionUpdate":"agent_message_chunk","content":{{"type":"text","text":"so it goes on and on"}}}}}}}}"#
    )
}

/// Ticks with nothing due, with everything touched, and with some due.
fn ticks() -> [Tick; 3] {
    let mut stand = reapable();
    let idle = tick(&mut stand.bridge, 15 * MINUTE);
    let due = tick(&mut stand.bridge, OPENED[0] + IDLE + MINUTE);

    let mut stand = reapable();
    stand.now = Moment::from_millis(20 * MINUTE);
    for (_, session) in stand.sessions.clone() {
        let params = format!(r#"{{"sessionId":"{session}"}}"#);
        let line = stand.request("_drawbridge/heartbeat", &params);
        stand.happens(from_client(&line));
    }
    let touched = tick(&mut stand.bridge, OPENED[1] + IDLE + MINUTE);
    [idle, touched, due]
}

/// A bridge with many sessions that the reaper may close.
fn reapable() -> Stand {
    let mut stand = Stand::new({
        let mut config = Config::default();
        config.agent.idle_policy = IdlePolicy::All;
        config.agent.background_work = BackgroundWork::Ignore;
        config.agent.attached_idle_timeout = drawbridge::bridge::Limit::After(IDLE);
        config
    });
    for (opened, count) in OPENED.into_iter().zip([DUE, LIVE - DUE]) {
        stand.now = Moment::from_millis(opened);
        stand.open(count);
    }
    stand
}

/// The cost of a deadline with all its calls of `handle_timeout`, in seconds.
struct Tick {
    /// All calls together.
    total: f64,
    /// The longest call, during which nothing else is served.
    longest: f64,
}

fn tick(bridge: &mut Bridge, at: u64) -> Tick {
    let now = Moment::from_millis(at);
    let mut tick = Tick { total: 0.0, longest: 0.0 };
    loop {
        let start = Instant::now();
        bridge.handle_timeout(now);
        while let Some(effect) = bridge.poll_effect() {
            drop(black_box(effect));
        }
        let took = start.elapsed().as_secs_f64();
        tick = Tick { total: tick.total + took, longest: tick.longest.max(took) };
        if bridge.poll_timeout().is_none_or(|next| next > now) {
            return tick;
        }
    }
}
