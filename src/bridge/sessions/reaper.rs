//! The reaper: a session that was idle for long enough is closed, and at the limit of
//! sessions the longest-idle one gives way.
//!
//! [`when_due`](crate::bridge::books::when_due) says when a session is due. One that a
//! client is attached to is looked at first: a process that one of its turns left
//! behind may still work for it.

use crate::bridge::books::Books;
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::{Background, Session};
use crate::bridge::config::{AtCapacity, BackgroundWork, IdlePolicy};
use crate::bridge::effect::Effect;
use crate::bridge::event::Process;
use crate::bridge::id::{ChannelId, SessionKey};
use crate::bridge::notice::{EndReason, Notice};
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::step::Step;
use crate::bridge::time::Moment;

/// For how long a look that found nothing is believed (ms).
const SURVEY_AGE: u64 = 1_000;

/// For how long a session in which work was found does not give way (ms).
const WORK_AGE: u64 = 60_000;

/// The outcome of an attempt to make room for a session.
pub enum Eviction {
    /// A session of this channel gave way.
    From(ChannelId),
    /// It is being looked whether one may.
    Looking,
    /// None may.
    Impossible,
}

/// Whether processes left over from the session's turns must be looked for
/// before it is ended by choice.
fn must_look(books: &Books, session: &Session, now: Moment) -> bool {
    let fresh = matches!(session.background, Background::Quiet { at }
        if now.since(at) <= SURVEY_AGE && at >= session.last_seen);
    books.agent(session.agent).config.background_work == BackgroundWork::Keep
        && !session.clients().is_empty()
        && !fresh
}

/// Asks the runtime what runs in the process tree of a session.
fn look(step: &mut Step<'_>, key: SessionKey) {
    // While the answer is awaited nothing is touched: who waits for room asks
    // again at the end of each step, and would keep that step from ending.
    let is_asked = |row: &Session| row.background == Background::Asked;
    if step.books.session(key).is_none_or(is_asked) {
        return;
    }
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    session.background = Background::Asked;
    let channel = session.channel;
    step.effect(Effect::Survey(channel));
}

/// A session is due.
pub fn reap(step: &mut Step<'_>, key: SessionKey) {
    let now = step.now;
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    if must_look(step.books, session, now) {
        look(step, key);
    } else {
        close::end_session(step, key, EndReason::IdleTimeout, Ending::InOrder);
    }
}

/// The process tree of a channel was looked at.
pub fn surveyed(step: &mut Step<'_>, channel: ChannelId, processes: &[Process]) {
    let now = step.now;
    // It may have exited while it was looked at.
    let Some(row) = step.books.channel(channel) else { return };
    let keys: Vec<SessionKey> = row.sessions.iter().copied().collect();
    for key in keys {
        // The end of another one may have ended it.
        let Some(session) = step.books.session_mut(key) else { continue };
        if session.background != Background::Asked {
            continue;
        }
        let left: Vec<String> = processes
            .iter()
            .filter(|process| session.bore(process.born))
            .map(|process| format!("{} ({})", process.name, process.pid))
            .collect();
        if left.is_empty() {
            session.background = Background::Quiet { at: now };
            // Asked again in the step that closes: it may have come to life meanwhile.
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

/// The longest-idle session that the policy allows gives way.
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
        look(step, key);
        return Eviction::Looking;
    }
    close::end_session(step, key, EndReason::Evicted, Ending::InOrder);
    Eviction::From(channel)
}
