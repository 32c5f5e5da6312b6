//! The machine, as far as its daemons are told from those of others: homes are shared by machines
//! and containers, and a socket of another one leads nowhere.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// The mark of this machine, its start, and the space of process ids that this process lives in:
/// 16 hexadecimal digits, the same for every process that can reach the other.
pub fn mark() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let machine = read("/etc/machine-id");
    let start = read("/proc/sys/kernel/random/boot_id");
    let space = fs::metadata("/proc/self/ns/pid").map(|found| found.ino()).unwrap_or_default();
    digest(&format!("{}\n{}\n{space}", machine.trim(), start.trim()))
}

/// A digest that is the same in every version of this program (FNV-1a, 64 bits). Nothing depends
/// on its being hard to forge.
fn digest(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_short_and_stays_the_same() {
        assert_eq!(mark(), mark());
        assert_eq!(digest(""), "cbf29ce484222325");
        assert_eq!(digest("a"), "af63dc4c8601ec8c");
        assert_ne!(digest("a\nb"), digest("a\nc"));
    }
}
