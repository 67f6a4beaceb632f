//! Ids that are made of what they stand for.

use std::fmt::Write as _;

/// An id in the form of a UUID (RFC 9562, version 8), the same for the same text.
pub fn uuid(text: &str) -> String {
    // FNV-1a with 128 bits: nobody gains anything by an id that stands for two things.
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = text.bytes().fold(BASIS, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    let version = hash & !(0xf << 76) | 0x8 << 76;
    let variant = version & !(0x3 << 62) | 0x2 << 62;
    let mut id = String::with_capacity(36);
    for (place, digit) in format!("{variant:032x}").chars().enumerate() {
        if [8, 12, 16, 20].contains(&place) {
            id.push('-');
        }
        let _ = write!(id, "{digit}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn an_id_is_a_uuid_of_the_text() {
        assert_eq!(uuid(""), "6c62272e-07bb-8142-a2b8-21756295c58d");
        assert_eq!(uuid("a").len(), 36);
        assert_ne!(uuid("a"), uuid("b"));
    }
}
