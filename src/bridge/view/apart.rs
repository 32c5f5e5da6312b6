//! Why the clients of one agent do not share one process.

use std::collections::BTreeSet;

use crate::bridge::books::Books;
use crate::bridge::books::channel::Channel;
use crate::bridge::books::pool::{Access, Pool};
use crate::bridge::config::Share;
use crate::bridge::id::AgentId;

/// The parts of an `initialize` by which clients are told apart, each with its name.
const PARTS: [(&str, &[&str]); 4] = [
    ("protocolVersion", &["protocolVersion"]),
    ("clientCapabilities", &["clientCapabilities"]),
    ("clientInfo.name", &["clientInfo", "name"]),
    ("_meta", &["_meta"]),
];

/// The names of all in which the channels of an agent differ that take new sessions; empty: there
/// is at most one such channel.
pub fn names(books: &Books, agent: AgentId) -> Vec<String> {
    let is_its = |row: &&Channel| row.agent == agent && row.pool.is_some() && !row.is_stopping();
    let channels: Vec<&Channel> = books.channels().values().filter(is_its).collect();
    let mut names = BTreeSet::new();
    for (place, one) in channels.iter().enumerate() {
        for other in &channels[place + 1..] {
            names.extend(between(books, one, other));
        }
    }
    names.into_iter().collect()
}

/// The names of all in which two channels of one agent differ.
fn between(books: &Books, one: &Channel, other: &Channel) -> Vec<String> {
    let pool = |row: &Channel| row.pool.and_then(|id| books.pool(id));
    let mut names = match (pool(one), pool(other)) {
        (Some(own), Some(others)) if one.pool != other.pool => of_pools(own, others),
        _ => Vec::new(),
    };
    let config = &books.agent(one.agent).config;
    match config.share {
        Share::Session => names.push("share = \"session\"".to_owned()),
        Share::Cwd if one.shared_cwd != other.shared_cwd => names.push("directory".to_owned()),
        Share::Cwd | Share::Agent => {}
    }
    if names.is_empty() && [one, other].iter().any(|row| !books.can_take_session(row)) {
        names.push("sessions-per-channel".to_owned());
    }
    names
}

fn of_pools(one: &Pool, other: &Pool) -> Vec<String> {
    let mut names: Vec<String> =
        one.environment.differences(&other.environment).into_iter().map(str::to_owned).collect();
    let part = |pool: &Pool, path: &[&str]| {
        let text = pool.initialize.bytes();
        pool.initialize.find(path).map(|place| place.of(text).to_vec())
    };
    let differing = PARTS.iter().filter(|(_, path)| part(one, path) != part(other, path));
    names.extend(differing.map(|(name, _)| (*name).to_owned()));
    let is_private = [one, other].iter().any(|pool| pool.access == Access::Private);
    if names.is_empty() && is_private {
        names.push("login or settings of one client".to_owned());
    }
    names
}
