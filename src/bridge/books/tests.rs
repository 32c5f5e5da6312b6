//! Queries to several tables, on books without a bridge.

use super::*;
use crate::bridge::books::call::{Asker, OpenKind, Opening, Purpose, Stage};
use crate::bridge::books::channel::Rung;
use crate::bridge::books::client::Introduction;
use crate::bridge::books::conversation::Wanted;
use crate::bridge::books::fence::Fence;
use crate::bridge::books::passing::{Owner, PassingState};
use crate::bridge::books::pool::{Access, Pool};
use crate::bridge::books::restarts::Start;
use crate::bridge::books::tombstones::{Hold, Tombstone};
use crate::bridge::books::whose::Meaning;
use crate::bridge::config::{AgentConfig, PermissionPolicy, Share};
use crate::bridge::environment::{Environment, Origin};
use crate::bridge::reason::StopReason;
use crate::wire::Frame;

pub const AGENT: AgentId = AgentId(0);
pub const OTHER: AgentId = AgentId(1);
pub const ALICE: ClientId = ClientId(1);
pub const BOB: ClientId = ClientId(2);
const STOPPING: ChannelState = ChannelState::Stopping {
    reason: StopReason::Shutdown,
    rung: Rung::ClosingStdin,
    since: Moment::from_millis(7),
    began: Moment::from_millis(7),
};

pub fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

