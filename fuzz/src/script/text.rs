//! The bytes of a script, read as letters and digits.
//!
//! Every byte means something, so that no change to a script is in vain; but a
//! person can write one: white space between words is passed over.

/// What is left of a script.
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// The next byte; nothing at the end.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next word: the first byte that is not white space.
    pub fn word(&mut self) -> Option<u8> {
        self.0 = self.0.trim_ascii_start();
        self.byte()
    }

    /// A number below 16, as a hexadecimal digit or in the low bits of another byte.
    pub fn digit(&mut self) -> usize {
        let byte = self.byte().unwrap_or_default();
        match (byte as char).to_digit(16) {
            Some(digit) => digit as usize,
            None => usize::from(byte & 15),
        }
    }

    /// One of several, by a digit.
    pub fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.digit() % of.len()]
    }

    /// One of several that have a letter; any other byte means one of them too.
    pub fn letter<T: Copy>(&mut self, of: &[(u8, T)]) -> T {
        let byte = self.byte().unwrap_or_default();
        let named = of.iter().find(|(letter, _)| *letter == byte);
        named.unwrap_or(&of[usize::from(byte) % of.len()]).1
    }

    /// The rest of the line.
    pub fn line(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest;
        line
    }
}
