//! A moment to look, between two events.

use std::io::{self, BufRead, IsTerminal, Write};

/// What happens between two events.
pub trait Pause {
    /// Waits until the next may be shown.
    fn after_event(&mut self, out: &mut impl Write) -> anyhow::Result<()>;
}

/// Waits for Enter, where somebody is there to press it.
#[derive(Debug)]
pub struct Enter {
    watched: bool,
}

impl Enter {
    /// When it is wanted, and both ends are a terminal.
    pub fn when(wanted: bool) -> Self {
        Self { watched: wanted && io::stdin().is_terminal() && io::stdout().is_terminal() }
    }
}

impl Pause for Enter {
    fn after_event(&mut self, out: &mut impl Write) -> anyhow::Result<()> {
        if self.watched {
            write!(out, "[Enter] ")?;
            out.flush()?;
            // The end of the input (Ctrl-D) lets the rest run through.
            self.watched = io::stdin().lock().read_line(&mut String::new())? > 0;
        }
        Ok(())
    }
}
