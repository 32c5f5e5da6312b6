//! Short stories that many tests begin with: an editor and its agent do what
//! they should, and everything that the core does meanwhile is looked at.

use drawbridge::bridge::{ChannelId, ClientId, Notice};

use crate::harness::{INITIALIZE, NEW, World, permission, prompt, session, stored};

impl World {
    /// An editor whose `initialize` starts the first agent.
    #[track_caller]
    pub fn start(&mut self) -> (ClientId, ChannelId) {
        self.start_with(INITIALIZE)
    }

    /// An editor that says other things of itself, so that it gets an agent of its own.
    #[track_caller]
    pub fn start_with(&mut self, initialize: &str) -> (ClientId, ChannelId) {
        let editor = self.connect();
        self.request(editor, 0, "initialize", initialize);
        let channel = self.expect_spawn("/home");
        let id = self.expect_request(channel, "initialize", initialize);
        self.answer(channel, id, self.agent);
        let answer = self.next_line(editor);
        assert!(answer.starts_with(r#"{"jsonrpc":"2.0","id":0,"result":"#), "{answer}");
        (editor, channel)
    }

    /// One more editor, when an agent runs already.
    #[track_caller]
    pub fn join(&mut self) -> ClientId {
        let editor = self.connect();
        self.request(editor, 0, "initialize", INITIALIZE);
        let answer = self.next_line(editor);
        assert!(answer.starts_with(r#"{"jsonrpc":"2.0","id":0,"result":"#), "{answer}");
        editor
    }

    /// A channel's agent answers `initialize`.
    #[track_caller]
    pub fn handshake(&mut self, channel: ChannelId) {
        let id = self.expect_request(channel, "initialize", INITIALIZE);
        self.answer(channel, id, self.agent);
    }

    /// A client opens a session, which the agent of this channel calls `id`.
    #[track_caller]
    pub fn open(&mut self, client: ClientId, channel: ChannelId, id: &str) {
        let token = self.token();
        self.request(client, &token, "session/new", NEW);
        self.opened(client, channel, id, &token);
    }

    /// The agent of this channel opens the session that was asked for.
    #[track_caller]
    pub fn opened(&mut self, client: ClientId, channel: ChannelId, id: &str, token: &str) {
        let number = self.expect_request(channel, "session/new", NEW);
        self.answer(channel, number, &session(id));
        self.expect_answer(client, token, &session(id));
    }

    /// A client loads a stored session on this channel.
    #[track_caller]
    pub fn load(&mut self, client: ClientId, channel: ChannelId, id: &str) {
        let token = self.token();
        self.request(client, &token, "session/load", &stored(id));
        let number = self.expect_request(channel, "session/load", &stored(id));
        self.answer(channel, number, "null");
        self.expect_answer(client, &token, "null");
    }

    /// A client asks for something that is about no session, and this agent agrees.
    #[track_caller]
    pub fn agreed(&mut self, client: ClientId, channel: ChannelId, method: &str, params: &str) {
        let token = self.token();
        self.request(client, &token, method, params);
        let number = self.expect_request(channel, method, params);
        self.answer(channel, number, "{}");
        self.expect_answer(client, &token, "{}");
    }

    /// A client begins a turn; the number is that of the agent's wire.
    #[track_caller]
    pub fn prompt(&mut self, client: ClientId, channel: ChannelId, id: &str, token: u64) -> u64 {
        self.request(client, token, "session/prompt", &prompt(id));
        self.expect_request(channel, "session/prompt", &prompt(id))
    }

    /// A client closes a session, and its agent says that it did.
    #[track_caller]
    pub fn close(&mut self, client: ClientId, channel: ChannelId, id: &str) {
        let token = self.token();
        self.request(client, &token, "session/close", &session(id));
        self.expect_closed(client, id, "client_close");
        let number = self.expect_request(channel, "session/close", &session(id));
        self.answer(channel, number, "{}");
        self.expect_answer(client, &token, "{}");
    }

    /// A client closes a session, and its agent does not answer in time.
    #[track_caller]
    pub fn close_too_late(&mut self, client: ClientId, channel: ChannelId, id: &str) {
        let token = self.token();
        self.request(client, &token, "session/close", &session(id));
        self.expect_closed(client, id, "client_close");
        self.expect_request(channel, "session/close", &session(id));
        self.wait(10_000);
        self.expect_answer(client, &token, "{}");
    }

    /// An agent asks for a permission; the number is that of the client's wire.
    #[track_caller]
    pub fn ask(&mut self, channel: ChannelId, client: ClientId, id: &str, token: &str) -> u64 {
        self.request(channel, token, "session/request_permission", &permission(id));
        self.expect_request(client, "session/request_permission", &permission(id))
    }

    /// A client's request in the session that it knows as `~1~1` and the
    /// agent of this channel as `1`; the params go on with `rest`.
    #[track_caller]
    pub fn request_as(
        &mut self,
        client: ClientId,
        token: u64,
        channel: ChannelId,
        method: &str,
        rest: &str,
    ) -> u64 {
        self.request(client, token, method, &format!(r#"{{"sessionId":"~1~1"{rest}"#));
        self.expect_request(channel, method, &format!(r#"{{"sessionId":"1"{rest}"#))
    }

    /// A request id that no other request of this world has.
    pub fn token(&mut self) -> String {
        self.tokens += 1;
        format!("\"t{}\"", self.tokens)
    }

    /// An open that the agent does not answer in time; the number is
    /// that of the agent's wire.
    #[track_caller]
    pub fn open_too_late(
        &mut self,
        client: ClientId,
        channel: ChannelId,
        method: &str,
        params: &str,
    ) -> u64 {
        let token = self.token();
        self.request(client, &token, method, params);
        let number = self.expect_request(channel, method, params);
        self.wait(119_999);
        self.assert_nothing_left();
        self.wait(1);
        self.expect_refusal(client, &token, -32603, "open_timeout");
        self.expect_warning(|notice| matches!(notice, Notice::OpenUnanswered { .. }));
        self.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));
        number
    }
}
