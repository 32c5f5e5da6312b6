//! One walk over a message: where the members lie that the bridge must know.
//!
//! They are members of three objects, each inside the one before: the message,
//! its `params`, and the `update` in them. Everything else is only checked. How
//! far a walk has come is a small value that can be kept, so that the next
//! message, if it begins with the same bytes, is taken up in the middle
//! ([`FrameReader`](super::FrameReader)).

use super::scanner::{Nesting, NotJson, Scanner, Visitor};
use super::span::Span;

/// A member that the bridge must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// `id`.
    Id,
    /// `method`.
    Method,
    /// `params`.
    Params,
    /// `result`.
    Result,
    /// `error`.
    Error,
    /// `params.sessionId`.
    Session,
    /// `params.requestId`.
    Request,
    /// `params.update`.
    Update,
    /// `params.update.sessionUpdate`.
    UpdateKind,
    /// `params.update.sessionId`.
    ChildSession,
}

impl Member {
    const COUNT: usize = 10;

    /// The member with this key, quotes included, of the object at this level; `None`:
    /// the bridge need not know it.
    #[inline]
    fn named(level: usize, key: &[u8]) -> Option<Member> {
        Some(match (level, key) {
            (1, b"\"id\"") => Member::Id,
            (1, b"\"method\"") => Member::Method,
            (1, b"\"params\"") => Member::Params,
            (1, b"\"result\"") => Member::Result,
            (1, b"\"error\"") => Member::Error,
            (2, b"\"sessionId\"") => Member::Session,
            (2, b"\"requestId\"") => Member::Request,
            (2, b"\"update\"") => Member::Update,
            (3, b"\"sessionUpdate\"") => Member::UpdateKind,
            (3, b"\"sessionId\"") => Member::ChildSession,
            _ => return None,
        })
    }

    /// The members inside this one.
    #[inline]
    fn inner(self) -> &'static [Member] {
        use Member::{ChildSession, Params, Request, Session, Update, UpdateKind};
        match self {
            Params => &[Session, Request, Update, UpdateKind, ChildSession],
            Update => &[UpdateKind, ChildSession],
            _ => &[],
        }
    }
}

/// The places of the members that were found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places([Option<Span>; Member::COUNT]);

impl Places {
    /// The place of a member; `None`: there is none. If it occurs twice, the last one
    /// counts.
    #[inline]
    pub(super) fn of(&self, member: Member) -> Option<Span> {
        self.0[member as usize]
    }
}

/// The state of a walk: the places found so far, and the member that it is in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    /// How many of the objects message, `params` and `update` the walk is in; 0 before
    /// the message.
    level: usize,
    /// At each level, the member whose value is being walked over, and where
    /// that begins.
    open: [Option<(Member, usize)>; 3],
    pub(super) places: Places,
}

/// A walk in the middle of a message, at the beginning of a string.
#[derive(Clone, Debug)]
pub(super) struct Halt {
    pub(super) at: usize,
    nesting: Nesting,
    walk: Walk,
}

impl Walk {
    /// Walks over a whole message from its beginning. If it is no JSON, the places that
    /// were found before the error are kept.
    pub(super) fn over(&mut self, text: &[u8]) -> Result<(), NotJson> {
        self.go_on(text, 0, Nesting::default(), |_, _, _| {})
    }

    /// Walks over a whole message, too. Returns where the walk over a message that has
    /// the first `shared` bytes in common may be taken up: at the last string among the
    /// values that begins before `shared`; `None`: there is no such string.
    pub(super) fn halting(&mut self, text: &[u8], shared: usize) -> Result<Option<Halt>, NotJson> {
        let mut halt = None;
        self.go_on(text, 0, Nesting::default(), |walk, nesting, at| {
            if at < shared {
                halt = Some(Halt { at, nesting: nesting.clone(), walk: *walk });
            }
        })?;
        Ok(halt)
    }

    /// The member of the message whose value holds the place at which the walk ended.
    pub(super) fn broken_member(&self) -> Option<Member> {
        self.open[0].map(|(member, _)| member)
    }

    fn go_on(
        &mut self,
        text: &[u8],
        at: usize,
        mut nesting: Nesting,
        at_string: impl FnMut(&Walk, &Nesting, usize),
    ) -> Result<(), NotJson> {
        let mut scanner = Scanner::starting(text, at);
        scanner.tree(&mut nesting, &mut Watching { walk: self, at_string })?;
        scanner.end()
    }
}

impl Halt {
    /// Whether all that the bridge must know of a message stands before this place: these are
    /// the places in the whole message.
    pub(super) fn tells_all_of(&self, places: &Places) -> bool {
        // These two end behind everything in them.
        let is_around =
            |member: usize| member == Member::Params as usize || member == Member::Update as usize;
        let pairs = self.walk.places.0.iter().zip(&places.0).enumerate();
        pairs.filter(|(member, _)| !is_around(*member)).all(|(_, (before, after))| before == after)
    }

    /// Walks over a message from this place on. Up to and including the quote at `at`,
    /// the message must equal the one in which the walk was halted.
    pub(super) fn resume(&self, text: &[u8]) -> Result<Places, NotJson> {
        let mut walk = self.walk;
        walk.go_on(text, self.at, self.nesting.clone(), |_, _, _| {})?;
        Ok(walk.places)
    }
}

/// A walk, and the function that is called at each string that is a value.
struct Watching<'a, F> {
    walk: &'a mut Walk,
    at_string: F,
}

impl<F: FnMut(&Walk, &Nesting, usize)> Visitor for Watching<'_, F> {
    #[inline]
    fn opened(&mut self, depth: usize, is_object: bool) {
        let way = match self.walk.level {
            0 => is_object,
            1 => matches!(self.walk.open[0], Some((Member::Params, _))),
            2 => matches!(self.walk.open[1], Some((Member::Update, _))),
            _ => false,
        };
        if way && is_object && depth == self.walk.level + 1 {
            self.walk.level = depth;
        }
    }

    #[inline]
    fn key(&mut self, depth: usize, key: &[u8], value_at: usize) {
        if depth == self.walk.level {
            let member = Member::named(depth, key);
            // The member may occur twice: then the members inside the first one do not
            // count.
            for inner in member.map_or(&[][..], Member::inner) {
                self.walk.places.0[*inner as usize] = None;
            }
            self.walk.open[depth - 1] = member.map(|member| (member, value_at));
        }
    }

    #[inline]
    fn string(&mut self, nesting: &Nesting, at: usize) {
        (self.at_string)(self.walk, nesting, at);
    }

    #[inline]
    fn ended(&mut self, depth: usize, at: usize) {
        if depth < self.walk.level {
            self.walk.level = depth;
        }
        if depth == self.walk.level
            && depth > 0
            && let Some((member, start)) = self.walk.open[depth - 1].take()
        {
            self.walk.places.0[member as usize] = Some(Span::new(start, at));
        }
    }
}
