//! Frames: lines in, heads out, bytes untouched.
//!
//! One JSON-RPC message is one line. [`mod@line`] cuts a byte stream into lines within a
//! bound; [`frame`] reads the few fields of a line that the bridge must know ([`acp`]
//! names the methods) and leaves everything else as the bytes that came in;
//! [`FrameReader`] does the same for all lines of one peer, faster, and reads several updates
//! of one session as a [`run`]. [`outgoing_frame`] is
//! those bytes on their way out, maybe with another id; [`splice`] exchanges an id or a
//! member inside them. [`json`] finds members and reads values in a JSON text. Beneath
//! are [`scanner`], which checks the grammar and builds no value; `walk`, which remembers
//! the places of the members that the bridge must know; `string_ends`, which finds the
//! ends of strings many bytes at a time; and `span` and `string`, which know what a place
//! in a text is and what a string says.
//!
//! This room knows nothing of sessions, channels or time, and does no I/O.

pub mod acp;
pub mod frame;
mod frame_reader;
pub mod json;
pub mod line;
pub mod outgoing_frame;
pub mod run;
pub mod scanner;
mod span;
pub mod splice;
mod string;
mod string_ends;
pub mod token;
mod walk;

pub use acp::Method;
pub use frame::{Frame, FrameKind, Glimpse, Malformed};
pub use frame_reader::FrameReader;
pub use outgoing_frame::OutgoingFrame;
pub use run::{Lines, Run};
pub use scanner::Scanner;
pub use span::Span;
pub use token::Token;
