//! The texts of the messages that peers send.

use drawbridge::wire::Method;

use Method::*;

/// The requests of a client, by their letter.
pub const REQUESTS: &[(u8, Method)] = &[
    (b'i', Initialize),
    (b'n', SessionNew),
    (b'p', SessionPrompt),
    (b'c', SessionClose),
    (b'l', SessionLoad),
    (b'r', SessionResume),
    (b'f', SessionFork),
    (b'd', SessionDelete),
    (b'a', SessionArchive),
    (b's', SessionStatus),
    (b'L', SessionList),
    (b'm', SessionSetMode),
    (b'o', SessionSetConfigOption),
    (b'A', Authenticate),
    (b'S', AuthStatus),
    (b'O', Logout),
    (b'P', ProvidersSet),
    (b'Q', ProvidersList),
    (b'D', BridgeDetach),
    (b'H', BridgeHeartbeat),
    (b'x', Other),
];

/// The notifications of a client, by their letter.
pub const NOTIFICATIONS: &[(u8, Method)] =
    &[(b'c', SessionCancel), (b'h', BridgeHeartbeat), (b'x', Other)];

/// The questions of an agent, by their letter.
pub const QUESTIONS: &[(u8, Method)] = &[
    (b'p', RequestPermission),
    (b'r', FsRead),
    (b'w', FsWrite),
    (b't', TerminalCreate),
    (b'k', TerminalKill),
    (b'e', ElicitationCreate),
    (b'x', Other),
];

/// The other messages of a client, each with its letter: the method, and the id for `null` or a message
/// without one.
pub const RARITIES: &[(u8, (&str, Id))] = &[
    (b's', ("nes/start", Id::Fresh)),
    (b'c', ("nes/close", Id::Fresh)),
    (b'a', ("nes/accept", Id::None)),
    (b'd', ("document/did_open", Id::None)),
    (b'e', ("_x/import", Id::Fresh)),
    (b't', ("session/set_title", Id::Fresh)),
    (b'u', ("session/unarchive", Id::Fresh)),
    (b'm', ("mcp/message", Id::Fresh)),
    (b'k', ("mcp/message", Id::Null)),
    (b'n', ("session/cancel", Id::Null)),
    (b'h', ("$/cancel_request", Id::Null)),
    (b'j', ("nes/reject", Id::Null)),
];

/// The messages of an agent that name no session, each with its letter.
pub const SCOPES: &[(u8, Scope)] = &[
    (b'c', Scope::Connect),
    (b'm', Scope::McpRequest),
    (b'n', Scope::McpNotification),
    (b'v', Scope::McpToServer),
    (b'k', Scope::McpNullId),
    (b'e', Scope::Elicitation),
    (b'E', Scope::Complete),
    (b'p', Scope::OfPending),
    (b'f', Scope::OfFinished),
    (b'z', Scope::OfNull),
    (b'u', Scope::OfUnknown),
    (b'x', Scope::Ask),
    (b'y', Scope::Note),
    (b'a', Scope::Login),
    (b'd', Scope::Forged),
];

/// The id of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    Fresh,
    Null,
    None,
}

/// The links from a message of an agent to a client, other than a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Connect,
    McpRequest,
    McpNotification,
    McpToServer,
    McpNullId,
    Elicitation,
    Complete,
    OfPending,
    OfFinished,
    OfNull,
    OfUnknown,
    Ask,
    Note,
    Login,
    Forged,
}

/// The session ids that clients name and agents choose.
pub const SESSIONS: [&str; 16] = [
    "s0",
    "s1",
    "s2",
    "s3",
    "s4",
    "s5",
    "s6",
    "s7",
    "agent:s0",
    "agent:s1",
    "~1~s0",
    "~2~s1",
    "",
    "é\n",
    "agent:",
    "agent:agent:s0",
];

/// The ids of sub-agents, and of sessions that no open has brought.
pub const KIDS: [&str; 4] = ["kid-0", "kid-1", "kid-2", "nes-1"];

