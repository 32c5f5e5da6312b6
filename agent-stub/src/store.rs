//! Sessions: those that are open, and those that can be loaded again.
//!
//! With a directory every session is one JSON file there, read anew at each load, so that
//! processes can share it; without one everything is kept in memory.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};

use crate::manners::{Manners, SessionIds};
use crate::message::{Fault, text};

/// The speaker of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    User,
    Agent,
}

/// A session, open or only stored.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) cwd: String,
    pub(crate) mode: String,
    pub(crate) model: String,
    pub(crate) history: Vec<(Speaker, String)>,
    /// The title that the client has set.
    pub(crate) title: Option<String>,
    /// Whether `session/list` leaves it out.
    pub(crate) archived: bool,
    live: bool,
}

impl Session {
    fn new(id: String, cwd: String) -> Self {
        let (mode, model) = ("ask".to_owned(), "stub-1".to_owned());
        let history = Vec::new();
        Self { id, cwd, mode, model, history, title: None, archived: false, live: true }
    }

    fn title(&self) -> Option<&str> {
        let first = || self.history.first().and_then(|(_, text)| text.lines().next());
        self.title.as_deref().or_else(first)
    }

    fn to_json(&self) -> Value {
        let history = self.history.iter().map(|(speaker, text)| match speaker {
            Speaker::User => json!({ "user": text }),
            Speaker::Agent => json!({ "agent": text }),
        });
        json!({
            "sessionId": self.id, "cwd": self.cwd, "mode": self.mode, "model": self.model,
            "history": history.collect::<Vec<_>>(), "title": self.title, "archived": self.archived,
        })
    }

    fn from_json(json: &Value) -> Option<Self> {
        let mut session = Self::new(json["sessionId"].as_str()?.to_owned(), text(&json["cwd"]));
        session.live = false;
        session.mode = text(&json["mode"]);
        session.model = text(&json["model"]);
        session.title = json["title"].as_str().map(str::to_owned);
        session.archived = json["archived"] == true;
        for item in json["history"].as_array()? {
            let said = match item["user"].as_str() {
                Some(user) => (Speaker::User, user.to_owned()),
                None => (Speaker::Agent, text(&item["agent"])),
            };
            session.history.push(said);
        }
        Some(session)
    }
}

/// All sessions this process knows.
pub(crate) struct Store {
    dir: Option<PathBuf>,
    ids: SessionIds,
    lock_sessions: bool,
    forget_unprompted: bool,
    sessions: BTreeMap<String, Session>,
    locks: BTreeMap<String, Flock<File>>,
}

impl Store {
    pub(crate) fn open(manners: &Manners) -> Result<Self, String> {
        if let Some(dir) = &manners.state_dir {
            fs::create_dir_all(dir).map_err(|e| format!("no state directory: {e}"))?;
        }
        Ok(Self {
            dir: manners.state_dir.clone(),
            ids: manners.session_ids.clone(),
            lock_sessions: manners.lock_sessions,
            forget_unprompted: manners.forget_unprompted,
            sessions: BTreeMap::new(),
            locks: BTreeMap::new(),
        })
    }

    /// Opens a new session.
    pub(crate) fn create(&mut self, cwd: String) -> Result<Session, Fault> {
        let id = self.fresh_id();
        self.hold(&id)?;
        let session = Session::new(id.clone(), cwd);
        self.sessions.insert(id.clone(), session.clone());
        self.save(&id);
        Ok(session)
    }

    /// Opens a new session with the history of another one.
    pub(crate) fn fork(&mut self, id: &str, cwd: Option<String>) -> Result<Session, Fault> {
        self.refresh(id);
        let parent = self.sessions.get(id).cloned().ok_or_else(|| Fault::unknown_session(id))?;
        let mut child = self.create(cwd.unwrap_or_else(|| parent.cwd.clone()))?;
        child = Session { id: child.id, cwd: child.cwd, archived: false, live: true, ..parent };
        self.sessions.insert(child.id.clone(), child.clone());
        self.save(&child.id);
        Ok(child)
    }

    /// Opens a stored session again, in the directory and mode given.
    pub(crate) fn restore(
        &mut self,
        id: &str,
        cwd: Option<&str>,
        mode: Option<&str>,
    ) -> Result<Session, Fault> {
        self.refresh(id);
        let forget = self.forget_unprompted;
        match self.sessions.get(id) {
            None => return Err(Fault::unknown_session(id)),
            Some(session) if forget && session.history.is_empty() => {
                return Err(Fault::unknown_session(id));
            }
            Some(_) => self.hold(id)?,
        }
        let session = self.sessions.get_mut(id).ok_or_else(|| Fault::unknown_session(id))?;
        session.live = true;
        if let Some(cwd) = cwd {
            cwd.clone_into(&mut session.cwd);
        }
        if let Some(mode) = mode {
            mode.clone_into(&mut session.mode);
        }
        Ok(session.clone())
    }

