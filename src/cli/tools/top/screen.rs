//! The state of the live view, and what keys and news do to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use ratatui::widgets::TableState;

use super::keys::Key;
use super::look::{Look, News};
use super::rows::{Row, Shares, Subject, rows};
use crate::cli::tools::bridges::Bridge;
use crate::cli::tools::events;

/// The most events that are kept.
const MOST_EVENTS: usize = 100;

/// An order to a bridge. The texts are names of sessions or channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Close(String),
    Cancel(String),
    Retire(String),
    RetireNow(String),
    Explain(String),
}

impl Order {
    /// The question before it is carried out; `None`: it does no harm.
    fn question(&self) -> Option<String> {
        match self {
            Order::Close(session) => Some(format!("Close {session}?")),
            Order::Cancel(session) => Some(format!("Cancel the turn of {session}?")),
            Order::RetireNow(channel) => {
                Some(format!("Stop {channel} at once? Its sessions end, and turns are lost."))
            }
            Order::Retire(channel) => {
                Some(format!("Take {channel} out of service? It ends after its last session."))
            }
            Order::Explain(_) => None,
        }
    }
}

/// An order to the bridge with this process id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) pid: u32,
    pub(super) order: Order,
}

/// The thing that keys are for.
#[derive(Debug)]
pub(super) enum Mode {
    /// The tree.
    Tree,
    /// A question that waits for `y`.
    Confirm(Ask, String),
    /// An explanation that lies above the tree, from this line on.
    Explained(String, u16),
    /// The end.
    Over,
}

/// The state of the view.
pub(super) struct Screen {
    looks: Vec<Look>,
    looked: Option<Instant>,
    worked: BTreeMap<(u32, String), u64>,
    followed: BTreeSet<u32>,
    pub(super) rows: Vec<Row>,
    pub(super) table: TableState,
    pub(super) events: VecDeque<String>,
    pub(super) mode: Mode,
    /// Why nothing is seen, or the effect of the last order.
    pub(super) said: Option<String>,
    pub(super) page: usize,
    ask: Option<Ask>,
}

impl Default for Screen {
    fn default() -> Screen {
        Screen {
            looks: Vec::new(),
            looked: None,
            worked: BTreeMap::new(),
            followed: BTreeSet::new(),
            rows: Vec::new(),
            table: TableState::new().with_selected(0),
            events: VecDeque::new(),
            mode: Mode::Tree,
            said: None,
            page: 1,
            ask: None,
        }
    }
}

