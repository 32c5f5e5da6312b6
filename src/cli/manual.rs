//! The manual page: one for the whole program.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_mangen::Man;

use super::commands::{CommandLine, PRECEDENCE};

/// Makes the manual page, in roff.
///
/// # Errors
///
/// Only if writing to memory fails, which does not happen.
pub(super) fn page() -> io::Result<Vec<u8>> {
    let man = Man::new(CommandLine::command());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    write_commands(&mut page)?;
    man.render_options_section(&mut page)?;
    write!(page, ".SH CONFIGURATION\n{}\n", escaped(PRECEDENCE))?;
    Ok(page)
}

/// Writes the section of the commands. The generator's own would refer to a page for
/// each command, and there are none.
fn write_commands(page: &mut Vec<u8>) -> io::Result<()> {
    writeln!(page, ".SH COMMANDS")?;
    for command in CommandLine::command().get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let (name, about) = (escaped(command.get_name()), escaped(&about));
        write!(page, ".TP\n\\fBdrawbridge {name}\\fR\n{about}\n")?;
    }
    Ok(())
}

/// Escapes the backslashes and dashes of plain text for roff. No text here has a line
/// that begins with a dot or a quote, which roff would read as a request.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
