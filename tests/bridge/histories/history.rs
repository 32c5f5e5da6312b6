//! What a history is: a configuration, the manners of the agents, and steps.
//!
//! All of it is decoded from bytes, and the first choice of every list is the
//! plainest, so that a failing history shrinks towards a plain one. What is
//! left can be written down as a literal; see [`regressions`](super::regressions).

use drawbridge::bridge::config::{
    AtCapacity, BackgroundWork, ExtensionEvents, IdlePolicy, PermissionPolicy, PromptQueue,
    Restore, Share,
};
use drawbridge::bridge::time::Limit;
use drawbridge::bridge::{Config, ShutdownCause};
use proptest::prelude::*;

/// One history.
#[derive(Clone, Debug)]
pub struct History {
    /// Decides which of several things that can happen now happens first.
    pub seed: u64,
    /// The limits and policies.
    pub config: Config,
    /// How many clients connect at the beginning.
    pub clients: u8,
    /// How late the bridge's deadlines are served (ms).
    pub lag: u64,
    /// Clients answer questions without being told to.
    pub obliging: bool,
    /// The n-th process has the n-th manners, and so round again.
    pub agents: Vec<Manners>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// How an agent gives an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Quick,
    Slow,
    /// After the timeout.
    Late,
    Never,
    Refuse,
    Twice,
}

/// What an agent names its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Never the same twice.
    Unique,
    /// Counted per process: two processes use the same.
    Counter,
    /// The lowest that is free: one that was closed comes again.
    Reused,
    /// Counted per process, and spelled like aliases.
    Prefixed,
}

/// What comes before the answer to `session/new`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early {
    Nothing,
    Updates,
    /// A request, whose answer the agent waits for.
    Request,
}

/// What an agent does in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Updates,
    Permission,
    ReadFile,
    Bare,
    /// It asks for input, by the id of the prompt.
    Elicits,
}

/// How the sub-agents in an agent's turns come to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helpers {
    /// There are none.
    None,
    Announced,
    /// Their ids simply turn up.
    Silent,
}

/// When an agent leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    AtOnce,
    /// Within the grace, but not soon.
    Slowly,
    /// Deaf to the end of its stdin.
    OnTerm,
    /// Deaf to SIGTERM too.
    OnKill,
    /// Not even then.
    Never,
}

/// The manners of an agent.
#[derive(Clone, Debug)]
pub struct Manners {
    pub ids: Ids,
    pub can_close: bool,
    pub initialize: Answer,
    pub open: Answer,
    pub close: Answer,
    pub prompt: Answer,
    pub other: Answer,
    pub early: Early,
    pub turn: Turn,
    pub helpers: Helpers,
    /// Asks for input during a login, and does not wait for it.
    pub login_asks: bool,
    /// Speaks protocol version 2.
    pub passthrough: bool,
    pub leaving: Leaving,
    /// Goes on talking about sessions that it closed.
    pub chatty: bool,
    /// Does not react to `session/cancel`.
    pub headstrong: bool,
    /// Ends unasked when it receives its n-th message; 0: never.
    pub crash_at: u8,
}

