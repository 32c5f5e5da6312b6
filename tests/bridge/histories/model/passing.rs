//! Ids that no open has brought: those of sub-agents, and those that pass.
//!
//! The model does not guess. Where the rules leave one addressee, that client must get
//! the frame; where several answers are right, the frame must have gone to one of them,
//! and what follows from the choice is not judged.

use std::collections::BTreeSet;

use drawbridge::bridge::{ChannelId, ClientId};
use drawbridge::wire::{Frame, FrameKind, Method};

use super::super::names::stripped;
use super::super::sights::Sight;
use super::{Asked, Channel, Model, Place, Rung, Sent, Verdict};

/// An id that no open has brought, on its channel.
#[derive(Clone, Default)]
pub(super) struct Passing {
    /// The sessions that it may belong to.
    pub parents: BTreeSet<String>,
    /// The client that used it first, without a session.
    pub lessee: Option<ClientId>,
    /// The id by which clients know it.
    pub public: Option<String>,
    /// The model cannot tell which of them it is.
    pub is_ambiguous: bool,
    /// The agent brought it; a client may have made it up otherwise.
    pub is_of_agent: bool,
    /// The agent said whose it is.
    pub announced: bool,
    /// It was shown in a question while a new session was being opened, and may be that.
    pub may_be_new: bool,
    /// The client that the question was put to.
    pub asked: Option<ClientId>,
    /// It was announced in the replay of this session, which was being restored.
    pub replayed_in: Option<String>,
    /// It came up when so many requests had been marked: an open that was asked before may
    /// wait for its channel already.
    pub since: u64,
    /// It ended with its session.
    pub over: bool,
    /// What had it was closed or deleted by itself.
    pub has_ended: bool,
}

impl Passing {
    /// The session that it belongs to, where that is certain.
    pub fn parent(&self) -> Option<&String> {
        let is_certain =
            !self.is_ambiguous && self.lessee.is_none() && !self.over && !self.may_be_new;
        self.parents.first().filter(|_| is_certain)
    }
}

/// The clients that may be meant by an agent's frame that names nothing known.
#[derive(Clone, Default)]
pub(super) struct Addressees {
    /// The only one that opens a new session there: a question may be about that.
    pub opener: Option<ClientId>,
    /// One of these, or none.
    pub possible: BTreeSet<ClientId>,
    /// The one that a request must go to.
    pub of_request: Option<ClientId>,
    /// The one that a notification must go to.
    pub of_notification: Option<ClientId>,
}

fn opens(method: Method) -> bool {
    matches!(
        method,
        Method::SessionNew | Method::SessionFork | Method::SessionLoad | Method::SessionResume
    )
}

fn sole(clients: &BTreeSet<ClientId>) -> Option<ClientId> {
    clients.first().copied().filter(|_| clients.len() == 1)
}

/// The candidates of one rule: `sure` are among them, and nobody but `maybe`.
fn chosen<'a>(
    sure: &'a BTreeSet<ClientId>,
    maybe: &'a BTreeSet<ClientId>,
) -> Option<&'a BTreeSet<ClientId>> {
    match sure.len() {
        0 => Some(maybe),
        1 => Some(sure),
        _ => None,
    }
}

