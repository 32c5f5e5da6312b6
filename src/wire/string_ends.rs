//! Where plain text ends: one bit for each of the bytes that come next.
//!
//! Inside a JSON string only three kinds of bytes matter: the quote that ends
//! it, the backslash that escapes what follows, and control characters, which
//! must not be there. They are found for 64 bytes at once, in one word with a
//! bit per byte, and a walk over short strings then costs a shift and a count of
//! zeros for each: a message has a dozen strings in such a window.

use wide::u8x64;

/// Bytes that are looked at together.
const WINDOW: usize = 64;

/// The bytes around the place where a scanner is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StringEnds {
    /// Offset behind the last byte of the window; 0 before the first one.
    end: usize,
    /// The marked bytes of the window, the first one in the lowest bit.
    bits: u64,
}

impl StringEnds {
    /// Where the first quote, backslash or control character lies at or behind
    /// `at`; behind the text if there is none. `at` must never go back.
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

    /// Apart, so that the common case is small enough to inline.
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

    /// The last window ends with the text, or behind it, if all is shorter.
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

/// One bit for each byte that is marked, the first one in the lowest bit.
///
/// Apart, because the compiler takes the vectors to pieces where it sees what
/// becomes of the bits.
#[inline(never)]
fn marked(window: &[u8; WINDOW]) -> u64 {
    let bytes = u8x64::new(*window);
    let is = |byte: u8| bytes.simd_eq(u8x64::splat(byte));
    // At most 0x1f, in the comparison that every machine has.
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
