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
    "s0",
    "s1",
    "",
    "é\\n",
    "agent:",
    "agent:agent:s0",
];

/// The name of a method on the wire.
pub fn name(method: Method) -> &'static str {
    if method == Other { "_x/word" } else { method.name() }
}

/// The params of a request or a notification of a client.
pub fn params(method: Method, session: Option<&str>, how: usize) -> String {
    let cwd = ["/a", "/b"][how % 2];
    let named = session.map_or_else(String::new, |id| format!(r#""sessionId":"{id}","#));
    match method {
        Initialize => initialize(how).to_owned(),
        SessionNew => format!(r#"{{"cwd":"{cwd}","mcpServers":[]}}"#),
        SessionList if how > 8 => format!(r#"{{"cwd":"{cwd}","cursor":"c"}}"#),
        Authenticate if how > 8 => r#"{"methodId":"m","_meta":{"key":1}}"#.to_owned(),
        _ => format!(r#"{{{named}"cwd":"{cwd}"}}"#),
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

/// The params of a question of an agent.
pub fn question(session: Option<&str>, request: Option<u64>) -> String {
    let named = session.map_or_else(String::new, |id| format!(r#""sessionId":"{id}","#));
    let request = request.map_or_else(String::new, |id| format!(r#""requestId":{id},"#));
    format!(r#"{{{named}{request}"options":[{{"optionId":"yes"}},{{"optionId":"no"}}]}}"#)
}

/// A good result of an agent; `which` selects the session id, or in an answer to `initialize`
/// the version and the capabilities.
pub fn result(method: Method, which: usize) -> String {
    let session = SESSIONS[which];
    match method {
        Initialize => match which {
            1 => r#"{"protocolVersion":1,"agentCapabilities":{"loadSession":true}}"#,
            2 => r#"{"protocolVersion":1}"#,
            3 => r#"{"protocolVersion":2}"#,
            4 => "{}",
            _ => {
                r#"{"protocolVersion":1,"agentCapabilities":{"loadSession":true,"sessionCapabilities":{"close":{},"resume":{},"list":{},"fork":{},"delete":{}}}}"#
            }
        }
        .to_owned(),
        SessionNew | SessionFork => format!(r#"{{"sessionId":"{session}","modes":null}}"#),
        SessionList => {
            format!(r#"{{"sessions":[{{"sessionId":"{session}"}}],"nextCursor":"c"}}"#)
        }
        SessionPrompt => r#"{"stopReason":"end_turn"}"#.to_owned(),
        _ => "{}".to_owned(),
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
        _ => r#""result":{"content":""}"#,
    }
}
