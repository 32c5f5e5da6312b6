//! A client joins a live session by a load, a resume or `_drawbridge/attach`, and is told what
//! it has missed.
//!
//! A load that the bridge can answer does not reach the agent, which might lose a turn that runs.
//! A resume never replays.

use crate::bridge::books::call::OpenKind;
use crate::bridge::books::ring::Entry;
use crate::bridge::books::session::Session;
use crate::bridge::books::transcript::Transcript;
use crate::bridge::effect::Effect;
use crate::bridge::id::{ClientId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::listeners::{self, Showing};
use crate::bridge::outgoing::messages::{AttachResult, JoinMeta};
use crate::bridge::outgoing::{answer, compose};
use crate::bridge::reason::EndReason;
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::sessions::{attach, question};
use crate::bridge::step::Step;
use crate::wire::json::written;
use crate::wire::{Frame, splice};

/// The words in place of turns that are not in memory any more.
const MISSING: &str = "the beginning of this conversation is not in memory any more";

/// Ends a live session that a client with another environment wants to load, if nobody else has
/// it and nothing is open in it: the conversation is opened anew for that client. Says whether it
/// did.
pub fn is_moved(step: &mut Step<'_>, client: ClientId, key: SessionKey) -> bool {
    let Some(session) = step.books.session(key) else { return true };
    let is_free = session.clients().is_empty() && !session.is_busy();
    let moves = is_free && !step.books.differences(client, session.channel).is_empty();
    if moves {
        close::end_session(step, key, EndReason::Moved, Ending::InOrder);
    }
    moves
}

/// Handles a client's load or resume of a live session. `opened_with`: what the client wants the
/// session to work with.
pub fn restore(
    step: &mut Step<'_>,
    client: ClientId,
    key: SessionKey,
    (kind, opened_with): (OpenKind, [(&'static str, u64); 2]),
    frame: &Frame,
) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let differences = step.books.differences(client, session.channel);
    if !session.clients().contains(&client) && !differences.is_empty() {
        let (id, names) = (session.id.to_string(), differences.join(", "));
        let refusal = Refusal::SessionElsewhere { id, names };
        return answer::refuse(step, client, frame, &refusal);
    }
    let Some(transcript) = &session.transcript else {
        return attach::reload(step, client, key, frame);
    };
    if is_for_agent(step, session, transcript, client, kind) {
        return attach::reload(step, client, key, frame);
    }
    let kept = kept(transcript, opened_with);
    if !kept.is_empty() {
        let (id, kept) = (session.id.to_string(), kept.join(", "));
        step.publish(Notice::SessionKept { session: key, id, client, kept });
    }
    begin(step, client, key);
    let replays = kind == OpenKind::Load;
    #[cfg(feature = "seeded-bugs")]
    let replays = replays || seeded::is(seeded::Bug::ReplayAtResume);
    if replays {
        history(step, key, client);
        state(step, key, client, false);
        give_result(step, key, client, frame, &kept);
    } else {
        give_result(step, key, client, frame, &kept);
        state(step, key, client, true);
    }
    question::ask_newcomer(step, client, key);
}

/// Whether a load or resume of a live session goes to its agent: it is the client's own business,
/// or the agent alone has the whole history. Never while anything is open in the session.
fn is_for_agent(
    step: &Step<'_>,
    session: &Session,
    transcript: &Transcript,
    client: ClientId,
    kind: OpenKind,
) -> bool {
    let is_own = session.clients() == [client];
    let can_load = step.books.channel(session.channel).is_some_and(|row| row.capabilities.load);
    let lacks_history = kind == OpenKind::Load && can_load && !transcript.ring.is_complete();
    !session.is_busy() && (is_own || lacks_history)
}

/// The parts that the session goes on to work with although the client wants others.
fn kept(transcript: &Transcript, wanted: [(&'static str, u64); 2]) -> Vec<&'static str> {
    let pairs = transcript.opened_with.into_iter().zip(wanted);
    pairs.filter(|(has, wants)| has != wants).map(|(has, _)| has.0).collect()
}

/// Attaches a client. What it was told of the session on another channel comes first.
fn begin(step: &mut Step<'_>, client: ClientId, key: SessionKey) {
    let Some(channel) = step.books.session(key).map(|row| row.channel) else { return };
    step.effect(Effect::Fence { client, lane: channel.into() });
    step.books.attach_watcher(client, key);
    step.books.mark_seen(key, step.now);
}

/// Replays the turns that the ring holds.
fn history(step: &mut Step<'_>, key: SessionKey, client: ClientId) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let Some(transcript) = &session.transcript else { return };
    let ring = &transcript.ring;
    let missing = match ring.is_complete() {
        true => None,
        false => compose::remark(&session.agent_id, MISSING).frame(),
    };
    let entries: Vec<Entry> = ring.entries().filter(|entry| entry.is_history).collect();
    if let Some(frame) = missing {
        listeners::send(step, key, client, &frame, Showing::Replay { seq: 0 });
    }
    entries.iter().for_each(|entry| replay(step, key, client, entry));
}

/// Tells the state of a session. `alone`: the history was not replayed.
fn state(step: &mut Step<'_>, key: SessionKey, client: ClientId, alone: bool) {
    let session = step.books.session(key);
    let Some(transcript) = session.and_then(|row| row.transcript.as_ref()) else { return };
    let entries: Vec<Entry> = match alone {
        true => transcript.updates().cloned().collect(),
        false => transcript.updates_behind_ring().cloned().collect(),
    };
    entries.iter().for_each(|entry| replay(step, key, client, entry));
}

fn replay(step: &mut Step<'_>, key: SessionKey, client: ClientId, entry: &Entry) {
    // It was a message when it came.
    if let Ok(frame) = Frame::parse(entry.bytes.clone()) {
        listeners::send(step, key, client, &frame, Showing::Replay { seq: entry.seq });
    }
}

/// Answers a load or resume with the result of the agent's open and the settings that hold now.
fn give_result(
    step: &mut Step<'_>,
    key: SessionKey,
    client: ClientId,
    frame: &Frame,
    kept: &[&'static str],
) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let Some(transcript) = &session.transcript else { return };
    let numbered = step.books.client(client).is_some_and(|row| row.listening.numbered);
    let meta = JoinMeta {
        kept: Some(kept).filter(|kept| !kept.is_empty()),
        seq: numbered.then_some(session.seq),
    };
    let mut result = transcript.result();
    if meta != JoinMeta::default() {
        result = splice::set(&result, &["_meta", "drawbridge"], &written(&meta));
    }
    let channel = session.channel;
    step.send_to_client(client, channel, compose::success(&frame.id(), &result));
}

/// Handles a client's `_drawbridge/attach`: it joins a session, whatever its environment is, and
/// gets what came after the sequence number that it knows.
pub fn by_attach(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let Some(id) = frame.session() else {
        let refusal = Refusal::MissingField { field: "sessionId" };
        return answer::refuse(step, client, frame, &refusal);
    };
    let Some(key) = step.books.live_anywhere(client, &id) else {
        let refusal = match step.books.attached_session(client, &id) {
            Err(refusal) => refusal,
            Ok(_) => Refusal::UnknownSession { id: id.into() },
        };
        return answer::refuse(step, client, frame, &refusal);
    };
    let after = frame.find(&["afterSeq"]).map(|place| place.of(frame.bytes()));
    let after = after.and_then(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
    begin(step, client, key);
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let (replayed, gap) = match (&session.transcript, after) {
        // What was said to nobody has no number where nothing is kept.
        (None, _) => (Vec::new(), true),
        (Some(row), Some(after)) if after <= session.seq => {
            (row.missed_after(after), row.ring.has_gap_after(after))
        }
        // A number that was not given yet is one of an earlier life of the session.
        (Some(row), after) => {
            let history = row.ring.entries().filter(|entry| entry.is_history);
            let all = history.chain(row.updates_behind_ring().cloned());
            (all.collect::<Vec<Entry>>(), after.is_some() || !row.ring.is_complete())
        }
    };
    replayed.iter().for_each(|entry| replay(step, key, client, entry));
    let Some(channel) = step.books.session(key).map(|row| row.channel) else { return };
    let result = written(&AttachResult { replayed: replayed.len(), gap });
    step.send_to_client(client, channel, compose::success(&frame.id(), &result));
    question::ask_newcomer(step, client, key);
}
