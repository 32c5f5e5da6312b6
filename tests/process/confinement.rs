//! A system that refuses what a keeper needs, made by a filter of system calls.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc::{self, sock_filter, sock_fprog};

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const fn step(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// What becomes of a keeper that wants to be the parent of orphans.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keepers {
    /// It is told that it may not.
    Refused,
    /// It is killed.
    Killed,
}

impl Keepers {
    fn verdict(self) -> u32 {
        match self {
            Keepers::Refused => libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(),
            Keepers::Killed => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }
}

/// Neither the command nor what it starts can become the parent of orphans.
#[allow(unsafe_code)]
pub(crate) fn without_subreapers(command: &mut Command, keepers: Keepers) {
    let mut filter = [
        step(LOAD, 0, 0, 0), // the number of the call
        step(EQUAL, 0, 3, u32::try_from(libc::SYS_prctl).expect("a small number")),
        step(LOAD, 0, 0, 16), // its first argument
        step(EQUAL, 0, 1, u32::try_from(libc::PR_SET_CHILD_SUBREAPER).expect("likewise")),
        step(RETURN, 0, 0, keepers.verdict()),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let program = sock_fprog { len: 6, filter: filter.as_mut_ptr() };
        // SAFETY: both calls take plain numbers and a pointer to a filter that
        // outlives them.
        let refused = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
                    != 0
        };
        if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: between fork and exec only two system calls are made.
    unsafe {
        command.pre_exec(install);
    }
}
