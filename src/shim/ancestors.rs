//! The program that the person uses: the first ancestor that is no shell. If it still lives when
//! the shim is gone, the chat was closed on purpose.

use crate::processes::{self, ProcessIdentity};

/// Programs that start others in their place or for them.
const SHELLS: [&str; 14] = [
    "sh", "bash", "dash", "zsh", "fish", "ksh", "mksh", "ash", "busybox", "tcsh", "csh", "nu",
    "env", "sudo",
];

/// The longest line of shells.
const GENERATIONS: usize = 32;

/// The program that the person uses; `None`: it is not known.
pub fn editor() -> Option<ProcessIdentity> {
    let mut next = processes::at(std::process::id())?.parent;
    for _ in 0..GENERATIONS {
        // The first process of a machine or container is nobody's editor.
        let entry = processes::at(next).filter(|entry| entry.pid > 1)?;
        // A login shell is named with a dash.
        if !SHELLS.contains(&entry.name.trim_start_matches('-')) {
            return Some(ProcessIdentity { pid: entry.pid, born_ticks: entry.born_ticks });
        }
        next = entry.parent;
    }
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_one_who_runs_this_test_is_no_shell() {
        let editor = editor().unwrap();
        let entry = processes::at(editor.pid).unwrap();
        assert!(!SHELLS.contains(&&*entry.name), "{entry:?}");
    }
}
