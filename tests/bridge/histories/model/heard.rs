//! Lines of clients and agents, entered in the books before the bridge hears them.

use drawbridge::bridge::{ChannelId, ClientId, Limit};
use drawbridge::wire::{Frame, FrameKind, Method};

use super::super::agent::Said;
use super::super::sights::Sight;
use super::step::Answered;
use super::{
    Ask, Asked, Model, Notified, Place, Session, Verdict, Written, is_about_stored, number_after,
    protocol_version, spelled,
};

impl Model {
    /// A client writes a line.
    pub(super) fn client_says(&mut self, now: u64, client: ClientId, frame: &Frame) {
        let Some(row) = self.clients.get_mut(&client) else { return };
        let names = frame.session().map(|id| id.into_owned());
        let mark = number_after(frame, b"\"mark\":");
        match frame.kind {
            FrameKind::Success | FrameKind::Failure => {
                let number = frame.number().and_then(|id| row.questions.remove(&id));
                let about = number.and_then(|number| self.written.get(number as usize));
                if let Some(Written { channel, about }) = about
                    && let Some(session) = about.session.clone()
                {
                    self.touch(now, &(*channel, session), false);
                }
            }
            FrameKind::Request => {
                let token = spelled(frame.id().as_bytes());
                self.ask(now, client, token, (frame.method, names), mark);
            }
            FrameKind::Notification => self.client_notifies(now, client, frame.method, names, mark),
        }
    }

    fn client_notifies(
        &mut self,
        now: u64,
        client: ClientId,
        method: Method,
        names: Option<String>,
        mark: Option<u64>,
    ) {
        self.current.by_notification = true;
        let Some(row) = self.clients.get(&client) else { return };
        let place = names.as_ref().and_then(|id| row.attached.get(id).cloned());
        let foreign = self.is_foreign(client, names.as_deref(), place.as_ref());
        match &place {
            Some(place) => {
                self.touch(now, place, true);
                if method == Method::SessionCancel {
                    self.may_be_cancelled(place);
                }
            }
            None => {
                let passing = names.as_deref().and_then(|id| self.passing_named(client, id));
                passing.into_iter().for_each(|place| self.touch(now, &place, false));
            }
        }
        if let Some(mark) = mark {
            self.notified.insert(mark, Notified { client, names, foreign, place });
        }
    }

    /// Whether a client names a live session that it is not attached to, or about to be.
    fn is_foreign(&self, client: ClientId, id: Option<&str>, place: Option<&Place>) -> bool {
        let ready = self.clients.get(&client).is_some_and(|row| row.ready);
        let live = id.filter(|_| ready && place.is_none()).and_then(|id| self.known_as(id));
        live.is_some() && id.and_then(|id| self.restored_by(client, id)).is_none()
    }

    /// A client asks for something.
    pub(super) fn ask(
        &mut self,
        now: u64,
        client: ClientId,
        token: String,
        (method, names): (Method, Option<String>),
        mark: Option<u64>,
    ) {
        let Some(row) = self.clients.get_mut(&client) else { return };
        let mark = mark.unwrap_or_else(|| {
            self.unmarked -= 1;
            self.unmarked
        });
        row.open.entry(token.clone()).or_default().push(mark);
        let id = names.as_deref();
        let attached = id.and_then(|id| row.attached.get(id).cloned());
        let leaves = matches!(method, Method::BridgeDetach | Method::SessionClose);
        let left: Vec<Place> = match (leaves, id) {
            (true, None) => row.attached.values().cloned().collect(),
            (true, Some(_)) => attached.iter().cloned().collect(),
            (false, _) => Vec::new(),
        };
        left.iter().for_each(|place| self.may_be_cancelled(place));
        let waits_behind = self.leaves_first(client, (method, id));
        let place = attached.or_else(|| self.restored_by(client, id?)).filter(|_| !waits_behind);
        let foreign = !waits_behind && self.is_foreign(client, id, place.as_ref());
        let known = place.clone().or_else(|| self.known_as(id?));
        let passing = match known {
            Some(_) => None,
            None => id.and_then(|id| self.passing_named(client, id)),
        };
        // Refused requests, and those of others, may or may not count.
        for place in known.iter().chain(&passing) {
            self.touch(now, place, false);
        }
        // What is about the stored conversation is no work of a live one.
        let is_work = !is_about_stored(method);
        let source = known.filter(|place| !is_work && !waits_behind && self.is_live(place));
        let place = place.filter(|_| is_work);
        if method == Method::SessionClose && self.is_being_loaded(client, id, mark) {
            self.sights.insert(Sight::CloseDuringLoad);
        }
        let asked = Asked {
            client,
            token,
            method,
            names,
            at: now,
            foreign,
            source,
            passing,
            passthrough: false,
            place,
            waits_behind,
            done: false,
            sent: Vec::new(),
            saw_end: false,
            was_ended: false,
            outlived_it: false,
        };
        self.asked.insert(mark, asked);
    }

