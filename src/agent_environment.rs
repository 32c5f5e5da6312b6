//! Which variables of the environment an agent gets.
//!
//! Variables that belong to one terminal or one shell mean nothing to an agent,
//! which has neither: by default they are not passed on.

use std::ffi::{OsStr, OsString};

/// The variable that holds the cookie of a channel: every descendant of its agent inherits it.
pub const COOKIE: &str = "DRAWBRIDGE_CHANNEL";

/// Names of variables, each with its value.
pub type Variables = Vec<(OsString, OsString)>;

/// The rules for an agent's environment: which variables of the bridge's own are
/// passed on, and which are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentRules {
    /// Names of variables that are passed on.
    pub pass: Patterns,
    /// Names of variables that are not passed on, even if `pass` holds them.
    pub ignore: Patterns,
    /// Variables that are added, in place of those with the same name.
    pub set: Assignments,
}

impl Default for EnvironmentRules {
    fn default() -> Self {
        EnvironmentRules {
            pass: Patterns::of("*"),
            ignore: Patterns::of(
                "PWD,OLDPWD,SHLVL,_,TERM*,COLORTERM,COLUMNS,LINES,WINDOWID,TMUX*,STY",
            ),
            set: Assignments::default(),
        }
    }
}

impl EnvironmentRules {
    /// The environment of an agent, made by these rules from `environment`.
    pub fn apply(&self, environment: impl Iterator<Item = (OsString, OsString)>) -> Variables {
        let passes = |name: &OsStr| self.pass.hold(name) && !self.ignore.hold(name);
        let mut variables: Variables = environment
            .filter(|(name, _)| {
                passes(name) && !self.set.0.iter().any(|(set, _)| name == set.as_str())
            })
            .collect();
        let set = self.set.0.iter();
        variables.extend(set.map(|(name, value)| (name.into(), value.into())));
        variables
    }
}

/// Names of variables; a `*` at the end of a name stands for any rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// Reads a list of names with commas between them.
    pub fn of(list: &str) -> Patterns {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        Patterns(names.map(str::to_owned).collect())
    }

    /// The names, with commas between them.
    pub fn list(&self) -> String {
        self.0.join(",")
    }

    /// Whether one of the patterns matches this name.
    fn hold(&self, name: &OsStr) -> bool {
        let name = name.as_encoded_bytes();
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning.as_bytes()),
            None => name == pattern.as_bytes(),
        })
    }
}

/// Variables and the values that they are set to. `Debug` shows no values, since they
/// may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Assignments(Vec<(String, String)>);

impl Assignments {
    /// Reads a list of `NAME=VALUE` with commas between them. A part that does not
    /// begin with a name and `=` belongs to the value before it.
    ///
    /// # Errors
    /// The first part, if it does not begin with a name and `=`.
    pub fn of(list: &str) -> Result<Assignments, String> {
        let mut found: Vec<(String, String)> = Vec::new();
        for part in list.split(',') {
            match (part.split_once('='), found.last_mut()) {
                (Some((name, value)), _) if is_name(name) => {
                    found.push((name.to_owned(), value.to_owned()));
                }
                (_, Some((_, value))) => *value = format!("{value},{part}"),
                (_, None) => return Err(part.to_owned()),
            }
        }
        Ok(Assignments(found))
    }

    /// The names of the variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl std::fmt::Debug for Assignments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Whether a name is made of ASCII letters, digits and underscores, with no digit first.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(passing: &EnvironmentRules, names: &[&str]) -> Vec<String> {
        let environment = names.iter().map(|name| ((*name).into(), "here".into()));
        let shown = |(name, value): (OsString, OsString)| {
            format!("{}={}", name.to_string_lossy(), value.to_string_lossy())
        };
        passing.apply(environment).into_iter().map(shown).collect()
    }

    #[test]
    fn what_belongs_to_a_terminal_stays_behind() {
        let names = ["PATH", "TERM", "TERM_PROGRAM", "SHLVL", "SHLVL_OF_MINE", "COLUMNS"];
        let passed = through(&EnvironmentRules::default(), &names);
        assert_eq!(passed, ["PATH=here", "SHLVL_OF_MINE=here"]);
    }

    #[test]
    fn what_is_set_takes_the_place_of_what_was_there() {
        let set = Assignments::of("PATH=/a,b,NEW=x=y,EMPTY=").unwrap();
        let passing =
            EnvironmentRules { pass: Patterns::of("PATH,HO*"), set, ..EnvironmentRules::default() };
        let passed = through(&passing, &["PATH", "HOME", "OTHER"]);
        assert_eq!(passed, ["HOME=here", "PATH=/a,b", "NEW=x=y", "EMPTY="]);
        assert_eq!(format!("{passing:?}").matches("/a").count(), 0, "values are not shown");
    }

    #[test]
    fn an_assignment_has_a_name() {
        for wrong in ["", "novalue", "1A=x", "=x", "A B=x"] {
            assert!(Assignments::of(wrong).is_err(), "{wrong}");
        }
    }
}
