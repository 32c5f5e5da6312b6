//! The trace of the bridge that this process runs.

use super::mode::Mode;
use super::or_without::or_without;
use super::settings::TraceSettings;
use crate::trace::TraceFile;

/// Makes the file of the trace, if there is to be one.
pub(super) fn open(settings: &TraceSettings, mode: Mode) -> Option<TraceFile> {
    let path = settings.file.as_ref()?;
    let trace = or_without(mode, "no trace", TraceFile::create(path, settings.contents))?;
    tracing::info!("the messages are traced in {}", trace.path().display());
    Some(trace)
}
