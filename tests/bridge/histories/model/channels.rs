//! What agents get, and how their processes end.

use drawbridge::bridge::{ChannelId, Effect, Notice, StopReason};
use drawbridge::wire::{Frame, FrameKind, Method};

use super::{Channel, Model, Place, Rung, Sent, Verdict, number_after, spelled};

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
            let stored = asked.names.as_deref().map(without_prefix);
            // An answer to a close that came after its timeout need not count.
            let is_held = |id: &str| {
                row.sessions
                    .get(id)
                    .is_some_and(|session| session.held || session.close_sent.is_some())
                    || row.pending.values().any(|sent| sent.session.as_deref() == Some(id))
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
            FrameKind::Request => self.request_goes_out(now, channel, frame),
            _ if !row.initialized => Err("it has not answered initialize".to_owned()),
            FrameKind::Notification => self.notification_goes_out(channel, frame),
        }
        .map_err(|what| format!("{channel} gets {frame:?}: {what}"))
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
        match frame.session() {
            Some(id) if !row.sessions.contains_key(&*id) => {
                Err("it never opened that session".to_owned())
            }
            _ => Ok(()),
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
        let concerns = session.clone().filter(|_| method != Method::SessionDelete);
        let sent = Sent { mark, method, session: concerns, at: now };
        if row.pending.insert(id, sent).is_some() {
            return Err("that id is in use".to_owned());
        }
        row.leased |= method == Method::Other;
        row.logged_in |= method == Method::Authenticate;
        match (method, session) {
            (Method::Initialize, _) => return Ok(()),
            (Method::SessionClose, Some(session)) => self.close_goes_out(now, channel, &session)?,
            (Method::SessionLoad | Method::SessionResume, Some(session)) => {
                self.restore_goes_out(channel, &session, mark)?;
            }
            (Method::SessionNew, _) if self.is_draining(channel) => {
                return Err("it takes no new sessions".to_owned());
            }
            (Method::SessionPrompt, Some(session)) => {
                let place = mark
                    .and_then(|mark| self.asked.get(&mark))
                    .and_then(|asked| asked.place.clone());
                if place != Some((channel, session)) {
                    return Err(format!("it is meant for {place:?}"));
                }
            }
            _ => {}
        }
        self.is_sent_once(channel, id, mark, method)
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
                _ => Err("no client asked for it".to_owned()),
            };
        };
        let is_for_all = method == Method::ProvidersList;
        asked.sent.push((channel, id));
        if asked.sent.len() > 1 && !is_for_all {
            return Err("it was sent before".to_owned());
        }
        Ok(())
    }

    /// A close: of a session that the agent holds and no client knows any more,
    /// and again only when the agent did not answer in time.
    fn close_goes_out(&mut self, now: u64, channel: ChannelId, session: &str) -> Verdict {
        let grace = self.config.agent.session_close_timeout;
        let row = self.channels.get_mut(&channel).ok_or("it never was")?;
        let restored = row.pending.values().any(|sent| {
            matches!(sent.method, Method::SessionLoad | Method::SessionResume)
                && sent.session.as_deref() == Some(session)
        });
        let session = match row.sessions.get_mut(session) {
            Some(session) => session,
            // A restore that is overdue may have opened it.
            None if restored => return Ok(()),
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
        for (other, row) in self.channels.iter().filter(|(_, row)| !row.exited) {
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
        let here = self.channels.get(&channel).ok_or("it never was")?;
        let is_there = here.sessions.get(session).is_some_and(|session| session.held);
        if here.draining && !is_there {
            return Err("it takes no new sessions".to_owned());
        }
        Ok(())
    }

    /// The end of a step. Says whether a channel and its successor are both there.
    pub fn settled(&mut self, _now: u64) -> Result<bool, String> {
        for (id, row) in self.channels.iter().filter(|(_, row)| !row.exited) {
            if row.rung != Rung::Serving && !row.asks.is_empty() {
                return Err(format!("{id} is stopping and waits for an answer"));
            }
            for (token, ask) in &row.asks {
                let place = ask.session.clone().map(|session| (*id, session));
                let lives = place.is_some_and(|place| self.may_wait(&place, ask.method));
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
        let mut leaving = self
            .channels
            .iter()
            .filter(|(_, row)| !row.exited && (row.draining || row.rung != Rung::Serving));
        let successor = self
            .channels
            .iter()
            .rfind(|(_, row)| !row.exited && !row.draining && row.rung == Rung::Serving);
        Ok(leaving.any(|(id, _)| successor.is_some_and(|(other, _)| other > id)))
    }

    /// Some questions wait in a live session until somebody comes.
    fn may_wait(&self, place: &Place, method: Method) -> bool {
        let row = self.channels.get(&place.0);
        row.and_then(|row| row.sessions.get(&place.1)).is_some_and(|session| session.live)
            && matches!(
                method,
                Method::RequestPermission
                    | Method::FsRead
                    | Method::FsWrite
                    | Method::ElicitationCreate
            )
    }
}

/// The stored id behind an alias.
fn without_prefix(id: &str) -> &str {
    id.strip_prefix("agent:").unwrap_or(id)
}
