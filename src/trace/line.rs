//! The lines of a trace file: each is a JSON object.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::contents::masked;
use crate::wire::{Frame, FrameKind, Glimpse, Malformed};

/// The first moment of the year 10000, which has no spelling, in microseconds since 1970.
const TOO_LATE: u64 = 253_402_300_800_000_000;

/// One line of a trace file.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Entry {
    /// A message.
    Line(Line),
    /// Something else.
    Note(Note),
}

impl Entry {
    /// Reads a line of a file; `None`: it is none of these, as half a line at the end of a file.
    pub fn read(text: &str) -> Option<Entry> {
        let line = serde_json::from_str(text).map(Entry::Line);
        let entry = line.or_else(|_| serde_json::from_str(text).map(Entry::Note)).ok()?;
        let at = match &entry {
            Entry::Line(line) => line.at,
            Entry::Note(Note::Begin { began, .. }) => *began,
            Entry::Note(Note::Lost { .. } | Note::End { .. }) => 0,
        };
        (at < TOO_LATE).then_some(entry)
    }
}

/// A line that is about the trace itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Note {
    /// The first line: the bridge.
    #[serde(rename_all = "camelCase")]
    Begin {
        /// The version of drawbridge.
        drawbridge: String,
        /// The process id of the bridge.
        pid: u32,
        /// The time: microseconds since 1970 (UTC).
        began: u64,
    },
    /// Messages that came faster than they could be written.
    Lost {
        /// Their number.
        lost: u64,
    },
    /// Why nothing more was written.
    End {
        /// The reason, as a sentence.
        end: String,
    },
}

/// A message that has passed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The time: microseconds since 1970 (UTC).
    pub at: u64,
    /// Whence and whither.
    pub direction: Direction,
    /// The name of the client (`cl-2`) or the channel (`ch-3`).
    pub peer: String,
    /// The sort of message.
    pub sort: Sort,
    /// The id of a request or an answer, as it is spelled.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    pub id: Option<Box<RawValue>>,
    /// The method of a request or a notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The id of the session, where the message names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The kind of a `session/update`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<String>,
    /// The code of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Its length, without the line end. Of a line that is no message, that of the part of it that
    /// is known.
    pub bytes: u64,
    /// The message, if the contents were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<Value>,
}

/// An id that is there, be it `null`.
fn some<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(value).map(Some)
}

/// Whence and whither a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From a client to the bridge.
    FromClient,
    /// From the bridge to a client.
    ToClient,
    /// From an agent to the bridge.
    FromAgent,
    /// From the bridge to an agent.
    ToAgent,
}

/// The sort of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// It wants an answer.
    Request,
    /// It wants none.
    Notification,
    /// An answer with a result.
    Result,
    /// An answer with an error.
    Error,
    /// A line that is no message.
    Stray,
}

impl Line {
    /// The line for a message.
    pub(super) fn of(
        (at, direction, peer): (u64, Direction, &str),
        frame: &Frame,
        has_contents: bool,
    ) -> Line {
        let named = matches!(frame.kind, FrameKind::Request | FrameKind::Notification);
        let session = match frame.kind {
            // The one that was opened.
            FrameKind::Success => frame.find_text(&["sessionId"]),
            _ => frame.session(),
        };
        Line {
            sort: match frame.kind {
                FrameKind::Request => Sort::Request,
                FrameKind::Notification => Sort::Notification,
                FrameKind::Success => Sort::Result,
                FrameKind::Failure => Sort::Error,
            },
            id: frame.id_place().and_then(|_| serde_json::from_slice(frame.id().as_bytes()).ok()),
            method: named.then(|| frame.method_name().into_owned()),
            session: session.map(|id| id.into_owned()),
            update: frame.update_kind().map(|kind| kind.into_owned()),
            code: frame.error_code(),
            bytes: frame.bytes().len() as u64,
            contents: has_contents.then(|| masked(frame.bytes())),
            ..Line::stray((at, direction, peer), 0)
        }
    }

    /// The line for one that is no message.
    pub(super) fn of_stray(
        head: (u64, Direction, &str),
        fault: &Malformed,
        has_contents: bool,
    ) -> Line {
        let (bytes, text, glimpse) = match fault {
            Malformed::NotJson { beginning, glimpse, .. } => {
                (beginning.len() as u64, Some(beginning), Some(glimpse))
            }
            Malformed::TooLong { length, glimpse } => (*length, None, Some(glimpse)),
            Malformed::Batch | Malformed::NotMessage { .. } => (0, None, None),
        };
        let id = match glimpse {
            Some(Glimpse::Request(id) | Glimpse::Answer(id)) => {
                serde_json::from_slice(id.as_bytes()).ok()
            }
            Some(Glimpse::Nothing) | None => None,
        };
        let contents = text.filter(|_| has_contents).map(|text| masked(text.as_bytes()));
        Line { id, contents, ..Line::stray(head, bytes) }
    }

    fn stray((at, direction, peer): (u64, Direction, &str), bytes: u64) -> Line {
        Line {
            at,
            direction,
            peer: peer.to_owned(),
            sort: Sort::Stray,
            id: None,
            method: None,
            session: None,
            update: None,
            code: None,
            bytes,
            contents: None,
        }
    }
}
