//! The bytes of a script, read as letters and digits.
//!
//! Every byte has a meaning, so that each mutation of a script can change what
//! happens. A person can write scripts, too: white space between words is skipped.

/// The unread rest of a script.
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// The next byte; `None` at the end.
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

    /// The element of `of` that the next digit names, modulo their number.
    pub fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.digit() % of.len()]
    }

    /// The element of `of` whose letter is next; any other byte names one of them, too.
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

/// The `which`-th element, modulo their number; `None` if there is none.
pub fn nth<T>(of: &[T], which: usize) -> Option<&T> {
    of.get(which % of.len().max(1))
}
