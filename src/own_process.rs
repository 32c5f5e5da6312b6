//! The properties of this process, be it a bridge or a keeper, that the system knows.

mod file_pages;

use std::ffi::CStr;
use std::fs::{DirEntry, File};
use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{dup, dup2_stderr, dup2_stdin, dup2_stdout, pipe};

pub use self::file_pages::release_file_pages;

/// The first descriptor after those of stdio.
const FIRST: i32 = 3;

/// The descriptors that a bridge with one agent needs beside its stdio.
const LEAST_FREE: usize = 26;

/// Makes this process fit to hold what others entrust to it: its memory, with the environment
/// of a client and the credentials of a login, is shown to no other process and left in no
/// file, and a limit on the size of files is an error of the write, not the end of everything.
pub fn fit() {
    show_memory(false);
    outlive_file_size_limit();
}

/// Shows the memory of this process to other processes of the user, or to none. While it does not,
/// they cannot see its namespaces either.
pub fn show_memory(is_shown: bool) {
    #[cfg(target_os = "linux")]
    // It cannot fail with these arguments.
    let _ = nix::sys::prctl::set_dumpable(is_shown);
    #[cfg(not(target_os = "linux"))]
    let _ = is_shown;
}

/// Makes a write over the limit on the size of files fail. A handler, not `SIG_IGN`: the system
/// takes handlers back when a program is started, so agents find the signal as it was.
fn outlive_file_size_limit() {
    extern "C" fn do_nothing(_: libc::c_int) {}
    let action =
        SigAction::new(SigHandler::Handler(do_nothing), SaFlags::SA_RESTART, SigSet::empty());
    if is_ignored(Signal::SIGXFSZ) {
        return;
    }
    // SAFETY: the handler does nothing, so it is safe at any point.
    #[allow(unsafe_code)] // a handler may do what is not safe in one; this does nothing
    let set = unsafe { sigaction(Signal::SIGXFSZ, &action) };
    // It fails for signals that cannot be caught, which this one can.
    let _ = set;
}

/// Whether this process ignores a signal.
pub fn is_ignored(signal: Signal) -> bool {
    // SAFETY: a `sigaction` is plain data, for which zeroes are a valid value.
    #[allow(unsafe_code)] // the safe wrapper cannot ask without setting
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action nothing is changed, and the pointer is to a local value.
    #[allow(unsafe_code)] // see above
    let asked = unsafe { libc::sigaction(signal as i32, std::ptr::null(), &raw mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Makes descriptors that this process has inherited beside its stdio end with it: they belong
/// to the program that started it, and no agent inherits them. To be called before this process
/// opens any of its own.
pub fn withhold_inherited_descriptors() {
    let listed = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    // Where they cannot be listed, keepers still close them.
    let names = std::fs::read_dir(listed).into_iter().flatten();
    let number = |entry: io::Result<DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let numbers: Vec<i32> = names.filter_map(number).collect();
    for number in numbers.into_iter().filter(|number| *number >= FIRST) {
        // SAFETY: the flag of a descriptor is set, which nothing in this process relies on; a
        // number that is not open any more, such as that of the list, gives an error.
        #[allow(unsafe_code)] // descriptors that nobody owns here
        unsafe {
            libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// Names this process in the process table: one that was started through a descriptor has the
/// number of that as its name.
pub fn set_name(name: &CStr) {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_name(name);
    #[cfg(not(target_os = "linux"))]
    let _ = name;
}

/// Raises the limit on open descriptors as far as this process may: a daemon has several for each
/// client and channel. Returns the limit before, which agents get back; `None`: it is unchanged.
pub fn raise_descriptor_limit() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok().map(|()| soft).filter(|soft| *soft < hard)
}

/// Sets the limit on open descriptors of a process that is about to be another program.
///
/// # Errors
/// Those of the system.
pub fn set_descriptor_limit(soft: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard)?)
}

/// Puts `/dev/null` in place of stdio.
///
/// # Errors
/// If that cannot be opened.
pub fn let_go_of_stdio() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}

/// Makes sure that enough descriptors are free: some parts of the runtime take it for granted
/// that they can open theirs.
///
/// # Errors
/// A sentence for a person, if too few are free, which names their least number.
pub fn check_free_descriptors() -> Result<(), String> {
    let mut opened: Vec<OwnedFd> = Vec::with_capacity(LEAST_FREE);
    let (first, second) = pipe().map_err(too_few)?;
    opened.extend([first, second]);
    while opened.len() < LEAST_FREE {
        opened.push(dup(&opened[0]).map_err(too_few)?);
    }
    Ok(())
}

fn too_few(error: Errno) -> String {
    format!(
        "fewer than {LEAST_FREE} descriptors are free ({}); raise the limit on open files, for \
         example with ulimit -n 1024",
        error.desc()
    )
}
