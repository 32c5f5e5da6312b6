//! Which variables of the environment an agent gets.
//!
//! Variables that belong to one terminal or one shell mean nothing to an agent,
//! which has neither: by default they are not passed on. Nor are the bridge's own.

mod class;
mod pattern;

use std::ffi::{OsStr, OsString};

use nix::unistd::{User, geteuid};

pub use self::class::VariableClass;
use self::pattern::Pattern;

/// The variable that holds the cookie of a channel: every descendant of its agent inherits it.
pub const COOKIE: &str = "DRAWBRIDGE_CHANNEL";

/// The beginning of the names of the bridge's own variables.
pub const OWN_PREFIX: &str = "DRAWBRIDGE_";

/// The name that stands for all volatile variables in a list of patterns.
const VOLATILE: &str = "volatile";

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
            ignore: Patterns::of(VOLATILE),
            set: Assignments::default(),
        }
    }
}

impl EnvironmentRules {
    /// The environment of an agent, made by these rules from `environment`.
    pub fn apply(&self, environment: &Variables) -> Variables {
        let passes = |name: &OsStr| self.pass.hold(name) && !self.ignore.hold(name);
        self.changed(environment, passes)
    }

    /// The environment of an agent that a person runs in a terminal: everything in
    /// `environment`, and what these rules set.
    pub fn apply_in_terminal(&self, environment: &Variables) -> Variables {
        self.changed(environment, |_| true)
    }

    fn changed(&self, environment: &Variables, passes: impl Fn(&OsStr) -> bool) -> Variables {
        let is_own = |name: &OsStr| {
            name != COOKIE && name.as_encoded_bytes().starts_with(OWN_PREFIX.as_bytes())
        };
        let is_set = |name: &OsStr| self.set.names().any(|set| name == set);
        let passed =
            environment.iter().filter(|(name, _)| passes(name) && !is_own(name) && !is_set(name));
        passed.cloned().chain(self.set.values(environment)).collect()
    }
}

/// The environment of this process. What every program of the user expects is filled in from
/// the user's record where it is missing: some editors pass on little more than `PATH`.
pub fn of_process() -> Variables {
    let mut variables: Variables = std::env::vars_os().collect();
    if let Some(user) = User::from_uid(geteuid()).ok().flatten() {
        fill_in(&mut variables, user);
    }
    variables
}

fn fill_in(variables: &mut Variables, user: User) {
    let known: [(&str, OsString); 4] = [
        ("HOME", user.dir.into()),
        ("USER", user.name.clone().into()),
        ("LOGNAME", user.name.into()),
        ("SHELL", user.shell.into()),
    ];
    for (name, value) in known {
        if !variables.iter().any(|(set, _)| set == name) && !value.is_empty() {
            variables.push((name.into(), value));
        }
    }
}

/// Patterns of names of variables. The name `volatile` stands for all variables of the class
/// [`VariableClass::Volatile`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// Reads a list of names with commas between them.
    pub fn of(list: &str) -> Patterns {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        Patterns(names.map(Pattern::of).collect())
    }

    /// The names, with commas between them.
    pub fn list(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|pattern| pattern.text()).collect();
        names.join(",")
    }

    /// Whether one of the patterns matches this name.
    fn hold(&self, name: &OsStr) -> bool {
        self.0.iter().any(|pattern| match pattern.text() {
            VOLATILE => VariableClass::of(name) == VariableClass::Volatile,
            _ => pattern.matches(name),
        })
    }
}

/// Variables and the values that they are set to. `Debug` shows no values, since they
/// may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Assignments(Vec<(String, Value)>);

/// The value that a variable is set to.
#[derive(Clone, PartialEq, Eq)]
enum Value {
    /// This text.
    Text(String),
    /// The value of the same variable in the bridge's own environment: a command line, which
    /// others may see, does not show it.
    Inherited,
}

