//! Delays, phases and weights of a patch, in double precision and then rounded once: a delay of 500 samples keeps 15 bits behind the
//! point in f32, which is enough to interpolate and too little for a phase.
#![allow(unsafe_code, reason = "vectors; every function says what it needs")]
use super::geometry::{Geometry, PATCH};
use super::lanes::Lanes;
use super::settings::{Phase, Settings, Wavefront, Window};

/// Numbers of an entry in a table.
pub(super) const ENTRY: usize = 3 * PATCH;

/// One side, transmit or receive, of a patch's pairs.
#[derive(Clone, Copy)]
pub(super) struct Entry<V> {
    /// In samples.
    pub(super) delay: V,
    /// With phase=factored the phasor, times the weight; else the phase in cycles, less its whole ones, and the weight.
    pub(super) a: V,
    pub(super) b: V,
}

impl<V: Lanes> Entry<V> {
    /// # Safety
    /// The processor has the features of `V`; `from` has an entry's numbers, of which those from `lane` on are meant.
    #[inline(always)]
    pub(super) unsafe fn load(from: *const f32) -> Entry<V> {
        // SAFETY: as the caller promises.
        unsafe {
            Entry {
                delay: V::load(from),
                a: V::load(from.add(PATCH)),
                b: V::load(from.add(2 * PATCH)),
            }
        }
    }

    /// # Safety
    /// As for `load`.
    #[inline(always)]
    pub(super) unsafe fn store(self, to: *mut f32) {
        // SAFETY: as the caller promises.
        unsafe {
            self.delay.store(to);
            self.a.store(to.add(PATCH));
            self.b.store(to.add(2 * PATCH));
        }
    }

    /// # Safety
    /// The processor has the features of `V`.
    #[inline(always)]
    unsafe fn new(settings: &Settings, numbers: &Numbers) -> Entry<V> {
        // SAFETY: as the caller promises; sixteen numbers are enough for every vector.
        unsafe {
            let (delay, cycles) = (
                V::load(numbers.delay.as_ptr()),
                V::load(numbers.cycles.as_ptr()),
            );
            let weight = V::load(numbers.weight.as_ptr());
            let [a, b] = match settings.phase {
                Phase::SinCos => [cycles, weight],
                Phase::Factored => {
                    let [cosine, sine] = V::phasor(cycles);
                    [cosine.mul(weight), sine.mul(weight)]
                }
            };
            Entry { delay, a, b }
        }
    }
}

/// Of each lane: delay in samples, phase in cycles within ±½, weight.
struct Numbers {
    delay: [f32; PATCH],
    cycles: [f32; PATCH],
    weight: [f32; PATCH],
}

/// Adding it rounds to a whole number: 1.5·2^52.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

impl Numbers {
    #[inline(always)]
    fn new<const N: usize>(
        length: &[f64; PATCH],
        start: f64,
        cycles: f64,
        weight: [f32; PATCH],
    ) -> Numbers {
        let mut numbers = Numbers {
            delay: [0.0; PATCH],
            cycles: [0.0; PATCH],
            weight,
        };
        for (lane, length) in length.iter().take(N).enumerate() {
            let phase = length * cycles;
            numbers.delay[lane] = (length - start) as f32;
            numbers.cycles[lane] = (phase - ((phase + ROUNDER) - ROUNDER)) as f32;
        }
        numbers
    }
}

/// The receive side of N points from `slot` on.
///
/// # Safety
/// The processor has the features of `V`.
#[inline(always)]
pub(super) unsafe fn receive<V: Lanes, const N: usize>(
    geometry: &Geometry,
    settings: &Settings,
    slot: usize,
    receiver: usize,
) -> Entry<V> {
    let (x, y, z) = (
        &geometry.x[slot..slot + N],
        &geometry.y[slot..slot + N],
        &geometry.z[slot..slot + N],
    );
    let e = geometry.receivers[receiver];
    let mut length = [0.0; PATCH];
    for lane in 0..N {
        let d = [x[lane] - e[0], y[lane] - e[1], z[lane] - e[2]];
        length[lane] = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt();
    }
    let mut weight = [1.0; PATCH];
    let f_number = settings.image.f_number;
    if f_number > 0.0 {
        for lane in 0..N {
            let is_in = (x[lane] - e[0]).abs() <= z[lane] / (2.0 * f_number);
            weight[lane] = if is_in { 1.0 } else { 0.0 };
        }
    }
    // SAFETY: as the caller promises.
    unsafe {
        Entry::new(
            settings,
            &Numbers::new::<N>(&length, 0.0, geometry.cycles, weight),
        )
    }
}

