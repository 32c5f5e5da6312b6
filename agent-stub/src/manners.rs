//! The flags: how well or badly this agent behaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::message::Fault;

/// The request of the arguments.
pub(crate) enum Invocation {
    Serve(Box<Manners>),
    Help,
    Version,
    Grandchild(String),
}

/// How session ids are made.
#[derive(Clone, Default)]
pub(crate) enum SessionIds {
    #[default]
    Counter,
    Random,
    Fixed(String),
}

/// How the agent treats a prompt while a turn of its session runs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SecondPrompt {
    #[default]
    Concurrent,
    Queue,
    Refuse,
    Merge,
}

/// All flags; `help.rs` explains each.
#[derive(Default)]
pub(crate) struct Manners {
    pub(crate) session_ids: SessionIds,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) log: Option<PathBuf>,
    pub(crate) protocol_version: Option<i64>,
    pub(crate) without: BTreeSet<String>,
    pub(crate) load_mode: Option<String>,
    pub(crate) second_prompt: SecondPrompt,

    pub(crate) delay: BTreeMap<String, Duration>,
    pub(crate) never: BTreeSet<String>,
    pub(crate) refuse: BTreeMap<String, Fault>,
    pub(crate) exit_on: BTreeMap<String, i32>,
    pub(crate) abort_on: BTreeSet<String>,

    pub(crate) linger: Duration,
    pub(crate) deaf_stdin: bool,
    pub(crate) deaf_term: bool,
    pub(crate) silent: bool,
    pub(crate) stderr: Vec<String>,
    pub(crate) garbage_at_start: bool,
    pub(crate) leak: usize,

    pub(crate) early_update: bool,
    pub(crate) ask_in_new: bool,
    pub(crate) updates_at_close: usize,
    pub(crate) updates_after_close: usize,
    pub(crate) ask_after_close: bool,
    pub(crate) ignore_cancel: bool,
    pub(crate) cancel_means_end_turn: bool,
    pub(crate) needs_login: bool,
    pub(crate) exotic: bool,
    pub(crate) block_while_asking: bool,
    pub(crate) forget_unprompted: bool,
    pub(crate) lock_sessions: bool,
    pub(crate) late_replay: bool,
    pub(crate) lose_store: bool,
}

/// The capabilities `--without` can take away.
const CAPABILITIES: [&str; 6] = ["close", "load", "resume", "list", "delete", "fork"];

/// Reads the arguments.
pub(crate) fn parse(args: &[String]) -> Result<Invocation, String> {
    if let [flag, kind] = args
        && flag == "--grandchild"
    {
        return Ok(Invocation::Grandchild(kind.clone()));
    }
    let mut manners = Manners::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let (flag, mut inline) = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (arg.as_str(), None),
        };
        if matches!(flag, "--help" | "-h") {
            return Ok(Invocation::Help);
        }
        if matches!(flag, "--version" | "-V") {
            return Ok(Invocation::Version);
        }
        let mut value = || {
            let value = inline.take().or_else(|| rest.next().cloned());
            value.ok_or_else(|| format!("{flag} needs a value"))
        };
        if !manners.set_switch(flag) {
            manners.set_value(flag, &mut value)?;
        }
        if inline.is_some() {
            return Err(format!("{flag} takes no value"));
        }
    }
    Ok(Invocation::Serve(Box::new(manners)))
}

impl Manners {
    fn set_switch(&mut self, flag: &str) -> bool {
        let switch = match flag {
            "--deaf-stdin" => &mut self.deaf_stdin,
            "--deaf-term" => &mut self.deaf_term,
            "--silent" => &mut self.silent,
            "--garbage-at-start" => &mut self.garbage_at_start,
            "--early-update" => &mut self.early_update,
            "--ask-in-new" => &mut self.ask_in_new,
            "--ask-after-close" => &mut self.ask_after_close,
            "--ignore-cancel" => &mut self.ignore_cancel,
            "--cancel-means-end-turn" => &mut self.cancel_means_end_turn,
            "--needs-login" => &mut self.needs_login,
            "--exotic" => &mut self.exotic,
            "--block-while-asking" => &mut self.block_while_asking,
            "--forget-unprompted" => &mut self.forget_unprompted,
            "--lock-sessions" => &mut self.lock_sessions,
            "--late-replay" => &mut self.late_replay,
            "--lose-store" => &mut self.lose_store,
            _ => return false,
        };
        *switch = true;
        true
    }

