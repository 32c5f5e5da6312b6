//! The turns of lanes, and their fences.

use bytes::Bytes;

use super::*;
use crate::bridge::ChannelId;

const A: Lane = Lane::Channel(ChannelId(1));
const B: Lane = Lane::Channel(ChannelId(2));

fn frame(text: &str) -> OutgoingFrame {
    OutgoingFrame::ready(Bytes::from(text.to_owned()))
}

fn push(lanes: &mut Lanes, lane: Lane, text: &str) -> usize {
    lanes.push(lane, frame(text))
}

/// The next piece, as text.
fn next(lanes: &mut Lanes) -> Option<String> {
    Some(match lanes.next()?.piece {
        Piece::Burst(burst) => String::from_utf8(burst.to_vec()).unwrap(),
        Piece::Long(frame) => String::from_utf8(frame.to_bytes().to_vec()).unwrap() + "\n",
    })
}

fn all(lanes: &mut Lanes) -> String {
    std::iter::from_fn(|| next(lanes)).collect()
}

#[test]
fn one_lane_is_written_in_bursts_and_in_order() {
    let mut lanes = Lanes::default();
    let long = "l".repeat(LONG);
    let weights: usize =
        ["a", "b", long.as_str(), "c"].iter().map(|text| push(&mut lanes, A, text)).sum();
    assert_eq!(weights, 2 + 2 + LONG + size_of::<OutgoingFrame>() + 2);
    assert_eq!(next(&mut lanes).as_deref(), Some("a\nb\n"));
    assert_eq!(all(&mut lanes), format!("{long}\nc\n"));
    assert!(lanes.is_empty() && lanes.turns.is_empty());
}

#[test]
fn a_flood_in_one_lane_holds_up_no_other() {
    let mut lanes = Lanes::default();
    let line = "x".repeat(99);
    for _ in 0..600 {
        push(&mut lanes, A, &line);
    }
    push(&mut lanes, B, "answer");
    assert_eq!(next(&mut lanes).as_deref(), Some("answer\n"));
    push(&mut lanes, B, "another");
    let first = next(&mut lanes).unwrap();
    assert!(first.ends_with('\n') && first.len() <= LONGEST_TURN + 100, "{}", first.len());
    assert_eq!(next(&mut lanes).as_deref(), Some("another\n"));
    // Alone again, it is written in whole bursts.
    assert_eq!(next(&mut lanes).unwrap().len() + first.len(), 600 * 100);
    assert!(lanes.is_empty());
}

#[test]
fn a_message_overtakes_a_flood_that_was_queued_before_it_and_never_had_a_turn() {
    let mut lanes = Lanes::default();
    // The flood of the first lane and the answer of the second came with one flush: a lane that
    // was alone has overtaken nobody.
    push(&mut lanes, B, "alone");
    assert_eq!(next(&mut lanes).as_deref(), Some("alone\n"));
    for _ in 0..200 {
        push(&mut lanes, A, &"x".repeat(99));
    }
    push(&mut lanes, B, "answer");
    assert_eq!(next(&mut lanes).as_deref(), Some("answer\n"));
}

#[test]
fn lanes_with_few_messages_again_and_again_do_not_hold_up_a_flood() {
    const C: Lane = Lane::Channel(ChannelId(3));
    let mut lanes = Lanes::default();
    for _ in 0..600 {
        push(&mut lanes, A, &"x".repeat(99));
    }
    let turns = (0..20).filter(|round| {
        push(&mut lanes, if round % 2 == 0 { B } else { C }, "few");
        next(&mut lanes).unwrap().starts_with('x')
    });
    assert!(turns.count() >= 8, "all turns of the flood but the first are every second");
}

#[test]
fn long_messages_have_no_longer_turns() {
    let mut lanes = Lanes::default();
    for _ in 0..20 {
        push(&mut lanes, A, &"l".repeat(1_000_000));
    }
    for _ in 0..1_000 {
        push(&mut lanes, B, &"x".repeat(999));
    }
    let (mut long, mut short) = (0, 0);
    while short < 1_000_000 {
        let piece = next(&mut lanes).unwrap();
        *if piece.starts_with('l') { &mut long } else { &mut short } += piece.len();
    }
    assert!(long <= 2_100_000, "{long}");
}

#[test]
fn fences_with_nothing_behind_them_hide_no_message() {
    const D: Lane = Lane::Channel(ChannelId(0));
    let mut lanes = Lanes::default();
    for lane in [D, B, A] {
        push(&mut lanes, lane, "update");
    }
    for lane in [A, B, D] {
        lanes.fence(lane);
    }
    push(&mut lanes, D, "answer");
    assert_eq!(all(&mut lanes), "update\nupdate\nupdate\nanswer\n");
    assert!(lanes.is_empty());
}

#[test]
fn many_lanes_have_short_turns() {
    let mut lanes = Lanes::default();
    let line = "x".repeat(99);
    for lane in 0..200 {
        for _ in 0..100 {
            push(&mut lanes, Lane::Channel(ChannelId(lane)), &line);
        }
    }
    push(&mut lanes, Lane::Bridge, "answer");
    let mut before = 0;
    loop {
        let piece = next(&mut lanes).unwrap();
        if piece == "answer\n" {
            break;
        }
        before += piece.len();
    }
    assert!(before <= 200 * (SHORTEST_TURN + 100), "{before}");
}

#[test]
fn a_fence_waits_for_what_was_queued_before_it_and_for_nothing_else() {
    let mut lanes = Lanes::default();
    let line = "x".repeat(99);
    for _ in 0..400 {
        push(&mut lanes, A, &line);
    }
    push(&mut lanes, A, "died");
    push(&mut lanes, B, "early");
    lanes.fence(B);
    push(&mut lanes, B, "loaded");
    for _ in 0..400 {
        push(&mut lanes, A, &line);
    }
    let all = all(&mut lanes);
    let place = |text: &str| all.find(text).unwrap();
    assert!(place("early") < place("died") && place("died") < place("loaded"));
    assert!(place("loaded") < all.len() - 100 * 100, "what came later is not waited for");
    assert_eq!(all.lines().count(), 803);
}

#[test]
fn fences_of_two_lanes_for_each_other_are_passed() {
    let mut lanes = Lanes::default();
    push(&mut lanes, A, "a1");
    push(&mut lanes, B, "b1");
    lanes.fence(A);
    push(&mut lanes, A, "a2");
    lanes.fence(B);
    push(&mut lanes, B, "b2");
    assert_eq!(all(&mut lanes), "a1\nb1\na2\nb2\n");
    // Before anything else is queued there is nothing to wait for.
    lanes.fence(A);
    assert!(lanes.is_empty());
}
