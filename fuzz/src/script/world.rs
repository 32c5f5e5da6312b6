//! The core, and the promises that the runtime and the peers rely on.
//!
//! The world keeps the open requests of each peer and judges every effect by them:
//! an answer belongs to a request that is open, nothing is sent to a client that is
//! gone and only answers to a channel that is, and at the end no client is without
//! an answer.

use std::collections::BTreeMap;
use std::mem::take;

use drawbridge::bridge::{
    Bridge, ChannelId, ClientId, Config, Effect, Event, Exit, ExitStatus, Moment, ShutdownCause,
};
use drawbridge::wire::{Frame, FrameKind, Malformed, Method, OutgoingFrame};

/// The most wake-ups in one wait; after them the rest of the time passes at once.
const MANY_WAKE_UPS: usize = 200;

/// Requests that wait for an answer, by their id as it is spelled; the same id may
/// be in use more than once.
#[derive(Default)]
pub struct Open(Vec<String>);

impl Open {
    fn add(&mut self, id: &[u8]) {
        self.0.push(String::from_utf8_lossy(id).into_owned());
    }

    fn answered(&mut self, frame: &Frame) {
        let id = String::from_utf8_lossy(frame.id().as_bytes()).into_owned();
        let at = self.0.iter().position(|open| *open == id);
        self.0.remove(at.unwrap_or_else(|| panic!("nobody waits for {frame:?}")));
    }

    /// The id of the `which`-th request, modulo their number; `None` if there is none.
    pub fn nth(&self, which: usize) -> Option<&String> {
        nth(&self.0, which)
    }
}

/// A client that is connected.
#[derive(Default)]
pub struct Client {
    pub open: Open,
    pub questions: Vec<(u64, Method)>,
}

/// A channel whose process the core has asked to start.
#[derive(Default)]
pub struct Channel {
    pub is_running: bool,
    pub is_gone: bool,
    is_leaving: bool,
    is_killed: bool,
    /// The bridge's requests that the agent has not answered: id and method.
    pub pending: Vec<(u64, Method)>,
    pub answered: Vec<u64>,
    pub open: Open,
}

/// The core and its peers.
pub struct World {
    bridge: Bridge,
    now: Moment,
    pub clients: BTreeMap<ClientId, Client>,
    pub channels: BTreeMap<ChannelId, Channel>,
    pub connected: u64,
    /// Session ids that clients were told.
    pub names: Vec<String>,
    is_ending: bool,
    survivors: Option<Vec<ChannelId>>,
    longest_end: u64,
}

impl World {
    pub fn new(config: Config) -> Self {
        World {
            longest_end: config.limits.shutdown_timeout + 1_000,
            bridge: Bridge::new(config),
            now: Moment::from_millis(1_000),
            clients: BTreeMap::new(),
            channels: BTreeMap::new(),
            connected: 0,
            names: Vec::new(),
            is_ending: false,
            survivors: None,
        }
    }

    /// Hands an event to the core, and judges its effects.
    pub fn event(&mut self, event: Event) {
        let ended = match &event {
            Event::SpawnFailed { channel, .. } | Event::ChannelExited { channel, .. } => {
                Some(*channel)
            }
            _ => None,
        };
        self.happens(&event);
        self.bridge.handle(self.now, event);
        self.collect();
        // The agent's requests may be answered in the step of its exit, not later.
        if let Some(channel) = ended {
            self.row(channel).open = Open::default();
        }
    }

