//! Metrics and health over HTTP: what they say, and whom they are not told.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bridge::{Bridge, Setup};
use crate::processes::eventually;
use crate::scratch::Scratch;
use crate::site::DRAWBRIDGE;

/// The address of the metrics of a bridge.
fn address(pid: u32) -> String {
    metrics_of(pid).expect("an address")
}

/// The same; `None`: they are not served.
fn metrics_of(pid: u32) -> Option<String> {
    let status = Command::new(DRAWBRIDGE)
        .args(["status", "--json", "--bridge", &pid.to_string()])
        .output()
        .expect("it runs");
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    status[0]["bridge"]["metrics"].as_str().map(str::to_owned)
}

/// The status and the body of an answer to these lines.
fn said(address: &str, lines: &[&str]) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(address) else { return (0, String::new()) };
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut request = lines.join("\r\n");
    request.push_str("\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    // One that is not taken may end with an error.
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.unwrap_or_default(), body.to_owned())
}

fn get(address: &str, path: &str) -> (u16, String) {
    said(address, &[&format!("GET {path} HTTP/1.1"), &format!("Host: {address}")])
}

fn health(address: &str) -> (u16, Value) {
    let (status, body) = get(address, "/health?deep=1");
    (status, serde_json::from_str(&body).unwrap_or_default())
}

fn with_metrics(options: &[&str]) -> Bridge {
    let options = [&["--metrics-listen", "127.0.0.1:0"], options].concat();
    let mut bridge = Setup::new(&options, &[]).start();
    bridge.initialize();
    bridge
}

#[test]
fn metrics_and_health_follow_the_sessions() {
    let mut bridge = with_metrics(&[]);
    let address = address(bridge.pid());
    assert_eq!(get(&address, "/health"), (200, "{\"status\":\"ok\"}\n".to_owned()));
    let sessions: Vec<String> = (0..3).map(|_| bridge.new_session()).collect();
    let (status, counts) = health(&address);
    assert_eq!((status, &counts["sessions"], &counts["channels"]), (200, &json!(3), &json!(1)));
    let text = get(&address, "/metrics").1;
    assert!(text.contains("drawbridge_sessions{state=\"quiet\"} 3\n"), "{text}");
    assert!(text.contains("drawbridge_channels{state=\"ready\"} 1\n"), "{text}");
    // Nothing names a session, a directory or an agent.
    for private in [&*sessions[0], "agent-stub", "/tmp", "cl-1", "ch-1", "s-1"] {
        assert!(!text.contains(private), "{private}: {text}");
    }
    bridge.call_about("session/close", &sessions[0]);
    assert_eq!(health(&address).1["sessions"], 2);
    // The text may be a second old.
    let closed = "drawbridge_session_closes_total{reason=\"client_close\"} 1\n";
    eventually("the close is counted", || get(&address, "/metrics").1.contains(closed));
    assert_eq!(get(&address, "/other").0, 404);
    // One that drains says so, until it is gone.
    let prompt = bridge.prompt(&sessions[1], "sleep 60000");
    eventually("a turn runs", || health(&address).1["inTurn"] == 1);
    let pid = bridge.pid().to_string();
    let mut stop = Command::new(DRAWBRIDGE);
    let mut stop = stop.args(["stop", "--when-idle", "--bridge", &pid]).spawn().expect("it runs");
    eventually("it drains", || health(&address).0 == 503);
    assert_eq!(health(&address).1["status"], "draining");
    bridge.notify("session/cancel", &json!({"sessionId": sessions[1]}));
    bridge.answer(prompt);
    assert!(bridge.exit().success());
    assert!(stop.wait().expect("a child").success());
    assert!(TcpStream::connect(&address).is_err(), "nobody listens any more");
    bridge.end();
}

