//! drawbridge: one ACP endpoint in front of many agent processes.
//!
//! An editor starts `drawbridge -- AGENT…` as if it were the agent. drawbridge
//! starts the real agents, carries many conversations over few processes, closes
//! idle ones in order, and leaves no process behind.
//!
//! The map of the code:
//!
//! | room | what is in it | what it does not know |
//! |---|---|---|
//! | [`bridge`] | the core: all the books and all the decisions | time, I/O, tasks |
//! | [`wire`] | what a frame is: lines, heads, splices | sessions, channels |
//! | [`runtime`] | the loop that owns the core, processes, streams, signals | the protocol |
//! | `keeper` | the process beside each agent that ends its tree, whatever happens to us | the protocol, the core |
//! | [`ladder`] | the graces of the stop ladder, fitted into a bound | who is ended, and how |
//! | [`agent_environment`] | which variables an agent gets | what they mean |
//! | [`processes`] | the process table, and who is left alone | who is whose |
//! | [`logs`] | where log lines go, without ever holding us up | everything else |
//! | [`cli`] | the command line, the configuration, the demonstration | the protocol |
//!
//! Events go into the core, effects come out of it; only the runtime touches the
//! world. `docs/architecture.md` tells the whole.

pub mod agent_environment;
pub mod bridge;
pub mod cli;
#[cfg(target_os = "linux")]
pub mod keeper;
pub mod ladder;
pub mod logs;
pub mod processes;
pub mod runtime;
pub mod wire;
