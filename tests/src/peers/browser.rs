//! A real browser: Chromium without a window, driven step by step through `tests/peers/page.mjs`.
//!
//! A visit is a list of steps written in Rust and carried out in one browser with an empty profile. What a page
//! throws or logs as an error comes back with the visit, so that a test can insist on none. Cookies and the cache last as
//! long as the visit.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{Missing, folder, or_skip};

/// How long one step may take; a step that waits for text waits that long.
const STEP_TIMEOUT_MS: u64 = 40_000;
/// How long a whole visit may take, the browser's start included.
const VISIT_DEADLINE: Duration = Duration::from_secs(90);
/// Where distributions put the browser.
const CHROMIUM: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// What the script needs, and how it is called when it is missing.
const PACKAGES: [(&str, &str); 2] = [
    ("playwright-core", "the browser's driver (npm package playwright-core)"),
    ("axe-core", "the judge of accessibility (npm package axe-core)"),
];

/// One thing a visitor does or looks at. Selectors are CSS; each must match exactly one element.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Step {
    Open { url: String },
    Reload,
    Fill { selector: String, value: String },
    Select { selector: String, value: String },
    Click { selector: String },
    Focus { selector: String },
    Press { key: String },
    WaitText { selector: String, text: String },
    WaitGone { selector: String },
    Text { selector: String },
    Attribute { selector: String, name: String },
    Count { selector: String },
    Clipboard,
    Sideways,
    Viewport { width: u32, height: u32 },
    ColorScheme { scheme: ColorScheme },
    Network { state: Network },
    Axe,
    Measure,
    Forget,
    Watch { selector: String, ms: u64 },
    Screenshot { path: PathBuf },
    Script { script: String },
}

/// What the visitor prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColorScheme {
    /// Dark letters.
    Light,
    /// Light letters.
    Dark,
}

/// Whether the browser reaches anybody. Streams that are open stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// It does.
    Online,
    /// It does not.
    Offline,
}

/// Whether the browser runs what a page brings.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Scripts {
    Run,
    Ignored,
}

/// Who visits.
#[derive(Debug, Clone, Serialize)]
struct Profile {
    scripts: Scripts,
    locale: String,
}

/// What a page cost until it was looked at.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
pub struct Measured {
    /// From the start of the navigation to the first content that was painted.
    pub first_paint_ms: u64,
    /// Everything that was fetched for it, headers included; nothing for what came from the cache.
    pub transferred_bytes: u64,
}

/// What a page did while it was watched.
#[derive(Debug, Clone, Deserialize, PartialEq)]
pub struct Watched {
    /// The longest time between two frames of an animation.
    pub longest_gap_ms: f64,
    /// The longest of what kept the page busy for more than 50 ms; 0 without any.
    pub longest_task_ms: f64,
    /// How many there were.
    pub long_tasks: u64,
    /// How many frames there were.
    pub frames: u64,
    /// How often it fetched its own address.
    pub fetches: u64,
    /// What the element said at first and whenever it said something else.
    pub shown: Vec<Shown>,
    /// When it was watched no longer, in milliseconds since 1970-01-01 UTC.
    pub end_ms: i64,
}

/// What an element said from a moment on.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct Shown {
    /// When the first frame with it began, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// What it said.
    pub text: String,
}

/// What a visit brought back.
#[derive(Debug, Clone, Deserialize, PartialEq)]
pub struct Visit {
    /// What was read, in order of the steps [`Page::text`], [`Page::attribute`], [`Page::count`], [`Page::clipboard`] and
    /// [`Page::sideways`].
    pub read: Vec<String>,
    /// What [`Page::axe`] found.
    pub violations: Vec<String>,
    /// What [`Page::measure`] measured.
    pub measured: Vec<Measured>,
    /// What [`Page::watch`] saw.
    pub watched: Vec<Watched>,
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
    profile: Profile,
    steps: Vec<Step>,
}

impl Page {
    /// A visit without steps. `None` when Chromium or its driver is not installed and nobody requires them.
    pub fn new() -> Option<Self> {
        let executable = or_skip(installed())?;
        let profile = Profile { scripts: Scripts::Run, locale: "en-US".into() };
        Some(Self { executable, step_timeout_ms: STEP_TIMEOUT_MS, profile, steps: Vec::new() })
    }

    /// The whole visit by a browser that runs no scripts.
    pub fn without_scripts(mut self) -> Self {
        self.profile.scripts = Scripts::Ignored;
        self
    }

    /// The whole visit by somebody who asks for this language, such as `ru-RU`; else it is `en-US`.
    pub fn locale(mut self, locale: &str) -> Self {
        self.profile.locale = locale.into();
        self
    }

