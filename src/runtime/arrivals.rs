//! How clients come to the loop, and what their end means for it.

use std::env;
use std::io;
use std::path::Path;

use super::Loop;
use super::connection::{Arrival, Connection, Link};
use super::hosting::{EDITOR, Hosting};
use super::setup::AgentSetup;
use super::stdio::{self, Sink, Source};
use super::surroundings::Surroundings;
use crate::agent_environment;
use crate::api::Happening;
use crate::bridge::config::Limits;
use crate::bridge::{AgentId, ClientId, Event, Lane, Look, Moment, Outdated, ShutdownCause};
use crate::link::control::{Control, WhyKind};
use crate::link::streams::Streams;
use crate::wire::{Frame, Malformed};

impl Loop {
    /// Tells the core what earlier bridges may hold.
    pub(super) fn tell_earlier(&mut self) {
        let mut earlier = self.earlier.daemons.clone();
        earlier.are_ending |= self.earlier.is_sweeping;
        self.handle_event(Event::EarlierBridges(earlier));
    }

    /// Connects the client at the bridge's own stdio.
    pub(super) fn connect_editor(&mut self) -> io::Result<()> {
        let (stdout, stdin) = (Sink::own()?, Source::own()?);
        self.clients.connect(EDITOR, stdin, stdout, &mut self.tasks);
        let variables = agent_environment::of_process();
        let directory = env::current_dir().unwrap_or_else(|_| "/".into());
        let surroundings = Surroundings { variables, umask: None };
        self.introduce(EDITOR, AgentId(0), surroundings, &directory);
        Ok(())
    }

    /// Handles what has come through the door.
    pub(super) fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Agent(agent) => {
                let agent = agent.for_many_clients();
                self.bridge.add_agent(agent.config.clone());
                self.origins.add_agent(agent);
            }
            Arrival::Client(connection) => self.accept(*connection),
            Arrival::EarlierBridges(daemons) => {
                self.earlier.daemons = daemons;
                self.tell_earlier();
            }
            Arrival::Superseded => self.handle_event(Event::Superseded),
            Arrival::Reconfigured { limits, agents } => self.reconfigured(limits, agents),
            Arrival::Holds(answer) => {
                let held = self.bridge.held_ids().into_iter().map(String::from).collect();
                // The one that asked may be gone.
                let _ = answer.send(held);
            }
        }
    }

    /// Connects a client that has come by a socket. One whose stream cannot be used, or that
    /// wants an agent that is not there, is let go.
    fn accept(&mut self, connection: Connection) {
        let Connection { stream, agent, variables, umask, directory, editor, link } = connection;
        let streams = match &link {
            Some(Link { welcome, .. }) => Streams::welcome(stream, welcome),
            None => Ok(Streams::Socket(stream)),
        };
        let (source, sink) = match streams.and_then(stdio::open) {
            Ok(streams) => streams,
            Err(error) => {
                return tracing::warn!("the stream of a client cannot be used: {error}");
            }
        };
        self.last_client += 1;
        let client = ClientId(self.last_client);
        if let Some(editor) = editor {
            self.editors.add(client, editor);
        }
        self.clients.connect(client, source, sink, &mut self.tasks);
        let surroundings = Surroundings { variables, umask };
        if !self.introduce(client, AgentId(agent), surroundings, &directory) {
            return;
        }
        if let Some(Link { lost_sessions: sessions, place, .. }) = link {
            self.clients.link(client, place);
            if !sessions.is_empty() {
                self.handle_event(Event::Adopted { client, sessions });
            }
        }
    }

    /// Changes the limits and the agents. Processes of an agent whose command has changed are
    /// replaced, as those of one that was updated.
    fn reconfigured(&mut self, limits: Box<Limits>, agents: Vec<(usize, AgentSetup)>) {
        let agents: Vec<_> =
            agents.into_iter().map(|(number, agent)| (number, agent.for_many_clients())).collect();
        let configs =
            agents.iter().map(|(number, agent)| (AgentId(*number), agent.config.clone())).collect();
        self.handle_event(Event::Reconfigured { limits, agents: configs });
        for (number, agent) in agents {
            for channel in self.origins.change_agent(AgentId(number), agent, &self.children) {
                let what = Outdated::Updated { file: "its command in the configuration".into() };
                self.handle_event(Event::ChannelOutdated { channel, what });
            }
        }
    }

    /// Introduces a client to the core; `false`: there is no such agent, and the client is let go.
    fn introduce(
        &mut self,
        client: ClientId,
        agent: AgentId,
        surroundings: Surroundings,
        directory: &Path,
    ) -> bool {
        match self.origins.connected(client, agent, surroundings, directory) {
            Some(event) => {
                self.tell_happening(|| Happening::ClientConnected { client: client.to_string() });
                self.handle_event(event);
            }
            None => {
                self.clients.remove(client);
                return false;
            }
        }
        if self.bridge.wants_preheat() {
            self.handle_event(Event::Preheat { client });
        }
        true
    }

    /// Hands in a message of a client, after the look that is due before it.
    pub(super) fn client_says(
        &mut self,
        client: ClientId,
        frame: Result<Frame, Malformed>,
        now: Moment,
    ) {
        let look = frame.as_ref().ok().and_then(|frame| self.bridge.look_before(client, frame));
        if let Some(Look { channels, handles_of }) = look {
            let handles_of = handles_of.map(|id| self.origins.environment(id));
            let handles_of = handles_of.as_deref().map(|row| &row.variables);
            for (channel, what) in self.children.outdated(&channels, handles_of) {
                self.handle_at(now, Event::ChannelOutdated { channel, what });
            }
        }
        self.handle_at(now, Event::ClientFrame { client, frame });
    }

    /// Handles that a client is gone. Without its editor the bridge ends.
    pub(super) fn client_gone(&mut self, client: ClientId, sign: ShutdownCause) {
        match self.hosting {
            Hosting::Editor => self.handle_event(Event::Shutdown(sign)),
            Hosting::Many(_) => {
                match sign {
                    // Whoever has closed one direction may still read the other.
                    ShutdownCause::StdinEnded => self.clients.let_go(client, &mut self.tasks),
                    _ => self.clients.remove(client),
                }
                self.handle_event(Event::ClientGone { client });
            }
        }
    }

    /// Handles that there is no agent for a client, which has got nothing but this sentence.
    pub(super) fn without_agent(
        &mut self,
        client: ClientId,
        sentence: String,
        cause: ShutdownCause,
    ) {
        match self.hosting {
            Hosting::Editor => {
                self.no_agent = Some(sentence);
                self.bridge.handle(self.clock.now(), Event::Shutdown(cause));
            }
            Hosting::Many(_) => {
                let why = Control::why(WhyKind::NoAgent, sentence);
                self.clients.say(client, Lane::Bridge, &why);
                self.clients.let_go(client, &mut self.tasks);
                self.bridge.handle(self.clock.now(), Event::ClientGone { client });
            }
        }
    }
}
