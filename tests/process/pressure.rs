//! Peers that do not read, and peers that say nothing at all.

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::bridge::{Bridge, Setup};
use crate::client::{parsed, refusal};
use crate::memory::gives_back;
use crate::processes::{
    context_switches, eventually, is_stopped, may_look_into, peak_memory, send_signal, written,
};

/// Waits until a figure has not changed for a moment.
fn settled(what: &str, figure: impl Fn() -> u64) -> u64 {
    let mut last = None;
    eventually(what, || {
        let before = last.replace(figure());
        sleep(Duration::from_millis(250));
        before == last
    });
    last.expect("it was looked at")
}

#[test]
fn a_client_that_does_not_read_stops_its_agent_and_loses_nothing() {
    const CHUNKS: usize = 1000;
    const PARTS: usize = 10;
    let mut bridge = Setup::new(&["--outbox-bytes", "1048576"], &[]).unread().start();
    bridge.ask_to_initialize();
    bridge.logs("ready after");
    bridge.ask_for_session();
    bridge.logs("opened on");
    let agent = bridge.agent();
    let parts: Vec<String> =
        (0..PARTS).map(|part| format!("stream {CHUNKS} 20000\nsay part {part}")).collect();
    let turn = bridge.prompt("sess-1", &parts.join("\n"));
    let said = settled("the agent, made to wait", || written(agent));
    let whole = (CHUNKS * PARTS * 20_000) as u64;
    assert!(said > 500_000 && said < whole / 10, "{said} bytes of {whole}");
    let peak = peak_memory(bridge.pid());
    assert!(peak < 40 * 1024, "{peak} KiB");

    bridge.read_from_now_on();
    bridge.answer(1);
    bridge.opened(2);
    for part in 0..PARTS {
        for _ in 0..CHUNKS {
            let line = bridge.incoming();
            assert!(line.len() > 20_000 && line.contains("xxxx"), "{}", &line[..200]);
        }
        let text = parsed(&bridge.incoming())["params"]["update"]["content"]["text"].clone();
        assert_eq!(text, format!("part {part}"));
    }
    assert_eq!(parsed(&bridge.incoming())["id"], turn);
    let peak = peak_memory(bridge.pid());
    assert!(peak < 40 * 1024, "{peak} KiB");
    bridge.end();
}

#[test]
fn the_end_comes_even_if_the_client_never_reads() {
    let mut bridge = Setup::new(&["--outbox-bytes", "65536"], &[]).unread().start();
    bridge.ask_to_initialize();
    bridge.logs("ready after");
    bridge.ask_for_session();
    bridge.logs("opened on");
    let agent = bridge.agent();
    // More than the outbox may hold: the bridge does not read the agent any more.
    bridge.prompt("sess-1", "stream 100 100000");
    settled("the agent, made to wait", || written(agent));
    bridge.end();
}

#[test]
fn the_end_comes_even_if_the_client_leaves_its_own_answers() {
    let mut bridge = Setup::new(&["--outbox-bytes", "65536"], &[]).unread().start();
    bridge.ask_to_initialize();
    bridge.logs("ready after");
    // Refusals of many times what pipe and outbox hold: the client is not read any more.
    let pid = bridge.pid();
    bridge.write("1\n".repeat(4_000).as_bytes());
    if may_look_into(pid) {
        settled("the bridge, made to wait", || written(pid));
    }
    bridge.end();
}

#[test]
fn an_agent_that_writes_before_it_reads_on_is_listened_to() {
    // One thread: while it writes, it reads nothing.
    let script = r#"
        IFS= read -r line
        printf '%s\n' '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}'
        IFS= read -r line
        printf '%s\n' '{"jsonrpc":"2.0","id":2,"result":{"sessionId":"s"}}'
        IFS= read -r line
        update='{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"on and on"}}'
        count=0
        while [ $count -lt 2000 ]; do
            printf '%s\n' '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":'"$update"'}}'
            count=$((count + 1))
        done
        printf '%s\n' '{"jsonrpc":"2.0","id":3,"result":{"stopReason":"end_turn"}}'
        while IFS= read -r line; do :; done"#;
    let setup = Setup::with_command(&["--outbox-bytes", "65536"], &["sh", "-c", script]);
    let mut bridge = setup.start();
    let id = bridge.ask_to_initialize();
    bridge.find(|frame| frame["id"] == id);
    assert_eq!(bridge.new_session(), "s");
    let turn = bridge.prompt("s", "begin");
    // More than its outbox holds, and nobody takes it now.
    let params = json!({ "sessionId": "s", "text": "x".repeat(100_000) });
    for _ in 0..3 {
        bridge.request("_big", &params);
    }
    assert_eq!(bridge.answer(turn)["result"]["stopReason"], "end_turn");
    bridge.end();
}

#[test]
fn what_an_agent_takes_at_once_is_no_pressure() {
    let mut bridge = Bridge::ready(&["--outbox-bytes", "65536"], &[]);
    let session = bridge.new_session();
    for _ in 0..20 {
        // A whole batch, and most of the outbox, in one go.
        let requests: Vec<String> = (1_000..1_128)
            .map(|id| {
                let params = json!({ "sessionId": session, "text": "x".repeat(360) });
                json!({ "jsonrpc": "2.0", "id": id, "method": "_some", "params": params })
            })
            .map(|request| format!("{request}\n"))
            .collect();
        bridge.write(requests.concat().as_bytes());
        for _ in &requests {
            assert!(parsed(&bridge.incoming())["result"].is_object());
        }
    }
    assert!(!bridge.log().contains("does not read"), "{bridge}");
    bridge.end();
}