/// One thing that happens. `u8` values pick among those that are there.
#[derive(Clone, Debug)]
pub enum Step {
    Wait(u64),
    Connect,
    New(u8, u8),
    Prompt(u8, u8),
    Close(u8, u8),
    Load(u8, u8),
    Resume(u8, u8),
    Fork(u8, u8),
    Cancel(u8, u8),
    Detach(u8, u8),
    DetachAll(u8),
    Delete(u8, u8),
    Heartbeat(u8, u8),
    SetMode(u8, u8),
    List(u8),
    Login(u8),
    Providers(u8),
    Extension(u8),
    Initialize(u8),
    Answer(u8, u8, u8),
    Withdraw(u8, u8),
    Nonsense(u8, u8),
    Vanish(u8),
    /// A client is lost and comes back on a connection of its own, for its sessions.
    Return(u8),
    Archive(u8, u8),
    ForkStored(u8, u8),
    /// A load, and a close of the same id before the load can be answered.
    LoadAndClose(u8, u8),
    /// A request of an unknown method, under an id that no open brought.
    About(u8, u8),
    PromptElsewhere(u8, u8),
    CloseElsewhere(u8, u8),
    /// A cancel, delete, fork or detach, under such an id.
    ActElsewhere(u8, u8, u8),
    /// A request of an unknown method, whose answer brings an id.
    Begin(u8),
    /// The thing that was begun so is used, or ended.
    GoOn(u8, u8, bool),
    AgentUpdates(u8, u8),
    AgentAsks(u8, u8, u8),
    AgentAsksElsewhere(u8, u8),
    /// A sub-agent begins to work in a turn, announced or not.
    AgentGetsHelp(u8, u8, bool),
    HelperUpdates(u8, u8),
    HelperAsks(u8, u8, u8),
    AgentElicits(u8, u8),
    AgentWithdraws(u8, u8),
    AgentRaves(u8, u8),
    AgentRepeats(u8),
    AgentCrashes(u8),
    AgentQuits(u8),
    SpawnFails,
    ClientSlow(u8, bool),
    AgentFull(u8, bool),
    /// An agent was updated, or its login handles are dead.
    Outdate(u8, u8),
    Pause,
    Preheat,
    EarlyTimeout,
    End(ShutdownCause),
}

/// The limits that the histories vary; all of them short.
pub fn plain() -> Config {
    let mut config = Config::default();
    // `tests/bridge/revivals` has histories of sessions that are brought back.
    config.agent.restore = Restore::None;
    config.agent.channel_idle_timeout = Limit::After(500);
    config.agent.session_idle_timeout = Limit::After(300);
    config.agent.attached_idle_timeout = Limit::After(600);
    config.limits.session_reap_interval = Limit::After(100);
    config.agent.initialize_timeout = Limit::After(300);
    config.agent.session_open_timeout = Limit::After(200);
    config.agent.session_close_timeout = Limit::After(100);
    config.limits.permission_timeout = Limit::After(1_500);
    config.agent.stdin_grace = Limit::After(40);
    config.agent.term_grace = Limit::After(40);
    config.agent.kill_grace = Limit::After(40);
    config.limits.shutdown_timeout = 400;
    config.agent.restart_limit = 0;
    config.agent.restart_window = 5_000;
    config.limits.extension_events = ExtensionEvents::On;
    config
}

/// Manners without a fault.
pub fn polite() -> Manners {
    Manners {
        ids: Ids::Unique,
        can_close: true,
        initialize: Answer::Quick,
        open: Answer::Quick,
        close: Answer::Quick,
        prompt: Answer::Quick,
        other: Answer::Quick,
        early: Early::Nothing,
        turn: Turn::Updates,
        helpers: Helpers::None,
        login_asks: false,
        passthrough: false,
        leaving: Leaving::AtOnce,
        chatty: false,
        headstrong: false,
        crash_at: 0,
    }
}

/// One of several, the first for 0.
fn pick<T: Clone>(byte: u8, of: &[T]) -> T {
    of[usize::from(byte) * of.len() / 256].clone()
}

