//! How clients come to the loop, and what their end means for it.

use std::env;
use std::io;
use std::path::Path;

use super::Loop;
use super::connection::Connection;
use super::hosting::{EDITOR, Hosting};
use super::stdio::{Sink, Source};
use crate::agent_environment::{self, Variables};
use crate::bridge::{AgentId, ClientId, Event, Look, Moment, ShutdownCause};
use crate::wire::{Frame, Malformed};

impl Loop {
    /// Connects the client at the bridge's own stdio.
    pub(super) fn connect_editor(&mut self) -> io::Result<()> {
        let (stdout, stdin) = (Sink::own()?, Source::own()?);
        self.clients.connect(EDITOR, stdin, stdout, &mut self.tasks);
        let variables = agent_environment::of_process();
        let directory = env::current_dir().unwrap_or_else(|_| "/".into());
        self.introduce(EDITOR, AgentId(0), variables, &directory);
        Ok(())
    }

    /// Connects a client that has come by a socket. One whose stream cannot be used, or that
    /// wants an agent that is not there, is let go.
    pub(super) fn accept(&mut self, connection: Connection) {
        let Connection { stream, agent, variables, directory, editor } = connection;
        let streams = stream.try_clone().and_then(|again| {
            stream.set_nonblocking(true)?;
            Ok((Source::of_socket(again.into())?, Sink::of_socket(stream.into())?))
        });
        let (source, sink) = match streams {
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
        self.introduce(client, AgentId(agent), variables, &directory);
    }

    fn introduce(
        &mut self,
        client: ClientId,
        agent: AgentId,
        variables: Variables,
        directory: &Path,
    ) {
        match self.origins.connected(client, agent, variables, directory) {
            Some(event) => self.handle_event(event),
            None => return self.clients.remove(client),
        }
        if self.bridge.wants_preheat() {
            self.handle_event(Event::Preheat { client });
        }
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
            let handles_of = handles_of.map(|id| self.origins.variables(id));
            for (channel, what) in self.children.outdated(&channels, handles_of.as_deref()) {
                self.handle_at(now, Event::ChannelOutdated { channel, what });
            }
        }
        self.handle_at(now, Event::ClientFrame { client, frame });
    }

    /// Handles that a client is gone. Without its editor the bridge ends.
    pub(super) fn client_gone(&mut self, client: ClientId, sign: ShutdownCause) {
        match self.hosting {
            Hosting::Editor => self.handle_event(Event::Shutdown(sign)),
            Hosting::Connections(_) => {
                self.clients.remove(client);
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
            Hosting::Connections(_) => self.clients.end_one(client),
        }
    }
}
