//! The core by example: one test per promise, in virtual time.
//!
//! Each test tells a short story in a [`harness::World`]: peers say lines, time
//! passes, and everything that the core does is compared to the byte. What a
//! test does not expect fails it, and the rules of the core are checked after
//! every event.

// A test that meets a surprise has found what it was written for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod backpressure;
mod channels;
mod clocks;
mod close;
mod conversations;
mod counters;
mod crossing;
mod crowds;
mod elicitations;
mod explained;
mod fanout;
mod fence;
mod handshake;
mod harness;
mod histories;
mod husks;
mod ids;
mod in_order;
mod joining;
mod lanes;
mod leases;
mod limits;
mod lines;
mod listeners;
mod liveness;
mod login;
mod lost;
mod no_agent;
mod opening;
mod operator;
mod outdated;
mod overlap;
mod parent;
mod parting;
mod passing;
mod played;
mod prompts;
mod questions;
mod reaper;
mod repeated_login;
mod restarts;
mod revival;
mod revivals;
mod runs;
mod secrets;
mod sharing;
mod shutdown;
mod slow;
mod stored;
mod stories;
mod subagents;
mod tenure;
mod tombstones;
mod ways;
mod words;
