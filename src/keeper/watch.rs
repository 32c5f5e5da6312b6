//! The keeper's loop: it waits for the agent's end, goes down the ladder if the
//! bridge is gone, and ends every process that the agent leaves behind.
//!
//! The agent's group is signalled only while the agent is not reaped: until then
//! the system does not use its process id again.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;

use super::descendants::{Reach, Sweep, TreeState};
use super::message::{Lifeline, Order, Received, Report};
use super::obituary::Obituary;
use super::task::{Graces, Task};
use crate::ladder::REST_GRACE;
use crate::processes::dead::{self, Dead};

/// Once the agent has ended, or got SIGKILL, the tree is looked at whenever a child ends, and
/// after this pause, which doubles each time up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A tree that is not gone this long after SIGKILL is stuck.
const STUCK: Duration = Duration::from_secs(2);

/// How far the agent is down the ladder, as far as the keeper knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LadderState {
    /// The bridge is there, and no signal was sent to the agent.
    Serving,
    /// The bridge is gone, and so the agent's stdin has ended.
    ClosingStdin,
    /// The agent's group and every process found below the keeper got SIGTERM.
    Terminated,
    /// The agent has ended, and every process found below the keeper gets SIGTERM.
    EndingRest,
    /// The agent's group got SIGKILL, and every process found below the keeper gets it.
    Killed,
}

