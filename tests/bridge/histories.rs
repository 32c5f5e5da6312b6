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
mod names;
mod regressions;
mod sights;
mod steps;
mod world;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use history::{History, histories};
use sights::{SHARES, Sight};
use world::{Seen, narrate, run};

/// How many histories the ordinary run plays.
const ORDINARY: u64 = 10_000;

/// So many histories show each thing often enough to be counted.
const COUNTABLE: u64 = 2_000;

/// What a number of histories showed.
struct Played {
    histories: u64,
    /// In how many of them each thing happened.
    sights: BTreeMap<Sight, u64>,
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays histories until one fails, and gives back the smallest that fails
/// likewise, or what was seen.
fn play(
    count: u64,
    shrink: bool,
    run: impl Fn(&History) -> Result<Seen, String>,
) -> Result<Played, String> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("DRAWBRIDGE_SEED").unwrap_or_default().to_le_bytes());
    let config = Config {
        cases: count.try_into().unwrap_or(u32::MAX),
        failure_persistence: None,
        max_shrink_iters: if shrink { 400 } else { 0 },
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let (played, events) = (Cell::new(0), Cell::new(0));
    let sights = RefCell::new(BTreeMap::<Sight, u64>::new());
    let outcome = TestRunner::new_with_rng(config, rng).run(&histories(), |history| {
        let seen = run(&history).map_err(proptest::test_runner::TestCaseError::fail)?;
        played.set(played.get() + 1);
        events.set(events.get() + seen.events);
        for sight in seen.sights {
            *sights.borrow_mut().entry(sight).or_default() += 1;
        }
        Ok(())
    });
    match outcome {
        Ok(()) => {
            let (histories, sights) = (played.get(), sights.into_inner());
            println!("{histories} histories, {} events, {sights:?}", events.get());
            Ok(Played { histories, sights })
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
    let played = play(count, true, run).unwrap_or_else(|why| panic!("{why}"));
    let histories = played.histories;
    for (sight, share) in SHARES.into_iter().filter(|_| histories >= COUNTABLE) {
        let seen = played.sights.get(&sight).copied().unwrap_or_default();
        assert!(
            seen * share >= histories,
            "{sight:?}: in {seen} of {histories} histories, not in one of {share}"
        );
    }
}

/// With a mistake switched on, the model or the core's own rules find it.
#[cfg(feature = "seeded-bugs")]
#[test]
fn every_seeded_bug_is_found() {
    use drawbridge::bridge::seeded::{ALL, activate};

    const ENOUGH: u64 = 20_000;
    let mut missed = Vec::new();
    // Where the agents are polite, much is found soon; some mistakes only where sessions are parked.
    let is_found_by = |bug, play: fn(u32, bool) -> Result<(), String>, count| {
        let found = play(count, false).err();
        found.as_ref().inspect(|found| {
            println!("{bug:?}: {}", found.lines().next().unwrap_or_default());
        });
        found.is_some()
    };
    let mut look_for =
        |name: String, run: fn(&History) -> Result<Seen, String>| match play(ENOUGH, false, run) {
            Err(found) => println!("{name}: {}", found.lines().next().unwrap_or_default()),
            Ok(_) => missed.push(name),
        };
    for bug in ALL {
        activate(Some(bug));
        let is_found = is_found_by(bug, crate::revivals::play, ENOUGH as u32 / 60)
            || is_found_by(bug, crate::crowds::play, ENOUGH as u32 / 5);
        if !is_found {
            look_for(format!("{bug:?}"), run);
        }
    }
    activate(None);
    look_for("an exit overtakes its frames".to_owned(), world::run_with_hasty_exits);
    assert!(missed.is_empty(), "not found in {ENOUGH} histories: {missed:?}");
}
