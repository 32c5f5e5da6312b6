//! The clients that a request of an agent goes to.

use crate::bridge::books::Books;
use crate::bridge::books::session::Session;
use crate::bridge::config::PermissionPolicy;
use crate::bridge::id::{ChannelId, ClientId};
use crate::wire::Method;

impl Books {
    /// The clients that a question in a session goes to; empty: there is none to ask.
    pub fn whom_to_ask(&self, session: &Session, method: Method) -> Vec<ClientId> {
        let attached = session.clients();
        let originator = self
            .running_prompts(session.key)
            .filter_map(|call| call.client())
            .find(|client| attached.contains(client));
        let to_all = self.agent(session.agent).config.permission_policy == PermissionPolicy::All;
        match (method, originator) {
            (Method::RequestPermission, Some(client)) if !to_all => vec![client],
            (Method::RequestPermission, _) => attached.to_vec(),
            (_, Some(client)) => vec![client],
            (_, None) => {
                let able = attached.iter().find(|client| self.can_answer(**client, method));
                able.or(attached.first().filter(|_| attached.len() == 1))
                    .copied()
                    .into_iter()
                    .collect()
            }
        }
    }

    /// Whether a client offers the capability that a question with this method needs.
    fn can_answer(&self, client: ClientId, method: Method) -> bool {
        let Some(row) = self.clients.get(&client) else { return false };
        match method {
            Method::FsRead => row.offers.read,
            Method::FsWrite => row.offers.write,
            Method::TerminalCreate
            | Method::TerminalOutput
            | Method::TerminalWait
            | Method::TerminalKill
            | Method::TerminalRelease => row.offers.terminal,
            Method::ElicitationCreate => row.offers.elicitation,
            _ => true,
        }
    }

    /// The client that a question without a session goes to: one that is attached to a session
    /// of the channel, otherwise one that this channel was the last to serve, otherwise any of
    /// the channel's pool.
    pub fn client_behind(&self, channel: ChannelId) -> Option<ClientId> {
        let row = self.channel(channel)?;
        let with_session = row
            .sessions
            .iter()
            .filter_map(|key| self.sessions.get(key))
            .find_map(|session| session.clients().first().copied());
        let clients = &self.clients;
        let of_pool = || clients.iter().filter(|(_, client)| client.pool == row.pool);
        with_session
            .or_else(|| {
                of_pool().find(|(_, client)| client.served_by == Some(channel)).map(|(id, _)| *id)
            })
            .or_else(|| of_pool().next().map(|(id, _)| *id))
    }
}
