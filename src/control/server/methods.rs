//! The methods of the control API: each asks the loop, and adds what the system shows.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jsonrpsee::core::{RpcResult, SubscriptionResult, async_trait};
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use jsonrpsee::{PendingSubscriptionSink, SubscriptionSink};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::connection::FAULT;
use super::metrics;
use super::weight::Scales;
use crate::api::{
    BridgeEvent, BridgeStatus, Cancelled, ChannelStatus, ClientStatus, Closed, ConfigValue,
    Explanation, Fault, FaultData, FaultKind, Retirement, Saving, Sessions, Status, Stop, Stopped,
};
use crate::control::rpc::ControlApiServer;
use crate::processes;
use crate::runtime::{Health, Inquiry, Reply, Snapshot, Trace};

/// The time for the loop to answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// The time for one that follows the events to take one.
const LONGEST_EVENT: Duration = Duration::from_secs(5);

/// The things that the methods work with.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) to_loop: mpsc::Sender<Inquiry>,
    pub(super) bridge: BridgeStatus,
    pub(super) config: watch::Receiver<Vec<ConfigValue>>,
    /// The address of the listener for HTTP, once it is bound.
    pub(super) http: Arc<OnceLock<SocketAddr>>,
}

impl Context {
    /// Asks the loop.
    async fn ask<T>(&self, inquiry: impl FnOnce(Reply<T>) -> Inquiry) -> RpcResult<T> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.to_loop.send(inquiry(reply)).await.ok()?;
            answer.await.ok()
        };
        let answer = timeout(LONGEST_ANSWER, asked).await.ok().flatten();
        answer.ok_or_else(|| {
            let message = "The bridge ends, or is too busy to answer.";
            error(Fault::new(FaultKind::NotAnswering, message))
        })
    }

    /// The events from now on.
    pub(super) async fn follow(&self) -> RpcResult<broadcast::Receiver<BridgeEvent>> {
        self.ask(Inquiry::Follow).await
    }

    /// Whether the bridge goes on.
    pub(super) async fn health(&self) -> RpcResult<Health> {
        self.ask(Inquiry::Health).await
    }

    /// The measures as text.
    pub(super) async fn measures(&self) -> RpcResult<String> {
        let (figures, channels) = self.ask(Inquiry::Figures).await?;
        Ok(metrics::text(&figures, &weighed(channels)))
    }

    async fn snapshot(&self) -> RpcResult<Status> {
        let snapshot = self.ask(Inquiry::Snapshot).await?;
        let Snapshot { age_ms, is_ending, is_leaving, counts, mut agents, channels, mut clients } =
            snapshot;
        let channels = weighed(channels);
        for agent in &mut agents {
            let own = channels.iter().filter(|channel| channel.agent == agent.name);
            agent.saving = agent.saving.map(|saving| estimated(saving, own));
        }
        clients.iter_mut().for_each(name_program);
        let bridge = BridgeStatus {
            age_ms,
            is_ending,
            is_leaving,
            metrics: self.http.get().map(ToString::to_string),
            memory_bytes: processes::memory(self.bridge.pid),
            ..self.bridge.clone()
        };
        Ok(Status { bridge, counts, agents, channels, clients })
    }
}

/// The channels with the weight of their processes.
fn weighed(channels: Vec<(ChannelStatus, Option<Trace>)>) -> Vec<ChannelStatus> {
    let scales = Scales::new();
    let weighed = channels.into_iter().map(|(mut channel, trace)| {
        scales.weigh(&mut channel, trace.as_ref());
        channel
    });
    weighed.collect()
}

/// A saving with its memory: that of the running processes on average.
fn estimated<'a>(saving: Saving, channels: impl Iterator<Item = &'a ChannelStatus>) -> Saving {
    let weights: Vec<u64> = channels
        .filter_map(|channel| channel.tree.map(|tree| tree.memory_bytes))
        .filter(|bytes| *bytes > 0)
        .collect();
    let average = weights.iter().sum::<u64>().checked_div(weights.len() as u64);
    Saving { memory_bytes: average.map(|bytes| bytes * saving.processes as u64), ..saving }
}

