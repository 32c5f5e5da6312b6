//! The commands that run a bridge, or connect to one: they differ in their options and in the
//! defaults of these.

/// A command that has options of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `drawbridge run`: one editor, at its own stdio.
    Run,
    /// `drawbridge serve`: the daemon.
    Serve,
    /// `drawbridge connect`: the shim. Where there is no daemon, it runs a bridge itself.
    Connect,
}

impl Mode {
    /// Every one.
    pub(super) const ALL: [Mode; 3] = [Mode::Run, Mode::Serve, Mode::Connect];

    /// The name of the command.
    pub(super) const fn command(self) -> &'static str {
        match self {
            Mode::Run => "run",
            Mode::Serve => "serve",
            Mode::Connect => "connect",
        }
    }
}

/// A set of commands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modes(&'static [Mode]);

pub(super) const RUN: Modes = Modes(&[Mode::Run]);
pub(super) const SERVE: Modes = Modes(&[Mode::Serve]);
pub(super) const RUN_SERVE: Modes = Modes(&[Mode::Run, Mode::Serve]);
pub(super) const RUN_CONNECT: Modes = Modes(&[Mode::Run, Mode::Connect]);
pub(super) const SERVE_CONNECT: Modes = Modes(&[Mode::Serve, Mode::Connect]);
pub(super) const EVERY: Modes = Modes(&Mode::ALL);

impl Modes {
    /// Whether the command is one of them.
    pub(super) fn have(self, mode: Mode) -> bool {
        self.0.contains(&mode)
    }

    /// Whether a value counts for what the command does: a shim may have to do what `run` does.
    pub(super) fn count_for(self, mode: Mode) -> bool {
        self.have(mode) || (mode == Mode::Connect && self.have(Mode::Run))
    }
}
