//! Opening: frames that come too early, answers that come too late, loads of what is live.

use drawbridge::bridge::{Limit, Notice, ShutdownCause, StopReason};

use crate::harness::{
    ALLOWED, Deed, END_TURN, NEW, World, permission, prompt, session, stored, update,
};

#[test]
fn early_frames_delivered_after_the_answer() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.notify(channel, "session/update", &update("a", "one"));
    world.notify(channel, "session/update", &update("other", "of an unknown one"));
    world.notify(channel, "session/update", &update("a", "two"));
    world.assert_nothing_left();
    world.answer(channel, new, &session("a"));
    world.expect_answer(editor, 1, &session("a"));
    world.expect_notification(editor, "session/update", &update("a", "one"));
    world.expect_notification(editor, "session/update", &update("a", "two"));
    // What no open has brought passes when the last one is answered.
    world.expect_notification(editor, "session/update", &update("other", "of an unknown one"));
    assert_eq!(world.bridge.counters().early_frames, 0);
}

#[test]
fn early_requests_go_on_at_once() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.request(first, 1, "session/new", NEW);
    let of_first = world.expect_request(channel, "session/new", NEW);
    world.request(second, 1, "session/load", &stored("b"));
    let of_second = world.expect_request(channel, "session/load", &stored("b"));
    // The restore of just that id; otherwise the one that will bring a new one.
    let number = world.ask(channel, second, "b", "50");
    world.answer(second, number, ALLOWED);
    world.expect_answer(channel, 50, ALLOWED);
    let number = world.ask(channel, first, "unheard of", "51");
    world.answer(first, number, ALLOWED);
    world.expect_answer(channel, 51, ALLOWED);
    world.answer(channel, of_second, "null");
    world.expect_answer(second, 1, "null");
    world.answer(channel, of_first, &session("a"));
    world.expect_answer(first, 1, &session("a"));
    // With no open in flight an unknown session may be of either.
    world.request(channel, 52, "session/request_permission", &permission("zzz"));
    world.expect_answer(channel, 52, crate::harness::NOT_ALLOWED);
    world.expect_warning(|notice| matches!(notice, Notice::NoAddressee { .. }));
    world.request(channel, 53, "fs/write_text_file", &session("zzz"));
    world.expect_refusal(channel, 53, -32603, "nobody_to_ask");
}

#[test]
fn an_early_question_belongs_to_its_session_once_it_is_open() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    let question = world.ask(channel, editor, "a", "50");
    world.answer(channel, new, &session("a"));
    world.expect_answer(editor, 1, &session("a"));
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_withdrawn(editor, question);
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(channel, 50, crate::harness::NOT_ALLOWED);
    world.expect_request(channel, "session/close", &session("a"));
}

#[test]
fn early_frames_are_bounded() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    for _ in 0..40 {
        world.notify(channel, "session/update", &update("a", "x"));
    }
    assert_eq!(world.bridge.counters().early_frames, 8, "32 a session");
    for other in 0..70 {
        world.notify(channel, "session/update", &update(&format!("other{other}"), "x"));
    }
    assert_eq!(world.bridge.counters().early_frames, 8 + 7, "64 sessions");
    world.notify(channel, "session/update", &update("other1", &"x".repeat(300_000)));
    assert_eq!(world.bridge.counters().early_frames, 8 + 7 + 1, "256 KiB");
    world.answer(channel, new, &session("a"));
    world.expect_answer(editor, 1, &session("a"));
    for _ in 0..32 {
        world.expect_notification(editor, "session/update", &update("a", "x"));
    }
    for _ in 0..63 {
        world.next_line(editor);
    }
    assert_eq!(world.bridge.counters().early_frames, 8 + 7 + 1);
}

#[test]
fn the_replay_of_a_load_precedes_its_answer_and_keeps_it_alive() {
    let mut world = World::with(|config| config.agent.session_open_timeout = Limit::After(1_000));
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    for _ in 0..5 {
        world.wait(999);
        world.notify(channel, "session/update", &update("a", "old"));
        world.expect_notification(editor, "session/update", &update("a", "old"));
    }
    world.answer(channel, load, "null");
    world.expect_answer(editor, 1, "null");
}

