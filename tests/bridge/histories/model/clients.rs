//! What clients get.

use drawbridge::bridge::config::IdlePolicy;
use drawbridge::bridge::{ChannelId, ClientId, EndReason, Lane};
use drawbridge::wire::{Frame, FrameKind, Method};

use super::super::agent::Said;
use super::super::names::stripped;
use super::super::sights::Sight;
use super::{Asked, Model, Place, Verdict, Written, number_after, spelled};

impl Model {
    /// The bridge sends a frame to a client.
    pub fn client_gets(&mut self, now: u64, client: ClientId, frame: &Frame) -> Verdict {
        if !self.clients.contains_key(&client) {
            return Err(format!("{frame:?} for {client}, which is gone"));
        }
        match frame.kind {
            FrameKind::Success | FrameKind::Failure => self.answer_arrives(now, client, frame),
            FrameKind::Request => self.question_arrives(client, frame),
            FrameKind::Notification => self.notification_arrives(client, frame),
        }
        .map_err(|what| format!("{client} gets {frame:?}: {what}"))
    }

    /// What an agent said goes in the lane of its channel.
    pub fn is_in_its_lane(&self, lane: Lane, frame: &Frame) -> Verdict {
        let number = number_after(frame, b"\"n\":");
        let written = number.and_then(|number| self.written.get(number as usize));
        let own = written.map(|written| Lane::Channel(written.channel));
        // An answer may be that of several processes.
        let is_said = matches!(frame.kind, FrameKind::Request | FrameKind::Notification);
        match own.filter(|own| *own != lane && is_said) {
            Some(own) => Err(format!("{frame:?} of {own:?} goes in {lane:?}")),
            None => Ok(()),
        }
    }

    pub(super) fn in_order(&mut self, client: ClientId, place: Place, number: u64) -> Verdict {
        let row = self.clients.entry(client).or_default();
        // What is held for a new session overtakes nothing of that session; an id that
        // a restore has at the same time is another matter.
        let is_held = self.current.number != Some(number);
        let last = if is_held { &mut row.last_held } else { &mut row.last };
        let last = last.insert(place, number);
        match last.filter(|last| *last >= number) {
            Some(last) => Err(format!("frame {number} comes after frame {last}")),
            None => Ok(()),
        }
    }

    fn question_arrives(&mut self, client: ClientId, frame: &Frame) -> Verdict {
        let id = frame.number().ok_or("its id is no number of the bridge")?;
        let number = number_after(frame, b"\"n\":").ok_or("no agent asked it")?;
        let Written { channel, about } =
            self.written.get(number as usize).ok_or("nobody wrote it")?;
        let (channel, about) = (*channel, about.clone());
        let Said::Request { token, .. } = about.said else {
            return Err("the agent did not ask it".to_owned());
        };
        let row = self.channels.get_mut(&channel).ok_or("its process never was")?;
        row.asks.get_mut(&token).ok_or("it is answered already")?.shown = true;
        let is_passthrough = row.passthrough;
        self.gets_current(client, number);
        if is_passthrough {
            self.is_of_passthrough(client, channel, about.session.as_deref(), frame)?;
        } else {
            match (about.request, about.session) {
                (Some(call), _) => self.elicited(client, (channel, call), &token, frame)?,
                (None, Some(session)) => {
                    self.is_told(client, &(channel, session), number, frame)?;
                }
                (None, None) => self.is_addressed(client, channel, number)?,
            }
        }
        let row = self.clients.entry(client).or_default();
        match row.questions.insert(id, number) {
            Some(_) => Err("that id is in use".to_owned()),
            None => Ok(()),
        }
    }