impl Model {
    /// The addressees of a frame of this channel's agent that names nothing known: the
    /// only client there, or the only one whose prompt or open runs there.
    pub(super) fn addressees(&self, channel: ChannelId) -> Addressees {
        let here = self.channels.get(&channel);
        let mut there: BTreeSet<ClientId> = BTreeSet::new();
        for (id, row) in &self.clients {
            if row.attached.values().any(|place| place.0 == channel) {
                there.insert(*id);
            }
        }
        let (mut running, mut maybe_running) = (BTreeSet::new(), BTreeSet::new());
        let (mut opening, mut maybe_there) = (BTreeSet::new(), there.clone());
        let open = self.asked.values().filter(|asked| {
            !asked.done && !asked.passthrough && self.clients.contains_key(&asked.client)
        });
        for asked in open {
            let client = asked.client;
            let was_sent_here = asked.sent.iter().any(|(other, _)| *other == channel);
            let is_here = asked.sent.last().is_some_and(|(other, call)| {
                *other == channel && here.is_some_and(|row| row.pending.contains_key(call))
            });
            if is_here && matches!(asked.method, Method::SessionNew | Method::SessionFork) {
                opening.insert(client);
            }
            if was_sent_here && (opens(asked.method) || asked.method == Method::SessionPrompt) {
                maybe_running.insert(client);
                let is_sure = asked.place.is_some() && !asked.outlived_it && !asked.saw_end;
                if is_here && (opens(asked.method) || is_sure) {
                    running.insert(client);
                }
            }
            if was_sent_here || asked.sent.is_empty() {
                maybe_there.insert(client);
            }
        }
        there.extend(&running);
        let rows = here.into_iter().flat_map(|row| row.passing.values());
        let lessees = rows.filter_map(|row| row.lessee);
        let lessees = lessees.chain(here.into_iter().flat_map(|row| row.lessees.iter().copied()));
        maybe_there.extend(lessees.filter(|client| self.clients.contains_key(client)));

        let opener = sole(&opening);
        let mut possible: BTreeSet<ClientId> = opener.into_iter().collect();
        if there.is_empty() {
            // Without a client on the channel the only one of its pool is meant, and the
            // model does not know pools.
            possible.extend(self.clients.keys());
        }
        possible.extend(chosen(&there, &maybe_there).into_iter().flatten());
        possible.extend(chosen(&running, &maybe_running).into_iter().flatten());
        let of_request = sole(&there).filter(|_| there == maybe_there);
        let is_runner = there.len() > 1 && running == maybe_running;
        let of_notification = of_request.or_else(|| sole(&running).filter(|_| is_runner));
        Addressees { opener, possible, of_request, of_notification }
    }

    /// Whether an open may still bring any id to this channel, or a replay under any.
    pub(super) fn is_opening(&self, channel: ChannelId) -> bool {
        self.opens_there(channel).next().is_some()
    }

    /// Whether a client still waits for such an open.
    pub(super) fn is_opening_for_a_client(&self, channel: ChannelId) -> bool {
        let mut asked = self.opens_there(channel).filter_map(|sent| self.asked.get(&sent.mark?));
        asked.any(|asked| !asked.done)
    }

    fn opens_there(&self, channel: ChannelId) -> impl Iterator<Item = &Sent> {
        let sent = self.channels.get(&channel).into_iter().flat_map(|row| row.pending.values());
        sent.filter(|sent| opens(sent.method))
    }

    /// The sessions that a frame about this id is about.
    pub(super) fn homes(&self, place: &Place) -> Vec<Place> {
        let Some(row) = self.channels.get(&place.0) else { return Vec::new() };
        if row.sessions.contains_key(&place.1) {
            return vec![place.clone()];
        }
        let parents = row.passing.get(&place.1).map(|passing| &passing.parents);
        parents.into_iter().flatten().map(|parent| (place.0, parent.clone())).collect()
    }

    /// The thing that a client means by this id, if no open has brought it.
    pub(super) fn passing_named(&self, client: ClientId, id: &str) -> Option<Place> {
        let mut rows = self.channels.iter().filter(|(_, row)| !row.exited).flat_map(|(at, row)| {
            row.passing.iter().map(move |(name, passing)| ((*at, name), passing))
        });
        let ((channel, name), _) = rows.find(|((channel, _), passing)| {
            passing.public.as_deref() == Some(id)
                && !passing.over
                && self.may_hear_passing(client, *channel, passing)
        })?;
        Some((channel, name.clone()))
    }

    fn may_hear_passing(&self, client: ClientId, channel: ChannelId, row: &Passing) -> bool {
        let hears = |parent: &String| self.may_hear(client, &(channel, parent.clone()));
        row.lessee == Some(client) || row.parents.iter().any(hears)
    }

    /// Whether an id must mean this one thing now, whatever else opens.
    fn is_taken(&self, row: &Passing) -> bool {
        let lives = match row.lessee {
            Some(client) => row.parents.is_empty() && self.clients.contains_key(&client),
            None => row.parent().is_some(),
        };
        row.is_of_agent && lives
    }

    /// Another live thing than `place` that no open has brought and clients know by this id,
    /// and that came up before this request.
    pub(super) fn passing_elsewhere(
        &self,
        public: &str,
        place: &Place,
        before: u64,
    ) -> Option<Place> {
        let lives = |row: &Channel| !row.exited && row.rung == Rung::Serving && !row.passthrough;
        self.channels.iter().filter(|(_, row)| lives(row)).find_map(|(channel, row)| {
            let found = row.passing.iter().find(|(id, passing)| {
                passing.public.as_deref() == Some(public)
                    && (*channel, *id) != (place.0, &place.1)
                    && passing.since < before
                    // In a shutdown no open brings it any more.
                    && !(passing.may_be_new && self.ending.is_some())
                    && self.is_taken(passing)
            });
            found.map(|(id, _)| (*channel, id.clone()))
        })
    }