#[test]
fn an_overdue_open_is_closed_again_on_late_success() {
    let mut world = World::new();
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    let late = world.open_too_late(editor, old, "session/new", NEW);
    // It is condemned: siblings go on, newcomers go elsewhere.
    world.request(editor, 2, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "b", "2");
    world.answer(old, late, &session("late"));
    let close = world.expect_request(old, "session/close", &session("late"));
    assert!(world.notices.iter().any(|notice| matches!(notice, Notice::LateOpenClosed { .. })));
    world.notify(old, "session/update", &update("late", "hidden"));
    assert_eq!(world.bridge.counters().late_frames, 1);
    world.answer(old, close, "{}");
    let turn = world.prompt(editor, old, "a", 3);
    world.answer(old, turn, END_TURN);
    world.expect_answer(editor, 3, END_TURN);
}

#[test]
fn early_frames_of_a_session_that_is_closed_unseen_are_counted() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let leaver = world.join();
    world.request(leaver, 1, "session/new", NEW);
    let left = world.expect_request(channel, "session/new", NEW);
    world.request(editor, 2, "session/new", NEW);
    let number = world.expect_request(channel, "session/new", NEW);
    world.gone(leaver);
    world.notify(channel, "session/update", &update("unseen", "early"));
    world.notify(channel, "session/update", &update("b", "early"));
    world.answer(channel, left, &session("unseen"));
    world.expect_request(channel, "session/close", &session("unseen"));
    assert_eq!(world.bridge.counters().early_frames, 1);
    world.answer(channel, number, &session("b"));
    world.expect_answer(editor, 2, &session("b"));
    world.expect_notification(editor, "session/update", &update("b", "early"));
    assert_eq!(world.bridge.counters().early_frames, 1);
}

#[test]
fn a_restore_without_an_answer_is_why_its_channel_is_retired() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "z");
    world.request(editor, 1, "session/load", &stored("a"));
    world.expect_request(channel, "session/load", &stored("a"));
    world.wait(120_000);
    world.expect_refusal(editor, 1, -32603, "open_timeout");
    world.expect_warning(|notice| matches!(notice, Notice::OpenUnanswered { .. }));
    world.expect_warning(|notice| {
        matches!(notice, Notice::ChannelDraining { reason: StopReason::OpenUnanswered, .. })
    });
}

#[test]
fn an_open_whose_client_is_gone_is_closed_at_the_agent() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let other = world.join();
    world.open(other, channel, "b");
    world.request(editor, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.gone(editor);
    world.answer(channel, new, &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    // One that was not even sent is forgotten.
    let third = world.connect();
    world.request(third, 0, "initialize", crate::harness::INITIALIZE);
    world.next_line(third);
}

#[test]
fn a_load_of_a_live_session_that_is_refused_attaches_nobody() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    for client in [first, second] {
        world.request(client, 2, "session/load", &stored("a"));
        let load = world.expect_request(channel, "session/load", &stored("a"));
        world.fail(channel, load, -32603);
        world.expect_failure(client, 2, -32603);
    }
    // The one that was there before still is.
    world.notify(channel, "session/update", &update("a", "hi"));
    world.expect_notification(first, "session/update", &update("a", "hi"));
    world.request(second, 3, "session/prompt", &prompt("a"));
    world.expect_refusal(second, 3, -32002, "unknown_session");
}

#[test]
fn two_loads_of_one_conversation_join_and_another_kind_is_refused() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.request(first, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.request(second, 1, "session/load", &stored("a"));
    world.request(second, 2, "session/resume", &stored("a"));
    world.expect_refusal(second, 2, -32603, "restore_under_way");
    world.answer(channel, load, "null");
    world.expect_answer(first, 1, "null");
    // It is live by now, and the second one is a load of a live session.
    let again = world.expect_request(channel, "session/load", &stored("a"));
    world.answer(channel, again, "null");
    world.expect_answer(second, 1, "null");
    world.notify(channel, "session/update", &update("a", "for both"));
    for client in [first, second] {
        world.expect_notification(client, "session/update", &update("a", "for both"));
    }
}

#[test]
fn a_load_of_a_live_session_in_a_turn_never_reaches_the_agent() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.prompt(first, channel, "a", 1);
    world.request(second, 2, "session/load", &stored("a"));
    let data = world.expect_refusal(second, 2, -32603, "session_busy");
    assert_eq!(data["sessionId"], "a");
    world.request(second, 3, "session/prompt", &prompt("a"));
    world.expect_refusal(second, 3, -32002, "unknown_session");
}

