//! The memory that the process trees of all agents take together.

use std::fs;

use tokio::task::{JoinSet, spawn_blocking};

use super::Children;
use super::tree::Trace;
use crate::processes;
use crate::runtime::input::Input;

/// The share of time in which programs wait for memory from which the machine counts as short of it
/// (per cent, over the last 10 s).
const STALLS: f64 = 10.0;

impl Children {
    /// Looks how much memory the trees take, without blocking the loop.
    pub(in crate::runtime) fn weigh(&self, tasks: &mut JoinSet<()>) {
        let traces: Vec<Trace> = self.rows.keys().filter_map(|id| self.trace(*id)).collect();
        let to_loop = self.wiring.to_loop.clone();
        tasks.spawn_local(async move {
            let look = spawn_blocking(move || (weight(&traces), is_short()));
            let (bytes, stalls) = look.await.unwrap_or_default();
            let _ = to_loop.send(Input::Weighed(bytes, stalls));
        });
    }
}

fn weight(traces: &[Trace]) -> u64 {
    let table: Vec<_> = processes::all().collect();
    let living = traces.iter().flat_map(|trace| trace.living_in(&table));
    living.filter_map(|entry| processes::memory(entry.pid)).sum()
}

/// Whether programs of this machine wait for memory, where the system tells that.
fn is_short() -> bool {
    let told = fs::read_to_string("/proc/pressure/memory").unwrap_or_default();
    waiting(&told).is_some_and(|share| share >= STALLS)
}

/// The share of the last 10 s in which some programs waited (per cent).
fn waiting(told: &str) -> Option<f64> {
    let some = told.lines().find_map(|line| line.strip_prefix("some "))?;
    let share = some.split_whitespace().find_map(|part| part.strip_prefix("avg10="))?;
    share.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_read_as_linux_tells_it() {
        let told = "some avg10=12.50 avg60=0.10 avg300=0.00 total=7\nfull avg10=0.00 total=1\n";
        assert_eq!(waiting(told), Some(12.5));
        assert_eq!(waiting("full avg10=1.00\n"), None);
        assert_eq!(waiting(""), None);
    }
}
