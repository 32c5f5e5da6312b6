//! Events for a collector of OpenTelemetry.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::bridge::Setup;
use crate::processes::eventually;

/// The requests that a collector got: the first line and the body of each.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A collector, and its address. It ends with the test program.
fn collector() -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let requests = Requests::default();
    let got = requests.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let got = got.clone();
            thread::spawn(move || {
                while let Some(request) = taken(&stream) {
                    got.lock().expect("no panic").push(request);
                }
            });
        }
    });
    (format!("http://{address}"), requests)
}

/// Takes a request from a connection and answers it; `None`: there is none any more.
fn taken(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        if line == "\r\n" {
            break;
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    Some((head.first()?.clone(), body))
}

#[test]
fn a_collector_gets_the_events_of_sessions_and_channels() {
    let (address, requests) = collector();
    let mut bridge = Setup::new(&["--otlp-endpoint", &address], &[]).start();
    bridge.initialize();
    let session = bridge.new_session();
    bridge.turn(&session, "say a secret word");
    bridge.call_about("session/close", &session);
    let all = || {
        let requests = requests.lock().expect("no panic");
        let bodies = requests.iter().map(|(_, body)| String::from_utf8_lossy(body).into_owned());
        bodies.collect::<String>()
    };
    // Records are sent together, each second.
    eventually("the close is there", || all().contains("session.close"));
    bridge.end();
    // The last ones are sent at the end.
    eventually("the end is there", || all().contains("channel.exit"));
    let text = all();
    for expected in
        ["session.open", "turn.end", "channel.ready", "client_close", &session, "drawbridge"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("secret word"));
    let first = requests.lock().expect("no panic")[0].0.clone();
    assert_eq!(first, "post /v1/logs http/1.1");
}

#[test]
fn a_collector_that_is_away_holds_nothing_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    // It takes connections and says nothing.
    let mut bridge = Setup::new(&["--otlp-endpoint", &address], &[]).start();
    bridge.initialize();
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say still here"), ["still here"]);
    bridge.end();
    drop(listener);
    let mut bridge = Setup::new(&["--otlp-endpoint", &address], &[]).start();
    bridge.initialize();
    bridge.new_session();
    bridge.end();
}
