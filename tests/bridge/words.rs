//! What is said on the wire: messages and bodies that many tests use.

use std::fmt::Display;

/// What a capable agent says of itself.
pub const CAPABLE: &str = r#"{"protocolVersion":1,"agentCapabilities":{"loadSession":true,"sessionCapabilities":{"close":{},"resume":{},"list":{},"fork":{},"delete":{}}}}"#;
/// What an agent says that cannot close sessions.
pub const WITHOUT_CLOSE: &str =
    r#"{"protocolVersion":1,"agentCapabilities":{"loadSession":true,"sessionCapabilities":{}}}"#;
/// The params of a client's `initialize` that asks for our notifications.
pub const INITIALIZE: &str = r#"{"protocolVersion":1,"clientCapabilities":{"fs":{"readTextFile":true,"writeTextFile":true},"terminal":true,"_meta":{"drawbridge":{"events":true}}}}"#;
/// The params of a `session/new`.
pub const NEW: &str = r#"{"cwd":"/work","mcpServers":[]}"#;
/// The result of a turn that went well.
pub const END_TURN: &str = r#"{"stopReason":"end_turn"}"#;
/// The result of a turn that was cancelled.
pub const CANCELLED: &str = r#"{"stopReason":"cancelled"}"#;
/// The result of a permission that nobody gave.
pub const NOT_ALLOWED: &str = r#"{"outcome":{"outcome":"cancelled"}}"#;
/// The result of a permission that was given.
pub const ALLOWED: &str = r#"{"outcome":{"outcome":"selected","optionId":"yes"}}"#;

pub fn request(id: impl Display, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

pub fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
}

pub fn answer(id: impl Display, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

pub fn failure(id: impl Display, code: i64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"no"}}}}"#)
}

pub fn session(id: &str) -> String {
    format!(r#"{{"sessionId":"{id}"}}"#)
}

pub fn stored(id: &str) -> String {
    format!(r#"{{"sessionId":"{id}","cwd":"/work","mcpServers":[]}}"#)
}

pub fn prompt(id: &str) -> String {
    format!(r#"{{"sessionId":"{id}","prompt":[]}}"#)
}

pub fn update(id: &str, text: &str) -> String {
    format!(
        r#"{{"sessionId":"{id}","update":{{"sessionUpdate":"agent_message_chunk","content":{{"type":"text","text":"{text}"}}}}}}"#
    )
}

pub fn permission(id: &str) -> String {
    format!(r#"{{"sessionId":"{id}","options":[{{"optionId":"yes"}},{{"optionId":"no"}}]}}"#)
}