    /// Another channel where the agent brought this id, and may still use it.
    pub(super) fn passes_elsewhere(
        &self,
        here: ChannelId,
        public: &str,
        mark: u64,
    ) -> Option<ChannelId> {
        let uses = |passing: &Passing| {
            passing.since < mark
                && passing.public.as_deref() == Some(public)
                && passing.is_of_agent
                && !passing.announced
                && !passing.has_ended
                && self.is_taken(passing)
        };
        let mut others = self.channels.iter().filter(|(id, row)| **id != here && !row.exited);
        others.find(|(_, row)| row.passing.values().any(uses)).map(|(id, _)| *id)
    }

    /// An agent announces a sub-agent of a session.
    pub(super) fn announced(&mut self, channel: ChannelId, parent: &str, child: &str) {
        let is_opening = self.is_opening(channel);
        let Some(row) = self.channels.get_mut(&channel) else { return };
        let is_live = row.sessions.get(parent).is_some_and(|session| session.live);
        if !is_live
            && !row.sessions.contains_key(child)
            && let Some(client) = row.restorer(parent).and_then(|mark| self.asked.get(&mark))
            && !client.done
            && self.clients.contains_key(&client.client)
        {
            let fresh = Passing {
                lessee: Some(client.client),
                replayed_in: Some(parent.to_owned()),
                announced: true,
                is_of_agent: true,
                ..Passing::default()
            };
            row.passing.retain(|id, passing| id != child || !passing.may_be_new);
            row.passing.entry(child.to_owned()).or_insert(fresh);
            return;
        }
        let passing = row.passing.get(parent).filter(|_| !is_live);
        // While an open is under way the parent may be the new session.
        let is_sure = |row: &&Passing| row.is_of_agent || !is_opening;
        let lessee = passing.filter(is_sure).and_then(|row| row.lessee);
        let other = passing.filter(|row| !is_sure(row)).and_then(|row| row.lessee);
        if !(is_live || lessee.is_some())
            || row.sessions.contains_key(child)
            || row.rung != Rung::Serving
        {
            if let Some(client) = other {
                row.thought.entry(child.to_owned()).or_default().insert(client, BTreeSet::new());
            }
            // It may be that of a closed session, and what it says is for nobody.
            row.passing.retain(|id, passing| id != child || !passing.may_be_new);
            row.named.insert(child.to_owned());
            return;
        }
        let parents = match passing {
            Some(row) => row.parents.clone(),
            None => BTreeSet::from([parent.to_owned()]),
        };
        let known = Passing { announced: true, is_of_agent: true, ..Passing::default() };
        let fresh = Passing { parents, lessee, ..known };
        // An agent with one client may give a name again whose owner has ended.
        let was_over = row.passing.get(child).is_some_and(|passing| passing.over);
        row.passing.retain(|id, passing| id != child || !(passing.may_be_new || passing.over));
        let fresh = Passing { is_ambiguous: was_over, ..fresh };
        row.passing.entry(child.to_owned()).or_insert(fresh);
        self.sights.insert(Sight::AnnouncedChild);
    }

    /// A client's request under an unknown id reaches an agent.
    pub(super) fn passed_on(&mut self, channel: ChannelId, id: &str, asked: (ClientId, String)) {
        self.sights.insert(Sight::PassedOn);
        let Some(row) = self.channels.get_mut(&channel) else { return };
        row.leased = true;
        // Another client goes on with what one had that is gone.
        let clients = &self.clients;
        row.passing.retain(|name, row| {
            name != id || row.lessee.is_none_or(|lessee| clients.contains_key(&lessee))
        });
        if !row.sessions.contains_key(id) {
            let (client, public) = asked;
            let fresh =
                Passing { lessee: Some(client), public: Some(public), ..Passing::default() };
            row.passing.entry(id.to_owned()).or_insert(fresh);
        }
    }

