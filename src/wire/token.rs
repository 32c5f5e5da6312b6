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

    /// The number that this id means, however a peer's JSON library spells it: `7`, `7.0`,
    /// `7e0` and `"7"` are the bridge's own 7. `None`: no whole number.
    pub fn as_number(&self) -> Option<u64> {
        let spelling = std::str::from_utf8(self.as_bytes()).ok()?;
        if let Ok(number) = spelling.parse() {
            return Some(number);
        }
        if self.is_text() {
            return spelling.trim_matches('"').parse().ok();
        }
        let number: f64 = spelling.parse().ok()?;
        // Beyond that a float does not hold every whole number.
        let is_whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
        is_whole.then_some(number as u64)
    }

    /// Whether the id is a string.
    pub fn is_text(&self) -> bool {
        self.as_bytes().first() == Some(&b'"')
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