impl Screen {
    /// Whether the person has seen enough.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.mode, Mode::Over)
    }

    /// The looks that are shown.
    pub(super) fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// The bridge with this process id, if it is shown.
    pub(super) fn bridge(&self, pid: u32) -> Option<Arc<Bridge>> {
        let look = self.looks.iter().find(|look| look.bridge.pid() == pid)?;
        Some(Arc::clone(&look.bridge))
    }

    /// The order that a key has given.
    pub(super) fn take_ask(&mut self) -> Option<Ask> {
        self.ask.take()
    }

    /// Shows what was seen, and returns the bridges whose events are to be followed.
    pub(super) fn show(&mut self, looked: Result<Vec<Look>, String>) -> Vec<Arc<Bridge>> {
        let chosen = self.chosen().map(|row| row.subject.clone());
        match looked {
            Ok(looks) => self.looks = looks,
            Err(why) => {
                self.looks.clear();
                self.said = Some(why);
            }
        }
        let shares = self.shares();
        self.rows = rows(&self.looks, &shares);
        // The same thing stays chosen, wherever it is now.
        let place =
            chosen.and_then(|subject| self.rows.iter().position(|row| row.subject == subject));
        let last = self.rows.len().saturating_sub(1);
        let place = place.or(self.table.selected()).map(|place| place.min(last));
        self.table.select(place);
        let mut fresh = Vec::new();
        for look in &self.looks {
            if self.followed.insert(look.bridge.pid()) {
                fresh.push(Arc::clone(&look.bridge));
            }
        }
        fresh
    }

    /// The share of a processor of each channel since the last look.
    fn shares(&mut self) -> Shares {
        #[allow(clippy::disallowed_methods)] // a person looks, and no rule depends on it
        let now = Instant::now();
        let since = self.looked.replace(now).map(|before| now.duration_since(before).as_millis());
        let mut worked = BTreeMap::new();
        let mut shares = Shares::new();
        for look in &self.looks {
            for channel in &look.bridge.status.channels {
                let Some(tree) = channel.tree else { continue };
                let name = (look.bridge.pid(), channel.id.clone());
                let before = self.worked.get(&name);
                let since =
                    since.and_then(|millis| u64::try_from(millis).ok()).filter(|ms| *ms > 0);
                if let (Some(before), Some(since)) = (before, since) {
                    shares
                        .insert(name.clone(), tree.worked_ms.saturating_sub(*before) * 100 / since);
                }
                worked.insert(name, tree.worked_ms);
            }
        }
        self.worked = worked;
        shares
    }

    /// Takes news.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Event(pid, event) => {
                let several = self.looks.len() > 1;
                let of = if several { format!("{pid}  ") } else { String::new() };
                let text = events::text(&event);
                // The time of the day: nobody looks at a view for days.
                let text = text.split_once('T').map_or(text.as_str(), |(_, rest)| rest);
                self.events.push_back(of + text);
                if self.events.len() > MOST_EVENTS {
                    self.events.pop_front();
                }
            }
            News::Unfollowed(pid) => {
                self.followed.remove(&pid);
            }
            News::Said(text) => self.said = Some(text),
            News::Explained(text) => self.mode = Mode::Explained(text, 0),
        }
    }

    /// The row that is chosen.
    pub(super) fn chosen(&self) -> Option<&Row> {
        self.rows.get(self.table.selected()?)
    }

    /// Does what a key says.
    pub(super) fn press(&mut self, key: Key) {
        self.said = None;
        if key == Key::Quit {
            self.mode = Mode::Over;
            return;
        }
        match &mut self.mode {
            Mode::Tree => self.in_tree(key),
            Mode::Confirm(ask, _) => {
                if key == Key::Yes {
                    self.ask = Some(ask.clone());
                }
                self.mode = Mode::Tree;
            }
            Mode::Explained(_, from) => match key {
                Key::Up => *from = from.saturating_sub(1),
                Key::Down => *from = from.saturating_add(1),
                Key::PageUp => *from = from.saturating_sub(10),
                Key::PageDown => *from = from.saturating_add(10),
                _ => self.mode = Mode::Tree,
            },
            Mode::Over => {}
        }
    }

    fn in_tree(&mut self, key: Key) {
        let last = self.rows.len().saturating_sub(1);
        let place = self.table.selected().unwrap_or(0);
        match key {
            Key::Up => self.table.select(Some(place.saturating_sub(1))),
            Key::Down => self.table.select(Some((place + 1).min(last))),
            Key::PageUp => self.table.select(Some(place.saturating_sub(self.page))),
            Key::PageDown => self.table.select(Some((place + self.page).min(last))),
            Key::First => self.table.select(Some(0)),
            Key::Last => self.table.select(Some(last)),
            Key::Explain => self.of_channel(Order::Explain),
            Key::Retire => self.of_channel(Order::Retire),
            Key::RetireNow => self.of_channel(Order::RetireNow),
            Key::Close => self.of_session(Order::Close),
            Key::Cancel => self.of_session(Order::Cancel),
            Key::Yes | Key::Back | Key::Quit => {}
        }
    }

    fn of_channel(&mut self, order: impl FnOnce(String) -> Order) {
        let chosen = self
            .chosen()
            .and_then(|row| Some((row.subject.pid(), row.subject.channel()?.to_owned())));
        match chosen {
            Some((pid, channel)) => self.give(Ask { pid, order: order(channel) }),
            None => self.said = Some("choose a channel or a session first".to_owned()),
        }
    }

    fn of_session(&mut self, order: impl FnOnce(String) -> Order) {
        match self.chosen().map(|row| row.subject.clone()) {
            Some(Subject::Session(pid, session, _)) => {
                self.give(Ask { pid, order: order(session) });
            }
            _ => self.said = Some("choose a session first".to_owned()),
        }
    }

    fn give(&mut self, ask: Ask) {
        match ask.order.question() {
            Some(question) => self.mode = Mode::Confirm(ask, question),
            None => self.ask = Some(ask),
        }
    }
}