    /// The answer to an unknown method brings an id to a client.
    pub(super) fn begun(&mut self, client: ClientId, place: &Place, shown: &str) -> Verdict {
        self.sights.insert(Sight::BroughtId);
        let Some(row) = self.channels.get_mut(&place.0) else { return Ok(()) };
        // An agent that counts its ids may use that of a closed session again.
        row.sessions.retain(|id, session| *id != place.1 || session.live);
        // It was thought to be that of an open, or a client made it up.
        row.passing.retain(|id, row| {
            let is_its = row.lessee == Some(client) || !row.parents.is_empty();
            *id != place.1 || (!row.may_be_new && row.is_of_agent && is_its)
        });
        if row.sessions.contains_key(&place.1) || row.passing.contains_key(&place.1) {
            return Ok(());
        }
        let fresh = Passing { lessee: Some(client), is_of_agent: true, ..Passing::default() };
        row.passing.insert(place.1.clone(), fresh);
        self.is_shown_as(place, shown)
    }

    /// A client is told something under an id that no open has brought.
    pub(super) fn passing_told(
        &mut self,
        client: ClientId,
        place: &Place,
        number: u64,
        frame: &Frame,
    ) -> Verdict {
        let shown = frame.session().map(|id| id.into_owned()).unwrap_or_default();
        let is_question = frame.kind == FrameKind::Request;
        if !is_question && let Some(row) = self.channels.get_mut(&place.0) {
            // Early notifications are told when it is known what their id is.
            row.passing.retain(|id, passing| *id != place.1 || !passing.may_be_new);
        }
        let is_known =
            self.channels.get(&place.0).is_some_and(|row| row.passing.contains_key(&place.1));
        if !is_known {
            self.bind(client, place, (number, is_question))?;
        }
        let sessions_of = |lessee: ClientId| self.sessions_on(place.0, lessee);
        let Some(row) = self.channels.get(&place.0) else { return Ok(()) };
        let Some(passing) = row.passing.get(&place.1) else { return Ok(()) };
        if passing.over || self.ending.is_some() {
            return Err("the session that it belongs to has ended".to_owned());
        }
        let mut bound = passing.clone();
        if bound.parents.is_empty()
            && let Some(lessee) = bound.lessee
        {
            // An agent's frame binds it to a session of its client.
            bound.parents = sessions_of(lessee);
        }
        let opens_it = bound.may_be_new && self.opens(client, place.0, None);
        if !opens_it && !self.may_hear_passing(client, place.0, &bound) {
            return Err("it belongs to no session that this client has open".to_owned());
        }
        if let Some(row) = self.channels.get_mut(&place.0) {
            row.passing.insert(place.1.clone(), bound);
        }
        self.is_shown_as(place, &shown)
    }

    /// An agent's frame under an id that nobody knew belongs to a session of its addressee.
    fn bind(
        &mut self,
        client: ClientId,
        place: &Place,
        (number, is_question): (u64, bool),
    ) -> Verdict {
        let Addressees { mut possible, opener, .. } = self.addressees(place.0);
        if self.current.number == Some(number) {
            possible = self.current.addressees.possible.clone();
        } else {
            // It was held while an open was under way.
            possible.extend(self.clients.keys().filter(|id| self.is_near(**id, place.0)));
        }
        // A question that could be put to nobody has bound it, too.
        let row = self.channels.get(&place.0);
        let thought = row.and_then(|row| row.thought.get(&place.1)).cloned().unwrap_or_default();
        let now = possible.into_iter().map(|id| (id, self.sessions_on(place.0, id)));
        let found = now.chain(thought).find_map(|(addressee, parents)| {
            let shares =
                parents.iter().any(|parent| self.may_hear(client, &(place.0, parent.clone())));
            (addressee == client || shares).then_some((addressee, parents))
        });
        let (addressee, parents) = found.ok_or("it has nothing to do with that id")?;
        let fresh = Passing {
            is_ambiguous: parents.len() > 1,
            lessee: parents.is_empty().then_some(addressee),
            may_be_new: is_question && opener == Some(addressee),
            asked: is_question.then_some(addressee),
            is_of_agent: true,
            since: self.asked.last_key_value().map_or(0, |(mark, _)| *mark),
            parents,
            ..Passing::default()
        };
        let Some(row) = self.channels.get_mut(&place.0) else { return Ok(()) };
        row.leased |= fresh.lessee.is_some();
        row.passing.insert(place.1.clone(), fresh);
        self.sights.insert(Sight::SilentChild);
        Ok(())
    }

