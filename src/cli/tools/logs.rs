//! `logs`: the log file, and what is added to it.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use super::args::LogsArgs;
use crate::cli::exit_code::UNUSABLE;
use crate::cli::print::{failure, output};
use crate::cli::process_environment::ProcessEnvironment;
use crate::logs::LOG_NAME;

/// The time between two looks for new lines.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Shows the log file, and follows it if that is wanted.
pub(super) fn logs(args: LogsArgs) -> ExitCode {
    let default =
        || ProcessEnvironment::of_process().log_directory().map(|path| path.join(LOG_NAME));
    let Some(path) = args.file.map(PathBuf::from).or_else(default) else {
        return failure(&"no directory for a log file is known; name the file: --file", UNUSABLE);
    };
    let wanted = args.session.as_deref();
    match show(&path, wanted, args.follow) {
        Ok(code) => code,
        Err(error) => {
            let why = format!("the log file {} cannot be read: {error}", path.display());
            failure(&why, UNUSABLE)
        }
    }
}

fn show(path: &Path, session: Option<&str>, follows: bool) -> io::Result<ExitCode> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        if file.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            if session.is_none_or(|session| names(&line, session))
                && output(&line) != ExitCode::SUCCESS
            {
                return Ok(ExitCode::FAILURE);
            }
            line.clear();
            continue;
        }
        if !follows {
            return Ok(if line.is_empty() { ExitCode::SUCCESS } else { output(&line) });
        }
        sleep(BETWEEN_LOOKS);
        // A log that grows too large gets another name, and a new file has this one.
        let is_same = |new: &File| {
            let (new, old) = (new.metadata().ok()?, file.get_ref().metadata().ok()?);
            Some((new.dev(), new.ino()) == (old.dev(), old.ino()) && new.len() >= old.len())
        };
        if let Ok(new) = File::open(path)
            && is_same(&new) == Some(false)
            && line.is_empty()
        {
            file = BufReader::new(new);
        }
    }
}

/// Whether a line names a session: its id, or its name in the bridge, as a whole word.
fn names(line: &[u8], session: &str) -> bool {
    let text = String::from_utf8_lossy(line);
    let is_part = |letter: Option<char>| letter.is_some_and(|it| it.is_alphanumeric() || it == '-');
    text.match_indices(session).any(|(at, found)| {
        let (before, behind) = (&text[..at], &text[at + found.len()..]);
        !is_part(before.chars().next_back()) && !is_part(behind.chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_session_by_a_whole_word() {
        let line = b"2026 INFO drawbridge[7] drawbridge: s-1 (abc-d): ended on ch-1\n";
        for (session, is_named) in
            [("s-1", true), ("abc-d", true), ("s-", false), ("abc", false), ("s-11", false)]
        {
            assert_eq!(names(line, session), is_named, "{session}");
        }
    }
}
