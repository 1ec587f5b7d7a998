//! Weights of a contribution on vectors: taper, anti-alias weight, taps of the interpolations.
#![allow(
    unsafe_code,
    reason = "lanes; every function needs the features of its lanes"
)]
use super::exact::{self, DOMINANT, HIGHEST};
use super::lanes::Lanes;
use std::sync::OnceLock;

/// sin(πx)/x in powers of x² for |x| ≤ ½: Taylor's series, whose next term is below 4e-9.
const SINE: [f32; 6] = [
    std::f32::consts::PI,
    -5.167_712_8,
    2.550_164,
    -0.599_264_5,
    0.082_145_89,
    -0.007_370_43,
];

/// ½(1 + cos πu) for u from 0 to 1: ½ − ½ sin π(u − ½).
///
/// # Safety
/// The processor has L's features.
#[inline(always)]
pub(super) unsafe fn cosine_tapers<L: Lanes>(u: L) -> L {
    // SAFETY: as the caller promises.
    unsafe {
        let x = u.sub(L::splat(0.5));
        let square = x.mul(x);
        let mut sum = L::splat(SINE[5]);
        for term in SINE[..5].iter().rev() {
            sum = sum.mul_add(square, L::splat(*term));
        }
        x.mul(sum).mul_add(L::splat(-0.5), L::splat(0.5))
    }
}

/// WORKLOADS §2a, `upstream_weight`: how much of the dominant frequency lies below what the grid can hold.
///
/// # Safety
/// The processor has L's features.
#[inline(always)]
pub(super) unsafe fn anti_alias<L: Lanes>(lateral: L, v: L, seconds: L, coarse: f32) -> L {
    // SAFETY: as the caller promises.
    unsafe {
        let sine = lateral.div(v.mul(seconds)).min(L::splat(1.0));
        let by_grid = sine.mul(L::splat(4.0 * coarse * DOMINANT as f32)).div(v);
        let share = by_grid.max(L::splat((DOMINANT / HIGHEST) as f32));
        let w = L::splat(1.0).sub(share).max(L::splat(0.0));
        let applies = L::ALL & !sine.below(L::splat(0.01)) & !seconds.below(L::splat(1e-3));
        w.kept(applies).add(L::splat(1.0).kept(L::ALL & !applies))
    }
}

/// # Safety
/// The processor has L's features.
#[inline(always)]
pub(super) unsafe fn cubic<L: Lanes>(f: L, taps: [L; 4]) -> L {
    // SAFETY: as the caller promises.
    unsafe {
        // As exact::cubic_weights, by powers of f.
        let [a, b, c, d] = taps;
        let one = c.sub(a).mul(L::splat(0.5));
        let two = a
            .sub(b.mul(L::splat(2.5)))
            .add(c.mul(L::splat(2.0)))
            .sub(d.mul(L::splat(0.5)));
        let three = b.sub(c).mul(L::splat(1.5)).add(d.sub(a).mul(L::splat(0.5)));
        three.mul_add(f, two).mul_add(f, one).mul_add(f, b)
    }
}

/// Steps of the table of sinc weights; between them linear, which is off by less than 1e-6.
pub(super) const SINC_STEPS: usize = 2048;

/// Eight weights for each step, and for one beyond the last.
pub(super) fn sinc_table() -> &'static [f32] {
    static TABLE: OnceLock<Vec<f32>> = OnceLock::new();
    TABLE.get_or_init(|| {
        (0..=SINC_STEPS + 1)
            .flat_map(|i| exact::sinc_weights(i as f64 / SINC_STEPS as f64).map(|w| w as f32))
            .collect()
    })
}

/// Weights of eight taps.
///
/// # Safety
/// The processor has L's features.
#[inline(always)]
pub(super) unsafe fn sinc<L: Lanes>(share: L) -> [L; 8] {
    let table = sinc_table();
    // SAFETY: as the caller promises; a share is at most 1.
    unsafe {
        let (row, rest) = share.mul(L::splat(SINC_STEPS as f32)).split();
        let mut rows = [0; 16];
        L::stored(row, rows.as_mut_ptr());
        let mut weights = [L::splat(0.0); 8];
        for (k, weight) in weights.iter_mut().enumerate() {
            let (mut low, mut high) = ([0.0; 16], [0.0; 16]);
            for lane in 0..L::COUNT {
                low[lane] = table[rows[lane] as usize * 8 + k];
                high[lane] = table[(rows[lane] as usize + 1) * 8 + k];
            }
            let (low, high) = (L::load(low.as_ptr()), L::load(high.as_ptr()));
            *weight = high.sub(low).mul_add(rest, low);
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{Portable, Vector};
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn the_taper_is_a_cosine() {
        for i in 0..=100 {
            let u = i as f32 / 100.0;
            let exact = 0.5 * (1.0 + (PI * f64::from(u)).cos());
            // SAFETY: portable lanes need nothing.
            let lanes = unsafe { cosine_tapers(Portable::splat(u)).to_array() };
            assert!((f64::from(lanes[0]) - exact).abs() < 3e-7, "{u}");
        }
    }

    #[test]
    fn taps_weigh_as_the_definition_says() {
        for i in 0..100 {
            let f = (i as f32 + 0.37) / 100.0;
            // SAFETY: portable lanes need nothing.
            unsafe {
                let of = |k: usize| {
                    let taps =
                        std::array::from_fn(|t| Portable::splat(if t == k { 1.0 } else { 0.0 }));
                    f64::from(cubic(Portable::splat(f), taps).to_array()[0])
                };
                for (k, w) in exact::cubic_weights(f64::from(f)).into_iter().enumerate() {
                    assert!((of(k) - w).abs() < 1e-6, "{f} {k}");
                }
                let sinc = sinc(Portable::splat(f));
                for (k, w) in exact::sinc_weights(f64::from(f)).into_iter().enumerate() {
                    assert!(
                        (f64::from(sinc[k].to_array()[0]) - w).abs() < 2e-6,
                        "{f} {k}"
                    );
                }
            }
        }
    }
}
