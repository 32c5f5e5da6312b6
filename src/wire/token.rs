//! The spelling of a request id.

use std::fmt;

/// The spelling of a request id, kept to the byte: `1`, `1.0` and `"1"` are three
/// different ids, and an asker gets its own spelling back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Spelling);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Spelling {
    /// Up to 22 bytes, which is nearly every id: no allocation.
    Short(u8, [u8; Token::SHORT]),
    Long(Box<[u8]>),
}

impl Token {
    const SHORT: usize = 22;
    pub(super) const NONE: Token = Token(Spelling::Short(0, [0; Token::SHORT]));

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

    /// The id that is one of the bridge's own numbers.
    pub fn number(number: u64) -> Self {
        Token::new(itoa::Buffer::new().format(number).as_bytes())
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
