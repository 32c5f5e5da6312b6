//! Random histories of a bridge among agents and clients with bad manners.
//!
//! A [`History`](history::History) is a configuration and a row of steps; the
//! [`world`] plays it in virtual time; the [`model`] judges what it sees from
//! outside, and the core's own rules are checked after every event. The number
//! of histories is `DRAWBRIDGE_HISTORIES`, their seed `DRAWBRIDGE_SEED`.

// What a run showed is for people to read.
#![allow(clippy::print_stdout)]

mod agent;
mod client;
mod history;
mod model;
mod regressions;
mod steps;
mod world;

use std::cell::Cell;

use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use history::{History, histories};
use world::{Seen, narrate, run};

/// How many histories the ordinary run plays.
const ORDINARY: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays histories until one fails, and gives back the smallest that fails
/// likewise, or what was seen.
fn play(
    count: u64,
    shrink: bool,
    run: impl Fn(&History) -> Result<Seen, String>,
) -> Result<(u64, u64), String> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("DRAWBRIDGE_SEED").unwrap_or_default().to_le_bytes());
    let config = Config {
        cases: count.try_into().unwrap_or(u32::MAX),
        failure_persistence: None,
        max_shrink_iters: if shrink { 2_000 } else { 0 },
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let (played, overlaps) = (Cell::new(0), Cell::new(0));
    let events = Cell::new(0);
    let outcome = TestRunner::new_with_rng(config, rng).run(&histories(), |history| {
        let seen = run(&history).map_err(proptest::test_runner::TestCaseError::fail)?;
        played.set(played.get() + 1);
        overlaps.set(overlaps.get() + u64::from(seen.overlap));
        events.set(events.get() + seen.events);
        Ok(())
    });
    match outcome {
        Ok(()) => {
            println!(
                "{} histories, {} overlaps, {} events",
                played.get(),
                overlaps.get(),
                events.get()
            );
            Ok((played.get(), overlaps.get()))
        }
        Err(TestError::Fail(why, history)) => {
            if shrink {
                let _ = narrate(&history);
            }
            Err(format!("after {} histories: {why}\n{history:?}", played.get()))
        }
        Err(TestError::Abort(why)) => Err(why.to_string()),
    }
}

#[test]
fn histories_agree_with_the_reference_model() {
    let count = number("DRAWBRIDGE_HISTORIES").unwrap_or(ORDINARY);
    let (played, overlaps) = play(count, true, run).unwrap_or_else(|why| panic!("{why}"));
    assert!(overlaps * 10 >= played, "only {overlaps} of {played} histories had an overlap");
}

/// With a mistake switched on, the model or the core's own rules find it.
#[cfg(feature = "seeded-bugs")]
#[test]
fn every_seeded_bug_is_found() {
    use drawbridge::bridge::seeded::{ALL, activate};

    const ENOUGH: u64 = 20_000;
    let mut missed = Vec::new();
    let mut look_for =
        |name: String, run: fn(&History) -> Result<Seen, String>| match play(ENOUGH, false, run) {
            Err(found) => println!("{name}: {}", found.lines().next().unwrap_or_default()),
            Ok(_) => missed.push(name),
        };
    for bug in ALL {
        activate(Some(bug));
        look_for(format!("{bug:?}"), run);
    }
    activate(None);
    look_for("an exit overtakes its frames".to_owned(), world::run_with_hasty_exits);
    assert!(missed.is_empty(), "not found in {ENOUGH} histories: {missed:?}");
}
