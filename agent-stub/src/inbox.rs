//! The lines of the client, and the flags that hold a request back or drop it before
//! it is handled.

use std::sync::Arc;
use std::thread;

use serde_json::Value;

use crate::agent::Agent;
use crate::message::{self, Frame, Request};
use crate::turns::Ending;
use crate::{faults, methods};

/// Handles one line from the client.
pub(crate) fn receive(agent: &Arc<Agent>, line: &[u8]) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    agent.wire.received(&String::from_utf8_lossy(line));
    if agent.manners.silent {
        return;
    }
    let text = str::from_utf8(line).unwrap_or_default();
    match message::parse(text) {
        Frame::Request(request) => {
            if let Some(request) = agent.hold(request) {
                handle(agent, request);
            }
        }
        Frame::Notification { method, params } => notified(agent, method, params),
        Frame::Reply { id, reply } => agent.replied(&id, reply),
        Frame::Broken(fault) => agent.wire.send(&message::error("null", &fault)),
    }
}

/// Handles one request, unless a flag says to exit, to ignore it or to refuse it.
pub(crate) fn handle(agent: &Arc<Agent>, request: Request) {
    let method = request.method.as_str();
    leave_on(agent, method);
    if agent.manners.never.contains(method) {
        return;
    }
    match agent.manners.refuse.get(method).cloned() {
        Some(fault) => agent.answer(&request, Err(fault)),
        None => methods::handle(agent, request),
    }
}

fn leave_on(agent: &Agent, method: &str) {
    if agent.manners.abort_on.contains(method) {
        faults::abort();
    }
    if let Some(code) = agent.manners.exit_on.get(method) {
        agent.wire.exit(*code);
    }
}

fn notified(agent: &Arc<Agent>, method: String, params: Value) {
    leave_on(agent, &method);
    if agent.manners.never.contains(&method) || agent.manners.ignore_cancel {
        return;
    }
    let delay = agent.manners.delay.get(&method).copied();
    let agent = Arc::clone(agent);
    let act = move || match method.as_str() {
        "session/cancel" => {
            let session = message::text(&params["sessionId"]);
            agent.change(|state| state.turns.end_session(&session, &Ending::Cancelled));
        }
        "$/cancel_request" => agent.taken_back(&params["requestId"].to_string()),
        _ => {}
    };
    match delay {
        None => act(),
        Some(delay) => {
            thread::spawn(move || {
                thread::sleep(delay);
                act();
            });
        }
    }
}
