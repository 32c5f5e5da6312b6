//! What agents get, and how their processes end.

use drawbridge::bridge::{ChannelId, ClientId, Effect, Notice, StopReason};
use drawbridge::wire::{Frame, FrameKind, Method};

use super::super::names::stripped;
use super::super::sights::Sight;
use super::{Asked, Channel, Model, Rung, Sent, Verdict, is_about_stored, number_after, spelled};

impl Model {
    /// The bridge asks for something that is no frame.
    pub fn observe(&mut self, now: u64, effect: &Effect) -> Verdict {
        if self.over {
            return Err(format!("{effect:?} after the end"));
        }
        match effect {
            Effect::Spawn { channel, .. } => {
                let since = now;
                let row = Channel { since, busy_at: now, ..Channel::default() };
                if self.ending.is_some() {
                    return Err(format!("{channel} is started although everything ends"));
                }
                let waits = |asked: &Asked| !asked.done && asked.sent.is_empty();
                if self.current.by_notification && !self.asked.values().any(waits) {
                    return Err(format!("{channel} is started for a notification"));
                }
                self.channels.insert(*channel, row);
                let there = self.channels.values().filter(|row| !row.exited).count();
                if self.config.limits.max_channels > 0 && there > self.config.limits.max_channels {
                    return Err(format!("{there} channels are over the limit"));
                }
                Ok(())
            }
            Effect::CloseStdin(channel) => self.step_down(now, *channel, Rung::StdinClosed),
            Effect::Terminate(channel) => self.step_down(now, *channel, Rung::Terminated),
            Effect::Kill(channel) => self.step_down(now, *channel, Rung::Killed),
            Effect::Pause(channel) | Effect::Resume(channel) => {
                if let Some(row) = self.channels.get_mut(channel) {
                    row.paused = matches!(effect, Effect::Pause(_));
                    row.stood_at = now;
                }
                Ok(())
            }
            Effect::Publish(notice) => self.notice(now, notice),
            Effect::Exit { survivors } => self.exits(now, survivors),
            _ => Ok(()),
        }
    }

    fn notice(&mut self, now: u64, notice: &Notice) -> Verdict {
        match notice {
            Notice::ChannelDraining { channel, .. } => {
                if let Some(row) = self.channels.get_mut(channel) {
                    row.draining = true;
                }
                Ok(())
            }
            Notice::SessionEnded { id, channel, reason, .. } => self
                .session_ended(now, *channel, id, *reason)
                .map_err(|what| format!("{id} on {channel} ends ({}): {what}", reason.word())),
            Notice::LateOpenClosed { channel, id } => {
                // A question may have shown that id to a client that did not open it.
                if let Some(row) = self.channels.get_mut(channel) {
                    row.passing.remove(id);
                }
                Ok(())
            }
            Notice::ChannelStopping { channel, reason: StopReason::Idle(_) } => {
                self.was_idle(now, *channel)
            }
            _ => Ok(()),
        }
    }

    /// The next rung of the ladder: in its order, once, after the grace of the last one.
    fn step_down(&mut self, now: u64, channel: ChannelId, to: Rung) -> Verdict {
        let grace = |limit| match limit {
            drawbridge::bridge::Limit::After(millis) => millis,
            drawbridge::bridge::Limit::Never => u64::MAX,
        };
        let may_hurry = self.ending.is_some() || self.is_waited_for(channel);
        let row = self.channels.get_mut(&channel).ok_or(format!("{channel} never was"))?;
        let from = row.rung;
        let fail = |what: &str| Err(format!("{channel} goes from {from:?} to {to:?}: {what}"));
        if row.exited {
            return fail("its process is gone");
        }
        let (expected, patience) = match to {
            Rung::Serving | Rung::StdinClosed => (Rung::Serving, 0),
            Rung::Terminated => (Rung::StdinClosed, grace(self.config.agent.stdin_grace)),
            Rung::Killed => (Rung::Terminated, grace(self.config.agent.term_grace)),
        };
        let is_forced = to == Rung::Killed && self.ending.is_some() && from != Rung::Killed;
        if from != expected && !is_forced {
            return fail("that is not the next rung");
        }
        if now < row.since.saturating_add(patience) && !may_hurry && to != Rung::StdinClosed {
            return fail("the grace is not over");
        }
        if to == Rung::StdinClosed && !row.asks.is_empty() {
            return fail("its questions are not answered");
        }
        if to == Rung::StdinClosed && row.sessions.values().any(|session| session.live) {
            return fail("sessions live on it");
        }
        row.rung = to;
        row.since = now;
        Ok(())
    }

