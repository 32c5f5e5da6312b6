//! The classes of environment variables, as the data file beside this one gives them.

use std::ffi::OsStr;
use std::sync::LazyLock;

use super::pattern::Pattern;

/// The meaning of a variable for the client that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableClass {
    /// It belongs to one terminal, shell, window or start.
    Volatile,
    /// It names a thing that the client's login gives access to.
    Handle,
    /// It is a part of what the client wants.
    Rest,
}

/// The patterns of the data file, each with its class.
static CLASSES: LazyLock<Vec<(VariableClass, Pattern)>> = LazyLock::new(|| {
    let lines = include_str!("variables.txt").lines();
    let entry = |line: &str| {
        let (class, name) = line.split_once(' ')?;
        let class = match class {
            "volatile" => VariableClass::Volatile,
            "handle" => VariableClass::Handle,
            _ => return None,
        };
        Some((class, Pattern::of(name)))
    };
    lines.filter_map(entry).collect()
});

impl VariableClass {
    /// The class of the variable with this name.
    pub fn of(name: &OsStr) -> VariableClass {
        let found = CLASSES.iter().find(|(_, pattern)| pattern.matches(name));
        found.map_or(VariableClass::Rest, |(class, _)| *class)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The recorded environments: the name of each, and its variables.
    fn recorded() -> Vec<(String, BTreeMap<String, String>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/environments");
        let read = |entry: fs::DirEntry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            let pairs = text.lines().filter(|line| !line.starts_with('#'));
            let pairs = pairs.map(|line| line.split_once('=').unwrap());
            let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            (entry.file_name().to_string_lossy().into_owned(), pairs.collect())
        };
        fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect()
    }

    fn rest(environment: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
        let pairs = environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        pairs
            .filter(|(name, _)| VariableClass::of(OsStr::new(name)) == VariableClass::Rest)
            .collect()
    }

    #[test]
    fn one_user_wants_the_same_wherever_the_start_comes_from() {
        let recorded = recorded();
        assert!(recorded.len() >= 12, "{}", recorded.len());
        let (_, first) = recorded.iter().find(|(name, _)| name == "ssh-login").unwrap();
        for (name, environment) in &recorded {
            assert_eq!(rest(environment), rest(first), "{name}");
        }
    }

    #[test]
    fn each_pattern_of_the_data_file_is_read_and_stands_there_once() {
        let text = include_str!("variables.txt");
        let lines: Vec<&str> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(CLASSES.len(), lines.len());
        for line in &lines {
            let name = line.split_once(' ').unwrap().1;
            assert_eq!(
                lines.iter().filter(|other| other.ends_with(&format!(" {name}"))).count(),
                1
            );
        }
    }

    #[test]
    fn variables_of_the_user_are_not_taken_for_those_of_a_terminal() {
        for name in
            ["TERMINAL", "TMUX_TMPDIR", "LINES_OF_MINE", "VISUAL", "SSH_ASKPASS", "NPM_TOKEN"]
        {
            assert_eq!(VariableClass::of(OsStr::new(name)), VariableClass::Rest, "{name}");
        }
    }
}
