//! The experience with agents that restore sessions: what is learned decides which sessions may be
//! ended by choice.

use crate::bridge::books::call::{Call, OpenKind, Opening};
use crate::bridge::effect::Effect;
use crate::bridge::id::ChannelId;
use crate::bridge::notice::Notice;
use crate::bridge::restore::{Experience, Record, Replay, Way};
use crate::bridge::step::Step;

/// Notes that an agent has brought a session back that had a record, but not as it was.
pub fn of_other_settings(step: &mut Step<'_>, channel: ChannelId) {
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let agent = step.books.agent(row.agent);
    let way = agent.trust.way(&row.agent_version, row.capabilities, agent.config.restore);
    if let Some(way) = way {
        note(step, channel, way, Experience::Refused);
    }
}

/// Notes what the refusal of a restore says of the agent: it counts if the session had a record.
pub fn of_refusal(step: &mut Step<'_>, channel: ChannelId, call: &Call, opening: &Opening) {
    let client = call.client().filter(|_| opening.restores().is_some());
    let public_id = opening.public_id.as_deref();
    let parked = client.zip(public_id).and_then(|(client, id)| {
        let key = step.books.parked_conversation(client, id, &opening.cwd)?;
        step.books.parked(key)
    });
    if let (Some(way), true) = (way(opening.kind), parked.is_some_and(|row| row.recipe.has_record))
    {
        note(step, channel, way, Experience::Refused);
    }
}

/// Notes what the success of a restore says of the agent. A load that replays nothing says little.
pub fn of_success(step: &mut Step<'_>, channel: ChannelId, opening: &Opening) {
    let Some(way) = way(opening.kind) else { return };
    if way == Way::Resume || opening.replayed.has_history {
        note(step, channel, way, Experience::Succeeded);
    }
}

/// Notes whether a part of the replay of a load has come after its answer.
pub fn of_replay(step: &mut Step<'_>, channel: ChannelId, came_late: bool) {
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let (agent, version) = (row.agent, row.agent_version.clone());
    let replay = if came_late { Replay::AfterAnswer } else { Replay::BeforeAnswer };
    if step.books.agent_mut(agent).trust.note_replay(&version, replay) {
        let record = Record { replay, ..Record::default() };
        step.effect(Effect::Experienced { version, record });
    }
}

/// The way in which an open restores a conversation.
fn way(kind: OpenKind) -> Option<Way> {
    match kind {
        OpenKind::Resume => Some(Way::Resume),
        OpenKind::Load => Some(Way::Load),
        OpenKind::New | OpenKind::Fork => None,
    }
}

fn note(step: &mut Step<'_>, channel: ChannelId, way: Way, experience: Experience) {
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let (agent, version) = (row.agent, row.agent_version.clone());
    let is_news = step.books.agent_mut(agent).trust.note(&version, way, experience);
    let is_refusal = experience == Experience::Refused;
    // Between two refusals a check may have said otherwise to the memory of all bridges.
    if is_news || is_refusal {
        let record = Record::only(way, experience);
        step.effect(Effect::Experienced { version, record });
    }
    if !is_news {
        return;
    }
    if is_refusal {
        let name = step.books.agent_name_on(channel);
        step.publish(Notice::RestoreDistrusted { channel, agent: name, method: way.method() });
    }
    step.books.touch_sessions_of(agent);
}
