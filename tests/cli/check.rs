//! `drawbridge check`: an agent that works, those that do not, and programs that are none.

use std::io;

use super::{Home, Run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_drawbridge");

/// Checks the stub agent with these flags.
fn checked(home: &Home, options: &[&str], flags: &[&str]) -> io::Result<Run> {
    let agent = ["--", PROGRAM, "demo-agent"];
    home.run(&[&["check"], options, &agent, flags].concat(), &[("PATH", "/usr/bin:/bin")])
}

/// The text of the report about one thing, without its line breaks.
fn about(run: &Run, name: &str) -> String {
    let mut lines =
        run.stdout.lines().skip_while(|line| line.get(2..12).map(str::trim) != Some(name));
    let first = lines.next().unwrap_or_default();
    let more = lines.take_while(|line| line.starts_with("            "));
    let texts = std::iter::once(first).chain(more).map(|line| line.get(12..).unwrap_or_default());
    texts.collect::<Vec<_>>().join(" ")
}

fn problems(run: &Run) -> Vec<&str> {
    let marked = run.stdout.lines().filter_map(|line| line.strip_prefix("! "));
    marked.map(|line| line.split(' ').next().unwrap_or_default()).collect()
}

#[test]
fn an_agent_that_works_is_tried_in_all_it_offers() -> io::Result<()> {
    let home = Home::new()?;
    let store = home.path.join("store");
    let flags = ["--state-dir", &store.to_string_lossy()];
    let run = checked(&home, &["--prompt", "say Hi there."], &flags)?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(problems(&run), [""; 0], "{run:?}");
    for (name, expected) in [
        ("program", PROGRAM),
        ("PATH", "/usr/bin:/bin"),
        ("agent", "agent-stub 0.1.0, ACP version 1"),
        ("offers", "loadSession"),
        ("offers", "promptCapabilities.embeddedContext"),
        ("session", "session/new was answered after"),
        ("session", "mode ask, of ask, code"),
        ("turn", "(end_turn) after"),
        ("turn", "Hi there."),
        ("load", "another process has the session"),
        ("resume", "another process has the session"),
        ("record", "agent-stub 0.1.0 restores sessions"),
        ("delete", "the stored session is deleted"),
    ] {
        assert!(about(&run, name).contains(expected), "{name}: {expected}: {}", run.stdout);
    }
    #[cfg(target_os = "linux")]
    for (name, expected) in [
        ("weighs", " in 1 process"),
        ("close", "the agent lets the session go"),
        ("ends", "no process is left after"),
    ] {
        assert!(about(&run, name).contains(expected), "{name}: {expected}: {}", run.stdout);
    }
    // Each editor gets the two programs with absolute paths.
    let pair = format!("\"{PROGRAM}\" \"connect\" \"--\" \"{PROGRAM}\" \"demo-agent\"");
    assert!(run.stdout.contains(&pair), "{}", run.stdout);
    for editor in
        ["Zed", "JetBrains", "VS Code", "codecompanion", "avante", "Emacs", "Toad", "marimo"]
    {
        assert!(run.stdout.contains(editor), "{editor}: {}", run.stdout);
    }
    assert!(run.stdout.ends_with("\ndrawbridge works through drawbridge.\n"), "{}", run.stdout);
    Ok(())
}

#[test]
fn a_promise_that_is_not_kept_is_a_problem() -> io::Result<()> {
    let home = Home::new()?;
    let store = home.path.join("store");
    let flags = ["--lose-store", "--without", "close", "--state-dir", &store.to_string_lossy()];
    let run = checked(&home, &["--prompt", "say Hi there."], &flags)?;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(problems(&run), ["resume", "load"], "{run:?}");
    assert!(about(&run, "load").contains("another process does not restore it"), "{run:?}");
    assert!(about(&run, "record").contains("agent-stub 0.1.0 loses sessions"), "{run:?}");
    #[cfg(target_os = "linux")]
    assert!(about(&run, "close").contains("the agent cannot close a session"), "{run:?}");
    // One that promises nothing has none.
    let store = store.to_string_lossy();
    let flags = ["--without", "load", "--without", "resume", "--state-dir", &store];
    let run = checked(&home, &["--prompt", "ask-permission"], &flags)?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(about(&run, "turn").contains("permission: selected reject"), "{run:?}");
    assert!(about(&run, "restore").contains("not offered"), "{run:?}");
    Ok(())
}

#[test]
fn an_agent_that_wants_a_login_is_not_taken_for_a_broken_one() -> io::Result<()> {
    let run = checked(&Home::new()?, &[], &["--needs-login"])?;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(problems(&run), ["session"], "{run:?}");
    assert!(about(&run, "session").contains("it wants a login first"), "{run:?}");
    assert!(about(&run, "session").contains("stub-login"), "{run:?}");
    Ok(())
}

#[test]
fn an_agent_that_is_silent_is_given_up_after_the_wait() -> io::Result<()> {
    let home = Home::new()?;
    let run = checked(&home, &["--wait", "300ms"], &["--never", "session/new"])?;
    assert_eq!((run.code, problems(&run)), (Some(1), vec!["session"]), "{run:?}");
    let run = checked(&home, &["--wait", "300ms"], &["--silent"])?;
    assert_eq!((run.code, problems(&run)), (Some(1), vec!["starts"]), "{run:?}");
    assert!(about(&run, "starts").contains("did not answer `initialize` within 300ms"), "{run:?}");
    Ok(())
}

#[test]
fn a_program_that_is_no_agent_is_recognised() -> io::Result<()> {
    let home = Home::new()?;
    for (command, expected) in [
        (&["cat"][..], "it sends back what it is sent"),
        (&["ls", "/"], "it exited with code 0"),
        (&["sh", "-c", "echo no key >&2; exit 3"], "Its last words: no key"),
        (&["no-such-program"], "the command `no-such-program` was not found"),
    ] {
        let run = home.run(&[&["check", "--"], command].concat(), &[("PATH", "/usr/bin:/bin")])?;
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(about(&run, "starts").contains(expected), "{expected}: {run:?}");
        assert!(!run.stdout.contains("Settings of editors"), "{run:?}");
    }
    assert_eq!(home.run(&["check"], &[])?.code, Some(2));
    Ok(())
}

#[test]
fn an_agent_with_a_name_is_checked_by_it() -> io::Result<()> {
    let config = format!(
        "[agents.mine]\ncommand = '{PROGRAM}'\nargs = ['demo-agent']\nenv = {{ KEY = 'hidden' }}\n"
    );
    let home = Home::with_config(&config)?;
    let run = home.run(&["check", "--wait=20s", "--log", "off", "--agent", "mine"], &[])?;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("\"connect\" \"--agent=mine\")"), "{run:?}");
    assert!(!run.stdout.contains("hidden"), "{run:?}");
    Ok(())
}

