//! Secrets in text that the bridge quotes: an agent's last words, and its lines that are no
//! messages.
//!
//! A secret is a value that is known to be one, because its variable or header is named like
//! one or a client has sent it for a server or a login; or a text that looks like one. Models,
//! paths, times and ids stay readable: a message without them helps nobody.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The text in place of a secret.
const MASK: &str = "***";

/// The most texts that are remembered; further ones are not.
const MOST: usize = 1024;

/// A shorter value (bytes) is no secret, whatever its variable is called.
const SHORTEST_NAMED: usize = 4;

/// Texts that are not to be quoted.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeSet<Box<str>>);

impl Secrets {
    /// The values of those variables that are named like secrets.
    pub fn of_environment<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Secrets {
        let is_secret = |(name, value): &(&str, &str)| {
            // The path of a file with a secret is none.
            names_secret(name) && value.len() >= SHORTEST_NAMED && !value.starts_with('/')
        };
        let mut secrets = Secrets::default();
        secrets.add(variables.filter(is_secret).map(|(_, value)| value.into()));
        secrets
    }

    /// Remembers texts, also as they stand in JSON.
    pub fn add(&mut self, texts: impl Iterator<Item = Box<str>>) {
        for text in texts.filter(|text| !text.is_empty()) {
            if self.0.len() >= MOST {
                return;
            }
            let escaped = serde_json::to_string(&text).unwrap_or_default();
            let escaped = escaped.trim_matches('"');
            if *escaped != *text {
                self.0.insert(escaped.into());
            }
            self.0.insert(text);
        }
    }

    /// The text with all secrets masked: these, those of `others`, and what looks like one.
    pub fn masked(&self, text: &str, others: &Secrets) -> String {
        let mut known: Vec<&str> = self.0.iter().chain(&others.0).map(|one| &**one).collect();
        // The longest first: it may contain another.
        known.sort_by_key(|secret| Reverse(secret.len()));
        let mut masked = text.to_owned();
        for secret in known {
            masked = masked.replace(secret, MASK);
        }
        masked_by_shape(&masked)
    }
}

/// Whether a variable or header with this name holds a secret.
pub fn names_secret(name: &str) -> bool {
    const TELLING: [&str; 8] =
        ["key", "token", "secret", "password", "passwd", "credential", "auth", "cookie"];
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|word| name.contains(word))
}

/// A secret behind the scheme of a header, and the password in an address.
static ANNOUNCED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let scheme = r"(?<scheme>\b(?i:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}";
    let address = r"(?<address>\b[A-Za-z0-9]+://[^\s/:@]+:)[^\s/@]+@";
    Regex::new(&format!("{scheme}|{address}")).ok()
});

/// A name and its value.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = r#"(?<name>\b[A-Za-z0-9_-]+)(?<sign>["']?[=:]\s?["']?)"#;
    Regex::new(&format!("{name}{}", r#"[^\s"',;}]{6,}"#)).ok()
});

/// A word that may be a random string.
static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+=_.-]{20,}").ok());

fn masked_by_shape(text: &str) -> String {
    let (Some(announced), Some(named), Some(word)) = (&*ANNOUNCED, &*NAMED, &*WORD) else {
        return text.to_owned();
    };
    let text = announced.replace_all(text, |found: &Captures<'_>| {
        match (found.name("scheme"), found.name("address")) {
            (Some(scheme), _) => format!("{}{MASK}", scheme.as_str()),
            (_, Some(address)) => format!("{}{MASK}@", address.as_str()),
            (None, None) => found[0].to_owned(),
        }
    });
    let text =
        named.replace_all(&text, |found: &Captures<'_>| match is_name_of_secret(&found["name"]) {
            true => format!("{}{}{MASK}", &found["name"], &found["sign"]),
            false => found[0].to_owned(),
        });
    let text = word.replace_all(&text, |found: &Captures<'_>| match is_random(&found[0]) {
        true => MASK.to_owned(),
        false => found[0].to_owned(),
    });
    text.into_owned()
}

/// Whether a name is that of a variable or header, and not a word of a sentence, and names a
/// secret.
fn is_name_of_secret(name: &str) -> bool {
    let is_variable =
        name.contains(['_', '-']) || name.bytes().all(|byte| byte.is_ascii_uppercase());
    is_variable && names_secret(name)
}

/// Whether a word is a random string, such as a token: long, and with letters and digits mixed
/// in one of its parts. Versions, dates, names of models and ids with dashes have short parts.
fn is_random(word: &str) -> bool {
    if word.starts_with("eyJ") && word.matches('.').count() == 2 {
        return true;
    }
    word.split(['-', '_', '.']).any(|part| {
        let has = |is: fn(&u8) -> bool| part.as_bytes().iter().any(is);
        part.len() >= 20
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_alphabetic)
            && (has(u8::is_ascii_uppercase) || part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        Secrets::default().masked(text, &Secrets::default())
    }

    #[test]
    fn the_patterns_are_sound() {
        assert!(ANNOUNCED.is_some() && NAMED.is_some() && WORD.is_some());
    }

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        for (text, expected) in [
            ("Authorization: Bearer abc.DEF-123", "Authorization: Bearer ***"),
            ("MY_API_KEY=abcdef and on", "MY_API_KEY=*** and on"),
            (r#"{"x-api-key":"abcdef"}"#, r#"{"x-api-key":"***"}"#),
            ("x-api-key: abcdefgh", "x-api-key: ***"),
            ("TOKEN=abcdefgh", "TOKEN=***"),
            (
                "gateway http://ada:pass@gate:3128 refused",
                "gateway http://ada:***@gate:3128 refused",
            ),
            ("token eyJhbGciOi.eyJzdWIiOi.SflKxwRJSM", "token ***"),
            ("with sk-ant-api03-aB3dE5gH7jK9mN1pQ3sT5vX7z", "with ***"),
            ("id 0123456789abcdef0123456789abcdef", "id ***"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn what_helps_to_find_the_fault_stays() {
        for text in [
            "model claude-opus-4-5-20250929 not found",
            "no such file: /home/jo/proj/src/node_modules/@scope/agent/dist/index.js",
            "gateway http://gate.corp:3128 refused",
            "session 0b6f7c1e-8f0e-4b1a-9c59-2a6a3f1d2e4b is gone",
            "2026-11-26T23:47:09.494265Z started",
            "Error: authentication required: run the login first",
            "The author: somebody",
            "npm error code E404",
            "a_rather_long_name_of_a_function_in_a_module",
            "registry.npmjs.org/@agentclientprotocol%2fclaude-agent-acp",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn known_secrets_are_masked_in_every_spelling() {
        let mut secrets = Secrets::of_environment(
            [("DB_PASSWORD", "hunter2"), ("MODEL", "opus"), ("SSH_AUTH_SOCK", "/run/ssh")]
                .into_iter(),
        );
        secrets.add(["sec\"ret\\of".into()].into_iter());
        let text = r#"hunter2 opus /run/ssh sec"ret\of "sec\"ret\\of""#;
        let expected = r#"*** opus /run/ssh *** "***""#;
        assert_eq!(secrets.masked(text, &Secrets::default()), expected);
        assert_eq!(Secrets::default().masked(text, &secrets), expected);
    }
}