fn config(bytes: &[u8; 16]) -> Config {
    use Limit::{After, Never};
    let plain = plain();
    let mut config = plain;
    config.agent.channel_idle_timeout =
        pick(bytes[0], &[After(500), After(0), After(0), Never, After(50)]);
    config.agent.session_idle_timeout =
        pick(bytes[1], &[After(300), After(40), After(1), Never, After(0)]);
    config.agent.attached_idle_timeout = pick(bytes[2], &[After(600), After(30), Never]);
    config.limits.session_reap_interval =
        pick(bytes[3], &[After(100), After(20), After(7), Never, After(0)]);
    config.agent.idle_policy = pick(bytes[4], &[IdlePolicy::Detached, IdlePolicy::All]);
    config.agent.background_work = pick(bytes[5], &[BackgroundWork::Ignore, BackgroundWork::Keep]);
    config.limits.max_sessions = pick(bytes[6], &[0, 0, 0, 2, 1]);
    config.limits.at_capacity = pick(bytes[7], &[AtCapacity::Evict, AtCapacity::Refuse]);
    config.limits.max_channels = pick(bytes[8], &[0, 0, 0, 2, 1]);
    config.agent.share = pick(bytes[9], &[Share::Agent, Share::Agent, Share::Cwd, Share::Session]);
    config.agent.sessions_per_channel = pick(bytes[10], &[0, 0, 2, 1]);
    config.agent.package_max_age = pick(bytes[10].wrapping_mul(7), &[Never, Never, After(200)]);
    config.agent.max_husks = pick(bytes[11], &[0, 2, 1]);
    config.agent.prompt_queue = pick(bytes[12], &[PromptQueue::Others, PromptQueue::All]);
    config.agent.permission_policy =
        pick(bytes[13], &[PermissionPolicy::Originator, PermissionPolicy::All]);
    config.agent.prompt_timeout = pick(bytes[14], &[Never, Never, After(150)]);
    config.agent.restart_limit = pick(bytes[15], &[0, 0, 2]);
    config.limits.max_queued_prompts = pick(bytes[15].wrapping_mul(7), &[8, 1]);
    // Strikes are reported and nobody is replaced: what clients see must not change.
    config.agent.liveness_interval =
        pick(bytes[15].wrapping_mul(11), &[Never, After(20), After(150)]);
    config.agent.liveness_strikes = 0;
    config.limits.lost_client_timeout =
        pick(bytes[1].wrapping_mul(13), &[Never, Never, After(0), After(25), After(120)]);
    config.limits.lost_turn_timeout =
        pick(bytes[2].wrapping_mul(13), &[Never, Never, After(0), After(15), After(90)]);
    config.limits.saturation_grace = pick(bytes[3].wrapping_mul(13), &[Never, After(0), After(60)]);
    config
}

fn manners(bytes: &[u8; 16]) -> Manners {
    use Answer::*;
    let well = [Quick, Quick, Quick, Quick, Quick, Quick, Slow, Slow, Twice, Late, Never, Refuse];
    let badly = [Quick, Quick, Slow, Twice, Late, Never, Refuse];
    Manners {
        ids: pick(bytes[0], &[Ids::Unique, Ids::Counter, Ids::Counter, Ids::Reused, Ids::Prefixed]),
        can_close: pick(bytes[1], &[true, true, true, false]),
        initialize: pick(bytes[2], &[Quick, Quick, Quick, Quick, Quick, Quick, Slow, Late, Refuse]),
        open: pick(bytes[3], &well),
        close: pick(bytes[4], &badly),
        prompt: pick(bytes[5], &badly),
        other: pick(bytes[6], &badly),
        early: pick(bytes[7], &[Early::Nothing, Early::Nothing, Early::Updates, Early::Request]),
        turn: pick(
            bytes[8],
            &[Turn::Updates, Turn::Permission, Turn::ReadFile, Turn::Bare, Turn::Elicits],
        ),
        helpers: pick(
            bytes[12],
            &[Helpers::None, Helpers::None, Helpers::Announced, Helpers::Silent],
        ),
        login_asks: pick(bytes[13], &[false, true]),
        passthrough: bytes[14] > 230,
        leaving: pick(
            bytes[9],
            &[Leaving::AtOnce, Leaving::Slowly, Leaving::Slowly, Leaving::OnTerm, Leaving::OnKill],
        ),
        chatty: pick(bytes[10], &[false, true]),
        headstrong: pick(bytes[10].wrapping_mul(5), &[false, false, true]),
        crash_at: if bytes[11] > 200 { bytes[11] % 8 + 1 } else { 0 },
    }
}

