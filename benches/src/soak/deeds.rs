//! The prompts and lines that a soak sends, good and bad.

/// Prompts without a fault: scripts of agent-stub.
pub const GOOD: [&str; 10] = [
    "say hello",
    "stream 20 200",
    "stream 500 300",
    "think hm\nplan\ntool x\nusage",
    "ask-permission\nsay done",
    "read /etc/hostname",
    "elicit",
    "sleep 150",
    "update-later 50 late",
    "echo-params",
];

/// Prompts with a fault; some of them end their agent.
pub const BAD: [&str; 18] = [
    "garbage\nsay x",
    "answer-twice",
    "exit 3",
    "exit 0",
    "abort",
    "half-line",
    "stop-self",
    "sleep 60000",
    "background 3000",
    "grandchild hold-pipe",
    "grandchild ignore-term",
    "grandchild setsid",
    "flood-stderr 300",
    "long-line 2000000",
    "update-other ghost x",
    "ask-other ghost",
    "raw {\"jsonrpc\":\"2.0\",\"id\":4711,\"result\":{}}",
    "raw {\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":null}",
];

/// Lines that are no messages, or no sensible ones.
pub const NONSENSE: [&str; 8] = [
    "nonsense",
    "[]",
    "{}",
    r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#,
    r#"{"jsonrpc":"2.0","id":999999999,"result":null}"#,
    r#"{"jsonrpc":"2.0","method":"session/cancel","params":{"sessionId":"ghost"}}"#,
    r#"{"jsonrpc":"2.0","method":"$/cancel_request","params":{"requestId":"ghost"}}"#,
    r#"{"jsonrpc":"2.0","method":"_vendor/unknown","params":{"a":[1,2,3]}}"#,
];
