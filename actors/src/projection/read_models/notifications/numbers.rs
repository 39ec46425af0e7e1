//! Ids and addresses as numbers, which SQLite sorts and finds faster than their bytes.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The number of a text: the first eight bytes of its SHA-256, the first of them the highest. Nobody finds two texts of one number
/// without trying for long, and whoever looks for one compares the texts, too.
pub(in crate::projection) fn of_text(text: &str) -> i64 {
    let hash: [u8; 32] = Sha256::digest(text).into();
    let [number, ..] = hash.as_chunks().0 else { unreachable!("a hash has eight bytes") };
    i64::from_be_bytes(*number)
}

/// The two numbers of an id.
pub(in crate::projection) fn of_id(id: Uuid) -> (i64, i64) {
    let (high, low) = id.as_u64_pair();
    (high.cast_signed(), low.cast_signed())
}

/// The id of two numbers.
pub(in crate::projection) fn id((high, low): (i64, i64)) -> Uuid {
    Uuid::from_u64_pair(high.cast_unsigned(), low.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_and_a_text_has_the_number_it_always_had() {
        for id_before in [Uuid::nil(), Uuid::max(), Uuid::from_u128(0x7f3b_42c1_95d8_4e0a_8c66_1d2f_e0b9_57a4)] {
            assert_eq!(id(of_id(id_before)), id_before);
        }
        // From the SHA-256 of "abc" (FIPS 180-2, appendix B.1).
        assert_eq!(of_text("abc"), 0xba78_16bf_8f01_cfea_u64.cast_signed());
    }
}
