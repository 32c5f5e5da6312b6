//! A stream is cut into the same lines wherever its chunks end.
//!
//! The first byte of a file is the limit of a line, the second the number of chunk
//! sizes that follow, one byte each. The rest is the stream; it is cut into chunks
//! of these sizes, in turn and again from the first.

use bytes::Bytes;
use drawbridge::wire::line::{Line, LineSplitter};

/// Bytes that are kept of the end of a line over the limit.
const TAIL: usize = 256;

/// The byte order mark, which is skipped at the beginning of a stream.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Feeds a stream in chunks, and compares its lines with those of the stream as a whole.
pub fn lines(file: &[u8]) {
    let [limit, count, rest @ ..] = file else { return };
    let (limit, count) = (usize::from(*limit), usize::from(*count).min(rest.len()));
    let (sizes, stream) = rest.split_at(count);
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();

    let mut cutter = LineSplitter::new(limit);
    let mut found = Vec::new();
    let mut left = stream;
    while !left.is_empty() {
        let size = sizes.next().unwrap_or(left.len()).min(left.len());
        let (chunk, later) = left.split_at(size);
        left = later;
        cutter.buffer().extend_from_slice(chunk);
        while let Some(line) = cutter.next_line() {
            found.push(line);
        }
        // A part of a byte order mark is kept until the mark is whole.
        let kept = (limit + 1).max(MARK.len() - 1);
        assert!(cutter.buffer().len() <= kept, "no more is kept than the limit allows");
    }
    let last = cutter.finish();

    let (expected, expected_last) = cut_whole(stream.strip_prefix(MARK).unwrap_or(stream), limit);
    assert_eq!(found, expected, "the lines do not depend on where chunks end");
    assert_eq!(last, expected_last, "the last line needs no line end");
    assert!(cutter.next_line().is_none() && cutter.finish().is_none(), "nothing is left");
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The lines of a whole stream, and the last one if it has no line end.
fn cut_whole(stream: &[u8], limit: usize) -> (Vec<Line>, Option<Line>) {
    let mut pieces: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    let last = pieces.pop().unwrap_or_default();
    let (last, lines) = (without_return(last), pieces.into_iter().map(without_return));
    let is_said = |line: &&[u8]| line.len() > limit || !line.iter().all(u8::is_ascii_whitespace);
    let said = |line: &[u8]| match line.len() > limit {
        false => Line::Whole(Bytes::copy_from_slice(line)),
        true => Line::TooLong {
            beginning: Bytes::copy_from_slice(&line[..limit]),
            end: Bytes::copy_from_slice(&line[line.len().saturating_sub(TAIL)..]),
            length: line.len() as u64,
        },
    };
    (lines.filter(is_said).map(said).collect(), is_said(&last).then(|| said(last)))
}
