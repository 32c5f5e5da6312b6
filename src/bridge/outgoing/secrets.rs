//! What a client's request holds that no message of ours may show: values of the
//! environments and headers of MCP servers, and everything that a login carries.
//!
//! Agents repeat such values in their last words, which an error then quotes.

use crate::bridge::effect::Effect;
use crate::bridge::id::ChannelId;
use crate::bridge::step::Step;
use crate::wire::{Frame, Method, Span, json};

/// A shorter text is no secret, in bytes: hidden, it would only garble what is quoted.
const SHORTEST: usize = 8;

/// A longer one is not looked for, in bytes.
const LONGEST: usize = 16 * 1024;

/// Sees to it that what a request holds is not quoted from its agent's last words.
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
    let secret = |place: Span| {
        let secret = json::text(text, place)?;
        (SHORTEST..=LONGEST).contains(&secret.len()).then(|| secret.into())
    };
    found.into_iter().filter_map(secret).collect()
}
