//! The state of the live view, and what keys and news do to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use ratatui::widgets::TableState;

use super::keys::Key;
use super::look::{Look, News, Sight};
use super::rows::{Row, Shares, Subject, rows};
use crate::cli::tools::bridges::{Bridge, Failure};
use crate::cli::tools::events;
use crate::control::report::one_line;

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
    /// The question before it is carried out, about the row of this name; `None`: it does no harm.
    fn question(&self, name: &str) -> Option<String> {
        match self {
            Order::Close(_) => Some(format!("Close {name}?")),
            Order::Cancel(_) => Some(format!("Cancel the turn of {name}?")),
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
    /// The place of the row that is chosen, and what the row is about.
    place: usize,
    chosen: Option<Subject>,
    /// The scrolling of the tree.
    pub(super) table: TableState,
    pub(super) events: VecDeque<String>,
    pub(super) mode: Mode,
    /// The effect of the last order.
    pub(super) said: Option<String>,
    /// Why something is not seen.
    pub(super) unseen: Option<String>,
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
            place: 0,
            chosen: None,
            table: TableState::new(),
            events: VecDeque::new(),
            mode: Mode::Tree,
            said: None,
            unseen: None,
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
    pub(super) fn show(&mut self, looked: Result<Sight, Failure>) -> Vec<Arc<Bridge>> {
        (self.looks, self.unseen) = match looked {
            Ok(Sight { looks, refusals }) => {
                let refusals = (!refusals.is_empty()).then(|| one_line(&refusals.join("; ")));
                (looks, refusals)
            }
            Err(failure) => (Vec::new(), Some(one_line(&failure.to_string()))),
        };
        let shares = self.shares();
        self.rows = rows(&self.looks, &shares);
        // The same thing stays chosen, wherever it is now.
        let found = self.rows.iter().position(|row| Some(&row.subject) == self.chosen.as_ref());
        self.choose(found.unwrap_or(self.place));
        let mut fresh = Vec::new();
        for look in &self.looks {
            if self.followed.insert(look.bridge.pid()) {
                fresh.push(Arc::clone(&look.bridge));
            }
        }
        fresh
    }

    /// Chooses the row at a place, or the last one. Where there is none, the choice stays what it
    /// was.
    fn choose(&mut self, place: usize) {
        let Some(last) = self.rows.len().checked_sub(1) else { return };
        self.place = place.min(last);
        self.chosen = Some(self.rows[self.place].subject.clone());
        self.table.select(Some(self.place));
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
                self.events.push_back(of + &events::text_of_today(&event));
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
        self.rows.get(self.place)
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
        match key {
            Key::Up => self.choose(self.place.saturating_sub(1)),
            Key::Down => self.choose(self.place.saturating_add(1)),
            Key::PageUp => self.choose(self.place.saturating_sub(self.page)),
            Key::PageDown => self.choose(self.place.saturating_add(self.page)),
            Key::First => self.choose(0),
            Key::Last => self.choose(usize::MAX),
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
        let name = self.chosen().map(|row| row.name.clone()).unwrap_or_default();
        let of_bridge = match self.looks.len() {
            0..=1 => String::new(),
            _ => format!("In the bridge {}: ", ask.pid),
        };
        match ask.order.question(&name) {
            Some(question) => self.mode = Mode::Confirm(ask, of_bridge + &question),
            None => self.ask = Some(ask),
        }
    }
}