    /// The session, if it is open.
    pub(crate) fn live(&mut self, id: &str) -> Result<&mut Session, Fault> {
        self.sessions
            .get_mut(id)
            .filter(|session| session.live)
            .ok_or_else(|| Fault::unknown_session(id))
    }

    /// Whether a known session is open.
    pub(crate) fn is_live(&mut self, id: &str) -> Result<bool, Fault> {
        self.refresh(id);
        let session = self.sessions.get(id).ok_or_else(|| Fault::unknown_session(id))?;
        Ok(session.live)
    }

    /// Changes a session, open or only stored.
    pub(crate) fn change(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Session),
    ) -> Result<(), Fault> {
        self.refresh(id);
        change(self.sessions.get_mut(id).ok_or_else(|| Fault::unknown_session(id))?);
        self.save(id);
        Ok(())
    }

    /// Adds a text to the history of a session, open or closed; the next `save` writes it.
    pub(crate) fn remember(&mut self, id: &str, speaker: Speaker, text: &str) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.history.push((speaker, text.to_owned()));
        }
    }

    /// Closes an open session; it stays in the store.
    pub(crate) fn close(&mut self, id: &str) -> Result<(), Fault> {
        self.live(id)?.live = false;
        self.save(id);
        self.locks.remove(id);
        Ok(())
    }

    /// Forgets a session, open or not.
    pub(crate) fn delete(&mut self, id: &str) -> Result<(), Fault> {
        self.refresh(id);
        self.sessions.remove(id).ok_or_else(|| Fault::unknown_session(id))?;
        self.locks.remove(id);
        if let Some(path) = self.path(id, "json") {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    /// The entries that `session/list` answers, in the order in which the counter made the ids.
    pub(crate) fn list(&mut self, cwd: Option<&str>) -> Vec<Value> {
        for id in self.stored_ids() {
            self.refresh(&id);
        }
        let mut known: Vec<&Session> = self
            .sessions
            .values()
            .filter(|session| cwd.is_none_or(|cwd| cwd == session.cwd) && !session.archived)
            .filter(|session| !(self.forget_unprompted && session.history.is_empty()))
            .collect();
        known.sort_by_key(|session| (session.id.len(), session.id.clone()));
        let entry = |session: &&Session| {
            let mut entry = json!({ "sessionId": session.id, "cwd": session.cwd });
            if let Some(title) = session.title() {
                entry["title"] = json!(title);
            }
            entry
        };
        known.iter().map(entry).collect()
    }

    /// Writes the session's file, whole or not at all.
    pub(crate) fn save(&self, id: &str) {
        let (Some(session), Some(path)) = (self.sessions.get(id), self.path(id, "json")) else {
            return;
        };
        let draft = path.with_extension(format!("{}.draft", std::process::id()));
        let _ = fs::write(&draft, session.to_json().to_string())
            .and_then(|()| fs::rename(&draft, &path));
    }

    /// Reads the file of a session that is not open here; a session without a file is forgotten.
    fn refresh(&mut self, id: &str) {
        let Some(path) = self.path(id, "json") else {
            return;
        };
        if self.sessions.get(id).is_some_and(|session| session.live) {
            return;
        }
        self.sessions.remove(id);
        let stored = fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(session) = stored.as_ref().and_then(Session::from_json) {
            self.sessions.insert(id.to_owned(), session);
        }
    }

    fn stored_ids(&self) -> Vec<String> {
        let entries = self.dir.as_ref().and_then(|dir| fs::read_dir(dir).ok());
        let read = |path: PathBuf| -> Option<String> {
            let stored: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
            stored["sessionId"].as_str().map(str::to_owned)
        };
        entries
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .filter_map(read)
            .collect()
    }

    /// Locks the session's lock file; the system releases the lock when the process ends.
    fn hold(&mut self, id: &str) -> Result<(), Fault> {
        let Some(path) = self.path(id, "lock") else {
            return Ok(());
        };
        if !self.lock_sessions || self.locks.contains_key(id) {
            return Ok(());
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|e| Fault::new(-32603, format!("no lock file: {e}")))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        let held = |_| Fault::about(-32603, "the session is held by another process", id);
        self.locks.insert(id.to_owned(), lock.map_err(held)?);
        Ok(())
    }

    fn path(&self, id: &str, extension: &str) -> Option<PathBuf> {
        let escape = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02x}"),
        };
        let name: String = id.bytes().map(escape).collect();
        self.dir.as_ref().map(|dir| dir.join(format!("{name}.{extension}")))
    }

    fn fresh_id(&self) -> String {
        let taken = |id: &String| {
            self.sessions.contains_key(id) || self.path(id, "json").is_some_and(|p| p.exists())
        };
        match &self.ids {
            SessionIds::Fixed(id) => id.clone(),
            SessionIds::Random => random_id(),
            SessionIds::Counter => {
                (1_u64..).map(|n| format!("sess-{n}")).find(|id| !taken(id)).unwrap_or_default()
            }
        }
    }
}

fn random_id() -> String {
    let mut bytes = [0_u8; 16];
    let _ = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