#[test]
fn an_agent_that_opens_what_is_open_already_broke_the_protocol() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let other = world.join();
    world.open(other, channel, "b");
    let broken = "protocol_broken";
    for (odd, kind) in [
        (session("b"), broken),
        ("{}".to_owned(), broken),
        ("null".to_owned(), "answer_unreadable"),
        (r#"{"sessionId":7}"#.to_owned(), broken),
    ] {
        world.request(editor, 1, "session/new", NEW);
        let new = world.expect_request(channel, "session/new", NEW);
        world.answer(channel, new, &odd);
        world.expect_refusal(editor, 1, -32603, kind);
    }
    world.prompt(editor, channel, "a", 2);
}

#[test]
fn frames_held_for_a_new_session_are_not_shown_once_that_id_is_restored() {
    for method in ["session/load", "session/resume"] {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.request(editor, 1, "session/new", NEW);
        let new = world.expect_request(channel, "session/new", NEW);
        for text in ["older", "older still"] {
            world.notify(channel, "session/update", &update("a", text));
        }
        world.request(editor, 2, method, &stored("a"));
        let restore = world.expect_request(channel, method, &stored("a"));
        world.notify(channel, "session/update", &update("a", "replayed"));
        world.expect_notification(editor, "session/update", &update("a", "replayed"));
        world.answer(channel, restore, "{}");
        world.expect_answer(editor, 2, "{}");
        assert_eq!(world.bridge.counters().early_frames, 2, "thrown away and counted");
        // Neither now nor when the one for which they were held is open.
        world.assert_nothing_left();
        world.notify(channel, "session/update", &update("a", "live"));
        world.expect_notification(editor, "session/update", &update("a", "live"));
        world.answer(channel, new, &session("b"));
        world.expect_answer(editor, 1, &session("b"));
        assert_eq!(world.bridge.counters().early_frames, 2);
    }
}

#[test]
fn an_early_frame_is_not_taken_for_the_replay_of_another_conversation() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.request(first, 1, "session/load", &stored("b"));
    let load = world.expect_request(channel, "session/load", &stored("b"));
    world.request(second, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.notify(channel, "session/update", &update("a", "early"));
    world.notify(channel, "session/update", &update("b", "replayed"));
    world.expect_notification(first, "session/update", &update("b", "replayed"));
    world.assert_nothing_left();
    world.answer(channel, load, "null");
    world.expect_answer(first, 1, "null");
    world.answer(channel, new, &session("a"));
    world.expect_answer(second, 1, &session("a"));
    world.expect_notification(second, "session/update", &update("a", "early"));
}

#[test]
fn of_several_restores_each_gets_its_own_replay_and_questions() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    for (client, id) in [(first, "a"), (second, "b")] {
        world.request(client, 1, "session/load", &stored(id));
        world.expect_request(channel, "session/load", &stored(id));
    }
    for (client, id) in [(second, "b"), (first, "a")] {
        world.notify(channel, "session/update", &update(id, "replayed"));
        world.expect_notification(client, "session/update", &update(id, "replayed"));
        world.ask(channel, client, id, &format!("\"{id}\""));
    }
}

#[test]
fn an_early_question_goes_to_the_one_client_that_opens_a_new_session() {
    let opens = [("session/new", NEW.to_owned()), ("session/fork", stored("source"))];
    for (older, newer) in [(0, 1), (1, 0), (0, 0), (1, 1)] {
        let mut world = World::new();
        let (first, channel) = world.start();
        let second = world.join();
        // One that restores another conversation brings no new one.
        world.request(second, 1, "session/load", &stored("b"));
        world.expect_request(channel, "session/load", &stored("b"));
        let open = |world: &mut World, client, id, which: usize| {
            let (method, params) = &opens[which];
            world.request(client, id, method, params);
            world.expect_request(channel, method, params)
        };
        open(&mut world, first, 2, older);
        open(&mut world, first, 3, newer);
        let question = world.ask(channel, first, "unheard of", "50");
        world.answer(first, question, ALLOWED);
        world.expect_answer(channel, 50, ALLOWED);
        // Of two clients neither may see what may be the other's.
        open(&mut world, second, 4, older);
        world.request(channel, 51, "session/request_permission", &permission("unheard of too"));
        world.expect_answer(channel, 51, crate::harness::NOT_ALLOWED);
        world.expect_warning(|notice| matches!(notice, Notice::NoAddressee { .. }));
    }
}

