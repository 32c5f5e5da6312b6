//! Tombstones: the table of transitions, the order in which they give way, and that the
//! indexes agree with the rows after any sequence of operations.

use proptest::prelude::*;

use super::*;

const BEFORE: Hold = Hold::Closing(CallId(1));
const ASKED: Hold = Hold::Closing(CallId(2));

fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

fn calls(numbers: &[u64]) -> Ids<CallId> {
    numbers.iter().map(|number| CallId(*number)).collect()
}

/// The tombstone of the session with this number. Its agent id and its public id are `s` and
/// the number; the calls `waiting` are open in it, and it was closed at `since` (ms).
fn tombstone(number: u64, hold: Hold, waiting: &[u64], since: u64) -> Tombstone {
    let id = format!("s{number}");
    let calls = calls(waiting);
    Tombstone::new(SessionKey(number), &id, id.as_str().into(), hold, calls, at(since))
}

/// The tombstone of a session with these public and agent ids.
fn aliased(number: u64, id: &str, agent_id: &str) -> Tombstone {
    let calls = Ids::default();
    Tombstone::new(SessionKey(number), id, agent_id.into(), Hold::Nothing, calls, at(0))
}

/// The tombstones of `count` sessions, closed one in each millisecond from 0 on.
fn buried(count: usize, hold: impl Fn(u64) -> Hold) -> Tombstones {
    let mut tombstones = Tombstones::default();
    for number in 0..count as u64 {
        tombstones.bury(tombstone(number, hold(number), &[], number));
    }
    assert_eq!(tombstones.len(), count);
    tombstones
}

/// Checks the whole table of transitions; only what becomes of an open close depends on
/// whether the agent can close sessions.
#[track_caller]
fn check_transitions(can_close: bool, of_closing: [Hold; 7]) {
    use Hold::{Husk, Nothing, ResendClose, Unanswered};
    let heard = [
        Heard::Asked(CallId(2)),
        Heard::CannotClose,
        Heard::Answered,
        Heard::Quiet,
        Heard::TimedOut { is_excused: true },
        Heard::TimedOut { is_excused: false },
        Heard::RestoreRefused,
    ];
    let table = [
        (BEFORE, of_closing),
        (
            ResendClose,
            [ASKED, Husk, ResendClose, ResendClose, ResendClose, ResendClose, ResendClose],
        ),
        (Husk, [ASKED, Husk, Husk, Husk, Husk, Husk, Husk]),
        (Unanswered, [ASKED, Husk, Unanswered, Unanswered, Unanswered, Unanswered, Nothing]),
        (Nothing, [ASKED, Husk, Nothing, Nothing, Nothing, Nothing, Nothing]),
    ];
    for (held, expected) in table {
        for (heard, expected) in heard.into_iter().zip(expected) {
            assert_eq!(held.after(heard, can_close), expected, "{held:?} and {heard:?}");
        }
    }
}

#[test]
fn the_hold_of_an_agent_that_can_close_follows_the_table() {
    use Hold::{Husk, Nothing, ResendClose, Unanswered};
    check_transitions(true, [ASKED, Husk, Nothing, BEFORE, ResendClose, Unanswered, BEFORE]);
}

#[test]
fn the_hold_of_an_agent_that_cannot_close_follows_the_table() {
    use Hold::{Husk, Nothing};
    check_transitions(false, [ASKED, Husk, Nothing, Husk, Husk, Husk, BEFORE]);
}

#[test]
fn every_hold_but_that_of_nothing_fences() {
    for hold in [BEFORE, Hold::ResendClose, Hold::Husk, Hold::Unanswered, Hold::Nothing] {
        let mut tombstones = Tombstones::default();
        tombstones.bury(tombstone(1, hold, &[], 0));
        assert_eq!(tombstones.fences("s1"), hold != Hold::Nothing, "{hold:?}");
        assert!(!tombstones.fences("s2"));
    }
}

