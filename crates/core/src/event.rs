//! Events to the shells, released only after the vault has committed what they tell.

use tokio::sync::broadcast;

use crate::view::Event;

/// How many events a slow listener may lag behind before it must read the lists anew.
const CAPACITY: usize = 4_096;

/// The sender of events.
#[derive(Debug, Clone)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    /// Releases events. Nobody listening is fine: the lists tell the same.
    pub(crate) fn release(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let _ = self.0.send(event);
        }
    }
}
