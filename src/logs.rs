//! Where log lines go: stderr and a file, neither of which may block the bridge.
//!
//! An editor shows what we write to stderr, some as an error in the chat, and
//! may stop reading it at any time. So a stderr that is no terminal gets warnings and
//! errors only, and INFO goes to a file. Each of the two
//! has a bounded lossy queue with a writer thread of its own: a call that logs
//! never blocks, and the exit waits only for [`Logs::flush`].

mod last_line;
mod line_format;
mod queue;
mod rotate;
mod settings;
mod stderr;
mod tee;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::subscriber::set_global_default;
use tracing_subscriber::EnvFilter;

pub use self::last_line::LogPlace;
use self::line_format::LineFormat;
use self::queue::Queue;
use self::rotate::RotatingFile;
pub use self::settings::LOG_NAME;
pub use self::settings::{LogFile, LogFilePath, LogFormat, LogSettings};
use self::stderr::Stderr;
use self::tee::{Taken, Tee};

/// The limit of each of the two queues, in bytes.
const QUEUE_BYTES: usize = 1 << 20;

/// The time that the writers get at the exit.
const LAST_LINES: Duration = Duration::from_millis(200);

/// The running logs.
#[derive(Debug)]
pub struct Logs {
    stderr: Queue,
    file: Option<OpenFile>,
    format: LogFormat,
}

/// The log file that is written to.
#[derive(Debug)]
struct OpenFile {
    queue: Queue,
    path: LogFilePath,
}

impl Logs {
    /// Starts the writer threads and directs all log calls of this process to them,
    /// which can be done once. If the file cannot be opened, it logs one WARN and
    /// goes on without a file.
    ///
    /// # Errors
    ///
    /// A filter that does not parse, a thread that cannot be started, or logs
    /// that run already.
    pub fn start(settings: &LogSettings) -> io::Result<Logs> {
        let filter = EnvFilter::builder().parse(&settings.filter).map_err(io::Error::other)?;
        let line = LineFormat::new(settings.format);
        let stderr = Queue::start("log-stderr", QUEUE_BYTES, Stderr::open()?, line)?;
        let terminal = io::stderr().is_terminal();
        let opened = wanted_file(settings, terminal)
            .map(|wanted| wanted.and_then(|path| OpenFile::open(path, line)))
            .transpose();
        let (file, failure) = match opened {
            Ok(file) => (file, None),
            Err(failure) => (None, Some(failure)),
        };
        let tee = Tee {
            stderr: stderr.clone(),
            stderr_takes: if terminal { Taken::All } else { Taken::Warnings },
            file: file.as_ref().map(|file| file.queue.clone()),
        };
        set_global_default(tee::subscriber(filter, line, tee)).map_err(io::Error::other)?;
        if let Some(Failure { path, error }) = failure {
            tracing::warn!("no log file: {}: {error}", path.display());
        }
        Ok(Logs { stderr, file, format: settings.format })
    }

    /// The path of the log file; `None`: no file is written.
    pub fn file(&self) -> Option<PathBuf> {
        self.file.as_ref().map(|file| file.path.path())
    }

    /// The place of the log file, for another process that has a last line for it; `None`: no
    /// file is written.
    pub fn place(&self) -> Option<LogPlace> {
        let file = self.file.as_ref()?.path.absolute().ok()?;
        Some(LogPlace { file, format: self.format })
    }

    /// A handle that writes lines which are no log lines to stderr.
    pub fn stderr(&self) -> StderrSink {
        StderrSink { queue: self.stderr.clone() }
    }

    /// Waits until all queued lines are written, but not longer than 200 ms in all.
    pub fn flush(&self) {
        // The runtime and its clock may be gone when this is called.
        #[allow(clippy::disallowed_methods)]
        let begun = Instant::now();
        if let Some(file) = &self.file {
            file.queue.flush(LAST_LINES);
        }
        self.stderr.flush(LAST_LINES.saturating_sub(begun.elapsed()));
    }
}

/// The way to stderr for lines that are not log lines, such as those of the
/// agents: through the same bounded, lossy queue.
#[derive(Clone, Debug)]
pub struct StderrSink {
    queue: Queue,
}

impl StderrSink {
    /// Queues one line, as it is; a missing line end is added. Never blocks: if
    /// stderr is not read and the queue is full, the line is dropped. A line in place
    /// of the dropped ones says how many they were.
    pub fn write_line(&self, line: &[u8]) {
        self.queue.push(line);
    }

    /// Queues a part of a line, as it is, under the same conditions.
    pub fn write_part(&self, part: &[u8]) {
        self.queue.push_part(part);
    }
}

/// Why there is no log file.
struct Failure {
    path: PathBuf,
    error: io::Error,
}

/// The log file that the settings want, if they want one; an error where there is no directory
/// for it.
fn wanted_file(settings: &LogSettings, terminal: bool) -> Option<Result<LogFilePath, Failure>> {
    match (&settings.file, &settings.directory) {
        (LogFile::At(path), _) => Some(Ok(LogFilePath::Named(path.clone()))),
        (LogFile::Auto, Some(directory)) if !terminal => {
            Some(Ok(LogFilePath::Own { directory: directory.clone() }))
        }
        (LogFile::Auto, None) if !terminal => {
            let error = io::Error::other("the user has no home directory");
            Some(Err(Failure { path: LOG_NAME.into(), error }))
        }
        (LogFile::Auto | LogFile::Off, _) => None,
    }
}

impl OpenFile {
    fn open(path: LogFilePath, line: LineFormat) -> Result<OpenFile, Failure> {
        let opened = match &path {
            LogFilePath::Named(path) => RotatingFile::open_named(path),
            LogFilePath::Own { directory } => RotatingFile::open_own(directory, LOG_NAME.as_ref()),
        };
        match opened.and_then(|file| Queue::start("log-file", QUEUE_BYTES, file, line)) {
            Ok(queue) => Ok(OpenFile { queue, path }),
            Err(error) => Err(Failure { path: path.path(), error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_needs_no_file_but_gets_the_one_that_was_named() {
        let mut settings = LogSettings::default();
        assert!(wanted_file(&settings, true).is_none());
        assert!(matches!(wanted_file(&settings, false), Some(Err(_))));
        settings.directory = Some(PathBuf::from("/state"));
        assert!(matches!(wanted_file(&settings, false), Some(Ok(LogFilePath::Own { .. }))));
        settings.file = LogFile::At(PathBuf::from("/log"));
        assert!(matches!(wanted_file(&settings, true), Some(Ok(LogFilePath::Named(_)))));
        settings.file = LogFile::Off;
        assert!(wanted_file(&settings, false).is_none());
    }
}
