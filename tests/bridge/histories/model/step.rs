//! One step of the bridge: what it handles, and what must be true afterwards.

use std::collections::BTreeSet;

use drawbridge::bridge::{ChannelId, ClientId, Limit};
use drawbridge::wire::Method;

use super::super::agent::{About, Said};
use super::super::sights::Sight;
use super::passing::{Addressees, Passing};
use super::{Channel, Model, Place, Rung, Sent, Verdict, Written};

/// The event that the bridge handles, and the things that it has done about it so far.
#[derive(Default)]
pub(super) struct Current {
    /// The frame of an agent.
    pub number: Option<u64>,
    /// The clients that got it.
    pub got: BTreeSet<ClientId>,
    /// The client that must get it, although it names nothing that is known.
    pub must: Option<ClientId>,
    /// The clients that may be meant by it.
    pub addressees: Addressees,
    /// The request that it answers.
    pub answered: Option<Answered>,
    /// Questions that the bridge withdrew from clients: the frames.
    pub withdrawn: Vec<(ClientId, u64)>,
    /// It is a notification of a client.
    pub by_notification: bool,
    /// It is a deadline.
    pub by_clock: bool,
}

/// A request to an agent that was just answered.
pub(super) struct Answered {
    channel: ChannelId,
    mark: Option<u64>,
    method: Method,
    names: Option<String>,
    success: bool,
}

impl Answered {
    pub(super) fn to(channel: ChannelId, sent: &Sent, success: bool) -> Self {
        let (mark, method, names) = (sent.mark, sent.method, sent.names.clone());
        Answered { channel, mark, method, names, success }
    }

    /// Whether the agent has just agreed to delete or archive this session.
    pub fn deletes(&self, place: &Place) -> bool {
        self.ends_stored()
            && self.success
            && self.channel == place.0
            && self.names.as_ref() == Some(&place.1)
    }

    fn ends_stored(&self) -> bool {
        matches!(self.method, Method::SessionDelete | Method::SessionArchive)
    }
}

impl Model {
    /// The bridge's deadline is served.
    pub fn is_woken(&mut self, now: u64) {
        self.clocks_stand(now);
        self.current = Current { by_clock: true, ..Current::default() };
    }

    /// Works out who is meant by an agent's frame that names nothing known.
    pub(super) fn is_meant_for(&mut self, channel: ChannelId, about: &About) {
        let Some(row) = self.channels.get(&channel).filter(|row| !row.passthrough) else { return };
        let is_known = match &about.session {
            Some(id) => {
                let session = row.sessions.get(id);
                session.is_some_and(|session| session.live) || row.passing.contains_key(id)
            }
            None => about.request.is_some(),
        };
        let is_request = matches!(about.said, Said::Request { .. });
        if is_known || !(is_request || about.said == Said::Notification) {
            return;
        }
        // An id that went over this wire before may have a tombstone there.
        let is_new = about.session.as_ref().is_none_or(|id| !row.named.contains(id));
        let serves = row.initialized && row.rung == Rung::Serving && self.ending.is_none();
        let is_due = is_new && serves && !self.is_opening(channel);
        let addressees = self.addressees(channel);
        let had = addressees.possible.iter().map(|id| (*id, self.sessions_on(channel, *id)));
        let had: Vec<_> = had.collect();
        if let (Some(id), true) = (&about.session, is_request)
            && let Some(row) = self.channels.get_mut(&channel)
        {
            row.thought.entry(id.clone()).or_default().extend(had);
        }
        let only = if is_request { addressees.of_request } else { addressees.of_notification };
        self.current.must = only.filter(|_| is_due);
        self.current.addressees = addressees;
    }

    /// The end of a step.
    pub fn settled(&mut self, now: u64) -> Verdict {
        self.questions_are_somebodys()?;
        self.frame_was_delivered()?;
        self.withdrawals_are_due()?;
        self.elicitations_have_their_requests()?;
        self.deletion_is_done()?;
        self.is_of_use(now);
        self.clocks_stand(now);
        self.forget_what_no_open_brought();
        self.channels.values_mut().for_each(|row| row.replays_are_over());
        if self.has_overlap() {
            self.sights.insert(Sight::Overlap);
        }
        Ok(())
    }

