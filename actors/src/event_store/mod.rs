//! The event log and the one actor that writes it.
//!
//! [`Store`] is the handle: append a command's events durably, read streams and pages, follow what is committed. Events
//! are pulled by position, from memory when recent, so nobody can lose what it was not there to be handed.

mod actor;
mod acts;
mod append;
mod asked;
mod bell;
mod chain_hash;
pub(crate) mod disk;
mod examine;
mod feed;
mod history;
mod imported;
mod kinds;
mod log;
mod onlooker;
#[cfg(test)]
pub(crate) mod poison;
mod reader;
mod rows;
mod scan;
mod schema;
mod sealed;
mod segment;
mod store;
mod stored;
#[cfg(test)]
mod tests;
mod together;
mod verify;
mod writer;

pub use actor::{Actor, Execution, Opening, Settings, StartError};
pub use acts::Looked;
pub use append::{Append, AppendError, Committed, Epoch, Expected, Origin, Progress, Write};
pub use bell::{Bell, BellGone};
pub use chain_hash::{ChainHash, Link};
pub use disk::Ailment;
pub use examine::{Examination, Examined, Illegible, StoredSnapshot, StreamRow};
pub use feed::{Feed, Page};
pub use history::{Cause, Entry, cause_of};
pub use imported::{ImportedLog, Unfit};
pub use kinds::{NewerEvent, WrongKind};
pub use log::{Log, Ownership};
pub use onlooker::Onlooker;
pub use reader::{ReadError, Reader, Snapshot};
pub use rows::{CommandRow, EventRow};
pub use scan::{Lens, Names, Scan};
pub use schema::{NEWEST_LAYOUT, OpenError};
pub use sealed::NewerSegment;
pub use segment::{Segment, SegmentError, SegmentProblem};
pub use store::Store;
pub use stored::Stored;
pub use together::StoredCommand;
pub use verify::{Audit, Step, Verified, VerifyError};
