//! The process trees of daemons: a conversation must not be opened while an agent of an earlier
//! daemon may hold it.
//!
//! Each daemon has a file beside its socket, and a lock on it that every keeper inherits. So the
//! lock is held until the daemon and all its trees are gone, whatever ended the daemon. The next
//! one looks whose locks are held: if their daemon is gone, its keepers end its agents, and that
//! is waited for; if it goes on, it is asked what it holds.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;
use rustix::fs::{FlockOperation, flock};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use crate::bridge::EarlierBridges;
use crate::link::ask::ask;
use crate::link::control::Control;
use crate::link::peer::check_user;
use crate::link::place::Place;
use crate::processes::ProcessIdentity;
use crate::runtime::Arrival;

/// The most earlier daemons that are watched.
const MOST: usize = 64;

/// How often a daemon that goes on is asked what it holds.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);

/// The time for its answer.
const ANSWER: Duration = Duration::from_secs(1);

/// Makes the file of this daemon, and locks it. The lock lasts until the last descriptor of the
/// file is closed, in this process or in a keeper.
///
/// # Errors
/// Those of the system.
pub(super) fn own(place: &Place) -> io::Result<File> {
    let mut file = place.open(&own_name(place), OFlag::O_CREAT | OFlag::O_RDWR)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    file.set_len(0)?;
    let ProcessIdentity { pid, born_ticks } = own_identity();
    file.write_all(format!("{pid} {born_ticks} {}", place.name().to_string_lossy()).as_bytes())?;
    Ok(file)
}

fn own_identity() -> ProcessIdentity {
    let pid = std::process::id();
    ProcessIdentity::of(pid).unwrap_or(ProcessIdentity { pid, born_ticks: 0 })
}

fn own_name(place: &Place) -> OsString {
    let ProcessIdentity { pid, born_ticks } = own_identity();
    place.trees_name(&format!("{pid}.{born_ticks}"))
}

/// Removes the file of this daemon, at its end in order.
pub(super) fn forget(place: &Place) {
    let _ = place.remove(&own_name(place));
}

/// An earlier daemon whose lock is held.
#[derive(Debug)]
struct Earlier {
    name: OsString,
    file: File,
    daemon: ProcessIdentity,
    socket: OsString,
}

/// The earlier daemons at a place.
#[derive(Debug)]
pub(super) struct EarlierDaemons(Vec<Earlier>);

impl EarlierDaemons {
    /// Those whose locks are held. The files of the others are removed.
    pub(super) fn at(place: &Place) -> EarlierDaemons {
        let own = own_name(place);
        let names = place.names_of_trees().unwrap_or_default();
        let others = names.into_iter().filter(|name| *name != own);
        let held = others.filter_map(|name| Earlier::held(place, name));
        EarlierDaemons(held.take(MOST).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Watches them until all are gone, and tells each change. Those that go on are asked to end
    /// as soon as nobody uses them.
    pub(super) async fn watch(self, place: Place, to_loop: mpsc::Sender<Arrival>) {
        let (place, mut all, mut waits) = (Arc::new(place), self.0, JoinSet::new());
        for earlier in &all {
            earlier.ask(&place, Control::Retire).await;
        }
        let mut told = EarlierBridges { are_ending: true, held: Vec::new() };
        loop {
            let mut now = EarlierBridges::default();
            for earlier in std::mem::take(&mut all) {
                if !earlier.daemon.lives() {
                    waits.spawn_local(released(earlier));
                    continue;
                }
                match earlier.ask(&place, Control::Holds).await {
                    Some(Control::Held(ids)) => now.held.extend(ids),
                    // It may hold any conversation.
                    _ => now.are_ending = true,
                }
                all.push(earlier);
            }
            now.are_ending |= !waits.is_empty();
            if now != told && to_loop.send(Arrival::EarlierBridges(now.clone())).await.is_err() {
                return;
            }
            told = now;
            tokio::select! {
                Some(done) = waits.join_next() => {
                    if let Ok(name) = done {
                        let _ = place.remove(&name);
                    }
                }
                () = tokio::time::sleep(BETWEEN_QUESTIONS), if !all.is_empty() => {}
                else => return,
            }
        }
    }
}

/// Waits until a daemon that is gone has no process left, and returns the name of its file.
async fn released(earlier: Earlier) -> OsString {
    let Earlier { name, file, .. } = earlier;
    let locked = spawn_blocking(move || flock(&file, FlockOperation::LockExclusive)).await;
    if !matches!(locked, Ok(Ok(()))) {
        tracing::warn!("the agents of an earlier daemon cannot be waited for");
    }
    name
}

impl Earlier {
    /// Asks the daemon, if it goes on; `None`: it gives no answer. One whose socket had the name
    /// of that at this place cannot be reached any more.
    async fn ask(&self, place: &Arc<Place>, line: Control) -> Option<Control> {
        if !self.daemon.lives() || self.socket == place.name() {
            return None;
        }
        let (place, socket) = (place.clone(), self.socket.clone());
        spawn_blocking(move || ask_at(&place, &socket, &line)).await.ok().flatten()
    }

    /// `None`: its lock is free, and its file is removed, or it is no such file.
    fn held(place: &Place, name: OsString) -> Option<Earlier> {
        let mut file = place.open(&name, OFlag::O_RDWR).ok()?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = place.remove(&name);
            return None;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let mut words = text.splitn(3, ' ');
        let pid = words.next()?.parse().ok()?;
        let daemon = ProcessIdentity { pid, born_ticks: words.next()?.parse().ok()? };
        let socket = OsStr::new(words.next()?).to_owned();
        Some(Earlier { name, file, daemon, socket })
    }
}

/// Asks the daemon at a socket beside this one; `None`: it gives no answer.
fn ask_at(place: &Place, socket: &OsStr, line: &Control) -> Option<Control> {
    let stream = place.connect_to(socket).ok()?;
    check_user(&stream).ok()?;
    ask(stream, line, ANSWER).ok()?
}
