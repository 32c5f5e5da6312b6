//! The deadlines of rows, each by its facts.

use super::*;
use crate::bridge::books::absence::Absence;
use crate::bridge::books::channel::Wrote;
use crate::bridge::books::question::Question;
use crate::bridge::books::tests::{
    AGENT, ALICE, add_call, add_channel, add_pool, add_prompt, add_session, at, books, frame,
};
use crate::bridge::event::ShutdownCause;
use crate::bridge::id::SessionKey;
use crate::bridge::reason::StopReason;

/// Books with one session that was last used 1 ms after the start.
fn with_session() -> (Books, ChannelId, SessionKey) {
    let mut books = books();
    let channel = add_channel(&mut books, AGENT);
    let key = add_session(&mut books, channel, "s", "s");
    books.mark_seen(key, at(1));
    (books, channel, key)
}

fn due(books: &Books, due: Due) -> Option<u64> {
    books.deadline(due).map(Moment::as_millis)
}

fn ending(since: u64) -> Phase {
    let (since, cause) = (at(since), ShutdownCause::Signal("SIGTERM"));
    Phase::Ending { since, cause, wished_at: since, signalled_at: None, forced: false }
}

#[test]
fn an_idle_session_is_due_on_the_grid_of_the_reaper() {
    let (mut books, _, key) = with_session();
    let session = Due::Session(key);
    assert_eq!(due(&books, session), Some(1_860_000));
    books.mark_seen(key, at(60_000));
    assert_eq!(due(&books, session), Some(1_860_000));
    assert!(books.host_paused(5, at(1_940_000)));
    assert_eq!(due(&books, session), Some(2_000_000));
    books.limits.session_reap_interval = Limit::After(0);
    assert_eq!(due(&books, session), None);
    books.limits.session_reap_interval = Limit::After(60_000);
    books.agent_mut(AGENT).config.session_idle_timeout = Limit::After(0);
    assert_eq!(due(&books, session), None);
    assert_eq!(due(&books, Due::Session(SessionKey(99))), None);
}

#[test]
fn a_session_with_a_client_is_due_only_if_the_policy_says_so() {
    let (mut books, _, key) = with_session();
    let session = Due::Session(key);
    books.attach(ALICE, key);
    assert_eq!(due(&books, session), None);
    books.agent_mut(AGENT).config.idle_policy = IdlePolicy::All;
    assert_eq!(due(&books, session), Some(7_260_000));
    books.agent_mut(AGENT).config.session_idle_timeout = Limit::Never;
    assert_eq!(due(&books, session), None);
    books.agent_mut(AGENT).config = Default::default();
    books.detach(ALICE, key, Absence::lost(at(0), None));
    assert_eq!(due(&books, session), Some(1_860_000));
}

#[test]
fn a_session_that_is_at_work_is_not_due() {
    let (mut books, _, key) = with_session();
    let session = Due::Session(key);
    let prompt = add_prompt(&mut books, key, ALICE, Stage::held(&frame()));
    assert_eq!(due(&books, session), None, "a prompt is queued");
    books.take_call(prompt);
    assert_eq!(due(&books, session), Some(1_860_000));
    books.session_mut(key).unwrap().background = Background::Asked { then: None };
    assert_eq!(due(&books, session), None);
    books.session_mut(key).unwrap().background = Background::Working { at: at(1_860_000) };
    assert_eq!(due(&books, session), Some(1_920_000));
    books.session_mut(key).unwrap().background = Background::Unknown;
    assert_eq!(due(&books, session), Some(1_860_000));
    books.enter(ending(5));
    assert_eq!(due(&books, session), None);
}

#[test]
fn a_bound_that_was_too_early_is_corrected_when_it_comes_up() {
    let (mut books, _, key) = with_session();
    let session = Due::Session(key);
    books.watch_session(key, at(1_860_000));
    books.mark_seen(key, at(60_001));
    assert_eq!(books.next_due(at(1_859_999), &mut 1), None);
    assert_eq!(books.bound(session), Some(at(1_860_000)));
    assert_eq!(books.next_due(at(1_860_000), &mut 1), None);
    assert_eq!(books.bound(session), Some(at(1_920_000)));
    assert_eq!(books.next_due(at(1_920_000), &mut 0), None);
    assert_eq!(books.next_due(at(1_920_000), &mut 1), Some(session));
    assert_eq!(books.first_bound(), None);
}