#[test]
fn nothing_is_told_to_a_page_or_to_a_name() {
    let bridge = with_metrics(&[]);
    let address = address(bridge.pid());
    let host = format!("Host: {address}");
    let line = "GET /metrics HTTP/1.1";
    for (lines, status) in [
        (&[line, &host, "Origin: http://evil.example"][..], 403),
        (&[line, &host, "Origin: http://127.0.0.1"], 403),
        (&[line, &host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], 403),
        (&[line, "Host: evil.example"], 403),
        (&[line, &host, "Host: evil.example"], 403),
        (&[line], 403),
        (&["GET http://evil.example/metrics HTTP/1.1", &host], 403),
        (&["POST /metrics HTTP/1.1", &host, "Content-Length: 0"], 405),
        (&["OPTIONS /metrics HTTP/1.1", &host, "Origin: http://evil.example"], 405),
        (&["nonsense"], 400),
    ] {
        let (found, body) = said(&address, lines);
        assert_eq!(found, status, "{lines:?}: {body}");
        assert!(!body.contains("drawbridge_"), "{lines:?}: {body}");
    }
    assert_eq!(get(&address, "/metrics").0, 200);
    bridge.end();
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let scratch = Scratch::new();
    let file = scratch.file("token");
    fs::write(&file, "  secret-word\n").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    let path = file.to_string_lossy().into_owned();
    let bridge = with_metrics(&["--metrics-token-file", &path]);
    let address = address(bridge.pid());
    let (line, host) = ("GET /health HTTP/1.1", format!("Host: {address}"));
    assert_eq!(said(&address, &[line, &host]).0, 401);
    assert_eq!(said(&address, &[line, &host, "Authorization: Bearer secret-wor"]).0, 401);
    assert_eq!(said(&address, &[line, &host, "Authorization: Bearer secret-word"]).0, 200);
    assert!(!bridge.log().contains("secret-word"));
    bridge.end();
}

#[test]
fn a_bridge_goes_on_without_an_address_that_cannot_be_had() {
    let first = with_metrics(&[]);
    let address = address(first.pid());
    let mut second = Setup::new(&["--metrics-listen", &address], &[]).start();
    second.initialize();
    second.new_session();
    second.logs("is in use; it is tried again each second");
    first.end();
    eventually("the second one serves", || get(&address, "/health").0 == 200);
    second.end();
    // A token that others could have written is none.
    let scratch = Scratch::new();
    let file = scratch.file("token");
    fs::write(&file, "word").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("a mode");
    let path = file.to_string_lossy().into_owned();
    let options = ["--metrics-listen", "0.0.0.0:0", "--metrics-token-file", &path];
    let mut third = Setup::new(&options, &[]).start();
    third.initialize();
    third.logs("other users may write to it");
    assert_eq!(metrics_of(third.pid()), None);
    third.end();
}

#[test]
fn connections_that_say_nothing_or_too_much_disturb_nobody() {
    let mut bridge = with_metrics(&[]);
    let session = bridge.new_session();
    let address = address(bridge.pid());
    let silent: Vec<TcpStream> =
        (0..40).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    // No more than a few are taken; those beyond are closed at once.
    let mut last = silent.last().expect("a connection").try_clone().expect("a descriptor");
    last.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    assert!(matches!(last.read(&mut [0; 1]), Ok(0) | Err(_)));
    assert_eq!(bridge.turn(&session, "say still here"), ["still here"]);
    drop((silent, last));
    eventually("there is room again", || get(&address, "/health").0 == 200);
    let mut long = TcpStream::connect(&address).expect("it listens");
    long.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let _ =
        long.write_all(format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(1 << 20)).as_bytes());
    let _ = long.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = long.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("drawbridge_"));
    assert_eq!(bridge.turn(&session, "say still here"), ["still here"]);
    bridge.end();
}

#[test]
fn a_connection_has_one_request() {
    let bridge = with_metrics(&[]);
    let address = address(bridge.pid());
    let mut stream = TcpStream::connect(&address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let _ = stream.write_all(request.repeat(50).as_bytes());
    let mut answers = String::new();
    let _ = stream.read_to_string(&mut answers);
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "{answers}");
    bridge.end();
}

#[test]
fn the_dashboard_shows_metrics_that_exist() {
    let bridge = with_metrics(&[]);
    let text = get(&address(bridge.pid()), "/metrics").1;
    bridge.end();
    let known: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        // Those without a value yet.
        .chain(["drawbridge_session_closes_total", "drawbridge_channel_exits_total"])
        .collect();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/grafana/drawbridge.json");
    let dashboard: Value = serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut shown = 0;
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
    {
        let query = target["expr"].as_str().expect("a query");
        let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        for word in query.split(|letter| !is_of_name(letter)) {
            if word.starts_with("drawbridge_") {
                let bare = word.trim_end_matches("_bucket").trim_end_matches("_sum");
                let bare = bare.trim_end_matches("_count");
                assert!(known.contains(bare), "{word} of {query}");
                shown += 1;
            }
        }
    }
    assert!(shown > 10, "{shown}");
}