    /// A client waits for a conversation that this process may hold.
    fn is_waited_for(&self, channel: ChannelId) -> bool {
        let Some(row) = self.channels.get(&channel) else { return false };
        self.asked.values().any(|asked| {
            let restores = matches!(asked.method, Method::SessionLoad | Method::SessionResume);
            let stored = asked.names.as_deref().map(stripped);
            // An answer to a close that came after its timeout need not count.
            let is_held = |id: &str| {
                row.sessions
                    .get(id)
                    .is_some_and(|session| session.held || session.close_sent.is_some())
                    || row.pending.values().any(|sent| sent.session.as_deref() == Some(id))
                    || row.passing.contains_key(id)
                    || row.named.contains(id)
            };
            restores && asked.sent.is_empty() && stored.is_some_and(is_held)
        })
    }

    /// The bridge sends a frame to an agent.
    pub fn channel_gets(&mut self, now: u64, channel: ChannelId, frame: &Frame) -> Verdict {
        let row = self.channels.get_mut(&channel).ok_or(format!("{channel} never was"))?;
        if row.exited {
            // What it asked may be answered in the step that settles its exit.
            return match frame.kind {
                FrameKind::Success | FrameKind::Failure => Ok(()),
                _ => Err(format!("{frame:?} for {channel}, which is gone")),
            };
        }
        row.busy_at = now;
        match frame.kind {
            FrameKind::Success | FrameKind::Failure => {
                let token = spelled(frame.id().as_bytes());
                let ask = row.asks.remove(&token).ok_or("it did not ask that".to_owned());
                ask.map(|ask| {
                    if let Some(session) = ask.session {
                        self.touch(now, &(channel, session), false);
                    }
                })
            }
            _ if row.rung != Rung::Serving => Err("it is stopping".to_owned()),
            FrameKind::Request => {
                self.is_closed_by_bridge(channel, frame);
                self.request_goes_out(now, channel, frame)
            }
            _ if !row.initialized => Err("it has not answered initialize".to_owned()),
            FrameKind::Notification => self.notification_goes_out(channel, frame),
        }
        .map_err(|what| format!("{channel} gets {frame:?}: {what}"))
    }

    /// The bridge closes a session of its own accord: also one that no client has, whose id
    /// was seen before its open was answered.
    fn is_closed_by_bridge(&mut self, channel: ChannelId, frame: &Frame) {
        let is_close = frame.method == Method::SessionClose && frame.kind == FrameKind::Request;
        let (Some(id), true) = (frame.session(), is_close) else { return };
        if number_after(frame, b"\"mark\":").is_none()
            && let Some(row) = self.channels.get_mut(&channel)
            && let Some(passing) = row.passing.get_mut(&*id)
        {
            passing.over = true;
        }
    }

