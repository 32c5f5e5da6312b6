//! The exit codes of the program, beside 0 for success.

/// This process cannot do its work at all.
pub(super) const UNUSABLE: u8 = 1;
/// Another daemon serves already.
pub(super) const SERVED: u8 = 3;
/// There was no agent for the editor.
pub(super) const NO_AGENT: u8 = 1;
/// There is no bridge that a command is about.
pub(super) const NO_BRIDGE: u8 = 4;
/// A bridge goes on, because something would be lost.
pub(super) const UNFINISHED: u8 = 5;
/// The command line or the configuration is refused.
pub(super) const USAGE: u8 = 2;
/// Processes of agents would not die.
pub(super) const SURVIVORS: u8 = 70;
/// The code of shells for a command that cannot be run.
pub(super) const NOT_RUN: u8 = 126;
/// The code of shells for a command that is not there.
pub(super) const NOT_FOUND: u8 = 127;
