//! What a subscription has open, as bytes: four small numbers each, seven bits a byte.

use millrace_protocols::delivery::cursor::{Open, OrderKey, Position, Tries};

pub(super) fn encode(open: &[(Position, Open)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(open.len() * 5);
    let mut before = 0;
    for (position, Open { tries, key }) in open {
        let key = key.map_or(0, OrderKey::number);
        for number in [position - before, tries.attempts.into(), tries.failures.into(), key] {
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
        let failures = take(&mut bytes)?.try_into().ok()?;
        let key = OrderKey::new(take(&mut bytes)?);
        open.push((before, Open { tries: Tries { attempts, failures }, key }));
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

    proptest! {
        #[test]
        fn what_is_written_is_read(open in proptest::collection::btree_map(any::<u64>(), any::<(u16, u16, u64)>(), 0..50)) {
            let open: BTreeMap<u64, _> = open;
            let open: Vec<_> = open.into_iter().map(|(position, (attempts, failures, key))| {
                (position, Open { tries: Tries { attempts, failures }, key: OrderKey::new(key) })
            }).collect();
            prop_assert_eq!(decode(&encode(&open)), Some(open));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
