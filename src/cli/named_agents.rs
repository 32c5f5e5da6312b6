//! The tables `[agents.NAME]` of the configuration file: the agents that have names, each with
//! its command and with options that are its own.

use std::borrow::Cow;
use std::ffi::OsString;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::file_text::{FileEntry, FileText, add, in_order};
use super::options::{OPTIONS, Opt};
use crate::agent_environment::Assignments;

/// The keys of such a table that are no options.
const OWN_KEYS: [&str; 3] = ["command", "args", "env"];

/// An agent that has a name.
#[derive(Clone, Debug)]
pub(super) struct NamedAgent {
    /// The name.
    pub(super) name: String,
    /// The place of its table.
    pub(super) origin: Origin,
    /// Its command and its arguments.
    pub(super) command: Vec<OsString>,
    /// The variables that are set for it.
    pub(super) environment: Assignments,
    /// Its options.
    pub(super) entries: Vec<FileEntry>,
}

/// The names of all options that a table of one agent may have.
fn names_of_options() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().filter(|option| option.is_of_agent()).flat_map(Opt::names)
}

impl FileText<'_> {
    /// The agents of the table `[agents]`.
    pub(super) fn agents(&self, agents: &DeTable<'_>) -> Result<Vec<NamedAgent>, ConfigError> {
        let mut found = Vec::new();
        for (name, value) in in_order(agents) {
            let span = &name.span();
            match value.get_ref() {
                DeValue::Table(table) => found.push(self.agent(name, table)?),
                _ => {
                    let what = format!("agents.{} must be a table", name.get_ref());
                    let hint = format!(": [agents.{}]", name.get_ref());
                    return Err(self.unknown(span, what, hint));
                }
            }
        }
        Ok(found)
    }

    fn agent(
        &self,
        name: &Spanned<Cow<'_, str>>,
        table: &DeTable<'_>,
    ) -> Result<NamedAgent, ConfigError> {
        let word = name.get_ref().clone().into_owned();
        let origin = self.origin(&name.span(), &format!("[agents.{word}]"));
        if word.trim().is_empty() || word.contains(char::is_control) || word.starts_with('-') {
            let reason = "give the agent a name of one line that begins with no dash".to_owned();
            return Err(ConfigError::Value { origin, value: word, reason });
        }
        let mut agent = NamedAgent {
            name: word,
            origin,
            command: Vec::new(),
            environment: Assignments::default(),
            entries: Vec::new(),
        };
        let mut arguments = Vec::new();
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "command" => agent.command.push(self.command(key, value)?),
                "args" => arguments = self.arguments(key, value)?,
                "env" => agent.environment = self.environment(key, value)?,
                other if is_of_bridge(other) => {
                    let what = format!("{other} is no option of one agent");
                    let hint = "; it stands in [defaults]".to_owned();
                    return Err(self.unknown(&key.span(), what, hint));
                }
                _ => {
                    let known = || OWN_KEYS.into_iter().chain(names_of_options());
                    let table = format!("[agents.{}]", agent.name);
                    let entry = self.entry(key, value, &table, known)?;
                    add(&mut agent.entries, entry)?;
                }
            }
        }
        if agent.command.is_empty() {
            let what = format!("[agents.{}] has no command", agent.name);
            let hint = "; give the program that is started: command = \"npx\"".to_owned();
            return Err(self.unknown(&name.span(), what, hint));
        }
        agent.command.extend(arguments);
        Ok(agent)
    }

    fn command(
        &self,
        key: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<OsString, ConfigError> {
        match value.get_ref() {
            DeValue::String(text) if !text.is_empty() && !text.contains('\0') => {
                Ok(text.as_ref().into())
            }
            _ => Err(self.refused(key, value, "give the program as a string, and args beside it")),
        }
    }

    fn arguments(
        &self,
        key: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<OsString>, ConfigError> {
        let text = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(text) if !text.contains('\0') => Some(text.as_ref().into()),
            _ => None,
        };
        let words = match value.get_ref() {
            DeValue::Array(words) => words.iter().map(text).collect(),
            _ => None,
        };
        words.ok_or_else(|| self.refused(key, value, "give a list of strings"))
    }

    fn environment(
        &self,
        key: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Assignments, ConfigError> {
        let why = "give a table of variables and their values: env = { NAME = \"VALUE\" }";
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.refused(key, value, why));
        };
        let mut found = Assignments::default();
        for (name, value) in in_order(table) {
            let is_set = match value.get_ref() {
                DeValue::String(text) => found.set(name.get_ref(), text),
                _ => false,
            };
            if !is_set {
                return Err(self.refused(name, value, why));
            }
        }
        Ok(found)
    }

    /// The error for a value that a key does not take. It shows nothing of a table, which may
    /// hold secrets.
    fn refused(
        &self,
        key: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        reason: &str,
    ) -> ConfigError {
        let origin = self.origin(&key.span(), key.get_ref());
        let kind = value.get_ref().type_str().to_owned();
        ConfigError::Value { origin, value: kind, reason: reason.to_owned() }
    }
}