/// w(p, t) of N points from `slot` on, and whether one of them is not 0.
#[inline(always)]
pub(super) fn weights<const N: usize>(
    geometry: &Geometry,
    window: Window,
    slot: usize,
    transmit: usize,
) -> ([f32; PATCH], bool) {
    let (x, z) = (&geometry.x[slot..slot + N], &geometry.z[slot..slot + N]);
    let lines = &geometry.transmits[transmit].lines;
    // Two loops, the first in f64 alone: else it is not vectorized.
    let mut inside = [0.0_f64; PATCH];
    for lane in 0..N {
        let [left, right, middle] = lines.distances(x[lane], z[lane]);
        let is_in = (left * right <= 0.0) | (middle.abs() < geometry.min_aperture);
        inside[lane] = if is_in { 1.0 } else { 0.0 };
    }
    let mut weight = [0.0_f32; PATCH];
    let mut bits = 0;
    for lane in 0..N {
        weight[lane] = inside[lane] as f32;
        bits |= weight[lane].to_bits();
    }
    let is_active = bits != 0;
    if window != Window::Rectangular && is_active {
        for lane in 0..N {
            let [left, right, _] = lines.distances(x[lane], z[lane]).map(f64::abs);
            weight[lane] *= window.at((left / (left + right) - 0.5).abs()) as f32;
        }
    }
    (weight, is_active)
}

/// The transmit side of N points from `slot` on, with their weights.
///
/// # Safety
/// The processor has the features of `V`.
#[inline(always)]
pub(super) unsafe fn transmit<V: Lanes, const N: usize>(
    geometry: &Geometry,
    settings: &Settings,
    slot: usize,
    transmit: usize,
    weight: [f32; PATCH],
) -> Entry<V> {
    let t = &geometry.transmits[transmit];
    let (x, y, z) = (
        &geometry.x[slot..slot + N],
        &geometry.y[slot..slot + N],
        &geometry.z[slot..slot + N],
    );
    let v = t.source;
    let mut length = [0.0; PATCH];
    if settings.image.wavefront != Wavefront::Plane {
        for lane in 0..N {
            let d = [x[lane] - v[0], y[lane] - v[1], z[lane] - v[2]];
            let r = (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]).sqrt();
            // + behind the source, − before it.
            let side = if d[2] > 0.0 { r } else { -r };
            length[lane] = t.norm + if d[2] == 0.0 { 0.0 } else { side };
        }
    }
    if settings.image.wavefront != Wavefront::Focused {
        other_wavefront::<N>(
            geometry,
            settings.image.wavefront,
            slot,
            transmit,
            &mut length,
        );
    }
    for length in &mut length {
        *length -= t.offset;
    }
    // SAFETY: as the caller promises.
    unsafe {
        Entry::new(
            settings,
            &Numbers::new::<N>(&length, geometry.start, geometry.cycles, weight),
        )
    }
}

/// From the spherical wavefront to another; see `Scene::transmit_distance`.
fn other_wavefront<const N: usize>(
    geometry: &Geometry,
    wavefront: Wavefront,
    slot: usize,
    transmit: usize,
    length: &mut [f64; PATCH],
) {
    let t = &geometry.transmits[transmit];
    for (lane, length) in length.iter_mut().take(N).enumerate() {
        let at = slot + lane;
        let p = [geometry.x[at], geometry.y[at], geometry.z[at]];
        let spherical = *length;
        let plane = p.iter().zip(t.direction).map(|(p, d)| p * d).sum::<f64>();
        let depth = (p[2] - t.source[2]).abs();
        let [left, right, _] = t.lines.distances(p[0], p[2]);
        let [dx, dz] = t.lines.middle;
        let along = (p[0] - t.source[0]) * dx + (p[2] - t.source[2]) * dz;
        *length = match wavefront {
            Wavefront::Plane => plane,
            Wavefront::Hybrid if depth < geometry.margin => plane,
            Wavefront::Blended => plane + (depth / geometry.margin).min(1.0) * (spherical - plane),
            Wavefront::Unified if left * right > 0.0 => t.norm + along * t.inverse_cosine,
            Wavefront::Focused | Wavefront::Hybrid | Wavefront::Unified => spherical,
        };
    }
}
