//! The rows that a step has touched: at the end of the step they are settled, and their
//! deadlines are computed again.

use crate::bridge::books::deadlines::Due;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::phase::Phase;
use crate::bridge::books::session::Session;
use crate::bridge::effect::Effect;
use crate::bridge::id::{CallId, ChannelId, ClientId, FanoutId, SessionKey};
use crate::bridge::recipe::Keepsake;

/// The rows that were touched in this step and are not settled yet.
#[derive(Debug, Default)]
pub struct Touched {
    /// Sessions to settle.
    pub sessions: Ids<SessionKey>,
    /// Channels to settle.
    pub channels: Ids<ChannelId>,
    /// Parked sessions that an attempt has failed to bring back.
    pub revivals: Ids<SessionKey>,
    /// Fan-outs of which a part has ended.
    pub fanouts: Ids<FanoutId>,
    /// Clients whose `initialize` is over.
    pub clients: Ids<ClientId>,
    /// Calls that are over, each with its channel, whose agent has questions open.
    pub ended_calls: Vec<(ChannelId, CallId)>,
    /// Tombstones in which no call is open any more, each with its channel.
    pub quiet_tombstones: Vec<(ChannelId, SessionKey)>,
    /// Clients that were attached to sessions or detached from them, as effects.
    pub attachments: Vec<Effect>,
    /// Whether a call that waits for a channel may be placed now.
    pub placement: bool,
    /// Whether an environment may be nobody's any more.
    pub environments: bool,
    /// Rows that need no settling, but have a deadline: calls, questions, the shutdown.
    /// Some of these rows may be gone meanwhile.
    pub rows: Vec<Due>,
}

impl Touched {
    /// Notes that a client was attached to a session.
    pub fn attached(&mut self, client: ClientId, session: &Session) {
        let (session_id, lane) = (session.id.clone(), session.channel.into());
        self.attachments.push(Effect::Attached { client, session: session_id, lane });
    }

    /// Notes that the connection of a client is to keep a session as it is now.
    pub fn kept(&mut self, client: ClientId, session: &Session) {
        let recipe = session.recipe.as_deref().filter(|recipe| recipe.is_kept());
        let keepsake = recipe.map(|recipe| {
            Box::new(Keepsake::new(&session.id, &session.agent_id, &session.cwd, recipe))
        });
        let (lane, session) = (session.channel.into(), session.id.clone());
        self.attachments.push(Effect::Keep { client, lane, session, keepsake });
    }

    /// Notes that a client was detached from a session. At the end of the bridge its connection
    /// keeps the session: a later bridge can say what has become of it.
    pub fn detached(&mut self, client: ClientId, session: &Session, phase: Phase) {
        if phase == Phase::Running {
            let (lane, session) = (session.channel.into(), session.id.clone());
            self.attachments.push(Effect::Forget { client, lane, session });
        }
    }
}
