//! The length of all write queues together.

use std::cell::Cell;
use std::rc::Rc;

/// The sum of all outboxes of a bridge, and its limit.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct OutboxSum(Rc<Sum>);

#[derive(Debug)]
struct Sum {
    bytes: Cell<usize>,
    limit: usize,
}

impl OutboxSum {
    /// A sum with this limit, in bytes.
    pub(in crate::runtime) fn new(limit: usize) -> OutboxSum {
        OutboxSum(Rc::new(Sum { bytes: Cell::new(0), limit }))
    }

    /// Adds bytes; says whether the limit is passed with them.
    pub(super) fn add(&self, bytes: usize) -> bool {
        let before = self.0.bytes.get();
        self.0.bytes.set(before + bytes);
        before < self.0.limit && before + bytes >= self.0.limit
    }

    /// Subtracts bytes; says whether the sum is not long any more with that.
    pub(super) fn subtract(&self, bytes: usize) -> bool {
        let was_long = self.is_long();
        self.0.bytes.set(self.0.bytes.get().saturating_sub(bytes));
        was_long && !self.is_long()
    }

    /// The bytes in all of them.
    pub(in crate::runtime) fn bytes(&self) -> usize {
        self.0.bytes.get()
    }

    /// Whether the limit is reached.
    pub(in crate::runtime) fn is_over(&self) -> bool {
        self.0.bytes.get() >= self.0.limit
    }

    /// Whether the sum is at least three quarters of the limit.
    pub(super) fn is_long(&self) -> bool {
        self.0.bytes.get() >= self.0.limit / 4 * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_told_once_and_its_end_too() {
        let sum = OutboxSum::new(100);
        assert!(!sum.add(99) && !sum.is_over() && sum.is_long());
        assert!(sum.add(1) && sum.is_over());
        assert!(!sum.add(1));
        assert!(!sum.subtract(20) && sum.is_long());
        assert!(sum.subtract(10) && !sum.is_long() && !sum.is_over());
        assert!(!sum.subtract(1_000));
    }
}