    fn notification_goes_out(&mut self, channel: ChannelId, frame: &Frame) -> Verdict {
        let Some(row) = self.channels.get(&channel) else { return Ok(()) };
        if frame.method == Method::CancelRequest {
            let id = frame.request().map(|(token, _)| spelled(token.as_bytes()));
            let is_open = id
                .and_then(|id| id.parse().ok())
                .is_some_and(|id: u64| row.pending.contains_key(&id));
            return if is_open { Ok(()) } else { Err("it has no such request".to_owned()) };
        }
        let id = frame.session().map(|id| id.into_owned());
        let mark = number_after(frame, b"\"mark\":");
        let Some(said) = mark.and_then(|mark| self.notified.get(&mark)) else {
            // The turn of a client that is gone may have been about any id.
            let is_known = |id: &String| {
                row.sessions.contains_key(id)
                    || row.passing.contains_key(id)
                    || row.named.contains(id)
            };
            return match id.as_ref().is_none_or(is_known) {
                true => Ok(()),
                false => Err("it never opened that session".to_owned()),
            };
        };
        if row.passthrough {
            return self.is_passed_through(channel, said.client, (&said.names, &id));
        }
        let has_loaded = mark.is_some_and(|mark| {
            self.asked.range(..mark).any(|(_, other)| {
                let loads = matches!(other.method, Method::SessionLoad | Method::SessionResume);
                loads
                    && other.client == said.client
                    && other.names == said.names
                    && !other.sent.is_empty()
            })
        });
        let is_live = said.names.as_ref().is_some_and(|id| self.known_as(id).is_some());
        if said.foreign && is_live && !has_loaded {
            return Err("that session is another client's".to_owned());
        }
        match &said.place {
            Some((other, _)) if *other != channel => Err(format!("it lives on {other}")),
            _ => is_translated(&said.names, &id),
        }
    }

    /// A passthrough client and its channel have each other alone, and nothing is changed.
    fn is_passed_through(
        &self,
        channel: ChannelId,
        client: ClientId,
        (said, heard): (&Option<String>, &Option<String>),
    ) -> Verdict {
        let row = self.clients.get(&client);
        if row.is_some_and(|row| row.passthrough != Some(channel)) {
            return Err(format!("it serves another client than {client}"));
        }
        match said == heard {
            true => Ok(()),
            false => Err("its session id was changed".to_owned()),
        }
    }

    fn request_goes_out(&mut self, now: u64, channel: ChannelId, frame: &Frame) -> Verdict {
        let id = frame.number().ok_or("its id is no number of the bridge")?;
        let session = frame.session().map(|id| id.into_owned());
        let mark = number_after(frame, b"\"mark\":");
        let row = self.channels.get_mut(&channel).ok_or("it never was")?;
        let method = frame.method;
        let greeted =
            row.initialized || row.pending.values().any(|sent| sent.method == Method::Initialize);
        match (method, greeted, row.initialized) {
            (Method::Initialize, true, _) => return Err("it was initialized already".to_owned()),
            (Method::Initialize, false, _) | (_, _, true) => {}
            _ => return Err("it has not answered initialize".to_owned()),
        }
        // What is about the stored conversation is no work of a live one.
        let is_stored = matches!(method, Method::SessionDelete | Method::SessionArchive);
        let concerns = session.clone().filter(|_| !is_stored);
        let ends_id = matches!(method, Method::SessionClose | Method::SessionDelete)
            || frame.method_name() == "nes/close";
        let names = session.clone();
        let sent = Sent { mark, method, session: concerns, names, ends_id, at: now };
        if row.pending.insert(id, sent).is_some() {
            return Err("that id is in use".to_owned());
        }
        row.leased |= method == Method::Other;
        if method == Method::Other
            && let Some(asked) = mark.and_then(|mark| self.asked.get(&mark))
        {
            row.lessees.insert(asked.client);
        }
        row.logged_in |= method == Method::Authenticate;
        let is_passthrough = row.passthrough;
        row.named.extend(session.clone());
        if let Some(session) = &session {
            self.touch(now, &(channel, session.clone()), false);
        }
        if let (true, Some(mark)) = (is_passthrough, mark) {
            self.sights.insert(Sight::Passthrough);
            let Some(asked) = self.asked.get_mut(&mark) else { return Ok(()) };
            asked.passthrough = true;
            let (client, names) = (asked.client, asked.names.clone());
            self.is_passed_through(channel, client, (&names, &session))?;
            return self.is_sent_once(channel, id, Some(mark), method);
        }
        self.is_for_this_channel(channel, method, mark, &session)?;
        match (method, session) {
            (Method::Initialize, _) => return Ok(()),
            (Method::SessionClose, Some(session)) if !self.is_about_unknown(mark) => {
                self.close_goes_out(now, channel, &session, mark)?;
            }
            (Method::SessionLoad | Method::SessionResume, Some(session)) => {
                self.restore_goes_out(channel, &session, mark)?;
            }
            (Method::SessionNew, _) if self.is_draining(channel) => {
                return Err("it takes no new sessions".to_owned());
            }
            _ => {}
        }
        self.is_sent_once(channel, id, mark, method)
    }

