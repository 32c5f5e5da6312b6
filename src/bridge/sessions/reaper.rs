//! The reaper: a session that was idle for long enough is closed, and at the limit of
//! sessions the longest-idle one is evicted.
//!
//! [`when_due`](crate::bridge::books::when_due) says when a session is due. If a client
//! is attached to it, a survey comes first: there may be background work.

use crate::bridge::books::Books;
use crate::bridge::books::channel::Survey;
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::{Background, Session};
use crate::bridge::config::{AtCapacity, BackgroundWork, IdlePolicy};
use crate::bridge::event::Process;
use crate::bridge::id::{ChannelId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::reason::EndReason;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::sessions::survey;
use crate::bridge::step::Step;
use crate::bridge::time::Moment;

/// How long a survey is believed (ms).
const SURVEY_AGE: u64 = 1_000;

/// How long a session in which background work was found is not evicted (ms).
const WORK_AGE: u64 = 60_000;

/// The outcome of an attempt to make room for a session.
pub enum Eviction {
    /// A session was evicted.
    Done,
    /// A survey is under way: it tells whether a session may be evicted.
    Looking,
    /// No session may be evicted.
    Impossible,
}

/// Whether background work must be looked for before a session is ended for being idle.
fn must_look(books: &Books, session: &Session) -> bool {
    books.agent(session.agent).config.background_work == BackgroundWork::Keep
        && !session.clients().is_empty()
}

/// The processes of a session's channel, if they were looked at after its last use and just
/// now.
fn fresh_survey<'a>(books: &'a Books, session: &Session, now: Moment) -> Option<&'a [Process]> {
    match books.channel(session.channel).map(|row| &row.survey) {
        Some(Survey::Seen { at, processes })
            if now.since(*at) <= SURVEY_AGE && *at >= session.last_seen =>
        {
            Some(processes)
        }
        _ => None,
    }
}

/// The background work of a session among these processes, for people; empty if there is
/// none.
fn background_work(session: &Session, processes: &[Process]) -> String {
    let left = processes.iter().filter(|process| session.was_born_in_ended_turn(process.born));
    let left: Vec<String> =
        left.map(|process| format!("{} ({})", process.name, process.pid)).collect();
    left.join(", ")
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
    survey::ask(step, channel);
}

/// Closes a session that is due, or asks for a survey first.
pub fn reap(step: &mut Step<'_>, key: SessionKey) {
    step.outgoing.measures.nominated += 1;
    decide(step, key);
}

fn decide(step: &mut Step<'_>, key: SessionKey) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    if !must_look(step.books, session) {
        return close::end_session(step, key, EndReason::IdleTimeout, Ending::InOrder);
    }
    let fresh = fresh_survey(step.books, session, step.now);
    match fresh.map(|processes| background_work(session, processes)) {
        None => ask_survey(step, key),
        Some(work) if work.is_empty() => {
            close::end_session(step, key, EndReason::IdleTimeout, Ending::InOrder);
        }
        Some(work) => {
            step.outgoing.measures.vetoed += 1;
            keep_working(step, key, work);
        }
    }
}

fn keep_working(step: &mut Step<'_>, key: SessionKey, processes: String) {
    let now = step.now;
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    session.background = Background::Working { at: now };
    let id = session.id.to_string();
    step.publish(Notice::BackgroundWork { session: key, id, processes });
}

/// Handles a survey of a channel: sessions that waited for it are closed if they are
/// still due and have no background work. A survey that failed is no evidence that there is
/// none.
pub fn surveyed(step: &mut Step<'_>, channel: ChannelId, processes: Option<Vec<Process>>) {
    let now = step.now;
    let has_failed = processes.is_none();
    survey::came(step, channel, processes);
    // The channel may have exited during the survey.
    let Some(row) = step.books.channel(channel) else { return };
    let waits = |key: &&SessionKey| {
        step.books.session(**key).is_some_and(|row| row.background == Background::Asked)
    };
    let keys: Vec<SessionKey> = row.sessions.iter().filter(waits).copied().collect();
    for key in keys {
        // The end of another session may have ended this one.
        let Some(session) = step.books.session_mut(key) else { continue };
        session.background = Background::Unknown;
        if has_failed {
            session.background = Background::Working { at: now };
        } else if step.books.deadline(Due::Session(key)).is_some_and(|at| at <= now) {
            // Checked in the step that closes: it may have been used meanwhile.
            decide(step, key);
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
            if must_look(step.books, session) && now.since(at) <= WORK_AGE);
        allowed && !session.is_busy() && !works
    };
    let oldest = step.books.sessions().values().filter(may_go);
    let oldest = oldest.min_by_key(|row| (row.last_seen, row.key));
    let Some(session) = oldest else { return Eviction::Impossible };
    let key = session.key;
    if must_look(step.books, session) {
        let fresh = fresh_survey(step.books, session, now);
        match fresh.map(|processes| background_work(session, processes)) {
            None => {
                ask_survey(step, key);
                return Eviction::Looking;
            }
            Some(work) if !work.is_empty() => {
                keep_working(step, key, work);
                return evict(step);
            }
            Some(_) => {}
        }
    }
    close::end_session(step, key, EndReason::Evicted, Ending::InOrder);
    Eviction::Done
}
