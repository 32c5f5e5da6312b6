//! The steps of a history, and the lines that a client may get.

use drawbridge::bridge::Event;
use serde_json::{Value, json};

use super::Step;
use super::agent::FIRST_MODE;
use super::client::{Asked, Prompt, Session};
use super::world::{Outcome, World};

/// More than any request takes.
const LONG: u64 = 25_000;

impl World {
    /// Takes one step.
    pub fn take(&mut self, step: Step) -> Outcome {
        match step {
            Step::Wait(millis) => self.wait(millis)?,
            Step::Connect(seat) if self.seats[&seat].client.is_none() => self.connect(seat)?,
            Step::Leave(seat) => self.leave(seat)?,
            Step::New(seat) if self.sessions.len() < 4 => {
                let params = json!({ "cwd": "/work", "mcpServers": [] });
                self.request(seat, Asked::New, "session/new", &params)?;
            }
            Step::Prompt(seat, which, count) => {
                for _ in 0..count {
                    if let Some(id) = self.nth_of(seat, which) {
                        self.prompts(seat, &id)?;
                    }
                }
            }
            Step::SetMode(seat, which, is_code) => {
                if let Some(id) = self.nth_of(seat, which) {
                    let mode = if is_code { "code" } else { FIRST_MODE };
                    let params = json!({ "sessionId": id, "modeId": mode, "_meta": { "of": id } });
                    self.request(seat, Asked::SetMode(id), "session/set_mode", &params)?;
                }
            }
            Step::Cancel(seat, which) => {
                if let Some(id) = self.nth_of(seat, which) {
                    self.notify(seat, "session/cancel", &json!({ "sessionId": id }))?;
                }
            }
            Step::Close(seat, which) => self.asks(seat, which, "session/close", Asked::Close)?,
            Step::Delete(seat, which) => self.asks(seat, which, "session/delete", Asked::Delete)?,
            Step::Detach(seat, which) => {
                self.asks(seat, which, "_drawbridge/detach", Asked::Detach)?;
            }
            Step::Load(seat, which) => {
                let id = self.sessions.keys().nth(usize::from(which)).cloned();
                let may_load = |id: &String| {
                    let row = &self.sessions[id];
                    let is_stored = !row.is_deleted && self.store.has_record(&row.agent_id);
                    // A replay behind the answer is for all who have the session.
                    let is_shared = self.is_shared(seat, id);
                    self.manners.loads && is_stored && !(self.manners.is_late && is_shared)
                };
                if let Some(id) = id.filter(may_load) {
                    let params = json!({ "sessionId": id, "cwd": "/work", "mcpServers": [] });
                    self.seat(seat).forget(&id);
                    self.request(seat, Asked::Join(id), "session/load", &params)?;
                }
            }
            Step::Attach(seat, which) => {
                let id = self.sessions.keys().nth(usize::from(which)).cloned();
                if let Some(id) = id {
                    self.seat(seat).forget(&id);
                    let params = json!({ "sessionId": id });
                    self.request(seat, Asked::Join(id), "_drawbridge/attach", &params)?;
                }
            }
            Step::Heartbeat(seat) => {
                self.request(seat, Asked::Heartbeat, "_drawbridge/heartbeat", &json!({}))?;
            }
            Step::Crash(which) => {
                let running: Vec<_> = self.processes.keys().copied().collect();
                if !running.is_empty() {
                    self.exit(running[usize::from(which) % running.len()], 3);
                }
            }
            Step::Pressure(is_heavy) => self.is_heavy = is_heavy,
            Step::Die(millis) => self.die(millis)?,
            Step::Connect(_) | Step::New(_) => {}
        }
        self.wait(0)
    }

    fn is_shared(&self, seat: u8, id: &str) -> bool {
        self.seats.iter().any(|(at, row)| *at != seat && row.has.contains(id))
    }

    fn leave(&mut self, seat: u8) -> Outcome {
        let row = std::mem::take(self.seat(seat));
        row.client.map_or(Ok(()), |client| self.event(Event::ClientGone { client }))
    }

    /// At the end every session answers to everybody who has it.
    pub fn end(&mut self) -> Outcome {
        (self.is_good, self.is_heavy) = (true, false);
        self.wait(LONG)?;
        self.nobody_waits()?;
        let seats: Vec<u8> = self.seats.keys().copied().collect();
        for seat in seats {
            for id in self.seats[&seat].has.clone() {
                self.prompts(seat, &id)?;
                self.wait(LONG)?;
                self.nobody_waits()?;
                let last = self.seat(seat).last.take().ok_or("it was not answered")?;
                let kind = last["error"]["data"]["kind"].as_str();
                let is_excused = self.excused.contains(&id)
                    || self.sessions[&id].is_deleted
                    || kind == Some("session_limit");
                if last["result"]["stopReason"] != "end_turn" && !is_excused {
                    return Err(format!("the prompt of {seat} in {id} came to {last}"));
                }
            }
        }
        Ok(())
    }

    /// A client writes in its first session.
    pub fn write(&mut self, seat: u8) -> Outcome {
        let id = self.nth_of(seat, 0).ok_or_else(|| format!("seat {seat} has nothing"))?;
        self.seat(seat).last = None;
        self.prompts(seat, &id)
    }

