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
pub const MASK: &str = "***";

/// The most texts that are remembered; further ones are not.
const MOST: usize = 1024;

/// A shorter value (bytes) is no secret, whatever its variable is called.
const SHORTEST_NAMED: usize = 4;

/// The length of a word (bytes) that is the value of a header, and no word of a sentence.
const SHORTEST_HEADER: usize = 6;

/// Texts that are not to be quoted.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeSet<Box<str>>);

impl Secrets {
    /// The values of those variables that are named like secrets.
    pub fn of_environment<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Secrets {
        let is_secret = |(name, value): &(&str, &str)| {
            // The path of a file with a secret is none.
            let is_quotable = value.starts_with('/') || is_setting(value);
            names_secret(name) && value.len() >= SHORTEST_NAMED && !is_quotable
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
            // Some programs write JSON in ASCII alone.
            self.0.insert(in_ascii(escaped).into());
            self.0.insert(escaped.into());
            self.0.insert(text);
        }
    }

    /// The text with all secrets masked: these, and what looks like one.
    pub fn masked(&self, text: &str) -> String {
        let mut known: Vec<&str> = self.0.iter().map(|one| &**one).collect();
        // The longest first: it may contain another.
        known.sort_by_key(|secret| Reverse(secret.len()));
        let mut masked = text.to_owned();
        for secret in known {
            masked = masked.replace(secret, MASK);
        }
        masked_by_shape(&masked)
    }
}

/// A text of JSON with an escape for every character that is not ASCII.
fn in_ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

/// Whether a variable, a header or a field with this name holds a secret: one of the words of the
/// name says so. `TOKENIZERS` and `AUTHOR` are other words, and `AUTH_TYPE` is a type.
pub fn names_secret(name: &str) -> bool {
    const TELLING: [&str; 8] =
        ["key", "token", "secret", "password", "passwd", "passphrase", "credential", "cookie"];
    const TELLING_AT_THE_END: [&str; 5] = ["auth", "authorization", "credentials", "pwd", "pass"];
    let words = words(name);
    // Words may be written together: APIKEY.
    words.iter().any(|word| TELLING.iter().any(|telling| word.ends_with(telling)))
        || words.last().is_some_and(|word| TELLING_AT_THE_END.contains(&word.as_str()))
}

/// The words of a name such as `MY_API_KEY`, `x-api-key` or `apiKey`, in lower case.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        let begins = was_lower && letter.is_ascii_uppercase();
        if begins || !letter.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(letter.to_ascii_lowercase());
        }
        was_lower = letter.is_ascii_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a value is a setting that stands in many texts, whatever its name says.
fn is_setting(value: &str) -> bool {
    const SETTINGS: [&str; 10] = [
        "true", "false", "none", "null", "auto", "required", "optional", "oauth", "basic", "bearer",
    ];
    SETTINGS.contains(&value.to_ascii_lowercase().as_str())
        || (value.len() < 8 && value.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A secret behind the scheme of a header, the password in an address, and tokens of well-known
/// services.
static ANNOUNCED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let scheme = r"(?<scheme>\b(?i:bearer|basic)\s+)(?<token>[A-Za-z0-9._~+/=-]{6,})";
    let address = r"(?<address>\b[A-Za-z0-9]+://[^\s/:@]*:)[^\s/@]+@";
    let service = r"\b(?:AIza|sk-|gh[opsu]_|github_pat_|glpat-|xox[abpr]-|AKIA)[A-Za-z0-9_-]{10,}";
    Regex::new(&format!("{scheme}|{address}|{service}")).ok()
});

/// A name, what stands between it and its value, and the value: `NAME=value`,
/// `"name": "value"`, `Name: value`, `--name value`. The name has one of the telling words, so that
/// another name before it, such as `error:`, does not hide it.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let telling = "key|token|secret|pass|pwd|credential|auth|cookie";
    let name = format!(r"(?m)(?<dashes>--?)?\b(?<name>[A-Za-z0-9_-]*(?i:{telling})[A-Za-z0-9_-]*)");
    let sign = r#"(?<sign>\\?["']?\s?[=:]\s?|\s)"#;
    let value = r#"(?<value>\\?"[^"\\]+|'[^']+|[^\s"',;&}]+)(?<end>\s*$)?"#;
    Regex::new(&format!("{name}{sign}{value}")).ok()
});

/// A word that may be a random string.
static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+=_.-]{20,}").ok());

fn masked_by_shape(text: &str) -> String {
    let (Some(announced), Some(named), Some(word)) = (&*ANNOUNCED, &*NAMED, &*WORD) else {
        return text.to_owned();
    };
    let text = announced.replace_all(text, |found: &Captures<'_>| {
        let is_word = |token: &str| token.bytes().all(|byte| byte.is_ascii_lowercase());
        match (found.name("scheme"), found.name("address")) {
            (Some(_), _) if is_word(&found["token"]) => found[0].to_owned(),
            (Some(scheme), _) => format!("{}{MASK}", scheme.as_str()),
            (_, Some(address)) => format!("{}{MASK}@", address.as_str()),
            (None, None) => MASK.to_owned(),
        }
    });
    let text = named.replace_all(&text, |found: &Captures<'_>| {
        let value = &found["value"];
        let quote = value.find(|letter| letter != '\\' && letter != '"' && letter != '\'');
        let (quote, secret) = value.split_at(quote.unwrap_or(value.len()));
        if !has_secret(found, quote, secret) {
            return found[0].to_owned();
        }
        let end = found.name("end").map_or("", |end| end.as_str());
        let before = found[0].strip_suffix(end).and_then(|found| found.strip_suffix(secret));
        format!("{}{MASK}{end}", before.unwrap_or_default())
    });
    let text = word.replace_all(&text, |found: &Captures<'_>| match is_random(&found[0]) {
        true => MASK.to_owned(),
        false => found[0].to_owned(),
    });
    text.into_owned()
}

