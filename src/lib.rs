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
//! | [`bridge`] | the core: all tables, all decisions | time, I/O, tasks |
//! | [`api`] | the words of the control API, as structures | everything else |
//! | [`wire`] | what a frame is: lines, heads, splices | sessions, channels |
//! | [`runtime`] | the loop that owns the core, processes, streams, signals | the protocol |
//! | `keeper` | the process that ends an agent's tree | the protocol, the core, the runtime |
//! | [`ladder`] | the graces of the stop ladder, fitted into a bound | what is ended, and how |
//! | [`agent_command`] | what an agent's command runs in the end | how it is started |
//! | [`agent_environment`] | which variables an agent gets | what they mean |
//! | [`own_process`] | what a bridge or keeper is to the system | the rest |
//! | [`processes`] | the process table, and the names that are left alone | channels |
//! | [`logs`] | where log lines go, without ever blocking the bridge | everything else |
//! | [`secrets`] | what is not to be quoted, by name and by shape | who quotes it |
//! | [`trace`] | the file of the messages that pass, and its lines | who passes them |
//! | [`restores`] | the memory of which agents can restore sessions | the protocol |
//! | [`user_files`] | directories and files of the user alone | what is in them |
//! | [`control`] | the control socket, for people and their programs | the protocol, the core |
//! | [`cli`] | the command line, the configuration, the demonstration | the protocol |
//!
//! Events go into the core, effects come out of it; the core itself does no I/O.
//! `docs/architecture.md` says more.

pub mod agent_command;
pub mod agent_environment;
pub mod api;
pub mod bridge;
pub mod cli;
pub mod control;
pub mod daemon;
#[cfg(target_os = "linux")]
pub mod keeper;
pub mod ladder;
pub mod link;
pub mod logs;
pub mod own_process;
pub mod processes;
pub mod restores;
pub mod runtime;
pub mod secrets;
pub mod shim;
pub mod trace;
pub mod user_files;
pub mod wire;
