//! The kinds of values that are about variables of the environment.

use std::ffi::OsStr;

use super::kinds::{Bare, Face, ValueKind};
use crate::agent_environment::{Assignments, Patterns};

/// Names of variables.
pub(super) struct VariableNames;

impl ValueKind for VariableNames {
    type Value = Patterns;

    fn read(&self, text: &OsStr) -> Result<Patterns, String> {
        match text.to_str() {
            Some("none") => Ok(Patterns::of("")),
            Some(list) if !list.is_empty() && !list.contains('=') => Ok(Patterns::of(list)),
            _ => Err("give names of variables with commas between them, * for any rest of a \
                      name, such as PATH,LC_*; or none"
                .to_owned()),
        }
    }

    fn write(&self, value: &Patterns) -> String {
        let list = value.list();
        if list.is_empty() { "none".to_owned() } else { list }
    }

    fn face(&self) -> Face {
        Face { value_name: "NAMES", bare: Bare::Nothing, words: Vec::new() }
    }
}

/// Variables with their values.
pub(super) struct VariableValues;

impl ValueKind for VariableValues {
    type Value = Assignments;

    fn read(&self, text: &OsStr) -> Result<Assignments, String> {
        let why = || {
            "give NAME=VALUE, more of them behind commas, or a NAME that is set already; or none"
                .to_owned()
        };
        match text.to_str() {
            Some("none") => Ok(Assignments::default()),
            Some(list) => Assignments::of(list).map_err(|_| why()),
            None => Err(why()),
        }
    }

    /// The names only, since the values may be secrets.
    fn write(&self, value: &Assignments) -> String {
        let names: Vec<String> = value.names().map(|name| format!("{name}=***")).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(",") }
    }

    fn face(&self) -> Face {
        Face { value_name: "NAME=VALUE", bare: Bare::Nothing, words: Vec::new() }
    }
}
