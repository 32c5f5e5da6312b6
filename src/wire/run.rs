//! Runs of text inside a JSON string, many bytes at a time.
//!
//! Short runs go by in words of eight bytes: nearly every string of a message
//! is a name, and source code is escaped every few bytes, so that calling a
//! vectorised search would cost more than the search. Long runs go by in wide
//! steps. Either way control characters are looked for in the same pass.

/// A run of text that is longer than this is taken in wide steps.
const SHORT_RUN: usize = 32;

/// How many bytes from the front of `text` a string holds as they are: up to a
/// quote, a backslash or a control character.
pub(super) fn plain(text: &[u8]) -> usize {
    let mut at = plain_at_first(text);
    if at == SHORT_RUN {
        at = text.len() - behind_wide_steps(&text[at..]).len();
        while let Some(word) = text[at..].first_chunk() {
            match plain_before_mark(*word) {
                None => at += 8,
                Some(count) => return at + count,
            }
        }
    }
    at + text[at..].iter().take_while(|byte| is_plain(**byte)).count()
}

/// The same as [`plain`], but it may stop early: at [`SHORT_RUN`], or close to the end.
#[inline]
pub(super) fn plain_at_first(text: &[u8]) -> usize {
    let mut at = 0;
    while at < SHORT_RUN
        && let Some(word) = text[at..].first_chunk()
    {
        match plain_before_mark(*word) {
            None => at += 8,
            Some(count) => return at + count,
        }
    }
    at
}

fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// How many bytes precede the first one that is not plain; `None` if all are.
///
/// Eight bytes in one register: a subtraction sets the high bit of a byte that
/// was too small for it, unless a multi-byte character had it set before. It
/// may borrow from the bytes behind, so only the first mark is to be trusted.
#[inline]
fn plain_before_mark(word: [u8; 8]) -> Option<usize> {
    const EACH: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(word);
    let below = |word: u64, bound: u8| word.wrapping_sub(EACH * u64::from(bound));
    let not = |byte: u8| word ^ (EACH * u64::from(byte));
    let found = below(word, 0x20) | below(not(b'"'), 1) | below(not(b'\\'), 1);
    let marks = found & !word & (EACH * 0x80);
    (marks != 0).then_some(marks.trailing_zeros() as usize / 8)
}

/// What is left when the wide steps that are all plain are taken. Without a
/// branch per byte the compiler makes vector instructions of a step.
#[inline(never)]
fn behind_wide_steps(mut rest: &[u8]) -> &[u8] {
    while let Some((step, behind)) = rest.split_first_chunk::<64>()
        && step.iter().fold(true, |all, byte| all & is_plain(*byte))
    {
        rest = behind;
    }
    rest
}