#[test]
fn a_terminal_obeys_nothing_that_an_agent_says() -> io::Result<()> {
    let home = Home::new()?;
    let script = "printf '\\033[31mred\\033[0m words\\n' >&2; exit 3";
    let run = home.run(&["check", "--", "sh", "-c", script], &[("PATH", "/usr/bin:/bin")])?;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("words") && !run.stdout.contains('\u{1b}'), "{run:?}");
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_leaves_no_process_and_no_directory() -> io::Result<()> {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let home = Home::new()?;
        #[allow(clippy::disallowed_methods)] // it is the check that is ended
        let mut check = Command::new(PROGRAM)
            .args(["check", "--", PROGRAM, "demo-agent", "--never", "session/new"])
            .env("HOME", &home.path)
            .env("TMPDIR", &home.path)
            .stdout(Stdio::piped())
            .spawn()?;
        // The agent runs, and does not answer session/new.
        let said = BufReader::new(check.stdout.take().expect("its stdout"));
        assert!(said.lines().map_while(Result::ok).any(|line| line.contains("offers")));
        kill(Pid::from_raw(check.id().cast_signed()), signal)?;
        let status = check.wait()?;
        assert_eq!(status.code(), Some(128 + signal as i32), "{:?}", status.signal());
        let left = std::fs::read_dir(&home.path)?.filter_map(|it| Some(it.ok()?.file_name()));
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("check")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    Ok(())
}
