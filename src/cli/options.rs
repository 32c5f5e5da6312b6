//! The table of options: the one place where an option is known.
//!
//! Flags, variables, keys of the file, the help and the output of
//! `drawbridge config` are all made from its rows, so none of them can say
//! something that the others do not know.

mod opt;
mod table;
mod words;

pub(super) use self::opt::{LOGS, Opt};
pub(super) use self::table::OPTIONS;
use crate::agent_environment::OWN_PREFIX;

/// The prefix of the environment variable of every option.
pub(super) const PREFIX: &str = OWN_PREFIX;

/// The environment variable of the option `name`: `DRAWBRIDGE_TERM_GRACE_MS`.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// The option with this name or alias, as an index of [`OPTIONS`].
pub(super) fn find(name: &str) -> Option<usize> {
    OPTIONS.iter().position(|option| option.names().any(|known| known == name))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::cli::mode::Mode;
    use crate::cli::settings::Settings;

    #[test]
    fn names_are_unique_and_become_variables() {
        for (index, option) in OPTIONS.iter().enumerate() {
            for name in option.names() {
                assert_eq!(find(name), Some(index), "{name} is there twice");
            }
        }
        assert_eq!(find("prompt-timeout"), find("prompt-timeout-ms"));
        assert_eq!(variable("max-sessions"), "DRAWBRIDGE_MAX_SESSIONS");
    }

    #[test]
    fn every_default_is_accepted_where_it_is_written() {
        for option in OPTIONS {
            for mode in Mode::ALL {
                let default = option.default(mode);
                let text = default.split(" (").next().unwrap_or_default();
                let mut settings = Settings::of(mode);
                assert_eq!(
                    (option.set)(&mut settings, OsStr::new(text)),
                    Ok(()),
                    "{}",
                    option.name
                );
                assert_eq!(settings, Settings::of(mode), "{}", option.name);
            }
        }
    }

    #[test]
    fn every_word_reads_back_as_itself() {
        for option in OPTIONS {
            for word in (option.face)().words {
                let mut settings = Settings::default();
                assert_eq!((option.set)(&mut settings, OsStr::new(word)), Ok(()));
                assert_eq!((option.get)(&settings), word, "{}", option.name);
            }
        }
    }
}