    /// What an agent has said may have been of use to the session that it was bound to.
    fn is_of_use(&mut self, now: u64) {
        let number = self.current.number.and_then(|number| self.written.get(number as usize));
        let place = number.and_then(|row| Some((row.channel, row.about.session.clone()?)));
        place.into_iter().for_each(|place| self.touch(now, &place, false));
    }

    /// When no open is under way any more, the id in a question while one was belongs to the
    /// client that was asked; if an open was given up, it tells nothing.
    fn forget_what_no_open_brought(&mut self) {
        let channels: Vec<ChannelId> = self.channels.keys().copied().collect();
        for channel in channels {
            if self.is_opening_for_a_client(channel) {
                continue;
            }
            let is_given_up = self.is_opening(channel);
            let Some(row) = self.channels.get(&channel) else { continue };
            let unsure = row.passing.iter().filter(|(_, passing)| passing.may_be_new);
            let unsure: Vec<_> = unsure.map(|(id, row)| (id.clone(), row.clone())).collect();
            for (id, passing) in unsure {
                let client = passing.asked.filter(|id| self.clients.contains_key(id));
                let bound = client.filter(|_| !is_given_up).map(|client| {
                    let parents = self.sessions_on(channel, client);
                    Passing {
                        is_ambiguous: parents.len() > 1,
                        lessee: parents.is_empty().then_some(client),
                        may_be_new: false,
                        parents,
                        ..passing
                    }
                });
                let Some(row) = self.channels.get_mut(&channel) else { continue };
                match bound {
                    Some(bound) => drop(row.passing.insert(id, bound)),
                    None => drop(row.passing.remove(&id)),
                }
            }
        }
    }

    /// Up to now the clocks of these channels stood.
    pub(super) fn clocks_stand(&mut self, now: u64) {
        for row in self.channels.values_mut().filter(|row| row.paused || !row.asks.is_empty()) {
            row.stood_at = now;
        }
    }

    fn questions_are_somebodys(&self) -> Verdict {
        for (id, row) in self.channels.iter().filter(|(_, row)| !row.exited) {
            if row.rung != Rung::Serving && !row.asks.is_empty() {
                return Err(format!("{id} is stopping and waits for an answer"));
            }
            for (token, ask) in &row.asks {
                let place = ask.session.clone().map(|session| (*id, session));
                let homes = place.map_or_else(Vec::new, |place| self.homes(&place));
                let lives = homes.iter().any(|place| self.may_wait(place, ask.method));
                let is_asked = self
                    .clients
                    .values()
                    .any(|client| client.questions.values().any(|number| *number == ask.number));
                if !lives && !is_asked && !ask.shown {
                    return Err(format!("{id}: nobody hears request {token} of it"));
                }
                if !lives && !is_asked && ask.session.is_some() {
                    return Err(format!("{id}: nobody will answer request {token} of it"));
                }
            }
        }
        Ok(())
    }

    /// Some questions wait in a live session until somebody comes.
    fn may_wait(&self, place: &Place, method: Method) -> bool {
        self.is_live(place)
            && matches!(
                method,
                Method::RequestPermission
                    | Method::FsRead
                    | Method::FsWrite
                    | Method::ElicitationCreate
            )
    }

    /// Everybody got the frame who must get it.
    fn frame_was_delivered(&self) -> Verdict {
        let Some(number) = self.current.number else { return Ok(()) };
        let Some(Written { channel, about }) = self.written.get(number as usize) else {
            return Ok(());
        };
        let Some(row) = self.channels.get(channel) else { return Ok(()) };
        let missed = |client: &ClientId| !self.current.got.contains(client);
        if let Some(client) = self.current.must.filter(missed) {
            return Err(format!("frame {number} of {channel} is meant for {client} alone"));
        }
        // Whether the frame that binds an id goes to more clients than its addressee is open.
        let binds = !self.current.addressees.possible.is_empty();
        if binds || about.said != Said::Notification || row.rung != Rung::Serving {
            return Ok(());
        }
        for (client, facts) in &self.clients {
            let must_hear = if row.passthrough {
                facts.passthrough == Some(*channel) && !row.draining
            } else {
                let home = about.session.as_ref().and_then(|id| self.home_of(*channel, row, id));
                home.is_some_and(|home| facts.attached.values().any(|place| *place == home))
            };
            if must_hear && missed(client) {
                return Err(format!("{client} did not get frame {number} of {channel}"));
            }
        }
        Ok(())
    }

