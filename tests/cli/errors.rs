//! A configuration that is wrong stops the start, and the error names the place.

use std::io;

use super::{Home, Run};

/// Runs `arguments` in front of an agent, and checks that the start is refused.
fn refused(home: &Home, arguments: &[&str], variables: &[(&str, &str)]) -> io::Result<Run> {
    let run = home.run(&[arguments, &["--", "true"]].concat(), variables)?;
    assert_eq!(run.code, Some(2), "{run:?}");
    assert_eq!(run.stdout, "", "stdout is the protocol");
    Ok(run)
}

fn assert_says(run: &Run, words: &[&str]) {
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is missing in {:?}", run.stderr);
    }
}

#[test]
fn a_bad_flag_is_named() -> io::Result<()> {
    let home = Home::new()?;
    for (name, value) in [
        ("max-sessions", "-5"),
        ("max-sessions", "many"),
        ("session-idle-timeout-ms", "-1"),
        ("session-idle-timeout-ms", "1.5"),
        ("session-idle-timeout-ms", "5 parsecs"),
        ("prompt-timeout-ms", "0"),
        ("shutdown-timeout-ms", "never"),
        ("restart-window-ms", "never"),
        ("max-frame-bytes", "1023"),
        ("outbox-bytes", "65535"),
        ("share", "everything"),
        ("preheat", "perhaps"),
        ("log", "drawbridge=loud"),
        ("log-file", ""),
    ] {
        let run = refused(&home, &[&format!("--{name}={value}")], &[])?;
        assert_says(&run, &[&format!("error: --{name}: \"{value}\" is refused: give ")]);
    }
    let run = refused(&home, &["--max-sessions", "-5"], &[])?;
    assert_says(&run, &["--max-sessions: \"-5\" is refused: give a whole number, 0 or more"]);
    Ok(())
}

#[test]
fn a_bad_variable_is_named() -> io::Result<()> {
    let home = Home::new()?;
    for (name, value) in [
        ("DRAWBRIDGE_MAX_SESSIONS", "many"),
        ("DRAWBRIDGE_TERM_GRACE_MS", ""),
        ("DRAWBRIDGE_PREHEAT", "yes"),
        ("DRAWBRIDGE_LOG", "warnn"),
    ] {
        let run = refused(&home, &[], &[(name, value)])?;
        assert_says(&run, &[&format!("error: {name}: \"{value}\" is refused: give ")]);
    }
    Ok(())
}

#[test]
fn a_bad_value_is_named_even_if_another_overrules_it() -> io::Result<()> {
    let run = refused(&Home::new()?, &["--share=cwd"], &[("DRAWBRIDGE_SHARE", "nobody")])?;
    assert_says(&run, &["DRAWBRIDGE_SHARE"]);
    Ok(())
}

#[test]
fn a_bad_file_is_named_with_the_line() -> io::Result<()> {
    for (text, expected) in [
        ("[defaults]\n\nmax-sessions = -1\n", ":3: max-sessions: \"-1\" is refused: give "),
        ("[defaults]\nmax-sessions = true\n", ":2: max-sessions: "),
        (
            "[defaults]\nshare = 'nobody'\n",
            ":2: share: \"nobody\" is refused: give agent, cwd or session",
        ),
        (
            "[defaults]\nmax-sesions = 1\n",
            ":2: unknown key max-sesions in [defaults]; did you mean max-sessions?",
        ),
        ("[defaults]\nacp = true\n", ":2: unknown key acp in [defaults]"),
        ("[default]\n", ":1: unknown table [default]; did you mean [defaults]?"),
        ("share = 'cwd'\n", ":1: unknown key share; options stand in the table [defaults]"),
        ("[defaults]\n[agents.a]\nargs = []\n", ":2: [agents.a] has no command"),
        ("[defaults]\nshare = \n", ":2: not valid TOML: "),
    ] {
        let home = Home::with_config(text)?;
        let run = refused(&home, &[], &[])?;
        assert_says(&run, &[&format!("{}{expected}", home.config_file().display())]);
    }
    Ok(())
}