#[test]
fn an_idle_channel_is_due_after_its_limit_and_not_before_it_could_be_used() {
    let mut books = books();
    let id = add_channel(&mut books, AGENT);
    let channel = Due::Channel(id);
    books.agent_mut(AGENT).config.channel_idle_timeout = Limit::After(1_000);
    assert_eq!(due(&books, channel), None);
    let row = books.channel_mut(id).unwrap();
    row.clock.set_idle(true, at(100_000));
    assert_eq!(due(&books, channel), Some(101_000));
    books.channel_mut(id).unwrap().login = Login::Done { at: at(40_001) };
    assert_eq!(due(&books, channel), Some(160_000));
    books.channel_mut(id).unwrap().login = Login::Done { at: at(40_000) };
    assert_eq!(due(&books, channel), Some(101_000));
    books.channel_mut(id).unwrap().opened = 0;
    assert_eq!(due(&books, channel), Some(160_000));
    books.limits.preheat = true;
    assert_eq!(due(&books, channel), None);
}

#[test]
fn a_channel_on_its_way_in_or_out_is_due_by_its_state() {
    let mut books = books();
    let id = add_channel(&mut books, AGENT);
    let mut in_state = |state| {
        books.set_state(id, state);
        due(&books, Due::Channel(id))
    };
    let reason = StopReason::MakeRoom;
    let mut on = |rung| {
        in_state(ChannelState::Stopping {
            reason: StopReason::MakeRoom,
            rung,
            since: at(5),
            began: at(5),
        })
    };
    assert_eq!(on(Rung::ClosingStdin), Some(4_005));
    assert_eq!(on(Rung::Terminated), Some(5_005));
    assert_eq!(on(Rung::Killed), Some(2_005));
    assert_eq!(on(Rung::Stuck), None);
    assert_eq!(in_state(ChannelState::Draining { reason, since: at(0) }), None);
    assert_eq!(in_state(ChannelState::Spawned), None);
    let wrote = Wrote::Nothing;
    assert_eq!(in_state(ChannelState::Starting { since: at(5), slow: false, wrote }), Some(20_005));
    assert_eq!(in_state(ChannelState::Starting { since: at(5), slow: true, wrote }), Some(300_005));
    let wrote = Wrote::Prose { at: at(9_000) };
    let prose = ChannelState::Starting { since: at(5), slow: true, wrote };
    assert_eq!(in_state(prose), Some(29_000));
}

#[test]
fn a_call_is_due_by_what_it_is_for_once_it_is_sent() {
    let mut books = books();
    let channel = add_channel(&mut books, AGENT);
    let close = || Purpose::Close("s".into());
    let held = add_call(&mut books, channel, close(), Stage::held(&frame()));
    assert_eq!(due(&books, Due::Call(held)), None);
    let sent = add_call(&mut books, channel, close(), Stage::sent(at(5), 0));
    assert_eq!(due(&books, Due::Call(sent)), Some(10_005));
    let prompt = add_call(&mut books, channel, Purpose::Prompt, Stage::sent(at(5), 0));
    assert_eq!(due(&books, Due::Call(prompt)), None);
    books.move_call(held, None);
    assert_eq!(due(&books, Due::Call(held)), Some(120_000), "it waits for a channel");
    books.enter(ending(1_000));
    assert_eq!(due(&books, Due::Call(sent)), Some(1_625));
    assert_eq!(due(&books, Due::Call(prompt)), Some(1_625));
    assert_eq!(due(&books, Due::Shutdown), Some(3_500));
}

