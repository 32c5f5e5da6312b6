//! Questions: requests of agents to clients.
//!
//! A permission goes to the client whose prompt runs, or to all; everything
//! else to exactly one client. If there is no client to ask, a permission, an
//! elicitation or a file access waits for one, within a limit. The bridge never
//! says "allow" by itself.

use crate::bridge::books::call::{Asker, Question};
use crate::bridge::books::client::MAX_PENDING;
use crate::bridge::books::session::Audience;
use crate::bridge::id::{CallId, ChannelId, ClientId, QuestionId, SessionKey};
use crate::bridge::outgoing::compose;
use crate::bridge::outgoing::translate::{question_for_client, with_request_id};
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::step::Step;
use crate::wire::{Frame, Method, Token};

/// Refuses a request of an agent that no client shall see; says whether it did.
pub fn refused(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) -> bool {
    let Some(row) = step.books.channel(channel) else {
        step.books.absent(channel);
        return true;
    };
    // An agent that is being stopped may wait for an answer before it can leave.
    if row.is_stopping() {
        turn_away(step, channel, frame, &Refusal::Cancelled);
        return true;
    }
    let is_full = row.questions.len() >= MAX_PENDING;
    if is_full {
        turn_away(step, channel, frame, &Refusal::TooManyRequests);
    }
    is_full
}

/// Puts a request of an agent to the clients that it is for, or refuses it.
pub fn asked(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let Some(named) = frame.session() else {
        return ask_without_session(step, channel, frame);
    };
    if let Some(key) = row.names.get(&named) {
        return ask_in_session(step, channel, key, frame);
    }
    let is_buried = row.tombstones.contains(&named);
    let opening = step.books.open_in_flight(channel, Some(&named)).filter(|id| {
        let call = step.books.call(*id);
        let restores = call.and_then(|call| call.opening()?.restores());
        !is_buried || restores == Some(&*named)
    });
    let opener = opening.and_then(|id| step.books.call(id)).and_then(|call| call.client());
    match opener {
        Some(client) => {
            #[cfg(feature = "seeded-bugs")]
            if seeded::is(seeded::Bug::HoldEarlyRequest) {
                if let Some(row) = step.books.channel_mut(channel) {
                    row.early.hold(&named, frame);
                }
                return;
            }
            let id = named.into_owned().into_boxed_str();
            ask(step, channel, None, Some(id), frame, vec![client]);
        }
        None => {
            let id = named.into_owned();
            turn_away(step, channel, frame, &Refusal::UnknownSession { id });
        }
    }
}

/// Refuses a request of an agent that no client will see.
fn turn_away(step: &mut Step<'_>, channel: ChannelId, frame: &Frame, refusal: &Refusal) {
    step.outgoing.counters.refused += 1;
    let answer = match Question::withdrawal(frame.method) {
        Some(result) => compose::success(&frame.id(), &result),
        None => compose::failure(&frame.id(), refusal),
    };
    step.send_to_channel(channel, answer);
}

fn ask_in_session(step: &mut Step<'_>, channel: ChannelId, key: SessionKey, frame: &Frame) {
    let now = step.now;
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    session.last_seen = now;
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let asked = step.books.whom_to_ask(session, frame.method);
    // A client that left on purpose does not come back to answer.
    let is_left = session.audience == Audience::Left;
    if is_left || (asked.is_empty() && !may_wait(frame.method)) {
        let method = frame.method_name().into_owned();
        return turn_away(step, channel, frame, &Refusal::NobodyToAsk { method });
    }
    ask(step, channel, Some(key), None, frame, asked);
}

fn ask_without_session(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    let now = step.now;
    // An elicitation may belong to a request of a client instead of a session.
    if let Some((request, _)) = frame.request()
        && frame.method == Method::ElicitationCreate
    {
        let number = std::str::from_utf8(request.as_bytes()).ok().and_then(|id| id.parse().ok());
        let call = number.and_then(|id| step.books.calls().get(&CallId(id)));
        let asker = call.filter(|call| call.channel == Some(channel)).map(|call| &call.asker);
        return match asker {
            Some(Asker::Client(client, token)) => {
                let (client, token) = (*client, token.clone());
                let question = Question::new(channel, frame, vec![client], now);
                let id = step.books.add_question(question);
                let number = Some(Token::number(id.0));
                step.send_to_client(client, with_request_id(frame, number, token.as_bytes()));
            }
            _ => turn_away(step, channel, frame, &Refusal::Cancelled),
        };
    }
    match step.books.client_behind(channel) {
        Some(client) => ask(step, channel, None, None, frame, vec![client]),
        None => {
            let method = frame.method_name().into_owned();
            turn_away(step, channel, frame, &Refusal::NobodyToAsk { method });
        }
    }
}

fn ask(
    step: &mut Step<'_>,
    channel: ChannelId,
    session: Option<SessionKey>,
    opening: Option<Box<str>>,
    frame: &Frame,
    asked: Vec<ClientId>,
) {
    let now = step.now;
    let mut question = Question::new(channel, frame, asked.clone(), now);
    question.session = session;
    question.opening = opening;
    let id = step.books.add_question(question);
    for client in asked {
        show(step, id, client);
    }
}

/// Sends an open question to a client that is among those asked.
fn show(step: &mut Step<'_>, id: QuestionId, client: ClientId) {
    let Some(question) = step.books.question(id) else { return step.books.absent(id) };
    let number = Token::number(id.0);
    let session = question.session.and_then(|key| step.books.session(key));
    let outgoing = match session {
        Some(session) => question_for_client(session, &question.frame, number),
        None => question.frame.with_id(number),
    };
    step.send_to_client(client, outgoing);
}

/// Puts a question to these clients, too.
pub fn ask_these(step: &mut Step<'_>, id: QuestionId, clients: Vec<ClientId>) {
    for client in clients {
        if step.books.ask_client(id, client) {
            show(step, id, client);
        }
    }
}

/// Whether a question in a session waits while there is no client to answer it.
pub fn may_wait(method: Method) -> bool {
    matches!(
        method,
        Method::RequestPermission | Method::ElicitationCreate | Method::FsRead | Method::FsWrite
    )
}