    /// The last prompt of a client had an ordinary end.
    pub fn has_got_its_answer(&self, seat: u8) -> Outcome {
        match &self.seats[&seat].last {
            Some(last) if last["result"]["stopReason"] == "end_turn" => Ok(()),
            last => Err(format!("the prompt of seat {seat} came to {last:?}")),
        }
    }

    fn nobody_waits(&self) -> Outcome {
        let mut waiting = self.seats.iter().flat_map(|(seat, row)| {
            row.waits.iter().map(move |(token, asked)| (seat, token, asked))
        });
        match waiting.next() {
            Some((seat, token, asked)) => {
                Err(format!("seat {seat} waits for the answer to {token}, {asked:?}"))
            }
            None => Ok(()),
        }
    }

    /// One of the sessions that a client has.
    fn nth_of(&self, seat: u8, which: u8) -> Option<String> {
        let has = &self.seats[&seat].has;
        (!has.is_empty()).then(|| has.iter().nth(usize::from(which) % has.len()).cloned())?
    }

    fn asks(&mut self, seat: u8, which: u8, method: &str, asked: fn(String) -> Asked) -> Outcome {
        let Some(id) = self.nth_of(seat, which) else { return Ok(()) };
        self.request(seat, asked(id.clone()), method, &json!({ "sessionId": id }))
    }

    fn prompts(&mut self, seat: u8, id: &str) -> Outcome {
        self.words += 1;
        let word = format!("p{}", self.words);
        let prompt = Prompt { seat, session: id.to_owned(), has_arrived: false };
        self.prompts.insert(word.clone(), prompt);
        // It wrote that itself.
        self.seat(seat).seen.insert((id.to_owned(), word.clone()));
        let params = json!({ "sessionId": id, "prompt": [{ "type": "text", "text": word }] });
        self.request(seat, Asked::Prompt(id.to_owned(), word), "session/prompt", &params)
    }

    /// A client gets a line.
    pub fn client_hears(&mut self, seat: u8, line: &[u8]) -> Outcome {
        let line: Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        let Some(method) = line["method"].as_str() else {
            let token = line["id"].as_u64().ok_or("an answer without an id")?;
            let asked = self.seat(seat).waits.remove(&token).ok_or("nobody waits for that")?;
            return self.is_answered(seat, asked, line);
        };
        let params = &line["params"];
        let id = params["sessionId"].as_str().unwrap_or_default().to_owned();
        match method {
            "session/update" => {
                let row = self.seat(seat);
                if !row.has.contains(&id) && !row.is_joining(&id) {
                    return Err("it does not have that".to_owned());
                }
                let text = params["update"]["content"]["text"].as_str().unwrap_or_default();
                let is_new = text.is_empty() || row.seen.insert((id.clone(), text.to_owned()));
                match is_new || row.is_joining(&id) {
                    true => Ok(()),
                    false => Err("it has got that before".to_owned()),
                }
            }
            "_drawbridge/session_closed" | "_drawbridge/session_died" => {
                if params["restorable"] == false {
                    self.seat(seat).has.remove(&id);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn is_answered(&mut self, seat: u8, asked: Asked, line: Value) -> Outcome {
        let is_success = line["error"].is_null();
        let code = line["error"]["code"].as_i64().unwrap_or_default();
        match asked {
            Asked::New if is_success => {
                let id = line["result"]["sessionId"].as_str().ok_or("it has no id")?.to_owned();
                let mode = FIRST_MODE.to_owned();
                let row = Session {
                    agent_id: id.clone(),
                    mode,
                    reached: Default::default(),
                    is_deleted: false,
                };
                self.sessions.insert(id.clone(), row);
                self.seat(seat).has.insert(id);
            }
            Asked::Prompt(id, word) => {
                let has_it = self.seats[&seat].has.contains(&id);
                if code == -32002 && has_it && !self.excused.contains(&id) {
                    return Err("it has this session".to_owned());
                }
                if code == -32002 {
                    self.seat(seat).has.remove(&id);
                }
                let is_other = line["result"]["stopReason"] == "end_turn"
                    && line["result"]["_meta"]["word"] != word.as_str();
                self.seat(seat).last = Some(line);
                return if is_other { Err(format!("that is not for {word}")) } else { Ok(()) };
            }
            Asked::Join(id) => {
                // Whatever has come is the history, and more of it may come.
                let row = self.seat(seat);
                row.forget(&id);
                if is_success {
                    row.has.insert(id.clone());
                    self.is_joined(seat, &id);
                }
            }
            Asked::Close(id) | Asked::Detach(id) if is_success => {
                self.seat(seat).has.remove(&id);
            }
            Asked::Delete(id) if is_success => {
                if let Some(row) = self.sessions.get_mut(&id) {
                    row.is_deleted = true;
                }
                self.seats.values_mut().for_each(|row| row.has.retain(|of| *of != id));
            }
            // No agent was there in time.
            Asked::Initialize if !is_success => return self.leave(seat),
            _ => {}
        }
        Ok(())
    }

    /// Where nobody else has a session, a load makes its mode what the agent says.
    fn is_joined(&mut self, seat: u8, id: &str) {
        let is_shared = self.is_shared(seat, id);
        let Some(row) = self.sessions.get_mut(id).filter(|_| !is_shared) else { return };
        let held = self.processes.values().find_map(|it| it.held.get(&row.agent_id));
        held.into_iter().for_each(|mode| row.mode.clone_from(mode));
    }
}