#[test]
fn an_agent_that_does_not_read_is_asked_no_more() {
    let mut bridge = Bridge::ready(&["--outbox-bytes", "65536"], &[]);
    let session = bridge.new_session();
    let agent = bridge.pid_of(&session);
    let turn = bridge.prompt(&session, "stop-self\nsay awake");
    eventually("the stop", || is_stopped(agent));
    let text = "x".repeat(40_000);
    let params = json!({ "sessionId": session, "text": text });
    let asked = [(); 20].map(|()| bridge.request("_big", &params));
    let refused = bridge.find(|frame| frame["error"].is_object());
    assert_eq!(refusal(&refused), (-32603, "agent_not_reading"));
    assert!(refused["error"]["data"]["retryAfterMs"].is_u64(), "{refused}");
    bridge.stash.push(refused.to_string());
    // A cancel is no request, and gets in.
    bridge.notify("session/cancel", &json!({ "sessionId": session }));

    send_signal(agent, Signal::SIGCONT);
    let mut taken = 0;
    for id in asked {
        let answer = bridge.answer(id);
        match answer["result"]["echo"]["text"].as_str() {
            Some(echo) => {
                assert!(echo == text);
                taken += 1;
            }
            None => assert_eq!(refusal(&answer), (-32603, "agent_not_reading")),
        }
    }
    assert!(taken > 0, "what was taken before is not lost");
    bridge.answer(turn);
    bridge.said(&session);
    eventually("requests are taken again", || bridge.call("_big", &params)["result"].is_object());
    assert_eq!(bridge.turn(&session, "say on"), ["on"]);
    bridge.end();
}

#[test]
fn a_cancel_gets_through_a_flood() {
    let mut bridge = Bridge::ready(&[], &[]);
    let session = bridge.new_session();
    let turn = bridge.prompt(&session, "stream 10000000 100");
    bridge.hears(&session);
    bridge.notify("session/cancel", &json!({ "sessionId": session }));
    let mut is_over = false;
    while !is_over {
        let line = bridge.incoming();
        is_over = !line.contains("session/update") && parsed(&line)["id"] == turn;
    }
    bridge.end();
}

#[test]
fn a_client_that_floods_nonsense_and_reads_nothing_waits_for_itself() {
    const LINES: usize = 200_000;
    let mut bridge = Setup::new(&["--outbox-bytes", "1048576"], &[]).unread().start();
    let mut stdin = bridge.take_stdin();
    let writer = std::thread::spawn(move || {
        for _ in 0..LINES / 1000 {
            stdin.write_all("x\n".repeat(1000).as_bytes()).expect("the bridge reads");
        }
        stdin
    });
    let pid = bridge.pid();
    settled("the bridge, which waits for its client", || context_switches(pid));
    assert!(!writer.is_finished(), "the client is made to wait");
    let peak = peak_memory(pid);
    assert!(peak < 28 * 1024, "{peak} KiB");

    bridge.read_from_now_on();
    for _ in 0..LINES {
        assert!(bridge.incoming().contains("-32700"));
    }
    drop(writer.join().expect("everything was written"));
    bridge.is_gone();
}

#[test]
fn an_agent_that_writes_and_does_not_read_blocks_only_itself() {
    let options = ["--share", "session", "--outbox-bytes", "65536"];
    let mut bridge = Bridge::ready(&options, &[]);
    let [stuck, free] = [bridge.new_session(), bridge.new_session()];
    let agent = bridge.pid_of(&stuck);
    bridge.prompt(&stuck, "stop-self");
    eventually("the stop", || is_stopped(agent));
    for _ in 0..10 {
        bridge.request("_big", &json!({ "sessionId": stuck, "text": "x".repeat(40_000) }));
    }
    assert_eq!(bridge.turn(&free, "say free"), ["free"]);
    send_signal(agent, Signal::SIGCONT);
    bridge.end();
}

#[test]
fn an_idle_bridge_does_not_wake_up() {
    let mut bridge = Setup::new(&[], &[]).start();
    // It wakes once to do so.
    gives_back(bridge.pid());
    bridge.initialize();
    let session = bridge.new_session();
    bridge.turn(&session, "say something");
    let pid = bridge.pid();
    let before = settled("a bridge at rest", || context_switches(pid));
    sleep(Duration::from_millis(500));
    assert_eq!(context_switches(pid), before, "{bridge}");
    assert_eq!(bridge.turn(&session, "say awake"), ["awake"]);
    bridge.end();
}

#[test]
fn an_answer_does_not_stand_behind_the_flood_of_another_channel() {
    let mut bridge = Setup::new(&["--share", "session"], &[]).unread().start();
    bridge.ask_to_initialize();
    bridge.logs("ready after");
    let asked = [bridge.ask_for_session(), bridge.ask_for_session()];
    eventually("both sessions", || bridge.log().matches(": opened on").count() == 2);
    // Far more than the pipe holds waits for a client that does not read.
    let flooding = bridge.prompt("sess-1", "stream 20000 200");
    let said = |bridge: &Bridge| bridge.others().into_iter().map(written).sum();
    settled("the flood", || said(&bridge));
    let quick = bridge.prompt("~1~sess-1", "say quick");
    settled("the quick answer", || said(&bridge));
    bridge.read_from_now_on();
    for id in asked {
        bridge.opened(id);
    }
    let mut before = 0;
    loop {
        let line = bridge.incoming();
        if parsed(&line)["id"] == quick {
            break;
        }
        assert_ne!(parsed(&line)["id"], flooding);
        before += line.len();
    }
    assert!(before < 256 * 1024, "{before} bytes of the flood came first");
    bridge.answer(flooding);
    bridge.end();
}
