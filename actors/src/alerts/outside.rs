//! What the desk depends on, as the parts see it that talk to it.

use millrace_protocols::alerting::Health;

use crate::supervision::{PartHealth, State};
use crate::{finality, market, scanner, stock};

/// Somebody outside.
struct Peer {
    name: &'static str,
    /// The parts that talk to him, and the kinds of condition by which they say that he does not answer.
    told_by: &'static [(&'static str, &'static [&'static str])],
}

const SKYCOIN: &[&str] = &["skycoin_node", "skycoin_sync"];

const PEERS: [Peer; 3] = [
    Peer { name: "bitcoin_node", told_by: &[(scanner::PART, &["bitcoin_node"])] },
    // Not the sender: it talks to the node only while there is something to pay.
    Peer { name: "skycoin_node", told_by: &[(stock::PART, SKYCOIN), (finality::PART, SKYCOIN)] },
    Peer { name: "c2cx", told_by: &[(market::PART, &["c2cx"])] },
];

/// Whether this is somebody outside to whom one of these parts talks.
pub(super) fn is_there(name: &str, parts: &[PartHealth]) -> bool {
    let talks = |peer: &Peer| parts.iter().any(|part| peer.told_by.iter().any(|(name, _)| part.name == *name));
    PEERS.iter().any(|peer| peer.name == name && talks(peer))
}

/// How those do to whom somebody talks. Of whom nobody asks at the moment, nobody can tell.
pub(super) fn seen(parts: &[PartHealth]) -> impl Iterator<Item = (&'static str, Health)> {
    PEERS.iter().filter(|peer| is_there(peer.name, parts)).map(|peer| (peer.name, of_peer(peer, parts)))
}

fn of_peer(peer: &Peer, parts: &[PartHealth]) -> Health {
    let mut health = Health::Unknown;
    for (name, kinds) in peer.told_by {
        let Some(part) = parts.iter().find(|part| part.name == *name) else { continue };
        if part.conditions.iter().any(|condition| kinds.contains(&condition.kind)) {
            return Health::Unreachable;
        }
        if matches!(part.state, State::Running | State::Halted) {
            health = Health::Well;
        }
    }
    health
}
