//! Which variables of the environment an agent gets.
//!
//! What belongs to one terminal or one shell says nothing to an agent, which has
//! neither: it is left out unless somebody wants it.

use std::ffi::{OsStr, OsString};

/// Variables and their values.
pub type Variables = Vec<(OsString, OsString)>;

/// What is passed on, what is not even then, and what is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// Names of variables that are passed on.
    pub pass: Patterns,
    /// Of these, names that are not.
    pub ignore: Patterns,
    /// What is set in any case.
    pub set: Assignments,
}

impl Default for Passing {
    fn default() -> Self {
        Passing {
            pass: Patterns::of("*"),
            ignore: Patterns::of(
                "PWD,OLDPWD,SHLVL,_,TERM*,COLORTERM,COLUMNS,LINES,WINDOWID,TMUX*,STY",
            ),
            set: Assignments::default(),
        }
    }
}

impl Passing {
    /// The environment of an agent that is started in this one.
    pub fn through(&self, environment: impl Iterator<Item = (OsString, OsString)>) -> Variables {
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

/// Names of variables; a `*` at the end of one stands for any rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// The names of a list with commas.
    pub fn of(list: &str) -> Patterns {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        Patterns(names.map(str::to_owned).collect())
    }

    /// The list again.
    pub fn list(&self) -> String {
        self.0.join(",")
    }

    /// Whether this name is one of them.
    fn hold(&self, name: &OsStr) -> bool {
        let name = name.as_encoded_bytes();
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning.as_bytes()),
            None => name == pattern.as_bytes(),
        })
    }
}

/// Variables that are set. What they are set to is nobody else's business.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Assignments(Vec<(String, String)>);

impl Assignments {
    /// Those of a list with commas: a part that does not begin with a name and
    /// `=` belongs to the value before it.
    ///
    /// # Errors
    /// The part with which nothing can be done.
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

    /// The names of what is set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl std::fmt::Debug for Assignments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Letters, digits and underlines, a digit not first.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(passing: &Passing, names: &[&str]) -> Vec<String> {
        let environment = names.iter().map(|name| ((*name).into(), "here".into()));
        let shown = |(name, value): (OsString, OsString)| {
            format!("{}={}", name.to_string_lossy(), value.to_string_lossy())
        };
        passing.through(environment).into_iter().map(shown).collect()
    }

    #[test]
    fn what_belongs_to_a_terminal_stays_behind() {
        let names = ["PATH", "TERM", "TERM_PROGRAM", "SHLVL", "SHLVL_OF_MINE", "COLUMNS"];
        let passed = through(&Passing::default(), &names);
        assert_eq!(passed, ["PATH=here", "SHLVL_OF_MINE=here"]);
    }

    #[test]
    fn what_is_set_takes_the_place_of_what_was_there() {
        let set = Assignments::of("PATH=/a,b,NEW=x=y,EMPTY=").unwrap();
        let passing = Passing { pass: Patterns::of("PATH,HO*"), set, ..Passing::default() };
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
