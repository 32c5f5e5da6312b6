//! The contents of a message in a trace: without secrets.

use serde_json::Value;

use crate::secrets::{MASK, Secrets, names_secret};

/// Members whose values are those of variables or headers.
const VALUES: [&str; 3] = ["env", "environment", "headers"];

/// A message as JSON, or as text if it is none. The values of environments and headers are masked,
/// and whatever is named or looks like a secret.
pub(super) fn masked(message: &[u8]) -> Value {
    match serde_json::from_slice(message) {
        Ok(mut value) => {
            mask(&mut value);
            value
        }
        Err(_) => Value::from(Secrets::default().masked(&String::from_utf8_lossy(message))),
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::String(text) => *text = Secrets::default().masked(text),
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(members) => {
            for (name, member) in members {
                if VALUES.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                    mask_values(member);
                } else if names_secret(name) && !member.is_object() && !member.is_array() {
                    *member = Value::from(MASK);
                } else {
                    mask(member);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Masks everything but the names: those of members, and the values of members `name`.
fn mask_values(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask_values),
        Value::Object(members) => {
            members
                .iter_mut()
                .filter(|(name, _)| *name != "name")
                .for_each(|(_, it)| mask_values(it));
        }
        Value::Null => {}
        other => *other = Value::from(MASK),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_value_of_an_environment_or_a_header_is_there() {
        let message = json!({"params": {
            "cwd": "/home/you",
            "mcpServers": [
                {"name": "a", "command": "x", "env": [{"name": "MODE", "value": "plain"}]},
                {"name": "b", "url": "http://x", "headers": [{"name": "X-Any", "value": "word"}]},
                {"name": "c", "env": {"KEY": "inside", "N": 5}},
            ],
            "apiKey": "short",
            "prompt": [{"type": "text", "text": "use sk-ant-REDACTED please"}],
        }});
        let text = masked(message.to_string().as_bytes()).to_string();
        for kept in ["/home/you", "MODE", "X-Any", "KEY", "please", "http://x"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        for secret in ["plain", "word", "inside", ":5", "short", "sk-ant"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}
