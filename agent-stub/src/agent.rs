//! The agent: what all threads share, and how they wait, ask and answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::manners::Manners;
use crate::message::{self, Fault, Reply, Request};
use crate::store::Store;
use crate::suggesting::Suggesting;
use crate::turns::Turns;
use crate::wire::{Wire, lock};

/// The outcome of a request: the result as JSON as it is to be sent, or an error.
pub(crate) type Outcome = Result<String, Fault>;

/// The function that handles a request of the client.
pub(crate) type Handle = fn(&Arc<Agent>, Request);

/// The turn ended while a command of it was waiting.
#[derive(Debug)]
pub(crate) struct Interrupted;

/// The one agent of the process.
pub(crate) struct Agent {
    pub(crate) manners: Manners,
    pub(crate) relaunch: Vec<String>,
    pub(crate) wire: Wire,
    /// The handler of requests that were held back.
    handle: Handle,
    state: Mutex<State>,
    changed: Condvar,
}

/// The mutable state of the agent; threads wait for changes of it.
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) turns: Turns,
    pub(crate) next_tool: u64,
    pub(crate) logged_in: bool,
    pub(crate) provider: Value,
    pub(crate) suggesting: Suggesting,
    next_ask: u64,
    /// Our own requests, by id; `Some` once they are answered.
    asked: BTreeMap<String, Option<Reply>>,
    permissions_open: usize,
    /// Requests that wait until no permission is open.
    held: VecDeque<Request>,
    /// Answers that wait for their delay; `true` once the client does not want them any more.
    delayed: BTreeMap<String, bool>,
}