#[test]
fn the_time_of_a_call_stands_while_its_agent_cannot_work_but_not_that_of_a_close() {
    let mut books = books();
    let channel = add_channel(&mut books, AGENT);
    let set_up = Purpose::SetUpReplay { needed: true };
    let call = add_call(&mut books, channel, set_up, Stage::sent(at(5), 0));
    let close = add_call(&mut books, channel, Purpose::Close("s".into()), Stage::sent(at(5), 0));
    let stands = |books: &mut Books, stands, now| {
        books.channel_mut(channel).unwrap().clock.set_standing(stands, at(now));
    };
    stands(&mut books, true, 1_000);
    assert_eq!((due(&books, Due::Call(call)), due(&books, Due::Call(close))), (None, Some(10_005)));
    assert!(books.is_excused(close, at(10_005)));
    stands(&mut books, false, 4_000);
    assert_eq!(due(&books, Due::Call(call)), Some(123_005));
    let later = Stage::sent(at(6_000), 3_000);
    let later = add_call(&mut books, channel, Purpose::Close("t".into()), later);
    assert!(!books.is_excused(later, at(16_000)), "nothing was lost since");
    assert!(books.host_paused(7_000, at(20_000)));
    assert_eq!(due(&books, Due::Call(call)), Some(130_005));
    assert!(!books.host_paused(7_000, at(319_999)), "once in five minutes");
    assert_eq!(due(&books, Due::Call(call)), Some(137_005), "but the time is given back");
    assert!(books.host_paused(0, at(320_000)));
}

#[test]
fn in_a_shutdown_the_end_of_stdin_gets_the_most_of_what_is_left() {
    let mut books = books();
    let channel = add_channel(&mut books, AGENT);
    books.enter(ending(1_000));
    let mut on = |rung, since, began| {
        let reason = StopReason::Shutdown;
        let (since, began) = (at(since), at(began));
        books.set_state(channel, ChannelState::Stopping { reason, rung, since, began });
        due(&books, Due::Channel(channel))
    };
    assert_eq!(on(Rung::ClosingStdin, 1_000, 1_000), Some(3_000));
    assert_eq!(on(Rung::ClosingStdin, 1_600, 1_600), Some(3_000));
    assert_eq!(on(Rung::Terminated, 3_000, 1_600), Some(3_250));
    assert_eq!(on(Rung::ClosingStdin, 500, 500), Some(2_500), "it began before the shutdown");
}

#[test]
fn a_question_is_due_while_nobody_is_there_or_after_a_cancel() {
    let (mut books, channel, _) = with_session();
    let mut question = Question::new(channel, &frame(), vec![], at(5));
    let mut asked = |question: &Question| {
        let id = books.add_question(question.clone());
        due(&books, Due::Question(id))
    };
    assert_eq!(asked(&question), Some(30_005));
    question.method = Method::RequestPermission;
    assert_eq!(asked(&question), Some(3_600_005));
    question.cancelled = Some((at(9), ALICE));
    assert_eq!(asked(&question), Some(1_009));
    (question.cancelled, question.alone_since) = (None, None);
    assert_eq!(asked(&question), None);
}

#[test]
fn a_start_is_due_after_the_pause_if_somebody_waits_for_it() {
    let mut books = books();
    let (channel, pool) = (add_channel(&mut books, AGENT), add_pool(&mut books, AGENT));
    let connection = Purpose::WithoutSession { unknown: true };
    books.wait_for_channel(ALICE, connection, &frame(), at(0));
    books.client_mut(ALICE).unwrap().pool = Some(pool);
    assert_eq!(due(&books, Due::Start(pool)), None);
    books.crashed(channel, "boom", at(100));
    assert_eq!(due(&books, Due::Start(pool)), Some(350));
    books.client_mut(ALICE).unwrap().pool = None;
    assert_eq!(due(&books, Due::Start(pool)), None);
}

#[test]
fn silence_is_due_an_interval_after_it_began_where_it_is_watched() {
    let mut books = books();
    let id = add_channel(&mut books, AGENT);
    books.channel_mut(id).unwrap().clock.set_waited_for(true, at(5));
    assert_eq!(due(&books, Due::Silence(id)), None);
    books.agent_mut(AGENT).config.liveness_interval = Limit::After(1_000);
    assert_eq!(due(&books, Due::Silence(id)), Some(1_005));
    books.channel_mut(id).unwrap().clock.heard(at(700));
    assert_eq!(due(&books, Due::Silence(id)), Some(1_700));
    books.channel_mut(id).unwrap().clock.survey_asked();
    assert_eq!(due(&books, Due::Silence(id)), None);
}