impl Assignments {
    /// Reads a list of `NAME=VALUE` with commas between them. A part that does not begin with
    /// a name and `=` belongs to the value before it; before the first value it is the name of
    /// a variable whose value is that of the bridge's own environment.
    ///
    /// # Errors
    /// The first part that is neither.
    pub fn of(list: &str) -> Result<Assignments, String> {
        let mut found: Vec<(String, Value)> = Vec::new();
        for part in list.split(',') {
            match (part.split_once('='), found.last_mut()) {
                (Some((name, value)), _) if is_name(name) => {
                    found.push((name.to_owned(), Value::Text(value.to_owned())));
                }
                (_, Some((_, Value::Text(value)))) => *value = format!("{value},{part}"),
                (None, _) if is_name(part) => found.push((part.to_owned(), Value::Inherited)),
                _ => return Err(part.to_owned()),
            }
        }
        Ok(Assignments(found))
    }

    /// Sets one more variable to this text; `false`: it is set already, or that is no name.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        let is_new = is_name(name) && !value.contains('\0') && self.names().all(|own| own != name);
        if is_new {
            self.0.push((name.to_owned(), Value::Text(value.to_owned())));
        }
        is_new
    }

    /// These, and those of `others` whose names are not among them.
    pub fn or(self, others: &Assignments) -> Assignments {
        let is_new = |(name, _): &&(String, Value)| self.names().all(|own| own != name);
        let new: Vec<_> = others.0.iter().filter(is_new).cloned().collect();
        Assignments([self.0, new].concat())
    }

    /// The variables with their values; some of these are taken from `environment`, and are
    /// left out if they are not there.
    fn values(&self, environment: &Variables) -> impl Iterator<Item = (OsString, OsString)> {
        self.0.iter().filter_map(|(name, value)| {
            let value = match value {
                Value::Text(text) => text.into(),
                Value::Inherited => {
                    environment.iter().find(|(own, _)| own == name.as_str())?.1.clone()
                }
            };
            Some((name.into(), value))
        })
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
        let environment = names.iter().map(|name| ((*name).into(), "here".into())).collect();
        let shown = |(name, value): (OsString, OsString)| {
            format!("{}={}", name.to_string_lossy(), value.to_string_lossy())
        };
        passing.apply(&environment).into_iter().map(shown).collect()
    }

    #[test]
    fn what_belongs_to_a_terminal_stays_behind() {
        let names =
            ["PATH", "TERM", "TERM_PROGRAM", "SHLVL", "SHLVL_OF_MINE", "DRAWBRIDGE_LOG", "DISPLAY"];
        let passed = through(&EnvironmentRules::default(), &names);
        assert_eq!(passed, ["PATH=here", "SHLVL_OF_MINE=here", "DISPLAY=here"]);
        let ignore = Patterns::of("volatile,DISPLAY");
        let passed = through(&EnvironmentRules { ignore, ..EnvironmentRules::default() }, &names);
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
        for wrong in ["", "1A=x", "=x", "A B=x", "A,1B"] {
            assert!(Assignments::of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_without_a_value_takes_the_bridges_own() {
        let set = Assignments::of("TERM,MISSING,LIST=a,TERM").unwrap();
        let rules = EnvironmentRules { pass: Patterns::of(""), set, ..EnvironmentRules::default() };
        assert_eq!(through(&rules, &["TERM", "PATH"]), ["TERM=here", "LIST=a,TERM"]);
    }

    #[test]
    fn a_terminal_keeps_its_own_variables() {
        let set = Assignments::of("NEW=1").unwrap();
        let rules = EnvironmentRules { set, ..EnvironmentRules::default() };
        let environment = vec![("TERM".into(), "x".into()), ("DRAWBRIDGE_LOG".into(), "x".into())];
        let expected: Variables = vec![("TERM".into(), "x".into()), ("NEW".into(), "1".into())];
        assert_eq!(rules.apply_in_terminal(&environment), expected);
    }

    #[test]
    fn what_is_missing_is_filled_in_from_the_users_record() {
        let Some(user) = User::from_uid(geteuid()).unwrap() else { return };
        let (dir, mut variables) = (user.dir.clone(), vec![("HOME".into(), "/own".into())]);
        fill_in(&mut variables, user.clone());
        assert_eq!(variables[0], ("HOME".into(), "/own".into()));
        assert!(
            variables.iter().any(|(name, value)| name == "USER" && value == user.name.as_str())
        );
        let mut bare = Variables::new();
        fill_in(&mut bare, user);
        assert_eq!(bare[0], ("HOME".into(), dir.into()));
    }
}
