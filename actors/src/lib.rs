//! placeholder

pub mod clock;
pub mod door;
pub mod supervision;
