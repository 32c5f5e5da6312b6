//! The manual page: one for the whole program.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_mangen::Man;

use super::args::{CommandLine, PRECEDENCE};

/// The page, in roff.
///
/// # Errors
///
/// None that writing to memory can have.
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

/// The generator would refer to a page for each command, and there are none.
fn write_commands(page: &mut Vec<u8>) -> io::Result<()> {
    writeln!(page, ".SH COMMANDS")?;
    for command in CommandLine::command().get_subcommands() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let (name, about) = (escaped(command.get_name()), escaped(&about));
        write!(page, ".TP\n\\fBdrawbridge {name}\\fR\n{about}\n")?;
    }
    Ok(())
}

/// Plain text in roff: backslashes and dashes are themselves. No line of ours
/// begins with a dot or a quote, which would make it a request.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
