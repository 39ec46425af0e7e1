//! Bytes of a known number from their hexadecimal digits. A log is full of them.

/// The bytes, if the text has two digits for each of them and nothing else.
pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; N] = pairs.try_into().ok()?;
    // All of them, whatever is found: that is done for many at a time.
    let (mut bytes, mut seen) = ([0; N], 0);
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (value(*high), value(*low));
        *byte = high << 4 | low;
        seen |= high | low;
    }
    (seen < 16).then_some(bytes)
}

/// The value of a digit; of anything else, more than any digit has.
fn value(digit: u8) -> u8 {
    let (number, letter) = (digit.wrapping_sub(b'0'), (digit | 0x20).wrapping_sub(b'a'));
    if number < 10 {
        number
    } else if letter < 6 {
        letter + 10
    } else {
        u8::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_read_from_its_digits_and_from_nothing_else() {
        for byte in 0..=u8::MAX {
            assert_eq!(
                (bytes(&format!("{byte:02x}00")), bytes(&format!("{byte:02X}"))),
                (Some([byte, 0]), Some([byte]))
            );
            let text = [b'0', byte];
            let is_digit = byte.is_ascii_hexdigit();
            assert_eq!(std::str::from_utf8(&text).ok().and_then(bytes::<1>).is_some(), is_digit, "{byte}");
        }
        for (text, why) in [("", "nothing"), ("0", "too short"), ("000", "too long"), ("0000", "too long")] {
            assert_eq!(bytes::<1>(text), None, "{why}");
        }
    }
}
