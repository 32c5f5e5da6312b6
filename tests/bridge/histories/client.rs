//! A fake client: how it spells its ids, what it has open, what it was asked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use drawbridge::wire::{Frame, FrameKind, Method};

/// One connection.
#[derive(Default)]
pub struct Client {
    requests: u64,
    /// Requests without an answer, by their id as it is spelled.
    pub open: BTreeMap<String, Wish>,
    /// Sessions that it believes to have open, as it knows them.
    pub sessions: Vec<String>,
    /// Other ids that it has come across: of sub-agents, and of what unknown methods began.
    pub others: Vec<String>,
    /// Questions that it was asked and has not answered, by their id.
    pub questions: BTreeMap<u64, Method>,
}

/// What a request was for.
#[derive(Clone, Debug)]
pub struct Wish {
    pub method: Method,
    pub session: Option<String>,
    pub cwd: Option<String>,
}

impl Client {
    /// The next request id, spelled in one of several ways.
    pub fn token(&mut self) -> String {
        self.requests += 1;
        let number = self.requests;
        match number % 4 {
            0 => format!("\"{number}\""),
            1 => number.to_string(),
            2 => format!("{number}.0"),
            _ => format!("\"\\u00e9{number}-a-rather-long-request-id-of-more-than-22-bytes\""),
        }
    }

    /// A frame arrives. Gives back the question in it, if it is one.
    pub fn hear(&mut self, frame: &Frame) -> Option<u64> {
        match frame.kind {
            FrameKind::Request => {
                let id = frame.number()?;
                self.comes_across(frame.session());
                self.questions.insert(id, frame.method);
                return Some(id);
            }
            FrameKind::Notification => {
                let name = frame.method_name();
                self.comes_across(frame.child_session());
                let id = frame.session().unwrap_or_default();
                if name == "_drawbridge/session_closed" || name == "_drawbridge/session_died" {
                    self.sessions.retain(|session| *session != *id);
                }
                if let (Method::CancelRequest, Some((token, _))) = (frame.method, frame.request()) {
                    let text = String::from_utf8_lossy(token.as_bytes()).into_owned();
                    self.questions.remove(&text.parse().unwrap_or(0));
                }
            }
            FrameKind::Success => {
                let token = String::from_utf8_lossy(frame.id().as_bytes()).into_owned();
                let wish = self.open.remove(&token)?;
                match wish.method {
                    Method::SessionNew | Method::SessionFork => {
                        self.sessions.push(frame.find_text(&["sessionId"])?.into_owned());
                    }
                    Method::SessionLoad | Method::SessionResume => {
                        let session = wish.session?;
                        self.sessions.retain(|other| *other != session);
                        self.sessions.push(session);
                    }
                    Method::SessionClose | Method::BridgeDetach => match wish.session {
                        Some(session) => self.sessions.retain(|other| *other != session),
                        None => self.sessions.clear(),
                    },
                    Method::Other => self.comes_across(frame.find_text(&["sessionId"])),
                    _ => {}
                }
            }
            FrameKind::Failure => {
                let token = String::from_utf8_lossy(frame.id().as_bytes()).into_owned();
                self.open.remove(&token);
            }
        }
        None
    }

    fn comes_across(&mut self, id: Option<Cow<'_, str>>) {
        if let Some(id) = id
            && !self.sessions.iter().chain(&self.others).any(|known| *known == *id)
        {
            self.others.push(id.into_owned());
        }
    }
}

/// The answer to a question: consent, refusal, or one of several sorts of nonsense.
pub fn reply(id: u64, method: Method, how: u8) -> String {
    let body = match (method, how) {
        (_, 5) => r#""error":{"code":-32603,"message":"cannot"}"#.to_owned(),
        (Method::RequestPermission, 3) => {
            r#""result":{"outcome":{"outcome":"cancelled"}}"#.to_owned()
        }
        (Method::RequestPermission, 4) => {
            r#""result":{"outcome":{"outcome":"selected","optionId":"what"}}"#.to_owned()
        }
        (Method::RequestPermission, _) => {
            r#""result":{"outcome":{"outcome":"selected","optionId":"yes"}}"#.to_owned()
        }
        _ => r#""result":{"content":""}"#.to_owned(),
    };
    format!(r#"{{"jsonrpc":"2.0","id":{id},{body}}}"#)
}
