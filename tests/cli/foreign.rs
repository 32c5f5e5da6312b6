//! An environment that was made by somebody else, for something else: it is never fatal, and
//! nobody is led astray by it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;

use super::{Home, Run};

/// Starts a bridge whose editor leaves at once.
fn started(home: &Home, variables: &[(&str, &str)]) -> io::Result<Run> {
    let run = home.run(&["--", "true"], variables)?;
    assert_eq!(run.code, Some(0), "{run:?}");
    Ok(run)
}

fn log(home: &Home) -> PathBuf {
    home.path.join(".local/state/drawbridge/drawbridge.log")
}

fn set_mode(path: &std::path::Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

#[test]
fn a_rust_log_that_is_meant_for_others_stops_and_silences_nothing() -> io::Result<()> {
    let home = Home::new()?;
    for (value, warns) in [
        ("hyper=debug/tls.*", true),
        ("*=info", true),
        ("codex_core=debug", false),
        ("off", false),
        ("drawbridge=loud", true),
    ] {
        let misspelled = ("DRAWBRIDGE_MAX_SESSION", "1");
        let run = started(&home, &[("RUST_LOG", value), misspelled])?;
        assert_eq!(run.stderr.contains("is left out, since it is no filter"), warns, "{run:?}");
        assert!(run.stderr.contains("DRAWBRIDGE_MAX_SESSION is no option"), "{run:?}");
    }
    let named = [("RUST_LOG", "drawbridge=off"), ("DRAWBRIDGE_MAX_SESSION", "1")];
    assert_eq!(started(&home, &named)?.stderr, "", "it names drawbridge");
    Ok(())
}

#[test]
fn a_default_file_that_cannot_be_looked_for_means_the_defaults() -> io::Result<()> {
    let home = Home::new()?;
    fs::write(home.path.join(".config"), "a file in the way")?;
    let run = started(&home, &[])?;
    assert!(run.stderr.contains("config.toml is not read"), "{run:?}");
    let run = home.run(&["config"], &[])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.row("config").is_some_and(|(path, _)| path.ends_with("(not read)")), "{run:?}");
    Ok(())
}

#[test]
fn a_file_that_others_can_write_is_not_read() -> io::Result<()> {
    let home = Home::with_config("[defaults]\nmax-sessions = 7\n")?;
    set_mode(&home.config_file(), 0o646)?;
    let run = home.run(&["config"], &[])?;
    assert_eq!(run.row("max-sessions").map(|(value, _)| value), Some("0"), "{run:?}");
    assert!(run.stderr.contains("other users may write to it"), "{run:?}");
    let path = home.config_file().display().to_string();
    let run = home.run(&["config", "--config", &path], &[])?;
    assert_eq!(run.code, Some(2), "a named one is fatal: {run:?}");
    set_mode(&home.config_file(), 0o644)?;
    let run = home.run(&["config"], &[])?;
    assert_eq!(run.row("max-sessions").map(|(value, _)| value), Some("7"), "{run:?}");
    Ok(())
}

#[test]
fn a_planted_link_is_not_written_through() -> io::Result<()> {
    let home = Home::new()?;
    let target = home.path.join("precious");
    fs::write(&target, "kept")?;
    fs::create_dir_all(home.path.join(".local/state/drawbridge"))?;
    for plant in [|target, log| symlink(target, log), |target, log| fs::hard_link(target, log)] {
        plant(target.clone(), log(&home))?;
        let run = started(&home, &[])?;
        assert!(run.stderr.contains("no log file"), "{run:?}");
        assert_eq!(fs::read_to_string(&target)?, "kept");
        fs::remove_file(log(&home))?;
    }
    // The directory itself is a link.
    let elsewhere = home.path.join("elsewhere");
    fs::create_dir(&elsewhere)?;
    fs::remove_dir_all(home.path.join(".local/state/drawbridge"))?;
    symlink(&elsewhere, home.path.join(".local/state/drawbridge"))?;
    assert!(started(&home, &[])?.stderr.contains("no log file"));
    assert_eq!(fs::read_dir(&elsewhere)?.count(), 0);
    Ok(())
}

#[test]
fn a_state_directory_that_others_can_write_is_not_used() -> io::Result<()> {
    let home = Home::new()?;
    let state = home.path.join(".local/state/drawbridge");
    fs::create_dir_all(&state)?;
    set_mode(&state, 0o777)?;
    let run = started(&home, &[])?;
    assert!(run.stderr.contains("other users may write to the directory"), "{run:?}");
    assert_eq!(fs::read_dir(&state)?.count(), 0);
    Ok(())
}

#[test]
fn the_home_of_another_user_is_not_used() -> io::Result<()> {
    let home = Home::with_config("[defaults]\nmax-sessions = 7\n")?;
    if chown(&home.path, Some(65_534), None).is_err() {
        // Only root can give a directory away.
        return Ok(());
    }
    let run = home.run(&["config", "--log-file", "off"], &[])?;
    assert_eq!(run.row("max-sessions").map(|(value, _)| value), Some("0"), "{run:?}");
    Ok(())
}

#[test]
fn a_named_log_file_may_be_anything_but_a_link_of_another_user() -> io::Result<()> {
    let home = Home::new()?;
    let (link, target) = (home.path.join("link"), home.path.join("target"));
    symlink(&target, &link)?;
    let named = link.display().to_string();
    let arguments = ["--log-file", named.as_str(), "--", "true"];
    assert_eq!(home.run(&arguments, &[])?.code, Some(0));
    assert!(target.exists());
    if std::os::unix::fs::lchown(&link, Some(65_534), None).is_ok() {
        fs::remove_file(&target)?;
        let run = home.run(&arguments, &[])?;
        assert!(run.stderr.contains("a link of another user") && !target.exists(), "{run:?}");
    }
    Ok(())
}
