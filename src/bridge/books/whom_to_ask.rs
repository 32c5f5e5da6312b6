//! The clients that a request of an agent goes to.

use crate::bridge::books::Books;
use crate::bridge::books::session::Session;
use crate::bridge::config::PermissionPolicy;
use crate::bridge::id::ClientId;
use crate::wire::{Frame, Method};

impl Books {
    /// The clients that a question in a session goes to; empty: there is none to ask.
    ///
    /// Where one client is attached, it is asked whatever it offers, as without a bridge.
    pub fn whom_to_ask(&self, session: &Session, question: &Frame) -> Vec<ClientId> {
        let attached = session.clients();
        let originator = self
            .running_prompts(session.key)
            .filter_map(|call| call.client())
            .find(|client| attached.contains(client));
        if question.method == Method::RequestPermission {
            let policy = self.agent(session.agent).config.permission_policy;
            return match originator {
                Some(client) if policy != PermissionPolicy::All => vec![client],
                _ => attached.to_vec(),
            };
        }
        if let [only] = attached {
            return vec![*only];
        }
        let candidates = originator.iter().chain(attached);
        candidates.copied().find(|client| self.can_answer(*client, question)).into_iter().collect()
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
