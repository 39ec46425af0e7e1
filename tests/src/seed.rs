//! Chance that can be repeated: a test that draws says its seed, and takes one from `MILLRACE_SEED`.

use rand::SeedableRng;
use rand::rngs::SmallRng;

/// The variable that repeats a run.
const VARIABLE: &str = "MILLRACE_SEED";
/// The variable that makes a run longer.
const LIVES: &str = "MILLRACE_LIVES";

/// The seed of this run, printed whatever comes of it: the environment's, or a new one.
pub fn printed(test: &str) -> u64 {
    let seed = asked_for().unwrap_or_else(rand::random);
    println!("{test}: {VARIABLE}={seed}");
    seed
}

/// The seed that the environment asks for.
pub fn asked_for() -> Option<u64> {
    given(VARIABLE)
}

/// How many lives a simulation lives: the environment's number, or this.
pub fn lives(usually: u64) -> u64 {
    given(LIVES).unwrap_or(usually)
}

/// Chance of its own for each purpose, so that drawing more for one changes nothing for another.
pub fn chance(seed: u64, purpose: &str) -> SmallRng {
    // FNV-1a: any mixing will do, as long as it is the same on every machine.
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    SmallRng::seed_from_u64(purpose.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, mix))
}

#[expect(clippy::disallowed_methods, reason = "the tests have no configuration file; a run is repeated by this")]
fn given(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}
