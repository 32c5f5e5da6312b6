//! How a question ends: by an answer, by a client that leaves, by its limit, or
//! because its agent or the bridge withdraws it.

use bytes::Bytes;

use crate::bridge::books::handles::HandleKind;
use crate::bridge::books::question::Question;
use crate::bridge::id::{CallId, ChannelId, ClientId, QuestionId, SessionKey};
use crate::bridge::outgoing::translate::{Edit, with_request_id};
use crate::bridge::outgoing::{compose, deliver, dropped, send, translate};
use crate::bridge::reason::DropReason;
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::question;
use crate::bridge::sessions::question::may_wait;
use crate::bridge::step::Step;
use crate::bridge::time::spelled;
use crate::wire::json::quoted;
use crate::wire::{Frame, FrameKind, Method, Token, json};

/// The most letters of a question that are quoted.
const LONGEST_TITLE: usize = 200;

/// Handles a client's answer to a question.
pub fn answered(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let id = frame.number().map(QuestionId);
    let open = id.filter(|id| {
        step.books.question(*id).is_some_and(|question| question.asked.contains(&client))
    });
    let Some(id) = open else {
        return dropped::of_client(step, client, frame, DropReason::StrayAnswer);
    };
    let Some(question) = step.books.question(id) else { return step.books.absent(id) };
    let unreadable = || {
        // An empty answer to a permission permits nothing and refuses nothing.
        let fault = Refusal::AnswerUnreadable { fault: "chooses no option" };
        compose::missing_answer(&Token::number(id.0), &fault)
    };
    let is_empty = question.method == Method::RequestPermission
        && frame.kind == FrameKind::Success
        && frame.body_bytes().as_ref() == b"null";
    if is_empty && let Some(error) = unreadable() {
        return take_from_one(step, id, client, Some(&error));
    }
    if question.asked.len() > 1 && !is_decisive(question, frame) {
        // Other clients were asked, too: this answer only says that its client cannot.
        return take_from_one(step, id, client, Some(frame));
    }
    settle_question(step, id, Some(client), frame);
}

/// Handles that a call is over: the questions that belong to it are withdrawn.
pub fn of_call(step: &mut Step<'_>, channel: ChannelId, call: CallId) {
    #[cfg(feature = "seeded-bugs")]
    if seeded::is(seeded::Bug::KeepElicitation) {
        return;
    }
    // The channel may have exited in this step.
    let Some(row) = step.books.channel(channel) else { return };
    let open: Vec<QuestionId> = row.questions.iter().copied().collect();
    for id in open {
        if step.books.question(id).is_some_and(|question| question.call == Some(call)) {
            withdraw(step, id);
        }
    }
}

/// Gives the agent the answer, and withdraws the question from all clients but the winner.
fn settle_question(step: &mut Step<'_>, id: QuestionId, winner: Option<ClientId>, answer: &Frame) {
    let now = step.now;
    let Some(question) = step.books.take_question(id) else { return step.books.absent(id) };
    for client in &question.asked {
        if Some(*client) != winner {
            step.send_to_client(*client, question.channel, compose::cancel_request(id.0));
        }
    }
    let edit = winner.and_then(|client| bind_made(step, &question, client, answer));
    let token = Some(question.token.clone());
    let outgoing = translate::edited(answer, token, edit.into_iter().collect());
    step.send_to_channel(question.channel, outgoing);
    forget_ended(step, &question, answer);
    if let Some(session) = question.session.and_then(|key| step.books.session_mut(key)) {
        session.last_seen = now;
    }
}

/// Binds the handle that a client has made in its answer; returns where the agent gets
/// another id for it.
fn bind_made(
    step: &mut Step<'_>,
    question: &Question,
    client: ClientId,
    answer: &Frame,
) -> Option<Edit> {
    let (member, kind) = match question.method {
        Method::TerminalCreate => ("terminalId", HandleKind::Terminal),
        Method::McpConnect => ("connectionId", HandleKind::Connection),
        _ => return None,
    };
    let place = answer.find(&[member]).filter(|_| answer.kind == FrameKind::Success)?;
    let made = json::text(answer.bytes(), place)?;
    let row = step.books.channel_in_passing(question.channel)?;
    let for_agent = row.handles.bind_of_client(kind, client, &made);
    (*for_agent != *made).then(|| (place, Bytes::from(quoted(&for_agent))))
}

