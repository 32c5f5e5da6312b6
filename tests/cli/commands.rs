//! The commands that only print.

use std::collections::BTreeSet;
use std::io;

use super::Home;

#[test]
fn help_lists_every_option_within_100_columns() -> io::Result<()> {
    let home = Home::new()?;
    let config = home.run(&["config"], &[])?;
    let mut listed = BTreeSet::new();
    let run = [&["--help"][..], &["-h"], &["run", "--help"], &["config", "--help"]];
    for arguments in run.into_iter().chain([&["serve", "--help"][..], &["connect", "--help"]]) {
        let help = home.run(arguments, &[])?;
        assert_eq!(help.code, Some(0), "{help:?}");
        for line in help.stdout.lines() {
            assert!(line.chars().count() <= 100, "{line:?}");
        }
        let flags =
            help.stdout.lines().filter_map(|line| line.trim_start().split([' ', '[']).next());
        let flags: BTreeSet<String> =
            flags.filter_map(|flag| Some(flag.strip_prefix("--")?.into())).collect();
        let of_run = ["max-sessions", "agent-name", "preheat"];
        assert_eq!(of_run.iter().all(|flag| flags.contains(*flag)), run.contains(&arguments));
        assert!(flags.contains("log"), "{arguments:?}");
        listed.extend(flags);
    }
    for [option, ..] in config.rows() {
        let option = option.trim_end_matches(" (serve)");
        assert!(listed.contains(option), "{option} is missing");
    }
    Ok(())
}

#[test]
fn help_gives_every_default() -> io::Result<()> {
    let home = Home::new()?;
    let config = home.run(&["config"], &[])?;
    // A text is indented deeper than its flag, and broken anywhere between words.
    let joined = |arguments: &[&str]| -> io::Result<String> {
        Ok(home.run(arguments, &[])?.stdout.replace("\n          ", " "))
    };
    let (run, serve) = (joined(&["--help"])?, joined(&["serve", "--help"])?);
    for [option, value, _] in config.rows().into_iter().filter(|[option, ..]| *option != "config") {
        let (name, is_served) = match option.strip_suffix(" (serve)") {
            Some(name) => (name, true),
            None => (option, !run.contains(&format!(" --{option}"))),
        };
        let flag = format!("--{name}");
        let help = if is_served { &serve } else { &run };
        let entry = help
            .lines()
            .map(str::trim_start)
            .find(|line| line.strip_prefix(&flag).is_some_and(|rest| rest.starts_with([' ', '['])));
        let entry = entry.unwrap_or_default();
        assert!(entry.contains(&format!("[default: {value}]")), "{option}: {entry}");
    }
    Ok(())
}

#[test]
fn only_run_takes_acp() -> io::Result<()> {
    let home = Home::new()?;
    assert!(home.run(&["run", "--help"], &[])?.stdout.contains("--acp"));
    assert_eq!(home.run(&["config", "--acp"], &[])?.code, Some(2));
    Ok(())
}

#[test]
fn the_version_is_printed() -> io::Result<()> {
    let run = Home::new()?.run(&["--version"], &[])?;
    assert_eq!(run.stdout, concat!("drawbridge ", env!("CARGO_PKG_VERSION"), "\n"));
    Ok(())
}

#[test]
fn completions_know_the_options_and_their_words() -> io::Result<()> {
    let home = Home::new()?;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = home.run(&["completions", shell], &[])?;
        assert_eq!(run.code, Some(0), "{run:?}");
        for word in ["session-idle-timeout-ms", "detached"] {
            let unknown_words = shell == "elvish" || shell == "powershell";
            assert!(run.stdout.contains(word) || unknown_words, "{word} is missing for {shell}");
        }
        assert!(!run.stdout.is_empty());
    }
    assert_eq!(home.run(&["completions", "cmd"], &[])?.code, Some(2));
    Ok(())
}

#[test]
fn the_manual_page_is_one() -> io::Result<()> {
    let run = Home::new()?.run(&["man"], &[])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    for part in [
        ".TH drawbridge 1",
        ".SH COMMANDS",
        ".SH OPTIONS",
        ".SH CONFIGURATION",
        "session\\-idle\\-timeout\\-ms",
        "DRAWBRIDGE_MAX_SESSIONS",
    ] {
        assert!(run.stdout.contains(part), "{part} is missing");
    }
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn the_demonstration_looks_at_the_process_table() -> io::Result<()> {
    let run = Home::new()?.run(&["demo"], &[])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    let places = ["Before:", "the bridge", "the keeper of the agent", "the agent", "has started"];
    let mut rest = run.stdout.split_once("7. ").map_or("", |(_, act)| act);
    for place in places.into_iter().chain(["After:", "None of these 4 processes is left"]) {
        let Some((_, behind)) = rest.split_once(place) else {
            panic!("{place} is missing: {}", run.stdout);
        };
        rest = behind;
    }
    Ok(())
}

#[test]
fn what_is_hidden_stays_hidden() -> io::Result<()> {
    let home = Home::new()?;
    for arguments in [&["--help"][..], &["man"], &["completions", "bash"]] {
        assert!(!home.run(arguments, &[])?.stdout.contains("demo-agent"), "{arguments:?}");
    }
    Ok(())
}
