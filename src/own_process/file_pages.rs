//! The pages of program files in the memory of this process. Most of them only the start has
//! needed, but the system counts them as this process's for as long as it lives.

use std::fs;
use std::ops::Range;
use std::ptr::{NonNull, with_exposed_provenance_mut};

use nix::sys::mman::{MmapAdvise, madvise};

/// The fields of a mapping that tell whether it has pages, and only those of its file, in their
/// order, and whether there must be something of each. A copy of a page that was changed, as the
/// start relocates some, is either in memory or swapped out.
const FIELDS: [(&str, bool); 3] = [("Rss", true), ("Anonymous", false), ("Swap", false)];

/// Gives the pages of program files back. Those that are still needed the system maps again, from its
/// cache, when it is used. No library may be loaded or unloaded meanwhile.
pub fn release_file_pages() {
    // Where it cannot be read, nothing is given back.
    let maps = fs::read("/proc/self/smaps").unwrap_or_default();
    for pages in only_of_files(&String::from_utf8_lossy(&maps)) {
        let Some(start) = NonNull::new(with_exposed_provenance_mut(pages.start)) else { continue };
        // SAFETY: the pages are those of a file, which nobody can write to here, and none of them
        // differs from the file: a later access finds the same bytes. The list is still true:
        // libraries are loaded before `main`, and those for lookups of users by the first lookup,
        // which this thread makes, or has made at the start.
        #[allow(unsafe_code)] // the system cannot know what the pages hold
        let _ = unsafe { madvise(start, pages.len(), MmapAdvise::MADV_DONTNEED) };
    }
}

/// The address ranges of a list of mappings, as in `/proc/PID/smaps`, that hold pages of files
/// and nothing else, and cannot be written to.
fn only_of_files(maps: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut mapping = None;
    for line in maps.lines() {
        let Some((field, amount)) = line.split_once(':').filter(|(field, _)| !field.contains(' '))
        else {
            mapping = of_file(line).map(|range| (range, FIELDS.as_slice()));
            continue;
        };
        mapping = match mapping {
            Some((range, [(name, is_something), rest @ ..])) if field == *name => {
                let fits = *is_something == (amount.trim() != "0 kB");
                fits.then_some((range, rest))
            }
            other => other,
        };
        ranges.extend(mapping.take_if(|(_, rest)| rest.is_empty()).map(|(range, _)| range));
    }
    ranges
}

/// The address range of a mapping, from its first line, if it is one of a file and read-only.
fn of_file(line: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let is_read_only = matches!(words.next()?, "r--p" | "r-xp");
    let is_file = words.nth(3)?.starts_with('/');
    let address = |digits| usize::from_str_radix(digits, 16).ok();
    (is_read_only && is_file).then_some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mapping as the system lists it, with these amounts of the fields that count.
    fn mapping(first: &str, [resident, anonymous, swapped]: [u32; 3]) -> String {
        format!(
            "{first}\nSize:  8 kB\nRss:  {resident} kB\nPss:  0 kB\nAnonymous:  {anonymous} kB\n\
             AnonHugePages:  0 kB\nSwap:  {swapped} kB\nSwapPss:  0 kB\nVmFlags: rd ex mr\n"
        )
    }

    #[test]
    fn only_unchanged_read_only_pages_of_files_are_given_back() {
        let code = "55d0a000-55d0c000 r-xp 00001000 fe:00 42    /opt/a b/drawbridge (deleted)";
        let text = "55d0c000-55d0d000 r--p 00003000 fe:00 42    /opt/drawbridge";
        let written = "55d0d000-55d0e000 rw-p 00004000 fe:00 42    /opt/drawbridge";
        let none = "7f00a000-7f00b000 r-xp 00000000 00:00 0";
        let system = "7fff0000-7fff2000 r-xp 00000000 00:00 0      [vdso]";
        let clean = [8, 0, 0];
        let all = [
            (code, clean),
            (text, clean),
            (text, [8, 4, 0]),
            (text, [8, 0, 4]),
            (text, [0, 0, 0]),
            (written, clean),
            (none, clean),
            (system, clean),
        ];
        let maps: String = all.map(|(first, amounts)| mapping(first, amounts)).concat();
        assert_eq!(only_of_files(&maps), [0x55d0_a000..0x55d0_c000, 0x55d0_c000..0x55d0_d000]);
    }

    #[test]
    fn a_list_that_is_not_understood_gives_nothing() {
        let first = "1000-2000 r-xp 0 0 0 /a";
        for maps in [
            String::new(),
            "Rss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB".to_owned(),
            format!("{first}\nRss: 4 kB\nSwap: 0 kB\n"),
            format!("{first}\nRss: 4 kB\nAnonymous: 0 kB\n{first}\nSwap: 0 kB"),
            mapping("x r-xp 0 0 0 /a", [4, 0, 0]),
            "1-2 r-xp\n:::".to_owned(),
        ] {
            assert!(only_of_files(&maps).is_empty(), "{maps}");
        }
    }
}