    fn notification_arrives(&mut self, client: ClientId, frame: &Frame) -> Verdict {
        if let Some(number) = number_after(frame, b"\"n\":") {
            let Written { channel, about } =
                self.written.get(number as usize).ok_or("nobody wrote it")?;
            let (channel, about) = (*channel, about.clone());
            self.gets_current(client, number);
            if self.channels.get(&channel).is_some_and(|row| row.passthrough) {
                return self.is_of_passthrough(client, channel, about.session.as_deref(), frame);
            }
            let Some(session) = about.session else { return Ok(()) };
            let place = (channel, session);
            self.is_told(client, &place, number, frame)?;
            if let (Some(child), Some(shown)) = (about.announces, frame.child_session()) {
                self.is_shown_as(&(channel, child), &shown)?;
            }
            return self.in_order(client, place, number);
        }
        let row = self.clients.entry(client).or_default();
        match &*frame.method_name() {
            "_drawbridge/session_closed" | "_drawbridge/session_died" => {
                let id = frame.session().ok_or("it names no session")?.into_owned();
                let place = row.attached.remove(&id);
                let place = place.or_else(|| self.restored_by(client, &id));
                let place = place.ok_or("that session is not open here")?;
                let row = self.clients.entry(client).or_default();
                let by_choice = frame
                    .find_text(&["reason"])
                    .is_some_and(|reason| reason == "idle_timeout" || reason == "evicted");
                if by_choice && self.config.agent.idle_policy == IdlePolicy::Detached {
                    return Err("the policy keeps it while a client is attached".to_owned());
                }
                let is_close =
                    frame.find_text(&["reason"]).is_some_and(|reason| reason == "client_close");
                let shown: Vec<u64> = row.questions.values().copied().collect();
                if shown.into_iter().any(|number| self.is_asked_in(&place, number)) {
                    return Err("a question of that session is still open".to_owned());
                }
                for asked in self.asked.values_mut() {
                    let is_about = asked.place.as_ref() == Some(&place)
                        || asked.names.as_deref() == Some(&*id);
                    let sees_it = asked.client == client && is_about && !asked.waits_behind;
                    asked.saw_end |= sees_it;
                    asked.was_ended |= sees_it && !is_close;
                }
                Ok(())
            }
            "$/cancel_request" => {
                let id = frame.request().map(|(token, _)| spelled(token.as_bytes()));
                let id = id.and_then(|id| id.parse().ok()).ok_or("it names no request")?;
                let number = row.questions.remove(&id).ok_or("it has no such question open")?;
                self.current.withdrawn.push((client, number));
                Ok(())
            }
            "_drawbridge/turn" => {
                let id = frame.session().ok_or("it names no session")?;
                match row.attached.contains_key(&*id) || self.restored_by(client, &id).is_some() {
                    true => Ok(()),
                    false => Err("that session is not open here".to_owned()),
                }
            }
            // What clients tell the agent they have no session for goes nowhere.
            _ => Err("nobody said that".to_owned()),
        }
    }

    fn gets_current(&mut self, client: ClientId, number: u64) {
        if self.current.number == Some(number) {
            self.current.got.insert(client);
        }
    }

    /// Whether the agent still waits for this question, which belongs to this session.
    fn is_asked_in(&self, place: &Place, number: u64) -> bool {
        let Some(row) = self.channels.get(&place.0) else { return false };
        row.asks.values().filter(|ask| ask.number == number).any(|ask| {
            let asked = ask.of_request.and_then(|mark| self.asked.get(&mark));
            ask.session.as_ref() == Some(&place.1)
                || asked.is_some_and(|asked| asked.place.as_ref() == Some(place))
        })
    }

    /// A passthrough client hears its own channel alone, and nothing is changed.
    fn is_of_passthrough(
        &self,
        client: ClientId,
        channel: ChannelId,
        session: Option<&str>,
        frame: &Frame,
    ) -> Verdict {
        let row = self.clients.get(&client);
        if row.is_none_or(|row| row.passthrough != Some(channel)) {
            return Err(format!("{channel} is another client's"));
        }
        match frame.session().as_deref() == session {
            true => Ok(()),
            false => Err("its session id was changed".to_owned()),
        }
    }

