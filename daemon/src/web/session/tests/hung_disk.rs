//! A data disk that answers nothing.

use std::fs::{File, rename};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// Longer than a busy machine takes for anything that is waited for here.
const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// In place of a file, a pipe that nobody writes: whoever opens it to read hangs.
struct Hung {
    path: PathBuf,
    beside: PathBuf,
}

impl Hung {
    fn instead_of(path: PathBuf) -> Self {
        let beside = path.with_extension("beside");
        rename(&path, &beside).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        Self { path, beside }
    }
}

/// The file is there again, and whoever hangs reads nothing.
impl Drop for Hung {
    fn drop(&mut self) {
        let pipe = File::options().read(true).write(true).open(&self.path).unwrap();
        rename(&self.beside, &self.path).unwrap();
        drop(pipe);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_accounts_cannot_be_looked_at_everybody_is_known_who_was() {
    let desk = Arc::new(Desk::new());
    desk.log_in().await;
    let hung = Hung::instead_of(desk.folder.path().join("operators.json"));
    // More than there are threads.
    let mut asked: tokio::task::JoinSet<_> = (0..4)
        .map(|_| {
            let desk = Arc::clone(&desk);
            async move { desk.get("/console/page").await.status }
        })
        .collect();
    while let Some(status) = tokio::time::timeout(SEEN_WITHIN, asked.join_next()).await.expect("nobody is answered") {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    tokio::time::timeout(SEEN_WITHIN, desk.log_in()).await.unwrap();
    assert_eq!(desk.get("/console/page").await.status, StatusCode::OK);

    drop(hung);
    crate::web::session::Roster::of(desk.folder.path())
        .set_password(NAME, "a sentence of mine", desk.clock.now())
        .unwrap();
    let out = async {
        // The look that hung reads that there is nothing, and the next one what there is.
        while desk.get("/console/page").await.status == StatusCode::OK {}
    };
    tokio::time::timeout(SEEN_WITHIN, out).await.unwrap();
}
