//! The kinds of values an option can have: how each is read and written.
//!
//! A kind knows nothing of flags, variables or files. It turns text into a
//! value or into the end of a sentence that says why not; the caller knows
//! where the text came from and puts that in front.

use std::ffi::OsStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::near::nearest;
use super::numbers::{count, millis, spell_bytes};
use crate::bridge::time::{Limit, spelled};
use crate::processes::Spare;

/// The facts about a kind that the help, the completions and the configuration file use.
pub(super) struct Face {
    /// The placeholder in the help, such as `DURATION`.
    pub(super) value_name: &'static str,
    /// Which TOML type the kind takes besides a string.
    pub(super) bare: Bare,
    /// The words to choose from, if there is a choice of words.
    pub(super) words: Vec<&'static str>,
}

/// Which TOML type besides a string a kind takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    /// Only a string.
    Nothing,
    /// An integer too.
    Integer,
    /// A boolean too.
    Boolean,
}

/// A kind of value.
pub(super) trait ValueKind {
    /// The type of the values.
    type Value;

    /// The value that `text` stands for, or why it is refused.
    fn read(&self, text: &OsStr) -> Result<Self::Value, String>;

    /// The value as a person reads it.
    fn write(&self, value: &Self::Value) -> String;

    /// See [`Face`].
    fn face(&self) -> Face;
}

/// A duration that may be `never`.
pub(super) struct Timeout {
    /// The shortest duration that is accepted, in milliseconds.
    pub(super) at_least: u64,
}

impl ValueKind for Timeout {
    type Value = Limit;

    fn read(&self, text: &OsStr) -> Result<Limit, String> {
        let accepted = || {
            format!(
                "give a duration such as 250ms, 30s or 1h30m, or whole milliseconds, or never{}",
                at_least(self.at_least)
            )
        };
        if text == "never" {
            return Ok(Limit::Never);
        }
        millis(text).filter(|value| *value >= self.at_least).map(Limit::After).ok_or_else(accepted)
    }

    fn write(&self, value: &Limit) -> String {
        value.to_string()
    }

    fn face(&self) -> Face {
        Face { value_name: "DURATION", bare: Bare::Integer, words: Vec::new() }
    }
}

/// A duration in milliseconds that cannot be `never`.
pub(super) struct Millis {
    /// The shortest duration that is accepted, in milliseconds.
    pub(super) at_least: u64,
}

impl ValueKind for Millis {
    type Value = u64;

    fn read(&self, text: &OsStr) -> Result<u64, String> {
        millis(text).filter(|value| *value >= self.at_least).ok_or_else(|| {
            format!(
                "give a duration such as 250ms, 30s or 1h30m, or whole milliseconds{}; \
                 it cannot be never",
                at_least(self.at_least)
            )
        })
    }

    fn write(&self, value: &u64) -> String {
        spelled(*value).to_string()
    }

    fn face(&self) -> Face {
        Face { value_name: "DURATION", bare: Bare::Integer, words: Vec::new() }
    }
}

/// A number of things.
pub(super) struct Count;

impl ValueKind for Count {
    type Value = usize;

    fn read(&self, text: &OsStr) -> Result<usize, String> {
        text.to_str().and_then(count).ok_or_else(|| "give a whole number, 0 or more".to_owned())
    }

    fn write(&self, value: &usize) -> String {
        value.to_string()
    }

    fn face(&self) -> Face {
        Face { value_name: "NUMBER", bare: Bare::Integer, words: Vec::new() }
    }
}

/// A number of bytes.
pub(super) struct Bytes {
    /// The smallest number that is accepted.
    pub(super) at_least: usize,
}

impl ValueKind for Bytes {
    type Value = usize;

    fn read(&self, text: &OsStr) -> Result<usize, String> {
        text.to_str()
            .and_then(count)
            .filter(|value| *value >= self.at_least)
            .ok_or_else(|| format!("give a whole number of bytes, {} or more", self.at_least))
    }

    fn write(&self, value: &usize) -> String {
        spell_bytes(*value)
    }

    fn face(&self) -> Face {
        Face { value_name: "BYTES", bare: Bare::Integer, words: Vec::new() }
    }
}

/// On or off.
pub(super) struct Switch;

impl ValueKind for Switch {
    type Value = bool;

    fn read(&self, text: &OsStr) -> Result<bool, String> {
        match text.to_str() {
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            _ => Err("give true, false, 1 or 0".to_owned()),
        }
    }

    fn write(&self, value: &bool) -> String {
        value.to_string()
    }

    fn face(&self) -> Face {
        Face { value_name: "BOOL", bare: Bare::Boolean, words: vec!["true", "false"] }
    }
}

/// One of a few words.
pub(super) struct Words<T: 'static> {
    /// Each word and what it stands for.
    pub(super) words: &'static [(&'static str, T)],
}

impl<T: Copy + PartialEq> ValueKind for Words<T> {
    type Value = T;

    fn read(&self, text: &OsStr) -> Result<T, String> {
        if let Some((_, value)) = self.words.iter().find(|(word, _)| text == *word) {
            return Ok(*value);
        }
        Err(format!("give {}", listed(&self.face().words)))
    }

    fn write(&self, value: &T) -> String {
        let word = self.words.iter().find(|(_, candidate)| candidate == value);
        word.map_or("?", |(word, _)| word).to_owned()
    }

    fn face(&self) -> Face {
        let words = self.words.iter().map(|(word, _)| *word).collect();
        Face { value_name: "WORD", bare: Bare::Nothing, words }
    }
}

