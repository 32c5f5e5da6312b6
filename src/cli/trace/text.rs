//! The messages of a trace as lines: the client on the left, the agent on the right.

use std::time::{Duration, UNIX_EPOCH};

use humantime::{format_rfc3339_micros, format_rfc3339_millis};

use super::conversation::{Message, Trace};
use crate::bridge::words::counted;
use crate::control::report::{duration, one_line, size, time_of_day};
use crate::trace::{Direction, Note, Sort};

/// The lines of one session, or of all.
pub(super) fn lines(trace: &Trace, session: Option<&str>, with_contents: bool) -> Vec<String> {
    let mut lines: Vec<String> = trace.notes.iter().map(|(place, it)| note(*place, it)).collect();
    for (id, messages) in trace.sessions() {
        if session.is_some() && session != id {
            continue;
        }
        let head = id.map_or("no session".to_owned(), |id| format!("session {}", one_line(id)));
        lines.extend([String::new(), head]);
        if with_contents {
            lines.extend(messages.iter().flat_map(|message| whole(message)));
        } else {
            lines.extend(in_short(&messages));
        }
    }
    lines
}

fn note(place: usize, note: &Note) -> String {
    match note {
        Note::Begin { drawbridge, pid, began } => {
            let at = format_rfc3339_millis(UNIX_EPOCH + Duration::from_micros(*began));
            format!("drawbridge {}, process {pid}, from {at}", one_line(drawbridge))
        }
        Note::Lost { lost } => {
            format!(
                "{} missing behind the first {place}",
                counted(*lost as usize, "message is", "messages are")
            )
        }
        Note::End { end } => format!("the trace ends here: {}", one_line(end)),
    }
}

/// A line for each message; updates that follow each other, of one kind and in one direction,
/// have one together.
fn in_short(messages: &[&Message]) -> Vec<String> {
    let mut lines = Vec::new();
    // The updates since the last other message: in each direction they come in turn.
    let mut streams: Vec<Stream<'_>> = Vec::new();
    for message in messages {
        if message.line.update.is_none() {
            lines.extend(streams.drain(..).map(|stream| stream.line()));
            lines.push(line(message, &what(message)));
            continue;
        }
        match streams.iter_mut().find(|stream| stream.is_of(message)) {
            Some(stream) => stream.add(message),
            None => streams.push(Stream {
                first: message,
                count: 1,
                bytes: message.line.bytes,
                last: message.line.at,
            }),
        }
    }
    lines.extend(streams.drain(..).map(|stream| stream.line()));
    lines
}

/// Updates of one kind in one direction.
struct Stream<'a> {
    first: &'a Message,
    count: usize,
    bytes: u64,
    last: u64,
}

impl Stream<'_> {
    fn is_of(&self, message: &Message) -> bool {
        let (own, other) = (&self.first.line, &message.line);
        (own.direction, &own.peer, &own.update) == (other.direction, &other.peer, &other.update)
    }

    fn add(&mut self, message: &Message) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(message.line.bytes);
        self.last = message.line.at;
    }

    fn line(&self) -> String {
        if self.count == 1 {
            return line(self.first, &what(self.first));
        }
        let took = time(self.last.saturating_sub(self.first.line.at));
        let kind = name(self.first);
        line(self.first, &format!("{kind} ×{}, {} in {took}", self.count, size(self.bytes)))
    }
}

/// A message and its contents.
fn whole(message: &Message) -> Vec<String> {
    let contents = message
        .line
        .contents
        .as_ref()
        .map(|contents| format!("      {}", one_line(&contents.to_string())));
    [line(message, &what(message))].into_iter().chain(contents).collect()
}

fn line(message: &Message, what: &str) -> String {
    let line = &message.line;
    let at = format_rfc3339_micros(UNIX_EPOCH + Duration::from_micros(line.at)).to_string();
    // The day stands in the first line of all.
    let at = time_of_day(&at);
    let peer = one_line(&line.peer);
    let way = match line.direction {
        Direction::FromClient => format!("{peer:>6} ──▶"),
        Direction::ToClient => format!("{peer:>6} ◀──"),
        Direction::ToAgent => format!("{:10} ──▶ {peer}", ""),
        Direction::FromAgent => format!("{:10} ◀── {peer}", ""),
    };
    format!("  {at}  {way:<22}  {what}")
}

fn what(message: &Message) -> String {
    let line = &message.line;
    let id = line.id.as_ref().map(|id| format!(" {}", one_line(id.get()))).unwrap_or_default();
    let bytes = size(line.bytes);
    let answered = |how: &str| match &message.request {
        Some((method, took)) => {
            format!("{how} {}{id} after {}, {bytes}", one_line(method), time(*took))
        }
        None => format!("{how} a request that is not in the trace{id}, {bytes}"),
    };
    match line.sort {
        Sort::Request => format!("{}{id}, {bytes}", name(message)),
        Sort::Notification => format!("{}, {bytes}", name(message)),
        Sort::Result => answered("answer to"),
        Sort::Error => {
            let code = line
                .code
                .map(|code| format!("error {code} to"))
                .unwrap_or_else(|| "error to".to_owned());
            answered(&code)
        }
        Sort::Stray => format!("a line that is no message{id}, {bytes}"),
    }
}

/// The method, and the kind of an update.
fn name(message: &Message) -> String {
    let method = one_line(message.line.method.as_deref().unwrap_or_default());
    match &message.line.update {
        Some(kind) => format!("{method} {}", one_line(kind)),
        None => method,
    }
}

/// A time in microseconds, for people.
fn time(micros: u64) -> String {
    if micros < 1_000 { format!("{micros}us") } else { duration(micros / 1_000) }
}
