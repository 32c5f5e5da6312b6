//! The ways in which a session is opened.

use crate::wire::Method;

/// The four ways to open a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKind {
    /// `session/new`.
    New,
    /// `session/load`.
    Load,
    /// `session/resume`.
    Resume,
    /// `session/fork`.
    Fork,
}

impl OpenKind {
    /// The word for a session that was opened so, for people.
    pub const fn participle(self) -> &'static str {
        match self {
            OpenKind::New => "opened",
            OpenKind::Load => "loaded",
            OpenKind::Resume => "resumed",
            OpenKind::Fork => "opened as a fork",
        }
    }

    /// The way in which a method opens a session; `None`: it opens none.
    pub fn of(method: Method) -> Option<OpenKind> {
        match method {
            Method::SessionNew => Some(OpenKind::New),
            Method::SessionLoad => Some(OpenKind::Load),
            Method::SessionResume => Some(OpenKind::Resume),
            Method::SessionFork => Some(OpenKind::Fork),
            _ => None,
        }
    }
}
