//! Which log lines go to stderr, and which to the file.

use std::io::{self, Write};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{DefaultFields, JsonFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, fmt};

use super::line_format::LineFormat;
use super::queue::Queue;
use super::settings::LogFormat;

/// The subscriber of all log calls: one filter and one format, and the queues of `tee`.
pub(super) fn subscriber(
    filter: EnvFilter,
    line: LineFormat,
    tee: Tee,
) -> Box<dyn Subscriber + Send + Sync> {
    let layer = fmt::layer().event_format(line).with_writer(tee);
    let registry = tracing_subscriber::registry().with(filter);
    match line.format {
        LogFormat::Text => Box::new(registry.with(layer.fmt_fields(DefaultFields::new()))),
        LogFormat::Json => Box::new(registry.with(layer.fmt_fields(JsonFields::new()))),
    }
}

/// Hands each line to the queues that take it.
pub(super) struct Tee {
    pub(super) stderr: Queue,
    pub(super) stderr_takes: Taken,
    pub(super) file: Option<Queue>,
}

/// Which lines stderr takes.
#[derive(Clone, Copy)]
pub(super) enum Taken {
    /// All lines.
    All,
    /// Warnings and errors.
    Warnings,
}

impl<'a> MakeWriter<'a> for Tee {
    type Writer = Ends<'a>;

    fn make_writer(&'a self) -> Ends<'a> {
        Ends { stderr: Some(&self.stderr), file: self.file.as_ref() }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Ends<'a> {
        let taken = match self.stderr_takes {
            Taken::All => true,
            Taken::Warnings => *metadata.level() <= Level::WARN,
        };
        Ends { stderr: taken.then_some(&self.stderr), file: self.file.as_ref() }
    }
}

/// The queues that take one line.
pub(super) struct Ends<'a> {
    stderr: Option<&'a Queue>,
    file: Option<&'a Queue>,
}

impl Write for Ends<'_> {
    /// Queues `line`: each call brings one whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for queue in [self.stderr, self.file].into_iter().flatten() {
            queue.push(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests wait, and collect what they see
mod tests {
    use std::process;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::logs::queue::Output;

    struct Collected(mpsc::Sender<String>);

    impl Output for Collected {
        fn write_line(&mut self, line: &[u8]) {
            let _ = self.0.send(String::from_utf8_lossy(line).into_owned());
        }
    }

    /// The lines that reach a stderr which is no terminal, and those that reach the
    /// file, without the heads of text lines.
    fn logged(filter: &str, format: LogFormat) -> io::Result<[String; 2]> {
        let line = LineFormat::new(format);
        let (stderr_lines, stderr_seen) = mpsc::channel();
        let (file_lines, file_seen) = mpsc::channel();
        let stderr = Queue::start("stderr", 1 << 20, Collected(stderr_lines), line)?;
        let file = Queue::start("file", 1 << 20, Collected(file_lines), line)?;
        let filter = EnvFilter::builder().parse(filter).map_err(io::Error::other)?;
        let tee =
            Tee { stderr: stderr.clone(), stderr_takes: Taken::Warnings, file: Some(file.clone()) };
        tracing::subscriber::with_default(subscriber(filter, line, tee), || {
            tracing::debug!(target: "some", "detail");
            tracing::info!(target: "some", number = 7, "two\nlines");
            tracing::warn!(target: "some", "beware");
        });
        stderr.flush(Duration::from_secs(10));
        file.flush(Duration::from_secs(10));
        let text = |seen: mpsc::Receiver<String>| {
            let cut = |line: String| match line.split_once("] ") {
                Some((_, rest)) => rest.to_owned(),
                None => line,
            };
            seen.try_iter().map(cut).collect()
        };
        Ok([text(stderr_seen), text(file_seen)])
    }

    #[test]
    fn stderr_gets_warnings_and_the_file_all() -> io::Result<()> {
        let info = "some: two\\nlines number=7\n";
        let [stderr, file] = logged("info", LogFormat::Text)?;
        assert_eq!(stderr, "some: beware\n");
        assert_eq!(file, format!("{info}some: beware\n"));
        let [stderr, file] = logged("some=debug", LogFormat::Text)?;
        assert_eq!(stderr, "some: beware\n");
        assert_eq!(file, format!("some: detail\n{info}some: beware\n"));
        Ok(())
    }

    #[test]
    fn json_is_one_object_a_line_with_the_pid() -> io::Result<()> {
        let [stderr, file] = logged("info", LogFormat::Json)?;
        assert_eq!((stderr.lines().count(), file.lines().count()), (1, 2));
        for line in file.lines() {
            let head = format!("{{\"pid\":{},\"timestamp\":\"2", process::id());
            assert!(line.starts_with(&head) && line.ends_with('}'), "{line}");
        }
        assert!(file.contains(r#""message":"two\nlines","number":7"#), "{file}");
        Ok(())
    }
}
