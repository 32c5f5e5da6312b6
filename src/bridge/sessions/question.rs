//! Questions: requests of agents to clients.
//!
//! A permission goes to the client whose prompt runs, or to all; everything
//! else to exactly one client. If there is no client to ask, a permission, an
//! elicitation or a file access waits for one, within a limit. The bridge never
//! says "allow" by itself.

use crate::bridge::books::addressee::Addressee;
use crate::bridge::books::channel::Said;
use crate::bridge::books::client::MAX_PENDING;
use crate::bridge::books::early_frames::MAX_EARLY_SESSIONS;
use crate::bridge::books::handles::{Handle, HandleKind};
use crate::bridge::books::passing::Owner;
use crate::bridge::books::question::Question;
use crate::bridge::books::session_names::Name;
use crate::bridge::config::PermissionPolicy;
use crate::bridge::id::{CallId, ChannelId, ClientId, QuestionId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::{compose, dropped, passing_ids, translate};
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
    // Nobody but the bridge speaks for the bridge.
    if frame.method_name().starts_with("_drawbridge/") {
        let method = frame.method_name().into_owned();
        turn_away(step, channel, frame, &Refusal::NoRoute { method });
        return true;
    }
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
    match step.books.addressee(channel, frame) {
        Addressee::Named(name) => ask_about(step, channel, name, frame),
        Addressee::Opening(open) => ask_within_open(step, channel, open, frame),
        Addressee::Request(call) => ask_within_request(step, channel, call, frame),
        Addressee::Client(client) => ask_one(step, channel, client, frame),
        Addressee::Closed => {
            let id = frame.session().unwrap_or_default().into();
            turn_away(step, channel, frame, &Refusal::UnknownSession { id });
        }
        Addressee::Everyone | Addressee::Nobody => {
            let method = frame.method_name().into_owned();
            no_addressee(step, channel, frame);
            turn_away(step, channel, frame, &Refusal::NobodyToAsk { method });
        }
    }
}

/// Warns, once for each channel, that a message of its agent has no addressee although
/// several clients are there.
pub fn no_addressee(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    if step.books.clients_of(channel).len() > 1 && step.books.say_once(channel, Said::NoAddressee) {
        let method = frame.method_name().into_owned();
        step.publish(Notice::NoAddressee { channel, method });
    }
}

/// Refuses a request of an agent that no client will see.
fn turn_away(step: &mut Step<'_>, channel: ChannelId, frame: &Frame, refusal: &Refusal) {
    dropped::refused(step, &channel, &frame.method_name(), &frame.id(), refusal);
    let answer = match Question::withdrawal(frame.method) {
        Some(result) => compose::success(&frame.id(), &result),
        None => compose::failure(&frame.id(), refusal),
    };
    step.send_to_channel(channel, answer);
}

/// Asks about what the question names.
fn ask_about(step: &mut Step<'_>, channel: ChannelId, name: Name, frame: &Frame) {
    match name {
        Name::Session(key) => ask_in_session(step, channel, key, frame),
        Name::Passing(key) => {
            let Some(row) = step.books.hear_passing(key) else { return step.books.absent(key) };
            match row.owner {
                Owner::Session(parent) => ask_in_session(step, channel, parent, frame),
                Owner::Client(client) => {
                    ask(step, Question::new(channel, frame, vec![client], step.now));
                }
            }
        }
    }
}

fn ask_in_session(step: &mut Step<'_>, channel: ChannelId, key: SessionKey, frame: &Frame) {
    let now = step.now;
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    (session.last_seen, session.heard_at) = (now, now);
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let asked = step.books.whom_to_ask(session, frame);
    // A client that left on purpose does not come back to answer. One that is there and cannot
    // answer will not be able to later, but one that merely watches a turn may come to take part.
    let is_left = session.was_left();
    let can_wait = frame.method == Method::RequestPermission
        || (may_wait(frame.method) && session.clients().is_empty());
    if is_left || (asked.is_empty() && !can_wait) {
        let method = frame.method_name().into_owned();
        return turn_away(step, channel, frame, &Refusal::NobodyToAsk { method });
    }
    ask(step, Question { session: Some(key), ..Question::new(channel, frame, asked, now) });
}

