//! A look at all bridges that are shown, and the events between two looks.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use crate::api::{BridgeEvent, SessionStatus};
use crate::cli::tools::args::Which;
use crate::cli::tools::bridges::{Bridge, Bridges, sentence};
use crate::cli::tools::sight::all_sessions;
use crate::control::ControlApiClient;

/// One bridge, as it is at one moment.
pub(super) struct Look {
    pub(super) bridge: Arc<Bridge>,
    pub(super) sessions: Vec<SessionStatus>,
}

/// A thing that comes between two looks.
pub(super) enum News {
    /// Something happened in the bridge with this process id.
    Event(u32, Box<BridgeEvent>),
    /// The events of that bridge are not followed any more.
    Unfollowed(u32),
    /// The effect of an order.
    Said(String),
    /// The explanation of a channel.
    Explained(String),
}

/// Looks at the bridges that are meant; at all of them if none is named.
///
/// # Errors
/// Why nothing is seen, for people.
pub(super) async fn look(which: &Which) -> Result<Vec<Look>, String> {
    let reached = Bridges::reached().await;
    let bridges = match (&which.bridge, &which.socket) {
        (None, None) if !reached.all.is_empty() => reached.all,
        _ => reached.meant(which).map_err(|failure| failure.to_string())?,
    };
    let mut looks = Vec::new();
    for bridge in bridges {
        // One that ends meanwhile is not shown.
        if let Ok(sessions) = all_sessions(&bridge.link).await {
            looks.push(Look { bridge: Arc::new(bridge), sessions });
        }
    }
    Ok(looks)
}

/// Passes the events of a bridge on until it ends. Those that nobody takes are lost.
pub(super) async fn follow(bridge: Arc<Bridge>, to: Sender<News>) {
    let pid = bridge.pid();
    match bridge.link.events().await {
        Ok(mut events) => {
            while let Some(Ok(event)) = events.next().await {
                let _ = to.try_send(News::Event(pid, Box::new(event)));
            }
        }
        Err(error) => {
            let _ = to.try_send(News::Said(sentence(&error)));
        }
    }
    let _ = to.send(News::Unfollowed(pid)).await;
}
