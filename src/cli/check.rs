//! `drawbridge check`: does this agent work, through a bridge, and what can it do?
//!
//! The check is an editor in front of a bridge of its own, so that what it finds is what an editor
//! would find, and so that nothing stays behind in any way to die.

mod editors;
mod facts;
mod machine;
mod plan;
mod report;
mod restore;
mod running;
mod trial;

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use self::plan::Plan;
use self::report::Report;
use self::running::Running;
use self::trial::Trial;
use super::commands::CheckArgs;
use super::end_signals::EndSignals;
use super::exit_code::{UNUSABLE, USAGE};
use super::print::failure;
use super::scratch::Scratch;
use super::settings::Settings;
use crate::agent_command::Runs;
use crate::agent_environment;
use crate::processes;
use crate::runtime::{AgentSetup, program_of};

/// The time for the bridge to end when a signal ends the check.
const LONGEST_END: Duration = Duration::from_secs(5);

/// The pause between two looks whether it has.
const PAUSE: Duration = Duration::from_millis(10);

/// Runs the check.
pub(super) fn check(arguments: CheckArgs) -> ExitCode {
    let plan = match Plan::of(arguments) {
        Ok(plan) => plan,
        Err(error) => return failure(&error, USAGE),
    };
    let mut report = Report::default();
    let tried = tried(&plan, &mut report);
    plan.running.wait_if_interrupted();
    match tried.and_then(|()| report.verdict(&plan.settings.config.agent.name)) {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failure(&format_args!("the check failed: {error}"), UNUSABLE),
    }
}

fn tried(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let program = say_program(&plan.settings, report)?;
    let directory = Scratch::new("check")?;
    tidy_up_when_interrupted(directory.path().to_owned(), plan.running.clone())?;
    let Some(answer) = first_process(plan, report, &directory)? else { return Ok(()) };
    machine::say(report)?;
    editors::say(plan, program.as_deref(), &answer, report)
}

/// Says which program is meant, and by which `PATH` it is found.
fn say_program(settings: &Settings, report: &mut Report) -> io::Result<Option<PathBuf>> {
    let variables = agent_environment::of_process();
    let setup = AgentSetup {
        command: settings.agent.clone(),
        passing: settings.passing.clone(),
        ..AgentSetup::default()
    };
    let found = program_of(&setup, &variables, &env::current_dir()?);
    let runs = Runs::of(&settings.agent);
    match (&found, runs) {
        (Ok(path), Some(Runs::Package(name))) => {
            report.say("program", &format!("{}, for the package {name}", path.display()))?;
        }
        (Ok(path), _) => report.say("program", &path.to_string_lossy())?,
        (Err(why), _) => report.problem("program", why)?,
    }
    let path = variables.iter().find(|(name, _)| name == "PATH");
    let path = path.map_or_else(|| "not set".into(), |(_, path)| path.to_string_lossy());
    report.say("PATH", &format!("{path} (editors may have another one)"))?;
    Ok(found.ok())
}

/// Runs the agent, and says all that can be seen of it; `None`: it does not work at all.
fn first_process(
    plan: &Plan,
    report: &mut Report,
    directory: &Scratch,
) -> io::Result<Option<Value>> {
    let mut trial = Trial::start(plan)?;
    let answer = match trial.introduced() {
        Ok((answer, took)) => {
            report
                .say("starts", &format!("initialize was answered after {}", report::time(took)))?;
            facts::say_agent(&answer, report)?;
            answer
        }
        Err(why) => {
            let why = why.to_string();
            report.problem("starts", &why)?;
            report.quote("stderr", &trial.stderr(&why))?;
            end(&mut trial, report)?;
            return Ok(None);
        }
    };
    match trial.opened(directory.path()) {
        Ok((result, took)) => {
            report.say(
                "session",
                &format!("session/new was answered after {}", report::time(took)),
            )?;
            facts::say_session(&result, report)?;
            let session = facts::text(&result["sessionId"]).to_owned();
            let has_turn = match &plan.prompt {
                Some(prompt) => trial.turn(&session, prompt, report)?,
                None => false,
            };
            trial.weigh(report)?;
            trial.close(&session, report)?;
            end(&mut trial, report)?;
            if let Some(prompt) = plan.prompt.as_deref().filter(|_| has_turn) {
                restore::tried(plan, &answer, (&session, prompt), directory.path(), report)?;
            }
            restore::leave_nothing(plan, &answer, &session, report)?;
        }
        Err(why) => {
            let said = match why.wants_login() {
                true => facts::login(&why, &answer),
                false => why.to_string(),
            };
            report.problem("session", &said)?;
            report.quote("stderr", &trial.stderr(&why.to_string()))?;
            trial.weigh(report)?;
            end(&mut trial, report)?;
        }
    }
    Ok(Some(answer))
}

/// Ends the first process, and says so.
fn end(trial: &mut Trial, report: &mut Report) -> io::Result<()> {
    match trial.quit()? {
        Ok(took) => report.say("ends", &format!("no process is left after {}", report::time(took))),
        Err(why) => report.problem("ends", &why),
    }
}

/// Ends the bridge and removes the directory before a signal ends this process.
fn tidy_up_when_interrupted(directory: PathBuf, running: Running) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        EndSignals::new()?
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        let number = runtime.block_on(signals.next());
        // An agent that still runs could make the directory again.
        if let Some(pid) = running.interrupt() {
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM);
            let mut left = LONGEST_END;
            while processes::at(pid).is_some_and(|entry| !entry.is_zombie) && !left.is_zero() {
                thread::sleep(PAUSE);
                left = left.saturating_sub(PAUSE);
            }
        }
        let _ = std::fs::remove_dir_all(directory);
        // A signal ends the whole command, wherever it waits.
        #[allow(clippy::disallowed_methods)]
        exit(128 + number);
    })?;
    Ok(())
}
