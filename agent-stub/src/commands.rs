//! The commands of a prompt, one a line.

use crate::agent::Interrupted;
use crate::script::Script;
use crate::{errands, faults, speech};

/// Runs one line of a prompt; a line that is no command is said back.
pub(crate) fn run(script: &mut Script<'_>, line: &str) -> Result<(), Interrupted> {
    let line = line.trim_end();
    if line.is_empty() {
        return Ok(());
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let known = speech::command(script, word, rest)?
        || errands::command(script, word, rest)?
        || faults::command(script, word, rest)?;
    if !known {
        script.say(&format!("you said: {line}"));
    }
    Ok(())
}
