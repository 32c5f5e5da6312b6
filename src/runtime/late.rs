//! A loop that is late: what it does before it declares anything overdue.

use super::Loop;
use crate::bridge::{Event, Moment};

/// If the loop is later than this (ms), it serves the frames in the pipes and queues
/// before it declares anything overdue.
const LATE: u64 = 1_000;
/// The most rounds in which a late loop lets the readers read and serves their batches: a bound
/// in case the agents write on. The full pipes of many agents take about a hundred, with short
/// lines in them.
const ROUNDS: usize = 256;
/// A late loop has caught up after so many rounds without a message. A peer that floods brings
/// none in two: it lets the others pass before a read, and before the batch.
const QUIET_ROUNDS: usize = 3;
/// If the loop is later than this (ms), the bridge did not run, and the agents may not have
/// run either.
const DID_NOT_RUN: u64 = 2_000;
/// If the loop is later than this (ms), the host has stood still.
const STOOD_STILL: u64 = 10_000;

impl Loop {
    /// Serves the rows that were due at `wake`, after what has arrived by `now`.
    pub(super) async fn tick(&mut self, wake: Moment, now: Moment) {
        let (late, millis) = (now.since(wake), now.since(self.last_round));
        if self.clock.slept_since_last_call() || late > STOOD_STILL {
            self.handle_event(Event::HostPaused { millis });
        } else if late > DID_NOT_RUN {
            self.handle_event(Event::LoopLate { millis });
        }
        if now.since(wake) > LATE {
            self.catch_up().await;
        }
        self.bridge.handle_timeout(self.clock.now());
    }

    /// Serves the frames in the pipes and queues, so that no request times out whose
    /// answer is already there.
    async fn catch_up(&mut self) {
        let mut quiet_rounds = 0;
        for _ in 0..ROUNDS {
            // Meanwhile each reader makes at most one batch.
            tokio::task::yield_now().await;
            quiet_rounds += 1;
            while let Some(input) = self.inputs.try_next() {
                self.serve(input, self.clock.now());
                quiet_rounds = 0;
            }
            self.flush();
            self.tell_marks();
            if quiet_rounds == QUIET_ROUNDS {
                break;
            }
        }
    }
}
