//! A client's connection is over.

use crate::bridge::books::absence::Absence;
use crate::bridge::books::call::Call;
use crate::bridge::books::tombstones::Hold;
use crate::bridge::channels::stop;
use crate::bridge::id::{ChannelId, ClientId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::passing_ids;
use crate::bridge::reason::EndReason;
use crate::bridge::sessions::question_end;
use crate::bridge::step::Step;

/// Removes a client whose connection is over. A quit cannot be told from a crash, so its
/// sessions stay live: their prompts go on, and questions that only this client was asked
/// go to other clients or wait.
pub fn gone(step: &mut Step<'_>, client: ClientId) {
    // The end of a connection may be reported twice.
    let Some(row) = step.books.client(client) else { return };
    let (calls, pool) = (row.calls.clone(), row.pool);
    let sessions: Vec<SessionKey> = row.sessions.iter().copied().collect();
    step.books.disown_fanouts(client);
    for id in calls {
        if step.books.call(id).is_some_and(Call::waits_for_channel) {
            step.books.take_call(id);
        } else {
            step.books.disown_call(id);
        }
    }
    let mut left = 0;
    for key in sessions {
        let lost = Absence::lost(step.now, Some(client));
        step.books.detach(client, key, lost);
        left += usize::from(step.books.session(key).is_some_and(|row| row.clients().is_empty()));
    }
    question_end::take_from_client(step, client, None);
    let channels: Vec<ChannelId> = step
        .books
        .channels()
        .iter()
        .filter(|(_, row)| row.leases.contains(&client) || row.pool == pool)
        .map(|(id, _)| *id)
        .collect();
    for key in step.books.passing_of_client(client) {
        passing_ids::end(step, key, Hold::Nothing, Some(EndReason::LastClientDetached));
    }
    step.books.remove_client(client);
    for channel in channels {
        if let Some(row) = step.books.channel_mut(channel) {
            row.leases.remove(&client);
        }
    }
    step.publish(Notice::ClientGone { client, sessions: left });
    stop::end_passthrough(step, pool);
}

/// Handles the news that the parent process of a client has ended.
pub fn parent_gone(step: &mut Step<'_>, client: ClientId) {
    let now = step.now;
    step.books.set_parent(client, |parent| parent.after_end(now));
}