#[test]
fn what_is_heard_moves_a_session_from_index_to_index() {
    let mut tombstones = Tombstones::default();
    tombstones.bury(tombstone(1, BEFORE, &[], 0));
    let mut heard = |heard| {
        let hold = tombstones.heard("s1", heard, true);
        assert!(tombstones.is_sound());
        let asked: Vec<&str> = tombstones.closes_to_resend().collect();
        assert_eq!(tombstones.has_close_to_resend(), asked == ["s1"]);
        (hold, tombstones.husks(), asked.len(), tombstones.has_unanswered())
    };
    let behind = |is_excused| Heard::TimedOut { is_excused };
    assert_eq!(heard(behind(true)), (Some(Hold::ResendClose), 0, 1, false));
    assert_eq!(heard(Heard::Asked(CallId(2))), (Some(ASKED), 0, 0, false));
    assert_eq!(heard(behind(false)), (Some(Hold::Unanswered), 0, 0, true));
    assert_eq!(heard(Heard::CannotClose), (Some(Hold::Husk), 1, 0, false));
    assert_eq!(heard(Heard::Asked(CallId(3))).0, Some(Hold::Closing(CallId(3))));
    assert_eq!(heard(Heard::Answered), (Some(Hold::Nothing), 0, 0, false));
    assert_eq!(tombstones.heard("unknown", Heard::Answered, true), None);
}

#[test]
fn a_closed_session_is_found_by_the_agents_id_by_its_row_and_by_its_alias() {
    let mut tombstones = Tombstones::default();
    tombstones.bury(tombstone(1, Hold::Nothing, &[], 0));
    tombstones.bury(aliased(2, "agent:x", "x"));
    let keys = |row: Option<&Tombstone>| row.map(Tombstone::key);
    let (first, second) = (Some(SessionKey(1)), Some(SessionKey(2)));
    assert_eq!(keys(tombstones.get("s1")), first);
    assert_eq!(keys(tombstones.named("s1")), first);
    assert_eq!(keys(tombstones.of(SessionKey(1))), first);
    assert_eq!(keys(tombstones.get("x")), second);
    assert_eq!(keys(tombstones.named("x")), None, "clients mean another one by it");
    assert_eq!(keys(tombstones.named("agent:x")), second);
    assert_eq!(keys(tombstones.get("agent:x")), None);
    let ids = |row: &Tombstone| (row.id().to_owned(), row.alias().map(str::to_owned));
    assert_eq!(tombstones.get("s1").map(ids), Some(("s1".into(), None)));
    assert_eq!(tombstones.get("x").map(ids), Some(("agent:x".into(), Some("agent:x".into()))));
    tombstones.remove("x");
    assert!(!tombstones.contains("x") && tombstones.named("agent:x").is_none());
    assert!(tombstones.of(SessionKey(2)).is_none());
    assert!(tombstones.contains("s1") && tombstones.is_sound());
}

#[test]
fn an_alias_means_the_session_that_had_it_last() {
    let mut tombstones = Tombstones::default();
    tombstones.bury(aliased(1, "alias", "x"));
    tombstones.bury(aliased(2, "alias", "y"));
    assert_eq!(tombstones.named("alias").map(Tombstone::key), Some(SessionKey(2)));
    tombstones.remove("x");
    assert_eq!(tombstones.named("alias").map(Tombstone::key), Some(SessionKey(2)));
    assert!(tombstones.is_sound());
}

#[test]
fn a_session_with_the_same_id_takes_the_place_of_the_earlier_one() {
    let mut tombstones = Tombstones::default();
    tombstones.bury(aliased(1, "alias", "x"));
    tombstones.heard("x", Heard::CannotClose, false);
    assert_eq!(tombstones.bury(aliased(2, "x", "x")), 0, "nothing had to give way");
    assert_eq!((tombstones.len(), tombstones.husks()), (1, 0));
    assert_eq!(tombstones.get("x").map(Tombstone::key), Some(SessionKey(2)));
    assert_eq!(tombstones.named("x").map(Tombstone::key), Some(SessionKey(2)));
    assert!(tombstones.of(SessionKey(1)).is_none() && tombstones.named("alias").is_none());
    assert!(tombstones.is_sound());
}

