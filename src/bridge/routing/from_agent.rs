//! The treatment of each message of an agent.

use bytes::Bytes;

use crate::bridge::books::addressee::Addressee;
use crate::bridge::books::call::{Asker, Call, Purpose};
use crate::bridge::books::channel::{Channel, ChannelState, Said};
use crate::bridge::books::passing::Owner;
use crate::bridge::books::session_names::Name;
use crate::bridge::channels::{handshake, set_up_replay, stop, waiting};
use crate::bridge::effect::Effect;
use crate::bridge::id::{CallId, ChannelId, ClientId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::{answer, deliver, dropped, passing_ids, translate};
use crate::bridge::reason::{DropReason, NotAcp, StopReason};
use crate::bridge::routing::{
    fanout, pass_on, passthrough, session_list, stored_sessions, stray_lines,
};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::{
    attach, close_call, opened, question, question_end, reapply, repeated_login, setting, turn,
};
use crate::bridge::settings::Told;
use crate::bridge::step::Step;
use crate::bridge::update::{Part, StateKind, UpdateKind};
use crate::wire::json::quoted;
use crate::wire::{Frame, FrameKind, Malformed, Method, Run};

/// Handles a line of an agent.
pub fn frame(step: &mut Step<'_>, channel: ChannelId, frame: Result<Frame, Malformed>) {
    let now = step.now;
    // The channel's exit may be reported before its last lines.
    let Some(row) = step.books.channel_in_passing(channel) else { return };
    row.clock.heard(now);
    if let ChannelState::Starting { wrote, .. } = &mut row.state {
        wrote.add(frame.is_ok(), now);
        step.books.touch_channel(channel);
    }
    let frame = match frame {
        Ok(frame) => frame,
        Err(malformed) => match stray_lines::line(step, channel, malformed) {
            Some(missing) => missing,
            None => return,
        },
    };
    let frame = frame.with_result();
    match frame.kind {
        FrameKind::Success | FrameKind::Failure => answer(step, channel, &frame),
        FrameKind::Request => request(step, channel, &frame),
        FrameKind::Notification => notification(step, channel, &frame),
    }
}

/// Handles updates of one session at once, if they are for a client that gets them as they are.
/// Returns them if each must be handled by itself.
pub fn run(step: &mut Step<'_>, channel: ChannelId, run: Run) -> Option<Run> {
    let now = step.now;
    let row = step.books.channel_in_passing(channel).filter(|row| !row.is_stopping());
    let Some(row) = row else { return Some(run) };
    let Some(Name::Session(key)) = row.names.named_in(run.first()) else { return Some(run) };
    row.clock.heard(now);
    deliver::run(step, key, run)
}

fn request(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    if frame.method == Method::Initialize
        && step.books.channel(channel).is_some_and(Channel::is_starting)
    {
        return stop::begin(step, channel, StopReason::NotAcp(NotAcp::Echo));
    }
    if question::refused(step, channel, frame) {
        return;
    }
    if step.books.is_passthrough(channel) {
        passthrough::to_client(step, channel, frame);
    } else {
        question::asked(step, channel, frame);
    }
}

fn notification(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    if frame.method == Method::CancelRequest {
        return question_end::withdrawn_by_agent(step, channel, frame);
    }
    if frame.method != Method::SessionUpdate && frame.method_name().starts_with("_drawbridge/") {
        // Nobody but the bridge speaks for the bridge.
        return dropped::of_agent(step, channel, frame, DropReason::OfBridge);
    }
    let Some(row) = step.books.channel_in_passing(channel) else {
        return step.books.absent(channel);
    };
    if row.is_stopping() {
        return dropped::of_agent(step, channel, frame, DropReason::Late);
    }
    match row.names.named_in(frame) {
        Some(Name::Session(key)) => deliver::update(step, key, frame),
        // A channel without multiplexing has no names.
        _ if step.books.is_passthrough(channel) => to_everyone(step, channel, frame),
        Some(Name::Passing(_)) | None => of_no_session(step, channel, frame),
    }
}

/// Handles a notification that names no live session.
fn of_no_session(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    let addressee = step.books.addressee(channel, frame);
    let is_known =
        matches!(addressee, Addressee::Named(_) | Addressee::Opening(_) | Addressee::Closed);
    if !is_known && frame.session().is_some() && step.books.replays_silently(channel) {
        // A part of the replay, about a sub-agent.
        step.outgoing.counters.muted += 1;
        return;
    }
    match addressee {
        Addressee::Named(name) => deliver::named(step, name, frame),
        Addressee::Opening(open) => within_open(step, channel, open, frame),
        Addressee::Closed => {
            dropped::of_agent(step, channel, frame, DropReason::Late);
            if let Some(child) = deliver::announced_child(frame) {
                passing_ids::announced_too_late(step, channel, &child);
            }
        }
        Addressee::Client(client) => to_one(step, channel, client, frame),
        Addressee::Request(call) => {
            if let Some((client, _)) = step.books.asker_on(channel, call) {
                deliver::to_client(step, channel, client, frame);
            }
        }
        Addressee::Everyone => to_everyone(step, channel, frame),
        Addressee::Nobody => {
            dropped::of_agent(step, channel, frame, DropReason::UnknownSession);
            question::no_addressee(step, channel, frame);
        }
    }
}

fn to_everyone(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    let clients = step.books.clients_of(channel);
    if clients.is_empty() {
        dropped::of_agent(step, channel, frame, DropReason::NoReceiver);
    }
    for client in clients {
        step.send_to_client(client, channel, frame.whole());
    }
}

/// Sends a notification to the one client that it can be for. What decided that stays
/// bound.
fn to_one(step: &mut Step<'_>, channel: ChannelId, client: ClientId, frame: &Frame) {
    let passing = frame.session().and_then(|id| passing_ids::bound(step, channel, client, &id));
    if let Some(key) = passing {
        return deliver::named(step, Name::Passing(key), frame);
    }
    question::bind_handles(step, channel, client, frame);
    deliver::to_client(step, channel, client, frame);
}

/// Handles a notification about a session that is being opened: it passes at once if the
/// open restores that session, and is an early frame if the session is new.
fn within_open(step: &mut Step<'_>, channel: ChannelId, open: CallId, frame: &Frame) {
    let stage = step.books.sent_now(channel, step.now);
    let Some(call) = step.books.call_in_passing(open) else { return step.books.absent(open) };
    // The public id of the session that the open restores, where that is another one.
    let restored = call.opening().and_then(|opening| {
        opening.restores()?;
        Some(opening.public_id.clone().filter(|public| Some(public) != opening.agent_id.as_ref()))
    });
    let Some(public) = restored else {
        let Some(agent_id) = frame.session() else { return step.books.absent(open) };
        let only = step.books.only_client(channel);
        let Some(row) = step.books.channel_in_passing(channel) else {
            return step.books.absent(channel);
        };
        if !row.early.hold(&agent_id, frame, only) {
            dropped::of_agent(step, channel, frame, DropReason::Early);
        }
        return;
    };
    // The agent replays the history before it answers. That shows that it works, so the
    // timeout of the restore begins anew.
    call.stage = stage;
    let client = call.client();
    let part = UpdateKind::of(frame).part();
    let is_muted = matches!(call.asker, Asker::Revival(_)) && part != Part::Moment;
    if let Purpose::Open(opening) = &mut call.purpose {
        opening.replayed.has_history |= part.is_replayed();
        opening.replayed.settings.tell_all(&Told::in_update(frame));
    }
    step.books.record_replayed(open, part, frame.bytes());
    #[cfg(feature = "seeded-bugs")]
    let is_muted = is_muted && !seeded::is(seeded::Bug::ShowMutedReplay);
    if is_muted && UpdateKind::of(frame) != UpdateKind::Unnamed {
        return silently(step, channel, open, part, frame);
    }
    let child = deliver::announced_child(frame);
    // The client may be gone: then the notification is dropped, and nobody else is told what
    // the sub-agent that it names says later.
    let Some(client) = client else {
        if let Some(child) = child {
            passing_ids::announced_too_late(step, channel, &child);
        }
        return;
    };
    // The session has no row yet that could be the owner.
    let owner = Owner::Client(client);
    let key = child.as_ref().and_then(|id| passing_ids::announced(step, channel, owner, id));
    if let Some(Call { purpose: Purpose::Open(opening), .. }) = step.books.call_in_passing(open) {
        opening.children.extend(key);
    }
    let shown = child.and_then(|child| step.books.alias(channel, &child).map(Into::into));
    let edits = [(frame.session_place(), public), (frame.child_session_place(), shown)];
    let edits = edits.into_iter().filter_map(|(place, public)| {
        let public: Box<str> = public?;
        Some((place?, Bytes::from(quoted(&public))))
    });
    let outgoing = translate::edited(frame, None, edits.collect());
    step.send_to_client(client, channel, outgoing);
    if let Some(child) = key {
        deliver::early(step, child);
    }
}

/// Handles an update within the restore of a session that the bridge brings back: the history is not
/// shown, and the settings are, when they are what they were. The rest of its state goes to those
/// that are dormant in it.
fn silently(step: &mut Step<'_>, channel: ChannelId, open: CallId, part: Part, frame: &Frame) {
    let is_shown =
        matches!(part, Part::State(kind) if !matches!(kind, StateKind::Mode | StateKind::Options));
    let opening = step.books.call(open).and_then(Call::opening);
    let parked = opening.and_then(|opening| step.books.parked(opening.revives?));
    let Some(row) = parked.filter(|_| is_shown) else {
        step.outgoing.counters.muted += 1;
        return;
    };
    let (clients, id) = (row.clients.clone(), Bytes::from(quoted(&row.id)));
    for client in clients {
        let edit = frame.session_place().map(|place| (place, id.clone()));
        let outgoing = translate::edited(frame, None, edit.into_iter().collect());
        step.effect(Effect::Fence { client, lane: channel.into() });
        step.send_to_client(client, channel, outgoing);
    }
}

/// Handles the end of the last open that early frames may have been about: what is left
/// names sessions that no open has brought.
pub fn early_is_over(step: &mut Step<'_>, channel: ChannelId) {
    let is_ending = step.books.is_ending();
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    // An open that the bridge has refused may have brought the session all the same.
    if is_ending || !row.overdue.is_empty() || row.is_stopping() {
        step.outgoing.counters.early_frames += row.early.clear() as u64;
        return step.books.expect_no_more(channel);
    }
    for (id, client, frames) in row.early.take_all() {
        let is_known = |row: &Channel| row.names.contains(&id) || row.tombstones.contains(&id);
        let client = client.filter(|client| step.books.client(*client).is_some());
        if !step.books.channel(channel).is_some_and(is_known) {
            let Some(client) = client else {
                step.outgoing.counters.early_frames += frames.len() as u64;
                continue;
            };
            passing_ids::bound(step, channel, client, &id);
            question::adopt(step, channel, &id);
        }
        for frame in frames {
            notification(step, channel, &frame);
        }
    }
    step.books.expect_no_more(channel);
}

fn answer(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    let asked = frame.number().map(CallId).and_then(|id| {
        let call = step.books.call(id)?;
        let is_open = call.channel == Some(channel) && !call.is_unsent();
        is_open.then(|| (id, call.purpose.clone(), call.client()))
    });
    let Some((id, purpose, client)) = asked else {
        return stray_lines::answer(step, channel, frame);
    };
    // Questions about the request end before its answer.
    question_end::of_call(step, channel, id);
    if frame.id().is_text() && step.books.say_once(channel, Said::TextIds) {
        step.publish(Notice::TextIds { channel });
    }
    match purpose {
        Purpose::Initialize => handshake::answered(step, channel, id, frame),
        Purpose::Open(_) => opened::answered(step, channel, id, frame),
        Purpose::Close(agent_id) => close_call::answered(step, channel, id, &agent_id, frame),
        Purpose::Part(fanout) => {
            step.books.take_call(id);
            step.books.part_answered(fanout, frame);
        }
        Purpose::FanoutOfOne(request) => {
            answer::forward(step, id, frame);
            let pool = step.books.channel(channel).and_then(|row| row.pool);
            if let (FrameKind::Success, Some(pool)) = (frame.kind, pool) {
                fanout::all_succeeded(step, pool, &request, &[channel]);
            }
        }
        Purpose::SetUpReplay { needed } => {
            step.books.take_call(id);
            set_up_replay::answered(step, channel, needed, frame);
        }
        Purpose::Prompt => turn::answered(step, id, frame),
        Purpose::Login(request) => {
            answer::forward(step, id, frame);
            set_up_replay::logged_in(step, channel, &request, frame);
        }
        Purpose::List => session_list::answered(step, channel, id, frame),
        Purpose::WithoutSession { unknown } => {
            pass_on::answered(step, channel, id, frame);
            if unknown
                && let Some(client) = client
                && frame.kind == FrameKind::Success
                && let Some(row) = step.books.channel_mut(channel)
            {
                row.leases.insert(client);
            }
        }
        Purpose::Setting(request) => setting::answered(step, id, frame, &request),
        Purpose::Reapply(setting) => reapply::answered(step, id, *setting, frame),
        Purpose::PassedOn { .. } | Purpose::InSession => {
            pass_on::answered(step, channel, id, frame);
        }
        Purpose::Reload { attached } => attach::reloaded(step, id, frame, attached),
        Purpose::Stored { ends, .. } => stored_sessions::answered(step, id, ends, frame),
        Purpose::Removal => stored_sessions::removed(step, id, frame),
        Purpose::RepeatedLogin { .. } => {
            repeated_login::answered(step, channel, id, frame);
            waiting::send_all(step, channel);
        }
        Purpose::BehindOpen(_) => step.books.absent(id),
    }
}
