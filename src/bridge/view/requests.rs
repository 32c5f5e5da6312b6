//! Requests that an agent has not answered.

use crate::api::{RequestStage, RequestStatus};
use crate::bridge::books::call::{Call, Stage};
use crate::bridge::books::deadlines::Due;
use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::view::moment::View;

/// The requests on a channel, the oldest first, at most `limit`.
pub fn of_channel(view: View<'_>, channel: ChannelId, limit: usize) -> Vec<RequestStatus> {
    let calls = view.books.calls_on(channel).into_iter().take(limit);
    calls.filter_map(|id| Some(status(view, id, view.books.call(id)?))).collect()
}

fn status(view: View<'_>, id: CallId, call: &Call) -> RequestStatus {
    RequestStatus {
        method: call.purpose.method().to_owned(),
        client: call.client().map(|client| client.to_string()),
        session: call.session.map(|key| key.to_string()),
        stage: match call.stage {
            Stage::Held(_) => RequestStage::Waiting,
            Stage::Sent(_) => RequestStage::Sent,
            Stage::Overdue { .. } => RequestStage::Overdue,
        },
        age_ms: view.since(call.asked_at),
        ends_in_ms: view.books.deadline(Due::Call(id)).map(|at| view.until(at)),
    }
}
