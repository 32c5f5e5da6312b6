//! Parting: a client that gives its agent settings or credentials of its own leaves the pool that
//! it has in common with others, so that their processes do not get them.

use crate::bridge::books::Books;
use crate::bridge::books::channel::Channel;
use crate::bridge::books::client::Client;
use crate::bridge::books::pool::{Access, Pool};
use crate::bridge::books::session::Session;
use crate::bridge::id::{ChannelId, ClientId, PoolId};
use crate::wire::{Frame, Method};

/// Whether a request gives an agent something that is repeated on its further processes: a
/// setting of its providers, or a login that carries its credentials.
fn is_kept(request: &Frame) -> bool {
    match request.method {
        Method::ProvidersSet | Method::ProvidersDisable => true,
        Method::Authenticate | Method::AuthLogin => request.find(&["_meta"]).is_some(),
        _ => false,
    }
}

impl Books {
    /// Moves a client to the pool of those that have sent the same, if its request is one that
    /// further processes get and others share its pool. The channels that serve it alone go
    /// with it.
    pub fn part(&mut self, client: ClientId, request: &Frame) {
        if !is_kept(request) {
            return;
        }
        let pool = self.clients.get(&client).and_then(|row| row.pool);
        let Some(old) = pool.filter(|pool| self.is_shared(*pool, client)) else { return };
        let Some(pool) = self.pools.get(&old).filter(|pool| pool.access == Access::Shared) else {
            return;
        };
        let params = request.body().map_or(&b""[..], |params| params.of(request.bytes()));
        let name = request.method_name();
        let identity = [&pool.identity, name.as_bytes(), b" ", params, b"\n"].concat();
        let own = Pool { identity: identity.into(), ..pool.clone() };
        let is_same = |row: &Pool| row.agent == own.agent && row.identity == own.identity;
        let known = self.pools.iter().find(|(_, row)| is_same(row)).map(|(id, _)| *id);
        let new = known.unwrap_or_else(|| self.add_pool(own));
        let own: Vec<ChannelId> = self
            .channels
            .iter()
            .filter(|(_, row)| row.pool == Some(old) && self.serves_alone(row, client))
            .map(|(id, _)| *id)
            .collect();
        for channel in own {
            if let Some(row) = self.channel_mut(channel) {
                row.pool = Some(new);
            }
        }
        self.move_client(client, new);
    }

    /// Whether somebody else is in a pool, or in a session on one of its channels.
    fn is_shared(&self, pool: PoolId, client: ClientId) -> bool {
        let is_its = |(id, row): (&ClientId, &Client)| *id != client && row.pool == Some(pool);
        let has_others = |row: &Channel| {
            let sessions = row.sessions.iter().filter_map(|key| self.sessions.get(key));
            sessions.flat_map(Session::clients).any(|other| *other != client)
        };
        self.clients.iter().any(is_its)
            || self.channels.values().any(|row| row.pool == Some(pool) && has_others(row))
    }

    /// Whether a channel has sessions, and all that it has is of one client.
    fn serves_alone(&self, row: &Channel, client: ClientId) -> bool {
        let mut sessions = row.sessions.iter().filter_map(|key| self.sessions.get(key));
        let calls = row.calls.iter().filter_map(|id| self.calls.get(id)?.client());
        !row.sessions.is_empty()
            && sessions.all(|session| session.clients() == [client])
            && calls.chain(row.leases.iter().copied()).all(|other| other == client)
    }
}