/// Asks the client of an open about the session that is being opened, under the public id
/// that the session will have.
fn ask_within_open(step: &mut Step<'_>, channel: ChannelId, open: CallId, frame: &Frame) {
    let Some(call) = step.books.call(open) else { return step.books.absent(open) };
    let (Some(opening), Some(named)) = (call.opening(), frame.session()) else {
        return step.books.absent(open);
    };
    let Some(client) = call.client() else {
        // The client that opens the session is gone.
        return turn_away(step, channel, frame, &Refusal::Cancelled);
    };
    #[cfg(feature = "seeded-bugs")]
    if seeded::is(seeded::Bug::HoldEarlyRequest) {
        if let Some(row) = step.books.channel_mut(channel) {
            row.early.hold(&named, frame, None);
        }
        return;
    }
    let public = step.books.public_id(call.agent, channel, opening, &named);
    let (named, is_new): (Box<str>, _) = (named.into(), opening.restores().is_none());
    if let Some(row) = step.books.channel_in_passing(channel)
        && row.expected.len() < MAX_EARLY_SESSIONS
    {
        row.expected.insert(named.clone(), public);
        if is_new {
            row.early.bind(&named, client);
        }
    }
    let question = Question::new(channel, frame, vec![client], step.now);
    ask(step, Question { opening: Some(named), ..question });
}

/// Asks about the request that an elicitation names. It ends with that request.
fn ask_within_request(step: &mut Step<'_>, channel: ChannelId, id: CallId, frame: &Frame) {
    let Some((client, _)) = step.books.asker_on(channel, id) else {
        return turn_away(step, channel, frame, &Refusal::Cancelled);
    };
    let session = step.books.call(id).and_then(|call| call.session);
    // The request waits in the tombstone of a session that its client has closed.
    if session.is_some_and(|key| step.books.session(key).is_none()) {
        return turn_away(step, channel, frame, &Refusal::SessionClosing);
    }
    let question = Question::new(channel, frame, vec![client], step.now);
    ask(step, Question { session, ..question });
}

/// Asks the one client that the question can be for. What decided that stays bound.
fn ask_one(step: &mut Step<'_>, channel: ChannelId, client: ClientId, frame: &Frame) {
    let passing = frame.session().and_then(|id| passing_ids::bound(step, channel, client, &id));
    if let Some(key) = passing {
        return ask_about(step, channel, Name::Passing(key), frame);
    }
    bind_handles(step, channel, client, frame);
    ask_client(step, channel, client, frame);
}

fn ask_client(step: &mut Step<'_>, channel: ChannelId, client: ClientId, frame: &Frame) {
    ask(step, Question::new(channel, frame, vec![client], step.now));
}

/// The request of a client that an elicitation belongs to because it names it, and the id to
/// put in place of the one in it. The number of a request that is over, or of a client that is
/// not asked, would mean another one on the client's wire.
fn request_in(step: &Step<'_>, question: &Question) -> (Option<CallId>, Option<Token>) {
    let (channel, frame) = (question.channel, &question.frame);
    let named = step.books.request_named(channel, frame);
    if let Some(call) = named
        && let Some((client, token)) = step.books.asker_on(channel, call)
        && question.asked.contains(&client)
    {
        return (Some(call), Some(token.cloned().unwrap_or_else(|| Token::new(b"null"))));
    }
    let number = frame.request().and_then(|(id, _)| id.as_number());
    let is_past = frame.method == Method::ElicitationCreate
        && number.is_some_and(|number| step.books.is_past_request(channel, number));
    (None, (is_past || named.is_some()).then(|| Token::new(b"null")))
}

