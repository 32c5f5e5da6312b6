//! The contents of a message in a trace: without secrets.
//!
//! Here, unlike where a sentence quotes a line, it is better to mask too much.

use serde_json::{Map, Value};

use crate::secrets::{MASK, Secrets, names_secret, words};

/// The longest message whose contents are kept, in bytes: as values they take many times that.
const LONGEST: usize = 1 << 20;

/// The words of a member's name whose values are those of variables or headers.
const VALUES: [&str; 6] = ["env", "environment", "header", "headers", "variable", "variables"];

/// Requests whose params are credentials, but for the name of the method or the provider.
const LOGINS: [&str; 3] = ["authenticate", "auth/login", "providers/set"];

/// The members of such params that are none.
const NAMES: [&str; 4] = ["methodId", "providerId", "id", "sessionId"];

/// A message as JSON, or as text if it is none. The values of environments and headers are masked,
/// and whatever is named or looks like a secret. A message in which they cannot be found is left
/// out.
pub(super) fn masked(message: &[u8]) -> Value {
    if message.len() > LONGEST {
        return Value::from(format!("left out: it is longer than {LONGEST} bytes"));
    }
    match serde_json::from_slice(message) {
        Ok(mut value) => {
            mask(&mut value);
            value
        }
        // Half a surrogate, 1e400 or a thousand brackets are refused by the reader alone.
        Err(_) if may_be_message(message) => {
            Value::from("left out: secrets in it could not be found")
        }
        Err(_) => Value::from(Secrets::default().masked(&String::from_utf8_lossy(message))),
    }
}

/// Whether a line that cannot be read begins as a message, or as a control line of a shim.
fn may_be_message(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), Some(b'{' | b'[' | b'#'))
}

fn mask(value: &mut Value) {
    match value {
        Value::String(text) => *text = Secrets::default().masked(text),
        Value::Array(items) => mask_items(items),
        Value::Object(members) => {
            let method = members.get("method").and_then(Value::as_str);
            if method.is_some_and(|method| LOGINS.contains(&method)) {
                mask_login(members);
            }
            for (name, member) in members {
                if words(name).iter().any(|word| VALUES.contains(&word.as_str())) {
                    mask_values(member);
                } else if is_secret(name) {
                    mask_all(member);
                } else {
                    mask(member);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a member of this name holds a secret, or several. `maxTokens` does not.
fn is_secret(name: &str) -> bool {
    let one = name.strip_suffix('s').filter(|_| !name.to_ascii_lowercase().ends_with("tokens"));
    names_secret(name) || one.is_some_and(names_secret)
}

/// Masks the items of a list. In the arguments of a command, the word behind an option that is
/// named like a secret is one.
fn mask_items(items: &mut [Value]) {
    let mut is_value = false;
    for item in items {
        let option = item.as_str().filter(|word| word.starts_with('-')).map(str::to_owned);
        if is_value && option.is_none() {
            mask_all(item);
            is_value = false;
            continue;
        }
        is_value = match option.as_deref().map(|word| word.split_once('=')) {
            Some(Some((name, _))) if is_secret(name) => {
                *item = Value::from(format!("{name}={MASK}"));
                false
            }
            Some(None) => option.is_some_and(|name| is_secret(&name)),
            _ => false,
        };
        mask(item);
    }
}

fn mask_login(request: &mut Map<String, Value>) {
    if let Some(Value::Object(params)) = request.get_mut("params") {
        let credentials = params.iter_mut().filter(|(name, _)| !NAMES.contains(&name.as_str()));
        credentials.for_each(|(_, member)| mask_all(member));
    }
}

/// Masks everything but names: those of members, and a member `name` beside a `value`.
fn mask_values(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask_values),
        Value::Object(members) => {
            let is_pair = members.contains_key("value");
            let is_name = |name: &str, it: &Value| is_pair && name == "name" && it.is_string();
            members
                .iter_mut()
                .filter(|(name, it)| !is_name(name, it))
                .for_each(|(_, it)| mask_values(it));
        }
        other => mask_all(other),
    }
}

/// Masks everything but the names of members.
fn mask_all(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask_all),
        Value::Object(members) => members.iter_mut().for_each(|(_, it)| mask_all(it)),
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
                {"name": "c", "env": {"KEY": "inside", "name": "inside", "N": 5}},
                {"name": "d", "http_headers": {"X": "inside"}, "envVars": ["inside"]},
                {"name": "e", "args": ["--api-key", "hunter", "--mode", "fast", "--token=hunter"]},
            ],
            "apiKey": "short",
            "apiKeys": ["short"],
            "credentials": {"user": "short"},
            "maxTokens": 4711,
            "prompt": [{"type": "text", "text": "use sk-ant-api03-AAAAAAAAAAAAAAAAAAAAAAAA please"}],
        }});
        let text = masked(message.to_string().as_bytes()).to_string();
        for kept in ["/home/you", "MODE", "X-Any", "KEY", "please", "http://x", "fast", "4711"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        for secret in ["plain", "word", "inside", ":5", "short", "sk-ant", "hunter"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }

    #[test]
    fn a_login_shows_its_method_alone() {
        let meta = json!({"api-key": {"value": "hidden"}});
        let params = json!({"methodId": "oauth", "_meta": meta, "word": "hidden"});
        let text =
            masked(json!({"method": "authenticate", "params": params}).to_string().as_bytes());
        let text = text.to_string();
        assert!(text.contains("oauth") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn a_message_that_cannot_be_read_whole_is_left_out() {
        let env = r#""env":[{"name":"OPENAI_API_KEY","value":"hunter2hunter"}]"#;
        let deep = "[".repeat(200) + &"]".repeat(200);
        for odd in [r#""\ud83d""#, "1e400", &deep, "nonsense"] {
            let text = masked(format!("{{{env},\"a\":{odd}}}").as_bytes()).to_string();
            assert!(text.starts_with("\"left out"), "{text}");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST));
        assert!(masked(long.as_bytes()).to_string().starts_with("\"left out"));
        // A line of another program.
        assert_eq!(masked(b"Downloading 3 files"), "Downloading 3 files");
    }
}
