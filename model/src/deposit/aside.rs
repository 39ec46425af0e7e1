//! What was seen of a deposit while its stream could not be read, told to it once it can be.

use super::command::{Command, Rejection};
use super::event::Event;
use super::state::{Deposit, Sighting, evolve};
use crate::chain::Seen;

impl Deposit {
    /// The events that follow from what was seen, oldest first; none where there is nothing new in it.
    pub fn take_up(&self, seen: &[Seen]) -> Result<Vec<Event>, Rejection> {
        let (mut after, mut events) = (self.clone(), Vec::new());
        for command in seen {
            let Some(command) = after.told(command) else { continue };
            match after.decide(&command) {
                Ok(decided) => {
                    after = decided.iter().fold(Some(after), evolve).expect("a detected deposit stays one");
                    events.extend(decided);
                }
                Err(Rejection::NothingNew) => {}
                Err(rejection) => return Err(rejection),
            }
        }
        Ok(events)
    }

    /// What it is to be told; nothing of blocks that it is not in.
    fn told(&self, seen: &Seen) -> Option<Command> {
        match *seen {
            Seen::Mined { block } => Some(Command::ObserveMined { block }),
            Seen::Orphaned { above } => {
                let is_in = matches!(&self.sighting, Sighting::Mined(block) if block.height > above);
                is_in.then_some(Command::ObserveOrphaned)
            }
        }
    }
}