/// Forgets the handle of a terminal or connection that the agent has ended.
fn forget_ended(step: &mut Step<'_>, question: &Question, answer: &Frame) {
    let (member, kind) = match question.method {
        Method::TerminalRelease => ("terminalId", HandleKind::Terminal),
        Method::McpDisconnect => ("connectionId", HandleKind::Connection),
        _ => return,
    };
    let named = question.frame.find_text(&[member]).filter(|_| answer.kind == FrameKind::Success);
    if let (Some(id), Some(row)) = (named, step.books.channel_in_passing(question.channel)) {
        row.handles.forget(kind, &id);
    }
}

/// Takes a client out of a question that it cannot or will not answer. If it was the last
/// one asked, the agent gets the last error that a client gave; without one, other
/// clients are asked, or the question waits or is withdrawn.
fn take_from_one(step: &mut Step<'_>, id: QuestionId, client: ClientId, error: Option<&Frame>) {
    let now = step.now;
    step.books.unask_client(id, client);
    let Some(question) = step.books.question_mut(id) else { return step.books.absent(id) };
    if let Some(error) = error {
        question.last_error = Some(error.detached());
        question.erred.push(client);
    }
    if !question.asked.is_empty() {
        return;
    }
    let Some(question) = step.books.question(id) else { return step.books.absent(id) };
    // What belongs to a request of the client is for no other.
    let session = question.session.filter(|_| question.call.is_none());
    let session = session.and_then(|key| step.books.session(key));
    let others: Vec<ClientId> = session.map_or_else(Vec::new, |session| {
        let asked = step.books.whom_to_ask(session, &question.frame);
        asked.into_iter().filter(|other| *other != client).collect()
    });
    if let Some(error) = question.last_error.clone() {
        return settle_question(step, id, None, &error);
    }
    let can_wait = question.session.is_some() && may_wait(question.method);
    if others.is_empty() && !can_wait {
        return withdraw(step, id);
    }
    if let Some(question) = step.books.question_mut(id) {
        question.alone_since = others.is_empty().then_some(now);
    }
    question::ask_these(step, id, others);
}

/// Takes a client that leaves out of its questions: of one session, or, with `None`, of
/// all, because it is gone.
pub fn take_from_client(step: &mut Step<'_>, client: ClientId, session: Option<SessionKey>) {
    let Some(row) = step.books.client(client) else { return step.books.absent(client) };
    let open: Vec<QuestionId> = row.questions.iter().copied().collect();
    for id in open {
        let Some(question) = step.books.question(id) else { continue };
        let channel = question.channel;
        if session.is_none() || question.session == session {
            if session.is_some() {
                step.send_to_client(client, channel, compose::cancel_request(id.0));
            }
            take_from_one(step, id, client, None);
        }
    }
}

/// Withdraws a question that was not answered in time.
pub fn timed_out(step: &mut Step<'_>, id: QuestionId) {
    let now = step.now;
    let Some(question) = step.books.question(id) else { return step.books.absent(id) };
    let (channel, session) = (question.channel, question.session);
    let was_cancelled = question.cancelled.is_some();
    let is_permission = question.method == Method::RequestPermission;
    if let Some(key) = session.filter(|_| !was_cancelled) {
        tell_why(step, key, id);
    }
    withdraw(step, id);
    // The agent goes on now, so the idle time of the session starts again.
    if let Some(session) = session.and_then(|key| step.books.session_mut(key)) {
        session.last_seen = now;
    }
    // The agent was told that the permission is cancelled: cancelling the turn makes
    // that true.
    if is_permission
        && !was_cancelled
        && let Some(session) = session.and_then(|key| step.books.session(key))
    {
        let agent_id = session.agent_id.clone();
        send::cancel_turn(step, channel, &agent_id);
    }
}

