//! The command of an agent: the program, script or package that it runs in the end, past the
//! launchers in front of it.

use std::ffi::OsString;

/// Programs that run the command behind their options, each with those of its options that
/// take a value.
const WRAPPERS: [(&str, &[&str]); 10] = [
    ("env", &["-u", "--unset", "-C", "--chdir"]),
    ("nohup", &[]),
    ("setsid", &[]),
    ("exec", &["-a"]),
    ("nice", &["-n", "--adjustment"]),
    ("ionice", &["-c", "-n", "--class", "--classdata"]),
    ("sudo", &["-u", "-g", "-h", "-p", "--user", "--group"]),
    ("stdbuf", &["-i", "-o", "-e"]),
    ("time", &["-f", "-o"]),
    ("command", &[]),
];

/// Programs that run a package, as [`WRAPPERS`]: the first word behind the options is its name.
const PACKAGE_RUNNERS: [(&str, &[&str]); 5] = [
    ("npx", &["-p", "--package", "-c", "--call", "--registry", "-w", "--workspace"]),
    ("pnpx", &["-p", "--package"]),
    ("bunx", &["-p", "--package"]),
    ("uvx", &["--from", "--with", "-p", "--python", "--index-url", "--index"]),
    ("pipx", &["--spec", "--python", "--pip-args"]),
];

/// The words between a package manager and the package that it runs.
const RUN_WORDS: [&str; 7] = ["run", "dlx", "exec", "x", "tool", "--", "-y"];

/// Those of them by which a package manager may fetch the package.
const FETCH_WORDS: [&str; 4] = ["dlx", "exec", "x", "tool"];

/// Package managers that run a package behind one of [`RUN_WORDS`].
const MANAGERS: [&str; 6] = ["npm", "pnpm", "yarn", "bun", "uv", "mise"];

/// Programs that run a script.
const RUNTIMES: [&str; 6] = ["node", "nodejs", "deno", "tsx", "python", "java"];

/// Those of their options that take a value.
const RUNTIME_OPTIONS: [&str; 16] = [
    "-r",
    "--require",
    "--import",
    "--loader",
    "-C",
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--add-modules",
    "--add-opens",
    "--add-exports",
    "--add-reads",
    "-X",
    "-W",
];

const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "fish", "ksh"];

/// Words of a shell that start no program.
const BUILTINS: [&str; 14] = [
    "exit", "cd", "set", "export", "read", "trap", "wait", "kill", "test", "[", "true", "false",
    "fi", "done",
];

/// Names of scripts that say nothing: the directory is named in their place.
const PLACES: [&str; 11] =
    ["index", "main", "cli", "server", "__main__", "dist", "build", "lib", "bin", "src", "out"];

/// The thing that a command runs in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// This program: a path, or a name that `PATH` leads to.
    Program(String),
    /// This script, or the class or function of that name in one.
    Script(String),
    /// This module of a language.
    Module(String),
    /// This package, which its runner may fetch.
    Package(String),
}

