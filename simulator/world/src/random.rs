//! Randomness: one named stream for each concern of each entity, and constant-time draws from weights.
//!
//! Invariant: what a stream brings depends on (seed, name, id) alone, so that one more store changes no other's
//! draws; the arithmetic is integer or exactly rounded, so that it is the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A ChaCha8 stream.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The seed of the generator is the SHA-256 of seed (little-endian), name, a zero byte and id (little-endian).
    pub fn new(seed: u64, name: &str, id: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(id.to_le_bytes());
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    #[inline]
    pub fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in `0..bound`; the bias is below `bound / 2^32`.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.bits()) * u64::from(bound)) >> 32) as u32
    }

    /// Uniform in `0.0..1.0`, 32 bits.
    pub fn unit(&mut self) -> f64 {
        f64::from(self.bits()) / 4_294_967_296.0
    }

    /// True in `count` of `of` cases.
    #[inline]
    pub fn chance(&mut self, count: u32, of: u32) -> bool {
        self.below(of) < count
    }

    /// A standard normal deviate (Box and Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// A Poisson deviate by inversion; means above 16 in pieces, so that the exponential stays exact enough.
    pub fn poisson(&mut self, mean: f64) -> u32 {
        let mut rest = mean;
        let mut count = 0;
        while rest > 16.0 {
            count += self.poisson_small(16.0);
            rest -= 16.0;
        }
        if rest > 0.0 {
            count + self.poisson_small(rest)
        } else {
            count
        }
    }

    fn poisson_small(&mut self, mean: f64) -> u32 {
        let mut left = self.unit();
        let mut probability = libm::exp(-mean);
        let mut count = 0;
        while left >= probability && count < 200 {
            left -= probability;
            count += 1;
            probability *= mean / f64::from(count);
        }
        count
    }

    /// The generator itself, for crates that take one.
    pub fn generator(&mut self) -> &mut ChaCha8Rng {
        &mut self.0
    }
}

/// Draws an index with given weights by one 32-bit number (Walker's alias method, Vose's construction).
///
/// An entry is one word: in the upper half the share, of 65,536, in which a hit on the entry stays, in the lower
/// half where it goes otherwise.
#[derive(Clone, Debug)]
pub struct AliasTable(Box<[u32]>);

impl AliasTable {
    /// Takes 1 to 65,536 weights, none negative, at least one of them positive.
    pub fn new(weights: &[f64]) -> Self {
        let count = weights.len();
        debug_assert!((1..=65_536).contains(&count));
        let sum: f64 = weights.iter().sum();
        let scale = count as f64 / sum;
        let mut shares: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
        let mut entries: Vec<u32> = (0..count as u32).map(|index| 0xffff_0000 | index).collect();
        let (mut poor, mut rich): (Vec<usize>, Vec<usize>) =
            (0..count).partition(|&index| shares[index] < 1.0);
        while let (Some(&taker), Some(&giver)) = (poor.last(), rich.last()) {
            poor.pop();
            entries[taker] = (((shares[taker] * 65_536.0) as u32) << 16) | giver as u32;
            shares[giver] -= 1.0 - shares[taker];
            if shares[giver] < 1.0 {
                rich.pop();
                poor.push(giver);
            }
        }
        Self(entries.into_boxed_slice())
    }

    #[inline]
    pub fn draw(&self, bits: u32) -> usize {
        let scaled = u64::from(bits) * self.0.len() as u64;
        let index = (scaled >> 32) as usize;
        let entry = self.0[index];
        if (scaled as u32) >> 16 < entry >> 16 {
            index
        } else {
            (entry & 0xffff) as usize
        }
    }
}

/// The standard normal quantile (Acklam's rational approximation, relative error below 1.2e-9).
pub fn normal_quantile(probability: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
    ];
    let tail = |q: f64| {
        (((((C[0] * q + C[1]) * q + C[2]) * q + C[3]) * q + C[4]) * q + C[5])
            / ((((D[0] * q + D[1]) * q + D[2]) * q + D[3]) * q + 1.0)
    };
    if probability < 0.024_25 {
        tail((-2.0 * libm::log(probability)).sqrt())
    } else if probability > 1.0 - 0.024_25 {
        -tail((-2.0 * libm::log(1.0 - probability)).sqrt())
    } else {
        let q = probability - 0.5;
        let r = q * q;
        (((((A[0] * r + A[1]) * r + A[2]) * r + A[3]) * r + A[4]) * r + A[5]) * q
            / (((((B[0] * r + B[1]) * r + B[2]) * r + B[3]) * r + B[4]) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_draws_of_a_stream_are_those_of_chacha8_over_sha256() {
        // Computed by a program of its own.
        let mut stream = Stream::new(7, "shoppers", 42);
        assert_eq!(
            [(); 4].map(|()| stream.bits()),
            [0x77bf_0940, 0x76e8_2bd5, 0x1b63_2a65, 0x8d43_5dbe]
        );
    }

    #[test]
    fn streams_of_one_seed_differ_by_name_and_by_id() {
        let first = |name, id| Stream::new(7, name, id).bits();
        assert_ne!(first("shoppers", 1), first("shoppers", 2));
        assert_ne!(first("shoppers", 1), first("arrivals", 1));
        assert_eq!(first("shoppers", 1), first("shoppers", 1));
    }

    #[test]
    fn an_alias_table_draws_by_weight() {
        let weights = [1.0, 0.0, 5.0, 2.0, 0.5];
        let table = AliasTable::new(&weights);
        let mut stream = Stream::new(1, "test", 0);
        let mut counts = [0_u32; 5];
        for _ in 0..850_000 {
            counts[table.draw(stream.bits())] += 1;
        }
        for (count, weight) in counts.iter().zip(weights) {
            assert!(
                (f64::from(*count) - weight * 100_000.0).abs() < 1_500.0,
                "{counts:?}"
            );
        }
        assert_eq!(counts[1], 0);
    }

    #[test]
    fn poisson_has_its_mean_and_its_variance() {
        let mut stream = Stream::new(1, "test", 0);
        for mean in [0.3, 7.5, 40.0] {
            let draws: Vec<f64> = (0..40_000).map(|_| f64::from(stream.poisson(mean))).collect();
            let average = draws.iter().sum::<f64>() / 40_000.0;
            let variance = draws.iter().map(|x| (x - average) * (x - average)).sum::<f64>() / 40_000.0;
            assert!((average - mean).abs() < 0.03 * mean, "{mean}: {average}");
            assert!((variance - mean).abs() < 0.05 * mean, "{mean}: {variance}");
        }
    }

    #[test]
    fn the_normal_quantile_meets_the_tables() {
        for (probability, quantile) in [
            (0.5, 0.0),
            (0.975, 1.959_963_985),
            (0.01, -2.326_347_874),
            (0.9999, 3.719_016_485),
        ] {
            assert!((normal_quantile(probability) - quantile).abs() < 1e-7);
        }
    }
}
