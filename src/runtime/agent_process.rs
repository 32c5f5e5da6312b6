//! What the bridge has of an agent: its keeper, or the process itself.

use super::child::Child;
#[cfg(target_os = "linux")]
use super::child::Stdios;
#[cfg(target_os = "linux")]
use super::keeper_process::Keeper;
use super::tree::Trace;
#[cfg(target_os = "linux")]
use crate::keeper::message::Order;

/// By what an agent is held.
#[derive(Debug)]
pub(super) enum AgentProcess {
    /// A keeper is about to start it.
    #[cfg(target_os = "linux")]
    Starting(Box<Starting>),
    /// A keeper has started it, as the process with this id.
    #[cfg(target_os = "linux")]
    Kept(Keeper, u32),
    /// It is a child of ours.
    Own(Child),
}

/// What is needed until a keeper has said how the start went.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) kept: Keeper,
    pub(super) stdios: Stdios,
    pub(super) cwd: String,
    /// The last that it was told to do.
    pub(super) asked: Option<Order>,
}

impl AgentProcess {
    /// SIGTERM to the agent's group.
    pub(super) fn terminate(&mut self) {
        match self {
            #[cfg(target_os = "linux")]
            AgentProcess::Starting(_) | AgentProcess::Kept(..) => self.order(Order::Terminate),
            AgentProcess::Own(child) => child.terminate(),
        }
    }

    /// SIGKILL to the agent's group; a keeper sends it to what left the group, too.
    pub(super) fn kill(&mut self) {
        match self {
            #[cfg(target_os = "linux")]
            AgentProcess::Starting(_) | AgentProcess::Kept(..) => self.order(Order::Kill),
            AgentProcess::Own(child) => child.kill(),
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn order(&mut self, order: Order) {
        match self {
            AgentProcess::Starting(starting) => {
                starting.asked = starting.asked.max(Some(order));
                starting.kept.order(order);
            }
            AgentProcess::Kept(kept, _) => kept.order(order),
            AgentProcess::Own(child) => match order {
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
            AgentProcess::Kept(kept, _) => Some(kept),
            AgentProcess::Own(_) => None,
        }
    }

    /// The process of the keeper, if there is one, which is left to itself.
    #[cfg(target_os = "linux")]
    pub(super) fn into_keeper(self) -> Option<std::process::Child> {
        match self {
            AgentProcess::Starting(starting) => Some(starting.kept.let_go()),
            AgentProcess::Kept(kept, _) => Some(kept.let_go()),
            AgentProcess::Own(_) => None,
        }
    }

    /// The agent's process id, once it is known.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            #[cfg(target_os = "linux")]
            AgentProcess::Starting(_) => None,
            #[cfg(target_os = "linux")]
            AgentProcess::Kept(_, pid) => Some(*pid),
            AgentProcess::Own(child) => Some(child.pid()),
        }
    }

    /// How the agent's tree is found.
    pub(super) fn trace(&self) -> Trace {
        match self {
            #[cfg(target_os = "linux")]
            AgentProcess::Starting(starting) => Trace::Keeper(starting.kept.pid()),
            #[cfg(target_os = "linux")]
            AgentProcess::Kept(kept, _) => Trace::Keeper(kept.pid()),
            AgentProcess::Own(child) => Trace::Cookie(child.cookie().to_owned()),
        }
    }
}