impl Runs {
    /// The thing that a command runs; `None`: the command ends before it names one.
    pub fn of(command: &[OsString]) -> Option<Runs> {
        let words = texts(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        in_the_end(&words)
    }

    /// The name of it, without its place and its version.
    fn name(&self) -> String {
        match self {
            Runs::Program(path) => stem(file_name(path)).to_owned(),
            Runs::Script(name) | Runs::Module(name) => script_name(name),
            Runs::Package(name) => package_name(name),
        }
    }
}

/// The name of the agent that a command runs.
pub fn agent_name(command: &[OsString]) -> String {
    let first = || command.first().map(|word| file_name(&word.to_string_lossy()).to_owned());
    let name = Runs::of(command).map(|runs| runs.name()).or_else(first);
    name.unwrap_or_else(|| "agent".to_owned())
}

fn texts(command: &[OsString]) -> Vec<String> {
    command.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn in_the_end(words: &[&str]) -> Option<Runs> {
    let (path, rest) = words.split_first()?;
    let program = file_name(path);
    let in_table = |table: &[(&str, &'static [&'static str])]| {
        let (_, options) = table.iter().find(|(name, _)| *name == program)?;
        Some(|word: &str| options.contains(&word))
    };
    if let Some(takes_value) = in_table(&WRAPPERS) {
        let rest = behind_options(rest, takes_value);
        let is_assignment = |word: &&&str| word.contains('=') && !word.contains('/');
        let assignments = rest.iter().take_while(is_assignment).count();
        return in_the_end(&rest[assignments..]);
    }
    if let Some(takes_value) = in_table(&PACKAGE_RUNNERS) {
        let rest = behind_options(rest, takes_value);
        let rest = if program == "pipx" { rest.get(1..).unwrap_or_default() } else { rest };
        return owned(behind_options(rest, takes_value).first(), Runs::Package);
    }
    if MANAGERS.contains(&program) {
        let is_named = |word: &&str| !RUN_WORDS.contains(word) && !word.starts_with('-');
        let place = rest.iter().position(is_named)?;
        let fetches = rest[..place].iter().any(|word| FETCH_WORDS.contains(word));
        let kind = if fetches { Runs::Package } else { Runs::Script };
        return owned(rest.get(place), kind);
    }
    if SHELLS.contains(&program) {
        return match own_option(rest, takes_value_of_shell, |word| is_of_shell(word, 'c')) {
            Some(place) => {
                in_script(rest.get(place + 1)?, rest.get(place + 3..).unwrap_or_default())
            }
            None => owned(behind_options(rest, takes_value_of_shell).first(), Runs::Script),
        };
    }
    if RUNTIMES.iter().any(|runtime| program.starts_with(runtime)) {
        let takes_value = |word: &str| RUNTIME_OPTIONS.contains(&word);
        if let Some(place) = own_option(rest, takes_value, |word| word == "-m") {
            return owned(rest.get(place + 1), Runs::Module);
        }
        return owned(behind_options(rest, takes_value).first(), Runs::Script);
    }
    Some(Runs::Program((*path).to_owned()))
}

fn owned(word: Option<&&str>, kind: fn(String) -> Runs) -> Option<Runs> {
    word.map(|word| kind((*word).to_owned()))
}

/// Whether this is an option of a shell, or several in one word, of which this letter is the last.
fn is_of_shell(word: &str, letter: char) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.ends_with(letter)
}

fn takes_value_of_shell(word: &str) -> bool {
    is_of_shell(word, 'o') || matches!(word, "-O" | "--rcfile" | "--init-file")
}

/// The place of an option in front of the first word that is none; those behind it are for what
/// is run.
fn own_option(
    words: &[&str],
    takes_value: impl Fn(&str) -> bool,
    is_it: impl Fn(&str) -> bool,
) -> Option<usize> {
    let place = words.iter().position(|word| is_it(word))?;
    behind_options(&words[..place], takes_value).is_empty().then_some(place)
}

/// The words behind the options in front, some of which take the next word.
fn behind_options<'a, 'b>(
    words: &'b [&'a str],
    takes_value: impl Fn(&str) -> bool,
) -> &'b [&'a str] {
    let mut rest = words;
    while let Some((option, behind)) = rest.split_first().filter(|(word, _)| word.starts_with('-'))
    {
        rest = match behind.split_first() {
            Some((_, behind)) if takes_value(option) => behind,
            _ => behind,
        };
        if *option == "--" {
            break;
        }
    }
    rest
}

/// The last thing that a shell's script runs; `"$@"` in it stands for `arguments`.
fn in_script(script: &str, arguments: &[&str]) -> Option<Runs> {
    let is_program =
        |part: &&str| part.split_whitespace().next().is_some_and(|word| !BUILTINS.contains(&word));
    let last = script.rsplit(['\n', ';', '|', '&']).find(is_program)?;
    let words: Vec<&str> =
        last.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
    match words.iter().position(|word| *word == "$@") {
        Some(_) => in_the_end(arguments),
        None => in_the_end(&words),
    }
}

/// `@scope/agent@1.2.3` is `agent`, `agent[extra]==1.2` too.
fn package_name(package: &str) -> String {
    let unscoped = package.rsplit('/').next().unwrap_or(package);
    let end = unscoped.char_indices().skip(1).find(|(_, letter)| "@=<>[~".contains(*letter));
    unscoped[..end.map_or(unscoped.len(), |(at, _)| at)].to_owned()
}

/// `/opt/claude-agent-acp/dist/index.js` is `claude-agent-acp`.
fn script_name(path: &str) -> String {
    let parts = path.split('/').rev().map(stem).filter(|part| !part.is_empty() && *part != ".");
    let mut named = parts.filter(|part| !PLACES.contains(part));
    named.next().unwrap_or(path).to_owned()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(path)
}

