//! The reaper: a session that was idle for long enough is closed, and at the limit of
//! sessions the longest-idle one is evicted.
//!
//! [`when_due`](crate::bridge::books::when_due) says when a session is due. If a client
//! is attached to it, a survey comes first: there may be background work.

use crate::bridge::books::Books;
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::{Background, Session};
use crate::bridge::config::{AtCapacity, BackgroundWork, IdlePolicy};
use crate::bridge::effect::Effect;
use crate::bridge::event::Process;
use crate::bridge::id::{ChannelId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::reason::EndReason;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::step::Step;
use crate::bridge::time::Moment;

/// How long a survey that found no background work is believed (ms).
const SURVEY_AGE: u64 = 1_000;

/// How long a session in which background work was found is not evicted (ms).
const WORK_AGE: u64 = 60_000;

/// The outcome of an attempt to make room for a session.
pub enum Eviction {
    /// A session of this channel was evicted.
    From(ChannelId),
    /// A survey is under way: it tells whether a session may be evicted.
    Looking,
    /// No session may be evicted.
    Impossible,
}

/// Whether background work must be looked for before the reaper ends a session.
fn must_look(books: &Books, session: &Session, now: Moment) -> bool {
    let fresh = matches!(session.background, Background::Quiet { at }
        if now.since(at) <= SURVEY_AGE && at >= session.last_seen);
    books.agent(session.agent).config.background_work == BackgroundWork::Keep
        && !session.clients().is_empty()
        && !fresh
}

/// Asks the runtime for a survey of a session's channel, unless one is under way.
fn ask_survey(step: &mut Step<'_>, key: SessionKey) {
    // While a survey is under way the row must not be touched: calls that wait for room
    // come here at the end of each step, and would keep that step from ending.
    let is_asked = |row: &Session| row.background == Background::Asked;
    if step.books.session(key).is_none_or(is_asked) {
        return;
    }
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    session.background = Background::Asked;
    let channel = session.channel;
    step.effect(Effect::Survey(channel));
}

/// Closes a session that is due, or asks for a survey first.
pub fn reap(step: &mut Step<'_>, key: SessionKey) {
    let now = step.now;
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    if must_look(step.books, session, now) {
        ask_survey(step, key);
    } else {
        close::end_session(step, key, EndReason::IdleTimeout, Ending::InOrder);
    }
}

/// Handles a survey of a channel: sessions that waited for it are closed if they are
/// still due and have no background work.
pub fn surveyed(step: &mut Step<'_>, channel: ChannelId, processes: &[Process]) {
    let now = step.now;
    // The channel may have exited during the survey.
    let Some(row) = step.books.channel(channel) else { return };
    let keys: Vec<SessionKey> = row.sessions.iter().copied().collect();
    for key in keys {
        // The end of another session may have ended this one.
        let Some(session) = step.books.session_mut(key) else { continue };
        if session.background != Background::Asked {
            continue;
        }
        let left: Vec<String> = processes
            .iter()
            .filter(|process| session.was_born_in_ended_turn(process.born))
            .map(|process| format!("{} ({})", process.name, process.pid))
            .collect();
        if left.is_empty() {
            session.background = Background::Quiet { at: now };
            // Checked again in the step that closes: it may have been used meanwhile.
            if step.books.deadline(Due::Session(key)).is_some_and(|at| at <= now) {
                reap(step, key);
            }
        } else {
            session.background = Background::Working { at: now };
            let (session, id) = (key, session.id.to_string());
            let processes = left.join(", ");
            step.publish(Notice::BackgroundWork { session, id, processes });
        }
    }
}

/// Evicts the longest-idle session that the idle policy allows, or asks for a survey of it
/// first.
pub fn evict(step: &mut Step<'_>) -> Eviction {
    let now = step.now;
    if step.books.limits.at_capacity == AtCapacity::Refuse {
        return Eviction::Impossible;
    }
    let may_go = |session: &&Session| {
        let allowed = session.clients().is_empty()
            || step.books.agent(session.agent).config.idle_policy == IdlePolicy::All;
        let works = matches!(session.background, Background::Working { at }
            if must_look(step.books, session, now) && now.since(at) <= WORK_AGE);
        allowed && !session.is_busy() && !works
    };
    let oldest = step.books.sessions().values().filter(may_go);
    let oldest = oldest.min_by_key(|row| (row.last_seen, row.key));
    let Some(session) = oldest else { return Eviction::Impossible };
    let (key, channel) = (session.key, session.channel);
    if must_look(step.books, session, now) {
        ask_survey(step, key);
        return Eviction::Looking;
    }
    close::end_session(step, key, EndReason::Evicted, Ending::InOrder);
    Eviction::From(channel)
}