    /// A frame of an agent about a session, or about an id that no open has brought.
    fn is_told(&mut self, client: ClientId, place: &Place, number: u64, frame: &Frame) -> Verdict {
        let row = self.channels.get(&place.0).and_then(|row| row.sessions.get(&place.1));
        let (is_known, is_live) = (row.is_some(), row.is_some_and(|session| session.live));
        if let Some(session) = row.filter(|session| session.live)
            && self.may_hear(client, place)
        {
            let public = session.public.as_deref();
            return match public == frame.session().as_deref() {
                true => Ok(()),
                false => Err(format!("clients know it as {public:?}")),
            };
        }
        if self.may_hear(client, place) {
            return Ok(());
        }
        // An agent answers those that ask it about an id, whatever it says of it.
        let asks_about = |asked: &Asked| {
            asked.client == client
                && !asked.done
                && asked.place.is_none()
                && asked.sent.iter().any(|(channel, _)| *channel == place.0)
                && asked.names.as_deref().is_some_and(|id| stripped(id) == place.1)
        };
        if is_known && !is_live && self.asked.values().any(asks_about) {
            return Ok(());
        }
        if is_known {
            // It may be the id of a new session again, whose open is under way.
            let is_question = frame.kind == FrameKind::Request;
            return match is_question && !is_live && self.opens(client, place.0, None) {
                true => Ok(()),
                false => Err(format!("it is not attached to {} on {}", place.1, place.0)),
            };
        }
        self.passing_told(client, place, number, frame)
    }

    /// A question that names nothing is for its addressee, or, where that one cannot
    /// answer, for somebody in a session with it.
    fn is_addressed(&self, client: ClientId, channel: ChannelId, number: u64) -> Verdict {
        let is_first = self.current.number == Some(number);
        let shares = |other: &ClientId| {
            let row = self.clients.get(other);
            let mut places = row.into_iter().flat_map(|row| row.attached.values());
            places.any(|place| place.0 == channel && self.may_hear(client, place))
        };
        let possible = &self.current.addressees.possible;
        match is_first && !possible.iter().any(|other| *other == client || shares(other)) {
            true => Err("it has nothing to do with it".to_owned()),
            false => Ok(()),
        }
    }

    /// An elicitation under the id of a request: it is for the client that asked, under the
    /// client's own id, while that request is open.
    fn elicited(
        &mut self,
        client: ClientId,
        (channel, call): (ChannelId, u64),
        token: &str,
        frame: &Frame,
    ) -> Verdict {
        let shown = frame.request().map(|(token, _)| spelled(token.as_bytes()));
        let Some(row) = self.channels.get_mut(&channel) else { return Ok(()) };
        let Some(sent) = row.pending.get(&call) else {
            return match shown.as_deref() {
                None | Some("null") => Ok(()),
                Some(shown) => Err(format!("the request {shown} is over")),
            };
        };
        let mark = sent.mark;
        let asked = mark.and_then(|mark| self.asked.get(&mark)).filter(|asked| !asked.done);
        // A login that the bridge repeats belongs to no request of a client.
        let Some(asked) = asked else { return Ok(()) };
        if !self.clients.contains_key(&asked.client) {
            return Ok(());
        }
        if asked.client != client {
            return Err(format!("the request is of {}", asked.client));
        }
        if asked.saw_end && asked.place.is_some() {
            return Err("the session of that request was closed".to_owned());
        }
        if shown.as_ref() != Some(&asked.token) {
            return Err(format!("the request is {}", asked.token));
        }
        if let Some(ask) = row.asks.get_mut(token) {
            ask.of_request = mark;
        }
        self.sights.insert(Sight::ElicitationOfRequest);
        Ok(())
    }

    /// Whether a client may hear of a session: it is attached, or restores it.
    pub(super) fn may_hear(&self, client: ClientId, place: &Place) -> bool {
        let row = self.clients.get(&client);
        row.is_some_and(|row| row.attached.values().any(|other| other == place))
            || self.opens(client, place.0, Some(&place.1))
    }

