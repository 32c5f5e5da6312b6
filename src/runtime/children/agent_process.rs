//! The handle of an agent: its keeper, or its own process.

use super::child::Child;
#[cfg(target_os = "linux")]
use super::child::Stdios;
#[cfg(target_os = "linux")]
use super::keeper_process::Keeper;
#[cfg(target_os = "linux")]
use super::start::Start;
use super::tree::Trace;
#[cfg(target_os = "linux")]
use crate::keeper::message::Order;

/// The process through which the bridge starts, signals and reaps an agent.
#[derive(Debug)]
pub(super) enum AgentProcess {
    /// A keeper that has not reported the agent's start yet.
    #[cfg(target_os = "linux")]
    Starting(Box<Starting>),
    /// The keeper of a running agent, and the agent's process id.
    #[cfg(target_os = "linux")]
    WithKeeper(Keeper, u32),
    /// The agent itself, a child of the bridge without a keeper.
    WithoutKeeper(Child),
}

/// The state until a keeper has reported how the agent's start went.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) kept: Keeper,
    pub(super) stdios: Stdios,
    pub(super) start: Start,
    /// The strongest order so far, repeated if the agent starts without a keeper.
    pub(super) asked: Option<Order>,
}

impl AgentProcess {
    /// Sends SIGTERM to the agent's group.
    pub(super) fn terminate(&mut self) {
        match self {
            #[cfg(target_os = "linux")]
            AgentProcess::Starting(_) | AgentProcess::WithKeeper(..) => {
                self.order(Order::Terminate);
            }
            AgentProcess::WithoutKeeper(child) => child.terminate(),
        }
    }

    /// Sends SIGKILL to the agent's group; a keeper sends it to the rest of the tree, too.
    pub(super) fn kill(&mut self) {
        match self {
            #[cfg(target_os = "linux")]
            AgentProcess::Starting(_) | AgentProcess::WithKeeper(..) => self.order(Order::Kill),
            AgentProcess::WithoutKeeper(child) => child.kill(),
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn order(&mut self, order: Order) {
        match self {
            AgentProcess::Starting(starting) => {
                starting.asked = starting.asked.max(Some(order));
                starting.kept.order(order);
            }
            AgentProcess::WithKeeper(kept, _) => kept.order(order),
            AgentProcess::WithoutKeeper(child) => match order {
                Order::Terminate => child.terminate(),
                Order::Kill => child.kill(),
            },
        }
    }

    /// The keeper, if there is one.
    #[cfg(target_os = "linux")]
    pub(super) fn keeper(&mut self) -> Option<&mut Keeper> {
        match self {
            AgentProcess::Starting(starting) => Some(&mut starting.kept),
            AgentProcess::WithKeeper(kept, _) => Some(kept),
            AgentProcess::WithoutKeeper(_) => None,
        }
    }

    /// Closes the lifeline, if there is a keeper, and returns the keeper's process.
    #[cfg(target_os = "linux")]
    pub(super) fn into_keeper(self) -> Option<std::process::Child> {
        match self {
            AgentProcess::Starting(starting) => Some(starting.kept.let_go()),
            AgentProcess::WithKeeper(kept, _) => Some(kept.let_go()),
            AgentProcess::WithoutKeeper(_) => None,
        }
    }

    /// The process id of the child of the bridge: of the keeper, or of the agent.
    #[cfg(target_os = "linux")]
    pub(super) fn own_child(&self) -> u32 {
        match self {
            AgentProcess::Starting(starting) => starting.kept.pid(),
            AgentProcess::WithKeeper(kept, _) => kept.pid(),
            AgentProcess::WithoutKeeper(child) => child.pid(),
        }
    }

    /// The agent's process id, once it is known.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            #[cfg(target_os = "linux")]
            AgentProcess::Starting(_) => None,
            #[cfg(target_os = "linux")]
            AgentProcess::WithKeeper(_, pid) => Some(*pid),
            AgentProcess::WithoutKeeper(child) => Some(child.pid()),
        }
    }

    /// The process group that got SIGTERM as a whole, if the agent has ended without a keeper.
    pub(super) fn terminated_group(&self) -> Option<u32> {
        match self {
            #[cfg(target_os = "linux")]
            AgentProcess::Starting(_) | AgentProcess::WithKeeper(..) => None,
            AgentProcess::WithoutKeeper(child) => Some(child.pid()),
        }
    }

    /// How the processes of the agent's tree are found.
    pub(super) fn trace(&self) -> Trace {
        match self {
            #[cfg(target_os = "linux")]
            AgentProcess::Starting(starting) => Trace::Keeper(starting.kept.pid()),
            #[cfg(target_os = "linux")]
            AgentProcess::WithKeeper(kept, _) => Trace::Keeper(kept.pid()),
            AgentProcess::WithoutKeeper(child) => Trace::Cookie(child.cookie().to_owned()),
        }
    }
}
