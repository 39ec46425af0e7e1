//! One part: since when it is failing or well, how often it was restarted, and what was told of it.

use std::collections::VecDeque;

use millrace_model::alert::DownReason;

use super::changes::Changes;
use super::{Health, Rules};

/// What was told of a part last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Told {
    /// That it is up, or nothing yet.
    #[default]
    Up,
    /// That it is down.
    Down,
}

/// What it has been without a pause, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Streak {
    #[default]
    None,
    Well {
        since_ms: u64,
    },
    Failing {
        since_ms: u64,
    },
}

/// What is due: a part is down for a reason, or up when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) since_ms: u64,
    pub(super) reason: Option<DownReason>,
}

/// A part.
#[derive(Debug, Default)]
pub(super) struct Part {
    told: Told,
    streak: Streak,
    /// How many restarts were counted when it was last looked at.
    counted: Option<u64>,
    /// When it was restarted, oldest first: one more than are borne at most.
    restarted: VecDeque<u64>,
    changes: Changes,
}

impl Part {
    pub(super) fn is_down(&self) -> bool {
        self.told == Told::Down
    }

    /// What was told also ends the count of restarts: those that led to it are not to lead to it again.
    pub(super) fn told(&mut self, told: Told, at_ms: u64, changes_max: usize) {
        self.restarted.clear();
        if self.told != told {
            self.told = told;
            // Whatever held before: one that is up has room to be told down.
            self.changes.note(at_ms, if told == Told::Down { changes_max } else { changes_max - 1 });
        }
    }

    /// Looks at it; what is due, if anything is.
    pub(super) fn look(&mut self, health: Health, restarts: u64, now_ms: u64, rules: &Rules) -> Option<Due> {
        let was_restarted = self.count(restarts, now_ms, rules);
        self.streak = self.streak.after(health, was_restarted, now_ms);
        match self.told {
            Told::Up => self.down(health, now_ms, rules),
            Told::Down => self.up(now_ms, rules),
        }
    }

    /// Whether it was restarted since the last look.
    fn count(&mut self, restarts: u64, now_ms: u64, rules: &Rules) -> bool {
        // Fewer than before are those of another process.
        let more = self.counted.and_then(|before| restarts.checked_sub(before)).unwrap_or(0);
        self.counted = Some(restarts);
        let kept = rules.restarts_max.saturating_add(1);
        let new = usize::try_from(more).unwrap_or(usize::MAX).min(kept);
        self.restarted.extend(std::iter::repeat_n(now_ms, new));
        let is_old = |at: &u64| now_ms.saturating_sub(*at) >= rules.restarts_within_ms;
        while self.restarted.len() > kept || self.restarted.front().is_some_and(is_old) {
            self.restarted.pop_front();
        }
        more > 0
    }

    fn down(&self, health: Health, now_ms: u64, rules: &Rules) -> Option<Due> {
        let (since_ms, reason) = match self.streak {
            Streak::Failing { since_ms } if now_ms - since_ms >= rules.down_after_ms => (since_ms, reason(health)),
            Streak::None | Streak::Well { .. } | Streak::Failing { .. } => {
                let is_too_often = self.restarted.len() > rules.restarts_max;
                (*self.restarted.front().filter(|_| is_too_often)?, DownReason::RestartedTooOften)
            }
        };
        let is_last = self.changes.are_nearly_used_up(now_ms, rules.changes_max);
        let reason = if is_last { DownReason::Flapping } else { reason };
        self.changes.have_room_for_worse(now_ms, rules.changes_max).then_some(Due { since_ms, reason: Some(reason) })
    }

    fn up(&self, now_ms: u64, rules: &Rules) -> Option<Due> {
        let Streak::Well { since_ms } = self.streak else { return None };
        let is_over = now_ms - since_ms >= rules.up_after_ms;
        (is_over && self.changes.have_room_for_better(now_ms, rules.changes_max))
            .then_some(Due { since_ms, reason: None })
    }
}

impl Streak {
    /// The streak with one more look. A clock that was put back begins it anew, and a restart begins one of being well.
    fn after(self, health: Health, was_restarted: bool, now_ms: u64) -> Self {
        match (self, health) {
            (_, Health::Unknown) => Self::None,
            (Self::Well { since_ms }, Health::Well) if !was_restarted => Self::Well { since_ms: since_ms.min(now_ms) },
            (_, Health::Well) => Self::Well { since_ms: now_ms },
            (Self::Failing { since_ms }, Health::NotRunning | Health::Unreachable) => {
                Self::Failing { since_ms: since_ms.min(now_ms) }
            }
            (_, Health::NotRunning | Health::Unreachable) => Self::Failing { since_ms: now_ms },
        }
    }
}

fn reason(health: Health) -> DownReason {
    match health {
        Health::Unreachable => DownReason::Unreachable,
        Health::NotRunning | Health::Well | Health::Unknown => DownReason::NotRunning,
    }
}
