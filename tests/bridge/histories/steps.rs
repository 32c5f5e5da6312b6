//! What each step of a history does to the world.

use drawbridge::bridge::{ChannelId, ClientId, Event, ExitStatus, Outdated};
use drawbridge::wire::Method;

use super::agent::nth;
use super::history::Step;
use super::names::stripped;
use super::world::World;

impl World {
    /// Takes one step.
    pub(super) fn take(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::Wait(millis) => return self.run_until(self.now() + millis),
            Step::Connect => {
                self.connect();
            }
            Step::End(cause) => return self.event(Event::Shutdown(cause)),
            Step::Pause => return self.event(Event::HostPaused { millis: 0 }),
            Step::Preheat => {
                if let Some(client) = self.clients.keys().next().copied() {
                    return self.event(Event::Preheat { client });
                }
            }
            Step::EarlyTimeout => return self.timeout(),
            Step::SpawnFails => self.spawn_fails = true,
            Step::AgentUpdates(a, _)
            | Step::AgentAsks(a, ..)
            | Step::AgentAsksElsewhere(a, _)
            | Step::AgentGetsHelp(a, ..)
            | Step::HelperUpdates(a, _)
            | Step::HelperAsks(a, ..)
            | Step::AgentElicits(a, _)
            | Step::AgentWithdraws(a, _)
            | Step::AgentRaves(a, _)
            | Step::AgentRepeats(a)
            | Step::AgentCrashes(a)
            | Step::AgentQuits(a) => {
                if let Some(channel) = nth(self.agents.keys(), a).copied() {
                    self.agent_step(channel, step);
                }
            }
            Step::Return(a) => {
                if let Some(client) = nth(self.clients.keys(), a).copied() {
                    self.returns(client);
                }
            }
            Step::AgentFull(a, over) => {
                if let Some(channel) = nth(self.agents.keys(), a).copied() {
                    return self.event(Event::ChannelMarkPassed { channel, over });
                }
            }
            Step::Outdate(a, b) => {
                if let Some(channel) = nth(self.agents.keys(), a).copied() {
                    let what = match b % 2 {
                        0 => Outdated::Updated { file: "/opt/agent".to_owned() },
                        _ => Outdated::DeadHandle { name: "SSH_AUTH_SOCK".to_owned() },
                    };
                    return self.event(Event::ChannelOutdated { channel, what });
                }
            }
            Step::ClientSlow(a, over) => {
                if let Some(client) = nth(self.clients.keys(), a).copied() {
                    return self.event(Event::ClientMarkPassed { client, over });
                }
            }
            Step::New(a, _)
            | Step::Prompt(a, _)
            | Step::Close(a, _)
            | Step::Load(a, _)
            | Step::Resume(a, _)
            | Step::Fork(a, _)
            | Step::Cancel(a, _)
            | Step::Detach(a, _)
            | Step::DetachAll(a)
            | Step::Delete(a, _)
            | Step::Heartbeat(a, _)
            | Step::SetMode(a, _)
            | Step::List(a)
            | Step::Login(a)
            | Step::Providers(a)
            | Step::Extension(a)
            | Step::Initialize(a)
            | Step::Answer(a, ..)
            | Step::Withdraw(a, _)
            | Step::Nonsense(a, _)
            | Step::Archive(a, _)
            | Step::ForkStored(a, _)
            | Step::LoadAndClose(a, _)
            | Step::About(a, _)
            | Step::PromptElsewhere(a, _)
            | Step::CloseElsewhere(a, _)
            | Step::ActElsewhere(a, ..)
            | Step::Begin(a)
            | Step::GoOn(a, ..)
            | Step::Vanish(a) => {
                if let Some(client) = nth(self.clients.keys(), a).copied() {
                    self.client_step(client, step);
                }
            }
        }
        Ok(())
    }

    fn agent_step(&mut self, channel: ChannelId, step: &Step) {
        let now = self.now();
        let names = &self.names;
        let Some(agent) = self.agents.get_mut(&channel) else { return };
        let own = |which: u8| nth(agent.sessions.iter(), which).cloned();
        match *step {
            Step::AgentUpdates(_, b) => {
                if let Some(session) = own(b) {
                    agent.update(now, &session);
                }
            }
            Step::AgentAsks(_, b, how) => {
                const METHODS: [Method; 5] = [
                    Method::RequestPermission,
                    Method::FsRead,
                    Method::TerminalCreate,
                    Method::ElicitationCreate,
                    Method::Other,
                ];
                let session = own(b);
                agent.asks(now, session, METHODS[usize::from(how) % METHODS.len()]);
            }
            Step::AgentAsksElsewhere(_, b) => {
                let foreign = nth(names.iter(), b).cloned().unwrap_or_else(|| "nobody".to_owned());
                agent.update(now, &foreign);
                agent.asks(now, Some(foreign), Method::RequestPermission);
            }
            Step::AgentGetsHelp(_, b, announced) => agent.gets_help(now, b, announced),
            Step::HelperUpdates(_, b) => {
                if let Some(helper) = agent.helper(b) {
                    agent.update(now, &helper);
                }
            }
            Step::HelperAsks(_, b, how) => {
                const METHODS: [Method; 3] =
                    [Method::RequestPermission, Method::FsRead, Method::TerminalCreate];
                if let Some(helper) = agent.helper(b) {
                    agent.asks(now, Some(helper), METHODS[usize::from(how) % METHODS.len()]);
                }
            }
            Step::AgentElicits(_, b) => agent.elicits(now, b),
            Step::AgentWithdraws(_, b) => agent.withdraw(now, b),
            Step::AgentRaves(_, b) => agent.rave(now, b),
            Step::AgentRepeats(_) => agent.repeat(now),
            Step::AgentCrashes(_) => agent.end(now, ExitStatus::Signal(11)),
            _ => agent.end(now, ExitStatus::Code(0)),
        }
    }

    fn client_step(&mut self, client: ClientId, step: &Step) {
        let in_session = |world: &mut World, b: u8, method: &str, params: &str| {
            if let Some(session) = world.session_of(client, b) {
                world.request(client, method, Some(&session), params);
            }
        };
        match *step {
            Step::New(_, b) => {
                let params = format!(r#""cwd":"/work/{}""#, b % 2);
                self.request(client, Method::SessionNew.name(), None, &params);
            }
            Step::Prompt(_, b) => in_session(self, b, Method::SessionPrompt.name(), ""),
            Step::Close(_, b) => in_session(self, b, Method::SessionClose.name(), ""),
            Step::Delete(_, b) => in_session(self, b, Method::SessionDelete.name(), ""),
            Step::Archive(_, b) => in_session(self, b, Method::SessionArchive.name(), ""),
            Step::SetMode(_, b) => in_session(self, b, Method::SessionSetMode.name(), ""),
            Step::Detach(_, b) => in_session(self, b, Method::BridgeDetach.name(), ""),
            Step::Heartbeat(_, b) => in_session(self, b, Method::BridgeHeartbeat.name(), ""),
            Step::Fork(_, b) => in_session(self, b, Method::SessionFork.name(), ""),
            Step::Load(_, b) | Step::Resume(_, b) => {
                let method = match step {
                    Step::Load(..) => Method::SessionLoad,
                    _ => Method::SessionResume,
                };
                let session = self.stored(b);
                self.restore(client, method, &session);
            }
            Step::ForkStored(_, b) => {
                let session = self.stored(b);
                self.request(client, Method::SessionFork.name(), Some(&session), "");
            }
            Step::LoadAndClose(_, b) => {
                let session = self.stored(b);
                if self.restore(client, Method::SessionLoad, &session) {
                    self.request(client, Method::SessionClose.name(), Some(&session), "");
                }
            }
            Step::Cancel(_, b) => {
                if let Some(session) = self.session_of(client, b) {
                    self.notify(client, Method::SessionCancel.name(), Some(&session), "");
                }
            }
            Step::DetachAll(_) => self.request(client, Method::BridgeDetach.name(), None, ""),
            Step::List(_) => self.request(client, Method::SessionList.name(), None, ""),
            Step::Login(_) => self.request(client, Method::Authenticate.name(), None, ""),
            Step::Providers(_) => self.request(client, Method::ProvidersList.name(), None, ""),
            Step::Extension(_) => self.request(client, "_x/hello", None, ""),
            Step::Initialize(_) => self.initialize(client),
            Step::About(_, b) => self.elsewhere(client, b, "_x/about"),
            Step::PromptElsewhere(_, b) => {
                self.elsewhere(client, b, Method::SessionPrompt.name());
            }
            Step::CloseElsewhere(_, b) => self.elsewhere(client, b, Method::SessionClose.name()),
            Step::ActElsewhere(_, b, how) => {
                const METHODS: [Method; 4] = [
                    Method::SessionCancel,
                    Method::SessionDelete,
                    Method::SessionFork,
                    Method::BridgeDetach,
                ];
                let method = METHODS[usize::from(how) % METHODS.len()];
                let id = self.other(client, b);
                match method {
                    Method::SessionCancel => self.notify(client, method.name(), Some(&id), ""),
                    _ => self.request(client, method.name(), Some(&id), ""),
                }
            }
            Step::Begin(_) => self.request(client, "nes/start", None, ""),
            Step::GoOn(_, b, suggests) => {
                let method = if suggests { "nes/suggest" } else { "nes/close" };
                self.elsewhere(client, b, method);
            }
            Step::Answer(_, b, how) => {
                let open = self.clients.get(&client).map(|row| row.questions.keys());
                if let Some(id) = open.and_then(|open| nth(open, b).copied()) {
                    self.answer(client, id, how % 8);
                }
            }
            Step::Withdraw(_, b) => {
                let open = self.clients.get(&client).map(|row| row.open.keys());
                if let Some(token) = open.and_then(|open| nth(open, b).cloned()) {
                    let params = format!(r#""requestId":{token}"#);
                    self.notify(client, Method::CancelRequest.name(), None, &params);
                }
            }
            Step::Nonsense(_, b) => {
                let lines = [
                    "what?",
                    "[]",
                    "{\"jsonrpc\":\"2.0\"}",
                    "{\"jsonrpc\":\"2.0\",\"id\":\"odd\"}",
                    "{\"jsonrpc\":\"2.0\",\"id\":77777,\"result\":{}}",
                    "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":7}",
                    "{\"jsonrpc\":\"2.0\",\"method\":\"_x/note\",\"params\":{}}",
                ];
                self.line(client, lines[usize::from(b) % lines.len()].to_owned());
            }
            _ => {
                self.clients.remove(&client);
                self.put_in(client, Event::ClientGone { client });
            }
        }
    }

    /// The id of a conversation that may be stored.
    fn stored(&self, which: u8) -> String {
        let known = nth(self.names.iter(), which).cloned();
        known.unwrap_or_else(|| format!("stored{}", which % 2))
    }

    /// An id that no open has brought: one that the client came across, or one that nobody
    /// knows.
    fn other(&self, client: ClientId, which: u8) -> String {
        let known = self.clients.get(&client).and_then(|row| nth(row.others.iter(), which));
        let known = known.filter(|_| which < 6).cloned();
        known.unwrap_or_else(|| format!("nobody{}-{}", client.0, which % 2))
    }

    fn elsewhere(&mut self, client: ClientId, which: u8, method: &str) {
        let id = self.other(client, which);
        self.request(client, method, Some(&id), "");
    }

    /// Restores a conversation, unless a process is just giving that id to another one.
    fn restore(&mut self, client: ClientId, method: Method, session: &str) -> bool {
        let now = self.now();
        let id = stripped(session);
        if self.agents.values().any(|agent| agent.has_just_chosen(now, id)) {
            return false;
        }
        let cwd = self.directories.get(session).map_or("/work/0", String::as_str);
        let params = format!(r#""cwd":"{cwd}""#);
        self.request(client, method.name(), Some(session), &params);
        true
    }

    /// A client is lost, and comes back at once. It does not wait for the answer to its
    /// `initialize` before it loads its sessions.
    fn returns(&mut self, client: ClientId) {
        let Some(row) = self.clients.remove(&client) else { return };
        self.put_in(client, Event::ClientGone { client });
        if let Some(again) = self.connect() {
            for session in row.sessions {
                self.restore(again, Method::SessionLoad, &session);
            }
        }
    }
}
