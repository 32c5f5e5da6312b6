//! The treatment of each message of a client.

use crate::bridge::books::call::{OpenKind, Purpose};
use crate::bridge::books::client::Client;
use crate::bridge::books::parent::Parent;
use crate::bridge::books::passing::Owner;
use crate::bridge::books::session_names::Name;
use crate::bridge::books::whose::Meaning;
use crate::bridge::channels::{backpressure, handshake, waiting};
use crate::bridge::id::{ChannelId, ClientId, QuestionId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::{answer, compose, dropped, send, translate};
use crate::bridge::reason::DropReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::routing::{
    cancel_request, fanout, held, parked, pass_on, passthrough, session_list, stored_sessions,
    stray_lines,
};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::{
    attach, cancel, close, heartbeat, join, open, question_end, setting, turn,
};
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Glimpse, Malformed, Method, Token};

/// Handles a line of a client.
pub fn frame(step: &mut Step<'_>, client: ClientId, frame: Result<Frame, Malformed>) {
    // The end of the connection may be reported before its last lines.
    let Some(row) = step.books.client(client) else { return };
    if row.parent != row.parent.after_line() {
        step.books.set_parent(client, Parent::after_line);
    }
    let frame = match frame {
        Ok(frame) => frame,
        Err(malformed) => return bad_line(step, client, malformed),
    };
    let passthrough_pool = step.books.passthrough_pool(client);
    match frame.kind {
        FrameKind::Success | FrameKind::Failure => {
            question_end::answered(step, client, &frame.with_result());
        }
        FrameKind::Notification if frame.method == Method::CancelRequest => {
            cancel_request::by_client(step, client, &frame);
        }
        FrameKind::Request if step.books.is_ending() => {
            let failure = step.books.client(client).and_then(Client::failure).cloned();
            let refusal = failure.unwrap_or(Refusal::ShuttingDown);
            answer::refuse(step, client, &frame, &refusal);
        }
        FrameKind::Request if frame.method == Method::Initialize => {
            handshake::by_client(step, client, &frame);
        }
        _ if step.books.has_initialize_open(client) => held::hold(step, client, &frame),
        _ if !step.books.client(client).is_some_and(Client::is_introduced) => {
            if frame.kind == FrameKind::Request {
                answer::refuse(step, client, &frame, &Refusal::BeforeInitialize);
            } else {
                dropped::of_client(step, client, &frame, DropReason::BeforeInitialize);
            }
        }
        FrameKind::Request
            if step.books.has_too_many_requests(client) && !ends_session(step, client, &frame) =>
        {
            answer::refuse(step, client, &frame, &Refusal::TooManyRequests);
        }
        _ if passthrough_pool.is_some() => {
            passthrough::to_agent(step, client, passthrough_pool, &frame);
        }
        FrameKind::Request => {
            let named = step.books.meaning_in(client, &frame);
            if frame.method == Method::SessionClose {
                parked::end_waiting(step, client, named, &frame);
            }
            if must_wait(step, client, named, &frame) {
                let behind = parked::behind(step, client, named, &frame);
                held::behind_open(step, client, behind, &frame);
            } else {
                request(step, client, named, &frame);
            }
        }
        FrameKind::Notification => notification(step, client, &frame),
    }
}

/// Whether a request is the close of a live session: it is never refused, because it makes
/// room, and there is one for each session at most.
fn ends_session(step: &Step<'_>, client: ClientId, frame: &Frame) -> bool {
    frame.method == Method::SessionClose
        && matches!(step.books.meaning_in(client, frame), Some(Meaning::Session(_)))
}

/// Whether a request is handled only when an open of the session that it names is over, or a
/// request that waits for that: without a bridge the agent reads it behind them.
fn must_wait(step: &Step<'_>, client: ClientId, named: Option<Meaning>, frame: &Frame) -> bool {
    #[cfg(feature = "seeded-bugs")]
    if seeded::is(seeded::Bug::CloseBehindOpen) && frame.method == Method::SessionClose {
        return false;
    }
    step.books.is_behind_held(client, frame, None)
        || step.books.is_behind_open(client, named, frame)
}

