//! What a frame is: lines in, heads out, bytes untouched.
//!
//! One JSON-RPC message is one line. [`mod@line`] cuts a byte stream into lines
//! within a bound; [`frame`] reads the few fields of a line that the bridge
//! must know ([`acp`] names the methods) and leaves everything else as the bytes
//! that came in; [`outgoing`] is those bytes on their way out, maybe with another
//! id; [`splice`] exchanges an id or a member inside them. [`json`] is the scanner
//! beneath: it checks the grammar and remembers places, it never builds a value.
//!
//! This room knows nothing of sessions, channels or time, and does no I/O.

pub mod acp;
pub mod frame;
pub mod json;
pub mod line;
pub mod outgoing;
mod run;
pub mod splice;

pub use acp::Method;
pub use frame::{Frame, Kind, Malformed};
pub use json::Span;
pub use outgoing::{Outgoing, Token};