    /// Whether this client has asked to leave this session, or every one, and waits for it.
    fn leaves_first(&self, client: ClientId, (method, id): (Method, Option<&str>)) -> bool {
        let leaves_all = method == Method::BridgeDetach && id.is_none();
        self.asked.values().any(|other| {
            let is_same = other.names.is_none() || other.names.as_deref() == id || leaves_all;
            let leaves = matches!(other.method, Method::SessionClose | Method::BridgeDetach);
            other.client == client && !other.done && leaves && is_same
        })
    }

    /// Whether a load by this client of this id, asked before `mark`, is not answered.
    pub(super) fn is_being_loaded(&self, client: ClientId, id: Option<&str>, mark: u64) -> bool {
        self.asked.range(..mark).any(|(_, other)| {
            other.client == client
                && !other.done
                && other.names.as_deref() == id
                && matches!(other.method, Method::SessionLoad | Method::SessionResume)
        })
    }

    /// An agent writes a line.
    pub(super) fn agent_says(
        &mut self,
        now: u64,
        channel: ChannelId,
        number: u64,
        frame: &Frame,
    ) -> Verdict {
        let Limit::After(timeout) = self.config.agent.session_close_timeout else { return Ok(()) };
        let Some(Written { about, .. }) = self.written.get(number as usize) else {
            return Err(format!("frame {number} was never written"));
        };
        let about = about.clone();
        self.is_meant_for(channel, &about);
        let Some(row) = self.channels.get_mut(&channel).filter(|row| !row.exited) else {
            return Err(format!("a frame of {channel} arrives after its exit"));
        };
        row.busy_at = now;
        row.named
            .extend(about.session.iter().chain(&about.announces).chain(&about.brings).cloned());
        let sure = match &about.said {
            Said::Notification | Said::Withdrawal { .. } => true,
            Said::Request { token, method } => {
                let (method, session) = (*method, about.session.clone());
                let (shown, of_request) = (false, None);
                let ask = Ask { number, method, session, shown, of_request };
                row.asks.insert(token.clone(), ask);
                true
            }
            Said::Answer { id, opens } => {
                let Some(sent) = row.pending.remove(id) else { return Ok(()) };
                let success = frame.kind == FrameKind::Success;
                let ended = sent.names.as_ref().filter(|_| success && sent.ends_id);
                if let Some(passing) = ended.and_then(|id| row.passing.get_mut(id)) {
                    // It keeps nothing any more; what is still said is for the same client.
                    passing.has_ended = true;
                }
                self.current.answered = Some(Answered::to(channel, &sent, success));
                self.has_login |= success && sent.method == Method::Authenticate;
                match (sent.method, &about.session) {
                    (Method::Initialize, _) => {
                        row.initialized |= success;
                        row.passthrough |= success && protocol_version(frame) != Some(1);
                    }
                    _ if row.passthrough => {}
                    (Method::SessionClose, Some(session)) => {
                        if sent.at + timeout > now {
                            row.served_at = now;
                        }
                        // A refusal is an answer too. Under the same id a later session may
                        // live already.
                        if let Some(session) = row.sessions.get_mut(session) {
                            session.held &= session.live;
                        }
                    }
                    (_, Some(session)) if *opens => {
                        // What is restored has its name; what is new has none yet. A
                        // restore that its session's close outran opens nothing.
                        let is_new =
                            matches!(sent.method, Method::SessionNew | Method::SessionFork);
                        let asked = sent.mark.and_then(|mark| self.asked.get(&mark));
                        let public = asked.and_then(|row| row.names.clone()).filter(|_| !is_new);
                        let session = row.sessions.entry(session.clone()).or_default();
                        if !session.live && (is_new || sent.session.is_some()) {
                            *session = Session { public, held: true, ..Session::default() };
                        }
                    }
                    _ => {}
                }
                let asked = sent.mark.and_then(|mark| self.asked.get(&mark));
                let is_awaited = asked.is_some_and(|row| {
                    !row.done && row.place.is_some() && !self.may_be_given_up(row)
                });
                if let Some(mark) = sent.mark {
                    self.gone_for_good(mark);
                }
                sent.method == Method::SessionPrompt && is_awaited
            }
        };
        if let (Some(parent), Some(child)) = (&about.session, &about.announces) {
            self.announced(channel, parent, child);
        }
        if let Some(session) = about.session {
            self.touch(now, &(channel, session), sure);
        }
        Ok(())
    }
}
