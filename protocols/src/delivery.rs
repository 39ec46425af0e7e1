//! When which notification is sent to which endpoint, without input or output.
//!
//! The log of notifications is the queue. An endpoint's subscription is a place in it ([`cursor`]): everything up to there was
//! claimed, and what of that is neither under way nor to be tried again is settled. Nothing is stored when a notification
//! comes about, whoever subscribes to it. [`scheduler`] says what is sent next, so that no endpoint delays another; what an
//! answer means is [`verdict`]'s business, and how long to wait [`policy`]'s.
//!
//! Times are milliseconds since 1970 and come in, as does chance.

pub mod cursor;
pub mod endpoint;
pub mod policy;
pub mod scheduler;
pub mod verdict;
