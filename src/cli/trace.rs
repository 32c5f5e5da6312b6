//! `drawbridge trace FILE`: the messages of a trace, for people.

mod conversation;
mod text;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;

use self::conversation::Trace;
use super::commands::TraceArgs;
use super::exit_code::UNUSABLE;
use super::print::{failure, part, warning};
use crate::trace::Entry;

/// Shows a trace.
pub(super) fn trace(arguments: &TraceArgs) -> ExitCode {
    let path = arguments.file.display();
    let mut trace = Trace::default();
    let (mut lines, mut unread) = (0, 0);
    let file = match File::open(&arguments.file) {
        Ok(file) => file,
        Err(error) => return failure(&format_args!("{path}: {error}"), UNUSABLE),
    };
    for line in BufReader::new(file).split(b'\n') {
        let line = match line {
            Ok(line) => line,
            Err(error) => return failure(&format_args!("{path}: {error}"), UNUSABLE),
        };
        lines += 1;
        match std::str::from_utf8(&line).ok().and_then(Entry::read) {
            Some(entry) => trace.add(entry, arguments.payloads),
            None => unread += 1,
        }
    }
    if unread == lines && lines > 0 {
        let why = format_args!("{path} is no trace: --trace-frames writes them");
        return failure(&why, UNUSABLE);
    }
    if unread > 0 {
        warning(&format_args!("{unread} of {lines} lines are no lines of a trace"));
    }
    if let Some(session) = &arguments.session
        && !trace.has(session)
    {
        let why = format_args!("{path} has no message of a session {session}");
        return failure(&why, UNUSABLE);
    }
    for line in text::lines(&trace, arguments.session.as_deref(), arguments.payloads) {
        if let Err(code) = part((line + "\n").as_bytes()) {
            return code;
        }
    }
    ExitCode::SUCCESS
}