#[test]
fn a_passing_id_is_remembered_and_holds_nothing() {
    let mut tombstones = Tombstones::default();
    tombstones.bury(tombstone(1, Hold::Husk, &[7], 0));
    for number in 2..=3 {
        let (id, agent_id) = (format!("~1~child{number}"), format!("child{number}").into());
        let (key, hold) = (SessionKey(number), Hold::Nothing);
        tombstones.bury(Tombstone::new(key, &id, agent_id, hold, Ids::default(), at(0)));
    }
    assert_eq!(tombstones.len(), 3);
    assert_eq!(tombstones.get("child2").map(Tombstone::key), Some(SessionKey(2)));
    assert_eq!(tombstones.named("~1~child2").map(Tombstone::id), Some("~1~child2"));
    assert!(!tombstones.fences("child3"));
    assert_eq!(tombstones.of(SessionKey(1)).map(Tombstone::id), Some("s1"));
    tombstones.remove("s1");
    assert!(tombstones.contains("child3") && tombstones.of(SessionKey(1)).is_none());
    assert!(tombstones.is_sound());
}

#[test]
fn at_the_limit_the_oldest_that_holds_nothing_gives_way() {
    let mut tombstones = buried(MAX_TOMBSTONES, |number| match number {
        0..=2 | 4 => Hold::Husk,
        _ => Hold::Nothing,
    });
    for (new, gone) in [(5_000, "s3"), (5_001, "s5"), (5_002, "s6")] {
        assert!(tombstones.contains(gone));
        assert_eq!(tombstones.bury(tombstone(new, Hold::Unanswered, &[], new)), 1);
        assert!(!tombstones.contains(gone), "{gone}");
    }
    assert_eq!((tombstones.len(), tombstones.husks()), (MAX_TOMBSTONES, 4));
    assert!(tombstones.is_sound());
}

#[test]
fn what_was_let_go_of_meanwhile_gives_way_by_the_time_of_its_close() {
    let mut tombstones =
        buried(MAX_TOMBSTONES, |number| if number < 2 { BEFORE } else { Hold::Nothing });
    tombstones.heard("s1", Heard::Answered, true);
    tombstones.bury(tombstone(5_000, Hold::Nothing, &[], 5_000));
    assert!(!tombstones.contains("s1"));
    assert!(tombstones.contains("s0") && tombstones.contains("s2"));
}

#[test]
fn where_all_fence_the_oldest_gives_way() {
    let mut tombstones = buried(MAX_TOMBSTONES, |_| Hold::Husk);
    assert_eq!(tombstones.bury(tombstone(5_000, Hold::Husk, &[], 5_000)), 1);
    assert!(!tombstones.contains("s0") && tombstones.contains("s1"));
    assert_eq!(tombstones.husks(), MAX_TOMBSTONES);
}

#[test]
fn what_somebody_waits_for_never_gives_way() {
    let mut tombstones = Tombstones::default();
    for number in 0..=MAX_TOMBSTONES as u64 {
        let hold = if number % 2 == 0 { Hold::Nothing } else { Hold::Husk };
        assert_eq!(tombstones.bury(tombstone(number, hold, &[number], number)), 0);
    }
    assert_eq!(tombstones.len(), MAX_TOMBSTONES + 1);
    tombstones.drop_call(SessionKey(4), CallId(4));
    assert_eq!(tombstones.take_calls("s9"), calls(&[9]));
    // The tombstones of s4 and s9 may give way now, and both must, to get below the limit.
    assert_eq!(tombstones.bury(tombstone(5_000, Hold::Nothing, &[], 5_000)), 2);
    assert!(!tombstones.contains("s4") && !tombstones.contains("s9"));
    assert!(tombstones.is_sound());
}

#[test]
fn none_goes_for_its_age() {
    let mut tombstones = Tombstones::default();
    for number in 0..MAX_TOMBSTONES as u64 {
        let thrown = tombstones.bury(tombstone(number, Hold::Nothing, &[], number * 86_400_000));
        assert_eq!(thrown, 0);
    }
    assert!(tombstones.contains("s0") && tombstones.is_sound());
}

#[test]
fn one_that_takes_the_place_of_another_costs_no_third_its_place() {
    let mut tombstones = buried(MAX_TOMBSTONES, |_| Hold::Nothing);
    let before = tombstones.len();
    assert_eq!(tombstones.bury(tombstone(5, Hold::Nothing, &[], 9)), 0);
    assert_eq!(tombstones.len(), before);
}

