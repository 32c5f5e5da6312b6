//! Surveys of a channel's process tree: one look is enough for all sessions and husks of the
//! channel.

use crate::bridge::books::channel::Survey;
use crate::bridge::effect::Effect;
use crate::bridge::event::Process;
use crate::bridge::id::ChannelId;
use crate::bridge::step::Step;
use crate::bridge::time::Moment;

/// Asks the runtime for a survey of a channel, unless one is under way.
pub fn ask(step: &mut Step<'_>, channel: ChannelId) {
    let Some(row) = step.books.channel_in_passing(channel) else {
        return step.books.absent(channel);
    };
    if std::mem::replace(&mut row.survey, Survey::Asked) != Survey::Asked {
        step.effect(Effect::Survey(channel));
    }
}

/// Notes the result of a survey; `None`: it failed.
pub fn came(step: &mut Step<'_>, channel: ChannelId, processes: Option<Vec<Process>>) {
    let now = step.now;
    // The channel may have exited during the survey.
    let Some(row) = step.books.channel_mut(channel) else { return };
    if let Some(found) = &processes {
        let births: Vec<Moment> = found.iter().map(|process| process.born).collect();
        row.tombstones.count_processes(&births);
    }
    row.survey = match processes {
        Some(processes) => Survey::Seen { at: now, processes },
        None => Survey::Unknown,
    };
}