    /// Notes in the rows of the peers what an event changes.
    fn happens(&mut self, event: &Event) {
        match event {
            Event::ClientConnected { client, .. } => {
                self.clients.insert(*client, Client::default());
            }
            Event::ClientFrame { client, frame } => {
                let Some(row) = self.clients.get_mut(client) else { return };
                match frame {
                    Ok(frame) if frame.kind == FrameKind::Request => {
                        row.open.add(frame.id().as_bytes());
                    }
                    Err(Malformed::NotMessage { id: Some(id) }) => row.open.add(id.as_bytes()),
                    Err(Malformed::TooLong { glimpse, .. }) => {
                        let id = glimpse.id.iter().filter(|_| glimpse.has_method);
                        id.for_each(|id| row.open.add(id.as_bytes()));
                    }
                    // The client gets an error with the id `null`: the line was no message.
                    Err(_) => row.open.add(b"null"),
                    Ok(_) => {}
                }
            }
            Event::ClientGone { client } => drop(self.clients.remove(client)),
            Event::ChannelSpawned { channel, .. } => self.row(*channel).is_running = true,
            Event::ChannelFrame { channel, frame } => {
                let row = self.row(*channel);
                let id = match frame {
                    Ok(frame) if frame.kind == FrameKind::Request => Some(frame.id()),
                    Err(Malformed::TooLong { glimpse, .. }) if glimpse.has_method => {
                        glimpse.id.clone()
                    }
                    _ => None,
                };
                id.filter(|_| !row.is_gone).iter().for_each(|id| row.open.add(id.as_bytes()));
            }
            Event::SpawnFailed { channel, .. } | Event::ChannelExited { channel, .. } => {
                let row = self.row(*channel);
                let (open, answered) = (take(&mut row.open), take(&mut row.answered));
                *row = Channel { is_gone: true, open, answered, ..Channel::default() };
            }
            Event::Shutdown(_) => self.is_ending = true,
            _ => {}
        }
    }

    fn row(&mut self, channel: ChannelId) -> &mut Channel {
        self.channels.get_mut(&channel).expect("the script knows its channels")
    }

    /// Calls `handle_timeout`, whether a deadline has come or not.
    pub fn timeout(&mut self) {
        self.bridge.handle_timeout(self.now);
        self.collect();
        let next = self.bridge.poll_timeout();
        assert!(next.is_none_or(|at| at > self.now), "it wants to be woken again at once");
    }

    /// Lets time pass, and wakes the core at each of its deadlines.
    pub fn wait(&mut self, millis: u64) {
        let end = self.now.plus_millis(millis);
        for _ in 0..MANY_WAKE_UPS {
            let Some(at) = self.bridge.poll_timeout().filter(|at| *at <= end) else { break };
            self.now = at.max(self.now);
            self.timeout();
        }
        self.leap(end.since(self.now));
    }

    /// Lets time pass, and does not wake the core.
    pub fn leap(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
    }

    pub fn now(&self) -> Moment {
        self.now
    }

    /// Reports the exit of a channel; `half_line` is the bytes of an unfinished last line.
    pub fn exits(&mut self, channel: ChannelId, status: ExitStatus, half_line: u64) {
        let exit = Exit { status, stderr_tail: "last words".to_owned(), half_line };
        self.event(Event::ChannelExited { channel, exit });
    }

    /// Starts the processes that are still starting, orders the shutdown if the
    /// script has not, and checks that it ends in time. Killed processes exit, or
    /// with `deaf` never.
    pub fn finish(&mut self, deaf: bool) {
        let starting =
            |(id, row): (&ChannelId, &Channel)| (!row.is_running && !row.is_gone).then_some(*id);
        let starting: Vec<ChannelId> = self.channels.iter().filter_map(starting).collect();
        for channel in starting {
            self.event(Event::ChannelSpawned { channel, pid: 7 });
        }
        if !self.is_ending {
            self.event(Event::Shutdown(ShutdownCause::Signal));
        }
        for _ in 0..self.longest_end / 10 {
            self.wait(10);
            let killed = |(id, row): (&ChannelId, &Channel)| {
                (row.is_killed && !row.is_gone && !deaf).then_some(*id)
            };
            let killed: Vec<ChannelId> = self.channels.iter().filter_map(killed).collect();
            killed.into_iter().for_each(|id| self.exits(id, ExitStatus::Signal(9), 0));
            if self.survivors.is_some() {
                break;
            }
        }
        assert!(self.survivors.is_some(), "the bridge does not end");
        assert_eq!(self.bridge.poll_effect(), None);
    }

    fn collect(&mut self) {
        while let Some(effect) = self.bridge.poll_effect() {
            self.judge(effect);
        }
        self.bridge.check().unwrap_or_else(|broken| panic!("{broken}"));
        for (id, row) in self.channels.iter().filter(|(_, row)| row.is_leaving) {
            assert!(row.open.0.is_empty(), "{id} is leaving and waits for {:?}", row.open.0);
        }
        assert_eq!(self.bridge.is_over(), self.survivors.is_some());
        if self.survivors.is_some() {
            for (id, row) in &self.clients {
                assert!(row.open.0.is_empty(), "{id} has no answer to {:?}", row.open.0);
            }
        }
    }

