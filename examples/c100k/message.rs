//! The 64 bytes that go there and back: who sends, which message it is, and a pattern made of both.
//!
//! No two messages of a run are alike, so an echo that is late, doubled, or meant for another
//! connection is told from the right one, and so is any single wrong byte.
#![forbid(unsafe_code)]

pub(crate) const LENGTH: usize = 64;

pub(crate) type Message = [u8; LENGTH];

/// Message number `sequence` of connection `connection`.
pub(crate) fn message(connection: u64, sequence: u64) -> Message {
    let mut bytes = [0; LENGTH];
    let mut state = connection << 32 ^ sequence;
    for (n, word) in bytes.chunks_exact_mut(8).enumerate() {
        let value = match n {
            0 => connection,
            1 => sequence,
            _ => scramble(&mut state),
        };
        word.copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// SplitMix64 (Steele, Lea and Flood 2014): one step from any state to well mixed bits.
fn scramble(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_differ_by_connection_and_by_sequence() {
        assert_eq!(message(1, 2), message(1, 2));
        assert_ne!(message(1, 2)[16..], message(1, 3)[16..]);
        assert_ne!(message(1, 2)[16..], message(2, 2)[16..]);
        assert_ne!(message(1, 2)[16..], message(2, 1)[16..]);
    }
}
