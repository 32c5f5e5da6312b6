//! What clients get.

use drawbridge::bridge::config::IdlePolicy;
use drawbridge::bridge::{ChannelId, ClientId, EndReason};
use drawbridge::wire::{Frame, FrameKind, Method};

use super::super::agent::Said;
use super::{Model, Place, Verdict, Written, number_after, spelled};

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

    fn answer_arrives(&mut self, now: u64, client: ClientId, frame: &Frame) -> Verdict {
        let token = spelled(frame.id().as_bytes());
        let row = self.clients.entry(client).or_default();
        let marks = row.open.get_mut(&token).ok_or("no such request is open")?;
        let mark = marks.remove(0);
        if marks.is_empty() {
            row.open.remove(&token);
        }
        let number = number_after(frame, b"\"n\":");
        if let Some(number) = number {
            self.is_answer_to(now, mark, number)?;
        } else if text(frame).contains("\"kind\":\"agent_exited\"") {
            self.was_left_unanswered(mark)?;
        }
        let asked = self.asked.get_mut(&mark).ok_or("it was never asked")?;
        asked.done = true;
        if frame.kind == FrameKind::Failure {
            return Ok(());
        }
        match asked.method {
            Method::SessionNew
            | Method::SessionFork
            | Method::SessionLoad
            | Method::SessionResume => self.opened(now, client, mark, number, frame),
            Method::SessionClose => self.closed_by_request(client, mark),
            Method::BridgeDetach => {
                let names = asked.names.clone();
                let row = self.clients.entry(client).or_default();
                match names {
                    Some(id) => drop(row.attached.remove(&id)),
                    None => row.attached.clear(),
                }
                Ok(())
            }
            Method::BridgeHeartbeat => {
                let place = asked.place.clone();
                place.into_iter().for_each(|place| self.touch(now, &place, true));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The agent's frame `number` answers just this request, in its order.
    fn is_answer_to(&mut self, now: u64, mark: u64, number: u64) -> Verdict {
        let Written { channel, about } =
            self.written.get(number as usize).ok_or("nobody wrote it")?;
        let (channel, about) = (*channel, about.clone());
        let Said::Answer { id, opens } = about.said else {
            return Err("it is no answer of an agent".to_owned());
        };
        let asked = self.asked.get(&mark).ok_or("it was never asked")?;
        if asked.method != Method::Initialize && !asked.sent.contains(&(channel, id)) {
            return Err("it is the answer to another request".to_owned());
        }
        // One of several answers may have been kept until the last one came.
        if let Some(row) = self.channels.get_mut(&channel)
            && self.current == Some(number)
        {
            row.served_at = now;
        }
        match about.session {
            Some(session) if !opens && asked.method == Method::SessionPrompt => {
                self.in_order(asked.client, (channel, session), number)
            }
            _ => Ok(()),
        }
    }

    /// An exit is no excuse for what the agent answered before it.
    fn was_left_unanswered(&self, mark: u64) -> Verdict {
        // Of several processes that are asked together one is enough.
        let Some(asked) = self.asked.get(&mark).filter(|asked| asked.sent.len() == 1) else {
            return Ok(());
        };
        let was_answered = self.written.iter().any(|written| {
            matches!(written.about.said, Said::Answer { id, .. }
                if asked.sent.contains(&(written.channel, id)))
        });
        match was_answered {
            true => Err("the agent had answered it before it ended".to_owned()),
            false => Ok(()),
        }
    }

    fn in_order(&mut self, client: ClientId, place: Place, number: u64) -> Verdict {
        let row = self.clients.entry(client).or_default();
        // What is held for a new session overtakes nothing of that session; an id that
        // a restore has at the same time is another matter.
        let is_held = self.current != Some(number);
        let last = if is_held { &mut row.last_held } else { &mut row.last };
        let last = last.insert(place, number);
        match last.filter(|last| *last >= number) {
            Some(last) => Err(format!("frame {number} comes after frame {last}")),
            None => Ok(()),
        }
    }

    fn opened(
        &mut self,
        now: u64,
        client: ClientId,
        mark: u64,
        number: Option<u64>,
        frame: &Frame,
    ) -> Verdict {
        let written = number.and_then(|number| self.written.get(number as usize));
        let Written { channel, about } = written.ok_or("no agent opened it")?;
        let session = about.session.clone().ok_or("no session was opened")?;
        let place = (*channel, session);
        let asked = self.asked.get(&mark).ok_or("it was never asked")?;
        let is_new = matches!(asked.method, Method::SessionNew | Method::SessionFork);
        let named = if is_new {
            frame.find_text(&["sessionId"]).map(|id| id.into_owned())
        } else {
            asked.names.clone()
        };
        let public = named.ok_or("the answer names no session")?;
        let elsewhere = self.known_as(&public).filter(|other| *other != place);
        if let Some((channel, session)) = elsewhere {
            return Err(format!("{public} is live as {session} on {channel}"));
        }
        let row = self.channels.get_mut(&place.0).ok_or("its process never was")?;
        row.used = true;
        let session = row.sessions.entry(place.1.clone()).or_default();
        if is_new && session.live {
            return Err("it is open already".to_owned());
        }
        (session.live, session.held) = (true, true);
        session.public = Some(public.clone());
        (session.seen, session.maybe_seen) = (now, now);
        self.clients.entry(client).or_default().attached.insert(public, place);
        Ok(())
    }

    /// Before a close is answered: the end was told, and the prompts were answered.
    fn closed_by_request(&mut self, client: ClientId, mark: u64) -> Verdict {
        let asked = self.asked.get(&mark).ok_or("it was never asked")?;
        let (place, names, saw_end) = (asked.place.clone(), asked.names.clone(), asked.saw_end);
        let others = self.asked.range(..mark).any(|(_, other)| {
            other.client == client && !other.done && place.is_some() && other.place == place
        });
        if saw_end && others {
            return Err("requests of the closed session are not answered yet".to_owned());
        }
        let row = self.clients.entry(client).or_default();
        match names {
            // It may have been opened again meanwhile; then the place differs.
            Some(id) if !saw_end && row.attached.get(&id) == place.as_ref() => {
                row.attached.remove(&id);
            }
            _ => {}
        }
        Ok(())
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
        let knows_it = about.session.is_none_or(|session| {
            let opens_any = self.opens(client, channel, None);
            opens_any || self.may_hear(client, &(channel, session))
        });
        if !knows_it {
            return Err("it is not attached to that session".to_owned());
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
            let Some(session) = about.session.clone() else { return Ok(()) };
            let place = (*channel, session);
            if !self.may_hear(client, &place) {
                return Err(format!("it is not attached to {} on {}", place.1, place.0));
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
                let still_asked = row.questions.values().any(|number| {
                    self.written.get(*number as usize).is_some_and(|written| {
                        written.channel == place.0
                            && written.about.session.as_ref() == Some(&place.1)
                    })
                });
                if still_asked {
                    return Err("a question of that session is still open".to_owned());
                }
                for asked in self.asked.values_mut() {
                    let is_about = asked.place.as_ref() == Some(&place)
                        || asked.names.as_deref() == Some(&*id);
                    asked.saw_end |= asked.client == client && is_about;
                }
                Ok(())
            }
            "$/cancel_request" => {
                let id = frame.request().map(|(token, _)| spelled(token.as_bytes()));
                let id = id.and_then(|id| id.parse().ok()).ok_or("it names no request")?;
                row.questions.remove(&id).map(drop).ok_or("it has no such question open".into())
            }
            // What clients tell the agent they have no session for goes nowhere.
            _ => Err("nobody said that".to_owned()),
        }
    }

    /// Whether a client may hear of a session: it is attached, or restores it.
    fn may_hear(&self, client: ClientId, place: &Place) -> bool {
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
    fn opens(&self, client: ClientId, channel: ChannelId, session: Option<&String>) -> bool {
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
        let row = self.channels.get_mut(&channel).ok_or("its process never was")?;
        (row.busy_at, row.served_at) = (now, now);
        if let Some(session) = row.sessions.get_mut(&place.1) {
            session.live = false;
        }
        // What its agent still works on is not work of a later session of that id.
        for sent in row.pending.values_mut() {
            if sent.session.as_ref() == Some(&place.1) {
                sent.session = None;
            }
        }
        for asked in self.asked.values_mut().filter(|row| row.place.as_ref() == Some(&place)) {
            asked.outlived_it = true;
            asked.done |= !self.clients.contains_key(&asked.client);
        }
        Ok(())
    }
}

fn text(frame: &Frame) -> &str {
    std::str::from_utf8(frame.bytes()).unwrap_or_default()
}
