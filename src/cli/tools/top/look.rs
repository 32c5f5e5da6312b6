//! A look at all bridges that are shown, and the events between two looks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::api::{BridgeEvent, SessionStatus};
use crate::cli::tools::args::Which;
use crate::cli::tools::bridges::{Bridge, Bridges, Failure, sentence};
use crate::cli::tools::sight::all_sessions;
use crate::control::ControlApiClient;
use crate::control::report::one_line;

/// The time for each answer of a bridge: one that hangs must not hold up the others.
const ANSWER: Duration = Duration::from_secs(2);

/// All bridges that are seen, and why others are not.
pub(super) struct Sight {
    pub(super) looks: Vec<Look>,
    pub(super) refusals: Vec<String>,
}

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
/// If there is none.
pub(super) async fn look(which: &Which) -> Result<Sight, Failure> {
    let mut reached = Bridges::reached_within(ANSWER).await;
    let mut refusals = reached.refusals.clone();
    let bridges = match (&which.bridge, &which.socket) {
        (None, None) if !reached.all.is_empty() => std::mem::take(&mut reached.all),
        _ => {
            refusals.clear();
            reached.meant(which)?
        }
    };
    let mut asked = JoinSet::new();
    for bridge in bridges {
        asked.spawn(async move {
            let sessions = timeout(ANSWER, all_sessions(&bridge.link)).await;
            (bridge, sessions)
        });
    }
    let mut looks = Vec::new();
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((bridge, Ok(Ok(sessions)))) => {
                looks.push(Look { bridge: Arc::new(bridge), sessions });
            }
            // It ends meanwhile.
            Ok((_, Ok(Err(_)))) => {}
            Ok((bridge, Err(_))) => {
                refusals.push(format!("the bridge {} does not answer", bridge.pid()));
            }
            Err(error) => refusals.push(error.to_string()),
        }
    }
    looks.sort_by_key(|look| (!look.bridge.is_daemon(), look.bridge.pid()));
    Ok(Sight { looks, refusals })
}

/// Passes the events of a bridge on until it ends. Those that nobody takes are lost.
pub(super) async fn follow(bridge: Arc<Bridge>, to: Sender<News>) {
    let pid = bridge.pid();
    match bridge.link.events().await {
        Ok(mut events) => {
            while let Some(Ok(event)) = events.next().await {
                let _ = to.try_send(News::Event(pid, Box::new(event)));
            }
            let _ = to.send(News::Unfollowed(pid)).await;
        }
        // It is not asked again.
        Err(error) => {
            let why = one_line(&sentence(&error));
            let _ = to.try_send(News::Said(format!("no events of the bridge {pid}: {why}")));
        }
    }
}
