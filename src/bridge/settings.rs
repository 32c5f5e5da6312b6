//! The settings of a session: its mode, its model, its options, and whatever else a client has
//! set. A session that is brought back must come back with them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bridge::update::{StateKind, UpdateKind};
use crate::wire::{Frame, Method, Span, json};

/// The prefix of every method that changes a setting of a session.
const PREFIX: &str = "session/set_";

/// The one method with that prefix that changes nothing for the agent.
const TITLE: &str = "session/set_title";

/// One setting, with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// The mode.
    Mode(Box<str>),
    /// The model.
    Model(Box<str>),
    /// An option.
    Option {
        /// Its id.
        id: Box<str>,
        /// Its value, as JSON text.
        value: Box<str>,
    },
    /// A setting of a kind that the bridge does not know.
    Other {
        /// The method that sets it.
        method: Box<str>,
        /// The id of the option, if the request names one.
        option: Option<Box<str>>,
        /// The params of the request, as JSON text.
        params: Box<str>,
    },
}

impl Setting {
    /// The setting that a client's request changes; `None`: it changes none, or names no value.
    pub fn of(request: &Frame) -> Option<Setting> {
        let method = request.method_name();
        if !is_setting(&method) {
            return None;
        }
        let named = |member| request.find_text(&[member]).map(Into::into);
        let text = |place: Span| std::str::from_utf8(place.of(request.bytes())).ok();
        match (request.method, &*method) {
            (Method::SessionSetMode, _) => named("modeId").map(Setting::Mode),
            (Method::SessionSetConfigOption, _) => {
                let value = request.find(&["value"]).and_then(text)?.into();
                Some(Setting::Option { id: named("configId")?, value })
            }
            (_, "session/set_model") => named("modelId").map(Setting::Model),
            _ => {
                let params = request.body().and_then(text)?.into();
                let option = named("configId");
                Some(Setting::Other { method: method.into(), option, params })
            }
        }
    }

    /// Whether both are values of the same setting.
    pub fn is_same_as(&self, other: &Setting) -> bool {
        match (self, other) {
            (Setting::Mode(_), Setting::Mode(_)) | (Setting::Model(_), Setting::Model(_)) => true,
            (Setting::Option { id: one, .. }, Setting::Option { id: two, .. }) => one == two,
            (
                Setting::Other { method, option, .. },
                Setting::Other { method: other, option: of_other, .. },
            ) => method == other && option == of_other,
            _ => false,
        }
    }

    /// Its size, in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Setting>()
            + match self {
                Setting::Mode(value) | Setting::Model(value) => value.len(),
                Setting::Option { id, value } => id.len() + value.len(),
                Setting::Other { method, option, params } => {
                    method.len() + option.as_ref().map_or(0, |id| id.len()) + params.len()
                }
            }
    }
}

/// Whether a method changes a setting of a session.
pub fn is_setting(method: &str) -> bool {
    method.starts_with(PREFIX) && method != TITLE
}

/// Settings with their values, in the order in which they were set last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(Vec<Setting>);

impl Settings {
    /// All of them, the one that was set first first.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// The value of the same setting; `None`: it is not known.
    pub fn value_of(&self, setting: &Setting) -> Option<&Setting> {
        self.0.iter().find(|known| known.is_same_as(setting))
    }

    /// Whether the setting has this value.
    pub fn has(&self, setting: &Setting) -> bool {
        self.0.contains(setting)
    }

    /// Notes a value that a client has set: the setting becomes the last one.
    pub fn set(&mut self, setting: Setting) {
        self.forget(&setting);
        self.0.push(setting);
    }

    /// Notes a value that the agent tells. One that changes nothing keeps its place.
    pub fn tell(&mut self, setting: Setting) {
        if !self.has(&setting) {
            self.set(setting);
        }
    }

    /// Forgets a setting.
    pub fn forget(&mut self, setting: &Setting) {
        self.0.retain(|known| !known.is_same_as(setting));
    }

    /// Notes the values in a text of the agent: the result of an open or of a request that
    /// changes a setting, or an update.
    pub fn tell_all(&mut self, told: &Told<'_>) {
        told.values().into_iter().for_each(|value| self.tell(value));
    }

