//! The methods of the control socket, from which both its server and its client are made.

use jsonrpsee::core::{RpcResult, SubscriptionResult};
use jsonrpsee::proc_macros::rpc;

use crate::api::{
    BridgeEvent, Cancelled, ChannelStatus, ClientStatus, Closed, ConfigValue, Explanation,
    Retirement, Sessions, Status, Stop, Stopped,
};

/// The control API of a bridge.
#[rpc(server, client, namespace = "bridge")]
pub trait ControlApi {
    /// The bridge, its agents, channels and clients at this moment.
    #[method(name = "status")]
    async fn status(&self) -> RpcResult<Status>;

    /// A page of the sessions: those behind the one with the number `after`, at most `limit`
    /// (1000).
    #[method(name = "sessions", param_kind = map)]
    async fn sessions(&self, after: Option<u64>, limit: Option<usize>) -> RpcResult<Sessions>;

    /// The channels.
    #[method(name = "channels")]
    async fn channels(&self) -> RpcResult<Vec<ChannelStatus>>;

    /// The clients.
    #[method(name = "clients")]
    async fn clients(&self) -> RpcResult<Vec<ClientStatus>>;

    /// Why a channel is alive, or each of them.
    #[method(name = "explain", param_kind = map)]
    async fn explain(&self, channel: Option<String>) -> RpcResult<Vec<Explanation>>;

    /// Closes a session, by its id or its name in the bridge.
    #[method(name = "closeSession", param_kind = map)]
    async fn close_session(&self, session: String) -> RpcResult<Closed>;

    /// Cancels the turn of a session, or those of all.
    #[method(name = "cancelTurn", param_kind = map)]
    async fn cancel_turn(&self, session: Option<String>) -> RpcResult<Cancelled>;

    /// Takes a channel out of service.
    #[method(name = "retireChannel", param_kind = map)]
    async fn retire_channel(&self, channel: String, how: Retirement) -> RpcResult<ChannelStatus>;

    /// The value of every option that the bridge works with, and its origin.
    #[method(name = "config")]
    async fn config(&self) -> RpcResult<Vec<ConfigValue>>;

    /// Makes a daemon read its configuration again.
    #[method(name = "reload")]
    async fn reload(&self) -> RpcResult<()>;

    /// The measures since the start, in the text format of Prometheus.
    #[method(name = "metrics")]
    async fn metrics(&self) -> RpcResult<String>;

    /// Ends the bridge.
    #[method(name = "stop", param_kind = map)]
    async fn stop(&self, how: Stop) -> RpcResult<Stopped>;

    /// Tells everything that happens from now on.
    #[subscription(
        name = "subscribeEvents" => "events",
        unsubscribe = "unsubscribeEvents",
        item = BridgeEvent
    )]
    async fn events(&self) -> SubscriptionResult;
}
