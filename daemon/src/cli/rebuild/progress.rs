//! How far it is: one line that is written over on a terminal, a line from time to time elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use millrace_actors::projection::Rebuild;

/// The shortest pause between two words on a terminal.
const TERMINAL_EVERY: Duration = Duration::from_millis(200);
/// And elsewhere.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// Characters of the bar.
const BAR: u64 = 20;

/// Where it is told.
pub(super) struct Progress {
    is_terminal: bool,
    told: Instant,
    is_line_open: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), told: Instant::now(), is_line_open: false }
    }
}

impl Progress {
    pub(super) fn tell(&mut self, how_far: &Rebuild) {
        let pause = if self.is_terminal { TERMINAL_EVERY } else { LINE_EVERY };
        if self.told.elapsed() < pause {
            return;
        }
        self.told = Instant::now();
        // Nobody to tell it is nobody's loss.
        let _ = if self.is_terminal {
            self.is_line_open = true;
            write!(io::stderr(), "\r\x1b[K[{}] {}", bar(how_far), words(how_far))
        } else {
            writeln!(io::stderr(), "{}", words(how_far))
        };
    }

    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_line_open) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn share(Rebuild { position, end, .. }: &Rebuild, of: u64) -> u64 {
    (position * of).checked_div(*end).unwrap_or(of).min(of)
}

fn bar(how_far: &Rebuild) -> String {
    let full = share(how_far, BAR);
    (0..BAR).map(|place| if place < full { '#' } else { ' ' }).collect()
}

fn words(how_far: &Rebuild) -> String {
    let Rebuild { position, end, events_per_second, seconds_left } = how_far;
    let left = seconds_left.map_or_else(String::new, |seconds| format!(", {seconds} s left"));
    let percent = share(how_far, 100);
    format!("{percent} %, {position} of {end} events, {events_per_second} a second{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_is_told_with_its_speed_and_the_time_left() {
        let how_far = Rebuild { position: 250, end: 1_000, events_per_second: 500, seconds_left: Some(2) };
        assert_eq!(words(&how_far), "25 %, 250 of 1000 events, 500 a second, 2 s left");
        assert_eq!(bar(&how_far), "#####               ");
        let begun = Rebuild { position: 0, end: 0, events_per_second: 0, seconds_left: None };
        assert_eq!((words(&begun).as_str(), bar(&begun)), ("100 %, 0 of 0 events, 0 a second", "#".repeat(20)));
    }
}
