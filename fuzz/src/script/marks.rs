//! Marks: texts that tell for which client they are.
//!
//! Every request of a client and every message of an agent holds a mark of its own. What
//! reaches a client is searched for marks: a request must be its own, or in a session that
//! it once opened, and a message of an agent must have been meant for it.
//!
//! Agents mean what the rules for a guest say: the session, server, connection, elicitation
//! or request that a message names; without one, the client whose turn or open runs on the
//! channel. Where the rules leave it open, anybody may read the message, so that no fault
//! is reported that is none.

use std::collections::{BTreeMap, BTreeSet};

use drawbridge::bridge::{ChannelId, ClientId};
use drawbridge::wire::Method;

/// The beginning of every mark; what a script writes literally may not hold it.
pub const MARK: &[u8] = b"mark-";

/// The mark of a client's request.
pub fn of_request(number: usize) -> String {
    format!("mark-c-{number}.")
}

/// The mark of an agent's message.
pub fn of_message(number: usize) -> String {
    format!("mark-a-{number}.")
}

/// The numbers of all marks in a text that were made by clients.
pub fn requests_in(text: &[u8]) -> Vec<usize> {
    numbers(text, b'c')
}

/// The numbers of all marks in a text that were made by agents.
pub fn messages_in(text: &[u8]) -> Vec<usize> {
    numbers(text, b'a')
}

fn numbers(text: &[u8], maker: u8) -> Vec<usize> {
    let begins = |at: &usize| text[*at..].starts_with(MARK);
    let marks = (0..text.len()).filter(begins).filter_map(|at| {
        let rest = text[at + MARK.len()..].strip_prefix(&[maker, b'-'])?;
        let end = rest.iter().position(|byte| *byte == b'.')?;
        std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
    });
    marks.collect()
}

/// The kinds of names, beside those of sessions, that lead to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An MCP server that a client offers.
    Server,
    /// A connection to such a server.
    Connection,
    /// An elicitation.
    Elicitation,
}

