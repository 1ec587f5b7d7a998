//! Numbers that look random and are the same everywhere: functions of a seed and a counter (WORKLOADS §0.2).
use std::f64::consts::PI;

/// SplitMix64 as a function of a counter (Steele, Lea and Flood, OOPSLA 2014): in [0, 1).
pub(super) fn uniform(seed: u64, counter: u64) -> f64 {
    let mut z = seed.wrapping_add(counter.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 * (-53.0_f64).exp2()
}

/// Two independent standard normal numbers (Box and Muller 1958).
pub(super) fn gaussian_pair(seed: u64, counter: u64) -> [f64; 2] {
    let radius = (-2.0 * (1.0 - uniform(seed, 2 * counter)).ln()).sqrt();
    let (sine, cosine) = (2.0 * PI * uniform(seed, 2 * counter + 1)).sin_cos();
    [radius * cosine, radius * sine]
}
