//! The sentences that say why an agent could not be started.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The most bytes of a program that are looked at.
const BEGINNING: u64 = 256;

/// The message that an agent's working directory does not exist.
pub(super) fn no_directory(cwd: &OsStr) -> String {
    let cwd = cwd.to_string_lossy();
    let beginning = cwd.chars().take(200);
    let rest = if cwd.chars().nth(200).is_some() { "…" } else { "" };
    // A person must find the name again, and a log line must stay one line.
    let shown: String = beginning
        .map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char })
        .collect();
    format!("the working directory {shown}{rest} does not exist")
}

/// The message that says why an agent's program cannot be run. `path`: where it was found.
pub(super) fn not_started(program: &OsStr, path: Option<&Path>, error: &io::Error) -> String {
    let name = program.to_string_lossy();
    let kind = error.kind();
    let found = path.filter(|path| path.exists());
    if let Some(path) = found.filter(|_| kind == io::ErrorKind::NotFound) {
        // The system says "not found" of what the program needs, too.
        return format!("the command `{name}` was found, but {}", missing_part(path));
    }
    match kind {
        io::ErrorKind::NotFound => format!("the command `{name}` was not found"),
        io::ErrorKind::PermissionDenied => format!("the command `{name}` may not be executed"),
        _ => format!("the command `{name}`: {error}"),
    }
}

/// The end of the sentence "the command was found, but …".
fn missing_part(path: &Path) -> String {
    let mut beginning = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut beginning));
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match line.strip_prefix(b"#!") {
        Some(rest) if read.is_ok() => {
            let line = String::from_utf8_lossy(rest);
            let interpreter = line.split_whitespace().next().unwrap_or_default();
            if line.ends_with('\r') {
                format!(
                    "its first line, #!{interpreter}, ends with a carriage return: save it with \
                     the line ends of Unix"
                )
            } else {
                format!("the interpreter {interpreter} that its first line names does not exist")
            }
        }
        _ => "the loader that it needs does not exist: it was built for another system".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let path = std::env::temp_dir().join(format!("my-agent-{}", std::process::id()));
        let not_found = io::Error::from(io::ErrorKind::NotFound);
        let said = |text: &str| {
            std::fs::write(&path, text).unwrap();
            not_started(OsStr::new("my-agent"), Some(&path), &not_found)
        };
        assert!(
            said("#!/opt/node22/bin/node --x\n").contains("interpreter /opt/node22/bin/node that")
        );
        assert!(said("#!/bin/sh\r\nexit\r\n").contains("#!/bin/sh, ends with a carriage return"));
        assert!(said("\u{7f}ELF").contains("loader"));
        std::fs::remove_file(&path).unwrap();
        let said = not_started(OsStr::new("my-agent"), Some(&path), &not_found);
        assert_eq!(said, "the command `my-agent` was not found");
    }
}
