//! The format of a log line: a time, a level, the process, and the message on one line,
//! however many lines it has.

use std::fmt::{self, Write};
use std::process;

use serde::Serialize;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::settings::LogFormat;

/// The format of the lines of this process. Several processes write to one file, so each
/// line holds the process id.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineFormat {
    /// Text for people, or an object a line.
    pub(super) format: LogFormat,
    pid: u32,
}

impl LineFormat {
    /// The format with the id of this process.
    pub(super) fn new(format: LogFormat) -> LineFormat {
        LineFormat { format, pid: process::id() }
    }

    /// The line in place of `lost` lines that were dropped.
    pub(super) fn notice(&self, lost: u64) -> Vec<u8> {
        let were = if lost == 1 { "line was" } else { "lines were" };
        let message = format!("{lost} {were} lost here: they came faster than they were read");
        self.line(Level::WARN, module_path!(), &message)
    }

    /// A line with this message, which is text of the bridge's own.
    pub(super) fn line(&self, level: Level, target: &str, message: &str) -> Vec<u8> {
        let mut line = String::new();
        // Writing to a string does not fail.
        let _ = self.write_line(&mut Writer::new(&mut line), level, target, message);
        line.into_bytes()
    }

    fn write_line(
        &self,
        writer: &mut Writer<'_>,
        level: Level,
        target: &str,
        message: &str,
    ) -> fmt::Result {
        match self.format {
            LogFormat::Text => {
                self.write_head(writer, level)?;
                writeln!(writer, "{target}: {message}")
            }
            LogFormat::Json => {
                let mut timestamp = String::new();
                SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
                let line = JsonLine {
                    pid: self.pid,
                    timestamp: &timestamp,
                    level: level.as_str(),
                    fields: JsonFields { message },
                    target,
                };
                let object = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
                writeln!(writer, "{object}")
            }
        }
    }

    /// `2026-01-31T12:00:00.000000Z  INFO drawbridge[4711] `
    fn write_head(&self, writer: &mut Writer<'_>, level: Level) -> fmt::Result {
        SystemTime.format_time(writer)?;
        write!(writer, " {level:>5} drawbridge[{}] ", self.pid)
    }
}

/// A line as an object, in the shape that tracing-subscriber gives to an event.
#[derive(Serialize)]
struct JsonLine<'a> {
    pid: u32,
    timestamp: &'a str,
    level: &'static str,
    fields: JsonFields<'a>,
    target: &'a str,
}

#[derive(Serialize)]
struct JsonFields<'a> {
    message: &'a str,
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.format {
            LogFormat::Text => self.write_text(context, &mut writer, event),
            LogFormat::Json => self.write_json(context, &mut writer, event),
        }
    }
}

impl LineFormat {
    fn write_text<S, N>(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: &mut Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        let metadata = event.metadata();
        self.write_head(writer, *metadata.level())?;
        let mut rest = String::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            write!(rest, "{}", span.name())?;
            match span.extensions().get::<FormattedFields<N>>() {
                Some(fields) if !fields.is_empty() => write!(rest, "{{{fields}}}: ")?,
                _ => rest.push_str(": "),
            }
        }
        write!(rest, "{}: ", metadata.target())?;
        context.format_fields(Writer::new(&mut rest), event)?;
        // Agents and clients have their words in our messages: a line stays a
        // line, and a terminal is not theirs to command.
        for letter in rest.chars() {
            if letter.is_control() {
                write!(writer, "{}", letter.escape_default())?;
            } else {
                writer.write_char(letter)?;
            }
        }
        writer.write_char('\n')
    }

    fn write_json<S, N>(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: &mut Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        let json: Format<Json, SystemTime> = Format::default().json().with_timer(SystemTime);
        let mut object = String::new();
        json.format_event(context, Writer::new(&mut object), event)?;
        match object.strip_prefix('{') {
            Some(rest) => write!(writer, "{{\"pid\":{},{rest}", self.pid),
            None => writer.write_str(&object),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_fit_their_format() {
        let notice = |format, lost| {
            let line = LineFormat { format, pid: 7 }.notice(lost);
            String::from_utf8(line).unwrap_or_default()
        };
        let text = notice(LogFormat::Text, 1);
        assert!(text.contains("  WARN drawbridge[7] "), "{text}");
        assert!(text.contains(": 1 line was lost here"), "{text}");
        assert!(text.ends_with('\n'));
        let json = notice(LogFormat::Json, 2);
        assert!(json.starts_with(r#"{"pid":7,"timestamp":"2"#), "{json}");
        assert!(json.contains(r#"Z","level":"WARN","fields":{"message":"2 lines were"#), "{json}");
        assert!(json.ends_with("}\n"), "{json}");
    }
}