/// Makes the questions that named an id, before it was known what it means, belong to the
/// session that it means now.
pub fn adopt(step: &mut Step<'_>, channel: ChannelId, agent_id: &str) {
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let name = row.names.get(agent_id);
    let session = match name {
        Some(Name::Session(key)) => Some(key),
        Some(Name::Passing(key)) => match step.books.passing(key).map(|row| row.owner) {
            Some(Owner::Session(parent)) => Some(parent),
            Some(Owner::Client(_)) | None => None,
        },
        None => None,
    };
    let is_session = matches!(name, Some(Name::Session(_)));
    let asked: Vec<QuestionId> = row.questions.iter().copied().collect();
    for id in asked {
        let is_its = step.books.question(id).is_some_and(|question| {
            let named = question.frame.session();
            let names_it = question.call.is_none() && named.as_deref() == Some(agent_id);
            let is_free = question.session.is_none() || is_session;
            is_free && (question.opening.as_deref() == Some(agent_id) || names_it)
        });
        if let (true, Some(session)) = (is_its, session) {
            step.books.adopt_question(id, session);
        }
    }
}

/// Asks the client of a passthrough channel. Of what the question says, only the request that
/// an elicitation names is changed.
pub fn of_passthrough(step: &mut Step<'_>, channel: ChannelId, client: ClientId, frame: &Frame) {
    match step.books.request_named(channel, frame) {
        Some(call) => ask_within_request(step, channel, call, frame),
        None => ask_client(step, channel, client, frame),
    }
}

/// Binds the handles in a message of an agent, if they are not bound yet, to the client
/// that gets it.
pub fn bind_handles(step: &mut Step<'_>, channel: ChannelId, client: ClientId, frame: &Frame) {
    for (member, kind) in HandleKind::MEMBERS {
        let Some(id) = frame.find_text(&[member]) else { continue };
        let for_client = step.books.free_handle(client, channel, kind, &id);
        // An elicitation that begins has a new id, whatever had that id before.
        let is_new = kind == HandleKind::Elicitation && frame.method == Method::ElicitationCreate;
        if let Some(row) = step.books.channel_in_passing(channel)
            && (is_new || row.handles.of_agent(kind, &id).is_none())
        {
            row.handles.bind(kind, id.into(), Handle { client, for_client });
        }
    }
}

fn ask(step: &mut Step<'_>, question: Question) {
    let (asked, channel) = (question.asked.clone(), question.channel);
    let (call, request_id) = request_in(step, &question);
    let question = Question { call, request_id, ..question };
    let is_elicitation = question.method == Method::ElicitationCreate;
    if let (true, Some(client)) = (is_elicitation, asked.first()) {
        bind_handles(step, channel, *client, &question.frame);
    }
    let id = step.books.add_question(question);
    for client in asked {
        show(step, id, client);
    }
}

/// Sends an open question to a client that is among those asked.
fn show(step: &mut Step<'_>, id: QuestionId, client: ClientId) {
    let Some(question) = step.books.question(id) else { return step.books.absent(id) };
    let mut edits = translate::client_edits(step.books, question.channel, client, &question.frame);
    if let Some(request) = &question.request_id {
        edits.extend(translate::request_id(&question.frame, request));
    }
    let outgoing = translate::edited(&question.frame, Some(Token::number(id.0)), edits);
    let channel = question.channel;
    step.send_to_client(client, channel, outgoing);
}

/// Puts a question to these clients, too, if they do not have it and have not said that
/// they cannot answer.
pub fn ask_these(step: &mut Step<'_>, id: QuestionId, clients: Vec<ClientId>) {
    for client in clients {
        let has_erred =
            step.books.question(id).is_some_and(|question| question.erred.contains(&client));
        if !has_erred && step.books.ask_client(id, client) {
            show(step, id, client);
        }
    }
}

/// Puts the questions of a session that no client has to one that has come, and where the policy
/// asks all clients for permissions, every open permission.
pub fn ask_newcomer(step: &mut Step<'_>, client: ClientId, key: SessionKey) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let policy = step.books.agent(session.agent).config.permission_policy;
    let open: Vec<QuestionId> = session.questions.iter().copied().collect();
    for id in open {
        let Some(question) = step.books.question(id) else {
            step.books.absent(id);
            continue;
        };
        let for_all =
            question.method == Method::RequestPermission && policy == PermissionPolicy::All;
        let is_able = step
            .books
            .session(key)
            .is_some_and(|session| step.books.may_be_asked(session, client, &question.frame));
        // What belongs to a request of one client is for no other.
        let is_free = question.call.is_none();
        if is_able && is_free && (question.asked.is_empty() || for_all) {
            ask_these(step, id, vec![client]);
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