/// A request of an agent.
fn question(method: &str) -> Frame {
    Frame::parse(format!(r#"{{"id":1,"method":"{method}"}}"#).into()).unwrap()
}

fn environment() -> Environment {
    Environment::empty(EnvironmentId(0))
}

pub fn frame() -> Frame {
    Frame::parse(r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#.into()).unwrap()
}

pub fn opening(kind: OpenKind, source: Option<&str>, public: Option<&str>) -> Opening {
    Opening::of(kind, (source.map(Into::into), public.map(Into::into)), Box::default())
}

/// Books with two agents, and a client of the first.
pub fn books() -> Books {
    let mut books = Books::new(Config::default());
    books.add_agent(AgentConfig { name: "other".into(), ..Default::default() });
    books.add_client(ALICE, AGENT, environment(), Box::default(), Moment::START);
    books
}

pub fn add_bob(books: &mut Books, agent: AgentId) {
    books.add_client(BOB, agent, environment(), Box::default(), Moment::START);
}

pub fn add_channel(books: &mut Books, agent: AgentId) -> ChannelId {
    let origin = Origin { environment: environment().id, home: Box::default() };
    let mut row = Channel::new(agent, origin, at(0));
    (row.state, row.opened) = (ChannelState::Ready, 1);
    books.add_channel(row)
}

pub fn add_pool(books: &mut Books, agent: AgentId) -> PoolId {
    let identity = format!("clients {}", books.pools.len()).into_bytes().into();
    let client = Client::new(agent, environment(), Box::default(), Moment::START);
    books.add_pool(Pool { identity, ..Pool::new(&client, Access::Shared, &frame()) })
}

pub fn add_session(books: &mut Books, channel: ChannelId, id: &str, agent_id: &str) -> SessionKey {
    let (key, agent) = (books.next_session_key(), books.channel(channel).unwrap().agent);
    let (id, agent_id) = (id.into(), agent_id.into());
    let cwd = Default::default();
    books.add_session(Session::new(key, (agent, channel), (id, agent_id), cwd, at(0)));
    key
}

/// Adds a call of Alice on a channel, without a session.
pub fn add_call(books: &mut Books, channel: ChannelId, purpose: Purpose, stage: Stage) -> CallId {
    let place = (books.channel(channel).unwrap().agent, channel);
    let asker = Asker::Client(ALICE, frame().id());
    books.add_call(Call::on_channel(place, asker, purpose, stage, at(0)))
}

pub fn add_prompt(books: &mut Books, key: SessionKey, client: ClientId, stage: Stage) -> CallId {
    let session = books.session(key).unwrap();
    let asker = Asker::Client(client, frame().id());
    let call = Call::in_session(session, asker, Purpose::Prompt, stage, at(0));
    books.add_call(call)
}

pub fn bury(books: &mut Books, channel: ChannelId, id: &str, agent_id: &str, hold: Hold) {
    let key = books.next_session_key();
    let row = books.channel_mut(channel).unwrap();
    row.tombstones.bury(Tombstone::new(key, id, agent_id.into(), hold, Ids::default(), at(0)));
}

/// What Alice wants under this id.
fn wanted(public_id: &str) -> Wanted<'_> {
    Wanted { client: ALICE, public_id, cwd: "" }
}

#[track_caller]
fn check_fence(books: &Books, public: Option<&str>, expected: &str) {
    let found = match books.fence(AGENT, "s", public.map(wanted)) {
        Fence::Free => "free".to_owned(),
        Fence::Reinstate(channel) => format!("reinstate {channel}"),
        Fence::Leaving(channel) => format!("leaving {channel}"),
        Fence::Unanswered(channel) => format!("unanswered {channel}"),
        Fence::Live => "live".to_owned(),
    };
    assert_eq!(found, expected);
}

#[test]
fn a_conversation_is_fenced_by_what_a_channel_of_its_agent_may_hold_of_it() {
    let holds = [
        (Hold::Nothing, "free", "free"),
        (Hold::Husk, "reinstate ch-2", "leaving ch-2"),
        (Hold::Unanswered, "unanswered ch-2", "leaving ch-2"),
        (Hold::ResendClose, "leaving ch-2", "leaving ch-2"),
        (Hold::Closing(CallId(1)), "leaving ch-2", "leaving ch-2"),
    ];
    for (hold, expected, while_it_stops) in holds {
        let mut books = books();
        let foreign = add_channel(&mut books, OTHER);
        bury(&mut books, foreign, "s", "s", Hold::Unanswered);
        add_session(&mut books, foreign, "s", "s");
        let channel = add_channel(&mut books, AGENT);
        check_fence(&books, None, "free");
        bury(&mut books, channel, "s", "s", hold);
        check_fence(&books, None, expected);
        books.set_state(channel, STOPPING);
        check_fence(&books, None, while_it_stops);
        let live = add_channel(&mut books, AGENT);
        add_session(&mut books, live, "alias", "s");
        check_fence(&books, None, "live");
    }
}

#[test]
fn of_several_that_hold_an_id_the_one_that_is_meant_fences_or_else_the_oldest() {
    let mut books = books();
    for id in ["s", "~1~s", "~2~s"] {
        let channel = add_channel(&mut books, AGENT);
        bury(&mut books, channel, id, "s", Hold::Unanswered);
    }
    check_fence(&books, None, "unanswered ch-1");
    check_fence(&books, Some("~1~s"), "unanswered ch-2");
    check_fence(&books, Some("~2~s"), "unanswered ch-3");
    check_fence(&books, Some("unknown"), "unanswered ch-1");
    let home = |books: &Books, id| books.tombstone(ALICE, id).map(|(channel, _)| channel.0);
    assert_eq!(home(&books, "~1~s"), Some(2));
    assert_eq!(home(&books, "unknown"), None);
    let newest = add_channel(&mut books, AGENT);
    bury(&mut books, newest, "~1~s", "t", Hold::Nothing);
    assert_eq!(home(&books, "~1~s"), Some(newest.0));
}

#[test]
fn an_id_means_a_session_of_the_clients_own_agent() {
    let mut books = books();
    add_bob(&mut books, OTHER);
    let (channel, foreign) = (add_channel(&mut books, AGENT), add_channel(&mut books, OTHER));
    let own = add_session(&mut books, channel, "s", "s");
    let theirs = add_session(&mut books, foreign, "s", "s");
    assert_eq!((books.live(ALICE, "s", ""), books.live(BOB, "s", "")), (Some(own), Some(theirs)));
    assert_eq!(books.live(ClientId(9), "s", ""), None);
    books.attach(ALICE, own);
    let (child, _) = books
        .add_passing(channel, ("child", None), Owner::Session(own), PassingState::Held)
        .unwrap();
    assert_eq!(books.meaning(ALICE, "child"), Meaning::Passing(child));
    assert_eq!(books.meaning(BOB, "child"), Meaning::Unknown);
    assert!(books.live(ALICE, "child", "").is_none());
    assert_eq!(books.attached_session(ALICE, "s").ok(), Some(own));
    assert!(books.attached_session(BOB, "s").is_err(), "it is not attached");
    books.remove_passing(child);
    books.remove_session(own);
    assert_eq!(books.meaning(ALICE, "s"), Meaning::Unknown);
    assert_eq!(books.meaning(ALICE, "child"), Meaning::Unknown);
    assert_eq!(books.live(BOB, "s", ""), Some(theirs));
    assert!(books.client(ALICE).unwrap().sessions.is_empty());
    assert!(!books.channel(channel).unwrap().names.contains("s"));
}

#[test]
fn a_permission_is_asked_of_who_prompted_and_never_of_who_merely_watches() {
    let mut books = books();
    add_bob(&mut books, AGENT);
    let channel = add_channel(&mut books, AGENT);
    let key = add_session(&mut books, channel, "s", "s");
    let asked = |books: &Books| {
        books.whom_to_ask(books.session(key).unwrap(), &question("session/request_permission"))
    };
    assert_eq!(asked(&books), []);
    books.attach_watcher(ALICE, key);
    books.attach_watcher(BOB, key);
    let queued = add_prompt(&mut books, key, BOB, Stage::held(&frame()));
    assert_eq!(asked(&books), [ALICE, BOB]);
    books.call_mut(queued).unwrap().stage = Stage::sent(at(1), 0);
    assert_eq!(asked(&books), [BOB]);
    books.agent_mut(AGENT).config.permission_policy = PermissionPolicy::All;
    assert_eq!(asked(&books), [ALICE, BOB]);
    books.agent_mut(AGENT).config.permission_policy = PermissionPolicy::Originator;
    books.detach(BOB, key, absence::Absence::lost(at(0), None));
    assert_eq!(asked(&books), [], "who prompted is gone, and the other one merely watches");
    books.session_mut(key).unwrap().watchers.clear();
    assert_eq!(asked(&books), [ALICE]);
    books.session_mut(key).unwrap().watchers.push(ALICE);
    books.take_call(queued);
    assert_eq!(asked(&books), [ALICE], "there is no turn of another");
}

#[test]
fn any_other_question_goes_to_one_client_who_prompted_or_can_answer() {
    let mut books = books();
    add_bob(&mut books, AGENT);
    let channel = add_channel(&mut books, AGENT);
    let key = add_session(&mut books, channel, "s", "s");
    let asked = |books: &Books| {
        books.whom_to_ask(books.session(key).unwrap(), &question("fs/read_text_file"))
    };
    books.attach(ALICE, key);
    assert_eq!(asked(&books), [ALICE], "there is no other");
    books.attach(BOB, key);
    assert_eq!(asked(&books), [], "neither can");
    books.client_mut(BOB).unwrap().offers.read = true;
    assert_eq!(asked(&books), [BOB]);
    add_prompt(&mut books, key, ALICE, Stage::sent(at(1), 0));
    assert_eq!(asked(&books), [BOB], "who prompted cannot");
    books.client_mut(ALICE).unwrap().offers.read = true;
    assert_eq!(asked(&books), [ALICE]);
}

#[test]
fn a_message_that_names_nothing_is_for_the_only_client_that_it_can_be_for() {
    let mut books = books();
    add_bob(&mut books, AGENT);
    let (channel, pool) = (add_channel(&mut books, AGENT), add_pool(&mut books, AGENT));
    books.channel_mut(channel).unwrap().pool = Some(pool);
    assert_eq!(books.only_client(channel), None);
    for client in [ALICE, BOB] {
        let row = books.client_mut(client).unwrap();
        (row.pool, row.introduction) = (Some(pool), Introduction::Done);
        assert_eq!(books.only_client(channel), (client == ALICE).then_some(ALICE));
    }
    let theirs = add_session(&mut books, channel, "s", "s");
    books.attach(BOB, theirs);
    assert_eq!(books.only_client(channel), Some(BOB), "the other one has nothing there");
    let own = add_session(&mut books, channel, "t", "t");
    books.attach(ALICE, own);
    assert_eq!(books.only_client(channel), None);
    let prompt = add_prompt(&mut books, own, ALICE, Stage::sent(at(1), 0));
    assert_eq!(books.only_client(channel), Some(ALICE), "its turn runs");
    add_prompt(&mut books, theirs, BOB, Stage::sent(at(1), 0));
    assert_eq!(books.only_client(channel), None);
    books.take_call(prompt);
    assert_eq!(books.only_client(channel), Some(BOB));
}

#[test]
fn a_passing_id_belongs_to_the_session_in_a_turn_that_was_heard_last() {
    let mut books = books();
    let channel = add_channel(&mut books, AGENT);
    assert_eq!(books.owner_for(channel, ALICE), Owner::Client(ALICE));
    let (a, b) =
        (add_session(&mut books, channel, "a", "a"), add_session(&mut books, channel, "b", "b"));
    for (key, heard) in [(a, 5), (b, 3)] {
        books.attach(ALICE, key);
        books.session_mut(key).unwrap().heard_at = at(heard);
    }
    assert_eq!(books.owner_for(channel, ALICE), Owner::Session(a));
    add_prompt(&mut books, b, ALICE, Stage::sent(at(1), 0));
    assert_eq!(books.owner_for(channel, ALICE), Owner::Session(b));
    assert_eq!(books.owner_for(channel, BOB), Owner::Client(BOB));
}

#[test]
fn a_channel_is_without_work_when_nothing_is_on_it_but_what_is_overdue() {
    let mut books = books();
    let channel = add_channel(&mut books, AGENT);
    let idle = |books: &Books| books.is_without_work(books.channel(channel).unwrap());
    assert!(idle(&books));
    let key = add_session(&mut books, channel, "s", "s");
    assert!(!idle(&books));
    books.remove_session(key);
    assert!(idle(&books));
    let call = add_call(&mut books, channel, Purpose::Prompt, Stage::sent(at(0), 0));
    assert!(!idle(&books));
    books.mark_overdue(call, None);
    assert!(idle(&books));
    books.take_call(call);
    assert!(idle(&books));
    books.channel_mut(channel).unwrap().leases.insert(ALICE);
    assert!(!idle(&books));
    books.set_state(channel, ChannelState::Draining { reason: StopReason::Husks, since: at(0) });
    assert!(idle(&books), "a lease does not keep what drains");
}

#[test]
fn a_channel_has_room_for_as_many_sessions_as_the_rule_allows() {
    let mut books = books();
    let channel = add_channel(&mut books, AGENT);
    let can_take_session = |books: &Books| books.can_take_session(books.channel(channel).unwrap());
    add_session(&mut books, channel, "s", "s");
    assert!(can_take_session(&books), "there is no limit");
    books.agent_mut(AGENT).config.sessions_per_channel = 2;
    assert!(can_take_session(&books));
    let open = Purpose::Open(opening(OpenKind::New, None, None));
    let open = add_call(&mut books, channel, open, Stage::sent(at(0), 0));
    assert!(!can_take_session(&books), "one is opening");
    books.mark_overdue(open, None);
    assert!(can_take_session(&books));
    books.agent_mut(AGENT).config.share = Share::Session;
    assert!(!can_take_session(&books));
    let empty = add_channel(&mut books, AGENT);
    assert!(books.can_take_session(books.channel(empty).unwrap()));
    bury(&mut books, empty, "t", "t", Hold::Husk);
    assert!(!books.can_take_session(books.channel(empty).unwrap()));
}

#[test]
fn a_frame_of_an_unknown_session_belongs_to_its_restore_or_to_the_oldest_new_one() {
    let mut books = books();
    let channel = add_channel(&mut books, AGENT);
    let mut open = |kind, source, stage| {
        let purpose = Purpose::Open(opening(kind, source, None));
        add_call(&mut books, channel, purpose, stage)
    };
    open(OpenKind::New, None, Stage::held(&frame()));
    let new = open(OpenKind::Fork, Some("s"), Stage::sent(at(0), 0));
    open(OpenKind::New, None, Stage::sent(at(0), 0));
    let restore = open(OpenKind::Load, Some("s"), Stage::sent(at(0), 0));
    assert_eq!(books.open_in_flight(channel, Some("s")), Some(restore));
    assert_eq!(books.open_in_flight(channel, Some("t")), Some(new));
    assert_eq!(books.open_in_flight(channel, None), Some(new));
    books.mark_overdue(restore, None);
    assert_eq!(books.open_in_flight(channel, Some("s")), Some(new));
}

/// Whether a process of each pool may be started.
fn starts(books: &mut Books, pools: &[PoolId], now: u64) -> Vec<String> {
    let start = |pool: &PoolId| match books.may_start(*pool, at(now)) {
        Start::Now => "now".to_owned(),
        Start::Later => "later".to_owned(),
        Start::Refused { last, retry_after_ms } => format!("{last}: {retry_after_ms}"),
    };
    pools.iter().map(start).collect()
}

#[test]
fn a_crash_counts_for_its_pool_alone() {
    let mut books = books();
    let pools = [AGENT, AGENT, OTHER].map(|agent| add_pool(&mut books, agent));
    let channel = add_channel(&mut books, AGENT);
    books.channel_mut(channel).unwrap().pool = Some(pools[0]);
    books.crashed(channel, "boom", at(100));
    assert_eq!(starts(&mut books, &pools, 100), ["later", "now", "now"]);
    assert_eq!(starts(&mut books, &pools, 350), ["now", "now", "now"]);
    let later = add_pool(&mut books, AGENT);
    assert_eq!(starts(&mut books, &[later], 100), ["now"]);
}

#[test]
fn a_crash_of_a_process_without_a_pool_counts_for_every_pool_of_its_agent_and_for_later_ones() {
    let mut books = books();
    let mut pools = [AGENT, AGENT, OTHER].map(|agent| add_pool(&mut books, agent)).to_vec();
    let channel = add_channel(&mut books, AGENT);
    books.crashed(channel, "boom", at(100));
    pools.extend([AGENT, OTHER].map(|agent| add_pool(&mut books, agent)));
    assert_eq!(starts(&mut books, &pools, 100), ["later", "later", "now", "later", "now"]);
    assert_eq!(starts(&mut books, &pools, 350), ["now"; 5]);
}

#[test]
fn too_many_crashes_refuse_starts_until_the_first_is_out_of_the_window() {
    let mut books = books();
    let pools = [add_pool(&mut books, AGENT), add_pool(&mut books, AGENT)];
    let channel = add_channel(&mut books, AGENT);
    for number in 1..=2 {
        books.crashed(channel, "before", at(number * 100));
    }
    books.channel_mut(channel).unwrap().pool = Some(pools[0]);
    for number in 3..=5 {
        books.crashed(channel, "boom", at(number * 100));
    }
    assert_eq!(starts(&mut books, &pools, 20_000), ["boom: 40100", "now"]);
    assert_eq!(starts(&mut books, &pools, 60_100), ["now", "now"]);
}
