//! Stories that tests of revival begin with.

use drawbridge::bridge::config::Restore;
use drawbridge::bridge::restore::{Experience, Known, Pair, Record, Replay};
use drawbridge::bridge::{AgentId, ChannelId, ClientId, Config, Event, Notice};

use crate::harness::{END_TURN, NEW, World, prompt, session};

/// The result of `initialize` of an agent that has modes and can resume.
pub const VERSIONED: &str = r#"{"protocolVersion":1,"agentCapabilities":{"loadSession":true,"sessionCapabilities":{"close":{},"resume":{},"delete":{},"status":{}}},"agentInfo":{"name":"a","version":"1"}}"#;
/// The same without `session/resume`.
pub const LOADS: &str = r#"{"protocolVersion":1,"agentCapabilities":{"loadSession":true,"sessionCapabilities":{"close":{}}},"agentInfo":{"name":"a","version":"1"}}"#;
/// The record of an agent that replays before it answers.
pub const PUNCTUAL: Record =
    Record { resume: Experience::None, load: Experience::None, replay: Replay::BeforeAnswer };
/// The record of an agent that has restored a session.
pub const PROVEN: Record =
    Record { resume: Experience::Succeeded, load: Experience::None, replay: Replay::Unknown };
/// The params with which the bridge restores a session that a client has opened with [`NEW`].
pub fn restored(id: &str) -> String {
    format!(r#"{{"cwd":"/work","mcpServers":[],"sessionId":"{id}"}}"#)
}

/// The result of an open with this current mode.
pub fn in_mode(mode: &str) -> String {
    format!(
        r#"{{"modes":{{"currentModeId":"{mode}","availableModes":[{{"id":"ask"}},{{"id":"code"}}]}}}}"#
    )
}

pub fn set_mode(id: &str, mode: &str) -> String {
    format!(r#"{{"sessionId":"{id}","modeId":"{mode}"}}"#)
}

pub fn mode_update(id: &str, mode: &str) -> String {
    format!(
        r#"{{"sessionId":"{id}","update":{{"sessionUpdate":"current_mode_update","currentModeId":"{mode}"}}}}"#
    )
}

/// A world in which sessions are brought back, by agents of which this is known.
pub fn world_with(agent: &'static str, change: impl FnOnce(&mut Config)) -> World {
    let mut world = World::with(|config| {
        config.agent.restore = Restore::Auto;
        change(config);
    });
    world.agent = agent;
    world
}

pub fn world() -> World {
    world_with(VERSIONED, |_| {})
}

/// The same, for clients whose connections outlive it.
pub fn daemon() -> World {
    world_with(VERSIONED, |config| config.limits.is_succeeded = true)
}

impl World {
    /// A turn of a session, from beginning to end.
    #[track_caller]
    pub fn turn(&mut self, client: ClientId, channel: ChannelId, id: &str) {
        let token = self.tokens + 1_000;
        self.tokens += 1;
        let number = self.prompt(client, channel, id, token);
        self.answer(channel, number, END_TURN);
        self.expect_answer(client, token, END_TURN);
    }

    /// An agent's process ends, and its sessions are parked.
    #[track_caller]
    pub fn crash(&mut self, client: ClientId, channel: ChannelId, ids: &[&str]) {
        self.exits(channel, 3);
        for id in ids {
            self.expect_parked(client, id, "channel_closed");
        }
        self.expect_warning(|it| matches!(it, Notice::ChannelExited { is_crash: true, .. }));
    }

    /// The word that a session is not live, and will be brought back.
    #[track_caller]
    pub fn expect_parked(&mut self, client: ClientId, id: &str, reason: &str) {
        let line = self.next_line(client);
        assert!(
            line.contains(&format!(r#""sessionId":"{id}","reason":"{reason}""#))
                && line.contains(r#""restorable":true"#),
            "{line}"
        );
    }

    /// A fresh process, after the pause behind a crash.
    #[track_caller]
    pub fn fresh(&mut self) -> ChannelId {
        self.wait(1_000);
        let channel = self.expect_spawn("/home");
        self.handshake(channel);
        channel
    }

    /// The word that a session is as it was.
    #[track_caller]
    pub fn expect_restored(&mut self, client: ClientId, id: &str) {
        self.expect_notification(client, "_drawbridge/session_restored", &session(id));
    }

    /// Tells what is known of the agent of this world.
    #[track_caller]
    pub fn believe(&mut self, record: Record) {
        let (version, known) = ("a 1".into(), Known { learned: record, ..Known::default() });
        self.event(Event::Recalled { agent: AgentId(0), version, known });
    }
}

/// A session that clients know as `s`, and its agent by another id.
pub fn pair() -> Pair {
    Pair { known_as: "s".into(), agent_id: "other".into(), cwd: "/work".into() }
}

/// A client with a prompted session, whose agent has crashed.
pub fn crashed(world: &mut World) -> ClientId {
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    world.crash(editor, channel, &["s"]);
    editor
}

/// A client with a prompted session in the mode `code`, whose agent has crashed; its prompt 7
/// waits. Returns the fresh channel, and the number of the restore.
pub fn in_code(world: &mut World) -> (ClientId, ChannelId, u64) {
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/new", NEW);
    let number = world.expect_request(channel, "session/new", NEW);
    let result = in_mode("ask").replacen('{', r#"{"sessionId":"s","#, 1);
    world.answer(channel, number, &result);
    world.expect_answer(editor, 1, &result);
    world.turn(editor, channel, "s");
    world.request(editor, 2, "session/set_mode", &set_mode("s", "code"));
    let number = world.expect_request(channel, "session/set_mode", &set_mode("s", "code"));
    world.answer(channel, number, "{}");
    world.expect_answer(editor, 2, "{}");
    world.crash(editor, channel, &["s"]);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    (editor, channel, number)
}
