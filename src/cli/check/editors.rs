//! The settings of editors for the agent that was checked, with absolute paths.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::facts::text;
use super::plan::Plan;
use super::report::Report;
use crate::agent_command::Runs;
use crate::cli::mode::Mode;
use crate::cli::options::PREFIX;
use crate::control::report::one_line;

/// Says the settings of each editor.
pub(super) fn say(
    plan: &Plan,
    program: Option<&Path>,
    answer: &Value,
    report: &mut Report,
) -> io::Result<()> {
    let Some(snippets) = Snippets::of(plan, program, answer)? else {
        let why = "a word of the command is not UTF-8, so that no editor's settings can hold it";
        return report.problem("settings", why);
    };
    report.text(
        "\nLines for the settings of each editor. They use the daemon; without the word `connect`\n\
         the editor has a bridge of its own.",
    )?;
    let missing = missing(plan);
    if !missing.is_empty() {
        report.text(&format!(
            "They lack {}, which counted here: put what the agent needs into\nthe configuration \
             file (drawbridge config names it).",
            missing.join(", ")
        ))?;
    }
    for (editor, place, text) in snippets.all() {
        report.text(&format!("\n# {editor}, {place}\n{text}"))?;
    }
    Ok(())
}

/// The options and variables that counted for the check, and that the settings do not hold.
fn missing(plan: &Plan) -> Vec<String> {
    let held = plan.flags.of(Mode::Connect);
    let is_held = |name: &str| held.names().any(|held| held == name);
    let flags = plan.flags.names().filter(|name| !is_held(name)).map(|name| format!("--{name}"));
    let variables = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    flags.chain(variables.filter(|name| name.starts_with(PREFIX))).collect()
}

/// The parts of the settings.
struct Snippets {
    /// The name of the agent.
    name: String,
    /// The path of drawbridge.
    bridge: String,
    /// Its arguments.
    arguments: Vec<String>,
    /// The `PATH` that the agent needs, if it may.
    path: Option<String>,
}

impl Snippets {
    /// `None`: something is not UTF-8.
    fn of(plan: &Plan, program: Option<&Path>, answer: &Value) -> io::Result<Option<Snippets>> {
        let mut arguments = vec![OsString::from("connect")];
        let flags = plan.flags.of(Mode::Connect);
        arguments.extend(flags.without(&["log", "log-file", "log-format"]).absolute().arguments());
        let mut words = plan.rest.iter().map(|word| located(word));
        if plan.flags.agent().is_none() {
            let named = words.next().unwrap_or_default();
            let found = program.map_or(named, |path| path.as_os_str().to_owned());
            arguments.extend(["--".into(), found]);
        }
        arguments.extend(words);
        let arguments: Option<Vec<String>> =
            arguments.into_iter().map(|word| word.into_string().ok()).collect();
        let bridge = env::current_exe()?.into_os_string().into_string().ok();
        let path = if is_alone(plan, program) { None } else { absolute_path() };
        let name = match text(&answer["agentInfo"]["name"]) {
            "" => &plan.settings.config.agent.name,
            name => name,
        };
        Ok(arguments.zip(bridge).map(|(arguments, bridge)| Snippets {
            name: one_line(name),
            bridge,
            arguments,
            path,
        }))
    }

    /// Each editor, the place of its settings, and the settings.
    fn all(&self) -> [(&'static str, &'static str, String); 8] {
        let servers = |is_custom| json!({"agent_servers": self.servers(is_custom)});
        let agents = json!({"acp.agents": self.servers(false)});
        let toad = format!("toad acp {}", quoted(&format!("exec {}", self.shell())));
        [
            ("Zed", "settings.json", pretty(&servers(true))),
            ("JetBrains", "~/.jetbrains/acp.json", pretty(&servers(false))),
            ("VS Code (vscode-acp)", "settings.json", pretty(&agents)),
            ("Neovim (codecompanion)", "in the adapter of the agent", self.codecompanion()),
            ("Neovim (avante)", "in acp_providers", self.avante()),
            ("Emacs (agent-shell)", "the value of the agent's command", self.emacs()),
            ("Toad", "a shell", toad),
            ("marimo", "a shell", self.marimo()),
        ]
    }

    fn servers(&self, is_custom: bool) -> Value {
        let mut server = Map::new();
        if is_custom {
            server.insert("type".into(), "custom".into());
        }
        server.insert("command".into(), self.bridge.clone().into());
        server.insert("args".into(), self.arguments.clone().into());
        server.insert("env".into(), self.path.iter().map(|path| ("PATH", path.as_str())).collect());
        json!({ self.name.clone(): server })
    }

