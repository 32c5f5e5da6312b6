//! The limits of a script: short ones, so that everything comes due.

use drawbridge::bridge::config::{
    AtCapacity, BackgroundWork, ExtensionEvents, IdlePolicy, Limits, PermissionPolicy, PromptQueue,
    Share,
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
    let mut config = Config::default();
    config.agent.channel_idle_timeout = text.choose(&[After(500), After(0), Never, After(50)]);
    config.agent.session_idle_timeout = text.choose(&[After(300), After(40), Never, After(0)]);
    config.agent.attached_idle_timeout = attached_idle_timeout;
    config.limits.session_reap_interval = text.choose(&[After(100), After(7), Never]);
    config.agent.idle_policy = idle_policy;
    config.agent.background_work = text.choose(&[BackgroundWork::Ignore, BackgroundWork::Keep]);
    config.limits.max_sessions = max_sessions;
    config.limits.at_capacity = at_capacity;
    config.limits.max_channels = text.choose(&[0, 2, 1]);
    config.agent.share = share;
    config.agent.sessions_per_channel = sessions_per_channel;
    config.agent.max_husks = text.choose(&[8, 1, 2, 0]);
    config.limits.preheat = text.choose(&[false, true]);
    config.agent.initialize_timeout = After(300);
    config.agent.session_open_timeout = After(200);
    config.agent.session_close_timeout = After(100);
    config.agent.prompt_timeout = text.choose(&[Never, After(150)]);
    config.agent.prompt_queue = prompt_queue;
    config.limits.max_queued_prompts = max_queued_prompts;
    config.agent.permission_policy =
        text.choose(&[PermissionPolicy::Originator, PermissionPolicy::All]);
    config.limits.permission_timeout = After(1_500);
    config.agent.stdin_grace = After(40);
    config.agent.term_grace = After(40);
    config.agent.kill_grace = After(40);
    config.limits.shutdown_timeout = 400;
    config.agent.restart_limit = text.choose(&[0, 2]);
    config.agent.restart_window = 5_000;
    config.agent.liveness_interval = After(60);
    config.agent.liveness_strikes = 2;
    config.limits.extension_events =
        text.choose(&[ExtensionEvents::On, ExtensionEvents::Asked, ExtensionEvents::Off]);
    config
}

/// Sets what a bridge for many clients has besides: a transcript, and limits for those that are
/// lost or slow.
pub fn for_many_clients(limits: &mut Limits) {
    limits.replay_bytes = 2_000;
    limits.replay_total_bytes = 5_000;
    limits.lost_client_timeout = Limit::After(80);
    limits.lost_turn_timeout = Limit::After(150);
    limits.saturation_grace = Limit::After(100);
}
