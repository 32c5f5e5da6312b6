//! The control socket of a bridge, at which a person, or a program of the person, asks and orders
//! by JSON-RPC, one message a line; and metrics by HTTP, where they are wanted.
//!
//! A thread of its own keeps both, so that no connection costs the loop a look into the
//! process table; whatever it needs of the bridge it asks the loop for. `docs/control.md`
//! describes the methods, and [`api`](crate::api) their words.

mod client;
mod place;
pub mod report;
mod rpc;
mod server;

use std::time::Duration;

pub use self::client::{Link, NotReached, reach};
pub use self::place::{BridgeSocket, found};
pub use self::rpc::ControlApiClient;
pub use self::server::{Control, ControlSetup, ControlSocket, HttpDoor, start};

/// The pause after a connection that could not be taken.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The longest message to a bridge, in bytes.
const LONGEST_REQUEST: usize = 64 << 10;

/// The longest message of a bridge, in bytes: a page of sessions in directories with long names.
const LONGEST_RESPONSE: usize = 16 << 20;
