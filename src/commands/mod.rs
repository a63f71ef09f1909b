//! One file a command. Commands that need no network get no client, by their signature.

pub mod change;
pub mod check;
pub mod demo;
pub mod show;
pub mod sync;
