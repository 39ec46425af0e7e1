//! How far a JSON string stands for itself.

/// Bytes that are looked at together, once a text has turned out to be long.
const BLOCK_BYTES: usize = 32;
/// Most texts end before so many bytes.
const SHORT_BYTES: usize = 64;
/// The lowest bit of each byte.
const ONES: u64 = u64::from_le_bytes([1; 8]);
/// The highest bit of each byte.
const TOPS: u64 = ONES << 7;

/// How many bytes come before the first that ends a string or stands for something else: a quote, a backslash or a control character.
#[inline]
pub(super) fn length(text: &[u8]) -> usize {
    let mut plain = 0;
    while let Some(word) = text[plain..].first_chunk() {
        let ends = ends(u64::from_le_bytes(*word));
        if ends != 0 {
            return plain + (ends.trailing_zeros() / 8) as usize;
        }
        plain += size_of::<u64>();
        if plain == SHORT_BYTES {
            plain += in_blocks(&text[plain..]);
        }
    }
    plain + text[plain..].iter().take_while(|byte| !is_end(**byte)).count()
}

/// The same as far as whole blocks are plain.
fn in_blocks(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<BLOCK_BYTES>();
    let plain = blocks.iter().take_while(|block| !block.iter().fold(false, |is_any, byte| is_any | is_end(*byte)));
    plain.count() * BLOCK_BYTES
}

fn is_end(byte: u8) -> bool {
    // Not the shorter `||`: it is a whole block that is looked at.
    (byte == b'"') | (byte == b'\\') | (byte < b' ')
}

/// The highest bit of the first byte that is an end, and perhaps of some behind it; nothing where there is none.
fn ends(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let of = |byte: u8| zero(word ^ (ONES * u64::from(byte)));
    let control = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
    (of(b'"') | of(b'\\') | control) & TOPS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_before_the_first_end_is_as_long_as_byte_by_byte(text in proptest::collection::vec(
            prop_oneof![40 => any::<u8>().prop_filter("no end", |byte| !is_end(*byte)), 1 => any::<u8>()], 0..300,
        )) {
            let one_by_one = text.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(text.len());
            prop_assert_eq!(length(&text), one_by_one);
        }
    }
}
