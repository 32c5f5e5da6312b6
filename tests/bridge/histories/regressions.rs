//! Histories that once failed, as plain tests; each name says the fault.

use drawbridge::bridge::config::{BackgroundWork, IdlePolicy};
use drawbridge::bridge::{Config, Limit, ShutdownCause};

use super::history::{Answer, Helpers, History, Ids, Manners, Step, Step::*, plain, polite};
use super::world::run;

/// Plays a history with several orders of what happens at the same time.
fn holds(config: &Config, agents: &[Manners], steps: &[Step]) {
    for seed in 0..16 {
        let history = History {
            seed,
            config: config.clone(),
            clients: 1,
            lag: 0,
            obliging: false,
            agents: agents.to_vec(),
            steps: steps.to_vec(),
        };
        run(&history).unwrap_or_else(|why| panic!("with seed {seed}: {why}"));
    }
}

#[test]
fn a_load_that_the_end_of_its_session_outran_does_not_say_that_it_is_open() {
    let agent = Manners { open: Answer::Slow, close: Answer::Slow, ..polite() };
    let end = End(ShutdownCause::Signal("SIGTERM"));
    holds(&plain(), &[agent], &[Wait(10), New(0, 0), Wait(40), Load(0, 0), Wait(5), end]);
}

#[test]
fn who_waits_for_room_while_processes_are_looked_at_does_not_keep_the_step_from_ending() {
    let mut config = plain();
    config.limits.max_sessions = 1;
    config.agent.idle_policy = IdlePolicy::All;
    config.agent.background_work = BackgroundWork::Keep;
    holds(&config, &[polite()], &[Wait(10), New(0, 0), Wait(10), New(0, 0), Wait(20)]);
}

#[test]
fn a_look_at_processes_for_want_of_room_reaps_nothing_in_a_pause() {
    let mut config = plain();
    config.limits.max_sessions = 2;
    config.agent.idle_policy = IdlePolicy::All;
    config.agent.background_work = BackgroundWork::Keep;
    let steps = [Wait(10), Pause, New(0, 0), New(0, 0), Wait(600), Wait(250), New(0, 0), Wait(20)];
    holds(&config, &[polite()], &steps);
}

#[test]
fn a_question_about_a_terminal_is_not_kept_when_its_client_leaves() {
    let agent = Manners { prompt: Answer::Never, ..polite() };
    let steps = [
        Wait(10),
        New(0, 0),
        Wait(10),
        Prompt(0, 0),
        Wait(5),
        AgentAsks(0, 0, 2),
        Wait(5),
        DetachAll(0),
        Wait(5),
    ];
    holds(&plain(), &[agent], &steps);
}

#[test]
fn a_question_that_timed_out_was_of_use_to_its_session() {
    let steps = [
        Wait(10),
        New(0, 0),
        Wait(10),
        AgentAsks(0, 0, 0),
        Wait(10),
        Vanish(0),
        Wait(1_600),
        Wait(20),
    ];
    holds(&plain(), &[polite()], &steps);
}

#[test]
fn an_alias_leads_to_the_process_that_clients_know_by_it() {
    let mut config = plain();
    config.agent.sessions_per_channel = 1;
    config.agent.channel_idle_timeout = Limit::Never;
    let agent = Manners { ids: Ids::Counter, can_close: false, ..polite() };
    let steps =
        [Wait(10), New(0, 0), New(0, 0), Wait(20), DetachAll(0), Wait(1_600), Load(0, 1), Wait(10)];
    holds(&config, &[agent], &steps);
}

#[test]
fn a_new_session_does_not_take_the_name_of_one_that_is_being_restored() {
    let mut config = plain();
    config.agent.sessions_per_channel = 1;
    let quick = Manners { ids: Ids::Counter, ..polite() };
    let slow = Manners { open: Answer::Slow, ..quick };
    let steps = [
        Wait(10),
        New(0, 0),
        Wait(10),
        AgentCrashes(0),
        Wait(2_500),
        Load(0, 0),
        Wait(5),
        New(0, 0),
        Wait(60),
    ];
    holds(&config, &[quick, slow], &steps);
}

