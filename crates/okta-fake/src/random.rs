//! Numbers and ids that are the same in every run and do not depend on a clock or on the system.

use std::sync::Arc;

/// A small generator (SplitMix64). The same seed gives the same org in every build.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Returns an id of 20 characters. Ids with the same prefix sort by number.
pub(crate) fn id(prefix: &str, number: u64, seed: u64) -> Arc<str> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = prefix.as_bytes().to_vec();
    let mut digits = |mut number: u64, width: usize| {
        let start = text.len();
        text.resize(start + width, b'0');
        for place in text[start..].iter_mut().rev() {
            *place = DIGITS[usize::try_from(number % 62).unwrap_or(0)];
            number /= 62;
        }
    };
    digits(number, 6);
    digits(Random::new(seed ^ number).next(), 8);
    text.extend(b"0h7");
    String::from_utf8_lossy(&text).into()
}
