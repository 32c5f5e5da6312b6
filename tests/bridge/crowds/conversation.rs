//! A conversation as its agent knows it, and what is true of its clients.

use std::collections::{BTreeMap, BTreeSet};

use drawbridge::bridge::{ChannelId, ClientId};

/// Something that was said in a conversation.
#[derive(Clone, Debug)]
pub struct Item {
    pub text: String,
    /// A turn begins with it.
    pub is_prompt: bool,
    /// Its sequence number, once a client has seen it.
    pub seq: Option<u64>,
}

/// A turn that runs.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The seat that has prompted, and the client that sat there.
    pub seat: u8,
    pub client: ClientId,
    /// The id of the prompt at the agent, and at the client.
    pub call: u64,
    pub token: u64,
}

/// A question that its agent waits for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub id: String,
    /// The seats that have it open, by the ids that they know.
    pub shown: BTreeMap<u8, u64>,
}

/// A conversation.
pub struct Conversation {
    pub channel: ChannelId,
    pub is_live: bool,
    /// Every text, in order.
    pub items: Vec<Item>,
    /// The text of each sequence number that a client has seen.
    pub seen: BTreeMap<u64, String>,
    /// The last mode and its number.
    pub mode: Option<Item>,
    pub turn: Option<Turn>,
    pub asks: Vec<Ask>,
    /// The seats that are attached, and those that have taken part.
    pub attached: BTreeSet<u8>,
    pub participants: BTreeSet<u8>,
    /// The seats that may have taken part: their load went to the agent.
    pub guests: BTreeSet<u8>,
    /// A client that does not read files has opened it.
    pub is_of_unable: bool,
    /// When the last client was lost, and whether it left on purpose.
    pub absent: Option<(u64, bool)>,
    /// Since when a quick client and a slow one have been together.
    pub stuck_since: Option<u64>,
    /// Its agent was told to cancel.
    pub is_cancelled: bool,
}

impl Conversation {
    pub fn new(channel: ChannelId, seat: u8) -> Conversation {
        Conversation {
            channel,
            is_live: true,
            items: Vec::new(),
            seen: BTreeMap::new(),
            mode: None,
            turn: None,
            asks: Vec::new(),
            attached: [seat].into(),
            participants: [seat].into(),
            guests: BTreeSet::new(),
            is_of_unable: false,
            absent: None,
            stuck_since: None,
            is_cancelled: false,
        }
    }

    pub fn texts(&self) -> Vec<String> {
        self.items.iter().map(|item| item.text.clone()).collect()
    }

    pub fn is_busy(&self) -> bool {
        self.turn.is_some() || !self.asks.is_empty()
    }

    /// A client is not there any more.
    pub fn goes(&mut self, seat: u8, now: u64, on_purpose: bool) {
        self.participants.remove(&seat);
        self.guests.remove(&seat);
        for ask in &mut self.asks {
            ask.shown.remove(&seat);
        }
        if self.attached.remove(&seat) && self.attached.is_empty() {
            self.absent = Some((now, on_purpose));
            self.is_cancelled = false;
        }
    }

    pub fn comes(&mut self, seat: u8) {
        self.attached.insert(seat);
        self.absent = None;
    }

    /// Whether these texts are the whole conversation from the beginning of a turn on.
    pub fn is_tail(&self, texts: &[String]) -> bool {
        let all = self.texts();
        let begins = all.len().checked_sub(texts.len());
        begins.is_some_and(|begins| {
            all[begins..] == *texts
                && (begins == 0 || texts.is_empty() || self.items[begins].is_prompt)
        })
    }

    /// The texts that a client has missed which knows this number.
    pub fn missed(&self, after: Option<u64>) -> Vec<String> {
        // Texts are counted as they are said: their end is a number.
        let place = |text: &str| text[1..].parse::<u64>().unwrap_or_default();
        let known = after.and_then(|after| self.seen.range(..=after).next_back());
        let known = known.map_or(0, |(_, text)| place(text));
        self.texts().into_iter().filter(|text| place(text) > known).collect()
    }

    /// The number of a text, which is the same wherever it is seen.
    pub fn numbered(&mut self, text: &str, seq: Option<u64>) -> Result<(), String> {
        let mode = self.mode.iter_mut().filter(|mode| mode.text == text);
        let item = self.items.iter_mut().chain(mode).find(|item| item.text == text);
        let item = item.ok_or_else(|| format!("nobody said {text}"))?;
        self.seen.extend(seq.map(|seq| (seq, text.to_owned())));
        match (item.seq, seq) {
            (Some(known), Some(seq)) if known != seq => {
                Err(format!("{text} had the number {known}, and has {seq}"))
            }
            (None, seq) => {
                item.seq = seq;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
