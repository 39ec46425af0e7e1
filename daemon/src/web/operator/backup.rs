//! Hot backups of the log: kept beside it under a name, or handed to the caller.
//!
//! A copy is made under a name of its own and gets its right one when it is whole and on disk; nothing is overwritten.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json as Reply;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use millrace_actors::event_store::Reader;
use millrace_model::ids::Position;
use millrace_model::operator::{Action, By};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;

use super::{OperatorState, unreadable};
use crate::web::extract::Json;
use crate::web::problem::Problem;

/// Characters of a backup's name at most.
const NAME_CHARS_MAX: usize = 64;
/// How much of a copy is sent at once.
const PIECE_BYTES: usize = 64 * 1024;

/// How the copy is to be called.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Letters, digits, `-` and `_`; `log-POSITION` when left out.
    name: Option<String>,
}

/// A copy that is kept.
#[derive(Debug, Serialize)]
pub(super) struct Kept {
    file: PathBuf,
    bytes: u64,
    head: Position,
}

/// Makes a copy in the backup folder.
pub(super) async fn keep(
    State(state): State<Arc<OperatorState>>,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, Reply<Kept>), Problem> {
    if wanted.name.as_deref().is_some_and(|name| !is_name(name)) {
        let message = "A backup's name has 1 to 64 letters, digits, - or _.";
        return Err(Problem::unprocessable("invalid_name", message));
    }
    state.acting(By::Token, Action::BackUp, wanted.name.as_deref(), None).await;
    let kept = blocking(state, move |state| {
        let copy = Copy::make(state)?;
        let name = wanted.name.unwrap_or_else(|| format!("log-{}", copy.head));
        copy.keep(&state.backups.join(format!("{name}.db")))
    });
    Ok((StatusCode::CREATED, Reply(kept.await?)))
}

/// Makes a copy and sends it; nothing of it stays.
pub(super) async fn fetch(State(state): State<Arc<OperatorState>>) -> Result<Response, Problem> {
    state.acting(By::Token, Action::BackUp, None, None).await;
    let (file, bytes) = blocking(state, |state| {
        let copy = Copy::make(state)?;
        // The file lives on without a name until it is sent or the caller goes away.
        Ok((File::open(&copy.path).map_err(unwritable)?, copy.bytes))
    })
    .await?;
    let mut response = Body::from_stream(pieces(tokio::fs::File::from_std(file))).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"log.db\""));
    Ok(response)
}

fn pieces(file: tokio::fs::File) -> impl futures::Stream<Item = io::Result<Bytes>> {
    futures::stream::try_unfold(file, |mut file| async move {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece).await?;
        Ok((read > 0).then(|| (Bytes::from(piece), file)))
    })
}

async fn blocking<T: Send + 'static>(
    state: Arc<OperatorState>,
    work: impl FnOnce(&OperatorState) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if !state.store.is_ready() {
        return Err(Problem::unavailable("log_unavailable", "The log is not open yet; try again."));
    }
    tokio::task::spawn_blocking(move || work(&state)).await.map_err(Problem::internal)?
}

/// A whole copy under a name of its own, which goes when this goes.
struct Copy {
    path: PathBuf,
    bytes: u64,
    head: Position,
}

impl Copy {
    fn make(state: &OperatorState) -> Result<Self, Problem> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        DirBuilder::new().recursive(true).mode(0o700).create(&state.backups).map_err(unwritable)?;
        let path = state.backups.join(format!(".copy-{}.partial", NUMBER.fetch_add(1, Ordering::Relaxed)));
        // An earlier process that was killed may have left one of this name; only one process has this folder.
        let _ = fs::remove_file(&path);
        let mut copy = Self { path, bytes: 0, head: 0 };
        // On a connection of its own: a copy takes long, and others read meanwhile.
        let log = Reader::open(&state.log_file).map_err(|error| unreadable(&error))?;
        log.back_up(&copy.path).map_err(|error| unreadable(&error))?;
        copy.head =
            Reader::open(&copy.path).map_err(|error| unreadable(&error))?.head().map_err(|error| unreadable(&error))?;
        copy.bytes = fs::metadata(&copy.path).map_err(unwritable)?.len();
        Ok(copy)
    }

    fn keep(&self, file: &Path) -> Result<Kept, Problem> {
        let settle = || -> io::Result<()> {
            File::open(&self.path)?.sync_all()?;
            // A link, unlike a rename, fails when there is something of this name.
            fs::hard_link(&self.path, file)?;
            File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        settle().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Problem::conflict("backup_exists", "There is a backup of this name."),
            _ => unwritable(error),
        })?;
        Ok(Kept { file: file.to_owned(), bytes: self.bytes, head: self.head })
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn is_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    plain && (1..=NAME_CHARS_MAX).contains(&name.len())
}

fn unwritable(error: io::Error) -> Problem {
    tracing::warn!(%error, "a backup cannot be written");
    Problem::unavailable("backup_failed", "The backup cannot be written; the desk's log says why.")
}