    fn codecompanion(&self) -> String {
        let words = self.words().iter().map(|word| of_lua(word)).collect::<Vec<_>>().join(", ");
        format!("commands = {{ default = {{ {words} }} }},")
    }

    fn avante(&self) -> String {
        let arguments = self.arguments.iter().map(|word| of_lua(word)).collect::<Vec<_>>();
        let path = self.path.as_ref().map(|path| format!(" env = {{ PATH = {} }},", of_lua(path)));
        format!(
            "[{}] = {{ command = {}, args = {{ {} }},{} }},",
            of_lua(&self.name),
            of_lua(&self.bridge),
            arguments.join(", "),
            path.unwrap_or_default()
        )
    }

    fn emacs(&self) -> String {
        // Emacs Lisp has the escapes of JSON.
        let words = self.words().into_iter().map(|word| Value::from(word).to_string());
        format!("'({})", words.collect::<Vec<_>>().join(" "))
    }

    fn marimo(&self) -> String {
        let words = self.words();
        // It is split at each space, and no shell reads it.
        match words.iter().any(|word| word.is_empty() || word.contains(char::is_whitespace)) {
            true => "put the command into a script: a word of it has a space".to_owned(),
            false => format!("npx stdio-to-ws {} --port 3017", quoted(&words.join(" "))),
        }
    }

    fn shell(&self) -> String {
        self.words().iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    /// The whole command, for editors whose settings hold no variables.
    fn words(&self) -> Vec<String> {
        let path =
            self.path.iter().flat_map(|path| ["/usr/bin/env".into(), format!("PATH={path}")]);
        path.chain([self.bridge.clone()]).chain(self.arguments.iter().cloned()).collect()
    }
}

/// Whether the program that was found is all that the command runs, and needs no other.
fn is_alone(plan: &Plan, program: Option<&Path>) -> bool {
    let command = &plan.settings.agent;
    let is_first = match (Runs::of(command), command.first()) {
        (Some(Runs::Program(name)), Some(first)) => first == name.as_str(),
        _ => false,
    };
    is_first && program.is_some_and(|path| !is_script(path))
}

fn is_script(program: &Path) -> bool {
    let mut beginning = [0; 2];
    let read = std::fs::File::open(program).and_then(|mut file| file.read(&mut beginning));
    read.is_ok() && beginning == *b"#!"
}

/// A word of the command: a file that it names by a relative path, by its absolute one.
fn located(word: &OsStr) -> OsString {
    let bytes = word.as_encoded_bytes();
    let is_path = bytes.contains(&b'/') && !bytes.starts_with(b"-") && Path::new(word).exists();
    let absolute = is_path.then(|| std::path::absolute(word).ok()).flatten();
    absolute.map_or_else(|| word.to_owned(), Into::into)
}

/// The `PATH` of this process, with absolute entries.
fn absolute_path() -> Option<String> {
    let path = env::var_os("PATH")?;
    let entries = env::split_paths(&path).filter_map(|entry| std::path::absolute(entry).ok());
    env::join_paths(entries).ok()?.into_string().ok()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A string of Lua.
fn of_lua(word: &str) -> String {
    let mut text = String::from('"');
    for letter in word.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            control if control.is_ascii_control() => {
                text.push_str(&format!("\\{:03}", u32::from(control)));
            }
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:@,+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_editor_gets_the_same_words() {
        let odd = r#"it's "a\b""#;
        let arguments = ["connect", "--", "/opt/agent", odd].map(str::to_owned).to_vec();
        let name = "Agent".to_owned();
        let snippets =
            Snippets { name, bridge: "/bin/db".to_owned(), arguments, path: Some("/a:/b".into()) };
        let of = |wanted: &str| {
            let all = snippets.all();
            all.into_iter().find(|(editor, ..)| *editor == wanted).map(|(_, _, text)| text)
        };
        let zed: Value = serde_json::from_str(&of("Zed").unwrap_or_default()).expect("JSON");
        let server = &zed["agent_servers"]["Agent"];
        assert_eq!(server["args"][3], odd);
        assert_eq!(server["env"]["PATH"], "/a:/b");
        assert_eq!(
            of("Neovim (codecompanion)").unwrap_or_default(),
            r#"commands = { default = { "/usr/bin/env", "PATH=/a:/b", "/bin/db", "connect", "--", "/opt/agent", "it's \"a\\b\"" } },"#
        );
        assert_eq!(
            of("Toad").unwrap_or_default(),
            r#"toad acp 'exec /usr/bin/env PATH=/a:/b /bin/db connect -- /opt/agent '\''it'\''\'\'''\''s "a\b"'\'''"#
        );
        assert!(of("marimo").unwrap_or_default().contains("a script"));
        assert_eq!(of_lua("a\u{1b}"), r#""a\027""#);
    }
}