#[test]
fn a_named_file_must_be_there() -> io::Result<()> {
    let home = Home::new()?;
    let run = refused(&home, &["--config", "/nonexistent/c.toml"], &[])?;
    assert_says(&run, &["/nonexistent/c.toml", "(from --config)", "is not read"]);
    let run = refused(&home, &[], &[("DRAWBRIDGE_CONFIG", "/nonexistent/c.toml")])?;
    assert_says(&run, &["/nonexistent/c.toml", "(from DRAWBRIDGE_CONFIG)", "is not read"]);
    Ok(())
}

#[test]
fn a_contradiction_names_both_sides() -> io::Result<()> {
    let home = Home::with_config("[defaults]\nmax-channels = 2\n")?;
    let arguments = ["--share", "session"];
    let run = refused(&home, &arguments, &[("DRAWBRIDGE_MAX_SESSIONS", "4")])?;
    assert_says(&run, &[":2: max-channels", "DRAWBRIDGE_MAX_SESSIONS", "--share"]);
    let run = home.run(&["config", "--share", "session"], &[])?;
    assert_eq!(run.code, Some(0), "no limit on sessions contradicts nothing: {run:?}");
    Ok(())
}

#[test]
fn one_option_under_two_names_is_refused() -> io::Result<()> {
    let home = Home::new()?;
    let (long, short) = ("DRAWBRIDGE_TERM_GRACE_MS", "DRAWBRIDGE_TERM_GRACE");
    let run = refused(&home, &[], &[(long, "1s"), (short, "1s")])?;
    assert_says(&run, &[long, "and", short, "are the same option"]);
    refused(&home, &["--term-grace=1s", "--term-grace-ms=1s"], &[])?;
    let home = Home::with_config("[defaults]\nterm-grace = '1s'\nterm-grace-ms = 1\n")?;
    let run = refused(&home, &[], &[])?;
    assert_says(&run, &[":3: term-grace-ms and ", ":2: term-grace are the same option"]);
    Ok(())
}

#[test]
fn no_agent_is_explained() -> io::Result<()> {
    for arguments in [vec![], vec!["run"], vec!["--share", "cwd"], vec!["--"], vec!["--", ""]] {
        let run = Home::new()?.run(&arguments, &[])?;
        assert_eq!(run.code, Some(2), "{run:?}");
        assert_says(&run, &["no agent was given", "drawbridge -- npx"]);
        assert_eq!(run.stdout, "");
    }
    Ok(())
}

#[test]
fn misplaced_words_are_explained() -> io::Result<()> {
    let home = Home::new()?;
    let run = home.run(&["claude", "--acp"], &[])?;
    assert_eq!(run.code, Some(2), "{run:?}");
    assert_says(&run, &["stands after --: drawbridge -- claude"]);
    for (misspelled, meant) in
        [("confg", "config"), ("hlep", "help"), ("runn", "run"), ("complitions", "completions")]
    {
        let run = home.run(&[misspelled, "x"], &[])?;
        assert_says(&run, &[&format!("Did you mean the command drawbridge {meant}?")]);
        assert!(!run.stderr.contains("stands after --"), "{run:?}");
    }
    let run = home.run(&["config", "claude"], &[])?;
    assert!(!run.stderr.contains("stands after --"), "no agent belongs there: {run:?}");
    let run = home.run(&["run", "claude"], &[])?;
    assert_says(&run, &["stands after --: drawbridge -- claude"]);
    let run = home.run(&["check", "claude"], &[])?;
    assert_says(&run, &["stands after --: drawbridge check -- claude"]);
    let run = home.run(&["--share", "cwd", "config"], &[])?;
    assert_eq!(run.code, Some(2), "{run:?}");
    assert_says(&run, &["before its options: drawbridge config [OPTIONS]"]);
    Ok(())
}