    /// A client's request goes where the thing lives that it names, and under the id that
    /// its agent knows.
    fn is_for_this_channel(
        &mut self,
        channel: ChannelId,
        method: Method,
        mark: Option<u64>,
        session: &Option<String>,
    ) -> Verdict {
        let has_restored = mark.is_some_and(|mark| self.has_sent_load(mark));
        let asked = mark.and_then(|mark| self.asked.get(&mark));
        // A session that has ended while the request was held is nobody's.
        let named = asked.and_then(|asked| asked.names.as_ref());
        let is_live = named.is_some_and(|id| self.known_as(id).is_some());
        let Some(asked) = mark.and_then(|mark| self.asked.get_mut(&mark)) else { return Ok(()) };
        is_translated(&asked.names, session)?;
        let (Some(id), Some(public)) = (session, &asked.names) else { return Ok(()) };
        let restores = matches!(method, Method::SessionLoad | Method::SessionResume);
        let is_stored = is_about_stored(method);
        let row = self.clients.get(&asked.client);
        // It waited for a restore by this client.
        let has_restored = has_restored
            || row
                .and_then(|row| row.opened_by.get(public))
                .is_some_and(|opened| Some(*opened) < mark);
        if asked.foreign && is_live && !has_restored && !restores && !is_stored {
            return Err("that session is another client's".to_owned());
        }
        if restores {
            return Ok(());
        }
        if asked.place.is_none() && !is_stored {
            // It may have been asked before its client was served.
            let row = self.clients.get(&asked.client);
            let attached = row.and_then(|row| row.attached.get(public));
            asked.place = attached.filter(|place| **place == (channel, id.clone())).cloned();
        }
        let here = (channel, id.clone());
        // A request that was held goes on elsewhere if its channel ended meanwhile.
        let serves = |(channel, _): &super::Place| {
            self.channels.get(channel).is_some_and(|row| !row.exited && row.rung == Rung::Serving)
        };
        // So does one that was held behind a restore which has failed.
        let client = self.clients.get(&asked.client);
        let has_opened = client.is_some_and(|row| row.opened_by.contains_key(public));
        let has = |(channel, id): &super::Place| {
            let sessions = self.channels.get(channel).map(|row| &row.sessions);
            has_opened && sessions.is_some_and(|rows| rows.contains_key(id))
        };
        let place = asked.place.as_ref().or(asked.source.as_ref());
        match place.filter(|place| serves(place) && has(place)) {
            Some(place) if *place != here => return Err(format!("it is meant for {place:?}")),
            Some(_) => return Ok(()),
            None => {}
        }
        let (client, public, passing) = (asked.client, public.clone(), asked.passing.clone());
        if let Some(place) = passing.filter(|place| *place != here && serves(place))
            && self.has_parent(&place)
        {
            return Err(format!("it is meant for {place:?}"));
        }
        if !is_stored {
            self.passed_on(channel, id, (client, public));
        }
        Ok(())
    }

    /// Whether a load by the same client of the same session went out before this request.
    fn has_sent_load(&self, mark: u64) -> bool {
        let Some(asked) = self.asked.get(&mark) else { return false };
        self.asked.range(..mark).any(|(_, other)| {
            let loads = matches!(other.method, Method::SessionLoad | Method::SessionResume);
            let is_same = other.client == asked.client && other.names == asked.names;
            loads && is_same && !other.sent.is_empty() && !other.done
        })
    }

    /// Whether a client asked for something about an id that was no session of its own.
    fn is_about_unknown(&self, mark: Option<u64>) -> bool {
        mark.and_then(|mark| self.asked.get(&mark)).is_some_and(|asked| asked.place.is_none())
    }

    fn is_draining(&self, channel: ChannelId) -> bool {
        self.channels.get(&channel).is_some_and(|row| row.draining)
    }