#[test]
fn calls_that_wait_are_taken_once_and_dropped_one_by_one() {
    let mut tombstones = Tombstones::default();
    tombstones.bury(tombstone(1, BEFORE, &[8, 7, 9], 0));
    let waiting = |tombstones: &Tombstones| tombstones.get("s1").unwrap().calls().clone();
    tombstones.drop_call(SessionKey(1), CallId(8));
    tombstones.drop_call(SessionKey(1), CallId(6));
    tombstones.drop_call(SessionKey(2), CallId(7));
    assert_eq!(waiting(&tombstones), calls(&[7, 9]));
    assert_eq!(tombstones.take_calls("s1"), calls(&[7, 9]));
    assert!(waiting(&tombstones).is_empty() && tombstones.is_sound());
    assert!(tombstones.take_calls("s1").is_empty());
    assert!(tombstones.take_calls("unknown").is_empty());
    assert_eq!(tombstones.get("s1").map(Tombstone::hold), Some(BEFORE));
}

/// An operation on the tombstones of a channel.
#[derive(Clone, Debug)]
enum Deed {
    Bury { name: u8, alias: Option<u8>, hold: Hold, waiting: Vec<u64>, pause: u64 },
    Remove(u8),
    Hear { name: u8, heard: Heard, can_close: bool },
    TakeCalls(u8),
    DropCall { session: u64, call: u64 },
}

const NAMES: u8 = 12;

fn hold() -> impl Strategy<Value = Hold> {
    prop_oneof![
        (1_u64..4).prop_map(|call| Hold::Closing(CallId(call))),
        Just(Hold::ResendClose),
        Just(Hold::Husk),
        Just(Hold::Unanswered),
        Just(Hold::Nothing),
    ]
}

fn heard() -> impl Strategy<Value = Heard> {
    prop_oneof![
        (1_u64..4).prop_map(|call| Heard::Asked(CallId(call))),
        Just(Heard::CannotClose),
        Just(Heard::Answered),
        Just(Heard::Quiet),
        any::<bool>().prop_map(|is_excused| Heard::TimedOut { is_excused }),
        Just(Heard::RestoreRefused),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    let (alias, waiting) = (prop::option::of(0..NAMES), prop::collection::vec(1_u64..6, 0..3));
    let bury = (0..NAMES, alias, hold(), waiting, 0..1_000_000_u64).prop_map(
        |(name, alias, hold, waiting, pause)| Deed::Bury { name, alias, hold, waiting, pause },
    );
    let hear = (0..NAMES, heard(), any::<bool>());
    prop_oneof![
        3 => bury,
        1 => (0..NAMES).prop_map(Deed::Remove),
        3 => hear.prop_map(|(name, heard, can_close)| Deed::Hear { name, heard, can_close }),
        1 => (0..NAMES).prop_map(Deed::TakeCalls),
        2 => (1_u64..20, 1_u64..6).prop_map(|(session, call)| Deed::DropCall { session, call }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_indexes_agree_with_the_rows_whatever_is_done(
        deeds in prop::collection::vec(deed(), 1..80)
    ) {
        let (mut tombstones, mut now, mut key) = (Tombstones::default(), at(0), SessionKey(0));
        let name = |name: u8| format!("n{name}");
        for deed in deeds {
            match deed.clone() {
                Deed::Bury { name: id, alias, hold, waiting, pause } => {
                    (now, key) = (now.plus_millis(pause), SessionKey(key.0 + 1));
                    let known = alias.map_or(name(id), |alias| format!("a{alias}"));
                    let waiting = calls(&waiting);
                    let new = Tombstone::new(key, &known, name(id).into(), hold, waiting, now);
                    tombstones.bury(new);
                    prop_assert_eq!(tombstones.named(&known).map(Tombstone::key), Some(key));
                    prop_assert_eq!(tombstones.of(key).map(Tombstone::hold), Some(hold));
                }
                Deed::Remove(id) => tombstones.remove(&name(id)),
                Deed::Hear { name: id, heard, can_close } => {
                    let known = tombstones.contains(&name(id));
                    prop_assert_eq!(tombstones.heard(&name(id), heard, can_close).is_some(), known);
                }
                Deed::TakeCalls(id) => drop(tombstones.take_calls(&name(id))),
                Deed::DropCall { session, call } => {
                    tombstones.drop_call(SessionKey(session), CallId(call));
                }
            }
            prop_assert!(tombstones.is_sound(), "after {deed:?}");
            prop_assert!(tombstones.iter().all(|row| tombstones.contains(&row.agent_id)));
        }
    }
}
