//! The clients that a request of an agent goes to.

use crate::bridge::books::Books;
use crate::bridge::books::handles::HandleKind;
use crate::bridge::books::session::Session;
use crate::bridge::config::PermissionPolicy;
use crate::bridge::id::ClientId;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::wire::{Frame, Method};

impl Books {
    /// The clients that a question in a session goes to; empty: there is none to ask now.
    ///
    /// Where one client is attached, it is asked whatever it offers, as without a bridge, unless
    /// the agent speaks of a turn, a terminal or a capability of another client.
    pub fn whom_to_ask(&self, session: &Session, question: &Frame) -> Vec<ClientId> {
        let attached = session.clients();
        if let Some(owner) = self.owner_of_terminal(session, question) {
            return attached.iter().copied().filter(|client| *client == owner).collect();
        }
        let originator = self
            .running_prompts(session.key)
            .filter_map(|call| call.client())
            .find(|client| attached.contains(client));
        if question.method == Method::RequestPermission {
            return self.who_may_permit(session, originator);
        }
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::AskWithoutCapability) {
            return originator.iter().chain(attached).take(1).copied().collect();
        }
        let mut candidates = originator.iter().chain(attached).copied();
        let able = candidates.find(|client| self.may_be_asked(session, *client, question));
        able.into_iter().collect()
    }

    /// Whether a client that is attached may be asked a question which anybody may answer: it
    /// offers what that needs, or the agent knows what it offers and there is nobody else.
    pub fn may_be_asked(&self, session: &Session, client: ClientId, question: &Frame) -> bool {
        let pool = self.channel(session.channel).and_then(|row| row.pool);
        let is_own = self.client(client).is_some_and(|row| row.pool == pool);
        is_own && session.clients() == [client] || self.can_answer(client, question)
    }

    /// The clients that are asked for a permission. One that merely watches decides nothing
    /// about the turn of another: the question waits for that one, for a client that comes, or
    /// for one that prompts.
    fn who_may_permit(&self, session: &Session, originator: Option<ClientId>) -> Vec<ClientId> {
        let attached = session.clients();
        let policy = self.agent(session.agent).config.permission_policy;
        match originator {
            _ if policy == PermissionPolicy::All => return attached.to_vec(),
            Some(client) => return vec![client],
            None => {}
        }
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::ObserverDecides) {
            return attached.to_vec();
        }
        let takes_part = |client: &&ClientId| !session.watchers.contains(client);
        let participants: Vec<ClientId> = attached.iter().filter(takes_part).copied().collect();
        let is_in_turn = self.running_in(session).next().is_some();
        match participants.is_empty() && !is_in_turn {
            true => attached.to_vec(),
            false => participants,
        }
    }

    /// The client that has the terminal which a question of an agent names.
    fn owner_of_terminal(&self, session: &Session, question: &Frame) -> Option<ClientId> {
        let is_about_terminal = matches!(
            question.method,
            Method::TerminalOutput
                | Method::TerminalWait
                | Method::TerminalKill
                | Method::TerminalRelease
        );
        let id = question.find_text(&["terminalId"]).filter(|_| is_about_terminal)?;
        let handles = &self.channel(session.channel)?.handles;
        handles.of_agent(HandleKind::Terminal, &id).map(|handle| handle.client)
    }

    /// Whether a client offers the capability that a question needs.
    fn can_answer(&self, client: ClientId, question: &Frame) -> bool {
        let Some(row) = self.clients.get(&client) else { return false };
        match question.method {
            Method::FsRead => row.offers.read,
            Method::FsWrite => row.offers.write,
            Method::TerminalCreate
            | Method::TerminalOutput
            | Method::TerminalWait
            | Method::TerminalKill
            | Method::TerminalRelease => row.offers.terminal,
            Method::ElicitationCreate => match question.find_text(&["mode"]).as_deref() {
                Some("url") => row.offers.elicitation_by_url,
                _ => row.offers.elicitation_by_form,
            },
            _ => true,
        }
    }
}
