//! Clients.

use crate::api::ClientStatus;
use crate::bridge::books::client::Client;
use crate::bridge::id::ClientId;
use crate::bridge::view::moment::View;

/// The status of a client.
pub fn status(view: View<'_>, id: ClientId, row: &Client) -> ClientStatus {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    ClientStatus {
        id: id.to_string(),
        name: text(&row.program.name),
        version: text(&row.program.version),
        agent: view.books.agent_name_for(id),
        pool: row.pool.map(|pool| pool.to_string()),
        directory: row.cwd.to_string(),
        age_ms: view.since(row.connected_at),
        is_introduced: row.is_introduced(),
        sessions: row.sessions.len(),
        requests: row.calls.len() + row.fanouts.len(),
        questions: row.questions.len(),
        slow_ms: row.slow.map(|slow| view.since(slow.since)),
        queued_bytes: 0,
        program: None,
    }
}
