//! The lines of the check's report, each with the name of what it is about.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::bridge::words::counted;
use crate::cli::exit_code::UNUSABLE;
use crate::control::report::{duration, one_line};

/// The widths of the column of names and of the text.
const NAME: usize = 10;
const TEXT: usize = 78;

/// The report, which is printed as it grows.
#[derive(Default)]
pub(super) struct Report {
    problems: usize,
}

impl Report {
    /// Says something that is as it should be.
    pub(super) fn say(&mut self, name: &str, text: &str) -> io::Result<()> {
        print(' ', name, text)
    }

    /// Says something that is wrong.
    pub(super) fn problem(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.problems += 1;
        print('!', name, text)
    }

    /// Quotes lines of others.
    pub(super) fn quote(&mut self, name: &str, lines: &[String]) -> io::Result<()> {
        for (place, line) in lines.iter().enumerate() {
            out(&format!("  {:NAME$}{}", if place == 0 { name } else { "" }, one_line(line)))?;
        }
        Ok(())
    }

    /// Prints a text of the check's own as it is.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        out(text)
    }

    /// Ends the report.
    pub(super) fn verdict(&self, agent: &str) -> io::Result<ExitCode> {
        match self.problems {
            0 => {
                out(&format!("\n{agent} works through drawbridge."))?;
                Ok(ExitCode::SUCCESS)
            }
            count => {
                let problems = counted(count, "problem", "problems");
                out(&format!("\n{agent}: {problems}, in the lines that begin with `!`."))?;
                Ok(ExitCode::from(UNUSABLE))
            }
        }
    }
}

/// Prints a line, broken between words. The text may be that of others.
fn print(mark: char, name: &str, text: &str) -> io::Result<()> {
    let text = one_line(text);
    let mut line = String::new();
    let mut lead = format!("{mark} {name:NAME$}");
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > TEXT {
            out(&format!("{lead}{line}"))?;
            lead = format!("  {:NAME$}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    out(&format!("{lead}{line}"))
}

fn out(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// A time, to the millisecond.
pub(super) fn time(time: Duration) -> String {
    duration(u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1))
}
