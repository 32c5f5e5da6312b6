//! The treatment of each message of a client.

use crate::bridge::books::call::{OpenKind, Purpose};
use crate::bridge::channels::{backpressure, handshake};
use crate::bridge::id::{ChannelId, ClientId, QuestionId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::{answer, compose, send, translate};
use crate::bridge::refusal::Refusal;
use crate::bridge::routing::{cancel_request, fanout, passthrough, session_list, stored_sessions};
use crate::bridge::sessions::{attach, cancel, close, heartbeat, open, question_end, turn};
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Malformed, Method, Token};

/// Handles a line of a client.
pub fn frame(step: &mut Step<'_>, client: ClientId, frame: Result<Frame, Malformed>) {
    if step.books.client(client).is_none() {
        // The end of the connection may be reported before its last lines.
        return;
    }
    let frame = match frame {
        Ok(frame) => frame,
        Err(malformed) => return bad_line(step, client, malformed),
    };
    let passthrough_pool = step.books.passthrough_pool(client);
    match frame.kind {
        FrameKind::Success | FrameKind::Failure => question_end::answered(step, client, &frame),
        FrameKind::Notification if frame.method == Method::CancelRequest => {
            cancel_request::by_client(step, client, &frame);
        }
        FrameKind::Request if step.books.is_ending() => {
            answer::refuse(step, client, &frame.id(), &Refusal::ShuttingDown);
        }
        FrameKind::Request if frame.method == Method::Initialize => {
            handshake::by_client(step, client, &frame);
        }
        _ if !step.books.client(client).is_some_and(|row| row.initialized) => {
            if frame.kind == FrameKind::Request {
                answer::refuse(step, client, &frame.id(), &Refusal::BeforeInitialize);
            }
        }
        FrameKind::Request
            if step.books.has_too_many_requests(client) && frame.method != Method::SessionClose =>
        {
            answer::refuse(step, client, &frame.id(), &Refusal::TooManyRequests);
        }
        _ if passthrough_pool.is_some() => {
            passthrough::to_agent(step, client, passthrough_pool, &frame);
        }
        FrameKind::Request => request(step, client, &frame),
        FrameKind::Notification => notification(step, client, &frame),
    }
}

fn request(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    if let Some(kind) = OpenKind::of(frame.method) {
        // For an open that names no live session, the placement checks whether the agent
        // reads.
        if step.books.names_session_not_read(client, frame) {
            backpressure::refuse(step, client, frame);
        } else {
            open::by_client(step, client, kind, frame);
        }
        return;
    }
    match frame.method {
        Method::SessionClose => close::by_client(step, client, frame),
        Method::SessionPrompt => {
            if let Some(key) = named_session(step, client, frame) {
                turn::prompt(step, client, key, frame);
            }
        }
        Method::SessionDelete
        | Method::SessionArchive
        | Method::SessionUnarchive
        | Method::SessionStatus
        | Method::SessionSetTitle => {
            if step.books.names_session_not_read(client, frame) {
                backpressure::refuse(step, client, frame);
            } else {
                stored_sessions::by_client(step, client, frame);
            }
        }
        Method::SessionSetMode | Method::SessionSetConfigOption => {
            if let Some(key) = named_session(step, client, frame) {
                step.books.mark_seen(key, now);
                send::in_session(step, client, key, Purpose::InSession, frame);
            }
        }
        Method::SessionList => session_list::by_client(step, client, frame),
        Method::Authenticate | Method::AuthLogin => {
            let to_repeat = frame.find(&["_meta"]).is_some().then(|| Box::new(frame.detached()));
            step.books.wait_for_channel(client, Purpose::Login(to_repeat), frame, now);
        }
        Method::Logout
        | Method::AuthLogout
        | Method::ProvidersList
        | Method::ProvidersSet
        | Method::ProvidersDisable => fanout::begin(step, client, frame),
        Method::AuthStatus => {
            step.books.wait_for_channel(
                client,
                Purpose::WithoutSession { unknown: false },
                frame,
                now,
            );
        }
        Method::BridgeDetach => attach::detach(step, client, frame),
        Method::BridgeHeartbeat => heartbeat::beat(step, client, frame),
        _ if frame.method_name().starts_with("_drawbridge/") => {
            let method = frame.method_name().into_owned();
            answer::refuse(step, client, &frame.id(), &Refusal::NoRoute { method });
        }
        _ if frame.session().is_some() => {
            if let Some(key) = named_session(step, client, frame) {
                step.books.mark_seen(key, now);
                send::in_session(step, client, key, Purpose::InSession, frame);
            }
        }
        _ => {
            step.books.wait_for_channel(
                client,
                Purpose::WithoutSession { unknown: true },
                frame,
                now,
            );
        }
    }
}

