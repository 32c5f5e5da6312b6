//! The clients that a bridge is there for.

use std::future::pending;

use tokio::sync::mpsc;

use super::connection::{Arrival, DoorOrder};
use crate::bridge::{ClientId, EarlierBridges};

/// The one client of embedded mode: the editor that has started the bridge.
pub(super) const EDITOR: ClientId = ClientId(1);

/// The clients of a bridge.
pub(super) enum Hosting {
    /// The editor at its own stdio, without which the bridge ends.
    Editor,
    /// Those that come through a door, any number of them.
    Many(Host),
}

/// The door of a bridge for many clients, as the loop sees it.
#[derive(Debug)]
pub struct Host {
    /// The news that come through the door.
    arrivals: mpsc::Receiver<Arrival>,
    /// Orders to the door.
    orders: mpsc::Sender<DoorOrder>,
    /// Whether SIGHUP means that the configuration has changed, and not the end of a terminal.
    reloads_on_hangup: bool,
    /// Whether nothing comes any more.
    is_closed: bool,
}

impl Host {
    /// A door that is open.
    pub fn new(
        arrivals: mpsc::Receiver<Arrival>,
        orders: mpsc::Sender<DoorOrder>,
        reloads_on_hangup: bool,
    ) -> Host {
        Host { arrivals, orders, reloads_on_hangup, is_closed: false }
    }
}

impl Host {
    /// Gives the door an order, unless as many wait as may.
    pub(super) fn order(&self, order: DoorOrder) {
        let _ = self.orders.try_send(order);
    }
}

impl Hosting {
    /// The next thing that comes through the door.
    pub(super) async fn next(&mut self) -> Arrival {
        let Hosting::Many(host) = self else { return pending().await };
        match host.arrivals.recv().await {
            Some(arrival) => arrival,
            None if host.is_closed => pending().await,
            None => {
                // Nobody keeps the door any more.
                host.is_closed = true;
                Arrival::Superseded
            }
        }
    }

    /// Makes the door read the configuration again, if that is what SIGHUP asks for.
    pub(super) fn reloads(&self) -> bool {
        let Hosting::Many(host) = self else { return false };
        // One that waits already is as good.
        if host.reloads_on_hangup {
            host.order(DoorOrder::Reload(None));
        }
        host.reloads_on_hangup
    }

    /// Lets nobody in any more.
    pub(super) fn close_door(&mut self) {
        if let Hosting::Many(host) = self {
            host.order(DoorOrder::Close);
            // A client in the queue gets no answer, and looks for another daemon.
            host.is_closed = true;
            host.arrivals.close();
            while host.arrivals.try_recv().is_ok() {}
        }
    }
}

/// The bridges before this one that may still hold conversations.
pub(super) struct Earlier {
    /// Those whose agents have keepers.
    pub(super) daemons: EarlierBridges,
    /// Whether agents without keepers, that killed bridges have left, are being ended.
    pub(super) is_sweeping: bool,
}