/// Names of programs.
pub(super) struct ProgramNames;

impl ValueKind for ProgramNames {
    type Value = Spare;

    fn read(&self, text: &OsStr) -> Result<Spare, String> {
        match text.to_str() {
            Some("none") => Ok(Spare::of("")),
            Some(list) if !list.is_empty() && !list.contains('/') => Ok(Spare::of(list)),
            _ => Err("give names of programs with commas between them, without their \
                      directories, such as tmux,ssh; or none"
                .to_owned()),
        }
    }

    fn write(&self, value: &Spare) -> String {
        let list = value.list();
        if list.is_empty() { "none".to_owned() } else { list }
    }

    fn face(&self) -> Face {
        Face { value_name: "NAMES", bare: Bare::Nothing, words: Vec::new() }
    }
}

/// The levels of log lines, from the fewest lines to the most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A name for people, or `derived`.
pub(super) struct Name;

impl ValueKind for Name {
    type Value = Option<String>;

    fn read(&self, text: &OsStr) -> Result<Option<String>, String> {
        match text.to_str() {
            Some("derived") => Ok(None),
            Some(name) if !name.trim().is_empty() && !name.contains(char::is_control) => {
                Ok(Some(name.to_owned()))
            }
            _ => Err("give a name of one line, or derived".to_owned()),
        }
    }

    fn write(&self, value: &Option<String>) -> String {
        value.clone().unwrap_or_else(|| "derived".to_owned())
    }

    fn face(&self) -> Face {
        Face { value_name: "NAME", bare: Bare::Nothing, words: Vec::new() }
    }
}

/// A filter for log lines.
pub(super) struct Filter;

impl ValueKind for Filter {
    type Value = String;

    fn read(&self, text: &OsStr) -> Result<String, String> {
        let text = text.to_str().unwrap_or_default();
        // A word alone is a target for the library, and so would be a misspelled level.
        let stranger = text.split(',').map(str::trim).find(|directive| {
            !directive.contains(['=', '[']) && directive.parse::<LevelFilter>().is_err()
        });
        if !text.is_empty() && stranger.is_none() && EnvFilter::builder().parse(text).is_ok() {
            return Ok(text.to_owned());
        }
        let near = stranger.and_then(|word| nearest(word, LEVELS));
        let meant = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        Err(format!(
            "give a level ({}) or a list of TARGET=LEVEL, such as info,drawbridge=debug{meant}",
            listed(&LEVELS)
        ))
    }

    fn write(&self, value: &String) -> String {
        value.clone()
    }

    fn face(&self) -> Face {
        Face { value_name: "FILTER", bare: Bare::Nothing, words: Vec::new() }
    }
}

fn at_least(millis: u64) -> String {
    if millis == 0 { String::new() } else { format!("; at least {}", spelled(millis)) }
}

/// The words as a list for people: `a, b or c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Timeout = Timeout { at_least: 0 };

    fn timeout(text: &str) -> Result<Limit, String> {
        TIMEOUT.read(OsStr::new(text))
    }

    #[test]
    fn a_timeout_may_be_never() {
        assert_eq!(timeout("never"), Ok(Limit::Never));
        assert_eq!(timeout("1h30m"), Ok(Limit::After(5_400_000)));
        assert!(timeout("NEVER").is_err());
    }

    #[test]
    fn too_large_is_the_largest() {
        assert_eq!(timeout("99999999999999999999999"), Ok(Limit::After(u64::MAX)));
        assert_eq!(timeout("99999999999y"), Ok(Limit::After(u64::MAX)));
        assert_eq!(Count.read(OsStr::new("99999999999999999999999")), Ok(usize::MAX));
    }

    #[test]
    fn minimums_hold() {
        assert!(Timeout { at_least: 1 }.read(OsStr::new("0")).is_err());
        assert!(Millis { at_least: 0 }.read(OsStr::new("never")).is_err());
        assert!(Bytes { at_least: 1024 }.read(OsStr::new("1023")).is_err());
        assert_eq!(Bytes { at_least: 1024 }.read(OsStr::new("1024")), Ok(1024));
    }

    #[test]
    fn values_are_spelled_so_that_a_person_can_check_them() {
        assert_eq!(TIMEOUT.write(&Limit::After(600_000)), "10m");
        assert_eq!(TIMEOUT.write(&Limit::After(2_500)), "2s 500ms");
        assert_eq!(TIMEOUT.write(&Limit::After(0)), "0s");
        assert_eq!(listed(&["a", "b", "c"]), "a, b or c");
    }

    #[test]
    fn names_are_listed_with_commas_and_none_is_nobody() {
        let spelled =
            |text| ProgramNames.read(OsStr::new(text)).map(|spare| ProgramNames.write(&spare));
        assert_eq!(spelled("tmux, ssh,"), Ok("tmux,ssh".to_owned()));
        assert_eq!(spelled("none"), Ok("none".to_owned()));
        assert!(spelled("").is_err() && spelled("/usr/bin/ssh").is_err());
    }

    #[test]
    fn filters_are_checked_before_they_are_used() {
        assert!(Filter.read(OsStr::new("info,drawbridge=debug")).is_ok());
        assert!(Filter.read(OsStr::new("drawbridge=loud")).is_err());
        assert!(Filter.read(OsStr::new("")).is_err());
        let refused = Filter.read(OsStr::new("warnn")).err().unwrap_or_default();
        assert!(refused.ends_with("; did you mean warn?"), "{refused}");
    }
}
