//! A real browser: Chromium without a window, driven step by step through `tests/peers/page.mjs`.
//!
//! A visit is a list of steps written in Rust and carried out in one browser with an empty profile. What a page
//! throws or logs as an error comes back with the visit, so that a test can insist on none.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{Missing, folder, or_skip};

/// How long one step may take; a step that waits for text waits that long.
const STEP_TIMEOUT_MS: u64 = 15_000;
/// How long a whole visit may take, the browser's start included.
const VISIT_DEADLINE: Duration = Duration::from_secs(90);
/// Where distributions put the browser.
const CHROMIUM: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// One thing a visitor does or looks at. Selectors are CSS; each must match exactly one element.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Step {
    Open { url: String },
    Fill { selector: String, value: String },
    Click { selector: String },
    Press { key: String },
    WaitText { selector: String, text: String },
    Text { selector: String },
    Count { selector: String },
    Screenshot { path: PathBuf },
}

/// What a visit brought back.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct Visit {
    /// What was read, in order of the steps [`Page::text`] and [`Page::count`].
    pub read: Vec<String>,
    /// What the pages threw, logged as an error, or failed to load.
    pub errors: Vec<String>,
    /// Every page that was loaded, one that was loaded again as often as it was.
    pub loaded: Vec<String>,
}

/// A visit being planned. Nothing happens before [`run`](Page::run).
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    executable: PathBuf,
    step_timeout_ms: u64,
    steps: Vec<Step>,
}

impl Page {
    /// A visit without steps. `None` when Chromium or its driver is not installed and nobody requires them.
    pub fn new() -> Option<Self> {
        let executable = or_skip(installed())?;
        Some(Self { executable, step_timeout_ms: STEP_TIMEOUT_MS, steps: Vec::new() })
    }

    /// Opens an address and waits until it has loaded.
    pub fn open(self, url: impl Into<String>) -> Self {
        self.then(Step::Open { url: url.into() })
    }

    /// Writes into a field, replacing what it held.
    pub fn fill(self, selector: &str, value: &str) -> Self {
        self.then(Step::Fill { selector: selector.into(), value: value.into() })
    }

    /// Clicks, once the element is visible and enabled.
    pub fn click(self, selector: &str) -> Self {
        self.then(Step::Click { selector: selector.into() })
    }

    /// Presses a key where the focus is, such as `Tab` or `Enter`.
    pub fn press(self, key: &str) -> Self {
        self.then(Step::Press { key: key.into() })
    }

    /// Waits until the element's visible text contains `text`.
    pub fn wait_for_text(self, selector: &str, text: &str) -> Self {
        self.then(Step::WaitText { selector: selector.into(), text: text.into() })
    }

    /// Reads an element's visible text.
    pub fn text(self, selector: &str) -> Self {
        self.then(Step::Text { selector: selector.into() })
    }

    /// Reads how many elements match.
    pub fn count(self, selector: &str) -> Self {
        self.then(Step::Count { selector: selector.into() })
    }

    /// Writes a picture of the whole page as PNG.
    pub fn screenshot(self, path: &Path) -> Self {
        self.then(Step::Screenshot { path: path.to_owned() })
    }

    /// Carries out the steps in a new browser. Fails with the step that failed and the browser's reason.
    pub async fn run(self) -> Result<Visit> {
        let visit = Command::new("node")
            .arg(folder().join("page.mjs"))
            .arg(serde_json::to_string(&self)?)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(VISIT_DEADLINE, visit)
            .await
            .with_context(|| format!("the visit took longer than {VISIT_DEADLINE:?}"))?
            .context("node does not start")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        serde_json::from_slice(&output.stdout).context("the visit's answer is not readable")
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

fn installed() -> Result<PathBuf, Missing> {
    if !folder().join("node_modules/playwright-core").is_dir() {
        return Err(Missing { program: "the browser's driver (npm package playwright-core)" });
    }
    let found = CHROMIUM.iter().map(PathBuf::from).find(|path| path.is_file());
    found.ok_or(Missing { program: "the browser (Debian package chromium)" })
}
