//! Secrets in clients' requests, which no message of the bridge may show: values of the
//! environments and headers of MCP servers, and the credentials of logins and providers.
//!
//! Agents may repeat such values on stderr, and an error may quote the end of it.

use crate::bridge::effect::Effect;
use crate::bridge::id::ChannelId;
use crate::bridge::step::Step;
use crate::wire::{Frame, Method, Span, json};

/// The shortest text that counts as a secret, in bytes: of letters alone, and with digits. To
/// hide shorter ones would only garble what is quoted.
const SHORTEST: usize = 7;
const SHORTEST_WITH_DIGITS: usize = 5;

/// The longest text that is hidden, in bytes.
const LONGEST: usize = 16 * 1024;

/// Makes the runtime hide the secrets of a request where it quotes the stderr of the
/// channel's agent.
pub fn conceal(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    let secrets = secrets_in(frame);
    if !secrets.is_empty() {
        step.effect(Effect::Conceal { channel, secrets });
    }
}

/// The secrets of a request, decoded.
fn secrets_in(frame: &Frame) -> Vec<Box<str>> {
    let text = frame.bytes();
    let mut found = Vec::new();
    match frame.method {
        Method::SessionNew | Method::SessionLoad | Method::SessionResume | Method::SessionFork => {
            let servers = frame.find(&["mcpServers"]).map(|place| json::elements(text, place));
            for server in servers.unwrap_or_default() {
                for list in ["env", "headers"] {
                    let pairs = json::find(text, server, &[list]);
                    for pair in pairs.map(|list| json::elements(text, list)).unwrap_or_default() {
                        found.extend(json::find(text, pair, &["value"]));
                    }
                }
            }
        }
        Method::Authenticate | Method::AuthLogin | Method::ProvidersSet => {
            for member in ["_meta", "headers", "apiKey", "token"] {
                if let Some(place) = frame.find(&[member]) {
                    found.extend(json::strings(text, place));
                }
            }
        }
        _ => {}
    }
    let texts = found.into_iter().filter_map(|place: Span| json::text(text, place));
    let secrets = texts.flat_map(|text| -> Vec<Box<str>> {
        // Of `Bearer TOKEN` the token alone is a secret, too.
        let token = text.rsplit_once(' ').map(|(_, token)| token.into());
        [Some(text.into()), token].into_iter().flatten().collect()
    });
    // The path of a directory is none, and messages are full of them.
    let is_secret = |text: &str| {
        let has_both = text.bytes().any(|byte| byte.is_ascii_digit())
            && text.bytes().any(|byte| byte.is_ascii_alphabetic());
        let shortest = if has_both { SHORTEST_WITH_DIGITS } else { SHORTEST };
        (shortest..=LONGEST).contains(&text.len()) && !text.starts_with('/')
    };
    secrets.filter(|text| is_secret(text)).collect()
}
