//! Rules of the documentation: what it must name, and what must not be named there
//! and be nowhere else.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::ROOT;

fn doc(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join("docs").join(name)).unwrap()
}

/// The help of all commands that have options of the table.
fn help() -> String {
    let of = |command: &[&str]| {
        let program = env!("CARGO_BIN_EXE_drawbridge");
        let help = Command::new(program).args(command).arg("--help").output().unwrap();
        String::from_utf8(help.stdout).unwrap()
    };
    [of(&[]), of(&["serve"]), of(&["connect"]), of(&["reload"])].concat()
}

/// The help of the commands about running bridges.
fn tools() -> String {
    let of = |command: &str| {
        let program = env!("CARGO_BIN_EXE_drawbridge");
        let help = Command::new(program).args([command, "--help"]).output().unwrap();
        String::from_utf8(help.stdout).unwrap()
    };
    [
        "status", "sessions", "close", "cancel", "retire", "stop", "restart", "logs", "events",
        "metrics", "ls", "check", "top", "trace",
    ]
    .map(of)
    .concat()
}

#[test]
fn every_option_is_documented_and_every_documented_option_exists() {
    let help = help();
    let operations = doc("operations.md");
    let in_help: Vec<&str> =
        flags(&help).filter(|flag| !["--help", "--version"].contains(flag)).collect();
    for flag in &in_help {
        assert!(
            operations.contains(&format!("| `{flag}` |")),
            "{flag} is missing in operations.md"
        );
    }
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let tools = tools();
    let others = [
        "--release",
        "--workspace",
        "--prefix",
        "--locked",
        "--path",
        "--help",
        "--test",
        "--features",
        "--global",
        // Of systemctl.
        "--user",
        // With the feature `otel`.
        "--otlp-endpoint",
        "--port",
    ];
    for name in ["operations.md", "lifecycle.md", "protocol.md", "architecture.md"] {
        for flag in flags(&doc(name)) {
            let is_alias = in_help.contains(&format!("{flag}-ms").as_str());
            let is_tools = flags(&tools).any(|known| known == flag);
            let is_known =
                in_help.contains(&flag) || is_alias || is_tools || others.contains(&flag);
            assert!(is_known, "{name} names {flag}");
        }
    }
    for flag in flags(&readme) {
        let is_known = in_help.contains(&flag)
            || flags(&tools).any(|known| known == flag)
            || others.contains(&flag);
        assert!(is_known, "README.md names {flag}");
    }
}

#[test]
fn operations_and_the_help_explain_each_option_in_the_same_words() {
    let help = help();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows = doc("operations.md").replace('`', "");
    let rows: Vec<Vec<&str>> = rows
        .lines()
        .filter(|line| line.starts_with("| --"))
        .map(|r| r.split('|').collect())
        .collect();
    assert!(rows.len() > 30, "{rows:?}");
    for row in rows {
        let (flag, meaning) = (row[1].trim(), row[3].trim());
        let entry = help.lines().skip_while(|line| {
            line.trim_start().split([' ', '[']).next() != Some(flag)
                || !line.starts_with("      --")
        });
        let texts = entry.skip(1).take_while(|line| line.starts_with("          "));
        let text = words(&texts.collect::<Vec<_>>().join(" "));
        let text = text.split(" [default: ").next().unwrap();
        assert_eq!(meaning, text, "{flag}");
    }
}

/// The long flags that a text names.
fn flags(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("--").filter_map(|(at, _)| {
        let before = text[..at].chars().next_back();
        let name = &text[at..];
        let end = name[2..]
            .find(|letter: char| !letter.is_ascii_lowercase() && letter != '-')
            .map_or(name.len(), |end| end + 2);
        let starts_well = name[2..].starts_with(|letter: char| letter.is_ascii_lowercase());
        let stands_alone = before.is_none_or(|letter| !letter.is_alphanumeric() && letter != '-');
        (starts_well && stands_alone).then(|| name[..end].trim_end_matches('-'))
    })
}

/// The variants of an enum, in the order in which they stand.
fn variants(file: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
    let start = text.find(&format!("enum {name} {{")).unwrap();
    let body = &text[start..start + text[start..].find("\n}").unwrap()];
    let variant = |line: &str| {
        let line = line.strip_prefix("    ")?;
        let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
        name.starts_with(|letter: char| letter.is_ascii_uppercase()).then_some(name)
    };
    body.lines().filter_map(variant).collect()
}

