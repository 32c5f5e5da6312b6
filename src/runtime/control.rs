//! The answers of the loop to the control socket.

use std::future::pending;

use super::Loop;
use super::connection::DoorOrder;
use super::hosting::{EDITOR, Hosting};
use super::inquiry::{ControlPort, Figures, Health, Inquiry, Snapshot, Traced};
use crate::api::{
    Cancelled, ChannelStatus, ClientStatus, Closed, Counts, Explanation, Fault, FaultKind, Program,
    Retirement, Stop, Stopped, StoppedHow, Tree,
};
use crate::bridge::{ChannelId, ClientId, Event, Order, SessionKey, ShutdownCause, View};

/// The most sessions, and the most requests, of one answer with explanations.
const MOST_ROWS: usize = 1000;

impl ControlPort {
    /// The next question or order; none comes where there is no control socket.
    pub(super) async fn next(port: &mut Option<ControlPort>) -> Inquiry {
        match port {
            Some(open) => match open.inquiries.recv().await {
                Some(inquiry) => inquiry,
                None => {
                    *port = None;
                    pending().await
                }
            },
            None => pending().await,
        }
    }
}

impl Loop {
    fn view(&self) -> View<'_> {
        self.bridge.view(self.clock.now())
    }

    /// Answers a question, or obeys an order.
    pub(super) fn inquired(&mut self, inquiry: Inquiry) {
        if inquiry.is_abandoned_order() {
            return;
        }
        // Whoever has asked may be gone.
        match inquiry {
            Inquiry::Snapshot(reply) => drop(reply.send(self.snapshot())),
            Inquiry::Sessions { after, limit, reply } => {
                drop(reply.send(self.view().sessions(after, limit)));
            }
            Inquiry::Explain { channel, reply } => drop(reply.send(self.explain(channel))),
            Inquiry::Close { session, reply } => drop(reply.send(self.close(&session))),
            Inquiry::Cancel { session, reply } => drop(reply.send(self.cancel(session))),
            Inquiry::Retire { channel, how, reply } => drop(reply.send(self.retire(&channel, how))),
            Inquiry::Stop { how, reply } => drop(reply.send(self.stop(how))),
            Inquiry::Reload(reply) => match &self.hosting {
                Hosting::Many(host) => host.order(DoorOrder::Reload(Some(reply))),
                Hosting::Editor => {
                    let why = "a bridge that serves one editor reads its configuration at its \
                               start; restart the editor's session";
                    drop(reply.send(Err(why.to_owned())));
                }
            },
            Inquiry::Health(reply) => {
                let is_draining = self.bridge.is_ending() || self.view().is_leaving();
                drop(reply.send(Health { is_draining, counts: self.counts() }));
            }
            Inquiry::Figures(reply) => drop(reply.send(self.figures())),
            Inquiry::Follow(reply) => {
                let events = self.events.follow();
                self.handle_event(Event::Followed(true));
                drop(reply.send(events));
            }
        }
    }

    fn counts(&self) -> Counts {
        Counts { queued_bytes: self.sum.bytes() as u64, ..self.view().counts() }
    }

    fn channels(&self) -> Vec<Traced<ChannelStatus>> {
        self.view().channel_ids().into_iter().filter_map(|id| self.channel(id)).collect()
    }

    /// A channel with what the runtime knows of it, and the way to find its processes.
    fn channel(&self, id: ChannelId) -> Option<Traced<ChannelStatus>> {
        self.view().channel(id).map(|status| self.of_system(id, status))
    }

    fn figures(&self) -> (Figures, Vec<Traced<ChannelStatus>>) {
        let figures = Figures {
            counts: self.counts(),
            in_state: self.view().sessions_by_state(),
            counters: self.bridge.counters(),
            measures: self.bridge.measures().clone(),
            traffic: self.tap.traffic,
        };
        (figures, self.channels())
    }

    fn snapshot(&self) -> Snapshot {
        let view = self.view();
        Snapshot {
            age_ms: self.clock.now().as_millis(),
            is_ending: self.bridge.is_ending(),
            is_leaving: view.is_leaving(),
            counts: self.counts(),
            agents: view.agents(),
            channels: self.channels(),
            clients: view.clients().map(|(id, status)| self.client_of_system(id, status)).collect(),
        }
    }

    fn of_system(&self, id: ChannelId, mut status: ChannelStatus) -> Traced<ChannelStatus> {
        status.queued_bytes = self.children.waiting(id) as u64;
        status.tree = self.children.pid(id).map(|pid| Tree {
            pid,
            keeper: self.children.keeper(id),
            processes: 0,
            memory_bytes: 0,
            worked_ms: 0,
        });
        (status, self.children.trace(id))
    }

    fn client_of_system(&self, id: ClientId, mut status: ClientStatus) -> ClientStatus {
        status.queued_bytes = self.clients.waiting(id) as u64;
        let pid = match id {
            EDITOR => Some(std::os::unix::process::parent_id()),
            _ => self.editors.pid(id),
        };
        status.program = pid.map(|pid| Program { pid, name: String::new() });
        status
    }

    fn explain(&self, channel: Option<String>) -> Result<Vec<Traced<Explanation>>, Fault> {
        let view = self.view();
        let channels: Vec<ChannelId> = match channel {
            Some(name) => vec![channel_named(view, &name)?],
            None => view.channel_ids(),
        };
        let mut left = MOST_ROWS;
        let explained = channels.into_iter().filter_map(|id| {
            let mut explanation = view.explain(id, left)?;
            left -= explanation.sessions.len().max(explanation.requests.len());
            let (channel, trace) = self.of_system(id, explanation.channel);
            explanation.channel = channel;
            Some((explanation, trace))
        });
        Ok(explained.collect())
    }

    fn close(&mut self, name: &str) -> Result<Closed, Fault> {
        let key = session_named(self.view(), name)?;
        let in_turn = self.view().is_in_turn(key);
        self.handle_event(Event::Operator(Order::Close(key)));
        Ok(Closed { key: key.to_string(), in_turn })
    }

    fn cancel(&mut self, name: Option<String>) -> Result<Cancelled, Fault> {
        let keys = match name {
            Some(name) => vec![session_named(self.view(), &name)?],
            None => self.view().sessions_at_work(),
        };
        let keys: Vec<_> = keys.into_iter().filter(|key| self.view().is_at_work(*key)).collect();
        for key in &keys {
            self.handle_event(Event::Operator(Order::CancelTurn(*key)));
        }
        Ok(Cancelled { sessions: keys.iter().map(ToString::to_string).collect() })
    }

    fn retire(&mut self, name: &str, how: Retirement) -> Result<Traced<ChannelStatus>, Fault> {
        let channel = channel_named(self.view(), name)?;
        if let (Retirement::Drain, Some(why)) = (how, self.view().obstacle_to_drain(channel)) {
            let message = format!("{channel} cannot be drained: {why}. --now stops it at once.");
            return Err(Fault::new(FaultKind::NotDrainable, message));
        }
        self.handle_event(Event::Operator(match how {
            Retirement::Drain => Order::Drain(channel),
            Retirement::Now => Order::Stop(channel),
        }));
        // One that never ran is gone already.
        let gone = || Fault::new(FaultKind::UnknownChannel, format!("{channel} is gone."));
        self.channel(channel).ok_or_else(gone)
    }

    fn stop(&mut self, how: Stop) -> Stopped {
        let unfinished = self.view().unfinished();
        let is_idle = unfinished.is_idle();
        let may_end = match how {
            Stop::IfIdle => is_idle,
            Stop::IfUnused => is_idle && unfinished.sessions == unfinished.kept,
            Stop::WhenIdle | Stop::Now => true,
        };
        let how = match how {
            _ if !may_end => StoppedHow::Refused,
            Stop::Now => {
                self.handle_event(Event::Shutdown(ShutdownCause::Operator));
                StoppedHow::Ends
            }
            _ => {
                self.handle_event(Event::Operator(Order::EndWhenIdle));
                if is_idle { StoppedHow::Ends } else { StoppedHow::EndsWhenIdle }
            }
        };
        Stopped { how, unfinished }
    }
}

fn channel_named(view: View<'_>, name: &str) -> Result<ChannelId, Fault> {
    view.channel_named(name).ok_or_else(|| {
        let message = format!("There is no channel {name}. `drawbridge status` names them.");
        Fault::new(FaultKind::UnknownChannel, message)
    })
}

fn session_named(view: View<'_>, name: &str) -> Result<SessionKey, Fault> {
    match view.sessions_named(name).as_slice() {
        [key] => Ok(*key),
        [] => {
            let message =
                format!("There is no live session {name}. `drawbridge sessions` names them.");
            Err(Fault::new(FaultKind::UnknownSession, message))
        }
        keys => {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            let message = format!(
                "Several sessions have the id {name}: {}. Name the one that you mean.",
                keys.join(", ")
            );
            Err(Fault::new(FaultKind::AmbiguousSession, message))
        }
    }
}
