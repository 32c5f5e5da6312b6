//! `logs`: the log file, and what is added to it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use super::args::{LogsArgs, Which};
use super::bridges::{Bridges, Failure};
use crate::cli::exit_code::UNUSABLE;
use crate::cli::print::{output, part};
use crate::cli::process_environment::ProcessEnvironment;
use crate::logs::LOG_NAME;

/// The time between two looks for new lines.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Shows the log file, and follows it if that is wanted.
pub(super) async fn logs(args: LogsArgs) -> Result<ExitCode, Failure> {
    let LogsArgs { which, follow, session, file } = args;
    let path = match file {
        Some(path) => PathBuf::from(path),
        None => of_bridge(&which).await?,
    };
    show(&path, session.as_deref(), follow).map_err(|error| {
        let why = format!("the log file {} cannot be read: {error}", path.display());
        Failure::new(UNUSABLE, why)
    })
}

/// The log file of the bridge that is meant; without a bridge the default one.
async fn of_bridge(which: &Which) -> Result<PathBuf, Failure> {
    let is_named = which.bridge.is_some() || which.socket.is_some();
    let bridges = match Bridges::reached().await.meant(which) {
        Ok(bridges) => bridges,
        Err(failure) if is_named => return Err(failure),
        Err(_) => Vec::new(),
    };
    let of_bridge = bridges.into_iter().find_map(|bridge| bridge.status.bridge.log_file);
    let default =
        || ProcessEnvironment::of_process().log_directory().map(|path| path.join(LOG_NAME));
    of_bridge.map(PathBuf::from).or_else(default).ok_or_else(|| {
        Failure::new(UNUSABLE, "no directory for a log file is known; name the file: --file")
    })
}

/// A log file while it is read.
struct Reading {
    file: BufReader<File>,
    /// The part of a line that has no end yet.
    line: Vec<u8>,
    /// The file that has the name of this one by now.
    successor: Option<File>,
}

impl Reading {
    fn of(file: File) -> Reading {
        Reading { file: BufReader::new(file), line: Vec::new(), successor: None }
    }

    /// The next whole line, or at the end of the file `None`.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.file.read_until(b'\n', &mut self.line)?;
        Ok(self.line.ends_with(b"\n").then(|| std::mem::take(&mut self.line)))
    }

    /// Goes on with the file that has the name now: a log that grows too large gets another name,
    /// and those that still write to it have one more pause for that. One that was cut is read from
    /// its beginning.
    fn follow(&mut self, path: &Path) -> io::Result<()> {
        if let Some(successor) = self.successor.take() {
            *self = Reading::of(successor);
            return Ok(());
        }
        let own = self.file.get_ref().metadata()?;
        // Between two names there may be no file.
        let Ok(named) = File::open(path) else { return Ok(()) };
        let new = named.metadata()?;
        if (new.dev(), new.ino()) != (own.dev(), own.ino()) {
            self.successor = Some(named);
        } else if own.len() < self.file.stream_position()? {
            self.file.rewind()?;
            self.line.clear();
        }
        Ok(())
    }
}

fn show(path: &Path, session: Option<&str>, follows: bool) -> io::Result<ExitCode> {
    let mut reading = Reading::of(File::open(path)?);
    loop {
        while let Some(line) = reading.next()? {
            if session.is_none_or(|session| names(&line, session))
                && let Err(code) = part(&line)
            {
                return Ok(code);
            }
        }
        if !follows {
            return Ok(output(&reading.line));
        }
        reading.follow(path)?;
        sleep(BETWEEN_LOOKS);
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
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    #[test]
    fn no_line_is_lost_when_a_log_gets_another_name_or_is_cut() {
        let name = format!("drawbridge-logs-test-{}", std::process::id());
        let (path, old) =
            (std::env::temp_dir().join(&name), std::env::temp_dir().join(name + ".1"));
        let append = |path: &Path, text: &str| {
            let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        append(&path, "one\ntw");
        let mut reading = Reading::of(File::open(&path).unwrap());
        let rest = |reading: &mut Reading| {
            let lines = std::iter::from_fn(|| reading.next().unwrap());
            lines.map(|line| String::from_utf8(line).unwrap()).collect::<String>()
        };
        assert_eq!(rest(&mut reading), "one\n");
        std::fs::rename(&path, &old).unwrap();
        append(&path, "four\n");
        reading.follow(&path).unwrap();
        // One that still has the old file writes there.
        append(&old, "o\nthree\n");
        assert_eq!(rest(&mut reading), "two\nthree\n");
        reading.follow(&path).unwrap();
        assert_eq!(rest(&mut reading), "four\n");
        std::fs::write(&path, "5\n").unwrap();
        reading.follow(&path).unwrap();
        assert_eq!(rest(&mut reading), "5\n");
        [path, old].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }

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
