//! What each step of a history does, and what every client must have got of it.

use drawbridge::bridge::{ClientId, Event, Limit};
use serde_json::{Value, json};

use super::Step;
use super::conversation::{Ask, Conversation, Item, Turn};
use super::world::{MISSING, Outcome, UNABLE, Update, World, item_line, mode_line};

impl World {
    /// Takes one step.
    pub fn take(&mut self, step: Step) -> Outcome {
        self.updates.clear();
        self.answers.clear();
        self.reached.clear();
        self.joining = None;
        match step {
            Step::Wait(millis) => self.wait(millis)?,
            Step::Connect(seat) if self.seats[&seat].client.is_none() => self.connect(seat)?,
            Step::Lose(seat) => {
                if let Some(client) = self.seats[&seat].client {
                    self.leave(seat);
                    self.event(Event::ClientGone { client })?;
                }
            }
            Step::New(seat) if self.is_there(seat) && self.conversations.len() < 4 => {
                self.opens(seat)?;
            }
            Step::Slow(seat, is_slow) => {
                if let Some(client) = self.seats[&seat].client {
                    let (now, row) = (self.now, self.seats.entry(seat).or_default());
                    row.slow_since = is_slow.then(|| row.slow_since.unwrap_or(now));
                    self.event(Event::ClientMarkPassed { client, over: is_slow })?;
                }
            }
            Step::Answer(seat) => self.answers_question(seat)?,
            Step::Prompt(seat, which)
            | Step::Load(seat, which)
            | Step::Resume(seat, which)
            | Step::Attach(seat, which)
            | Step::Detach(seat, which)
                if self.is_there(seat) =>
            {
                if let Some(id) = self.nth(which) {
                    self.client_step(step, seat, &id)?;
                }
            }
            Step::Says(which)
            | Step::State(which)
            | Step::EndTurn(which)
            | Step::Asks(which, _) => {
                let id = self.nth(which);
                let is_read = |id: &String| {
                    let row = &self.conversations[id];
                    row.is_live && !self.paused.contains(&row.channel)
                };
                if let Some(id) = id.filter(is_read) {
                    self.agent_step(step, &id)?;
                }
            }
            _ => {}
        }
        self.wait(0)?;
        self.nothing_is_overdue()
    }

    fn is_there(&self, seat: u8) -> bool {
        self.seats[&seat].client.is_some()
    }

    fn client_at(&self, seat: u8) -> Result<ClientId, String> {
        self.seats[&seat].client.ok_or_else(|| "nobody is there".to_owned())
    }

    fn nth(&self, which: u8) -> Option<String> {
        let count = self.conversations.len();
        (count > 0).then(|| self.conversations.keys().nth(usize::from(which) % count).cloned())?
    }

    fn row(&mut self, id: &str) -> Result<&mut Conversation, String> {
        self.conversations.get_mut(id).ok_or_else(|| format!("{id} is unknown"))
    }

    fn word(&mut self, kind: char) -> String {
        self.words += 1;
        format!("{kind}{}", self.words)
    }

    fn opens(&mut self, seat: u8) -> Outcome {
        let params = json!({ "cwd": "/work", "mcpServers": [] });
        let token = self.request(seat, "session/new", &params)?;
        let result = self.result(seat, token)?;
        let id = result["sessionId"].as_str().ok_or("it has no id")?.to_owned();
        let opened = self.reached.iter().find(|(_, line)| line["method"] == "session/new");
        let (channel, _) = opened.ok_or("no agent was asked")?;
        let mut row = Conversation::new(*channel, seat);
        row.is_of_unable = seat == UNABLE;
        self.conversations.insert(id, row);
        Ok(())
    }

