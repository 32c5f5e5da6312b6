//! The rules about conversations: one holder for each, live or parked.

use std::collections::BTreeSet;

use crate::bridge::books::Books;
use crate::bridge::books::call::Call;
use crate::bridge::books::channel::Channel;
use crate::bridge::books::earlier_bridges::HoldElsewhere;
use crate::bridge::books::session_names::Name;
use crate::bridge::directory::is_same_directory;
use crate::bridge::id::SessionKey;

/// I12: no conversation is restored on a channel while another may hold it. Where agents
/// number their sessions per process, the same id means another conversation in another
/// process: so the ids that clients know are compared, too.
pub(super) fn fence(books: &Books) -> Result<(), String> {
    for (id, row) in books.channels() {
        let calls = row.calls.iter().filter_map(|call| books.call(*call));
        let sent = calls.filter(|call| call.is_sent());
        for opening in sent.filter_map(Call::opening) {
            let (Some(restored), Some(public)) = (opening.restores(), &opening.public_id) else {
                continue;
            };
            if books.hold_elsewhere(opening) == HoldElsewhere::Ending {
                return Err(format!("I12: {id} opens {restored} beside an earlier bridge"));
            }
            let holds = |row: &Channel| {
                let live = match row.names.get(restored) {
                    Some(Name::Session(key)) => books.session(key),
                    _ => None,
                };
                let buried =
                    row.tombstones.get(restored).filter(|_| row.tombstones.fences(restored));
                let is_there = |cwd: &str| is_same_directory(cwd, &opening.cwd);
                live.is_some_and(|session| session.id == *public && is_there(&session.cwd))
                    || buried.is_some_and(|tomb| *tomb.id() == **public && is_there(&tomb.cwd))
            };
            let agent = row.agent;
            let mut others = books.channels().iter().filter(|(_, row)| row.agent == agent);
            let other = others.find(|(other, row)| *other != id && holds(row));
            if let Some((other, _)) = other {
                return Err(format!("I12: {id} opens {restored}, which {other} may hold"));
            }
        }
    }
    Ok(())
}

/// I1, for parked sessions: a conversation is live or parked, and not both; a parked one and the
/// clients that are dormant in it know each other. And one call at most brings it back.
pub(super) fn parked(books: &Books) -> Result<(), String> {
    let all = books.parked_sessions();
    if !all.is_sound() {
        return Err("I10: the indexes of the parked sessions do not know all rows".to_owned());
    }
    if all.next_to_give_way(books.limits.parked).is_some() {
        return Err("I10: too many sessions are parked".to_owned());
    }
    let mut brought_back = BTreeSet::new();
    for call in books.calls().values().filter_map(|call| call.opening()) {
        if call.revives.is_some_and(|key| !brought_back.insert(key)) {
            return Err(format!("I12: two calls bring {:?} back", call.revives));
        }
    }
    for (key, row) in all.rows() {
        for client in &row.clients {
            if !books.client(*client).is_some_and(|client| client.dormant.contains(key)) {
                return Err(format!("I1: {client} does not know that it is dormant in {key}"));
            }
        }
        let aliases = &books.agent(row.agent).aliases;
        let mut live = aliases.live(&row.id).filter_map(|key| books.session(key));
        if live.any(|session| is_same_directory(&session.cwd, &row.cwd)) {
            return Err(format!("I12: {key} ({}) is parked, and live", row.id));
        }
        let mut twins = all.named(row.agent, &row.id).filter(|twin| twin.key != *key);
        if twins.any(|twin| is_same_directory(&twin.cwd, &row.cwd)) {
            return Err(format!("I12: {key} ({}) is parked twice", row.id));
        }
    }
    let is_lost = |key: &SessionKey| books.parked(*key).is_none();
    let lost = brought_back.iter().chain(books.clients().values().flat_map(|row| &row.dormant));
    match lost.copied().find(is_lost) {
        Some(key) => Err(format!("I1: {key} is thought to be parked, and is not")),
        None => Ok(()),
    }
}
