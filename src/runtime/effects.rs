//! The effects of the core, carried out.

use super::origins::StartingPoint;
use super::{Loop, Outcome, tell};
use crate::api::Happening;
use crate::bridge::{ChannelId, Effect, Event};
use crate::link::control::{Control, Kept};
use crate::trace::Direction;

impl Loop {
    /// Carries out all effects of the core.
    pub(super) fn run_effects(&mut self) {
        while let Some(effect) = self.bridge.poll_effect() {
            match effect {
                Effect::ToClient { client, lane, frame } => {
                    self.tap.goes(Direction::ToClient, client, &frame);
                    self.clients.send(client, lane, frame);
                }
                Effect::Fence { client, lane } => self.clients.fence(client, lane),
                Effect::ToChannel { channel, frame } => {
                    self.tap.goes(Direction::ToAgent, channel, &frame);
                    self.children.send(channel, frame);
                }
                Effect::Conceal { channel, secrets } => self.children.conceal(channel, secrets),
                Effect::Spawn { channel, agent, origin, cwd } => {
                    let from = self.origins.starting_point(agent, &origin, &cwd);
                    if let Some(event) = from.and_then(|from| self.spawn(channel, from)) {
                        self.bridge.handle(self.clock.now(), event);
                    }
                }
                Effect::DropClient { client, last } => {
                    last.iter().for_each(|frame| self.tap.goes(Direction::ToClient, client, frame));
                    self.clients.drop_client(client, last, &mut self.tasks);
                }
                Effect::LookForEditor(client) => {
                    let lives = self.editors.lives(client);
                    self.bridge.handle(self.clock.now(), Event::EditorSeen { client, lives });
                }
                Effect::ForgetEnvironment(id) => self.origins.forget_environment(id),
                Effect::NoteFiles(channel) => self.children.note_files(channel),
                Effect::Attached { client, session, .. } => {
                    self.tell_happening(|| Happening::ClientAttached {
                        client: client.to_string(),
                        session: session.into(),
                    });
                }
                Effect::Keep { client, lane, session, keepsake } => {
                    // Of one that cannot be brought back a later daemon can only tell the fate.
                    let restorable = keepsake.is_some();
                    let blob = keepsake.map_or_else(|| session.to_string(), |kept| kept.text());
                    let session = session.into();
                    let line = Control::Keep(Kept { session, blob, restorable });
                    self.clients.say(client, lane, &line);
                }
                Effect::Forget { client, lane, session } => {
                    self.tell_happening(|| Happening::ClientDetached {
                        client: client.to_string(),
                        session: session.to_string(),
                    });
                    self.clients.say(client, lane, &Control::Forget(session.into()));
                }
                Effect::Experienced { version, record } => {
                    self.restores.note(&version, record);
                }
                Effect::Recall { agent, version } => {
                    let now = self.clock.now();
                    if let Some(known) = self.restores.known(&version) {
                        self.bridge.handle(now, Event::Recalled { agent, version, known });
                    }
                    let pairs = self.restores.pairs(&self.origins.name_of_agent(agent));
                    self.bridge.handle(now, Event::Pairs { agent, pairs });
                }
                Effect::RememberPair { agent, pair } => {
                    let agent = self.origins.name_of_agent(agent);
                    self.restores.remember_pair(&agent, pair);
                }
                Effect::CloseStdin(channel) => self.children.close_stdin(channel),
                Effect::Terminate(channel) => self.children.terminate(channel),
                Effect::Kill(channel) => self.children.kill(channel),
                Effect::Pause(channel) => self.children.set_paused(channel, true),
                Effect::Resume(channel) => self.children.set_paused(channel, false),
                Effect::Weigh => self.children.weigh(&mut self.tasks),
                Effect::Survey(channel) => self.children.survey(channel, &mut self.tasks),
                Effect::NoAgent { client, sentence, cause } => {
                    self.without_agent(client, sentence, cause);
                }
                Effect::Publish(notice) => {
                    self.tell_notice(&notice);
                    tell::tell(notice, &self.children);
                }
                Effect::Exit { survivors } => {
                    self.outcome = Some(match self.no_agent.take() {
                        Some(sentence) => Outcome::NoAgent(sentence),
                        None if survivors.is_empty() => Outcome::Clean,
                        None => Outcome::Survivors,
                    });
                }
            }
        }
    }

    fn spawn(&mut self, channel: ChannelId, from: StartingPoint) -> Option<Event> {
        let StartingPoint { agent, of_client, home, cwd } = from;
        self.children.spawn(channel, agent, of_client, (home, cwd), &mut self.tasks)
    }
}
