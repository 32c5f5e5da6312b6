//! `drawbridge config`: every option and every named agent, its value, and where that came from.

use super::error::Origin;
use super::mode::Mode;
use super::options::{OPTIONS, Opt};
use super::resolve::{Presence, Resolved};
use super::settings::Settings;
use crate::api::ConfigValue;
use crate::control::report::Table;
use crate::secrets::Secrets;

/// The table of all options in aligned columns: a line with the value for `run`, and one with that
/// for `serve` where it differs.
pub(super) fn table(resolved: &Resolved, served: &Resolved) -> String {
    let mut table = Table::new(&["OPTION", "VALUE", "FROM"]);
    let origins = resolved.origins.iter().zip(&served.origins);
    for (option, (origin, served_origin)) in OPTIONS.iter().zip(origins) {
        let (run, serve) = ((option.get)(&resolved.settings), (option.get)(&served.settings));
        let (is_run, is_served) = (option.modes.have(Mode::Run), option.modes.have(Mode::Serve));
        let differs = is_run && is_served && run != serve;
        if is_run {
            table.row([option.name.to_owned(), run, origin.short()]);
        }
        if differs || !is_run {
            let name =
                if differs { format!("{} (serve)", option.name) } else { option.name.into() };
            table.row([name, serve, served_origin.short()]);
        }
    }
    for agent in &resolved.agents {
        let words: Vec<_> = agent.command.iter().map(|word| word.to_string_lossy()).collect();
        // The table may be shown to others.
        let words = Secrets::default().masked(&words.join(" "));
        table.row([format!("agents.{}", agent.name), words, agent.origin.short()]);
    }
    if let Some(file) = &resolved.file {
        let absent = match file.presence {
            Presence::Read => "",
            Presence::Absent => " (absent)",
            Presence::Unusable => " (not read)",
        };
        let path = format!("{}{absent}", file.path.display());
        table.row(["config".to_owned(), path, file.origin.short()]);
    }
    table.lines().join("\n") + "\n"
}

/// The values of the options of a command, for the control socket.
pub(super) fn values(mode: Mode, settings: &Settings, origins: &[Origin]) -> Vec<ConfigValue> {
    let options = OPTIONS.iter().zip(origins).filter(|(option, _)| option.modes.have(mode));
    let value = |(option, origin): (&Opt, &Origin)| ConfigValue {
        name: option.name.to_owned(),
        value: (option.get)(settings),
        origin: origin.short(),
    };
    options.map(value).collect()
}
