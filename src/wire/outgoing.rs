//! What goes out: an id in any spelling, and bytes around it.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::span::Span;

/// The spelling of a request id, kept to the byte: `1`, `1.0` and `"1"` are
/// three different ids, and the one who asked gets its own back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Spelling);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Spelling {
    /// Nearly every id: no allocation.
    Short(u8, [u8; Token::SHORT]),
    Long(Box<[u8]>),
}

impl Token {
    const SHORT: usize = 22;
    const NONE: Token = Token(Spelling::Short(0, [0; Token::SHORT]));

    /// The id with this spelling.
    pub fn new(spelling: &[u8]) -> Self {
        let mut short = [0; Token::SHORT];
        match short.get_mut(..spelling.len()) {
            Some(place) => {
                place.copy_from_slice(spelling);
                Token(Spelling::Short(spelling.len() as u8, short))
            }
            None => Token(Spelling::Long(spelling.into())),
        }
    }

    /// One of the bridge's own numbers.
    pub fn number(number: u64) -> Self {
        let length = number.checked_ilog10().map_or(1, |more| more as usize + 1);
        let mut digits = [0; Token::SHORT];
        let mut rest = number;
        for digit in digits[..length].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Token(Spelling::Short(length as u8, digits))
    }

    /// The spelling.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Spelling::Short(length, bytes) => &bytes[..usize::from(*length)],
            Spelling::Long(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// A message on its way out: mostly the bytes that came in, with an id of
/// another spelling in place of their own. Its line end is the writer's business.
#[derive(Clone)]
pub struct Outgoing {
    bytes: Bytes,
    /// What of them is left out, if anything is, and what stands there.
    replaced: Option<Span>,
    token: Token,
}

impl Outgoing {
    /// A message that is ready as it is.
    pub fn ready(bytes: impl Into<Bytes>) -> Self {
        Outgoing { bytes: bytes.into(), replaced: None, token: Token::NONE }
    }

    /// A message with this in `place` of what stands there.
    pub(super) fn with(bytes: Bytes, place: Span, token: Token) -> Self {
        Outgoing { bytes, replaced: Some(place), token }
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

    /// Its bytes in the pieces that they lie in.
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

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl PartialEq for Outgoing {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for Outgoing {}
