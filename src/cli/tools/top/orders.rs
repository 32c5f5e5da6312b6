//! The orders of the live view.

use std::sync::Arc;

use jsonrpsee::core::ClientError;

use super::look::News;
use super::screen::{Ask, Order};
use crate::api::Retirement;
use crate::cli::tools::bridges::{Bridge, sentence};
use crate::control::ControlApiClient;
use crate::control::report::{explanation, fate, one_line};

/// Carries an order out, and says what came of it.
pub(super) async fn carry_out(bridge: Arc<Bridge>, ask: Ask) -> News {
    done(&bridge, ask.order).await.unwrap_or_else(|error| News::Said(one_line(&sentence(&error))))
}

async fn done(bridge: &Bridge, order: Order) -> Result<News, ClientError> {
    Ok(match order {
        Order::Close(session) => {
            let closed = bridge.link.close_session(session).await?;
            News::Said(format!("{} is closed", closed.key))
        }
        Order::Cancel(session) => {
            let cancelled = bridge.link.cancel_turn(Some(session.clone())).await?;
            News::Said(match cancelled.sessions.is_empty() {
                true => format!("no turn runs in {session}"),
                false => format!("cancelled what goes on in {session}"),
            })
        }
        Order::Retire(channel) => retired(bridge, channel, Retirement::Drain).await?,
        Order::RetireNow(channel) => retired(bridge, channel, Retirement::Now).await?,
        Order::Explain(channel) => {
            let explained = bridge.link.explain(Some(channel)).await?;
            News::Explained(explanation(&explained, &bridge.status.clients))
        }
    })
}

async fn retired(bridge: &Bridge, channel: String, how: Retirement) -> Result<News, ClientError> {
    let status = bridge.link.retire_channel(channel, how).await?;
    Ok(News::Said(format!("{} is {}; {}", status.id, status.state.word(), fate(&status.fate))))
}
