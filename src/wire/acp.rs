//! The method names of the Agent Client Protocol that the bridge treats apart.
//!
//! Source: the ACP schema, stable v1 and the unstable methods in use
//! (`agent-client-protocol-schema` 1.15). Any other name is [`Method::Other`].

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A method, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Method {
            $($(#[$doc])* $variant,)*
            /// Any other name.
            Other,
        }

        impl Method {
            /// The method with this name.
            pub fn named(name: &str) -> Method {
                Method::spelled(name.as_bytes())
            }

            /// The method with this name, given as bytes without escapes.
            pub(super) fn spelled(name: &[u8]) -> Method {
                $(if name == $name.as_bytes() {
                    return Method::$variant;
                })*
                Method::Other
            }

            /// The name on the wire; empty for [`Method::Other`].
            pub const fn name(self) -> &'static str {
                match self {
                    $(Method::$variant => $name,)*
                    Method::Other => "",
                }
            }
        }
    };
}

// The most frequent method first: names are compared in this order.
methods! {
    /// Agent → client, notification: what happens in a turn.
    SessionUpdate = "session/update",
    /// Client → agent: versions and capabilities.
    Initialize = "initialize",
    /// Client → agent: log in.
    Authenticate = "authenticate",
    /// Client → agent: log in (newer name).
    AuthLogin = "auth/login",
    /// Client → agent: whether a user is logged in.
    AuthStatus = "auth/status",
    /// Client → agent: log out.
    Logout = "logout",
    /// Client → agent: log out (newer name).
    AuthLogout = "auth/logout",
    /// Client → agent: model providers.
    ProvidersList = "providers/list",
    /// Client → agent: configure a provider.
    ProvidersSet = "providers/set",
    /// Client → agent: switch a provider off.
    ProvidersDisable = "providers/disable",
    /// Client → agent: a new conversation.
    SessionNew = "session/new",
    /// Client → agent: a stored conversation, with its history.
    SessionLoad = "session/load",
    /// Client → agent: a stored conversation, without its history.
    SessionResume = "session/resume",
    /// Client → agent: a copy of a conversation.
    SessionFork = "session/fork",
    /// Client → agent: the stored conversations.
    SessionList = "session/list",
    /// Client → agent: delete a stored conversation.
    SessionDelete = "session/delete",
    /// Client → agent: put a stored conversation away.
    SessionArchive = "session/archive",
    /// Client → agent: take an archived conversation out again.
    SessionUnarchive = "session/unarchive",
    /// Client → agent: what a session is doing.
    SessionStatus = "session/status",
    /// Client → agent: rename a stored conversation.
    SessionSetTitle = "session/set_title",
    /// Client → agent: close a session.
    SessionClose = "session/close",
    /// Client → agent: begin a turn.
    SessionPrompt = "session/prompt",
    /// Client → agent, notification: end the turn.
    SessionCancel = "session/cancel",
    /// Client → agent: choose the mode, such as `ask` or `code`.
    SessionSetMode = "session/set_mode",
    /// Client → agent: model and other choices.
    SessionSetConfigOption = "session/set_config_option",
    /// Agent → client: ask for a permission.
    RequestPermission = "session/request_permission",
    /// Agent → client: read a file as the editor sees it.
    FsRead = "fs/read_text_file",
    /// Agent → client: write a file through the editor.
    FsWrite = "fs/write_text_file",
    /// Agent → client: start a command in a terminal.
    TerminalCreate = "terminal/create",
    /// Agent → client: what the command printed.
    TerminalOutput = "terminal/output",
    /// Agent → client: wait for the command.
    TerminalWait = "terminal/wait_for_exit",
    /// Agent → client: end the command.
    TerminalKill = "terminal/kill",
    /// Agent → client: forget the terminal.
    TerminalRelease = "terminal/release",
    /// Agent → client: ask the person for structured input.
    ElicitationCreate = "elicitation/create",
    /// Agent → client, notification: the person has finished an elicitation by URL.
    ElicitationComplete = "elicitation/complete",
    /// Agent → client: open a connection to an MCP server of the client.
    McpConnect = "mcp/connect",
    /// Agent → client: end such a connection.
    McpDisconnect = "mcp/disconnect",
    /// Client → agent: end a session of next edit suggestions.
    NesClose = "nes/close",
    /// Either way: withdraw a request.
    CancelRequest = "$/cancel_request",
    /// Client → bridge: the client joins a session.
    BridgeAttach = "_drawbridge/attach",
    /// Client → bridge: the client leaves sessions on purpose.
    BridgeDetach = "_drawbridge/detach",
    /// Client → bridge: the client is still there.
    BridgeHeartbeat = "_drawbridge/heartbeat",
}

impl Method {
    /// Whether the schema knows this method only as a notification; `name` is its name.
    pub(super) fn is_only_notification(self, name: &str) -> bool {
        match self {
            Method::SessionUpdate
            | Method::SessionCancel
            | Method::CancelRequest
            | Method::ElicitationComplete => true,
            Method::Other => {
                name.starts_with("document/") || matches!(name, "nes/accept" | "nes/reject")
            }
            _ => false,
        }
    }

    /// Whether the params of this method may hold secrets: environments and headers of
    /// MCP servers, or credentials.
    pub const fn may_hold_secrets(self) -> bool {
        matches!(
            self,
            Method::SessionNew
                | Method::SessionLoad
                | Method::SessionResume
                | Method::SessionFork
                | Method::Authenticate
                | Method::AuthLogin
                | Method::ProvidersSet
        )
    }
}
