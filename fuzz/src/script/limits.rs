//! The limits of a script: short ones, so that everything comes due.

use drawbridge::bridge::config::{
    AtCapacity, BackgroundWork, ExtensionEvents, IdlePolicy, PermissionPolicy, PromptQueue, Share,
};
use drawbridge::bridge::{Config, Limit};

use super::text::Text;

/// Reads a configuration: a digit for each choice, the first choice for `0`.
pub fn limits(text: &mut Text<'_>) -> Config {
    use Limit::{After, Never};
    let (attached_idle_timeout, idle_policy) = text.choose(&[
        (After(600), IdlePolicy::Detached),
        (After(30), IdlePolicy::All),
        (Never, IdlePolicy::All),
        (After(600), IdlePolicy::All),
    ]);
    let (max_sessions, at_capacity) = text.choose(&[
        (0, AtCapacity::Evict),
        (2, AtCapacity::Evict),
        (1, AtCapacity::Evict),
        (1, AtCapacity::Refuse),
    ]);
    let (share, sessions_per_channel) = text.choose(&[
        (Share::Agent, 0),
        (Share::Cwd, 0),
        (Share::Session, 0),
        (Share::Agent, 1),
        (Share::Agent, 2),
    ]);
    let (prompt_queue, max_queued_prompts) =
        text.choose(&[(PromptQueue::Others, 8), (PromptQueue::All, 8), (PromptQueue::All, 1)]);
    Config {
        channel_idle_timeout: text.choose(&[After(500), After(0), Never, After(50)]),
        session_idle_timeout: text.choose(&[After(300), After(40), Never, After(0)]),
        attached_idle_timeout,
        session_reap_interval: text.choose(&[After(100), After(7), Never]),
        idle_policy,
        background_work: text.choose(&[BackgroundWork::Ignore, BackgroundWork::Keep]),
        max_sessions,
        at_capacity,
        max_channels: text.choose(&[0, 2, 1]),
        share,
        sessions_per_channel,
        max_husks: text.choose(&[8, 1, 2, 0]),
        preheat: text.choose(&[false, true]),
        initialize_timeout: After(300),
        session_open_timeout: After(200),
        session_close_timeout: After(100),
        prompt_timeout: text.choose(&[Never, After(150)]),
        prompt_queue,
        max_queued_prompts,
        permission_policy: text.choose(&[PermissionPolicy::Originator, PermissionPolicy::All]),
        permission_timeout: After(1_500),
        stdin_grace: After(40),
        term_grace: After(40),
        kill_grace: After(40),
        shutdown_timeout: 400,
        restart_limit: text.choose(&[0, 2]),
        restart_window: 5_000,
        liveness_interval: After(60),
        liveness_strikes: 2,
        extension_events: text.choose(&[
            ExtensionEvents::On,
            ExtensionEvents::Asked,
            ExtensionEvents::Off,
        ]),
        ..Config::default()
    }
}