/// The subject of a message of an agent.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// The session with this id of the agent's.
    Session(&'a str),
    /// The same in a notification, which may be held until an open is answered.
    Update(&'a str),
    /// The thing of this kind with this name.
    Named(Kind, &'a str),
    /// The open request of a client with this number.
    Request(usize),
    /// Nothing, in a message for one client.
    Nothing,
    /// Nothing, in a notification for all clients of the channel.
    Everybody,
}

/// The clients that are served on a channel at the moment.
#[derive(Debug, Default)]
pub struct Here {
    /// Those with a prompt or an open.
    pub running: BTreeSet<ClientId>,
    /// Those with any request that one channel answers.
    pub asking: BTreeSet<ClientId>,
    /// Whether the core may count otherwise, because a session is being closed.
    pub is_unsure: bool,
    /// Whether an open of a new session is not answered.
    pub is_opening: bool,
    /// The clients of those opens.
    pub opening: BTreeSet<ClientId>,
}

impl Here {
    /// Whether a message that names nothing that is known has exactly one client to go to.
    pub fn has_one_addressee(&self) -> bool {
        matches!(self.guess(), Audience::These { clients, .. } if clients.len() == 1)
    }

    /// The audience of a message that names nothing that is known.
    fn guess(&self) -> Audience {
        match (self.running.len(), self.asking.len()) {
            _ if self.is_unsure => Audience::Anyone,
            (1, _) => Audience::of(self.running.clone()),
            // Clients with sessions on the channel count, too, and are not known here.
            (0, 0 | 1) => Audience::Anyone,
            _ => Audience::of(BTreeSet::new()),
        }
    }
}

/// The clients that may read a text.
#[derive(Clone, Debug)]
enum Audience {
    Anyone,
    /// These, and those of the sessions with these numbers.
    These {
        clients: BTreeSet<ClientId>,
        sessions: BTreeSet<usize>,
    },
}

impl Audience {
    fn of(clients: BTreeSet<ClientId>) -> Audience {
        Audience::These { clients, sessions: BTreeSet::new() }
    }
}

/// A session as its agent knows it: the channel and the agent's id.
type Place = (ChannelId, String);

/// The facts about a session. Its number stays, whatever becomes of its id.
#[derive(Debug, Default)]
struct Session {
    /// The clients that were ever attached.
    clients: BTreeSet<ClientId>,
    /// Sessions whose clients may read this one, too: one of them is its parent.
    parents: BTreeSet<usize>,
    /// Whether anybody may read it, because it is not known whose it is.
    is_anyones: bool,
    /// Whether an open brought it; otherwise it is only a name that was used.
    is_opened: bool,
    is_closing: bool,
}

struct Asked {
    client: ClientId,
    /// The session id that the request names, as clients know it.
    session: Option<String>,
    sessions: BTreeSet<usize>,
}

struct Said {
    place: Option<Place>,
    audience: Audience,
    /// Whether it is the answer to an open of a new session, which has that place.
    opens: bool,
}

/// All marks, and the sessions that they are about.
#[derive(Default)]
pub struct Marks {
    asked: Vec<Asked>,
    said: Vec<Said>,
    sessions: Vec<Session>,
    places: BTreeMap<Place, usize>,
    /// Sessions, by the ids that clients know.
    public: BTreeMap<String, BTreeSet<usize>>,
    named: BTreeMap<(ChannelId, Kind, String), Audience>,
    /// Clients whose connection is over: what no open has brought may go to others then.
    gone: BTreeSet<ClientId>,
}

impl Marks {
    /// A client asks for something, in the session that it knows by that id; gives back the
    /// number of the request.
    pub fn ask(&mut self, client: ClientId, method: Method, session: Option<&str>) -> usize {
        let sessions = session.map_or_else(BTreeSet::new, |id| self.known_as(id));
        match (method, session) {
            (Method::SessionLoad | Method::SessionResume, _) => {
                for number in &sessions {
                    self.sessions[*number].clients.insert(client);
                }
            }
            (Method::BridgeDetach, None) => {
                let own = self.sessions.iter_mut().filter(|row| row.clients.contains(&client));
                own.for_each(|row| row.is_closing = true);
            }
            (Method::SessionClose | Method::SessionDelete | Method::BridgeDetach, _) => {
                for number in &sessions {
                    self.sessions[*number].is_closing = true;
                }
            }
            _ => {}
        }
        self.asked.push(Asked { client, session: session.map(str::to_owned), sessions });
        self.asked.len() - 1
    }

    fn known_as(&self, public: &str) -> BTreeSet<usize> {
        let of_agents = || {
            let same = self.places.iter().filter(|((_, id), _)| id == public);
            same.map(|(_, number)| *number).collect()
        };
        self.public.get(public).cloned().unwrap_or_else(of_agents)
    }

    /// The client that made a request.
    pub fn asker(&self, asked: usize) -> ClientId {
        self.asked[asked].client
    }

    /// Whether the session of a request is being closed.
    pub fn is_closing(&self, asked: usize) -> bool {
        self.asked[asked].sessions.iter().any(|number| self.sessions[*number].is_closing)
    }

    /// A request reaches an agent; it names the session by the agent's id, and `asked` is the
    /// number of the client's request that it is.
    pub fn sent(&mut self, place: Place, method: Method, asked: Option<usize>) {
        let asker = asked.map(|number| self.asked[number].client);
        let number = match self.places.get(&place) {
            Some(number) => *number,
            None => {
                let is_stored = matches!(
                    method,
                    Method::SessionFork
                        | Method::SessionDelete
                        | Method::SessionArchive
                        | Method::SessionUnarchive
                        | Method::SessionStatus
                        | Method::SessionSetTitle
                        // These are about no session, whatever they name.
                        | Method::Initialize
                        | Method::ProvidersList
                        | Method::ProvidersSet
                        | Method::ProvidersDisable
                        | Method::Authenticate
                        | Method::AuthLogin
                        | Method::AuthStatus
                        | Method::AuthLogout
                        | Method::Logout
                        | Method::SessionList
                        | Method::SessionNew
                );
                let parents = asked.map(|number| self.asked[number].sessions.clone());
                self.add(
                    place,
                    Session {
                        clients: asker.into_iter().collect(),
                        parents: parents.unwrap_or_default(),
                        is_anyones: is_stored || asker.is_none(),
                        ..Session::default()
                    },
                )
            }
        };
        let row = &mut self.sessions[number];
        match (method, asker) {
            (Method::SessionLoad | Method::SessionResume, Some(client)) => {
                row.clients.insert(client);
            }
            (Method::SessionLoad | Method::SessionResume, None) => row.is_anyones = true,
            (Method::SessionClose, _) => row.is_closing = true,
            _ => {}
        }
        if let Some(asked) = asked {
            self.asked[asked].sessions.insert(number);
        }
    }

    fn add(&mut self, place: Place, session: Session) -> usize {
        self.sessions.push(session);
        self.places.insert(place, self.sessions.len() - 1);
        self.sessions.len() - 1
    }

    /// The ids that an agent has used for sessions.
    pub fn ids_on(&self, channel: ChannelId) -> Vec<String> {
        let here = self.places.keys().filter(|(of, _)| *of == channel);
        here.map(|(_, id)| id.clone()).collect()
    }

    /// The names of a kind that lead to clients of a channel.
    pub fn names_on(&self, channel: ChannelId, kind: Kind) -> Vec<String> {
        let here = self.named.keys().filter(|(of, other, _)| (*of, *other) == (channel, kind));
        here.map(|(_, _, name)| name.clone()).collect()
    }

    /// An agent says something; gives back the number of the message.
    pub fn say(&mut self, channel: ChannelId, about: About<'_>, here: &Here) -> usize {
        let mut place = None;
        let audience = match about {
            About::Session(id) | About::Update(id) => {
                let named = place.insert((channel, id.to_owned())).clone();
                match self.places.get(&named) {
                    Some(number) => Audience::These {
                        clients: BTreeSet::new(),
                        sessions: BTreeSet::from([*number]),
                    },
                    None => {
                        let is_held = here.is_opening && matches!(about, About::Update(_));
                        if here.opening.len() == 1 && !is_held {
                            // It may ask about the session that is being opened. If no open
                            // brings the id, it goes on as one of any session of that client.
                            self.bind(named, &Audience::Anyone);
                            Audience::of(here.opening.clone())
                        } else {
                            let audience = if is_held { Audience::Anyone } else { here.guess() };
                            self.bind(named, &audience);
                            audience
                        }
                    }
                }
            }
            About::Named(kind, name) => {
                let known = self.named.get(&(channel, kind, name.to_owned()));
                // A notification may have bound it to the client that it went to.
                known.cloned().unwrap_or(Audience::Anyone)
            }
            About::Request(asked) => self.behind(asked),
            About::Nothing => here.guess(),
            About::Everybody => Audience::Anyone,
        };
        self.said.push(Said { place, audience, opens: false });
        self.said.len() - 1
    }

    /// An id that no open has brought belongs from now on to the client that it was used for.
    fn bind(&mut self, place: Place, audience: &Audience) {
        match audience {
            Audience::Anyone => {
                self.add(place, Session { is_anyones: true, ..Session::default() });
            }
            Audience::These { clients, .. } if clients.len() == 1 => {
                let beside = self.places.iter().filter(|((channel, _), _)| *channel == place.0);
                let theirs = |number: &usize| !self.sessions[*number].clients.is_disjoint(clients);
                let parents = beside.map(|(_, number)| *number).filter(theirs).collect();
                let clients = clients.clone();
                self.add(place, Session { clients, parents, ..Session::default() });
            }
            Audience::These { .. } => {}
        }
    }

    /// The clients that may read about a request: the asker, and those of its session.
    fn behind(&self, asked: usize) -> Audience {
        let Asked { client, sessions, .. } = &self.asked[asked];
        Audience::These { clients: BTreeSet::from([*client]), sessions: sessions.clone() }
    }

    /// An agent answers a request; gives back the number of the answer. `opened` is the id of
    /// a new session; it counts when the asker gets the answer, unless none `waits`.
    pub fn answer(
        &mut self,
        channel: ChannelId,
        asked: Option<usize>,
        opened: Option<&str>,
        waits: bool,
    ) -> usize {
        let place = opened.map(|id| (channel, id.to_owned()));
        let audience = asked.map_or(Audience::Anyone, |asked| self.behind(asked));
        if let Some(place) = place.clone().filter(|_| !waits) {
            match self.places.get(&place) {
                Some(number) => self.sessions[*number].is_anyones = true,
                None => drop(self.add(place, Session { is_anyones: true, ..Session::default() })),
            }
        }
        self.said.push(Said { opens: place.is_some() && waits, place, audience });
        self.said.len() - 1
    }

    /// An agent's answer to a request that is no open names a session of the asker's.
    pub fn brings(&mut self, channel: ChannelId, asked: Option<usize>, id: &str) {
        let place = (channel, id.to_owned());
        match (self.places.get(&place), asked) {
            (Some(number), _) => self.sessions[*number].is_anyones = true,
            (None, Some(asked)) => {
                let clients = BTreeSet::from([self.asked[asked].client]);
                self.add(place, Session { clients, ..Session::default() });
            }
            (None, None) => {}
        }
    }

    /// An agent announces a sub-agent of a session.
    pub fn announce(&mut self, channel: ChannelId, parent: &str, child: &str) {
        let Some(parent) = self.places.get(&(channel, parent.to_owned())).copied() else { return };
        let place = (channel, child.to_owned());
        match self.places.get(&place) {
            // A session that is open keeps its id.
            Some(old) if self.sessions[*old].is_opened && !self.sessions[*old].is_closing => {}
            Some(old) if *old != parent => self.sessions[*old].is_anyones = true,
            _ => {
                // The announcement of one that is not open may be held for an open.
                let is_anyones = !self.sessions[parent].is_opened;
                let parents = BTreeSet::from([parent]);
                self.add(place, Session { parents, is_anyones, ..Session::default() });
            }
        }
    }

    /// A name leads from now on to the clients that the message with this number was for; to
    /// none if there were none.
    pub fn name(&mut self, channel: ChannelId, kind: Kind, name: &str, said: usize) {
        let audience = self.said[said].audience.clone();
        let is_nobodys = matches!(
            &audience,
            Audience::These { clients, sessions } if clients.is_empty() && sessions.is_empty()
        );
        let place = (channel, kind, name.to_owned());
        if is_nobodys {
            self.named.remove(&place);
        } else {
            self.named.insert(place, audience);
        }
    }

    /// A name leads to no client any more.
    pub fn forget(&mut self, channel: ChannelId, kind: Kind, name: &str) {
        self.named.remove(&(channel, kind, name.to_owned()));
    }

    /// Whether a name leads to clients.
    pub fn knows(&self, channel: ChannelId, kind: Kind, name: &str) -> bool {
        self.named.contains_key(&(channel, kind, name.to_owned()))
    }

    /// A server that a client's open offers to an agent. Several clients may use one name.
    pub fn offers(&mut self, channel: ChannelId, name: &str, asked: usize) {
        let mut audience = self.behind(asked);
        let place = (channel, Kind::Server, name.to_owned());
        if let (
            Audience::These { clients, sessions },
            Some(Audience::These { clients: others, .. }),
        ) = (&mut audience, self.named.get(&place))
        {
            clients.extend(others);
            sessions.clear();
        }
        self.named.insert(place, audience);
    }

    /// A client gets the good answer to its request: if that was an open, the session is its
    /// own. `named` is the session id in the answer. Gives back the id of what was opened.
    pub fn answered(
        &mut self,
        asked: usize,
        method: Method,
        text: &[u8],
        named: Option<&str>,
    ) -> Option<String> {
        let Asked { client, session, sessions } = &self.asked[asked];
        let client = *client;
        match method {
            Method::SessionLoad | Method::SessionResume => {
                let public = session.clone()?;
                // An id may be shown in messages of other sessions, too.
                let has_it = |number: &usize| {
                    let mut places = self.places.iter().filter(|(_, of)| *of == number);
                    places.any(|((_, id), _)| public.ends_with(id.as_str()))
                };
                for number in sessions.iter().copied().filter(has_it).collect::<Vec<_>>() {
                    let row = &mut self.sessions[number];
                    (row.is_opened, row.is_closing) = (true, false);
                    self.public.entry(public.clone()).or_default().insert(number);
                }
                Some(public)
            }
            Method::SessionNew | Method::SessionFork => {
                let said = messages_in(text).first().map(|number| &self.said[*number]);
                let place = said.filter(|said| said.opens).and_then(|said| said.place.clone());
                let (place, public) = (place?, named?.to_owned());
                // An agent with a single session gives it to its client again.
                let is_its = |number: &&usize| {
                    let row = &self.sessions[**number];
                    row.is_opened && !row.is_closing && row.clients.contains(&client)
                };
                if let Some(number) = self.places.get(&place).filter(is_its).copied() {
                    self.asked[asked].sessions.insert(number);
                    return Some(public);
                }
                // A session that another client restores at the moment has no id of its own then.
                let is_anyones = self.places.get(&place).is_some_and(|number| {
                    let row = &self.sessions[*number];
                    row.clients.iter().any(|other| *other != client)
                });
                let clients = BTreeSet::from([client]);
                let session =
                    Session { clients, is_opened: true, is_anyones, ..Session::default() };
                let number = self.add(place, session);
                self.asked[asked].sessions.insert(number);
                self.public.entry(public.clone()).or_default().insert(number);
                Some(public)
            }
            _ => None,
        }
    }

    /// A client's request is refused. What it would have opened is not known to be anybody's.
    pub fn refused(&mut self, asked: usize) {
        for number in self.asked[asked].sessions.clone() {
            let row = &mut self.sessions[number];
            row.is_anyones |= !row.is_opened;
        }
    }

    /// A client is shown a text of an agent under this id.
    pub fn shown(&mut self, text: &[u8], public: &str) {
        let places = messages_in(text).into_iter().filter_map(|said| self.said[said].place.clone());
        let numbers: Vec<usize> =
            places.filter_map(|place| self.places.get(&place).copied()).collect();
        if !numbers.is_empty() {
            self.public.entry(public.to_owned()).or_default().extend(numbers);
        }
    }

    /// Checks that a client may read a text that reaches it.
    pub fn reach(&self, client: ClientId, text: &[u8]) {
        for number in messages_in(text) {
            let may_read = self.said.get(number).is_some_and(|said| {
                let now = said.place.as_ref().and_then(|place| self.places.get(place));
                now.is_some_and(|session| self.admits(*session, client))
                    || self.includes(&said.audience, client)
            });
            assert!(may_read, "{client} reads what is not for it: {}", readable(text));
        }
        for number in requests_in(text) {
            let may_read = self.asked.len() > number && self.includes(&self.behind(number), client);
            assert!(may_read, "{client} reads what another client asked: {}", readable(text));
        }
    }

    /// Checks that a client may read the prompt of another, which it is shown under this id of a
    /// session: both are clients of that session.
    pub fn reach_prompt(&self, client: ClientId, public: &str, text: &[u8]) {
        let sessions = self.known_as(public);
        let shares = |asker| {
            let both = [client, asker];
            sessions.iter().any(|number| both.iter().all(|one| self.admits(*number, *one)))
        };
        for number in requests_in(text) {
            let may_read = self.asked.get(number).is_some_and(|asked| shares(asked.client));
            assert!(may_read, "{client} reads a prompt of another session: {}", readable(text));
        }
    }

    /// The connection of a client is over.
    pub fn leaves(&mut self, client: ClientId) {
        self.gone.insert(client);
    }

    fn are_gone(&self, clients: &BTreeSet<ClientId>) -> bool {
        !clients.is_empty() && clients.is_subset(&self.gone)
    }

    fn includes(&self, audience: &Audience, client: ClientId) -> bool {
        match audience {
            Audience::Anyone => true,
            Audience::These { clients, sessions } => {
                clients.contains(&client)
                    || self.are_gone(clients)
                    || sessions.iter().any(|session| self.admits(*session, client))
            }
        }
    }

    /// Whether a client was ever attached to a session, or it is not known whose it is.
    fn admits(&self, session: usize, client: ClientId) -> bool {
        let row = &self.sessions[session];
        // Parents were there before: their numbers are smaller.
        row.is_anyones
            || row.clients.contains(&client)
            || (!row.is_opened && !row.clients.is_disjoint(&self.gone))
            || row.parents.iter().any(|parent| *parent < session && self.admits(*parent, client))
    }
}

fn readable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
