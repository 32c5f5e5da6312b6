//! The updates that floods are made of: fixed texts, cut to size.

use std::fmt;

/// Prose, as models write it: nothing in it needs an escape.
const PLAIN: &str = "The bridge stands between the editor and the agent and carries many \
    conversations over few processes; what it has no business with passes byte for byte. ";

/// Source text, as tools report it: line ends, quotes and backslashes need escapes.
const SOURCE: &str = r#"    /// Appends `text` to the log, one entry a line.
    pub fn append(&mut self, text: &str) -> io::Result<()> {
        let path = self.folder.join("entries.log");
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            writeln!(self.file, "{}\t{}\t\"{line}\"", self.next, path.display())?;
            self.next += 1;
        }
        Ok(())
    }

"#;

/// Digits of the number that every update carries.
pub const DIGITS: usize = 8;

/// The sort of text that fills an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    /// Prose without escapes.
    Plain,
    /// Source text, escaped.
    Escaped,
}

impl Style {
    /// The style with this name.
    pub fn named(name: &str) -> Option<Style> {
        [Style::Plain, Style::Escaped].into_iter().find(|style| style.to_string() == name)
    }

    /// At most `room` bytes of text, as they stand in a JSON string.
    fn fill(self, room: usize) -> String {
        let source = match self {
            Style::Plain => PLAIN,
            Style::Escaped => SOURCE,
        };
        let mut text = String::with_capacity(room);
        for letter in source.chars().cycle() {
            let mut own = [0; 4];
            let escaped: &str = match letter {
                '\n' => "\\n",
                '"' => "\\\"",
                '\\' => "\\\\",
                other => other.encode_utf8(&mut own),
            };
            if text.len() + escaped.len() > room {
                break;
            }
            text.push_str(escaped);
        }
        text
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Style::Plain => "plain",
            Style::Escaped => "escaped",
        })
    }
}

/// A line that can be sent again and again under another number.
#[derive(Clone, Debug)]
pub struct Update {
    /// The line, with its line end.
    pub line: Vec<u8>,
    /// Where the number begins in `line`.
    digits: usize,
}

impl Update {
    /// An update of `session`, `size` bytes long if that is possible.
    pub fn new(session: &str, size: usize, style: Style) -> Update {
        let mut line = format!(
            r#"{{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":"{session}","update":{{"sessionUpdate":"agent_message_chunk","content":{{"type":"text","text":""#
        );
        let digits = line.len();
        line.push_str(&"0".repeat(DIGITS));
        let end = "\"}}}}\n";
        line.push_str(&style.fill(size.saturating_sub(line.len() + end.len())));
        line.push_str(end);
        Update { line: line.into_bytes(), digits }
    }

    /// Writes `number` into a copy of the line.
    pub fn number(&self, copy: &mut [u8], mut number: usize) {
        for digit in copy[self.digits..self.digits + DIGITS].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use drawbridge::wire::Frame;

    use super::*;

    #[test]
    fn an_update_is_a_message_of_its_size_and_carries_its_number() {
        for style in [Style::Plain, Style::Escaped] {
            for size in [200, 201, 4 << 10, 1 << 20] {
                let update = Update::new("bench-1-1", size, style);
                let mut line = update.line.clone();
                update.number(&mut line, 41_234);
                assert!(size - line.len() <= 1, "an escape is never cut: {size}, {style}");
                let frame = Frame::parse(Bytes::from(line)).unwrap();
                assert_eq!(frame.method_name(), "session/update");
                let text = frame.find_text(&["update", "content", "text"]).unwrap();
                assert!(text.starts_with("00041234"), "{text}");
            }
        }
    }
}
