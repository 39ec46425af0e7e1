//! The HTTP frame that every face of the desk stands in: listening, limits, errors, callers and tokens.
//!
//! A face is an axum `Router`; [`frame::framed`] puts around it what all have in common, [`server::serve`] serves it.
//! **A handler's future is dropped when its caller hangs up**: work that must finish belongs to an actor or a task.

mod acts;
pub mod address;
mod browsing;
pub mod client_ip;
pub mod console;
mod cursor;
mod event_types;
pub mod extract;
pub mod frame;
mod history;
pub mod late;
pub mod openapi;
pub mod operator;
pub mod patience;
pub mod problem;
pub mod public;
pub mod server;
pub mod session;
pub mod shapes;
pub mod throttle;
pub mod tls;
pub mod token;
pub mod whole;