/// The name of a method on the wire.
pub fn name(method: Method) -> &'static str {
    if method == Other { "_x/word" } else { method.name() }
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The member of params that names a session; empty if there is none.
pub fn named(session: Option<&str>) -> String {
    session.map_or_else(String::new, |id| format!(r#""sessionId":{},"#, quoted(id)))
}

/// The params of a request or a notification of a client; `server` is the MCP server that it
/// may offer.
pub fn params(
    method: Method,
    session: Option<&str>,
    how: usize,
    mark: &str,
    server: &str,
) -> String {
    let cwd = ["/a", "/b"][how % 2];
    let named = named(session);
    match method {
        Initialize => initialize(how).to_owned(),
        SessionNew if how & 4 != 0 => format!(
            r#"{{"cwd":"{cwd}","mcpServers":[{{"type":"acp","name":"t","id":"{server}","serverId":"{server}"}}],"mark":"{mark}"}}"#
        ),
        SessionNew => format!(r#"{{"cwd":"{cwd}","mcpServers":[],"mark":"{mark}"}}"#),
        SessionPrompt => {
            format!(r#"{{{named}"prompt":[{{"type":"text","text":"{mark}"}}],"mark":"{mark}"}}"#)
        }
        SessionList if how > 8 => format!(r#"{{"cwd":"{cwd}","cursor":"c","mark":"{mark}"}}"#),
        Authenticate if how > 8 => {
            format!(r#"{{"methodId":"m","_meta":{{"key":1}},"mark":"{mark}"}}"#)
        }
        _ => format!(r#"{{{named}"cwd":"{cwd}","mark":"{mark}"}}"#),
    }
}

fn initialize(how: usize) -> &'static str {
    match how {
        9 => "[]",
        10 => r#"{"protocolVersion":2}"#,
        11 => r#"{"protocolVersion":1,"clientInfo":{"name":"other"}}"#,
        12 => r#"{"protocolVersion":1,"clientCapabilities":{"fs":{"readTextFile":true}}}"#,
        _ => {
            r#"{"protocolVersion":1,"clientCapabilities":{"terminal":true,"_meta":{"drawbridge":{"events":true}}}}"#
        }
    }
}

/// Whether a request goes to every agent of its pool.
pub fn is_for_all(method: Method) -> bool {
    matches!(method, Logout | AuthLogout | ProvidersList | ProvidersSet | ProvidersDisable)
}

/// The params of a question of an agent.
pub fn question(session: Option<&str>, request: Option<u64>, mark: &str) -> String {
    let named = named(session);
    let request = request.map_or_else(String::new, |id| format!(r#""requestId":{id},"#));
    format!(
        r#"{{{named}{request}"mark":"{mark}","options":[{{"optionId":"yes"}},{{"optionId":"no"}}]}}"#
    )
}

/// An agent's answer to `initialize`: a version and capabilities.
pub fn version(which: usize) -> &'static str {
    match which {
        1 => r#"{"protocolVersion":1,"agentCapabilities":{"loadSession":true}}"#,
        2 => r#"{"protocolVersion":1}"#,
        3 => r#"{"protocolVersion":2}"#,
        4 => "{}",
        _ => {
            r#"{"protocolVersion":1,"agentCapabilities":{"loadSession":true,"sessionCapabilities":{"close":{},"resume":{},"list":{},"fork":{},"delete":{}}}}"#
        }
    }
}

/// Whether an agent's good answer to a request of this name brings a session although the
/// request is no open.
pub fn brings_session(name: &str) -> bool {
    matches!(name, "nes/start" | "_x/import")
}

/// A good result of an agent for any request but `initialize`.
pub fn result(method: Method, name: &str, session: &str, mark: &str) -> String {
    let session = quoted(session);
    match method {
        SessionNew | SessionFork => {
            format!(r#"{{"sessionId":{session},"modes":null,"mark":"{mark}"}}"#)
        }
        SessionList => format!(
            r#"{{"sessions":[{{"sessionId":{session}}}],"nextCursor":"c","mark":"{mark}"}}"#
        ),
        SessionPrompt => format!(r#"{{"stopReason":"end_turn","mark":"{mark}"}}"#),
        _ if brings_session(name) => format!(r#"{{"sessionId":{session},"mark":"{mark}"}}"#),
        _ => format!(r#"{{"mark":"{mark}"}}"#),
    }
}

/// The `result` or `error` with which a client answers a question; `how` selects a good or a
/// bad one.
pub fn reply(method: Method, how: usize) -> &'static str {
    match (method, how) {
        (_, 1) => r#""error":{"code":-32603,"message":"cannot"}"#,
        (RequestPermission, 2) => r#""result":{"outcome":{"outcome":"cancelled"}}"#,
        (RequestPermission, 3) => {
            r#""result":{"outcome":{"outcome":"selected","optionId":"what"}}"#
        }
        (_, 4) => r#""result":null"#,
        (RequestPermission, _) => r#""result":{"outcome":{"outcome":"selected","optionId":"yes"}}"#,
        (ElicitationCreate, _) => r#""result":{"action":"accept","content":{}}"#,
        _ => r#""result":{"content":""}"#,
    }
}

/// How many unreadable answers there are.
pub const UNREADABLE: usize = 9;

/// An answer whose id can be read, and the rest not.
pub fn unreadable(id: u64, how: usize) -> Vec<u8> {
    let id = id.to_string();
    let [before, behind]: [&[u8]; 2] = match how % UNREADABLE {
        0 => [br#"{"jsonrpc":"2.0","id":"#, br#","result":{"n":NaN}}"#],
        1 => [br#"{"id":"#, br#","result":{"n":-Infinity}}"#],
        2 => [br#"{"id":"#, b",\"result\":{\"t\":\"caf\xe9\"}}"],
        3 => [br#"{"id":"#, b",\"result\":{\"t\":\"a\tb\"}}"],
        4 => [br#"{"id":"#, br#","result":{"t":"cut o"#],
        5 => [br#"{"jsonrpc":"2.0","result":{"n":NaN},"id":"#, b"}"],
        6 => [b"{\"result\":{\"t\":\"caf\xe9\"},\"id\":", b"}"],
        7 => [br#"{"id":"#, b",\"error\":{\"code\":-32000,\"message\":\"\xff\"}}"],
        _ => [br#"{"id":"#, br#","result":{},}"#],
    };
    [before, id.as_bytes(), behind].concat()
}

/// How many odd dresses of an answer there are.
pub const ODD: usize = 7;

/// Whether an odd answer has no body.
pub fn is_bare(how: usize) -> bool {
    matches!(how % ODD, 0 | 4)
}

/// A good answer in an odd dress: without a body, under another spelling of the id, or
/// nested very deeply.
pub fn odd(id: u64, how: usize, result: &str) -> String {
    match how % ODD {
        0 => format!(r#"{{"id":{id}}}"#),
        1 => format!(r#"{{"id":{id}.0,"result":{result}}}"#),
        2 => format!(r#"{{"id":{id}e0,"result":{result}}}"#),
        3 => format!(r#"{{"id":"{id}","result":{result}}}"#),
        4 => format!(r#"{{"id":{id},"error":null}}"#),
        5 => format!(r#"{{"id":{id},"result":{result},"error":null}}"#),
        _ => {
            let (open, close) = ("[".repeat(2_000), "]".repeat(2_000));
            format!(r#"{{"id":{id},"deep":{open}{close},"result":{result}}}"#)
        }
    }
}
