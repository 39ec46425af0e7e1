//! placeholder

pub mod clock;
pub mod supervision;
