//! What `drawbridge config` prints: values, and where they came from.

use std::fs;
use std::io;

use super::Home;

#[test]
fn nothing_said_means_defaults() -> io::Result<()> {
    let run = Home::new()?.run(&["config"], &[])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    for [option, _, from] in run.rows() {
        assert_eq!(from, "default", "{option}");
    }
    for (option, value) in [
        ("session-idle-timeout-ms", "30m"),
        ("channel-idle-timeout-ms", "10m"),
        ("shutdown-timeout-ms", "2s 500ms"),
        ("prompt-timeout-ms", "never"),
        ("max-frame-bytes", "67108864 (64 MiB)"),
        ("idle-policy", "detached"),
    ] {
        assert_eq!(run.row(option), Some((value, "default")));
    }
    Ok(())
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() -> io::Result<()> {
    let home =
        Home::with_config("[defaults]\nmax-husks = 1\nmax-sessions = 1\nmax-channels = 1\n")?;
    let variables = [("DRAWBRIDGE_MAX_SESSIONS", "2"), ("DRAWBRIDGE_MAX_CHANNELS", "2")];
    let run = home.run(&["config", "--max-channels", "3"], &variables)?;
    let line = format!("{}:2", home.config_file().display());
    assert_eq!(run.row("max-husks"), Some(("1", line.as_str())));
    assert_eq!(run.row("max-sessions"), Some(("2", "DRAWBRIDGE_MAX_SESSIONS")));
    assert_eq!(run.row("max-channels"), Some(("3", "flag")));
    assert_eq!(run.row("restart-limit"), Some(("5", "default")));
    Ok(())
}

#[test]
fn every_option_is_a_flag_a_variable_and_a_key() -> io::Result<()> {
    let plain = Home::new()?.run(&["config"], &[])?;
    let options: Vec<_> = plain
        .rows()
        .into_iter()
        .filter(|[option, ..]| *option != "config" && !option.contains(' '))
        .collect();
    assert!(options.len() > 30, "{plain:?}");
    for [option, value, _] in options {
        // The default, said again, is a value that the option takes.
        let value = value.split(' ').next().unwrap_or_default();
        let run = Home::new()?.run(&["config", &format!("--{option}={value}")], &[])?;
        assert_eq!(run.row(option).map(|(_, from)| from), Some("flag"), "{run:?}");

        let variable = format!("DRAWBRIDGE_{}", option.to_uppercase().replace('-', "_"));
        let run = Home::new()?.run(&["config"], &[(&variable, value)])?;
        assert_eq!(run.row(option).map(|(_, from)| from), Some(variable.as_str()), "{run:?}");

        let home = Home::with_config(&format!("[defaults]\n{option} = \"{value}\"\n"))?;
        let run = home.run(&["config"], &[])?;
        let line = format!("{}:2", home.config_file().display());
        assert_eq!(run.row(option).map(|(_, from)| from), Some(line.as_str()), "{run:?}");
    }
    Ok(())
}

#[test]
fn the_file_can_be_named() -> io::Result<()> {
    let home = Home::with_config("this is not read")?;
    let named = home.path.join("named.toml");
    fs::write(&named, "[defaults]\npreheat = true\nsession-idle-timeout-ms = 90000\n")?;
    let path = named.display().to_string();
    for (arguments, variables, from) in [
        (vec!["config", "--config", &path], vec![], "flag"),
        (vec!["config"], vec![("DRAWBRIDGE_CONFIG", path.as_str())], "DRAWBRIDGE_CONFIG"),
    ] {
        let run = home.run(&arguments, &variables)?;
        assert_eq!(run.row("config"), Some((path.as_str(), from)), "{run:?}");
        let line = format!("{path}:2");
        assert_eq!(run.row("preheat"), Some(("true", line.as_str())));
        assert_eq!(run.row("session-idle-timeout-ms").map(|(value, _)| value), Some("1m 30s"));
    }
    Ok(())
}

#[cfg(not(target_os = "macos"))]
#[test]
fn the_users_configuration_directory_may_be_elsewhere() -> io::Result<()> {
    let home = Home::new()?;
    let directory = home.path.join("elsewhere");
    fs::create_dir_all(directory.join("drawbridge"))?;
    fs::write(directory.join("drawbridge/config.toml"), "[defaults]\nshare = 'cwd'\n")?;
    let variable = [("XDG_CONFIG_HOME", directory.to_str().unwrap_or_default())];
    let run = home.run(&["config"], &variable)?;
    assert_eq!(run.row("share").map(|(value, _)| value), Some("cwd"), "{run:?}");
    Ok(())
}

#[test]
fn preheat_is_a_switch() -> io::Result<()> {
    let home = Home::new()?;
    for (flag, variable, expected) in [
        ("--preheat", "0", ("true", "flag")),
        ("--preheat=false", "1", ("false", "flag")),
        ("--share=cwd", "1", ("true", "DRAWBRIDGE_PREHEAT")),
        ("--share=cwd", "false", ("false", "DRAWBRIDGE_PREHEAT")),
    ] {
        let run = home.run(&["config", flag], &[("DRAWBRIDGE_PREHEAT", variable)])?;
        assert_eq!(run.row("preheat"), Some(expected), "{run:?}");
    }
    Ok(())
}

#[test]
fn rust_log_is_read_where_nothing_else_is_said() -> io::Result<()> {
    let home = Home::new()?;
    let run = home.run(&["config"], &[("RUST_LOG", "debug")])?;
    assert_eq!(run.row("log"), Some(("debug", "RUST_LOG")));
    let run = home.run(&["config", "--log", "warn"], &[("RUST_LOG", "debug")])?;
    assert_eq!(run.row("log"), Some(("warn", "flag")));
    let home = Home::with_config("[defaults]\nlog = 'error'\n")?;
    let run = home.run(&["config"], &[("RUST_LOG", "debug")])?;
    assert_eq!(run.row("log").map(|(value, _)| value), Some("error"));
    Ok(())
}

#[test]
fn numbers_beyond_the_range_are_the_largest_there_is() -> io::Result<()> {
    let run = Home::new()?.run(&["config", "--prompt-timeout-ms", "99999999999999999999"], &[])?;
    assert_eq!(
        run.row("prompt-timeout-ms"),
        Some(("584542046years 1month 2days 15h 52m 15s 615ms", "flag"))
    );
    Ok(())
}

#[test]
fn a_duration_reads_the_same_in_every_spelling_and_under_both_names() -> io::Result<()> {
    let home = Home::with_config("[defaults]\nterm-grace = '5 minutes'\n")?;
    let run = home.run(&["config", "--session-idle-timeout=1h30m"], &[])?;
    assert_eq!(run.row("session-idle-timeout-ms"), Some(("1h 30m", "flag")));
    assert_eq!(run.row("term-grace-ms").map(|(value, _)| value), Some("5m"));
    let run = home.run(&["config"], &[("DRAWBRIDGE_TERM_GRACE", "2500")])?;
    assert_eq!(run.row("term-grace-ms"), Some(("2s 500ms", "DRAWBRIDGE_TERM_GRACE")));
    Ok(())
}

#[test]
fn a_variable_is_no_flag() -> io::Result<()> {
    let home = Home::new()?;
    let variables = [("DRAWBRIDGE_SHARE", "cwd"), ("DRAWBRIDGE_CONFIG", "/nonexistent/c.toml")];
    assert_eq!(home.run(&["completions", "bash"], &variables)?.code, Some(0));
    let run = home.run(&["config"], &variables[..1])?;
    assert_eq!(run.row("share"), Some(("cwd", "DRAWBRIDGE_SHARE")));
    let help = home.run(&["--help"], &[("DRAWBRIDGE_ENV_SET", "TOKEN=hidden")])?.stdout;
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("[env: DRAWBRIDGE_ENV_SET]") && !words.contains("TOKEN=hidden"),
        "{help}"
    );
    Ok(())
}

#[test]
fn a_misspelled_variable_is_warned_of() -> io::Result<()> {
    let home = Home::new()?;
    let expected = "the variable DRAWBRIDGE_MAX_SESSION is no option of drawbridge; \
                    did you mean DRAWBRIDGE_MAX_SESSIONS?";
    for arguments in [&["config"][..], &["--", "true"]] {
        let run = home.run(arguments, &[("DRAWBRIDGE_MAX_SESSION", "1")])?;
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stderr.contains(expected), "{run:?}");
    }
    Ok(())
}
