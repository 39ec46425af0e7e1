//! What is taken: numbers and places under the limit, claimed in memory before anything is awaited.

use std::collections::{BTreeSet, HashMap};

use millrace_model::ids::CommandId;

use super::{BindError, Pending};

/// How many customers' counts are kept; beyond it, those with nothing under way are forgotten and counted again.
const TARGETS_MAX: usize = 100_000;

/// What is taken. Belongs to one incarnation: a new one reads the log.
#[derive(Debug)]
pub(super) struct Claims {
    next_index: u32,
    /// Numbers that were claimed and certainly not given out.
    returned: BTreeSet<u32>,
    targets: HashMap<String, Taken>,
    pending: HashMap<CommandId, Pending>,
}

/// How many addresses a customer has.
#[derive(Debug, Clone, Copy)]
struct Taken {
    bound: u64,
    under_way: u64,
}

impl Claims {
    pub(super) fn new(next_index: u32) -> Self {
        Self { next_index, returned: BTreeSet::new(), targets: HashMap::new(), pending: HashMap::new() }
    }

    /// The answer to the same command, if that is under way.
    pub(super) fn pending(&self, command_id: CommandId) -> Option<Pending> {
        self.pending.get(&command_id).cloned()
    }

    /// Takes a place under the customer's limit; `count` says how many addresses he has, when that is not known.
    pub(super) fn begin(
        &mut self,
        target: &str,
        addresses_max: u64,
        count: impl FnOnce() -> Result<u64, BindError>,
    ) -> Result<(), BindError> {
        if self.targets.len() >= TARGETS_MAX {
            self.targets.retain(|_, taken| taken.under_way > 0);
        }
        let taken = match self.targets.get_mut(target) {
            Some(taken) => taken,
            None => {
                let bound = count()?;
                self.targets.entry(target.to_owned()).or_insert(Taken { bound, under_way: 0 })
            }
        };
        if taken.bound + taken.under_way >= addresses_max {
            return Err(BindError::LimitReached(addresses_max));
        }
        taken.under_way += 1;
        Ok(())
    }

    /// Remembers who answers the command.
    pub(super) fn under_way(&mut self, command_id: CommandId, pending: Pending) {
        self.pending.insert(command_id, pending);
    }

    /// The command is over; `newly_bound` addresses (0 or 1) came of it.
    pub(super) fn end(&mut self, command_id: CommandId, target: &str, newly_bound: u64) {
        self.pending.remove(&command_id);
        if let Some(taken) = self.targets.get_mut(target) {
            taken.under_way -= 1;
            taken.bound += newly_bound;
        }
    }

    /// The next number.
    pub(super) fn take_index(&mut self) -> u32 {
        self.returned.pop_first().unwrap_or_else(|| {
            let index = self.next_index;
            self.next_index = index.saturating_add(1);
            index
        })
    }

    /// A number that was not given out after all.
    pub(super) fn give_back(&mut self, index: u32) {
        self.returned.insert(index);
    }

    /// How many of `size` numbers are left.
    pub(super) fn left_of(&self, size: u32) -> u32 {
        size.saturating_sub(self.next_index).saturating_add(self.returned.len() as u32).min(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_not_given_out_is_the_next_one() {
        let mut claims = Claims::new(7);
        assert_eq!((claims.take_index(), claims.take_index()), (7, 8));
        claims.give_back(7);
        assert_eq!(claims.left_of(10), 2);
        assert_eq!((claims.take_index(), claims.take_index()), (7, 9));
    }

    #[test]
    fn what_is_under_way_counts_until_it_failed() {
        let mut claims = Claims::new(0);
        let command_id = CommandId([0; 16]);
        let begin = |claims: &mut Claims| claims.begin("alice", 3, || Ok(2));
        assert_eq!(begin(&mut claims), Ok(()));
        assert_eq!(begin(&mut claims), Err(BindError::LimitReached(3)));
        claims.end(command_id, "alice", 0);
        assert_eq!(begin(&mut claims), Ok(()));
        claims.end(command_id, "alice", 1);
        assert_eq!(begin(&mut claims), Err(BindError::LimitReached(3)));
    }
}
