//! Agents that have a keeper: the effect of the keeper's reports on a row, and what
//! follows when a keeper is gone.

use std::io;

use nix::errno::Errno;
use tokio::task::JoinSet;

use super::Children;
use super::agent_process::{AgentProcess, Starting};
use super::exit::ExitPart;
use super::keeper_process::{missing, tell_refused};
use super::row::Row;
use super::start::Start;
use super::start_fault::{no_directory, not_started};
use super::sweeps::tell_swept;
use crate::bridge::{ChannelId, Event, ExitStatus};
use crate::keeper::message::{Report, StartFault};
use crate::processes::dead::End;

impl Children {
    /// Starts a keeper for a channel. Returns `false` if there are no keepers, or from now on
    /// none: then the caller starts the agent without one.
    ///
    /// # Errors
    /// The message of the system, if only this start fails: it is short of a resource at the
    /// moment, or no process can be started so.
    pub(super) fn spawn_keeper(
        &mut self,
        channel: ChannelId,
        start: &Start,
        tasks: &mut JoinSet<()>,
    ) -> Result<bool, String> {
        let Some(keepers) = &self.setup.keepers else { return Ok(false) };
        let program = start.program()?;
        let started = keepers.start(&program, start).and_then(|(kept, stdios)| {
            let reports = kept.reports(channel, self.wiring.to_loop.clone())?;
            Ok((kept, stdios, reports))
        });
        match started {
            Ok((kept, stdios, reports)) => {
                let starting = Starting { kept, stdios, start: start.clone(), asked: None };
                let parts = [ExitPart::Stdout, ExitPart::Stderr, ExitPart::Tree, ExitPart::Keeper];
                let process = AgentProcess::Starting(Box::new(starting));
                let mut row = Row::new(process, start, self.new_peer(), &parts);
                row.streams.push(tasks.spawn_local(reports));
                self.insert(channel, row);
                Ok(true)
            }
            Err(error) if is_of_this_start(&error) => Err(not_started(start.name(), None, &error)),
            Err(error) => {
                self.do_without_keepers(&error.to_string());
                Ok(false)
            }
        }
    }

    fn do_without_keepers(&mut self, why: &str) {
        if self.setup.keepers.take().is_some() {
            tell_refused(why);
        }
    }

    /// Handles a report of a keeper; `None`: the keeper is gone. Returns the event for the
    /// core, if there is one.
    pub(in crate::runtime) fn reported(
        &mut self,
        channel: ChannelId,
        report: Option<Report>,
        tasks: &mut JoinSet<()>,
    ) -> Option<Event> {
        let Some(report) = report else { return self.keeper_gone(channel, tasks) };
        match report {
            Report::Started(pid) => return self.started(channel, pid, tasks),
            Report::Failed(fault, errno) => return self.not_started(channel, fault, errno),
            Report::Refused(need, errno) => {
                self.do_without_keepers(&missing(need, errno));
                return self.start_again(channel, tasks);
            }
            Report::Exited(End::Code(code)) => {
                self.agent_ended(channel, ExitStatus::Code(code), tasks);
            }
            Report::Exited(End::Signal(signal)) => {
                self.agent_ended(channel, ExitStatus::Signal(signal), tasks);
            }
            Report::Gone(swept) => tell_swept(channel, &swept),
        }
        None
    }

    fn started(&mut self, channel: ChannelId, pid: u32, tasks: &mut JoinSet<()>) -> Option<Event> {
        let mut row = self.rows.remove(&channel)?;
        let stdios = match row.process {
            AgentProcess::Starting(starting) => {
                let Starting { kept, stdios, .. } = *starting;
                row.process = AgentProcess::WithKeeper(kept, pid);
                Some(stdios)
            }
            AgentProcess::WithKeeper(..) | AgentProcess::WithoutKeeper(_) => None,
        };
        self.rows.insert(channel, row);
        Some(self.connect(channel, pid, stdios?, tasks))
    }

    fn not_started(&mut self, channel: ChannelId, fault: StartFault, errno: i32) -> Option<Event> {
        let row = self.rows.get(&channel)?;
        let error = match (fault, &row.process) {
            (StartFault::Directory, AgentProcess::Starting(starting)) => {
                no_directory(&starting.start.cwd)
            }
            (StartFault::Program, AgentProcess::Starting(starting)) => {
                let path = starting.start.program().ok();
                let error = io::Error::from_raw_os_error(errno);
                not_started(starting.start.name(), path.as_deref(), &error)
            }
            // A report of a keeper whose agent runs.
            _ => return None,
        };
        self.release(channel);
        Some(Event::SpawnFailed { channel, error })
    }

    /// Starts an agent without a keeper, since its keeper could not start it or was killed.
    fn start_again(&mut self, channel: ChannelId, tasks: &mut JoinSet<()>) -> Option<Event> {
        let row = self.remove(channel)?;
        let AgentProcess::Starting(starting) = row.process else { return None };
        let Starting { kept, start, asked, .. } = *starting;
        self.leaving.push(kept.let_go());
        let event = self.spawn_own(channel, &start, (row.outbox, row.flow), tasks);
        if let (Some(order), Some(row)) = (asked, self.rows.get_mut(&channel)) {
            row.process.order(order);
        }
        Some(event)
    }

    /// Handles the end of a keeper, after its last report or without it.
    fn keeper_gone(&mut self, channel: ChannelId, tasks: &mut JoinSet<()>) -> Option<Event> {
        let row = self.rows.get(&channel)?;
        match (&row.process, row.exit.is_reaped()) {
            (AgentProcess::Starting(_), _) => {
                // That one keeper was killed is no reason to do without further keepers.
                tracing::warn!(
                    "{channel}: the keeper was killed before it started the agent; the agent is started without a keeper"
                );
                self.start_again(channel, tasks)
            }
            (AgentProcess::WithKeeper(kept, _), false) => {
                let cookie = kept.cookie().to_owned();
                tracing::warn!("{channel}: the keeper was killed; its agent is ended, too");
                self.agent_ended(channel, ExitStatus::Unknown, tasks);
                self.sweep(channel, cookie, tasks);
                None
            }
            _ => {
                self.part_done(channel, ExitPart::Tree, 0);
                None
            }
        }
    }

    /// Reaps the keepers that have ended.
    pub(super) fn reap_keepers(&mut self) {
        self.leaving.retain_mut(|keeper| matches!(keeper.try_wait(), Ok(None)));
        let mut reaped = Vec::new();
        for (channel, row) in &mut self.rows {
            if row.exit.waits_for(ExitPart::Keeper)
                && let Some(kept) = row.process.keeper()
                && kept.try_reap()
            {
                reaped.push(*channel);
            }
        }
        for channel in reaped {
            self.part_done(channel, ExitPart::Keeper, 0);
        }
    }
}

/// Whether an error concerns this start alone, and so is no reason to do without keepers: a
/// shortage that may soon be over, or something that no process can be started with.
fn is_of_this_start(error: &io::Error) -> bool {
    let shortages = [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE, Errno::E2BIG];
    error.kind() == io::ErrorKind::InvalidInput
        || error.raw_os_error().is_some_and(|errno| shortages.contains(&Errno::from_raw(errno)))
}