    fn is_near(&self, client: ClientId, channel: ChannelId) -> bool {
        let asks_here = |asked: &Asked| {
            asked.client == client && asked.sent.iter().any(|(other, _)| *other == channel)
        };
        !self.sessions_on(channel, client).is_empty() || self.asked.values().any(asks_here)
    }

    /// The sessions of a channel that a client is attached to, or about to be.
    pub(super) fn sessions_on(&self, channel: ChannelId, client: ClientId) -> BTreeSet<String> {
        let sessions = self.channels.get(&channel).into_iter().flat_map(|row| &row.sessions);
        let live = sessions.filter(|(_, session)| session.live).map(|(id, _)| id.clone());
        live.filter(|id| self.may_hear(client, &(channel, id.clone()))).collect()
    }

    /// Clients know an id that no open has brought by one name, which is nothing else's.
    pub(super) fn is_shown_as(&mut self, place: &Place, shown: &str) -> Verdict {
        if stripped(shown) != place.1 {
            return Err(format!("{shown} is no name of {}", place.1));
        }
        let Some(row) = self.channels.get(&place.0) else { return Ok(()) };
        let Some(passing) = row.passing.get(&place.1) else { return Ok(()) };
        match &passing.public {
            Some(public) if public == shown => return Ok(()),
            Some(public) => return Err(format!("{} was shown as {public}", place.1)),
            None => {}
        }
        if self.is_taken(passing) {
            let live = self.known_as(shown).filter(|other| other != place);
            let other = live.or_else(|| self.passing_elsewhere(shown, place, u64::MAX));
            if let Some((channel, id)) = other {
                return Err(format!("{shown} is {id} on {channel} already"));
            }
        }
        self.names_it(place, shown);
        Ok(())
    }

    fn names_it(&mut self, place: &Place, shown: &str) {
        if shown != place.1 {
            self.sights.insert(Sight::Alias);
        }
        let row = self.channels.get_mut(&place.0);
        if let Some(passing) = row.and_then(|row| row.passing.get_mut(&place.1)) {
            passing.public = Some(shown.to_owned());
        }
    }
}

impl Channel {
    /// The request that restores this session now.
    fn restorer(&self, session: &str) -> Option<u64> {
        let mut pending = self.pending.values();
        let restores = |sent: &&Sent| {
            matches!(sent.method, Method::SessionLoad | Method::SessionResume)
                && sent.session.as_deref() == Some(session)
        };
        pending.find(restores).and_then(|sent| sent.mark)
    }

    /// Sub-agents from replays belong to the sessions that were restored, or are over with
    /// the restore.
    pub(super) fn replays_are_over(&mut self) {
        let replayed = self.passing.iter();
        let replayed =
            replayed.filter_map(|(id, row)| Some((id.clone(), row.replayed_in.clone()?)));
        for (id, parent) in replayed.collect::<Vec<_>>() {
            if self.sessions.get(&parent).is_some_and(|session| session.live) {
                let Some(row) = self.passing.get_mut(&id) else { continue };
                (row.lessee, row.replayed_in) = (None, None);
                row.parents.insert(parent);
            } else if self.restorer(&parent).is_none() {
                self.passing.remove(&id);
            }
        }
    }

    /// A session ended, and with it what belongs to it.
    pub(super) fn ends_children(&mut self, parent: &str) {
        // What may be a session that is being opened ends with no other.
        let may_be_new =
            |row: &Passing| row.may_be_new && row.parents.iter().all(|of| of == parent);
        self.passing.retain(|_, row| !may_be_new(row));
        for passing in self.passing.values_mut() {
            if passing.parents.remove(parent) && passing.parents.is_empty() {
                passing.over = passing.lessee.is_none();
                // A thing that a client began may go on without a session, or have ended with it.
                passing.is_of_agent = false;
            }
        }
    }

    /// A client is gone, and with it what it had without a session.
    pub(super) fn ends_leases(&mut self, client: ClientId) {
        let is_its = |row: &Passing| row.lessee == Some(client) && row.parents.is_empty();
        let ended = self.passing.iter().filter(|(_, row)| is_its(row)).map(|(id, _)| id.clone());
        self.named.extend(ended.collect::<Vec<_>>());
        self.passing.retain(|_, row| !is_its(row));
    }
}