pub(super) struct Watch<'a> {
    /// `None`: the bridge is gone.
    lifeline: Option<&'a Lifeline>,
    /// The lock of the daemon's process trees, held for as long as this one may hold
    /// conversations.
    trees: Option<OwnedFd>,
    signals: SignalFd,
    /// The id of the agent's process and group; `None`: the agent is reaped.
    agent: Option<Pid>,
    state: LadderState,
    /// When the keeper takes the next rung; `None`: it waits for an order of the bridge.
    due: Option<Instant>,
    /// When the keeper looks at the tree again; `None`: it does not look at it.
    look: Option<Instant>,
    graces: Graces,
    pause: Duration,
    sweep: Sweep<'a>,
    obituary: Obituary<'a>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        lifeline: &'a Lifeline,
        trees: Option<OwnedFd>,
        signals: SignalFd,
        agent: Pid,
        task: &'a Task,
    ) -> Self {
        Watch {
            lifeline: Some(lifeline),
            trees,
            signals,
            agent: Some(agent),
            state: LadderState::Serving,
            due: None,
            look: None,
            graces: task.graces,
            pause: FIRST_PAUSE,
            sweep: Sweep::new(agent, &task.spare),
            obituary: Obituary::new(agent, task),
        }
    }

    /// Runs until nothing is left of the tree but what is left alone.
    pub(super) fn run(mut self) {
        while self.is_needed() {
            self.wait();
            self.heed_signals();
            self.heed_orders();
            if self.due.is_some_and(|due| now() >= due) {
                self.take_step();
            }
            if self.look.is_some_and(|look| now() >= look) {
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                self.look = after(self.pause);
            }
        }
        self.report(&Report::Gone(self.sweep.swept.clone()));
        self.obituary.write(&self.sweep.swept);
    }

    fn report(&self, report: &Report) {
        if let Some(lifeline) = self.lifeline {
            lifeline.report(report);
        }
    }

    /// Reaps the children that have ended. Returns whether the keeper must stay: until the
    /// agent has ended or got SIGKILL, and then while the tree has processes to be ended.
    fn is_needed(&mut self) -> bool {
        loop {
            match dead::next_dead() {
                Ok(Some(dead)) => {
                    if self.agent == Some(dead.pid) {
                        self.agent_ended(dead);
                    } else {
                        dead::reap(dead.pid);
                    }
                }
                Ok(None) => break,
                Err(Errno::EINTR) => {}
                Err(_) => {
                    self.sweep.swept.spared.clear();
                    return false;
                }
            }
        }
        let signal = match self.state {
            LadderState::Serving | LadderState::ClosingStdin | LadderState::Terminated => {
                return true;
            }
            LadderState::EndingRest => Signal::SIGTERM,
            LadderState::Killed => Signal::SIGKILL,
        };
        // The table changes while it is read: one look may miss a process that is to
        // be ended, so two looks must agree.
        self.sweep.signal_found(signal, Reach::All) == TreeState::Alive
            || self.sweep.signal_found(signal, Reach::All) == TreeState::Alive
            || self.agent.is_some()
    }

    fn agent_ended(&mut self, dead: Dead) {
        // From here on the rest of its group is found by descent: after the reaping the id
        // could belong to another group.
        dead::reap(dead.pid);
        self.agent = None;
        self.obituary.agent_ended(dead.end, now());
        if self.state < LadderState::EndingRest {
            self.enter(LadderState::EndingRest);
            self.due = after(self.graces.term.min(REST_GRACE));
        }
        self.report(&Report::Exited(dead.end));
    }

    /// Waits for a signal, an order, or the time `due`.
    fn wait(&self) {
        let mut sources = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(lifeline) = self.lifeline {
            sources.push(PollFd::new(lifeline.descriptor().as_fd(), PollFlags::POLLIN));
        }
        let timeout = match self.due.into_iter().chain(self.look).min() {
            // `poll` counts whole milliseconds: one more, so as not to wake before `due`.
            Some(due) => {
                let left = due.saturating_duration_since(now()) + Duration::from_millis(1);
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        // The result does not matter: the caller reads all sources in any case.
        let _ = poll(&mut sources, timeout);
    }

    fn heed_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let is_of_child = i32::try_from(signal.ssi_signo) == Ok(Signal::SIGCHLD as i32);
            // Further signals change nothing: a system that shuts down sends several.
            if !is_of_child && self.state < LadderState::Terminated {
                self.terminate();
                self.due = after(self.graces.term);
            }
        }
    }

    fn heed_orders(&mut self) {
        while let Some(lifeline) = self.lifeline {
            match lifeline.hear_order() {
                Received::Message(Order::Terminate) => self.terminate(),
                Received::Message(Order::Kill) => self.kill(),
                Received::Nothing => return,
                Received::End => self.bridge_gone(),
            }
        }
    }

    /// The bridge is gone: the keeper goes down the rest of the ladder by itself.
    fn bridge_gone(&mut self) {
        self.lifeline = None;
        if self.agent.is_some() {
            self.obituary.bridge_gone(now());
        }
        match self.state {
            LadderState::Serving => {
                self.state = LadderState::ClosingStdin;
                self.due = after(self.graces.stdin);
            }
            LadderState::Terminated if self.due.is_none() => self.due = after(self.graces.term),
            LadderState::ClosingStdin
            | LadderState::Terminated
            | LadderState::EndingRest
            | LadderState::Killed => {}
        }
    }

    fn take_step(&mut self) {
        match self.state {
            LadderState::ClosingStdin => {
                self.terminate();
                self.due = after(self.graces.term);
            }
            LadderState::Terminated | LadderState::EndingRest => self.kill(),
            LadderState::Serving => self.due = None,
            LadderState::Killed => {
                // The rest of the tree does not die. It must not hold up a later daemon for ever.
                self.trees = None;
                self.due = None;
            }
        }
    }

    fn terminate(&mut self) {
        if self.state < LadderState::Terminated {
            self.state = LadderState::Terminated;
            self.signal_group(Signal::SIGTERM);
            // Those that have left the group get their time, too.
            self.sweep.signal_found(Signal::SIGTERM, Reach::OutsideGroup);
        }
    }

    fn kill(&mut self) {
        if self.state < LadderState::Killed {
            self.signal_group(Signal::SIGKILL);
            self.enter(LadderState::Killed);
            self.due = after(STUCK);
        }
    }

    /// Enters a state in which the tree is looked at.
    fn enter(&mut self, state: LadderState) {
        self.state = state;
        self.pause = FIRST_PAUSE;
        self.look = after(self.pause);
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(agent) = self.agent {
            // It fails if the group is gone, which is as good.
            let _ = killpg(agent, signal);
        }
    }
}

/// The moment when a pause is over; `None`: too far away to be represented.
fn after(pause: Duration) -> Option<Instant> {
    now().checked_add(pause)
}

#[allow(clippy::disallowed_methods)] // a process of its own, with a clock of its own
fn now() -> Instant {
    Instant::now()
}