    /// Opens an address and waits until it has loaded.
    pub fn open(self, url: impl Into<String>) -> Self {
        self.then(Step::Open { url: url.into() })
    }

    /// Loads the page again.
    pub fn reload(self) -> Self {
        self.then(Step::Reload)
    }

    /// Writes into a field, replacing what it held.
    pub fn fill(self, selector: &str, value: &str) -> Self {
        self.then(Step::Fill { selector: selector.into(), value: value.into() })
    }

    /// Chooses the option with this value.
    pub fn select(self, selector: &str, value: &str) -> Self {
        self.then(Step::Select { selector: selector.into(), value: value.into() })
    }

    /// Clicks, once the element is visible and enabled.
    pub fn click(self, selector: &str) -> Self {
        self.then(Step::Click { selector: selector.into() })
    }

    /// Moves the focus there.
    pub fn focus(self, selector: &str) -> Self {
        self.then(Step::Focus { selector: selector.into() })
    }

    /// Presses a key where the focus is, such as `Tab` or `Enter`.
    pub fn press(self, key: &str) -> Self {
        self.then(Step::Press { key: key.into() })
    }

    /// Waits until the element's visible text contains `text`.
    pub fn wait_for_text(self, selector: &str, text: &str) -> Self {
        self.then(Step::WaitText { selector: selector.into(), text: text.into() })
    }

    /// Waits until nothing visible matches.
    pub fn wait_gone(self, selector: &str) -> Self {
        self.then(Step::WaitGone { selector: selector.into() })
    }

    /// Reads an element's visible text.
    pub fn text(self, selector: &str) -> Self {
        self.then(Step::Text { selector: selector.into() })
    }

    /// Reads an attribute; empty where there is none.
    pub fn attribute(self, selector: &str, name: &str) -> Self {
        self.then(Step::Attribute { selector: selector.into(), name: name.into() })
    }

    /// Reads how many elements match.
    pub fn count(self, selector: &str) -> Self {
        self.then(Step::Count { selector: selector.into() })
    }

    /// Reads what was copied last.
    pub fn clipboard(self) -> Self {
        self.then(Step::Clipboard)
    }

    /// Reads by how many pixels the page is wider than the window; `0` when nobody has to scroll sideways.
    pub fn sideways(self) -> Self {
        self.then(Step::Sideways)
    }

    /// Makes the window so large, in CSS pixels; it begins with 1280 by 800.
    pub fn viewport(self, width: u32, height: u32) -> Self {
        self.then(Step::Viewport { width, height })
    }

    /// Prefers light or dark from here on.
    pub fn color_scheme(self, scheme: ColorScheme) -> Self {
        self.then(Step::ColorScheme { scheme })
    }

    /// Takes the browser off the network, or back to it.
    pub fn network(self, state: Network) -> Self {
        self.then(Step::Network { state })
    }

    /// Looks at the page with axe-core; what it calls serious or critical is in [`Visit::violations`].
    /// Its own script has to run: not in a visit without scripts.
    pub fn axe(self) -> Self {
        self.then(Step::Axe)
    }

    /// Measures the page that is shown, into [`Visit::measured`].
    pub fn measure(self) -> Self {
        self.then(Step::Measure)
    }

    /// Has the browser forget what it has in its cache.
    pub fn forget(self) -> Self {
        self.then(Step::Forget)
    }

    /// Watches for so long whether the page answers and what this element says, into [`Visit::watched`].
    pub fn watch(self, selector: &str, lasts: Duration) -> Self {
        self.then(Step::Watch { selector: selector.into(), ms: lasts.as_millis() as u64 })
    }

    /// Writes a picture of the whole page as PNG.
    pub fn screenshot(self, path: &Path) -> Self {
        self.then(Step::Screenshot { path: path.to_owned() })
    }

    /// Runs this in the page, as somebody at the browser's own console would: for what a browser lacks, or what stands before a desk.
    pub fn script(self, script: &str) -> Self {
        self.then(Step::Script { script: script.into() })
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

/// Where pictures of pages are kept to be looked at: `screenshots` in the target folder.
pub fn screenshots() -> Result<PathBuf> {
    let program = crate::desk::program()?;
    let target = program.ancestors().nth(2).context("the program lies in a target folder")?;
    let folder = target.join("screenshots");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn installed() -> Result<PathBuf, Missing> {
    for (package, missing) in PACKAGES {
        if !folder().join("node_modules").join(package).is_dir() {
            return Err(Missing { program: missing });
        }
    }
    let found = CHROMIUM.iter().map(PathBuf::from).find(|path| path.is_file());
    found.ok_or(Missing { program: "the browser (Debian package chromium)" })
}