#[test]
fn the_tables_in_the_docs_name_every_state_and_every_reason() {
    let lifecycle = doc("lifecycle.md");
    for state in variants("src/bridge/books/channel.rs", "ChannelState") {
        assert!(lifecycle.contains(&format!("| {state} |")), "{state} has a column");
    }
    for rung in variants("src/bridge/books/channel.rs", "Rung") {
        assert!(lifecycle.contains(&format!("| {rung} |")), "{rung} has a line");
    }
    let reasons = drawbridge_reasons();
    for reason in reasons {
        assert!(lifecycle.contains(&format!("| `{reason}` |")), "{reason} has a line");
    }
    let table: Vec<&str> = lifecycle.lines().filter(|line| line.starts_with('|')).collect();
    for line in table {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.iter().all(|cell| !cell.is_empty()), "every cell is filled: {line}");
    }
}

fn drawbridge_reasons() -> Vec<&'static str> {
    use drawbridge::bridge::EndReason::*;
    [
        ClientClose,
        IdleTimeout,
        LastClientDetached,
        ClientLost,
        Moved,
        Evicted,
        Deleted,
        Operator,
        ChannelClosed,
        Killed,
        Shutdown,
    ]
    .map(drawbridge::bridge::EndReason::word)
    .to_vec()
}

#[test]
fn every_kind_of_refusal_is_documented() {
    let text = fs::read_to_string(Path::new(ROOT).join("src/bridge/refusal.rs")).unwrap();
    let kinds = text
        .split("pub const fn kind")
        .nth(1)
        .unwrap()
        .split("pub const fn is_of_start")
        .next()
        .unwrap();
    let protocol = doc("protocol.md");
    let words: Vec<&str> = kinds.split('"').skip(1).step_by(2).collect();
    assert!(words.len() > 20, "{words:?}");
    for word in words {
        assert!(protocol.contains(&format!("`{word}`")), "{word} is missing in protocol.md");
    }
}

#[test]
fn every_warning_is_explained() {
    use drawbridge::bridge::id::ChannelId;
    use drawbridge::bridge::notice::Notice::*;
    use drawbridge::bridge::notice::Stray;
    use drawbridge::bridge::reason::NotAcp;
    use drawbridge::bridge::{ExitStatus, StopReason};
    let channel = ChannelId(1);
    let operations = doc("operations.md");
    let notices = [
        HandshakeSlow { channel, after_ms: 1 },
        ChannelStopping { channel, reason: StopReason::HandshakeTimeout },
        ChannelStopping { channel, reason: StopReason::HandshakeRefused },
        ChannelStopping { channel, reason: StopReason::NotAcp(NotAcp::Echo) },
        ChannelStopping { channel, reason: StopReason::VersionChanged },
        ChannelStopping { channel, reason: StopReason::StdioClosed },
        ChannelExited { channel, status: ExitStatus::Code(1), is_crash: true, tail: "x".into() },
        SpawnFailed { channel, error: "x".into() },
        ChannelKilled { channel },
        ChannelStuck { channel },
        Survivors { channels: vec![channel] },
        CloseUnanswered { channel, id: "x".into() },
        OpenUnanswered { channel },
        CapabilitiesChanged { channel, before: "x".into(), after: "y".into() },
        StrayLine { channel, what: Stray::Text("x".into()) },
        StrayAnswer { channel, id: "7".into(), method: "session/prompt" },
        TextIds { channel },
        PassingIdsOver { channel },
        NoAddressee { channel, method: "x".into() },
        SuccessorFailed { channel },
        OverlongLine { from: "x".into(), length: 1 },
        AgentNotReading { channel },
        ShutdownForced,
        RowAbsent { row: "x".into() },
    ];
    for notice in notices {
        let said = notice.to_string();
        let explained = operations
            .lines()
            .filter(|line| line.contains("| WARN") || line.contains("| ERROR"))
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .any(|(pattern, _)| {
                let mut rest = said.as_str();
                pattern.split('…').all(|piece| match rest.find(piece.trim()) {
                    Some(at) => {
                        rest = &rest[at + piece.trim().len()..];
                        true
                    }
                    None => false,
                })
            });
        assert!(explained, "`{said}` is explained in operations.md");
    }
}
