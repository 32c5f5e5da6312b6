//! Cuts a byte stream into lines, within a bound.
//!
//! - `\n` ends a line, `\r\n` too; blank lines are passed over.
//! - Of a line over the limit nothing beyond the limit is kept: what follows is
//!   skipped as it comes, and the line is reported with its beginning and its
//!   last bytes, so that a request can still be refused by its id.
//! - A byte order mark at the beginning of the stream is skipped.
//! - The bytes behind the last line end count as a line, too: it is for the reader to say
//!   whether they are a whole message.
//!
//! Written by hand: the `LinesCodec` of tokio-util ends the stream at an over-long line or
//! one that is not UTF-8, and passes on half a line at the end.

use bytes::{Buf, Bytes, BytesMut};

/// The highest limit of a line, in bytes: places in a line are 32 bits wide.
pub const MAX_LINE: usize = u32::MAX as usize;

/// How much of an over-long line's end is kept, in bytes.
const TAIL: usize = 256;

/// One line of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line within the limit, without its line end.
    Whole(Bytes),
    /// A line over the limit.
    TooLong {
        /// Its first bytes, as many as the limit allows.
        beginning: Bytes,
        /// Its last bytes.
        end: Bytes,
        /// How long it was, in bytes.
        length: u64,
    },
}

impl Line {
    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Line::Whole(bytes) => bytes.len() as u64,
            Line::TooLong { length, .. } => *length,
        }
    }
}

/// Cuts a stream into lines; holds the bytes that are not a whole line yet.
#[derive(Debug)]
pub struct LineSplitter {
    buffer: BytesMut,
    /// Bytes at the front of `buffer` that hold no line end.
    searched: usize,
    limit: usize,
    skipping: Option<Skipping>,
    /// Whether a byte order mark may come.
    is_at_start: bool,
}

/// The byte order mark of UTF-8, which some systems write at the beginning of a stream.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[derive(Debug)]
struct Skipping {
    beginning: Bytes,
    end: Vec<u8>,
    length: u64,
}

impl Skipping {
    /// One byte more than [`TAIL`], since the last one may be the `\r` of a line end.
    const KEPT: usize = TAIL + 1;

    fn more(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.end.extend_from_slice(&bytes[bytes.len().saturating_sub(Self::KEPT)..]);
        self.end.drain(..self.end.len().saturating_sub(Self::KEPT));
    }

    /// The skipped line, now that it has ended; without its line end.
    fn line(mut self) -> Line {
        if self.end.last() == Some(&b'\r') {
            self.end.truncate(self.end.len() - 1);
            self.length -= 1;
        }
        self.end.drain(..self.end.len().saturating_sub(TAIL));
        Line::TooLong { beginning: self.beginning, end: self.end.into(), length: self.length }
    }
}

impl LineSplitter {
    /// A splitter for lines of at most `limit` bytes, their end not counted.
    pub fn new(limit: usize) -> Self {
        LineSplitter {
            buffer: BytesMut::new(),
            searched: 0,
            limit: limit.min(MAX_LINE),
            skipping: None,
            is_at_start: true,
        }
    }