/// How often each step comes, by its place in a row of [`KINDS`].
fn step((kind, who, what): (u8, u8, u8)) -> Step {
    let small = |byte: u8| byte % 8;
    let (a, b) = (small(who), small(what));
    match kind {
        0..=5 => Step::Wait(pick(what, &[1, 2, 5, 10])),
        6..=9 => Step::Wait(pick(what, &[20, 40, 60, 110])),
        10..=12 => Step::Wait(pick(what, &[250, 600, 1_600])),
        13 => Step::Wait(pick(what, &[2_500, 61_000])),
        14..=17 => Step::Connect,
        18..=29 => Step::New(a, b),
        30..=41 => Step::Prompt(a, b),
        42..=47 => Step::Close(a, b),
        48..=53 => Step::Load(a, b),
        54 => Step::Resume(a, b),
        55 => Step::Fork(a, b),
        56..=58 => Step::Cancel(a, b),
        59..=60 => Step::Detach(a, b),
        61 => Step::DetachAll(a),
        62..=63 => Step::Delete(a, b),
        64 => Step::Heartbeat(a, b),
        65..=66 => Step::SetMode(a, b),
        67 => Step::List(a),
        68 => Step::Login(a),
        69 => Step::Providers(a),
        70 => Step::Extension(a),
        71 => Step::Initialize(a),
        72..=77 => Step::Answer(a, b, what / 8),
        78..=79 => Step::Withdraw(a, b),
        80 => Step::Nonsense(a, b),
        81..=83 => Step::Vanish(a),
        84..=85 => Step::AgentUpdates(a, b),
        86..=87 => Step::AgentAsks(a, b, what / 8),
        88 => Step::AgentAsksElsewhere(a, b),
        89 => Step::AgentWithdraws(a, b),
        90 => Step::AgentRaves(a, b),
        91 => Step::AgentRepeats(a),
        92 => Step::AgentCrashes(a),
        93 => Step::AgentQuits(a),
        94 => Step::SpawnFails,
        95 => Step::ClientSlow(a, what < 128),
        96 => Step::AgentFull(a, what < 128),
        97 if what > 100 => Step::Pause,
        97 => Step::Preheat,
        98 if what > 100 => Step::Outdate(a, b),
        98 => Step::EarlyTimeout,
        99 if what > 160 => {
            Step::End(pick(who, &[ShutdownCause::StdinEnded, ShutdownCause::Signal("SIGTERM")]))
        }
        99 => Step::EarlyTimeout,
        100..=101 => Step::Return(a),
        102..=103 => Step::Archive(a, b),
        104..=105 => Step::ForkStored(a, b),
        106..=108 => Step::LoadAndClose(a, b),
        109..=111 => Step::About(a, b),
        112..=113 => Step::PromptElsewhere(a, b),
        114..=115 => Step::CloseElsewhere(a, b),
        116..=117 => Step::ActElsewhere(a, b, what / 8),
        118..=120 => Step::Begin(a),
        121..=123 => Step::GoOn(a, b, what < 160),
        124..=127 => Step::AgentGetsHelp(a, b, what < 128),
        128..=131 => Step::HelperUpdates(a, b),
        132..=133 => Step::HelperAsks(a, b, what / 8),
        134..=135 => Step::AgentElicits(a, b),
        // In a turn there is more to see.
        _ => Step::Prompt(a, b),
    }
}

/// The places in the row of steps.
const KINDS: u8 = 140;

/// Every history there is.
pub fn histories() -> impl Strategy<Value = History> {
    let agents = prop::collection::vec(prop::array::uniform16(any::<u8>()), 1..4);
    let steps = prop::collection::vec((0..KINDS, any::<u8>(), any::<u8>()), 20..75);
    let world = (any::<u64>(), prop::array::uniform16(any::<u8>()), 0_u64..4, any::<bool>());
    (world, 1_u8..4, agents, steps).prop_map(|(world, clients, agents, steps)| {
        let (seed, bytes, lag, obliging) = world;
        History {
            seed,
            config: config(&bytes),
            clients,
            lag,
            obliging,
            agents: agents.iter().map(manners).collect(),
            steps: steps.into_iter().map(step).collect(),
        }
    })
}
