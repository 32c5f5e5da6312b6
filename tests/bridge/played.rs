//! Random histories are played until one fails.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// Plays so many histories, from the seed in `DRAWBRIDGE_SEED`; gives back the first that fails, or
/// with `shrink` the smallest that fails likewise, and why.
pub fn play<S: Strategy>(
    histories: &S,
    count: u32,
    shrink: bool,
    run: impl Fn(&S::Value) -> Result<(), String>,
) -> Result<(), (String, Option<S::Value>)> {
    let seed = std::env::var("DRAWBRIDGE_SEED").ok().and_then(|text| text.parse::<u64>().ok());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.unwrap_or_default().to_le_bytes());
    let config = Config {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: if shrink { 2_000 } else { 0 },
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let outcome = TestRunner::new_with_rng(config, rng)
        .run(histories, |history| run(&history).map_err(TestCaseError::fail));
    outcome.map_err(|error| match error {
        TestError::Fail(why, history) => (why.to_string(), Some(history)),
        TestError::Abort(why) => (why.to_string(), None),
    })
}

/// The number of histories in `DRAWBRIDGE_HISTORIES`, or this one.
pub fn count_or(ordinary: u32) -> u32 {
    let count = std::env::var("DRAWBRIDGE_HISTORIES").ok().and_then(|text| text.parse().ok());
    count.unwrap_or(ordinary)
}
