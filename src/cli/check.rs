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
mod trial;

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use std::thread;

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use self::plan::Plan;
use self::report::Report;
use self::trial::Trial;
use super::commands::CheckArgs;
use super::exit_code::{UNUSABLE, USAGE};
use super::mode::Mode;
use super::print::failure;
use super::process_environment::ProcessEnvironment;
use super::resolve::{self, Resolved};
use super::scratch::Scratch;
use super::settings::Settings;
use crate::agent_command::Runs;
use crate::agent_environment;
use crate::control::report::one_line;
use crate::runtime::{AgentSetup, program_of};

/// The exit code after Ctrl-C, as that of shells.
const INTERRUPTED: i32 = 130;

/// Runs the check.
pub(super) fn check(arguments: CheckArgs) -> ExitCode {
    let CheckArgs { flags, prompt, wait, rest } = arguments;
    let environment = ProcessEnvironment::of_process();
    let settings = resolve::resolve(Mode::Run, &flags.0, &environment)
        .and_then(|Resolved { settings, .. }| settings.with_agent(rest.clone()));
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return failure(&error, USAGE),
    };
    let plan = Plan { settings, flags: flags.0, rest, prompt, wait };
    let mut report = Report::default();
    match tried(&plan, &mut report).and_then(|()| report.verdict(&plan.settings.config.agent.name))
    {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failure(&format_args!("the check failed: {error}"), UNUSABLE),
    }
}

fn tried(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let program = say_program(&plan.settings, report)?;
    let directory = Scratch::new("check")?;
    tidy_up_when_interrupted(directory.path().to_owned())?;
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
        (Ok(path), _) => report.say("program", &one_line(&path.to_string_lossy()))?,
        (Err(why), _) => report.problem("program", why)?,
    }
    let path = variables.iter().find(|(name, _)| name == "PATH");
    let path = path.map_or_else(|| "not set".into(), |(_, path)| path.to_string_lossy());
    report.say("PATH", &format!("{} (editors may have another one)", one_line(&path)))?;
    Ok(found.ok())
}

/// Runs the agent, and says all that can be seen of it; `None`: it does not work at all.
fn first_process(
    plan: &Plan,
    report: &mut Report,
    directory: &Scratch,
) -> io::Result<Option<Value>> {
    let mut trial = Trial::start(&plan.arguments(), plan.patience())?;
    let answer = match trial.introduced() {
        Ok((answer, took)) => {
            report
                .say("starts", &format!("initialize was answered after {}", report::time(took)))?;
            facts::say_agent(&answer, report)?;
            answer
        }
        Err(why) => {
            report.problem("starts", &why.to_string())?;
            report.quote("stderr", &trial.stderr())?;
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
        }
        Err(why) if why.wants_login() => {
            report.problem("session", &facts::login(&why, &answer))?;
            trial.weigh(report)?;
            end(&mut trial, report)?;
        }
        Err(why) => {
            report.problem("session", &why.to_string())?;
            report.quote("stderr", &trial.stderr())?;
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

/// Removes the directory before SIGINT or SIGTERM ends this process. The bridge ends with it.
fn tidy_up_when_interrupted(directory: PathBuf) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        let _ = std::fs::remove_dir_all(directory);
        // A signal ends the whole command, wherever it waits.
        #[allow(clippy::disallowed_methods)]
        exit(INTERRUPTED);
    })?;
    Ok(())
}