fn stem(name: &str) -> &str {
    let endings = [".js", ".mjs", ".cjs", ".ts", ".py", ".sh", ".jar", ".exe"];
    endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_called_by_what_runs_in_the_end() {
        for (line, expected) in [
            ("/opt/bin/claude --acp", "claude"),
            ("npx -y @agentclientprotocol/claude-agent-acp@0.101.0", "claude-agent-acp"),
            ("/usr/bin/npx --package=@x/y -- codex-acp --flag", "codex-acp"),
            ("npm exec -- @zed-industries/codex-acp", "codex-acp"),
            ("pnpm dlx gemini-cli@latest --acp", "gemini-cli"),
            ("uvx kimi-cli acp", "kimi-cli"),
            ("uvx --from git+https://x.example/repo mistral-acp", "mistral-acp"),
            ("uv tool run kimi-cli==1.2 acp", "kimi-cli"),
            ("pipx run goose[acp]==2", "goose"),
            ("node /opt/qwen/dist/index.js --acp", "qwen"),
            ("node --no-warnings path/x.js", "x"),
            ("python3.12 -m my_agent.acp", "my_agent.acp"),
            ("python3 /srv/agent.py", "agent"),
            ("env -u C A=b x --acp", "x"),
            ("/usr/bin/env -S node my-agent/server.js", "my-agent"),
            ("nice -n 5 nohup /opt/goose acp", "goose"),
            ("opencode acp", "opencode"),
            ("npx", "npx"),
            ("node", "node"),
        ] {
            let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(agent_name(&command), expected, "{line}");
        }
    }

    #[test]
    fn it_is_known_whether_a_command_runs_a_file_or_a_package_that_may_be_fetched() {
        let text = str::to_owned;
        for (line, expected) in [
            ("/opt/bin/claude --acp", Runs::Program(text("/opt/bin/claude"))),
            ("env A=b x --acp", Runs::Program(text("x"))),
            ("nice -n 5 node /opt/x/index.js --acp", Runs::Script(text("/opt/x/index.js"))),
            ("java -cp lib -jar agent.jar", Runs::Script(text("agent.jar"))),
            ("bash ./agent.sh", Runs::Script(text("./agent.sh"))),
            ("node /opt/x/cli.js -m model", Runs::Script(text("/opt/x/cli.js"))),
            ("python3 -X dev -m my.agent -m model", Runs::Module(text("my.agent"))),
            ("python3 agent.py -m model", Runs::Script(text("agent.py"))),
            ("bash agent.sh --sync foo -c", Runs::Script(text("agent.sh"))),
            ("bash -euo pipefail -c exec\u{a0}agent", Runs::Program(text("agent"))),
            ("bash --rcfile x -lc agent", Runs::Program(text("agent"))),
            ("bash -o pipefail agent.sh", Runs::Script(text("agent.sh"))),
            ("java --add-opens x/y=ALL -jar agent.jar", Runs::Script(text("agent.jar"))),
            ("node --no-warnings --inspect x.js y", Runs::Script(text("x.js"))),
            ("node --inspect -- x.js", Runs::Script(text("x.js"))),
            ("bash --norc agent.sh", Runs::Script(text("agent.sh"))),
            ("uv run agent.py", Runs::Script(text("agent.py"))),
            ("python3 -m my.agent", Runs::Module(text("my.agent"))),
            ("npx -y @x/agent@2 --acp", Runs::Package(text("@x/agent@2"))),
            ("uvx --from git+https://x agent", Runs::Package(text("agent"))),
            ("npm exec -- @x/agent", Runs::Package(text("@x/agent"))),
            ("uv tool run agent==1.2", Runs::Package(text("agent==1.2"))),
        ] {
            let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(Runs::of(&command), Some(expected), "{line}");
        }
        let shell = ["sh", "-c", "cd /srv && exec npx -y agent"].map(OsString::from);
        assert_eq!(Runs::of(&shell), Some(Runs::Package(text("agent"))));
        assert_eq!(Runs::of(&["npx".into()]), None);
    }

    #[test]
    fn a_shell_is_called_by_what_its_script_runs() {
        for (script, arguments, expected) in [
            ("cd /srv && exec goose acp", &[][..], "goose"),
            ("export A=1; npx -y @x/agent@2", &[], "agent"),
            ("/opt/agent --acp; exit 3", &[], "agent"),
            ("exit 0", &[], "sh"),
            ("exec \"$@\"", &["sh", "/opt/claude", "--acp"], "claude"),
        ] {
            let mut command: Vec<OsString> = vec!["/bin/sh".into(), "-c".into(), script.into()];
            command.extend(arguments.iter().map(OsString::from));
            assert_eq!(agent_name(&command), expected, "{script}");
        }
    }
}