    /// The live session whose clients must all get a frame under this id.
    fn home_of(&self, channel: ChannelId, row: &Channel, id: &String) -> Option<Place> {
        let is_session = row.sessions.get(id).is_some_and(|session| session.live);
        let parent = row.passing.get(id).and_then(|passing| passing.parent());
        let home = match is_session {
            true => id,
            // The id may be that of a session that is being opened.
            false => parent.filter(|_| !self.is_opening(channel))?,
        };
        // A replay is for the client that asked for it.
        let is_replayed = row.pending.values().any(|sent| {
            matches!(sent.method, Method::SessionLoad | Method::SessionResume)
                && sent.names.as_ref() == Some(home)
        });
        let place = (channel, home.clone());
        (!is_replayed && self.is_live(&place)).then_some(place)
    }

    /// Nobody answers for a client that could answer itself.
    fn withdrawals_are_due(&self) -> Verdict {
        for (client, number) in &self.current.withdrawn {
            let Some(Written { channel, about }) = self.written.get(*number as usize) else {
                continue;
            };
            let (Said::Request { method, .. }, Some(id)) = (&about.said, &about.session) else {
                continue;
            };
            let place = (*channel, id.clone());
            let homes = self.homes(&place);
            let is_its_home =
                |home: &&Place| (**home == place || self.has_parent(&place)) && self.is_live(home);
            let Some(home) = homes.first().filter(is_its_home) else { continue };
            let row = self.clients.get(client);
            if !row.is_some_and(|row| row.attached.values().any(|place| place == home)) {
                continue;
            }
            let row = self.channels.get(&home.0).and_then(|row| row.sessions.get(&home.1));
            let is_cancelled_elsewhere = homes.len() > 1
                || self.channels.get(channel).is_some_and(|row| {
                    row.sessions.contains_key(id)
                        && row.sessions.values().any(|session| session.cancelled)
                });
            let may_be_cancelled = is_cancelled_elsewhere
                || row.is_some_and(|session| session.cancelled)
                || self.config.agent.prompt_timeout != Limit::Never;
            match method {
                Method::RequestPermission | Method::ElicitationCreate => {
                    if self.current.by_clock && !may_be_cancelled {
                        return Err(format!("question {number} was cancelled by nobody"));
                    }
                }
                _ => return Err(format!("request {number} is for {client} alone to answer")),
            }
        }
        Ok(())
    }

    /// An elicitation that belongs to a request is withdrawn when that request is over.
    fn elicitations_have_their_requests(&self) -> Verdict {
        for (id, row) in self.channels.iter().filter(|(_, row)| !row.exited) {
            let over = row.asks.iter().find(|(_, ask)| {
                let asked = ask.of_request.and_then(|mark| self.asked.get(&mark));
                asked.is_some_and(|asked| asked.done)
            });
            if let Some((token, _)) = over {
                return Err(format!("{id}: request {token} of it outlives what it belongs to"));
            }
        }
        Ok(())
    }

    /// A session that the agent agreed to delete is gone, and one that it refused to delete lives.
    fn deletion_is_done(&mut self) -> Verdict {
        let Some(answered) = self.current.answered.as_ref().filter(|row| row.ends_stored()) else {
            return Ok(());
        };
        let asked = answered.mark.and_then(|mark| self.asked.get(&mark));
        let asked = asked.filter(|asked| !asked.passthrough);
        let Some(source) = asked.and_then(|asked| asked.source.clone()) else { return Ok(()) };
        match (answered.success, self.is_live(&source)) {
            (true, true) => return Err(format!("{source:?} is deleted and still open")),
            (true, false) | (false, false) => {}
            (false, true) => drop(self.sights.insert(Sight::LiveKept)),
        }
        Ok(())
    }

    fn has_overlap(&self) -> bool {
        let mut leaving = self
            .channels
            .iter()
            .filter(|(_, row)| !row.exited && (row.draining || row.rung != Rung::Serving));
        let successor = self
            .channels
            .iter()
            .rfind(|(_, row)| !row.exited && !row.draining && row.rung == Rung::Serving);
        leaving.any(|(id, _)| successor.is_some_and(|(other, _)| other > id))
    }
}