    /// The live session that a client is about to be attached to under this id.
    pub(super) fn restored_by(&self, client: ClientId, id: &str) -> Option<Place> {
        let asked = self.asked.values().find(|asked| {
            asked.client == client
                && !asked.done
                && !asked.saw_end
                && asked.names.as_deref() == Some(id)
                && matches!(asked.method, Method::SessionLoad | Method::SessionResume)
        })?;
        let (channel, call) = asked.sent.last()?;
        let sent = self.channels.get(channel)?.pending.get(call)?;
        Some((*channel, sent.session.clone()?))
    }

    /// Whether a client restores this session there, or (`None`) opens a new one.
    pub(super) fn opens(
        &self,
        client: ClientId,
        channel: ChannelId,
        session: Option<&String>,
    ) -> bool {
        let Some(row) = self.channels.get(&channel) else { return false };
        let of_client = |mark: &u64| {
            self.asked
                .get(mark)
                .filter(|asked| asked.client == client && !asked.done)
                .is_some_and(|asked| session.is_none() || !asked.saw_end)
        };
        row.pending.values().any(|sent| {
            let fits = match session {
                Some(_) => {
                    matches!(sent.method, Method::SessionLoad | Method::SessionResume)
                        && sent.session.as_ref() == session
                }
                None => matches!(sent.method, Method::SessionNew | Method::SessionFork),
            };
            fits && sent.mark.as_ref().is_some_and(of_client)
        })
    }

    /// A session ended, says the bridge.
    pub(super) fn session_ended(
        &mut self,
        now: u64,
        channel: ChannelId,
        id: &str,
        reason: EndReason,
    ) -> Verdict {
        let row = self.channels.get(&channel).ok_or("its process never was")?;
        let found = row
            .sessions
            .iter()
            .find(|(_, session)| session.live && session.public.as_deref() == Some(id));
        let (agent_id, session) = found.ok_or("no such session is live")?;
        let place = (channel, agent_id.clone());
        if self.attached_to(&place) {
            return Err("a client that is attached was not told".to_owned());
        }
        if matches!(reason, EndReason::IdleTimeout | EndReason::Evicted) && self.is_busy(&place) {
            return Err("somebody waits for something in it".to_owned());
        }
        if reason == EndReason::IdleTimeout {
            self.was_due(now, session)?;
        }
        self.may_end(&place, id, reason)?;
        let row = self.channels.get_mut(&channel).ok_or("its process never was")?;
        (row.busy_at, row.served_at) = (now, now);
        row.ends_children(&place.1);
        if let Some(session) = row.sessions.get_mut(&place.1) {
            session.live = false;
        }
        // What its agent still works on is not work of a later session of that id.
        for sent in row.pending.values_mut() {
            if sent.session.as_ref() == Some(&place.1) {
                sent.session = None;
            }
        }
        for asked in self.asked.values_mut().filter(|row| row.source.as_ref() == Some(&place)) {
            asked.source = None;
        }
        for asked in self.asked.values_mut().filter(|row| row.place.as_ref() == Some(&place)) {
            asked.outlived_it = true;
            asked.done |= !self.clients.contains_key(&asked.client);
        }
        Ok(())
    }

    /// A session ends for the reason that is given, and for no other.
    fn may_end(&mut self, place: &Place, id: &str, reason: EndReason) -> Verdict {
        match reason {
            EndReason::Deleted => {
                let agreed = self.current.answered.as_ref().is_some_and(|row| row.deletes(place));
                if !agreed {
                    return Err("its agent did not agree to that".to_owned());
                }
                self.sights.insert(Sight::LiveDeleted);
            }
            EndReason::ClientClose => {
                let closes = |asked: &Asked| {
                    asked.method == Method::SessionClose
                        && !asked.outlived_it
                        && (asked.names.as_deref() == Some(id)
                            || asked.names.as_deref().map(stripped) == Some(&place.1))
                };
                if !self.asked.values().any(closes) {
                    return Err("no client closed it".to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }
}
