//! The promises for arbitrary bytes.
//!
//! Each function here takes the bytes of one file and panics if something does
//! not hold. The targets in `fuzz_targets/` give them what libFuzzer makes up;
//! `tests/fuzz/`, which takes this file in by its path, gives them the files of
//! `corpus/` and `regressions/`.

mod frames;
mod lines;
mod script;

pub use frames::frames;
pub use lines::lines;
pub use script::core;