fn notification(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    if frame.method == Method::BridgeHeartbeat {
        return heartbeat::beat(step, client, frame);
    }
    match frame.session() {
        Some(id) => {
            let Ok(key) = step.books.attached_session(client, &id) else {
                step.outgoing.counters.unrouted += 1;
                return;
            };
            step.books.mark_seen(key, now);
            if frame.method == Method::SessionCancel {
                return cancel::by_client(step, client, key, frame);
            }
            let Some(channel) = step.books.session(key).map(|row| row.channel) else {
                return step.books.absent(key);
            };
            let outgoing = translate::for_agent(step.books, key, frame);
            send::pass_notification(step, channel, outgoing);
        }
        None => {
            let pool = step.books.client(client).and_then(|row| row.pool);
            let channels: Vec<ChannelId> = step.books.open_channels(pool).collect();
            if channels.is_empty() {
                step.outgoing.counters.unrouted += 1;
            }
            for channel in channels {
                send::pass_notification(step, channel, frame.whole());
            }
        }
    }
}

/// The session that a client's request names. `None`: the request was refused, because
/// the client is not attached to such a session, or because the agent does not read.
fn named_session(step: &mut Step<'_>, client: ClientId, frame: &Frame) -> Option<SessionKey> {
    let named = match frame.session() {
        Some(id) => step.books.attached_session(client, &id),
        None => Err(Refusal::MissingField { field: "sessionId" }),
    };
    match named {
        Ok(key) if step.books.does_not_read_in(key) => {
            backpressure::refuse(step, client, frame);
            None
        }
        Ok(key) => Some(key),
        Err(refusal) => {
            answer::refuse(step, client, &frame.id(), &refusal);
            None
        }
    }
}

fn bad_line(step: &mut Step<'_>, client: ClientId, malformed: Malformed) {
    let null = Token::new(b"null");
    match malformed {
        Malformed::NotJson { .. } => answer::refuse(step, client, &null, &Refusal::NotJson),
        Malformed::Batch => answer::refuse(step, client, &null, &Refusal::Batch),
        Malformed::NotMessage { id } => {
            answer::refuse(step, client, &id.unwrap_or(null), &Refusal::NotMessage);
        }
        Malformed::TooLong { length, glimpse } => {
            step.outgoing.counters.overlong_lines += 1;
            step.publish(Notice::OverlongLine { from: client.to_string(), length });
            match glimpse.id {
                Some(id) if glimpse.has_method => {
                    answer::refuse(step, client, &id, &Refusal::TooLong { length });
                }
                // The line may be the answer to a question: then the agent gets an error
                // instead.
                Some(id) => fail_question(step, client, &id, length),
                None => {}
            }
        }
    }
}

fn fail_question(step: &mut Step<'_>, client: ClientId, id: &Token, length: u64) {
    if let Some(frame) = compose::missing_answer(id, &Refusal::AnswerTooLong { length })
        && frame.number().is_some_and(|id| step.books.questions().contains_key(&QuestionId(id)))
    {
        question_end::answered(step, client, &frame);
    }
}
