//! Who operates the desk: accounts, sessions and the forms that carry their orders, for the console's pages.
//!
//! Everything is kept in two small files of the data folder and in memory, never in a database: the log-in must work
//! while every database is dead. Pages take the session's cookie alone, the API its bearer token alone.
//!
//! A router of pages is guarded by [`require`] with the [`Gate`] as its state; its handlers take the [`Operator`], put
//! [`form_fields`] into every form, and take what comes back as [`Submitted`].

mod account_page;
mod accounts;
mod cookie;
mod credentials;
mod form;
mod forms;
mod gate;
mod last_read;
mod lockout;
mod login;
mod offers;
mod origin;
mod password;
mod private_file;
mod recorder;
mod require;
mod roster;
mod sessions;
mod stay;
#[cfg(test)]
mod tests;
mod totp;
mod watch;

pub use accounts::{AccountsError, FILE as ACCOUNTS};
pub use form::{Nothing, Submitted, form_fields};
pub use gate::Gate;
pub use login::routes;
pub use password::PasswordError;
pub use require::{Operator, require};
pub use roster::{Listed, Roster};
pub use stay::Stay;
