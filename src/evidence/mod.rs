//! Offline evidence from snapshots: nothing here can reach the network, since no command hands it a client.

pub mod cells;
pub mod diff;
