//! A message on its way out: the bytes around an id, and the id.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::span::Span;
use super::token::Token;

/// A message on its way out: mostly the bytes that came in, with another id in place of
/// the one that they hold.
#[derive(Clone)]
pub struct OutgoingFrame {
    bytes: Bytes,
    /// The part of `bytes` that `token` replaces; `None`: nothing is replaced.
    replaced: Option<Span>,
    token: Token,
    /// How many messages it holds, with one `\n` between two.
    count: u32,
}

impl OutgoingFrame {
    /// A message that is ready as it is.
    pub fn ready(bytes: impl Into<Bytes>) -> Self {
        OutgoingFrame { bytes: bytes.into(), replaced: None, token: Token::NONE, count: 1 }
    }

    /// Several messages that are ready as they are, with one `\n` between two.
    pub fn several(bytes: Bytes, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        OutgoingFrame { count, ..OutgoingFrame::ready(bytes) }
    }

    /// How many messages it holds.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// A message with `token` instead of the bytes at `place`.
    pub(super) fn with(bytes: Bytes, place: Span, token: Token) -> Self {
        OutgoingFrame { bytes, replaced: Some(place), token, count: 1 }
    }

    /// Its length in bytes, without a line end.
    pub fn len(&self) -> usize {
        let left_out = self.replaced.map_or(0, |place| place.end() - place.start());
        self.bytes.len() - left_out + self.token.as_bytes().len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends it to `buffer`, without a line end.
    pub fn write_to(&self, buffer: &mut BytesMut) {
        buffer.reserve(self.len() + 1);
        self.parts().into_iter().for_each(|part| buffer.put_slice(part));
    }

    /// Appends it to `buffer`, with a line end.
    pub fn write_line_to(&self, buffer: &mut BytesMut) {
        self.write_to(buffer);
        buffer.put_u8(b'\n');
    }

    /// Its bytes in up to three pieces, in order; a piece may be empty.
    pub fn parts(&self) -> [&[u8]; 3] {
        match self.replaced {
            None => [&self.bytes, b"", b""],
            Some(place) => {
                let (before, after) = (&self.bytes[..place.start()], &self.bytes[place.end()..]);
                [before, self.token.as_bytes(), after]
            }
        }
    }

    /// Its bytes in one piece.
    pub fn to_bytes(&self) -> Bytes {
        let mut buffer = BytesMut::new();
        self.write_to(&mut buffer);
        buffer.freeze()
    }
}

impl fmt::Debug for OutgoingFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl PartialEq for OutgoingFrame {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for OutgoingFrame {}
