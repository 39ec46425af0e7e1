//! The sandbox as the process it is: started by whoever needs it, steered by commands, stopped by one.

use std::path::Path;
use std::process::{Command, Output};

use millrace_daemon::sandbox::find::{find, find_or_start};
use millrace_daemon::sandbox::process::{Elsewhere, Timing};

const PROGRAM: &str = env!("CARGO_BIN_EXE_millrace");
const DEPOSIT: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

fn sandbox(dir: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(PROGRAM);
    program.arg("sandbox").args(arguments).arg("--dir").arg(dir).current_dir(dir).env_clear();
    program.output().expect("the program was built for this test")
}

fn told(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the sandbox answers in JSON")
}

/// Leaves no sandbox behind when a test fails.
struct Stopped<'a>(&'a Path);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        sandbox(self.0, &["stop"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_started_once_steered_by_commands_and_keeps_its_world() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let _stopped = Stopped(dir);
    let start = async || {
        let program = Path::new(PROGRAM);
        let found = find_or_start(program, dir, Timing::ON_DEMAND, Elsewhere::Allowed).await.expect("it starts");
        // The one that was started is left to the system: this test ends soon.
        found.info
    };
    let first = start().await;
    assert_eq!(first, start().await, "it is found");

    told(&sandbox(dir, &["pay", DEPOSIT, "0.125"]));
    told(&sandbox(dir, &["mine", "3"]));
    let books = told(&sandbox(dir, &["books"]));
    assert_eq!(books["bitcoin"]["receipts"][DEPOSIT][0]["confirmations"], 3);

    told(&sandbox(dir, &["stop"]));
    while find(dir).await.is_some() {}
    let refused = sandbox(dir, &["books"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no sandbox runs in"));

    let other = start().await;
    assert_eq!(other.bitcoin.xpub, first.bitcoin.xpub);
    assert_eq!(told(&sandbox(dir, &["books"]))["bitcoin"], books["bitcoin"]);
    told(&sandbox(dir, &["stop"]));
    while find(dir).await.is_some() {}
}