    fn set_value(
        &mut self,
        flag: &str,
        value: &mut dyn FnMut() -> Result<String, String>,
    ) -> Result<(), String> {
        match flag {
            "--session-ids" => self.session_ids = session_ids(&value()?)?,
            "--state-dir" => self.state_dir = Some(value()?.into()),
            "--log" => self.log = Some(value()?.into()),
            "--protocol-version" => self.protocol_version = Some(number(flag, &value()?)?),
            "--without" => {
                let capability = value()?;
                if !CAPABILITIES.contains(&capability.as_str()) {
                    return Err(format!("--without knows {}", CAPABILITIES.join(", ")));
                }
                self.without.insert(capability);
            }
            "--load-mode" => self.load_mode = Some(value()?),
            "--second-prompt" => self.second_prompt = second_prompt(&value()?)?,
            "--delay" => {
                let value = value()?;
                let (method, ms) = value.split_once('=').ok_or("--delay METHOD=MS")?;
                self.delay.insert(method.to_owned(), Duration::from_millis(number(flag, ms)?));
            }
            "--never" => {
                self.never.insert(value()?);
            }
            "--refuse" => {
                let (method, fault) = refusal(&value()?)?;
                self.refuse.insert(method, fault);
            }
            "--exit-on" => {
                let value = value()?;
                let (method, code) = value.split_once('=').unwrap_or((&value, "1"));
                self.exit_on.insert(method.to_owned(), number(flag, code)?);
            }
            "--abort-on" => {
                self.abort_on.insert(value()?);
            }
            "--linger" => self.linger = Duration::from_millis(number(flag, &value()?)?),
            "--stderr" => self.stderr.push(value()?),
            "--leak" => self.leak = number(flag, &value()?)?,
            "--updates-at-close" => self.updates_at_close = number(flag, &value()?)?,
            "--updates-after-close" => self.updates_after_close = number(flag, &value()?)?,
            _ => return Err(format!("unknown flag: {flag}")),
        }
        Ok(())
    }
}

fn session_ids(value: &str) -> Result<SessionIds, String> {
    match value {
        "counter" => Ok(SessionIds::Counter),
        "random" => Ok(SessionIds::Random),
        _ => match value.strip_prefix("fixed:") {
            Some(id) => Ok(SessionIds::Fixed(id.to_owned())),
            None => Err("--session-ids counter|random|fixed:ID".to_owned()),
        },
    }
}

fn second_prompt(value: &str) -> Result<SecondPrompt, String> {
    match value {
        "concurrent" => Ok(SecondPrompt::Concurrent),
        "queue" => Ok(SecondPrompt::Queue),
        "refuse" => Ok(SecondPrompt::Refuse),
        "merge" => Ok(SecondPrompt::Merge),
        _ => Err("--second-prompt concurrent|queue|refuse|merge".to_owned()),
    }
}

/// Reads `METHOD[=CODE[:MESSAGE]]`.
fn refusal(value: &str) -> Result<(String, Fault), String> {
    let (method, rest) = value.split_once('=').unwrap_or((value, "-32603"));
    let (code, message) = rest.split_once(':').unwrap_or((rest, "refused by flag"));
    Ok((method.to_owned(), Fault::new(number("--refuse", code)?, message)))
}

fn number<N: FromStr>(flag: &str, text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{flag}: {text:?} is no number it can take"))
}
