//! Requests and answers of the nodes and exchanges, as plain values.

pub mod c2cx;