/// Adds the name of a client's program; one that is gone is not named.
fn name_program(client: &mut ClientStatus) {
    client.program = client.program.take().and_then(|mut program| {
        program.name = processes::at(program.pid)?.name;
        Some(program)
    });
}

fn error(fault: Fault) -> ErrorObjectOwned {
    ErrorObject::owned(FAULT, fault.message, Some(FaultData { kind: fault.kind }))
}

#[async_trait]
impl ControlApiServer for Context {
    async fn status(&self) -> RpcResult<Status> {
        self.snapshot().await
    }

    async fn sessions(&self, after: Option<u64>, limit: Option<usize>) -> RpcResult<Sessions> {
        self.ask(|reply| Inquiry::Sessions { after, limit, reply }).await
    }

    async fn channels(&self) -> RpcResult<Vec<ChannelStatus>> {
        Ok(self.snapshot().await?.channels)
    }

    async fn clients(&self) -> RpcResult<Vec<ClientStatus>> {
        Ok(self.snapshot().await?.clients)
    }

    async fn explain(&self, channel: Option<String>) -> RpcResult<Vec<Explanation>> {
        let explained = self.ask(|reply| Inquiry::Explain { channel, reply }).await?;
        let scales = Scales::new();
        let explained = explained.map_err(error)?.into_iter().map(|(mut explanation, trace)| {
            scales.weigh(&mut explanation.channel, trace.as_ref());
            explanation.processes = scales.processes(trace.as_ref());
            explanation
        });
        Ok(explained.collect())
    }

    async fn close_session(&self, session: String) -> RpcResult<Closed> {
        self.ask(|reply| Inquiry::Close { session, reply }).await?.map_err(error)
    }

    async fn cancel_turn(&self, session: Option<String>) -> RpcResult<Cancelled> {
        self.ask(|reply| Inquiry::Cancel { session, reply }).await?.map_err(error)
    }

    async fn retire_channel(&self, channel: String, how: Retirement) -> RpcResult<ChannelStatus> {
        let retired = self.ask(|reply| Inquiry::Retire { channel, how, reply }).await?;
        let (mut status, trace) = retired.map_err(error)?;
        Scales::new().weigh(&mut status, trace.as_ref());
        Ok(status)
    }

    async fn config(&self) -> RpcResult<Vec<ConfigValue>> {
        Ok(self.config.borrow().clone())
    }

    async fn reload(&self) -> RpcResult<()> {
        let reloaded = self.ask(Inquiry::Reload).await?;
        reloaded.map_err(|why| error(Fault::new(FaultKind::NotReloaded, why)))
    }

    async fn metrics(&self) -> RpcResult<String> {
        self.measures().await
    }

    async fn stop(&self, how: Stop) -> RpcResult<Stopped> {
        self.ask(|reply| Inquiry::Stop { how, reply }).await
    }

    async fn events(&self, pending: PendingSubscriptionSink) -> SubscriptionResult {
        match self.follow().await {
            Ok(events) => pass_on(events, pending.accept().await?).await,
            Err(error) => {
                pending.reject(error).await;
                Ok(())
            }
        }
    }
}

/// Passes events on until the subscriber has enough; one that does not read is cut off.
async fn pass_on(
    mut events: broadcast::Receiver<BridgeEvent>,
    sink: SubscriptionSink,
) -> SubscriptionResult {
    loop {
        let event = tokio::select! {
            () = sink.closed() => return Ok(()),
            event = events.recv() => event,
        };
        match event {
            Ok(event) => {
                let message = serde_json::value::to_raw_value(&event)?;
                if sink.send_timeout(message, LONGEST_EVENT).await.is_err() {
                    return Err("too_slow: the events were not read for 5 seconds".into());
                }
            }
            Err(RecvError::Lagged(missed)) => {
                return Err(format!("too_slow: {missed} events were not read in time").into());
            }
            Err(RecvError::Closed) => return Err("ended: the bridge has ended".into()),
        }
    }
}
