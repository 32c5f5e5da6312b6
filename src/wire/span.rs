//! Places in a text.

use std::num::NonZeroU32;

/// A place in a text: a range of bytes. It may be empty, but never ends at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    /// Never zero, so that an `Option<Span>` is no larger than a `Span`.
    end: NonZeroU32,
}

impl Span {
    /// From `start` up to, not including, `end`. Lines are bounded far below
    /// 4 GiB (`line::MAX_LINE`), and no place ends at 0.
    #[inline]
    pub fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: NonZeroU32::new(end as u32).unwrap_or(NonZeroU32::MIN) }
    }

    /// Offset of the first byte.
    #[inline]
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// Offset behind the last byte.
    #[inline]
    pub fn end(self) -> usize {
        self.end.get() as usize
    }

    /// The bytes of `text` at this place; empty if the place is not in it.
    #[inline]
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start()..self.end()).unwrap_or_default()
    }
}
