//! The settings of editors for the agent that was checked, with absolute paths.

use std::env;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::facts::text;
use super::plan::Plan;
use super::report::Report;

/// Says the settings of each editor.
pub(super) fn say(
    plan: &Plan,
    program: Option<&Path>,
    answer: &Value,
    report: &mut Report,
) -> io::Result<()> {
    let bridge = env::current_exe()?.to_string_lossy().into_owned();
    let mut arguments = vec!["connect".to_owned()];
    let mut words = plan.rest.iter().map(|word| word.to_string_lossy().into_owned());
    match plan.flags.agent() {
        Some(name) => arguments.extend(["--agent".to_owned(), name.to_string_lossy().into_owned()]),
        None => {
            let named = words.next().unwrap_or_default();
            let found = program.map(|path| path.to_string_lossy().into_owned());
            arguments.extend(["--".to_owned(), found.unwrap_or(named)]);
        }
    }
    arguments.extend(words);
    let needs_path = program.is_none_or(is_script_of_path);
    let path = env::var("PATH").ok().filter(|_| needs_path);
    let of_agent = match text(&answer["agentInfo"]["name"]) {
        "" => &plan.settings.config.agent.name,
        name => name,
    };
    let snippets = Snippets { name: of_agent.to_owned(), bridge, arguments, path };
    report.text("\nSettings of editors. Without `connect`, each has a bridge of its own.")?;
    for (editor, place, text) in snippets.all() {
        report.text(&format!("\n# {editor}, {place}\n{text}"))?;
    }
    Ok(())
}

/// Whether a program is a script whose interpreter is found by `PATH`.
fn is_script_of_path(program: &Path) -> bool {
    let mut beginning = [0; 64];
    let read = std::fs::File::open(program).and_then(|mut file| file.read(&mut beginning));
    let line = read.map(|length| String::from_utf8_lossy(&beginning[..length]).into_owned());
    line.is_ok_and(|line| line.starts_with("#!") && line.contains("/env "))
}

/// The parts of the settings.
struct Snippets {
    /// The name of the agent.
    name: String,
    /// The path of drawbridge.
    bridge: String,
    /// Its arguments.
    arguments: Vec<String>,
    /// The `PATH` that the agent needs, if it does.
    path: Option<String>,
}

impl Snippets {
    /// Each editor, the place of its settings, and the settings.
    fn all(&self) -> [(&'static str, &'static str, String); 8] {
        let shell = self.shell();
        [
            ("Zed", "settings.json", pretty(&json!({"agent_servers": self.servers(true)}))),
            (
                "JetBrains",
                "~/.jetbrains/acp.json",
                pretty(&json!({"agent_servers": self.servers(false)})),
            ),
            (
                "VS Code (vscode-acp)",
                "settings.json",
                pretty(&json!({"acp.agents": self.servers(false)})),
            ),
            ("Neovim (codecompanion)", "an adapter of your setup", self.codecompanion()),
            ("Neovim (avante)", "acp_providers of your setup", self.avante()),
            ("Emacs (agent-shell)", "the variable of your agent's command", self.emacs()),
            ("Toad", "a shell", format!("toad acp {}", quoted(&format!("exec {shell}")))),
            ("marimo", "a shell", format!("npx stdio-to-ws {} --port 3017", quoted(&shell))),
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
        let words = self.words().map(string).collect::<Vec<_>>().join(", ");
        format!("commands = {{ default = {{ {words} }} }},")
    }

    fn avante(&self) -> String {
        let arguments =
            self.arguments.iter().map(|word| string(word)).collect::<Vec<_>>().join(", ");
        let path = self.path.as_ref().map(|path| format!(" env = {{ PATH = {} }},", string(path)));
        format!(
            "[{}] = {{ command = {}, args = {{ {arguments} }},{} }},",
            string(&self.name),
            string(&self.bridge),
            path.unwrap_or_default()
        )
    }

    fn emacs(&self) -> String {
        format!("'({})", self.words().map(string).collect::<Vec<_>>().join(" "))
    }

    fn shell(&self) -> String {
        self.words().map(quoted).collect::<Vec<_>>().join(" ")
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.bridge.as_str()).chain(self.arguments.iter().map(String::as_str))
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A string of JSON, Lua or Emacs Lisp: they agree as long as no control characters are in it.
fn string(word: &str) -> String {
    Value::from(word).to_string()
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:@,+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