#[test]
fn a_close_at_an_agent_without_close_waits_for_its_last_request_and_no_longer() {
    let mut config = plain();
    config.agent.channel_idle_timeout = Limit::After(50);
    let agent = Manners { can_close: false, ..polite() };
    let steps = [Wait(10), New(0, 0), Wait(10), SetMode(0, 0), Close(0, 0), Wait(110)];
    holds(&config, &[agent], &steps);
}

#[test]
fn a_close_that_its_agent_never_heard_of_is_not_withdrawn_there() {
    let agent = Manners { can_close: false, prompt: Answer::Never, headstrong: true, ..polite() };
    let steps = [
        Wait(10),
        New(0, 0),
        Wait(10),
        Prompt(0, 0),
        Wait(5),
        Close(0, 0),
        Withdraw(0, 0),
        Wait(5),
    ];
    holds(&plain(), &[agent], &steps);
}

#[test]
fn a_load_of_a_live_session_has_a_timeout_too() {
    let steps = [
        Connect,
        Wait(10),
        New(0, 0),
        Wait(10),
        ClientSlow(0, true),
        Load(1, 0),
        Wait(2_500),
        EarlyTimeout,
    ];
    let mut config = plain();
    config.agent.session_idle_timeout = Limit::Never;
    holds(&config, &[polite()], &steps);
}

#[test]
fn a_session_that_comes_too_late_under_an_id_in_use_loses_no_request() {
    let agent = Manners {
        ids: Ids::Reused,
        open: Answer::Slow,
        close: Answer::Late,
        prompt: Answer::Never,
        headstrong: true,
        ..polite()
    };
    let steps = [
        Wait(10),
        New(0, 0),
        Wait(40),
        Prompt(0, 0),
        Wait(5),
        Close(0, 0),
        Wait(5),
        New(0, 0),
        Vanish(0),
        Wait(60),
    ];
    holds(&plain(), &[agent], &steps);
}

#[test]
fn a_restore_that_may_still_be_answered_is_not_sent_again() {
    let agent = Manners { can_close: false, open: Answer::Late, ..polite() };
    let steps =
        [Wait(10), Load(0, 0), Wait(60), Load(0, 0), Wait(5), Load(0, 0), Wait(250), Wait(250)];
    holds(&plain(), &[agent], &steps);
}

#[test]
fn a_close_waits_for_the_load_before_it_and_then_closes_the_session() {
    let agent = Manners { open: Answer::Slow, ..polite() };
    let steps = [
        Wait(10),
        New(0, 0),
        Wait(60),
        Close(0, 0),
        Wait(20),
        LoadAndClose(0, 0),
        Wait(60),
        Prompt(0, 0),
        Wait(20),
    ];
    holds(&plain(), &[agent], &steps);
}

#[test]
fn a_session_that_its_agent_refuses_to_delete_lives_on() {
    let agent = Manners { other: Answer::Refuse, ..polite() };
    let steps = [
        Wait(10),
        New(0, 0),
        Wait(10),
        Delete(0, 0),
        Wait(10),
        Archive(0, 0),
        Wait(10),
        Prompt(0, 0),
        Wait(20),
    ];
    holds(&plain(), &[agent], &steps);
}

#[test]
fn what_a_client_asks_of_a_sub_agent_leaves_the_parent_alone() {
    let agent = Manners { helpers: Helpers::Announced, ..polite() };
    for act in [ActElsewhere(0, 0, 0), ActElsewhere(0, 0, 1), ActElsewhere(0, 0, 2)] {
        let steps = [
            Wait(10),
            New(0, 0),
            Wait(10),
            Prompt(0, 0),
            Wait(20),
            act,
            Wait(20),
            CloseElsewhere(0, 0),
            Wait(20),
            Prompt(0, 0),
            Wait(20),
        ];
        holds(&plain(), std::slice::from_ref(&agent), &steps);
    }
}
