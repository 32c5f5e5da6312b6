//! The things that an agent says of itself in its answers, for people.

use std::io;

use serde_json::Value;

use super::report::Report;
use crate::bridge::restore;
use crate::cli::editor::NoResult;

/// The most ids or names that are listed.
const MOST: usize = 12;

/// Says who the agent is, how it can be logged in, and what it offers.
pub(super) fn say_agent(answer: &Value, report: &mut Report) -> io::Result<()> {
    let version = version(answer);
    let name = if version.is_empty() { "it does not say its name" } else { &version };
    match &answer["protocolVersion"] {
        Value::Number(one) if one.as_u64() == Some(1) => {
            report.say("agent", &format!("{name}, ACP version 1"))?;
        }
        other => {
            let text =
                format!("{name}, ACP version {other}; editors that speak version 1 refuse it");
            report.problem("agent", &text)?;
        }
    }
    report.say("login", &listed(&logins(answer), "it offers no method of its own"))?;
    report.say("offers", &listed(&offers(answer), "nothing beyond the least"))
}

/// The version of the agent to which experience belongs.
pub(super) fn version(answer: &Value) -> Box<str> {
    let info = &answer["agentInfo"];
    restore::version_of(text(&info["name"]), text(&info["version"]))
}

/// Says what a new session has.
pub(super) fn say_session(result: &Value, report: &mut Report) -> io::Result<()> {
    let modes = names(&result["modes"]["availableModes"], "id");
    if !modes.is_empty() {
        let current = text(&result["modes"]["currentModeId"]);
        report.say("", &format!("mode {current}, of {}", listed(&modes, "")))?;
    }
    let options = names(&result["configOptions"], "id");
    if !options.is_empty() {
        report.say("", &format!("settings {}", listed(&options, "")))?;
    }
    Ok(())
}

/// The sentence for an agent that wants a login first.
pub(super) fn login(why: &NoResult, answer: &Value) -> String {
    let methods = listed(&logins(answer), "none that it names");
    let why = why.to_string();
    let why = why.trim_end_matches('.');
    format!(
        "it wants a login first ({why}). Its methods: {methods}. Log in with the agent's own \
             program, or in the editor, and check again"
    )
}

/// The methods of login.
fn logins(answer: &Value) -> Vec<String> {
    let methods = answer["authMethods"].as_array().into_iter().flatten();
    let named = methods.map(|method| match text(&method["name"]) {
        "" => text(&method["id"]).to_owned(),
        name => format!("{} ({name})", text(&method["id"])),
    });
    named.collect()
}

/// The capabilities that an agent offers, each as its path.
fn offers(answer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect("", &answer["agentCapabilities"], &mut found);
    // That one comes from the bridge, whatever the agent can.
    found.retain(|path| path != "sessionCapabilities.close");
    found.sort();
    found
}

/// Whether an agent offers this capability of sessions.
pub(super) fn has(answer: &Value, capability: &str) -> bool {
    match capability {
        "load" => answer["agentCapabilities"]["loadSession"] == true,
        other => answer["agentCapabilities"]["sessionCapabilities"][other].is_object(),
    }
}

fn collect(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            let own = |name: &str| match path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            for (name, member) in members.iter().filter(|(name, _)| *name != "_meta") {
                match member {
                    Value::Object(inner) if inner.is_empty() => found.push(own(name)),
                    other => collect(&own(name), other, found),
                }
            }
        }
        Value::Bool(true) => found.push(path.to_owned()),
        Value::Number(_) | Value::String(_) => found.push(format!("{path}={value}")),
        Value::Bool(false) | Value::Null | Value::Array(_) => {}
    }
}

fn names(list: &Value, member: &str) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|item| text(&item[member]).to_owned()).filter(|name| !name.is_empty()).collect()
}

fn listed(names: &[String], none: &str) -> String {
    let shown = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => none.to_owned(),
        count if count > MOST => format!("{shown} and {} more", count - MOST),
        _ => shown,
    }
}

/// The text in a value; empty: it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn capabilities_are_listed_as_paths_without_those_of_the_bridge() {
        let answer = json!({"agentCapabilities": {
            "loadSession": true,
            "promptCapabilities": {"image": true, "audio": false},
            "sessionCapabilities": {"close": {}, "resume": {}, "list": null, "_meta": {"x": true}},
            "mcpCapabilities": {},
        }});
        let expected = [
            "loadSession",
            "mcpCapabilities",
            "promptCapabilities.image",
            "sessionCapabilities.resume",
        ];
        assert_eq!(offers(&answer), expected);
        assert!(has(&answer, "load") && has(&answer, "resume") && !has(&answer, "list"));
        assert!(offers(&json!({})).is_empty());
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..14).map(|number| number.to_string()).collect();
        assert_eq!(listed(&names, ""), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more");
        assert_eq!(listed(&[], "none"), "none");
    }
}