/// Handles a request of a client that waits for nothing any more. `named`: the meaning of
/// the session id in it.
pub fn request(step: &mut Step<'_>, client: ClientId, named: Option<Meaning>, frame: &Frame) {
    let now = step.now;
    if let Some(Meaning::Parked(key)) = named
        && parked::request(step, client, key, frame)
    {
        return;
    }
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
    step.books.part(client, frame);
    match frame.method {
        Method::SessionClose => match named {
            Some(Meaning::Passing(key)) => pass_on::about_passing_id(step, client, key, frame),
            Some(Meaning::Unknown) => pass_on::about_unknown_id(step, client, frame),
            _ => close::by_client(step, client, frame),
        },
        Method::SessionPrompt | Method::SessionSetMode | Method::SessionSetConfigOption => {
            in_session(step, client, named, frame);
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
        Method::SessionList => session_list::by_client(step, client, frame),
        Method::Authenticate | Method::AuthLogin => {
            let to_repeat = Box::new(frame.detached());
            step.books.wait_for_channel(client, Purpose::Login(to_repeat), frame, now);
        }
        Method::Logout
        | Method::AuthLogout
        | Method::ProvidersList
        | Method::ProvidersSet
        | Method::ProvidersDisable => fanout::begin(step, client, frame),
        Method::AuthStatus => {
            let purpose = Purpose::WithoutSession { unknown: false };
            step.books.wait_for_channel(client, purpose, frame, now);
        }
        Method::BridgeAttach => join::by_attach(step, client, frame),
        Method::BridgeDetach => attach::detach(step, client, frame),
        Method::BridgeHeartbeat => heartbeat::beat(step, client, frame),
        _ if frame.method_name().starts_with("_drawbridge/") => {
            let method = frame.method_name().into_owned();
            answer::refuse(step, client, frame, &Refusal::NoRoute { method });
        }
        _ if named.is_some() => in_session(step, client, named, frame),
        _ => without_session(step, client, frame),
    }
}

/// Handles a request in a session: a prompt, a setting, or one of an unknown method.
fn in_session(step: &mut Step<'_>, client: ClientId, named: Option<Meaning>, frame: &Frame) {
    let id = || frame.session().unwrap_or_default().into();
    let refusal = match named {
        Some(Meaning::Session(key)) if step.books.does_not_read_in(key) => {
            return backpressure::refuse(step, client, frame);
        }
        Some(Meaning::Session(key)) if frame.method == Method::SessionPrompt => {
            return turn::prompt(step, client, key, frame);
        }
        Some(Meaning::Session(key)) => {
            step.books.mark_seen(key, step.now);
            let name = Name::Session(key);
            send::named(step, client, name, setting::purpose(frame), frame);
            return;
        }
        Some(Meaning::Passing(key)) => {
            return pass_on::about_passing_id(step, client, key, frame);
        }
        Some(Meaning::Unknown) => return pass_on::about_unknown_id(step, client, frame),
        // The agent may know a session that is not open any more.
        Some(Meaning::Ended(_)) if frame.method == Method::Other && !is_setting(frame) => {
            return pass_on::about_unknown_id(step, client, frame);
        }
        Some(Meaning::Ended(reason) | Meaning::OfOthers(_, Some(reason))) => {
            Refusal::SessionEnded { id: id(), reason }
        }
        Some(
            Meaning::OfOthers(_, None)
            | Meaning::Opening(_)
            | Meaning::Parked(_)
            | Meaning::ParkedOfOthers,
        ) => Refusal::UnknownSession { id: id() },
        None => Refusal::MissingField { field: "sessionId" },
    };
    answer::refuse(step, client, frame, &refusal);
}

/// Whether a request changes a setting of a session, by a method that may be unknown.
fn is_setting(frame: &Frame) -> bool {
    frame.method_name().starts_with("session/set_")
}

/// Handles a request of an unknown method without a session. A handle in it decides which
/// agent gets it.
fn without_session(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let holder = step.books.channel_of_handle(client, frame);
    let is_open = |id: &ChannelId| step.books.channel(*id).is_some_and(|row| row.is_open());
    let holder = holder.filter(is_open);
    if holder.is_some_and(|channel| step.books.does_not_read(channel)) {
        return backpressure::refuse(step, client, frame);
    }
    let purpose = Purpose::WithoutSession { unknown: true };
    let call = step.books.wait_for_channel(client, purpose, frame, step.now);
    if let (Some(id), Some(channel)) = (call, holder) {
        step.books.move_call(id, Some(channel));
        waiting::send_when_ready(step, id);
    }
}

fn notification(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    if frame.method == Method::BridgeHeartbeat {
        return heartbeat::beat(step, client, frame);
    }
    if frame.method_name().starts_with("_drawbridge/") {
        return dropped::of_client(step, client, frame, DropReason::OfBridge);
    }
    let Some(id) = frame.session() else { return notification_to_all(step, client, frame) };
    let is_cancel = frame.method == Method::SessionCancel;
    match step.books.meaning(client, &id) {
        Meaning::Session(key) if is_cancel => {
            step.books.mark_seen(key, step.now);
            held::cancel_prompts(step, client, &id);
            cancel::by_client(step, client, key, frame);
        }
        Meaning::Session(key) => {
            step.books.mark_seen(key, step.now);
            let channel = step.books.session(key).map(|row| row.channel);
            notification_about(step, client, Name::Session(key), channel, frame);
        }
        Meaning::Passing(key) => {
            let row = step.books.passing(key);
            let (channel, owner) = (row.map(|row| row.channel), row.map(|row| row.owner));
            if let Some(Owner::Session(parent)) = owner {
                step.books.mark_seen(parent, step.now);
            }
            notification_about(step, client, Name::Passing(key), channel, frame);
            if is_cancel {
                cancel::of_passing_id(step, client, key);
            }
        }
        Meaning::Opening(open) => {
            if is_cancel {
                held::cancel_prompts(step, client, &id);
            }
            let sent = step.books.call(open).filter(|call| call.is_sent());
            let source = sent.and_then(|_| step.books.agent_id_of_open(open, &id));
            let channel = sent.and_then(|call| call.channel);
            match channel.zip(source) {
                Some((channel, source)) => pass(step, client, channel, Some(&source), frame),
                None => dropped::of_client(step, client, frame, DropReason::NoReceiver),
            }
        }
        Meaning::Parked(_) => {
            if is_cancel {
                held::cancel_prompts(step, client, &id);
            }
            dropped::of_client(step, client, frame, DropReason::NoReceiver);
        }
        Meaning::ParkedOfOthers => dropped::of_client(step, client, frame, DropReason::OfOthers),
        Meaning::Ended(_) if is_cancel => {
            dropped::of_client(step, client, frame, DropReason::Ended);
        }
        Meaning::Ended(_) | Meaning::Unknown => pass_on::notification(step, client, frame),
        Meaning::OfOthers(..) => dropped::of_client(step, client, frame, DropReason::OfOthers),
    }
}

fn notification_about(
    step: &mut Step<'_>,
    client: ClientId,
    name: Name,
    channel: Option<ChannelId>,
    frame: &Frame,
) {
    let Some(channel) = channel else { return step.books.absent(client) };
    let agent_id: Option<Box<str>> = step.books.agent_id(name).map(Into::into);
    pass(step, client, channel, agent_id.as_deref(), frame);
}

/// Passes a notification without a session on: to the agent that has the handle in it,
/// otherwise to every agent that the client uses.
fn notification_to_all(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let channels = match step.books.channel_of_handle(client, frame) {
        Some(channel) => vec![channel],
        None => step.books.channels_used_by(client),
    };
    if channels.is_empty() {
        dropped::of_client(step, client, frame, DropReason::NoReceiver);
    }
    for channel in channels {
        pass(step, client, channel, None, frame);
    }
}

fn pass(
    step: &mut Step<'_>,
    client: ClientId,
    channel: ChannelId,
    agent_id: Option<&str>,
    frame: &Frame,
) {
    if !step.books.channel(channel).is_some_and(|row| row.is_open()) {
        return dropped::of_client(step, client, frame, DropReason::NoReceiver);
    }
    let outgoing = translate::for_agent(step.books, channel, Some(client), frame, None, agent_id);
    send::pass_notification(step, channel, (client, frame), outgoing);
}

fn bad_line(step: &mut Step<'_>, client: ClientId, malformed: Malformed) {
    let null = Token::new(b"null");
    let (glimpse, request, answer) = match malformed {
        Malformed::NotJson { is_unicode, glimpse, .. } => {
            let fault = stray_lines::fault(is_unicode);
            (glimpse, Refusal::NotJson, Refusal::AnswerUnreadable { fault })
        }
        Malformed::TooLong { length, glimpse } => {
            step.outgoing.counters.overlong_lines += 1;
            step.publish(Notice::OverlongLine { from: client.to_string(), length });
            (glimpse, Refusal::TooLong { length }, Refusal::AnswerTooLong { length })
        }
        Malformed::Batch => return answer::refuse_line(step, client, &null, &Refusal::Batch),
        Malformed::NotMessage { id } => {
            return answer::refuse_line(step, client, &id.unwrap_or(null), &Refusal::NotMessage);
        }
    };
    match (glimpse, &request) {
        (Glimpse::Request(id), _) => answer::refuse_line(step, client, &id, &request),
        // The line may be the answer to a question: then the agent gets an error instead.
        (Glimpse::Answer(id), _) if fail_question(step, client, &id, &answer) => {}
        // Under its id a request of the client might be meant that is open.
        (Glimpse::Answer(_) | Glimpse::Nothing, Refusal::NotJson) => {
            answer::refuse_line(step, client, &null, &request);
        }
        _ => {}
    }
}

/// Fails the question with this id, if the client has one; says whether it has.
fn fail_question(step: &mut Step<'_>, client: ClientId, id: &Token, refusal: &Refusal) -> bool {
    let Some(frame) = compose::missing_answer(id, refusal) else { return false };
    let is_asked = frame.number().is_some_and(|id| {
        step.books.question(QuestionId(id)).is_some_and(|row| row.asked.contains(&client))
    });
    if is_asked {
        question_end::answered(step, client, &frame);
    }
    is_asked
}
