//! A day in the life, short: one `connect` for each chat, few sessions at a time, a crash of an agent
//! each hour and one of the daemon. Nobody notices, and where nobody works no agent runs.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::processes::{self, eventually};
use crate::site::{Editor, Site};

/// The hours of the day, and the chats that begin in each.
const HOURS: usize = 8;
const BEGIN: usize = 5;

/// The most live sessions.
const SESSIONS: u64 = 8;

/// The chats in which somebody writes at the same time.
const WRITE: usize = 12;

/// The limits of a day of which an hour passes in a second, but that of sessions.
const LIMITS: &str = "idle-policy = 'restorable'\nat-capacity = 'evict'\n\
                      attached-idle-timeout = '300ms'\nsession-reap-interval = '100ms'\n\
                      channel-idle-timeout = '300ms'\nrestore = 'resume'\nrestart-window = '1s'";

/// A chat: an editor with a session in which so many prompts were answered.
struct Chat {
    editor: Editor,
    session: String,
    prompts: usize,
}

impl Chat {
    fn new(site: &Site, store: &str) -> Chat {
        let mut editor = site.editor(&["--state-dir", store]);
        let session = editor.new_session();
        Chat { editor, session, prompts: 0 }
    }

    /// The answer to a prompt says how many there were in the whole conversation.
    fn is_answered(&mut self, turn: u64) {
        let answer = self.editor.answer(turn);
        assert!(answer["result"].is_object(), "{answer}");
        self.prompts += 1;
        let said = self.editor.said(&self.session);
        assert_eq!(said, [format!("{} prompts, mode ask", self.prompts)]);
    }
}

/// The number of sessions that agents hold.
fn live(site: &Site) -> u64 {
    let output = site.tool(&["status", "--json"]).output().expect("the status");
    let states: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    states[0]["counts"]["sessions"].as_u64().expect("the number of sessions")
}

#[test]
fn a_day_with_a_connect_for_each_chat() {
    let site = Site::new(&format!("{LIMITS}\nmax-sessions = {SESSIONS}"));
    let store = site.scratch.directory("store").display().to_string();
    let mut chats: Vec<Chat> = Vec::new();
    let (mut crashes, mut most) = (0, 0);
    for hour in 0..HOURS {
        chats.extend((0..BEGIN).map(|_| Chat::new(&site, &store)));
        for round in 0..3 {
            let count = chats.len();
            let places: BTreeSet<usize> =
                (0..WRITE).map(|nth| (hour + 7 * round + 3 * nth) % count).collect();
            let turns: Vec<(usize, u64)> = places
                .into_iter()
                .map(|place| {
                    let Chat { editor, session, .. } = &mut chats[place];
                    (place, editor.prompt(session, "recall"))
                })
                .collect();
            turns.into_iter().for_each(|(place, turn)| chats[place].is_answered(turn));
            most = most.max(live(&site));
        }
        if let Some(agent) = site.agents().first() {
            processes::send_signal(*agent, Signal::SIGKILL);
            crashes += 1;
        }
        if hour == 5 {
            site.lose_daemon();
        }
        if hour == 3 || hour + 1 == HOURS {
            eventually("an idle hour without an agent", || site.agents().is_empty());
        }
    }
    assert!(crashes >= HOURS / 2 && most <= SESSIONS, "{crashes} crashes, {most} sessions");
    // All of them are as they were, also those that nobody has used for long.
    for chat in &mut chats {
        let turn = chat.editor.prompt(&chat.session, "recall");
        chat.is_answered(turn);
    }
    chats.into_iter().for_each(|chat| chat.editor.leave());
    site.end();
}