/// Whether this is the name of an option of the whole bridge.
fn is_of_bridge(key: &str) -> bool {
    OPTIONS.iter().any(|option| !option.is_of_agent() && option.names().any(|name| name == key))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Vec<NamedAgent>, String> {
        let source = FileText { path: Path::new("c.toml"), text };
        source.contents().map(|contents| contents.agents).map_err(|error| error.to_string())
    }

    #[test]
    fn an_agent_has_a_command_arguments_variables_and_options() {
        let text = "[agents.a]\ncommand = 'npx'\nshare = 'cwd'\n\n[agents.'b c']\ncommand = 'x'\n\
                    args = ['-y', '']\nenv = { A = '1', B = 'x,y=z' }\nterm-grace = 5\n";
        let agents = read(text).expect("agents");
        let words: Vec<_> = agents.iter().map(|agent| agent.command.clone()).collect();
        assert_eq!(words, [vec!["npx"], vec!["x", "-y", ""]]);
        let [a, b] = &agents[..] else { panic!("{agents:?}") };
        assert_eq!((&*a.name, a.origin.to_string()), ("a", "c.toml:1: [agents.a]".to_owned()));
        let names: Vec<_> = b.entries.iter().map(|entry| OPTIONS[entry.option].name).collect();
        assert_eq!(names, ["term-grace-ms"]);
        assert_eq!(b.environment, {
            let mut expected = Assignments::default();
            assert!(expected.set("A", "1") && expected.set("B", "x,y=z"));
            expected
        });
    }

    #[test]
    fn mistakes_are_named_with_their_lines_and_without_secrets() {
        for (text, expected) in [
            (
                "[agents.a]\nshare = 'cwd'",
                "c.toml:1: [agents.a] has no command; give the program that is started: \
                 command = \"npx\"",
            ),
            (
                "[agents.a]\ncomand = 'x'",
                "c.toml:2: unknown key comand in [agents.a]; did you mean command?",
            ),
            (
                "[agents.a]\ncommand = 'x'\nmax-sessions = 2",
                "c.toml:3: max-sessions is no option of one agent; it stands in [defaults]",
            ),
            (
                "[agents.a]\ncommand = ['x']",
                "c.toml:2: command: \"array\" is refused: give the program as a string, and args \
                 beside it",
            ),
            (
                "[agents.a]\ncommand = 'x'\nargs = '-y'",
                "c.toml:3: args: \"string\" is refused: give a list of strings",
            ),
            (
                "[agents.a]\ncommand = 'x'\nenv = { KEY = 5 }",
                "c.toml:3: KEY: \"integer\" is refused: give a table of variables and their \
                 values: env = { NAME = \"VALUE\" }",
            ),
            (
                "[agents.a]\ncommand = 'x'\nterm-grace = 5\nterm-grace-ms = 5",
                "c.toml:4: term-grace-ms and c.toml:3: term-grace are the same option; keep one \
                 of them",
            ),
            ("[agents]\na = 'x'", "c.toml:2: agents.a must be a table: [agents.a]"),
            ("agents = 1", "c.toml:1: agents must hold tables: [agents.NAME]"),
            (
                "[agents.'-a']\ncommand = 'x'",
                "c.toml:1: [agents.-a]: \"-a\" is refused: give the agent a name of one line that \
                 begins with no dash",
            ),
        ] {
            assert_eq!(read(text).map(drop), Err(expected.to_owned()), "{text}");
        }
    }
}
