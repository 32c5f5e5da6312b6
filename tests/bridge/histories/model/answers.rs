//! Answers to clients: the sessions that they open and close, the ids that they bring.

use drawbridge::bridge::ClientId;
use drawbridge::wire::{Frame, FrameKind, Method, json};

use super::super::agent::Said;
use super::super::names::stripped;
use super::super::sights::Sight;
use super::{Asked, Model, Place, Verdict, Written, number_after, protocol_version, spelled};

impl Model {
    /// The bridge answers a client's request.
    pub(super) fn answer_arrives(&mut self, now: u64, client: ClientId, frame: &Frame) -> Verdict {
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
        } else if text(frame).contains("\"kind\":\"open_timeout\"") {
            self.has_timed_out(now, mark)?;
        }
        let asked = self.asked.get_mut(&mark).ok_or("it was never asked")?;
        asked.done = true;
        if asked.method == Method::Initialize {
            self.greeted(now, client, number, frame);
            return Ok(());
        }
        if frame.kind == FrameKind::Failure || asked.passthrough {
            return Ok(());
        }
        match asked.method {
            Method::SessionNew
            | Method::SessionFork
            | Method::SessionLoad
            | Method::SessionResume => self.opened(now, client, mark, number, frame),
            Method::SessionClose => {
                let named = asked.names.clone();
                let passing = named.and_then(|id| self.passing_named(client, &id));
                if let Some((channel, id)) = passing
                    && let Some(row) = self.channels.get_mut(&channel)
                    && let Some(passing) = row.passing.get_mut(&id)
                {
                    // Also if the agent did not answer in time.
                    passing.has_ended = true;
                }
                self.closed_by_request(client, mark)
            }
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
            Method::SessionList | Method::Other => self.ids_arrive(client, number, frame),
            _ => Ok(()),
        }
    }

    /// An answer to `initialize`: from then on the client is served, or has a channel of its
    /// own.
    fn greeted(&mut self, now: u64, client: ClientId, number: Option<u64>, frame: &Frame) {
        let written = number.and_then(|number| self.written.get(number as usize));
        let channel = written.map(|written| written.channel);
        let row = self.clients.entry(client).or_default();
        if frame.kind == FrameKind::Success {
            (row.ready, row.ready_since) = (true, now);
            let is_other = protocol_version(frame) != Some(1);
            row.passthrough = channel.filter(|_| is_other);
        }
    }

    /// Ids in an answer that opens nothing: each is shown by a name of it.
    fn ids_arrive(&mut self, client: ClientId, number: Option<u64>, frame: &Frame) -> Verdict {
        let written = number.and_then(|number| self.written.get(number as usize));
        let Some(Written { channel, about }) = written else { return Ok(()) };
        let (channel, ids) = (*channel, about.brings.clone());
        let Some(listed) = frame.find(&["sessions"]) else {
            let shown = frame.find_text(&["sessionId"]);
            return match (ids.into_iter().next(), shown) {
                (Some(id), Some(shown)) => self.begun(client, &(channel, id), &shown),
                (Some(_), None) => Err("the id in it is lost".to_owned()),
                (None, _) => Ok(()),
            };
        };
        let text = frame.bytes();
        let mut entries = json::elements(text, listed).into_iter();
        for id in ids {
            let entry = entries.next().ok_or(format!("{id} is missing"))?;
            let shown = json::find(text, entry, &["sessionId"]);
            let shown = shown.and_then(|place| json::text(text, place)).unwrap_or_default();
            if stripped(&shown) != id {
                return Err(format!("{shown} is no name of {id}"));
            }
        }
        Ok(())
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
            && self.current.number == Some(number)
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
        let is_open = matches!(
            asked.method,
            Method::SessionNew | Method::SessionFork | Method::SessionLoad | Method::SessionResume
        );
        let was_answered = self.written.iter().any(|written| {
            // An open that was refused may wait for a login that is repeated.
            matches!(written.about.said, Said::Answer { id, opens }
                if (opens || !is_open) && asked.sent.contains(&(written.channel, id)))
        });
        match was_answered {
            true => Err("the agent had answered it before it ended".to_owned()),
            false => Ok(()),
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
        let (method, source) = (asked.method, asked.source.is_some());
        if stripped(&public) != place.1 {
            return Err(format!("{public} is no name of {}", place.1));
        }
        let elsewhere = self.known_as(&public).filter(|other| *other != place);
        // A restore may be on its way already when an agent brings the id elsewhere.
        let before = if is_new { u64::MAX } else { mark };
        let elsewhere = elsewhere.or_else(|| self.passing_elsewhere(&public, &place, before));
        if let Some((channel, session)) = elsewhere {
            return Err(format!("{public} is live as {session} on {channel}"));
        }
        self.shows_opening(client, &place, &public, (method, source));
        let row = self.channels.get_mut(&place.0).ok_or("its process never was")?;
        row.used = true;
        let before = row.passing.remove(&place.1).filter(|row| is_new && row.may_be_new);
        if let Some(shown) = before.and_then(|row| row.public).filter(|shown| *shown != public) {
            return Err(format!("a question about it was shown as {shown}"));
        }
        let session = row.sessions.entry(place.1.clone()).or_default();
        let is_its = self
            .clients
            .get(&client)
            .is_some_and(|row| row.attached.values().any(|other| *other == place));
        if is_new && session.live && !is_its {
            return Err("it is open already".to_owned());
        }
        (session.live, session.held) = (true, true);
        session.public = Some(public.clone());
        (session.seen, session.maybe_seen) = (now, now);
        let row = self.clients.entry(client).or_default();
        row.opened_by.insert(public.clone(), mark);
        row.attached.insert(public, place);
        Ok(())
    }

    /// Counts the things that an open shows.
    fn shows_opening(
        &mut self,
        client: ClientId,
        place: &Place,
        public: &str,
        (method, has_source): (Method, bool),
    ) {
        let is_shared = self.clients.iter().any(|(other, row)| {
            *other != client && row.attached.values().any(|of| of.0 == place.0)
        });
        let returns =
            method != Method::SessionFork && self.is_live(place) && !self.attached_to(place);
        let shown = [
            (Sight::SharedChannel, is_shared),
            (Sight::Return, returns),
            (Sight::Alias, public != place.1),
            (Sight::ForkOfLive, method == Method::SessionFork && has_source),
            (Sight::ForkOfStored, method == Method::SessionFork && !has_source),
        ];
        self.sights.extend(shown.into_iter().filter(|(_, is)| *is).map(|(sight, _)| sight));
    }

    /// Before a close is answered: the end was told, and the prompts were answered.
    fn closed_by_request(&mut self, client: ClientId, mark: u64) -> Verdict {
        let asked = self.asked.get(&mark).ok_or("it was never asked")?;
        let (place, names, saw_end) = (asked.place.clone(), asked.names.clone(), asked.saw_end);
        let was_ended = asked.was_ended;
        let is_open_in_it = |other: &&Asked| {
            other.client == client && !other.done && place.is_some() && other.place == place
        };
        let earlier = || self.asked.range(..mark).map(|(_, other)| other);
        // A second close finds nothing, and is answered before the first one.
        let is_second = earlier().any(|other| {
            let is_close = other.method == Method::SessionClose && other.names == names;
            is_close && other.client == client && !other.done
        });
        if saw_end && !was_ended && !is_second && earlier().any(|other| is_open_in_it(&other)) {
            return Err("requests of the closed session are not answered yet".to_owned());
        }
        let Some(id) = names else { return Ok(()) };
        if self.is_being_loaded(client, Some(&id), mark) {
            return Err("a load of it is still under way".to_owned());
        }
        let row = self.clients.entry(client).or_default();
        let opened_before = row.opened_by.get(&id).is_some_and(|opened| *opened < mark);
        let Some(open) = row.attached.get(&id).filter(|_| opened_before && !saw_end).cloned()
        else {
            return Ok(());
        };
        row.attached.remove(&id);
        // Where other clients are, or are about to be, only this one leaves.
        let mut others = self.clients.keys().filter(|other| **other != client);
        let is_shared = others.any(|other| self.may_hear(*other, &open));
        match self.is_live(&open) && !is_shared {
            true => Err("the session is still open".to_owned()),
            false => Ok(()),
        }
    }
}

fn text(frame: &Frame) -> &str {
    std::str::from_utf8(frame.bytes()).unwrap_or_default()
}
