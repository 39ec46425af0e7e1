//! What a subscription has open, as bytes: four small numbers each, seven bits a byte. What had arrived at the first failure
//! stands above the failures, so that what was written without it reads as nothing.

use millrace_protocols::delivery::cursor::{Open, OrderKey, Position, Tries};

/// Bits of a number of failures.
const FAILURE_BITS: u32 = 16;
/// The most arrivals that are told apart.
const ARRIVALS_MAX: u64 = (1 << (u64::BITS - FAILURE_BITS)) - 1;

pub(super) fn encode(open: &[(Position, Open)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(open.len() * 5);
    let mut before = 0;
    for (position, Open { tries, key }) in open {
        let key = key.map_or(0, OrderKey::number);
        let failures = u64::from(tries.failures) | tries.arrivals.min(ARRIVALS_MAX) << FAILURE_BITS;
        for number in [position - before, tries.attempts.into(), failures, key] {
            put(number, &mut bytes);
        }
        before = *position;
    }
    bytes
}

/// `None` for bytes that nothing was made to.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Vec<(Position, Open)>> {
    let mut open = Vec::new();
    let mut before: Position = 0;
    while !bytes.is_empty() {
        before = before.checked_add(take(&mut bytes)?)?;
        let attempts = take(&mut bytes)?.try_into().ok()?;
        let failed = take(&mut bytes)?;
        let (failures, arrivals) = ((failed & u64::from(u16::MAX)) as u16, failed >> FAILURE_BITS);
        let key = OrderKey::new(take(&mut bytes)?);
        open.push((before, Open { tries: Tries { attempts, failures, arrivals }, key }));
    }
    Some(open)
}

fn put(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_written_before_arrivals_were_counted_is_read() {
        let tries = Tries { attempts: 2, failures: 1, arrivals: 0 };
        assert_eq!(decode(&[7, 2, 1, 0]), Some(vec![(7, Open { tries, key: None })]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(open in proptest::collection::btree_map(any::<u64>(), any::<(u16, u16, u32, u64)>(), 0..50)) {
            let open: BTreeMap<u64, _> = open;
            let open: Vec<_> = open.into_iter().map(|(position, (attempts, failures, arrivals, key))| {
                (position, Open { tries: Tries { attempts, failures, arrivals: arrivals.into() }, key: OrderKey::new(key) })
            }).collect();
            prop_assert_eq!(decode(&encode(&open)), Some(open));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