    /// Their size, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Setting::bytes).sum()
    }
}

/// A text of an agent that may tell values of settings, and what it offers for each.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    text: &'a [u8],
    root: Option<Span>,
}

impl<'a> Told<'a> {
    /// A text that tells settings in the members of its object: the result of an open, or of
    /// `session/set_config_option`.
    pub fn in_result(text: &'a [u8]) -> Told<'a> {
        Told { text, root: json::whole(text) }
    }

    /// An update of the mode or the options; any other tells nothing.
    pub fn in_update(frame: &'a Frame) -> Told<'a> {
        let tells = matches!(
            UpdateKind::of(frame),
            UpdateKind::State(StateKind::Mode | StateKind::Options)
        );
        let root = if tells { frame.find(&["update"]) } else { None };
        Told { text: frame.bytes(), root }
    }

    fn find(&self, path: &[&str]) -> Option<Span> {
        json::find(self.text, self.root?, path)
    }

    fn string(&self, from: Span, path: &[&str]) -> Option<Box<str>> {
        json::text(self.text, json::find(self.text, from, path)?).map(Into::into)
    }

    fn elements(&self, path: &[&str]) -> Option<Vec<Span>> {
        self.find(path).map(|place| json::elements(self.text, place))
    }

    /// The settings that it tells.
    pub fn values(&self) -> Vec<Setting> {
        let Some(root) = self.root else { return Vec::new() };
        let mode = self.string(root, &["modes", "currentModeId"]);
        let mode = mode.or_else(|| self.string(root, &["currentModeId"])).map(Setting::Mode);
        let model = self.string(root, &["models", "currentModelId"]).map(Setting::Model);
        let options = self.elements(&["configOptions"]).unwrap_or_default();
        let options = options.into_iter().filter_map(|option| {
            let value = json::find(self.text, option, &["currentValue"])?.of(self.text);
            let value = std::str::from_utf8(value).ok()?.into();
            Some(Setting::Option { id: self.string(option, &["id"])?, value })
        });
        mode.into_iter().chain(model).chain(options).collect()
    }

    /// Whether the agent offers a value for a setting; `None`: it does not say.
    pub fn offers(&self, setting: &Setting) -> Option<bool> {
        let one_of =
            |path: &[&str], member: &str, wanted: &str| {
                let choices = self.elements(path)?;
                Some(choices.iter().any(|choice| {
                    self.string(*choice, &[member]).is_some_and(|name| *name == *wanted)
                }))
            };
        match setting {
            Setting::Mode(mode) => one_of(&["modes", "availableModes"], "id", mode),
            Setting::Model(model) => one_of(&["models", "availableModels"], "modelId", model),
            Setting::Option { id, value } => {
                let options = self.elements(&["configOptions"])?;
                let is_it = |option: &Span| self.string(*option, &["id"]).as_ref() == Some(id);
                Some(
                    options
                        .iter()
                        .find(|option| is_it(option))
                        .is_some_and(|option| self.may_have(*option, value)),
                )
            }
            Setting::Other { .. } => None,
        }
    }

    /// Whether an option may have a value: it is one of its choices, which may be in groups, or
    /// the option has none.
    fn may_have(&self, option: Span, value: &str) -> bool {
        let choices = |of: Span| {
            let place = json::find(self.text, of, &["options"]);
            place.map(|place| json::elements(self.text, place))
        };
        let Some(all) = choices(option) else { return true };
        let is_it = |choice: &Span| {
            json::find(self.text, *choice, &["value"])
                .is_some_and(|place| place.of(self.text) == value.as_bytes())
        };
        let mut grouped = all.iter().flat_map(|group| choices(*group).unwrap_or_default());
        all.iter().any(is_it) || grouped.any(|choice| is_it(&choice))
    }

    /// The options in it, as JSON text.
    pub fn options(&self) -> Option<Bytes> {
        let place = self.find(&["configOptions"])?;
        Some(Bytes::copy_from_slice(place.of(self.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &[u8] = br#"{"sessionId":"s","modes":{"currentModeId":"ask","availableModes":
        [{"id":"ask"},{"id":"code"}]},"models":{"currentModelId":"m1","availableModels":[{"modelId":"m1"}]},
        "configOptions":[{"id":"effort","type":"select","currentValue":"low","options":[{"value":"low"},
        {"group":"g","options":[{"value":"high"}]}]},{"id":"web","type":"boolean","currentValue":true}]}"#;

    fn option(id: &str, value: &str) -> Setting {
        Setting::Option { id: id.into(), value: value.into() }
    }

    fn mode(id: &str) -> Setting {
        Setting::Mode(id.into())
    }

    fn frame(line: &str) -> Frame {
        Frame::parse(line.to_owned().into()).unwrap()
    }

    #[test]
    fn a_result_tells_the_values_and_what_is_offered() {
        let told = Told::in_result(RESULT);
        let values = told.values();
        let model = Setting::Model("m1".into());
        assert_eq!(
            values,
            [mode("ask"), model.clone(), option("effort", "\"low\""), option("web", "true")]
        );
        for (setting, offered) in [
            (mode("code"), Some(true)),
            (mode("plan"), Some(false)),
            (model, Some(true)),
            (Setting::Model("m2".into()), Some(false)),
            (option("effort", "\"high\""), Some(true)),
            (option("effort", "\"max\""), Some(false)),
            (option("web", "false"), Some(true)),
            (option("gone", "1"), Some(false)),
        ] {
            assert_eq!(told.offers(&setting), offered, "{setting:?}");
        }
        assert_eq!(Told::in_result(b"{}").offers(&mode("ask")), None);
        assert!(Told::in_result(b"null").values().is_empty());
    }

    #[test]
    fn an_update_of_the_mode_or_the_options_tells_values_and_no_other_does() {
        let update = |body: &str| {
            frame(&format!(
                r#"{{"method":"session/update","params":{{"sessionId":"s","update":{body}}}}}"#
            ))
        };
        let told = update(r#"{"sessionUpdate":"current_mode_update","currentModeId":"code"}"#);
        assert_eq!(Told::in_update(&told).values(), [mode("code")]);
        let other = update(r#"{"sessionUpdate":"plan","currentModeId":"code"}"#);
        assert!(Told::in_update(&other).values().is_empty());
    }

    #[test]
    fn a_request_sets_what_its_method_says() {
        let set = |method: &str, rest: &str| {
            let params = format!(r#"{{"sessionId":"s",{rest}}}"#);
            Setting::of(&frame(&format!(r#"{{"id":1,"method":"{method}","params":{params}}}"#)))
        };
        assert_eq!(set("session/set_mode", r#""modeId":"a""#), Some(mode("a")));
        assert_eq!(
            set("session/set_config_option", r#""configId":"o","value":true"#),
            Some(option("o", "true"))
        );
        assert_eq!(set("session/set_model", r#""modelId":"m""#), Some(Setting::Model("m".into())));
        assert_eq!(set("session/set_mode", r#""other":1"#), None);
        assert_eq!(set("session/set_title", r#""title":"t""#), None);
        assert_eq!(set("session/prompt", r#""prompt":[]"#), None);
        let one = set("session/set_mood", r#""mood":"good""#).unwrap();
        let two = set("session/set_mood", r#""mood":"bad""#).unwrap();
        assert!(one.is_same_as(&two) && one != two);
    }

    #[test]
    fn the_order_is_that_in_which_clients_have_set_them() {
        let mut settings = Settings::default();
        settings.tell_all(&Told::in_result(RESULT));
        settings.set(mode("ask"));
        settings.tell(option("effort", "\"low\""));
        let kinds: Vec<&Setting> = settings.iter().collect();
        let model = Setting::Model("m1".into());
        let (effort, web) = (option("effort", "\"low\""), option("web", "true"));
        assert_eq!(kinds, [&model, &effort, &web, &mode("ask")]);
        settings.tell(mode("code"));
        assert_eq!(settings.value_of(&mode("")), Some(&mode("code")));
        assert!(settings.has(&web) && !settings.has(&mode("ask")));
    }
}
