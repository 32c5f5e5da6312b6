//! The recipe of a session: what is needed to bring it back in another process of its agent.
//!
//! It may hold secrets of MCP servers: it is kept in memory alone, by the bridge and by the
//! connections of its clients, and is in no log.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bridge::settings::Settings;
use crate::wire::json::{self, quoted};
use crate::wire::splice;

/// The largest recipe that is kept, in bytes.
pub const MAX_RECIPE: usize = 256 * 1024;

/// The version of the text of a recipe.
const VERSION: u32 = 1;

/// The recipe.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The params of the request that opened the session, as JSON text.
    pub params: Bytes,
    /// Whether the agent has a record of the session: it was restored or copied, or a prompt in it
    /// was answered. Without one it is brought back as a new session.
    pub has_record: bool,
    /// The settings that the session has.
    pub settings: Settings,
}

/// It may hold secrets.
impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe").field("has_record", &self.has_record).finish_non_exhaustive()
    }
}

impl Recipe {
    /// A recipe for a session that was opened with these params.
    pub fn new(params: Bytes, has_record: bool) -> Recipe {
        Recipe { params, has_record, settings: Settings::default() }
    }

    /// Its size, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Recipe>() + self.params.len() + self.settings.bytes()
    }

    /// Whether it is small enough to be kept.
    pub fn is_kept(&self) -> bool {
        self.bytes() <= MAX_RECIPE
    }

    /// The params that restore the session which the agent knows by this id.
    pub fn params_for(&self, agent_id: &str) -> Bytes {
        splice::set(&self.params, &["sessionId"], quoted(agent_id).as_bytes())
    }

    /// The params that open a new session in its place.
    pub fn params_for_new(&self) -> Bytes {
        match json::whole(&self.params) {
            Some(object) => splice::without(&self.params, object, "sessionId"),
            None => self.params.clone(),
        }
    }
}

/// A session that a connection keeps for a later bridge, as text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keepsake {
    version: u32,
    /// The id by which the client knows the session.
    pub id: Box<str>,
    /// The id by which the agent knows it.
    pub agent_id: Box<str>,
    /// Its directory.
    pub cwd: Box<str>,
    params: Box<str>,
    has_record: bool,
    settings: Settings,
}

/// It may hold secrets.
impl fmt::Debug for Keepsake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keepsake").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Keepsake {
    /// The keepsake of a session.
    pub fn new(id: &str, agent_id: &str, cwd: &str, recipe: &Recipe) -> Keepsake {
        let params = String::from_utf8_lossy(&recipe.params).into();
        let (has_record, settings) = (recipe.has_record, recipe.settings.clone());
        let (id, agent_id, cwd) = (id.into(), agent_id.into(), cwd.into());
        Keepsake { version: VERSION, id, agent_id, cwd, params, has_record, settings }
    }

    /// Its text.
    pub fn text(&self) -> String {
        String::from_utf8(json::written(self)).unwrap_or_default()
    }

    /// Reads a text; `None`: it is none of this version, or no recipe that may be kept.
    pub fn read(text: &str) -> Option<Keepsake> {
        let kept: Keepsake = serde_json::from_str(text).ok()?;
        let is_object = json::whole(kept.params.as_bytes())
            .is_some_and(|place| place.of(kept.params.as_bytes()).starts_with(b"{"));
        (kept.version == VERSION && is_object && kept.recipe().is_kept()).then_some(kept)
    }

    /// The recipe in it.
    pub fn recipe(&self) -> Recipe {
        Recipe {
            params: Bytes::copy_from_slice(self.params.as_bytes()),
            has_record: self.has_record,
            settings: self.settings.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::settings::Setting;

    const PARAMS: &str =
        r#"{"cwd":"/w","mcpServers":[{"env":[{"value":"secret"}]}],"_meta":{"a":1.0}}"#;

    fn recipe() -> Recipe {
        let mut recipe = Recipe::new(PARAMS.into(), true);
        recipe.settings.set(Setting::Mode("code".into()));
        recipe
    }

    #[test]
    fn a_session_is_restored_with_what_it_was_opened_with() {
        let restored = Recipe::new(PARAMS.into(), true).params_for("x\"y");
        let restored = std::str::from_utf8(&restored).unwrap();
        assert!(restored.contains(r#""sessionId":"x\"y""#) && restored.contains(r#""a":1.0"#));
        let loaded = Recipe::new(restored.to_owned().into(), true);
        assert!(loaded.params_for("z").windows(15).any(|part| part == br#""sessionId":"z""#));
        assert!(!loaded.params_for_new().windows(9).any(|part| part == b"sessionId"));
    }

    #[test]
    fn a_keepsake_is_read_as_it_was_written() {
        let keepsake = Keepsake::new("~1~s", "s", "/w", &recipe());
        let read = Keepsake::read(&keepsake.text()).unwrap();
        assert_eq!((&read, read.recipe()), (&keepsake, recipe()));
    }

    #[test]
    fn no_other_text_is_a_keepsake() {
        let text = Keepsake::new("s", "s", "/w", &recipe()).text();
        for text in [
            "s".to_owned(),
            "{}".to_owned(),
            text.replace(r#""version":1"#, r#""version":2"#),
            Keepsake::new("s", "s", "/w", &Recipe::new("[]".into(), true)).text(),
            Keepsake::new("s", "s", "/w", &Recipe::new(vec![b' '; MAX_RECIPE].into(), true)).text(),
        ] {
            assert_eq!(Keepsake::read(&text), None, "{}", &text[..text.len().min(99)]);
        }
    }

    #[test]
    fn a_recipe_is_not_shown() {
        let shown = format!("{:?} {:?}", recipe(), Keepsake::new("s", "s", "/w", &recipe()));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