    fn judge(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { channel, .. } => {
                assert!(!self.is_ending, "{channel} is started although everything ends");
                let before = self.channels.insert(channel, Channel::default());
                assert!(before.is_none(), "{channel} is started twice");
            }
            Effect::ToChannel { channel, frame } => self.channel_gets(channel, &frame),
            Effect::ToClient { client, frame } => self.client_gets(client, &frame),
            Effect::CloseStdin(channel) => {
                let row = self.living(channel);
                assert!(!row.is_leaving, "the stdin of {channel} is closed twice");
                row.is_leaving = true;
            }
            Effect::Kill(channel) => self.living(channel).is_killed = true,
            Effect::Terminate(channel)
            | Effect::Pause(channel)
            | Effect::Resume(channel)
            | Effect::Survey(channel)
            | Effect::Conceal { channel, .. } => drop(self.living(channel)),
            Effect::Publish(_) => {}
            Effect::Exit { survivors } => {
                let living = |(id, row): (&ChannelId, &Channel)| (!row.is_gone).then_some(*id);
                let living: Vec<ChannelId> = self.channels.iter().filter_map(living).collect();
                assert_eq!(survivors, living, "who is left at the end");
                assert!(self.survivors.replace(survivors).is_none(), "it ends twice");
            }
        }
    }

    /// The row of the channel of an effect; panics if the channel is gone.
    fn living(&mut self, channel: ChannelId) -> &mut Channel {
        let row = self.channels.get_mut(&channel).filter(|row| !row.is_gone);
        row.unwrap_or_else(|| panic!("{channel} is not there"))
    }

    fn channel_gets(&mut self, channel: ChannelId, frame: &OutgoingFrame) {
        let frame = parsed(frame);
        let row = self.row(channel);
        match frame.kind {
            FrameKind::Success | FrameKind::Failure => row.open.answered(&frame),
            _ if row.is_gone => panic!("{channel} is gone and gets {frame:?}"),
            _ if row.is_leaving => panic!("{channel} is leaving and gets {frame:?}"),
            FrameKind::Notification if frame.method == Method::CancelRequest => {
                let token = frame.request().map(|(token, _)| format!("{token:?}"));
                let is_open = |(open, _): &(u64, Method)| Some(open.to_string()) == token;
                assert!(row.pending.iter().any(is_open), "{channel} has not: {frame:?}");
            }
            FrameKind::Notification => {}
            FrameKind::Request => {
                let number = frame.number().expect("the bridge counts its requests");
                let is_new = row.pending.iter().all(|(open, _)| *open != number);
                assert!(is_new && !row.answered.contains(&number), "{number} is used twice");
                row.pending.push((number, frame.method));
            }
        }
    }

    fn client_gets(&mut self, client: ClientId, frame: &OutgoingFrame) {
        let frame = parsed(frame);
        let row = self.clients.get_mut(&client);
        let row = row.unwrap_or_else(|| panic!("{client} is gone and gets {frame:?}"));
        match frame.kind {
            FrameKind::Success | FrameKind::Failure => {
                row.open.answered(&frame);
                let name = frame.find_text(&["sessionId"]).map(|name| name.into_owned());
                self.names.extend(name.filter(|name| !self.names.contains(name)));
            }
            FrameKind::Notification if frame.method == Method::CancelRequest => {
                let token = frame.request().map(|(token, _)| format!("{token:?}"));
                row.questions.retain(|(number, _)| Some(number.to_string()) != token);
            }
            FrameKind::Notification => {}
            FrameKind::Request => {
                let number = frame.number().expect("the bridge counts its questions");
                let is_new = row.questions.iter().all(|(open, _)| *open != number);
                assert!(is_new, "{client} is asked {number} twice");
                row.questions.push((number, frame.method));
            }
        }
    }
}

fn parsed(frame: &OutgoingFrame) -> Frame {
    Frame::parse(frame.to_bytes()).unwrap_or_else(|error| panic!("{frame:?} is sent: {error:?}"))
}

/// The `which`-th element, modulo their number; `None` if there is none.
pub fn nth<T>(of: &[T], which: usize) -> Option<&T> {
    of.get(which % of.len().max(1))
}