/// Tells those who watch a session, and those who come later, that a question to the person was
/// cancelled because nobody was there to answer it.
fn tell_why(step: &mut Step<'_>, key: SessionKey, id: QuestionId) {
    let Some(question) = step.books.question(id) else { return step.books.absent(id) };
    if question.call.is_some() {
        // A question within a request of one client is for no other.
        return;
    }
    let frame = &question.frame;
    let (what, title) = match question.method {
        Method::RequestPermission => ("permission", frame.find_text(&["toolCall", "title"])),
        Method::ElicitationCreate => ("input", frame.find_text(&["message"])),
        _ => return,
    };
    let title = title.filter(|title| !title.is_empty()).map(|title| {
        let shown: String = title.chars().take(LONGEST_TITLE).collect();
        let rest = if shown.len() < title.len() { "…" } else { "" };
        format!(" (“{shown}{rest}”)")
    });
    let title = title.unwrap_or_default();
    let since = spelled(question.alone_since.map_or(0, |since| step.now.since(since)));
    let text = format!(
        "for {since} nobody was here who could answer the agent's request for {what}{title}, \
         and it was cancelled"
    );
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let remark = compose::remark(&session.agent_id, &text);
    deliver::own_update(step, key, &remark, None);
}

/// Handles an agent's `$/cancel_request`: the clients that were asked get it, too; if
/// there are none, the question ends.
pub fn withdrawn_by_agent(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    // The notification names no request.
    let Some((token, _)) = frame.request() else { return };
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let found = row
        .questions
        .iter()
        .copied()
        .find(|id| step.books.question(*id).is_some_and(|question| question.token == token));
    let Some(id) = found else {
        return dropped::of_agent(step, channel, frame, DropReason::UnknownRequest);
    };
    let Some(question) = step.books.question_mut(id) else { return step.books.absent(id) };
    question.is_recalled = true;
    let asked = question.asked.clone();
    for client in &asked {
        step.send_to_client(*client, channel, with_request_id(frame, id.0));
    }
    if asked.is_empty()
        && let Some(question) = step.books.take_question(id)
    {
        let answer = compose::failure(&question.token, &Refusal::Cancelled);
        step.send_to_channel(question.channel, answer);
    }
}

/// Whether an answer settles a question that several clients were asked. It must be a
/// result, or the error "cancelled" after the agent has withdrawn the question; for a
/// permission it must choose an offered option, or, while the turn is
/// being cancelled, none.
fn is_decisive(question: &Question, answer: &Frame) -> bool {
    if answer.kind != FrameKind::Success {
        return question.is_recalled && answer.error_code() == Some(-32800);
    }
    if question.method != Method::RequestPermission {
        return true;
    }
    match answer.find_text(&["outcome", "optionId"]) {
        Some(chosen) => {
            let text = question.frame.bytes();
            let options = question.frame.find(&["options"]);
            options.is_some_and(|options| {
                json::elements(text, options).into_iter().any(|option| {
                    json::find(text, option, &["optionId"])
                        .is_some_and(|id| json::is(text, id, &chosen))
                })
            })
        }
        None => question.cancelled.is_some(),
    }
}

/// Ends a question without a client's answer: the agent gets the result that ends
/// such a question, or an error, and the clients that were asked get `$/cancel_request`,
/// but not the one that has cancelled the turn itself: it knows.
pub fn withdraw(step: &mut Step<'_>, id: QuestionId) {
    let Some(question) = step.books.take_question(id) else { return step.books.absent(id) };
    let knows = question.cancelled.map(|(_, client)| client);
    for client in question.asked.iter().filter(|client| Some(**client) != knows) {
        step.send_to_client(*client, question.channel, compose::cancel_request(id.0));
    }
    let answer = match Question::withdrawal(question.method) {
        Some(result) => compose::success(&question.token, &result),
        None => compose::failure(&question.token, &Refusal::Cancelled),
    };
    step.send_to_channel(question.channel, answer);
}