    /// The buffer for the next bytes of the stream: append to it, then call
    /// [`LineSplitter::next_line`].
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next line, if one is complete.
    pub fn next_line(&mut self) -> Option<Line> {
        if self.is_at_start {
            if self.buffer.len() < BYTE_ORDER_MARK.len()
                && BYTE_ORDER_MARK.starts_with(&self.buffer)
            {
                return None;
            }
            self.is_at_start = false;
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.buffer.advance(BYTE_ORDER_MARK.len());
            }
        }
        loop {
            match memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                Some(offset) => {
                    let mut line = self.buffer.split_to(self.searched + offset + 1);
                    self.searched = 0;
                    line.truncate(line.len() - 1);
                    if let Some(mut skipping) = self.skipping.take() {
                        skipping.more(&line);
                        return Some(skipping.line());
                    }
                    let length = line.len() - usize::from(line.last() == Some(&b'\r'));
                    if length > self.limit {
                        self.skip(line);
                        return self.skipping.take().map(Skipping::line);
                    }
                    line.truncate(length);
                    if !line.iter().all(u8::is_ascii_whitespace) {
                        return Some(Line::Whole(line.freeze()));
                    }
                }
                None => {
                    // One more than the limit, since the last byte may be the `\r` of a line end.
                    if self.skipping.is_some() || self.buffer.len() > self.limit + 1 {
                        let rest = self.buffer.split();
                        self.skip(rest);
                    }
                    self.searched = self.buffer.len();
                    return None;
                }
            }
        }
    }

    /// The next lines, if two or more are complete that end with `\n` alone, are within the limit,
    /// and are wanted. `most`: after so many lines, and so many bytes, no more is taken. Returns
    /// them with one `\n` between two, and their number.
    pub fn next_lines(
        &mut self,
        most: (usize, usize),
        mut is_wanted: impl FnMut(&[u8]) -> bool,
    ) -> Option<(Bytes, usize)> {
        // A lone line, or a long one, is not worth a second look.
        let near = &self.buffer[..self.buffer.len().min(most.1)];
        if self.skipping.is_some()
            || self.is_at_start
            || memchr::memchr_iter(b'\n', near).nth(1).is_none()
        {
            return None;
        }
        let (mut end, mut count) = (0, 0);
        while count < most.0
            && end < most.1
            && let rest = &self.buffer[end..]
            && let Some(length) = memchr::memchr(b'\n', rest)
            && length <= self.limit
            && is_wanted(&rest[..length])
        {
            end += length + 1;
            count += 1;
        }
        if count < 2 {
            return None;
        }
        let mut lines = self.buffer.split_to(end);
        self.searched = 0;
        lines.truncate(end - 1);
        Some((lines.freeze(), count))
    }

    fn skip(&mut self, mut bytes: BytesMut) {
        match &mut self.skipping {
            Some(skipping) => skipping.more(&bytes),
            None => {
                let mut skipping = Skipping { beginning: Bytes::new(), end: Vec::new(), length: 0 };
                skipping.more(&bytes);
                bytes.truncate(self.limit);
                skipping.beginning = bytes.freeze();
                self.skipping = Some(skipping);
            }
        }
    }

    /// Takes the last line at the end of the stream, which has no line end; `None`: no
    /// bytes are left.
    pub fn finish(&mut self) -> Option<Line> {
        self.searched = 0;
        let mut rest = self.buffer.split();
        if let Some(mut skipping) = self.skipping.take() {
            skipping.more(&rest);
            return Some(skipping.line());
        }
        if rest.last() == Some(&b'\r') {
            rest.truncate(rest.len() - 1);
        }
        if rest.len() > self.limit {
            self.skip(rest);
            return self.skipping.take().map(Skipping::line);
        }
        let is_blank = rest.iter().all(u8::is_ascii_whitespace);
        (!is_blank).then(|| Line::Whole(rest.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(limit: usize, chunks: &[&[u8]]) -> (Vec<Line>, Option<Line>) {
        let mut lines = LineSplitter::new(limit);
        let mut found = Vec::new();
        for chunk in chunks {
            lines.buffer().extend_from_slice(chunk);
            while let Some(line) = lines.next_line() {
                found.push(line);
            }
            assert!(lines.buffer.len() <= limit + 1, "nothing is kept beyond the limit");
        }
        let rest = lines.finish();
        (found, rest)
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn lines_are_cut_wherever_the_chunks_end() {
        let (found, rest) = cut(64, &[b"{\"a\"", b":1}\r", b"\n\n  \n{}\nhal", b"f"]);
        assert_eq!(found, [whole("{\"a\":1}"), whole("{}")]);
        assert_eq!(rest, Some(whole("half")));
    }

    #[test]
    fn blanks_at_the_end_are_no_line() {
        assert_eq!(cut(64, &[b"{}\n \r"]), (vec![whole("{}")], None));
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_beginning_alone_however_it_is_cut() {
        let mark = BYTE_ORDER_MARK;
        for cut_at in 0..=mark.len() {
            let (first, second) = mark.split_at(cut_at);
            let (found, _) = cut(64, &[first, second, b"{}\n", mark, b"{}\n"]);
            assert_eq!(found, [whole("{}"), whole("\u{feff}{}")], "{cut_at}");
        }
        assert_eq!(cut(64, &[mark]), (vec![], None));
    }

    #[test]
    fn the_rest_of_an_over_long_line_at_the_end_of_the_stream_is_one() {
        let (found, rest) = cut(4, &[b"12345678"]);
        assert!(found.is_empty());
        assert!(matches!(rest, Some(Line::TooLong { length: 8, .. })), "{rest:?}");
        // The one byte more that is kept may be the `\r` of a line end.
        assert_eq!(cut(4, &[b"1234\r"]).1, Some(whole("1234")));
        let (_, rest) = cut(4, &[b"12345"]);
        assert!(matches!(rest, Some(Line::TooLong { length: 5, .. })), "{rest:?}");
    }

    #[test]
    fn a_line_as_long_as_the_limit_passes_and_one_more_byte_does_not() {
        let (found, _) = cut(4, &[b"1234\n", b"1234\r", b"\n12345\n6\n"]);
        assert_eq!(found[..2], [whole("1234"), whole("1234")]);
        assert!(
            matches!(&found[2], Line::TooLong { beginning, length: 5, .. } if beginning == "1234")
        );
        assert_eq!(found[3], whole("6"));
    }

    #[test]
    fn the_return_of_an_over_long_line_is_no_part_of_it_however_it_is_cut() {
        for chunks in [vec![b"123456\r\n".as_slice()], vec![b"123456\r", b"\n"]] {
            let (found, _) = cut(4, &chunks);
            let Line::TooLong { end, length, .. } = &found[0] else { panic!("{found:?}") };
            assert_eq!((end.as_ref(), *length), (b"123456".as_slice(), 6), "{chunks:?}");
        }
    }

    #[test]
    fn an_over_long_line_is_skipped_and_the_next_one_is_read() {
        let long = vec![b'x'; 10_000];
        let (found, rest) = cut(16, &[&long, &long, b"end\nok\n"]);
        let Line::TooLong { beginning, end, length } = &found[0] else { panic!("{found:?}") };
        assert_eq!((beginning.len(), *length), (16, 20_003));
        assert!(end.ends_with(b"xend") && end.len() == TAIL);
        assert_eq!(found[1], whole("ok"));
        assert_eq!(rest, None);
    }
}
