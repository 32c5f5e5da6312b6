//! The messages between bridge and keeper: orders and reports, one datagram each.
//!
//! Both ends are the same program, started from the same image, so the format
//! need not be stable. A datagram that cannot be read counts as the end of its
//! sender.
//!
//! Written by hand: so few bytes need no serialiser in the keeper.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};

use crate::processes::Swept;
use crate::processes::dead::End;

/// The size of the receive buffer in bytes: more than any datagram has.
const RECEIVE_BYTES: usize = 2048;
/// The most names in one report. A name has at most 15 bytes; one that is not
/// UTF-8 becomes at most three times as long.
const NAMES: usize = 32;

/// A report of a keeper to its bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The system refuses what a keeper needs, with this `errno` (0: none is
    /// known). There is no agent; the keeper ends.
    Refused(Need, i32),
    /// The agent could not be started, with this `errno`. The keeper ends.
    Failed(StartFault, i32),
    /// The agent runs, with this process id.
    Started(u32),
    /// The agent has ended, its group got SIGKILL, and it is reaped.
    Exited(End),
    /// Nothing is left of its tree but what is left alone. The keeper ends.
    Gone(Swept),
}

/// A facility of the operating system that a keeper cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To read signals from a descriptor.
    Signals,
    /// To adopt the orphans of the agent's tree.
    Orphans,
    /// To read the process table.
    Table,
}

impl Need {
    /// Says in words that the system refuses it.
    pub const fn words(self) -> &'static str {
        match self {
            Need::Signals => "signals cannot be read",
            Need::Orphans => "it cannot be the parent of orphans",
            Need::Table => "there is no process table",
        }
    }
}

/// Why an agent could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFault {
    /// Its working directory is no directory.
    Directory,
    /// Its program could not be run.
    Program,
}

/// An order of the bridge to a keeper. A later variant is the stronger order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// SIGTERM to the agent's group and to all processes of the tree that left it.
    Terminate,
    /// SIGKILL to the group and to all processes of the tree that left it.
    Kill,
}

impl Report {
    fn bytes(&self) -> Vec<u8> {
        let tagged = |tags: [u8; 2], number: i32| [&tags[..], &number.to_ne_bytes()].concat();
        match self {
            Report::Refused(need, errno) => tagged([0, *need as u8], *errno),
            Report::Failed(fault, errno) => tagged([1, *fault as u8], *errno),
            Report::Started(pid) => tagged([2, 0], pid.cast_signed()),
            Report::Exited(End::Code(code)) => tagged([3, 0], *code),
            Report::Exited(End::Signal(signal)) => tagged([3, 1], *signal),
            Report::Gone(swept) => {
                let spared = swept.spared.len().min(NAMES);
                let mut bytes = tagged([4, 0], swept.ended.cast_signed());
                bytes.extend_from_slice(swept.spared[..spared].join("\n").as_bytes());
                bytes
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<Report> {
        let ([tag, kind], rest) = bytes.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let number = i32::from_ne_bytes(*number);
        Some(match (tag, kind) {
            (0, kind) => {
                let needs = [Need::Signals, Need::Orphans, Need::Table];
                Report::Refused(*needs.get(usize::from(*kind))?, number)
            }
            (1, 0) => Report::Failed(StartFault::Directory, number),
            (1, 1) => Report::Failed(StartFault::Program, number),
            (2, _) => Report::Started(number.cast_unsigned()),
            (3, 0) => Report::Exited(End::Code(number)),
            (3, 1) => Report::Exited(End::Signal(number)),
            (4, _) => {
                let names = String::from_utf8_lossy(rest);
                let spared = names.split('\n').filter(|name| !name.is_empty());
                let spared = spared.map(str::to_owned).collect();
                Report::Gone(Swept { ended: number.cast_unsigned(), spared })
            }
            _ => return None,
        })
    }
}

/// One end of the lifeline between a bridge and a keeper. Datagrams that the other
/// side sent before it closed its end are received before [`Received::End`].
#[derive(Debug)]
pub struct Lifeline(OwnedFd);

/// The result of one attempt to receive a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// This message.
    Message(T),
    /// Nothing was sent yet.
    Nothing,
    /// The other end is gone.
    End,
}

impl Lifeline {
    /// Creates a lifeline: the bridge's end, and the keeper's. Both are close-on-exec.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn pair() -> io::Result<(Lifeline, Lifeline)> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok((Lifeline(pair.0), Lifeline(pair.1)))
    }

    /// The end that has this descriptor.
    pub fn of(descriptor: OwnedFd) -> Lifeline {
        Lifeline(descriptor)
    }

    /// A second handle of the same end.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn again(&self) -> io::Result<Lifeline> {
        self.0.try_clone().map(Lifeline)
    }

