//! Agents by name: the tables `[agents.NAME]` of the file, and `--agent`.

use std::io;

use super::Home;

const TWO: &str = "[defaults]\nshare = 'cwd'\nterm-grace = 1000\n\n[agents.one]\ncommand = \
                   'npx'\nargs = ['-y', 'one', '--api-key=sk-0123456789abcdef0123']\n\n[agents.two]\ncommand = 'two'\nshare = \
                   'session'\nmax-husks = 7\nenv = { KEY = 'hidden' }\n";

#[test]
fn the_table_of_an_agent_wins_over_the_defaults() -> io::Result<()> {
    let home = Home::with_config(TWO)?;
    let run = home.run(&["config"], &[])?;
    assert_eq!(run.row("share").map(|(value, _)| value), Some("cwd"), "{run:?}");
    let file = home.config_file();
    let place = |line: usize| format!("{}:{line}", file.display());
    assert_eq!(run.row("agents.one"), Some(("npx -y one --api-key=***", &*place(5))), "{run:?}");
    assert_eq!(run.row("agents.two"), Some(("two", &*place(9))), "{run:?}");
    let run = home.run(&["config", "--agent", "two"], &[])?;
    assert_eq!(run.row("share"), Some(("session", &*place(11))), "{run:?}");
    assert_eq!(run.row("max-husks"), Some(("7", &*place(12))), "{run:?}");
    assert_eq!(run.row("term-grace-ms"), Some(("1s", &*place(3))), "{run:?}");
    assert_eq!(run.row("agent-name").map(|(value, _)| value), Some("two"), "{run:?}");
    assert_eq!(run.row("env-set").map(|(value, _)| value), Some("KEY=***"), "{run:?}");
    assert!(!run.stdout.contains("hidden"), "{run:?}");
    // A variable and a flag win over it.
    let variables = [("DRAWBRIDGE_SHARE", "agent"), ("DRAWBRIDGE_ENV_SET", "OTHER=1")];
    let run = home.run(&["config", "--max-husks", "3", "--agent=two"], &variables)?;
    assert_eq!(run.row("share"), Some(("agent", "DRAWBRIDGE_SHARE")), "{run:?}");
    assert_eq!(run.row("max-husks"), Some(("3", "flag")), "{run:?}");
    assert_eq!(run.row("env-set").map(|(value, _)| value), Some("OTHER=***,KEY=***"));
    Ok(())
}

#[test]
fn an_unknown_name_says_what_there_is() -> io::Result<()> {
    let home = Home::with_config(TWO)?;
    let file = home.config_file();
    for (name, expected) in [
        ("tow", format!("did you mean two? ({} has: one, two)", file.display())),
        ("zebra", format!("zebra ({} has: one, two)", file.display())),
    ] {
        let run = home.run(&["--agent", name], &[])?;
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(&expected), "{expected}: {run:?}");
    }
    let home = Home::new()?;
    let run = home.run(&["run", "--agent", "two", "--login"], &[])?;
    let file = home.config_file();
    let expected = format!("add the table [agents.two] with its command to {}", file.display());
    assert!(run.code == Some(2) && run.stderr.contains(&expected), "{run:?}");
    Ok(())
}

#[test]
fn a_mistake_in_the_table_of_another_agent_counts_too() -> io::Result<()> {
    let home = Home::with_config("[agents.one]\ncommand = 'a'\nshare = 'nobody'\n")?;
    for arguments in [&["config"][..], &["--", "other"]] {
        let run = home.run(arguments, &[])?;
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains(":3: share: \"nobody\" is refused"), "{run:?}");
    }
    Ok(())
}
