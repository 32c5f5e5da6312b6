//! Events of sessions and channels for a collector of OpenTelemetry.
//!
//! Each is a log record with a name, such as `session.close` with its reason. The exporter has a
//! thread of its own, and loses records where the collector is away: it holds nothing up.

use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry_otlp::{LogExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::methods::Context;
use crate::api::{BridgeEvent, Happening};

/// The time for the last records at the end of the bridge.
const LAST_RECORDS: Duration = Duration::from_millis(150);

/// The time for the collector to take records.
const LONGEST_EXPORT: Duration = Duration::from_secs(5);

/// The path of logs in the protocol.
const LOGS: &str = "v1/logs";

/// Exports events to a collector until the bridge ends.
pub(super) async fn export(collector: String, context: Context, mut end: watch::Receiver<()>) {
    let provider = match provider(&collector, context.bridge.pid) {
        Ok(provider) => provider,
        Err(error) => return tracing::warn!("no events go to {collector}: {error}"),
    };
    let mut events = match context.follow().await {
        Ok(events) => events,
        Err(error) => return tracing::warn!("no events go to {collector}: {}", error.message()),
    };
    let logger = provider.logger("drawbridge");
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            // The last events come before the end of the loop.
            _ = end.changed() => break,
        };
        match event {
            Ok(event) => tell(&logger, &event),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!("{missed} events are missing at {collector}");
            }
            Err(RecvError::Closed) => break,
        }
    }
    if let Err(error) = provider.shutdown_with_timeout(LAST_RECORDS) {
        tracing::debug!("the last events may be missing at {collector}: {error}");
    }
}

fn provider(collector: &str, pid: u32) -> Result<SdkLoggerProvider, String> {
    let exporter = LogExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/{LOGS}", collector.trim_end_matches('/')))
        .with_timeout(LONGEST_EXPORT)
        .build()
        .map_err(|error| error.to_string())?;
    let resource = Resource::builder()
        .with_service_name("drawbridge")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(opentelemetry::KeyValue::new("process.pid", i64::from(pid)))
        .build();
    Ok(SdkLoggerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

fn tell(logger: &SdkLogger, event: &BridgeEvent) {
    let Some(name) = name(&event.what) else { return };
    let mut record = logger.create_log_record();
    record.set_event_name(name);
    record.set_timestamp(UNIX_EPOCH + Duration::from_millis(event.at));
    record.set_severity_number(Severity::Info);
    record.set_body(AnyValue::from(name));
    if let Ok(Value::Object(members)) = serde_json::to_value(&event.what) {
        // The sentence of a reason may name a file of the user.
        let is_told = |member: &str, value: &Value| {
            let is_path = || value.as_str().is_some_and(|text| text.contains('/'));
            member != "event" && !(member == "reason" && is_path())
        };
        for (member, value) in members.into_iter().filter(|(member, it)| is_told(member, it)) {
            record.add_attribute(attribute(&member), any(value));
        }
    }
    logger.emit(record);
}

/// The name of an event; `None`: it is about no session and no channel.
fn name(what: &Happening) -> Option<&'static str> {
    Some(match what {
        Happening::SessionOpened { .. } => "session.open",
        Happening::SessionRestored { .. } => "session.restore",
        Happening::SessionClosed { .. } => "session.close",
        Happening::SessionDied { .. } => "session.die",
        Happening::TurnBegan { .. } => "turn.begin",
        Happening::TurnEnded { .. } => "turn.end",
        Happening::ChannelSpawned { .. } => "channel.spawn",
        Happening::ChannelReady { .. } => "channel.ready",
        Happening::ChannelDraining { .. } => "channel.drain",
        Happening::ChannelStopping { .. } => "channel.stop",
        Happening::ChannelStopped { .. } => "channel.exit",
        Happening::ClientConnected { .. }
        | Happening::ClientAttached { .. }
        | Happening::ClientDetached { .. }
        | Happening::ClientDropped { .. }
        | Happening::ClientLost { .. }
        | Happening::ShuttingDown { .. } => return None,
    })
}

/// The name of an attribute: the usual one for the id of a session, else that of the member of
/// the event.
fn attribute(member: &str) -> String {
    match member {
        "id" => "session.id".to_owned(),
        other => format!("drawbridge.{other}"),
    }
}

fn any(value: Value) -> AnyValue {
    match (value.as_i64(), value) {
        (Some(number), _) => AnyValue::from(number),
        (None, Value::String(text)) => AnyValue::from(text),
        (None, other) => AnyValue::from(other.to_string()),
    }
}