/// Whether what stands behind a name is a secret, and not the next word of a sentence:
/// `KEY: invalid`, `--token is missing`.
fn has_secret(found: &Captures<'_>, quote: &str, value: &str) -> bool {
    let (name, sign) = (&found["name"], found["sign"].trim());
    if value.len() < SHORTEST_NAMED || value == MASK || is_setting(value) || !names_secret(name) {
        return false;
    }
    let is_no_word = value.bytes().any(|byte| byte.is_ascii_digit());
    let is_alone = found.name("end").is_some() && value.len() >= SHORTEST_HEADER;
    let words = words(name);
    let is_field = words.len() > 1 && words.last().is_some_and(|word| names_secret(word));
    match sign {
        // Only an option has its value behind a space.
        "" => found.name("dashes").is_some() && is_no_word,
        ":" if quote.is_empty() => is_no_word || (is_alone && is_field),
        _ => true,
    }
}

/// Whether a word is a random string, such as a token: long, and with letters and digits mixed
/// in one of its parts. Versions, dates, names of models and ids with dashes have short parts.
fn is_random(word: &str) -> bool {
    if word.starts_with("eyJ") && word.matches('.').count() == 2 {
        return true;
    }
    word.split(['-', '_', '.']).any(|part| {
        // A name of several words, such as that of a class, is not random.
        let words = part.split(|letter: char| !letter.is_ascii_lowercase()).map(str::len);
        let in_words: usize = words.filter(|length| *length >= 3).sum();
        let has = |is: fn(&u8) -> bool| part.as_bytes().iter().any(is);
        part.len() >= 20
            && in_words * 2 < part.len()
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_alphabetic)
            && (has(u8::is_ascii_uppercase) || part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        Secrets::default().masked(text)
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
            ("error: MY_API_KEY=hunter2hunter", "error: MY_API_KEY=***"),
            ("Error: x-api-key: hunter2hunter", "Error: x-api-key: ***"),
            (
                "fatal: ANTHROPIC_API_KEY=abcdefghij is invalid",
                "fatal: ANTHROPIC_API_KEY=*** is invalid",
            ),
            (
                "error: AWS_SECRET_ACCESS_KEY=wJalrXUtn/K7 denied",
                "error: AWS_SECRET_ACCESS_KEY=*** denied",
            ),
            ("GET https://h/v1?api_key=hunter2hunter&x=1", "GET https://h/v1?api_key=***&x=1"),
            ("GET https://h/v1?key=AIzaSyD-9tSrke72 failed", "GET https://h/v1?key=*** failed"),
            ("with AIzaSyD-9tSrke72 failed", "with *** failed"),
            (r#"{"apiKey":"hunter","token": "hunter"}"#, r#"{"apiKey":"***","token": "***"}"#),
            (r#"{\"apiKey\":\"hunter\"}"#, r#"{\"apiKey\":\"***\"}"#),
            ("password=hunter and on", "password=*** and on"),
            ("error: --token=hunter2 unknown", "error: --token=*** unknown"),
            ("error: --api-key hunter2 unknown", "error: --api-key *** unknown"),
            ("Authorization: hunter2hunter", "Authorization: ***"),
            ("DB_PASSWORD='two words' refused", "DB_PASSWORD='***' refused"),
            ("Set-Cookie: abcdefgh\nnext", "Set-Cookie: ***\nnext"),
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
            "models--Qwen2VLForConditionalGeneration",
            "at com.example.Foo2BarServiceImplementationFactory.create",
            "Basic authentication is not supported",
            "Bearer required",
            "auth_method: oauth-device",
            "unknown key-binding: control-shift-a",
            "KEY: invalid",
            "git-auth: permission denied (publickey).",
            "sh: 1: OPENAI_API_KEY: parameter null or not set",
            "max-tokens=1000000 refused",
            "--token is missing",
            "DISABLE_AUTH=true is set",
            "the token expired at 12:30",
            "a_rather_long_name_of_a_function_in_a_module",
            "registry.npmjs.org/@agentclientprotocol%2fclaude-agent-acp",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn known_secrets_are_masked_in_every_spelling() {
        let mut secrets = Secrets::of_environment(
            [
                ("DB_PASSWORD", "hunter2"),
                ("MODEL", "opus"),
                ("SSH_AUTH_SOCK", "/run/ssh"),
                ("TOKENIZERS_PARALLELISM", "false"),
                ("GIT_AUTHOR_NAME", "opus"),
                ("MAX_OUTPUT_TOKENS", "opus"),
                ("USE_AUTH", "false"),
                ("KEYBOARD_LAYOUT", "opus"),
            ]
            .into_iter(),
        );
        secrets.add(["sec\"ret\\of".into(), "pässe😀".into()].into_iter());
        let dumped = r"p\u00e4sse\ud83d\ude00 and pässe😀";
        assert_eq!(secrets.masked(dumped), "*** and ***");
        let text = r#"hunter2 opus false /run/ssh sec"ret\of "sec\"ret\\of""#;
        let expected = r#"*** opus false /run/ssh *** "***""#;
        assert_eq!(secrets.masked(text), expected);
    }
}
