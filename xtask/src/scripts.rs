//! Random scripts for the core: `tests/fuzz/scripts.rs`, for a time or for a number of them.
//!
//! The ordinary tests play a few hundred, always the same. `DRAWBRIDGE_SEED` selects others.

use crate::take;

/// How long scripts are played if no amount is given (s).
const SECONDS: &str = "600";

/// Plays scripts: `60s` is a time, `5000` a number of scripts; `false` if one fails.
pub fn run(amount: Option<&str>) -> bool {
    let (variable, number) = match amount {
        None => ("DRAWBRIDGE_SCRIPT_SECONDS", SECONDS),
        Some(amount) => match amount.strip_suffix('s') {
            Some(seconds) => ("DRAWBRIDGE_SCRIPT_SECONDS", seconds),
            None => ("DRAWBRIDGE_SCRIPTS", amount),
        },
    };
    if number.parse::<u64>().is_err() {
        eprintln!("`{number}` is no amount: `60s` is a time, `5000` a number of scripts");
        return false;
    }
    let step =
        ["cargo", "test", "--release", "--test", "fuzz", "--", "random_scripts", "--nocapture"];
    take(&step, [(variable, number)].into_iter())
}