impl Agent {
    pub(crate) fn new(
        manners: Manners,
        relaunch: Vec<String>,
        wire: Wire,
        handle: Handle,
    ) -> Result<Self, String> {
        let state = State {
            store: Store::open(&manners)?,
            turns: Turns::default(),
            next_tool: 1,
            logged_in: false,
            provider: Value::Null,
            suggesting: Suggesting::default(),
            next_ask: 0,
            asked: BTreeMap::new(),
            permissions_open: 0,
            held: VecDeque::new(),
            delayed: BTreeMap::new(),
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Ok(Self { manners, relaunch, wire, handle, state, changed })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Changes the state and wakes all threads that wait for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let outcome = change(&mut self.lock());
        self.changed.notify_all();
        outcome
    }

    /// Waits until `ready` returns something, and returns that; `None` when the limit is over.
    pub(crate) fn wait<T>(
        &self,
        limit: Option<Duration>,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let start = Instant::now();
        let mut state = self.lock();
        loop {
            if let Some(outcome) = ready(&mut state) {
                return Some(outcome);
            }
            state = match limit.map(|limit| limit.saturating_sub(start.elapsed())) {
                Some(Duration::ZERO) => return None,
                Some(left) => {
                    let woken = self.changed.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// With `--block-while-asking`: keeps a request back while a permission is
    /// open; gives it back otherwise.
    pub(crate) fn hold(&self, request: Request) -> Option<Request> {
        let mut state = self.lock();
        if self.manners.block_while_asking && state.permissions_open > 0 {
            state.held.push_back(request);
            return None;
        }
        Some(request)
    }

    /// Keeps the client's answer to a request of ours, for the thread that waits for it.
    pub(crate) fn replied(&self, id: &str, reply: Reply) {
        self.change(|state| {
            if let Some(slot @ None) = state.asked.get_mut(id) {
                *slot = Some(reply);
            }
        });
    }

    /// Cancels a request that the client took back: its answer, if that waits for
    /// its delay, and the turn that it began.
    pub(crate) fn taken_back(&self, id: &str) {
        self.change(|state| {
            if let Some(unwanted) = state.delayed.get_mut(id) {
                *unwanted = true;
            }
            state.turns.end_request(id);
        });
    }

    /// Answers a request.
    pub(crate) fn answer(self: &Arc<Self>, request: &Request, outcome: Outcome) {
        self.answer_then(request, outcome, |_| {});
    }

    /// Answers a request, after the delay of its method if there is one, and then calls `then`.
    pub(crate) fn answer_then(
        self: &Arc<Self>,
        request: &Request,
        outcome: Outcome,
        then: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) {
        let id = request.id.clone();
        let exotic = self.manners.exotic
            && ["initialize", "session/new", "session/prompt"].contains(&request.method.as_str());
        let line = match outcome {
            Ok(result) if exotic => message::exotic_result(&id, &result),
            Ok(result) => message::result(&id, &result),
            Err(fault) => message::error(&id, &fault),
        };
        let Some(delay) = self.manners.delay.get(&request.method).copied() else {
            self.wire.send(&line);
            return then(self);
        };
        self.lock().delayed.insert(id.clone(), false);
        let agent = Arc::clone(self);
        thread::spawn(move || {
            let unwanted = |state: &mut State| state.delayed.get(&id).copied().filter(|no| *no);
            match agent.wait(Some(delay), unwanted) {
                None => agent.wire.send(&line),
                Some(_) => agent.wire.send(&message::error(&id, &cancelled_request())),
            }
            agent.lock().delayed.remove(&id);
            then(&agent);
        });
    }

    /// Sends an update of a session.
    pub(crate) fn update(&self, session: &str, update: &Value) {
        self.wire.send(&message::update(session, update));
    }

    /// Sends a request of our own and waits for its answer, or for the end of the turn.
    pub(crate) fn ask(
        self: &Arc<Self>,
        turn: Option<u64>,
        method: &str,
        params: &Value,
    ) -> Result<Reply, Interrupted> {
        let id = {
            let mut state = self.lock();
            state.next_ask += 1;
            state.next_ask - 1
        };
        self.ask_as(turn, &id.to_string(), method, &message::request(id, method, params))
    }

    /// The same with a request that is spelled out already; `id` is the one in it.
    pub(crate) fn ask_as(
        self: &Arc<Self>,
        turn: Option<u64>,
        id: &str,
        method: &str,
        line: &str,
    ) -> Result<Reply, Interrupted> {
        let permission = method == "session/request_permission";
        {
            let mut state = self.lock();
            state.asked.insert(id.to_owned(), None);
            state.permissions_open += usize::from(permission);
        }
        self.wire.send(line);
        let reply = self.wait(None, |state| {
            if let Some(reply) = state.asked.get_mut(id).and_then(Option::take) {
                return Some(Ok(reply));
            }
            turn.filter(|turn| state.turns.is_ending(*turn)).map(|_| Err(Interrupted))
        });
        let held = self.change(|state| {
            state.asked.remove(id);
            state.permissions_open -= usize::from(permission);
            if state.permissions_open == 0 {
                std::mem::take(&mut state.held)
            } else {
                VecDeque::new()
            }
        });
        held.into_iter().for_each(|request| (self.handle)(self, request));
        reply.unwrap_or(Err(Interrupted))
    }

    /// Asks the user's permission for something that never happens.
    pub(crate) fn ask_permission(
        self: &Arc<Self>,
        turn: Option<u64>,
        session: &str,
    ) -> Result<Reply, Interrupted> {
        let tool = self.tool_id();
        let params = json!({
            "sessionId": session,
            "toolCall": { "toolCallId": tool, "title": "May I?", "kind": "other", "status": "pending" },
            "options": [
                { "optionId": "allow", "name": "Allow once", "kind": "allow_once" },
                { "optionId": "reject", "name": "Reject", "kind": "reject_once" },
            ],
        });
        self.ask(turn, "session/request_permission", &params)
    }

    /// The next tool call id.
    pub(crate) fn tool_id(&self) -> String {
        let mut state = self.lock();
        let id = format!("call-{}", state.next_tool);
        state.next_tool += 1;
        id
    }

    /// With `--block-while-asking`: waits until no permission is open.
    pub(crate) fn wait_for_gate(&self) {
        if self.manners.block_while_asking {
            self.wait(None, |state| (state.permissions_open == 0).then_some(()));
        }
    }
}

/// The error for a request that the client took back.
pub(crate) fn cancelled_request() -> Fault {
    Fault::new(-32800, "request cancelled")
}
