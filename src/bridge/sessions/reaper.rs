//! The reaper: a session that was idle for long enough is closed, and at the limit of
//! sessions the longest-idle one is evicted.
//!
//! [`when_due`](crate::bridge::books::when_due) says when a session is due. If a client
//! is attached to it, a survey comes first: there may be background work.

use crate::bridge::books::Books;
use crate::bridge::books::channel::Survey;
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

/// Asks the runtime for a survey of a session's channel, unless one is under way. `then`: the
/// reason for which the session is to end if no background work is found.
fn ask_survey(step: &mut Step<'_>, key: SessionKey, then: Option<EndReason>) {
    // While a survey is under way the row must not be touched: calls that wait for room
    // come here at the end of each step, and would keep that step from ending.
    let is_asked = |row: &Session| matches!(row.background, Background::Asked { .. });
    if step.books.session(key).is_none_or(is_asked) {
        return;
    }
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    session.background = Background::Asked { then };
    let channel = session.channel;
    survey::ask(step, channel);
}

/// Closes a session that is due, or asks for a survey first.
pub fn reap(step: &mut Step<'_>, key: SessionKey) {
    step.outgoing.measures.nominated += 1;
    let _ = decide(step, key, EndReason::IdleTimeout);
}

/// Parks a session of a channel that takes no new ones, or asks for a survey first.
pub fn move_on(step: &mut Step<'_>, key: SessionKey) {
    let _ = decide(step, key, EndReason::Recycled);
}

/// Ends a session in which nothing goes on, or asks for a survey first.
fn decide(step: &mut Step<'_>, key: SessionKey, reason: EndReason) -> Outcome {
    let Some(session) = step.books.session(key) else {
        step.books.absent(key);
        return Outcome::Kept;
    };
    if must_look(step.books, session) {
        let fresh = fresh_survey(step.books, session, step.now);
        match fresh.map(|processes| background_work(session, processes)) {
            None => {
                ask_survey(step, key, Some(reason));
                return Outcome::Looking;
            }
            Some(work) if !work.is_empty() => {
                step.outgoing.measures.vetoed += u64::from(reason == EndReason::IdleTimeout);
                keep_working(step, key, work);
                return Outcome::Kept;
            }
            Some(_) => {}
        }
    }
    close::end_session(step, key, reason, Ending::InOrder);
    Outcome::Ended
}

/// The fate of a session that was to end.
enum Outcome {
    Ended,
    /// A survey is under way.
    Looking,
    /// Something goes on in it.
    Kept,
}

fn keep_working(step: &mut Step<'_>, key: SessionKey, processes: String) {
    let now = step.now;
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    session.background = Background::Working { at: now };
    let id = session.id.to_string();
    step.publish(Notice::BackgroundWork { session: key, id, processes });
}

/// Handles a survey of a channel: sessions that waited for it end if there is still a reason for
/// that and they have no background work. A survey that failed is no evidence that there is none.
pub fn surveyed(step: &mut Step<'_>, channel: ChannelId, processes: Option<Vec<Process>>) {
    let now = step.now;
    let has_failed = processes.is_none();
    survey::came(step, channel, processes);
    // The channel may have exited during the survey.
    let Some(row) = step.books.channel(channel) else { return };
    let asked = |key: &SessionKey| match step.books.session(*key)?.background {
        Background::Asked { then } => Some((*key, then)),
        Background::Unknown | Background::Working { .. } => None,
    };
    let asked: Vec<_> = row.sessions.iter().filter_map(asked).collect();
    for (key, then) in asked {
        // The end of another session may have ended this one.
        let Some(session) = step.books.session_mut(key) else { continue };
        session.background = Background::Unknown;
        if has_failed {
            session.background = Background::Working { at: now };
            continue;
        }
        // Checked in the step that closes: it may have been used meanwhile.
        if let Some(reason) = then.filter(|reason| is_reason(step, key, *reason)) {
            let _ = decide(step, key, reason);
        }
    }
}

/// Whether there is still this reason to end a session.
fn is_reason(step: &Step<'_>, key: SessionKey, reason: EndReason) -> bool {
    let Some(session) = step.books.session(key) else { return false };
    let is_due = |at: Option<Moment>| at.is_some_and(|at| at <= step.now);
    match reason {
        EndReason::IdleTimeout => is_due(step.books.reap_deadline(session)),
        EndReason::Recycled => is_due(step.books.moves_on_at(session)),
        EndReason::MemoryPressure => may_give_way(step.books, session, step.now),
        // Whether a session still wants its place is found when that is placed.
        _ => false,
    }
}

/// Whether a session may give way before its time: the policy allows it, and nothing goes on in it.
fn may_give_way(books: &Books, session: &Session, now: Moment) -> bool {
    let policy = books.agent(session.agent).config.idle_policy;
    let is_allowed = match policy {
        _ if session.clients().is_empty() => true,
        IdlePolicy::Detached => false,
        IdlePolicy::Restorable => books.is_safe_to_end(session),
        IdlePolicy::All => true,
    };
    let works = matches!(session.background, Background::Working { at }
        if must_look(books, session) && now.since(at) <= WORK_AGE);
    is_allowed && !session.is_busy() && !works
}

/// Evicts the longest-idle session that the idle policy allows, or asks for a survey of it
/// first.
pub fn evict(step: &mut Step<'_>) -> Eviction {
    if step.books.limits.at_capacity == AtCapacity::Refuse {
        return Eviction::Impossible;
    }
    end_longest_idle(step, EndReason::Evicted)
}

/// Ends the longest-idle session that the idle policy allows, whatever its timeout, or asks for a
/// survey of it first.
pub fn end_longest_idle(step: &mut Step<'_>, reason: EndReason) -> Eviction {
    loop {
        let rows = step.books.sessions().values();
        let rows = rows.filter(|row| may_give_way(step.books, row, step.now));
        let Some(oldest) = rows.min_by_key(|row| (row.last_seen, row.key)) else {
            return Eviction::Impossible;
        };
        let key = oldest.key;
        match decide(step, key, reason) {
            Outcome::Ended => return Eviction::Done,
            Outcome::Looking => return Eviction::Looking,
            // It counts as working now, and the next one is looked at.
            Outcome::Kept => {}
        }
    }
}
