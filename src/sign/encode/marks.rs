//! Where the bytes stand that mean something: many bytes are looked at in one go, and only what is found is looked at
//! one by one. Nothing here knows what a byte means; whoever asks looks at each mark again.

/// How many bytes are looked at in one go.
const GROUP: usize = 32;

/// How many are sooner looked at one by one.
const FEW: usize = 8;

/// The places of all bytes but letters, digits, `-`, `.` and `_`, in their order.
pub(super) struct Marks<'w> {
    wire: &'w [u8],
    /// Where the group begins.
    at: usize,
    /// The marks of the group that are still to be told, the lowest bit for the first byte.
    bits: u32,
}

impl<'w> Marks<'w> {
    pub(super) fn new(wire: &'w [u8]) -> Self {
        Self { wire, at: 0, bits: bits_at(wire, 0) }
    }
}

impl Iterator for Marks<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            self.at += GROUP;
            if self.at >= self.wire.len() {
                return None;
            }
            self.bits = bits_at(self.wire, self.at);
        }
        let at = self.at + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(at)
    }
}

/// The marks of the group that begins at `at`.
fn bits_at(wire: &[u8], at: usize) -> u32 {
    let rest = wire.get(at..).unwrap_or_default();
    if let Some(group) = rest.first_chunk() {
        return bits(group);
    }
    if rest.len() <= FEW {
        return rest.iter().rev().fold(0, |bits, &byte| bits << 1 | u32::from(is_mark(byte)));
    }
    // The last group, with what stands before it; or, if there is nothing, on its own.
    if let Some(group) = wire.last_chunk() {
        return bits(group) >> (GROUP - rest.len());
    }
    let mut group = [b'0'; GROUP];
    group[..rest.len()].copy_from_slice(rest);
    bits(&group)
}

fn bits(group: &[u8; GROUP]) -> u32 {
    let mut flags = [0; GROUP];
    flag(group, &mut flags);
    let eights = flags.as_chunks::<8>().0.iter().rev();
    eights.fold(0, |bits, eight| bits << 8 | gather(*eight))
}

#[allow(clippy::needless_bitwise_bool, reason = "without branches the compiler looks at many bytes at once")]
fn is_mark(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    // From `-` to `9` there is one other, `/`.
    let is_number = (byte.wrapping_sub(b'-') < 13) & (byte != b'/');
    !(is_letter | is_number | (byte == b'_'))
}

/// One for each byte that is a mark. On its own, because so it is a plain loop, which compilers turn into instructions
/// for sixteen bytes and more; among other code they take it apart.
#[inline(never)]
fn flag(group: &[u8; GROUP], flags: &mut [u8; GROUP]) {
    for (flag, &byte) in flags.iter_mut().zip(group) {
        *flag = u8::from(is_mark(byte));
    }
}

/// Eight flags as the bits of a byte: the factor moves the flag of byte `n` to bit `56 + n`.
fn gather(flags: [u8; 8]) -> u32 {
    let bits = u64::from_le_bytes(flags).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    #[allow(clippy::cast_possible_truncation)] // eight bits
    let bits = bits as u32;
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte, at every place in a word, between bytes of which none, or each, is a mark.
    #[test]
    fn every_byte_is_told() {
        for byte in 0..=255_u8 {
            let is_mark = !byte.is_ascii_alphanumeric() && !b"-._".contains(&byte);
            for length in [1, 8, 9, 31, 32, 33, 41, 64, 65] {
                for at in 0..length {
                    let mut wire = vec![b'z'; length];
                    wire[at] = byte;
                    let found: Vec<_> = Marks::new(&wire).collect();
                    assert_eq!(found, if is_mark { vec![at] } else { vec![] }, "{byte} {length} {at}");
                    let mut wire = vec![0xFF; length];
                    wire[at] = byte;
                    let found = Marks::new(&wire).count();
                    assert_eq!(found, if is_mark { length } else { length - 1 }, "{byte} {length} {at}");
                }
            }
        }
        assert_eq!(Marks::new(b"").next(), None);
    }
}