#[test]
fn an_early_question_is_not_lost_to_an_open_that_nobody_waits_for() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(second, channel, "a");
    world.open_too_late(first, channel, "session/new", NEW);
    // A copy of a live session is made where that lives, also on the way out.
    world.request(second, 2, "session/fork", &stored("a"));
    world.expect_request(channel, "session/fork", &stored("a"));
    world.ask(channel, second, "unheard of", "50");
}

#[test]
fn a_load_of_a_live_session_that_is_not_answered_attaches_nobody() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    for client in [first, second] {
        world.request(client, 2, "session/load", &stored("a"));
        world.expect_request(channel, "session/load", &stored("a"));
        world.wait(120_000);
        world.expect_refusal(client, 2, -32603, "open_timeout");
    }
    // The one that was there before still is.
    world.notify(channel, "session/update", &update("a", "hi"));
    world.expect_notification(first, "session/update", &update("a", "hi"));
    world.request(second, 3, "session/prompt", &prompt("a"));
    world.expect_refusal(second, 3, -32002, "unknown_session");
}

#[test]
fn the_replay_of_a_live_session_keeps_its_load_alive() {
    let mut world = World::with(|config| config.agent.session_open_timeout = Limit::After(1_000));
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    for _ in 0..5 {
        world.wait(999);
        world.notify(channel, "session/update", &update("a", "old"));
        world.expect_notification(editor, "session/update", &update("a", "old"));
    }
    world.answer(channel, load, "null");
    world.expect_answer(editor, 1, "null");
}

#[test]
fn a_load_of_a_live_session_that_ends_meanwhile_is_refused_at_once() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(second, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.shutdown(ShutdownCause::StdinEnded);
    world.expect_died(first, "a", "shutdown", "");
    // It never had the session.
    world.expect_refusal(second, 1, -32800, "session_closing");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, load, "null");
    assert_eq!(world.bridge.counters().stray_answers, 1);
    world.answer(channel, close, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn frames_held_for_a_session_that_was_closed_unseen_are_not_shown_to_a_later_one() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.request(first, 1, "session/new", NEW);
    let unseen = world.expect_request(channel, "session/new", NEW);
    world.request(second, 1, "session/new", NEW);
    let seen = world.expect_request(channel, "session/new", NEW);
    world.notify(channel, "session/update", &update("a", "early"));
    world.gone(first);
    world.answer(channel, unseen, &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    // The agent gives the id again.
    world.answer(channel, seen, &session("a"));
    world.expect_answer(second, 1, &session("~1~a"));
}

#[test]
fn an_early_question_does_not_belong_to_another_session_that_opens_first() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/new", NEW);
    let one = world.expect_request(channel, "session/new", NEW);
    world.request(editor, 2, "session/new", NEW);
    world.expect_request(channel, "session/new", NEW);
    let question = world.ask(channel, editor, "b", "50");
    world.answer(channel, one, &session("a"));
    world.expect_answer(editor, 1, &session("a"));
    world.close(editor, channel, "a");
    world.assert_nothing_left();
    world.answer(editor, question, ALLOWED);
    world.expect_answer(channel, 50, ALLOWED);
}

#[test]
fn a_question_within_an_open_is_asked_under_the_id_that_the_session_will_have() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.open(editor, first, "s1");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let new = world.expect_request(second, "session/new", NEW);
    world.request(second, 50, "session/request_permission", &permission("s1"));
    let asked = permission("~1~s1");
    let question = world.expect_request(editor, "session/request_permission", &asked);
    world.answer(editor, question, ALLOWED);
    world.expect_answer(second, 50, ALLOWED);
    world.answer(second, new, &session("s1"));
    world.expect_answer(editor, 1, &session("~1~s1"));
}

#[test]
fn a_question_during_the_load_of_a_session_that_was_closed_here_is_asked() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.request(editor, 1, "session/load", &stored("a"));
    world.expect_request(channel, "session/load", &stored("a"));
    world.ask(channel, editor, "a", "50");
}

#[test]
fn a_channel_whose_late_answer_has_come_is_not_kept_for_it() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "z");
    let late = world.open_too_late(editor, channel, "session/new", NEW);
    world.fail(channel, late, -9);
    world.request(editor, 1, "session/close", &session("z"));
    world.expect_closed(editor, "z", "client_close");
    let close = world.expect_request(channel, "session/close", &session("z"));
    world.assert_nothing_left();
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 1, "{}");
    world.expect(channel, Deed::CloseStdin);
}
