//! The words of the options that are a choice of words.

use crate::bridge::config::{
    AtCapacity, BackgroundWork, ExtensionEvents, IdlePolicy, PermissionPolicy, PromptQueue,
    Restore, Share,
};
use crate::cli::kinds::Words;
use crate::logs::LogFormat;

pub(super) const IDLE_POLICY: Words<IdlePolicy> = Words {
    words: &[
        ("detached", IdlePolicy::Detached),
        ("restorable", IdlePolicy::Restorable),
        ("all", IdlePolicy::All),
    ],
};
pub(super) const RESTORE: Words<Restore> = Words {
    words: &[
        ("auto", Restore::Auto),
        ("resume", Restore::Resume),
        ("load", Restore::Load),
        ("none", Restore::None),
    ],
};

pub(super) const BACKGROUND_WORK: Words<BackgroundWork> =
    Words { words: &[("keep", BackgroundWork::Keep), ("ignore", BackgroundWork::Ignore)] };
pub(super) const AT_CAPACITY: Words<AtCapacity> =
    Words { words: &[("evict", AtCapacity::Evict), ("refuse", AtCapacity::Refuse)] };
pub(super) const SHARE: Words<Share> =
    Words { words: &[("agent", Share::Agent), ("cwd", Share::Cwd), ("session", Share::Session)] };
pub(super) const PROMPT_QUEUE: Words<PromptQueue> =
    Words { words: &[("others", PromptQueue::Others), ("all", PromptQueue::All)] };
pub(super) const PERMISSION_POLICY: Words<PermissionPolicy> = Words {
    words: &[("originator", PermissionPolicy::Originator), ("all", PermissionPolicy::All)],
};
pub(super) const EXTENSION_EVENTS: Words<ExtensionEvents> = Words {
    words: &[
        ("asked", ExtensionEvents::Asked),
        ("on", ExtensionEvents::On),
        ("off", ExtensionEvents::Off),
    ],
};
pub(super) const LOG_FORMAT: Words<LogFormat> = Words { words: &LogFormat::WORDS };
