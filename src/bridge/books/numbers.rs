//! The numbers that ids are made of.

/// One counter for each kind of id; new ids are made of its numbers.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Of pools.
    pub pools: Counter,
    /// Of channels.
    pub channels: Counter,
    /// Of sessions.
    pub sessions: Counter,
    /// Of passing ids.
    pub passing: Counter,
    /// Of calls.
    pub calls: Counter,
    /// Of fan-outs.
    pub fanouts: Counter,
    /// Of questions.
    pub questions: Counter,
}

/// Counts up, and gives no number twice.
#[derive(Debug, Default)]
pub struct Counter(u64);

impl Counter {
    /// The last number that was given; 0: none was.
    pub fn last(&self) -> u64 {
        self.0
    }

    /// Gives no number up to this one.
    pub fn skip_to(&mut self, number: u64) {
        self.0 = self.0.max(number);
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}
