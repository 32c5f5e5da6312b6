//! A working day: forty chats, each with a connection of its own, an agent that crashes once an
//! hour, and a daemon that is lost once.

use drawbridge::bridge::config::{IdlePolicy, Limits};
use drawbridge::bridge::{Config, Limit};
use serde_json::json;

use super::Story;
use super::agent::{Fails, Manners, Modes};
use super::client::Asked;
use super::world::{Outcome, World};

const MINUTE: u64 = 60_000;
const CHATS: u8 = 40;
/// The most sessions at a time.
const SESSIONS: usize = 8;
/// The end of the work, and of the hour behind it (minutes).
const EVENING: u64 = 480;
const NIGHT: u64 = 540;
/// Nobody works at noon.
const NOON: std::ops::Range<u64> = 240..300;
/// An idle chat gives its session up after so many minutes, and an idle agent ends after so many.
const IDLE: u64 = 10;
/// When the daemon is lost (minute).
const LOST: u64 = 350;

fn story() -> Story {
    let mut config = Config { limits: Limits::for_many_clients(), ..Config::default() };
    config.limits.max_sessions = SESSIONS;
    let agent = &mut config.agent;
    agent.idle_policy = IdlePolicy::Restorable;
    agent.attached_idle_timeout = Limit::After(IDLE * MINUTE);
    agent.channel_idle_timeout = Limit::After(IDLE * MINUTE);
    let manners = Manners {
        resumes: true,
        loads: true,
        closes: true,
        is_late: false,
        modes: Modes::Reset,
        fails: Fails::Never,
        open_millis: 400,
        turn_millis: 5_000,
        exit_millis: 50,
    };
    Story { config, manners, steps: Vec::new() }
}

/// The minute in which a chat begins: half of them in the morning, half after noon.
fn begins_at(chat: u8) -> u64 {
    let half = u64::from(CHATS / 2);
    let chat = u64::from(chat);
    if chat < half { chat * 6 } else { NOON.end + (chat - half) * 6 }
}

/// Whether somebody writes in a chat in this minute.
fn writes_at(chat: u8, minute: u64) -> bool {
    let begin = begins_at(chat);
    let of_chat = [1, 4, 9, 45, 100].map(|later| begin + later);
    let of_day = [310, 400, 470].map(|at| at + u64::from(chat % 7));
    let is_work = minute < EVENING && !NOON.contains(&minute);
    is_work && minute > begin && (of_chat.contains(&minute) || of_day.contains(&minute))
}

/// Plays the day; returns the minutes that processes of agents ran, all together.
fn play(world: &mut World) -> Result<u64, String> {
    let mut ran = 0;
    for minute in 0..NIGHT {
        let now = |what: String| format!("minute {minute}: {what}");
        let beginning = (0..CHATS).filter(|chat| begins_at(*chat) == minute);
        for chat in beginning {
            begin(world, chat).map_err(now)?;
        }
        let writing: Vec<u8> = (0..CHATS).filter(|chat| writes_at(*chat, minute)).collect();
        for chat in &writing {
            world.write(*chat).map_err(now)?;
        }
        world.wait(MINUTE / 2).map_err(now)?;
        for chat in writing {
            world.has_got_its_answer(chat).map_err(now)?;
        }
        let running: Vec<_> = world.processes.keys().copied().collect();
        if minute % 60 == 30
            && let Some(first) = running.first()
        {
            world.exit(*first, 3);
        }
        if minute == LOST {
            world.die(150).map_err(now)?;
        }
        world.wait(MINUTE / 2).map_err(now)?;
        ran += world.processes.len() as u64;
        let held: usize = world.processes.values().map(|process| process.held.len()).sum();
        let is_idle = minute + 1 == NOON.end || minute + 1 == NIGHT;
        if held > SESSIONS || is_idle && !world.processes.is_empty() {
            let running = world.processes.len();
            return Err(now(format!("{held} sessions in {running} processes")));
        }
    }
    Ok(ran)
}

fn begin(world: &mut World, chat: u8) -> Outcome {
    if world.seat(chat).client.is_none() {
        world.connect(chat)?;
    }
    let params = json!({ "cwd": "/work", "mcpServers": [] });
    world.request(chat, Asked::New, "session/new", &params)?;
    world.wait(1_000)?;
    match world.seats[&chat].has.len() {
        1 => Ok(()),
        count => Err(format!("chat {chat} has {count} sessions")),
    }
}

#[test]
fn in_a_working_day_every_prompt_is_answered_by_few_processes() {
    let mut world = World::new(&story()).unwrap();
    let ran = play(&mut world).unwrap_or_else(|why| panic!("{why}"));
    let alone: u64 = (0..CHATS).map(|chat| NIGHT - begins_at(chat)).sum();
    assert!(ran * 20 < alone, "{ran} minutes of processes, {alone} with one for each chat");
}
