//! Sweeps of what agents without a keeper leave behind, outside of the loop, and what is said of
//! every sweep.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;

use tokio::task::{JoinSet, spawn_blocking};

use super::exit::ExitPart;
use super::tree::CookieSweep;
use super::{Children, ledger};
use crate::bridge::ChannelId;
use crate::bridge::words::counted;
use crate::ladder::REST_GRACE;
use crate::processes::{Spare, Swept};
use crate::runtime::input::Input;

impl Children {
    /// Ends the processes that have this cookie. Then the part [`ExitPart::Tree`] of the
    /// channel's exit is done.
    pub(super) fn sweep(&self, channel: ChannelId, cookie: String, tasks: &mut JoinSet<()>) {
        let to_loop = self.wiring.to_loop.clone();
        let row = self.rows.get(&channel);
        let spare = row.map(|row| row.start.agent.spare.clone()).unwrap_or_default();
        let terminated = row.and_then(|row| row.process.terminated_group());
        // Not in the loop: a look at a process that hangs in the system may hang, too.
        tasks.spawn_local(async move {
            let sweep = move || {
                let (cookie, spare) = (cookie.as_str(), &spare);
                // A shutdown leaves `REST_GRACE` behind its SIGKILL; the last looks need some of it.
                let grace = REST_GRACE / 2;
                CookieSweep { cookie, spare, terminated, grace }.run(BTreeSet::new())
            };
            let swept = spawn_blocking(sweep).await;
            tell_swept(channel, &swept.unwrap_or_default());
            let _ = to_loop.send(Input::PartDone(channel, ExitPart::Tree, 0));
        });
    }
}

/// Ends the agents and trees that killed bridges have left, as listed in the ledgers of
/// this state directory.
pub(in crate::runtime) async fn sweep_ledgers(state: PathBuf, spare: Spare) {
    let swept = spawn_blocking(move || ledger::sweep::sweep(&state, &spare)).await;
    tell_swept("a bridge that was killed", &swept.unwrap_or_default());
}

/// Logs the processes that a sweep has ended or spared. `of` names the channel or bridge.
pub(super) fn tell_swept(of: impl Display, swept: &Swept) {
    if swept.ended > 0 {
        let ended = counted(swept.ended as usize, "process", "processes");
        tracing::info!("{of}: ended {ended} that the agent left behind");
    }
    if !swept.spared.is_empty() {
        let names = swept.spared.join(", ");
        let left = counted(swept.spared.len(), "process", "processes");
        tracing::info!("{of}: left {left} running: {names}");
    }
}
