//! Flow control by itself: the reader is a future that is polled by hand.

use std::future::{pending, ready};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::bridge::Lane;
use crate::runtime::stdio::Sink;
use crate::wire::{Frame, OutgoingFrame};

/// The limit of the outbox: its low mark is 384, and a debt of 256 is too much.
const LIMIT: usize = 1024;

/// A peer, and whether its reader was woken.
struct Peer {
    outbox: Outbox,
    flow: Flow,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Peer {
    fn new() -> Peer {
        let outbox = Outbox::new(
            LIMIT,
            Rc::new(Notify::new()),
            crate::runtime::outbox::OutboxSum::new(usize::MAX),
        );
        Peer { flow: Flow::new(outbox.clone(), Crowd::default()), outbox, woken: Arc::default() }
    }

    fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&Waker::from(self.woken.clone())))
    }

    fn is_woken(&self) -> bool {
        self.woken.0.swap(false, Ordering::Relaxed)
    }

    /// Whether a reader that asks now may read.
    fn is_read(&self) -> bool {
        self.poll(pin!(self.flow.wait(pending()))).is_ready()
    }

    /// Queues a message of so many bytes, its line end included.
    fn push(&self, bytes: usize) {
        self.outbox.push(Lane::Bridge, OutgoingFrame::ready(vec![b'x'; bytes - 1]));
    }

    /// A batch of the peer is served, which brings about an answer of so many bytes.
    fn served(&self, answer: usize, rest: Rest) -> Rest {
        self.flow.batch(vec![frame()], rest).serve(|_| self.push(answer))
    }
}

fn frame() -> Lines {
    Lines::One(Frame::parse(r#"{"jsonrpc":"2.0","method":"x"}"#.into()))
}

#[test]
fn a_peer_is_read_unless_the_core_has_paused_it() {
    let peer = Peer::new();
    assert!(peer.is_read());
    peer.flow.set_paused(true);
    assert!(!peer.is_read());
    peer.flow.set_paused(false);
    assert!(peer.is_read());
}

#[test]
fn what_was_read_is_served_before_more_is_read() {
    let peer = Peer::new();
    let batch = peer.flow.batch(vec![frame()], Rest::Over);
    assert!(!peer.is_read());
    assert_eq!(batch.serve(|_| assert!(!peer.is_read())), Rest::Over);
    assert!(peer.is_read());
    drop(peer.flow.batch(Vec::new(), Rest::Over));
    assert!(peer.is_read(), "a batch that nobody serves is no reason");
}

#[test]
fn too_many_answers_to_its_own_lines_stop_a_peer_and_those_of_others_do_not() {
    let peer = Peer::new();
    peer.push(900);
    assert!(peer.is_read(), "all of it came from others");
    peer.served(255, Rest::Over);
    assert!(peer.is_read());
    peer.served(1, Rest::Over);
    assert!(!peer.is_read());
}

#[test]
fn a_debt_under_the_low_mark_is_none() {
    let peer = Peer::new();
    peer.served(384, Rest::Over);
    assert!(peer.is_read());
    peer.served(255, Rest::Over);
    assert!(peer.is_read(), "the debt began anew");
}

#[test]
fn the_rest_of_a_read_comes_only_from_a_peer_that_is_read() {
    let peer = Peer::new();
    assert_eq!(peer.served(10, Rest::Waits), Rest::Waits);
    peer.flow.set_paused(true);
    assert_eq!(peer.served(10, Rest::Waits), Rest::Over);
    peer.flow.set_paused(false);
    assert_eq!(peer.served(600, Rest::Waits), Rest::Over);
}

#[test]
fn an_agent_that_has_exited_is_read_to_its_end_when_its_lines_are_served() {
    let peer = Peer::new();
    peer.flow.set_paused(true);
    peer.served(600, Rest::Over);
    let batch = peer.flow.batch(Vec::new(), Rest::Over);
    peer.flow.set_exited();
    assert!(!peer.is_read());
    drop(batch);
    assert!(peer.is_read());
}

#[test]
fn a_peer_that_has_hung_up_is_read_to_its_end_when_its_lines_are_served() {
    let peer = Peer::new();
    peer.flow.set_paused(true);
    assert!(peer.poll(pin!(peer.flow.wait(ready(())))).is_ready());
    let _batch = peer.flow.batch(Vec::new(), Rest::Over);
    assert!(peer.poll(pin!(peer.flow.wait(ready(())))).is_pending());
}

#[test]
fn a_reader_that_waits_is_woken_for_every_reason_that_ends() {
    let peer = Peer::new();
    peer.flow.set_paused(true);
    let batch = peer.flow.batch(Vec::new(), Rest::Over);
    let mut wait = pin!(peer.flow.wait(pending()));
    assert!(peer.poll(wait.as_mut()).is_pending() && !peer.is_woken());
    drop(batch);
    assert!(peer.is_woken() && peer.poll(wait.as_mut()).is_pending());
    peer.flow.set_paused(false);
    assert!(peer.is_woken() && peer.poll(wait.as_mut()).is_ready());
}

/// Lets the outbox of a peer in debt be written to this pipe until the reader may go on.
async fn written_to(peer: &Peer, writer: OwnedFd) -> io::Result<()> {
    let mut wait = pin!(peer.flow.wait(pending()));
    assert!(peer.poll(wait.as_mut()).is_pending(), "it is in debt");
    let writing = peer.outbox.clone().write_to(Sink::of_pipe(writer)?);
    let woken = async {
        tokio::select! {
            () = wait.as_mut() => {}
            _ = writing => wait.await,
        }
    };
    let in_time = timeout(Duration::from_secs(5), woken).await;
    in_time.map_err(|_| io::Error::other("the reader was not woken"))
}

#[tokio::test]
async fn a_reader_in_debt_is_woken_when_the_peer_has_taken_its_answers() -> io::Result<()> {
    let peer = Peer::new();
    peer.served(600, Rest::Over);
    let (_reader, writer) = nix::unistd::pipe()?;
    written_to(&peer, writer).await
}

#[tokio::test]
async fn a_reader_in_debt_is_woken_when_the_peer_takes_nothing_any_more() -> io::Result<()> {
    let peer = Peer::new();
    peer.served(600, Rest::Over);
    let (reader, writer) = nix::unistd::pipe()?;
    drop(reader);
    written_to(&peer, writer).await
}