    /// The descriptor.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    /// Sends a report to the bridge, without waiting. It is lost if the bridge is
    /// gone, or so slow that the lifeline is full.
    pub fn report(&self, report: &Report) {
        self.say(&report.bytes());
    }

    /// Sends an order to the keeper; lost under the same conditions as a report.
    pub fn order(&self, order: Order) {
        self.say(&[order as u8]);
    }

    fn say(&self, bytes: &[u8]) {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let _ = send(self.0.as_raw_fd(), bytes, flags);
    }

    /// Receives the next report of the keeper, without waiting.
    pub fn hear_report(&self) -> Received<Report> {
        self.hear(Report::read)
    }

    /// Receives the next order of the bridge, without waiting.
    pub fn hear_order(&self) -> Received<Order> {
        self.hear(|bytes| match bytes {
            [0] => Some(Order::Terminate),
            [1] => Some(Order::Kill),
            _ => None,
        })
    }

    fn hear<T>(&self, read: impl FnOnce(&[u8]) -> Option<T>) -> Received<T> {
        let mut room = [0; RECEIVE_BYTES];
        loop {
            return match recv(self.0.as_raw_fd(), &mut room, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => read(&room[..length]).map_or(Received::End, Received::Message),
                // A side that ends before it has read everything resets the connection: that is
                // said once, before what it sent itself.
                Err(Errno::EINTR | Errno::ECONNRESET) => continue,
                Err(Errno::EAGAIN) => Received::Nothing,
                Err(_) => Received::End,
            };
        }
    }
}

impl AsRawFd for Lifeline {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_and_then_the_end() -> io::Result<()> {
        let (bridge, keeper) = Lifeline::pair()?;
        let spared = vec!["tmux: server".to_owned(), "ssh".to_owned()];
        let reports = [
            Report::Refused(Need::Signals, 1),
            Report::Refused(Need::Orphans, 22),
            Report::Refused(Need::Table, 2),
            Report::Failed(StartFault::Directory, 2),
            Report::Failed(StartFault::Program, 13),
            Report::Started(u32::MAX),
            Report::Exited(End::Code(255)),
            Report::Exited(End::Signal(9)),
            Report::Gone(Swept::default()),
            Report::Gone(Swept { ended: 3, spared }),
        ];
        for report in &reports {
            keeper.report(report);
        }
        bridge.order(Order::Terminate);
        bridge.order(Order::Kill);
        assert_eq!(keeper.hear_order(), Received::Message(Order::Terminate));
        assert_eq!(keeper.hear_order(), Received::Message(Order::Kill));
        assert_eq!(keeper.hear_order(), Received::Nothing);
        drop(keeper);
        for report in reports {
            assert_eq!(bridge.hear_report(), Received::Message(report));
        }
        assert_eq!(bridge.hear_report(), Received::End);
        bridge.order(Order::Kill);
        Ok(())
    }

    #[test]
    fn the_reports_of_a_keeper_that_ended_before_it_heard_an_order_are_heard() -> io::Result<()> {
        let (bridge, keeper) = Lifeline::pair()?;
        bridge.order(Order::Terminate);
        keeper.report(&Report::Exited(End::Code(0)));
        drop(keeper);
        assert_eq!(bridge.hear_report(), Received::Message(Report::Exited(End::Code(0))));
        assert_eq!(bridge.hear_report(), Received::End);
        Ok(())
    }

    #[test]
    fn a_report_of_many_names_fits() -> io::Result<()> {
        let (bridge, keeper) = Lifeline::pair()?;
        let spared = vec!["\u{fffd}".repeat(15); 1000];
        keeper.report(&Report::Gone(Swept { ended: 1, spared: spared.clone() }));
        let heard = Swept { ended: 1, spared: spared[..NAMES].to_vec() };
        assert_eq!(bridge.hear_report(), Received::Message(Report::Gone(heard)));
        Ok(())
    }
}
