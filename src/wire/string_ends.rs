//! Finds the byte at which the plain text of a string ends.
//!
//! Inside a JSON string only three kinds of bytes matter: the quote that ends
//! it, the backslash that escapes what follows, and control characters, which
//! must not be there. They are found for 64 bytes at once, in one word with a
//! bit per byte, and a walk over short strings then costs a shift and a count of
//! zeros for each: a message has a dozen strings in such a window.

use wide::u8x64;

/// How many bytes are looked at together.
const WINDOW: usize = 64;

/// The window around the place of a scanner, as one bit for each byte.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StringEnds {
    /// Offset behind the last byte of the window; 0 before the first one.
    end: usize,
    /// The quotes, backslashes and control characters of the window, the first byte in
    /// the lowest bit.
    bits: u64,
}

impl StringEnds {
    /// Where the first quote, backslash or control character lies at or behind `at`; the
    /// length of the text if there is none. From call to call `at` must not become
    /// smaller.
    #[inline]
    pub(super) fn next(&mut self, text: &[u8], at: usize) -> usize {
        if at < self.end {
            let bits = self.bits >> (at + WINDOW - self.end);
            if bits != 0 {
                return at + bits.trailing_zeros() as usize;
            }
        }
        self.next_beyond(text, at.max(self.end))
    }

    /// Kept apart so that the common case is small enough to inline.
    #[inline(never)]
    fn next_beyond(&mut self, text: &[u8], mut at: usize) -> usize {
        while let Some(window) = text.get(at..).and_then(<[u8]>::first_chunk) {
            let bits = marked(window);
            if bits != 0 {
                *self = StringEnds { end: at + WINDOW, bits };
                return at + bits.trailing_zeros() as usize;
            }
            at += WINDOW;
        }
        self.last(text, at)
    }

    /// Searches the last window, which ends with the text, or behind it if the whole text
    /// is shorter than a window.
    fn last(&mut self, text: &[u8], at: usize) -> usize {
        let (window, end) = match text.last_chunk() {
            Some(window) => (*window, text.len()),
            None => {
                let mut window = [b' '; WINDOW];
                window[..text.len()].copy_from_slice(text);
                (window, WINDOW)
            }
        };
        *self = StringEnds { end, bits: marked(&window) };
        if at >= end {
            return text.len();
        }
        let bits = self.bits >> (at + WINDOW - end);
        if bits == 0 { text.len() } else { at + bits.trailing_zeros() as usize }
    }
}

/// One bit for each byte of the window, the first byte in the lowest bit: set for a
/// quote, a backslash or a control character.
///
/// Not inlined, because the compiler splits the vectors up where it sees how the bits are
/// used.
#[inline(never)]
fn marked(window: &[u8; WINDOW]) -> u64 {
    let bytes = u8x64::new(*window);
    let is = |byte: u8| bytes.simd_eq(u8x64::splat(byte));
    // `byte <= 0x1f`, by a test for equality, the comparison that every machine has.
    let is_control = bytes.min(u8x64::splat(0x1f)).simd_eq(bytes);
    (is(b'"') | is(b'\\') | is_control).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_mark(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }

    #[test]
    fn every_byte_is_told_in_every_place() {
        for byte in 0..=255 {
            for place in 0..WINDOW {
                let mut window = [b'a'; WINDOW];
                window[place] = byte;
                window[(place + 1) % WINDOW] = 0xc3;
                let expected = u64::from(is_mark(byte)) << place;
                assert_eq!(marked(&window), expected, "{byte} at {place}");
            }
        }
    }

    #[test]
    fn the_next_mark_is_found_in_texts_of_every_length() {
        for length in 0..200 {
            for step in 1..70 {
                let text: Vec<u8> =
                    (0..length).map(|at| if at % step == step / 2 { b'"' } else { b'a' }).collect();
                let mut ends = StringEnds::default();
                let mut at = 0;
                while at < length {
                    let expected = (at..length).find(|at| is_mark(text[*at])).unwrap_or(length);
                    assert_eq!(ends.next(&text, at), expected, "{length} {step} {at}");
                    at = expected + 1;
                }
                assert_eq!(ends.next(&text, length), length);
            }
        }
    }
}