    fn is_sent_once(
        &mut self,
        channel: ChannelId,
        id: u64,
        mark: Option<u64>,
        method: Method,
    ) -> Verdict {
        let Some(asked) = mark.and_then(|mark| self.asked.get_mut(&mark)) else {
            return match method {
                Method::SessionClose => Ok(()),
                // Nonsense of a passthrough client passes, too.
                _ if self.channels.get(&channel).is_some_and(|row| row.passthrough) => Ok(()),
                Method::Authenticate if self.has_login => Ok(()),
                _ => Err("no client asked for it".to_owned()),
            };
        };
        // A login is repeated on a process that refuses an open for want of one, and the
        // open after it.
        let is_repeated = match method {
            Method::ProvidersList => true,
            Method::Authenticate
            | Method::SessionNew
            | Method::SessionLoad
            | Method::SessionResume
            | Method::SessionFork => self.has_login,
            _ => false,
        };
        asked.sent.push((channel, id));
        if asked.sent.len() > 1 && !is_repeated {
            return Err("it was sent before".to_owned());
        }
        Ok(())
    }

    /// A close: of a session that the agent holds and no client knows any more,
    /// and again only when the agent did not answer in time.
    fn close_goes_out(
        &mut self,
        now: u64,
        channel: ChannelId,
        session: &str,
        mark: Option<u64>,
    ) -> Verdict {
        let grace = self.config.agent.session_close_timeout;
        let row = self.channels.get_mut(&channel).ok_or("it never was")?;
        let restored = row.pending.values().any(|sent| {
            matches!(sent.method, Method::SessionLoad | Method::SessionResume)
                && sent.session.as_deref() == Some(session)
        });
        let session = match row.sessions.get_mut(session) {
            Some(session) => session,
            // A restore that is overdue may have opened it, and what a client knows nobody
            // else may know.
            None if restored || mark.is_some() => return Ok(()),
            None => return Err("it never opened that session".to_owned()),
        };
        if session.live {
            return Err("its clients were not told yet".to_owned());
        }
        let before = session.close_sent.replace(now);
        let is_over = |at: u64| {
            drawbridge::bridge::Moment::from_millis(at)
                .plus(grace)
                .is_some_and(|end| end.as_millis() <= now)
        };
        match before {
            Some(at) if !is_over(at) => Err("it was asked to close it already".to_owned()),
            _ => Ok(()),
        }
    }

    /// A restore: no other process may hold the conversation meanwhile.
    fn restore_goes_out(
        &mut self,
        channel: ChannelId,
        session: &String,
        mark: Option<u64>,
    ) -> Verdict {
        let names = mark.and_then(|mark| self.asked.get(&mark)).and_then(|row| row.names.clone());
        let others = self.channels.iter().filter(|(_, row)| !row.exited && !row.passthrough);
        for (other, row) in others {
            let is_same = |sent: &Sent| {
                let asked = sent.mark.and_then(|mark| self.asked.get(&mark));
                sent.session.as_ref() == Some(session)
                    && asked.is_some_and(|asked| asked.names == names)
            };
            let restores = row.pending.values().any(|sent| {
                matches!(sent.method, Method::SessionLoad | Method::SessionResume) && is_same(sent)
            });
            if restores && *other != channel {
                return Err(format!("{other} is restoring it"));
            }
            let holds = row
                .sessions
                .get(session)
                .is_some_and(|held| held.held && held.public.is_some() && held.public == names);
            if holds && *other != channel {
                return Err(format!("{other} may hold it"));
            }
        }
        if let Some(other) = names
            .and_then(|public| self.passes_elsewhere(channel, &public, mark.unwrap_or(u64::MAX)))
        {
            return Err(format!("{other} uses that id"));
        }
        let here = self.channels.get(&channel).ok_or("it never was")?;
        let is_there = here.sessions.get(session).is_some_and(|session| session.held)
            || here.passing.contains_key(session);
        if here.draining && !is_there {
            return Err("it takes no new sessions".to_owned());
        }
        Ok(())
    }
}

/// The agent hears the id that the client's name of it means.
fn is_translated(said: &Option<String>, heard: &Option<String>) -> Verdict {
    match said.as_deref().map(stripped) == heard.as_deref() {
        true => Ok(()),
        false => Err(format!("the client said {said:?}")),
    }
}
