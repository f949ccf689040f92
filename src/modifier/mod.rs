//! What follows when a rule matches: its modifiers, and its handler.

pub mod step;

pub use step::Step;