    fn client_step(&mut self, step: Step, seat: u8, id: &str) -> Outcome {
        let row = self.row(id)?;
        let (is_live, channel) = (row.is_live, row.channel);
        let (is_attached, in_turn) = (row.attached.contains(&seat), row.turn.is_some());
        match step {
            Step::Prompt(..) if is_attached && !in_turn && !self.paused.contains(&channel) => {
                self.prompts(seat, id)
            }
            Step::Load(..) => self.joins(seat, id, "session/load"),
            Step::Resume(..) if is_live => self.joins(seat, id, "session/resume"),
            Step::Attach(..) if is_live => self.attaches(seat, id),
            Step::Detach(..) if is_attached => {
                let now = self.now;
                self.row(id)?.goes(seat, now, true);
                let token =
                    self.request(seat, "_drawbridge/detach", &json!({ "sessionId": id }))?;
                self.result(seat, token)?;
                let row = self.row(id)?;
                match row.is_live && row.attached.is_empty() && !row.is_busy() {
                    true => Err("the last client has left".to_owned()),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn prompts(&mut self, seat: u8, id: &str) -> Outcome {
        let (text, client) = (self.word('p'), self.client_at(seat)?);
        let row = self.row(id)?;
        row.participants.insert(seat);
        row.items.push(Item { text: text.clone(), is_prompt: true, seq: None });
        // The number of the call is known when the agent hears of it.
        row.turn = Some(Turn { seat, client, call: 0, token: 0 });
        let content = json!([{ "type": "text", "text": text }]);
        let params = json!({ "sessionId": id, "prompt": content });
        let token = self.request(seat, "session/prompt", &params)?;
        let heard = self.reached.iter().find(|(_, line)| line["method"] == "session/prompt");
        let (channel, line) = heard.ok_or("its agent does not hear of it")?;
        let (channel, call) = (*channel, line["id"].as_u64().unwrap_or_default());
        let row = self.row(id)?;
        if row.channel != channel {
            return Err(format!("it went to {channel}"));
        }
        row.turn = Some(Turn { seat, client, call, token });
        self.all_got(id, &[text], Some(seat))
    }

    /// Every client that is attached, but the one at `but`, got this once, and nobody else.
    fn all_got(&mut self, id: &str, texts: &[String], but: Option<u8>) -> Outcome {
        let attached = self.row(id)?.attached.clone();
        for seat in 0..=UNABLE {
            let got = self.updates.remove(&seat).unwrap_or_default();
            let is_due = attached.contains(&seat) && Some(seat) != but;
            let due = if is_due { texts } else { &[] };
            if !got.iter().map(|update| &update.text).eq(due) {
                return Err(format!("seat {seat} got {got:?} in place of {due:?}"));
            }
        }
        Ok(())
    }

    fn joins(&mut self, seat: u8, id: &str, method: &str) -> Outcome {
        self.joining = Some((seat, id.to_owned()));
        let was_live = self.row(id)?.is_live;
        if !was_live {
            self.revives(id)?;
        }
        let params = json!({ "sessionId": id, "cwd": "/work", "mcpServers": [] });
        let token = self.request(seat, method, &params)?;
        let keeps_ring = self.config.limits.replay_bytes > 0;
        if !keeps_ring && self.row(id)?.is_busy() && self.result(seat, token).is_err() {
            return Ok(());
        }
        self.result(seat, token)?;
        let asked = self.reached.iter().find(|(_, line)| line["method"] == method);
        let channel = asked.map(|(channel, _)| *channel);
        let (texts, modes) = self.joined(seat)?;
        let is_load = method == "session/load";
        let row = self.row(id)?;
        let all = row.texts();
        let mode = row.mode.as_ref().map(|mode| mode.text.clone());
        let is_right = match channel {
            Some(channel) => {
                row.channel = channel;
                let is_own = row.participants.is_empty() && !was_live;
                row.participants.extend(is_own.then_some(seat));
                row.is_of_unable = if was_live { row.is_of_unable } else { seat == UNABLE };
                row.guests.insert(seat);
                texts == if is_load { all } else { Vec::new() }
            }
            None if !keeps_ring => return Err("nothing is kept to answer it".to_owned()),
            None if is_load => {
                let is_cut = texts.first().is_some_and(|text| text == MISSING);
                let texts = &texts[usize::from(is_cut)..];
                row.is_tail(texts) && is_cut == (texts.len() < all.len())
            }
            None => texts.is_empty(),
        };
        let has_mode = channel.is_some() && !is_load || modes == Vec::from_iter(mode);
        row.comes(seat);
        match is_right && has_mode {
            true => Ok(()),
            false => Err(format!("it got {texts:?} and {modes:?} of {:?}", row.texts())),
        }
    }

    /// The texts and the modes that the newcomer got; nobody else got anything.
    fn joined(&mut self, seat: u8) -> Result<(Vec<String>, Vec<String>), String> {
        let got = self.updates.remove(&seat).unwrap_or_default();
        if let Some((other, got)) = self.updates.pop_first() {
            return Err(format!("seat {other} got {got:?}"));
        }
        let (modes, texts): (Vec<Update>, Vec<Update>) = got.into_iter().partition(|u| u.is_mode);
        let texts_of = |of: Vec<Update>| of.into_iter().map(|update| update.text).collect();
        Ok((texts_of(texts), texts_of(modes)))
    }

    /// A conversation that ended begins anew, with numbers of its own.
    fn revives(&mut self, id: &str) -> Outcome {
        let row = self.row(id)?;
        (row.is_live, row.absent) = (true, None);
        row.guests.clear();
        row.seen.clear();
        row.items.iter_mut().chain(&mut row.mode).for_each(|item| item.seq = None);
        self.seats.values_mut().for_each(|seat| {
            seat.seen.remove(id);
        });
        // Its agent tells which channel it lives on now.
        self.reviving = Some(id.to_owned());
        Ok(())
    }

    fn attaches(&mut self, seat: u8, id: &str) -> Outcome {
        self.joining = Some((seat, id.to_owned()));
        let after = self.seats[&seat].seen.get(id).copied();
        let params = json!({ "sessionId": id, "afterSeq": after });
        let token = self.request(seat, "_drawbridge/attach", &params)?;
        let result = self.result(seat, token)?;
        let limits = &self.config.limits;
        let may_be_cut = limits.replay_bytes < 1 << 20 || limits.replay_total_bytes < 1 << 20;
        let (texts, modes) = self.joined(seat)?;
        let row = self.row(id)?;
        row.comes(seat);
        let missed = row.missed(after);
        let replayed = texts.len() + modes.len();
        let is_right = match result["gap"].as_bool() {
            Some(false) => texts == missed,
            Some(true) => may_be_cut && (row.is_tail(&texts) || missed.ends_with(&texts)),
            None => false,
        };
        match is_right && result["replayed"] == replayed {
            true => Ok(()),
            false => Err(format!("after {after:?}, {result}: {texts:?} of {missed:?}")),
        }
    }

    fn agent_step(&mut self, step: Step, id: &str) -> Outcome {
        let channel = self.row(id)?.channel;
        match step {
            Step::Says(_) => {
                let item = |text| Item { text, is_prompt: false, seq: None };
                let mut texts = vec![self.word('t')];
                if self.words.is_multiple_of(3) {
                    // Now and then several at once.
                    texts.extend(['t', 't'].map(|kind| self.word(kind)));
                }
                self.row(id)?.items.extend(texts.iter().cloned().map(item));
                match &texts[..] {
                    [text] => self.agent_says(channel, &item_line(id, &item(text.clone())))?,
                    texts => self.agent_streams(channel, id, texts)?,
                }
                self.all_got(id, &texts, None)
            }
            Step::State(_) => {
                let text = self.word('m');
                let mode = Item { text: text.clone(), is_prompt: false, seq: None };
                self.row(id)?.mode = Some(mode);
                self.agent_says(channel, &mode_line(id, &text))?;
                self.all_got(id, &[text], None)
            }
            Step::EndTurn(_) => {
                let row = self.row(id)?;
                let Some(turn) = row.turn.take_if(|_| row.asks.is_empty()) else { return Ok(()) };
                let result = json!({ "stopReason": "end_turn" });
                let line = json!({ "jsonrpc": "2.0", "id": turn.call, "result": result });
                self.agent_says(channel, &line)?;
                let is_there = self.seats[&turn.seat].client == Some(turn.client);
                match is_there && !self.answers.contains_key(&(turn.seat, turn.token)) {
                    true => Err("the prompt is not answered".to_owned()),
                    false => Ok(()),
                }
            }
            _ => self.asks(step, id),
        }
    }

    fn asks(&mut self, step: Step, id: &str) -> Outcome {
        let Step::Asks(_, how) = step else { return Ok(()) };
        let reads = how % 3 == 2;
        let method = if reads { "fs/read_text_file" } else { "session/request_permission" };
        let ask = self.word('q');
        let row = self.row(id)?;
        row.asks.push(Ask { id: ask.clone(), shown: Default::default() });
        let channel = row.channel;
        let params = json!({
            "sessionId": id, "path": "/x", "ask": ask, "options": [{ "optionId": "yes" }],
        });
        let line = json!({ "jsonrpc": "2.0", "id": ask, "method": method, "params": params });
        self.agent_says(channel, &line)?;
        let row = self.row(id)?;
        let waits =
            row.asks.iter().find(|row| row.id == ask).is_some_and(|ask| ask.shown.is_empty());
        let is_able = |seat: &u8| *seat != UNABLE;
        let may_answer = match reads {
            true => row.attached.iter().any(is_able),
            false => row.participants.iter().any(|seat| row.attached.contains(seat)),
        };
        match waits && may_answer {
            true => Err("nobody was asked".to_owned()),
            false => Ok(()),
        }
    }

    fn answers_question(&mut self, seat: u8) -> Outcome {
        let shown = self.conversations.iter().find_map(|(id, row)| {
            let ask = row.asks.iter().find(|ask| ask.shown.contains_key(&seat))?;
            Some((id.clone(), ask.id.clone(), ask.shown[&seat]))
        });
        let Some((id, ask, shown)) = shown else { return Ok(()) };
        let result = json!({ "outcome": { "outcome": "selected", "optionId": "yes" } });
        self.client_says(seat, &json!({ "jsonrpc": "2.0", "id": shown, "result": result }))?;
        let is_open = self.row(&id)?.asks.iter().any(|row| row.id == ask);
        let answers: Vec<&Value> = self.reached.iter().map(|(_, line)| line).collect();
        match is_open || answers.iter().filter(|line| line["id"] == ask.as_str()).count() != 1 {
            true => Err(format!("its agent waits on: {answers:?}")),
            false => Ok(()),
        }
    }

    /// What no client watches has its limits, and a client that does not read, too.
    fn nothing_is_overdue(&mut self) -> Outcome {
        let (limits, now) = (self.config.limits.clone(), self.now);
        let is_over = |since: u64, limit: Limit| limit.millis().is_some_and(|ms| since + ms <= now);
        for (id, row) in self.conversations.iter().filter(|(_, row)| row.is_live) {
            let Some((since, _)) = row.absent else { continue };
            if row.is_busy() && !row.is_cancelled && is_over(since, limits.lost_turn_timeout) {
                return Err(format!("nobody watches {id} since {since} ms, and it goes on"));
            }
            if !row.is_busy() && is_over(since, limits.lost_client_timeout) {
                return Err(format!("nobody is in {id} since {since} ms, and it is open"));
            }
        }
        // Two of them that are together, one quick and one slow, are not so for long.
        for row in self.conversations.values_mut() {
            let is_slow = |seat: &u8| self.seats[seat].slow_since.is_some();
            let slow = row.attached.iter().filter(|seat| is_slow(seat)).count();
            let is_stuck = row.is_live && slow > 0 && slow < row.attached.len();
            let since = row.stuck_since.take().unwrap_or(now);
            row.stuck_since = is_stuck.then_some(since);
            if row.stuck_since.is_some_and(|since| since + 200 < now) {
                return Err("a client that does not read is still there".to_owned());
            }
        }
        Ok(())
    }
}
