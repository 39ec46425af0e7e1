//! A condition of a part that may be told again and again.

use std::sync::atomic::{AtomicBool, Ordering};

use super::health::Reporter;

/// Something that is wrong. Telling that it is well again costs nothing when it was well.
pub(crate) struct Alarm {
    kind: &'static str,
    raised: AtomicBool,
    report: Reporter,
}

impl Alarm {
    pub(crate) fn new(kind: &'static str, report: Reporter) -> Self {
        Self { kind, raised: AtomicBool::new(false), report }
    }

    pub(crate) fn raise(&self, text: impl Into<String>) {
        self.raised.store(true, Ordering::Relaxed);
        self.report.set(self.kind, text);
    }

    pub(crate) fn clear(&self) {
        if self.raised.swap(false, Ordering::Relaxed) {
            self.report.clear(self.kind);
        }
    }
}
