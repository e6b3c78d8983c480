//! Random draws from a seed that is printed, so that a failure can be had again.

use std::time::{SystemTime, UNIX_EPOCH};

/// `SplitMix64`: small, seedable, good enough to draw test input.
pub struct Dice(u64);

impl Dice {
    pub fn new(test: &str) -> Self {
        let seed =
            std::env::var("COUNTERSIGN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
                let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                elapsed.as_secs() ^ u64::from(elapsed.subsec_nanos()) << 20
            });
        println!("{test}: COUNTERSIGN_SEED={seed}");
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub fn text(&mut self, parts: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.pick(parts)).collect()
    }
}
