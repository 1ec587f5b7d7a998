//! The scene in samples (metres times fs/c), its points sorted into patches: sixteen neighbours to a vector, neighbouring patches
//! after one another.
use super::scene::{Hourglass, Scene, distance, sign};

/// Points of a patch.
pub(super) const PATCH: usize = 16;

/// A slot without a point: its patch reaches over the edge of the grid.
const EMPTY: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Transmit {
    pub(super) source: [f64; 3],
    /// |v| and v/|v|, both with the sign of v's z.
    pub(super) norm: f64,
    pub(super) direction: [f64; 3],
    pub(super) lines: Hourglass,
    /// 1/cos of half the angle between the hourglass's edges.
    pub(super) inverse_cosine: f64,
    /// What is taken off its delays.
    pub(super) offset: f64,
}

#[derive(Debug)]
pub(super) struct Geometry {
    /// Coordinates of every slot; those of empty ones are a neighbour's.
    pub(super) x: Vec<f64>,
    pub(super) y: Vec<f64>,
    pub(super) z: Vec<f64>,
    /// Index of each slot's point.
    order: Vec<u32>,
    pub(super) receivers: Vec<[f64; 3]>,
    pub(super) transmits: Vec<Transmit>,
    pub(super) samples: usize,
    /// Time of the first sample.
    pub(super) start: f64,
    /// Demodulation cycles a sample.
    pub(super) cycles: f64,
    pub(super) min_aperture: f64,
    pub(super) margin: f64,
}

impl Geometry {
    pub(super) fn new(scene: &Scene, patch: [usize; 2]) -> Geometry {
        let scale = scene.fs / scene.c;
        let scaled = |p: [f64; 3]| p.map(|v| v * scale);
        let [nx, nz] = scene.shape;
        let slots = slots([nx, nz], patch);
        let along = |axis: usize| {
            let coordinate = |(_, near): &(u32, usize)| scene.points[*near][axis] * scale;
            slots.iter().map(coordinate).collect::<Vec<f64>>()
        };
        let transmit = |t: usize| {
            let source = scaled(scene.sources[t]);
            let lines = scene.hourglass(t);
            let norm = distance(source, [0.0; 3]) * sign(source[2]);
            Transmit {
                norm,
                direction: source.map(|v| v / norm),
                inverse_cosine: 1.0 / lines.half_angle().cos(),
                lines: Hourglass {
                    focus: lines.focus.map(|v| v * scale),
                    ends: lines.ends.map(|v| v * scale),
                    ..lines
                },
                offset: scene.delays[t] * scene.fs,
                source,
            }
        };
        Geometry {
            x: along(0),
            y: along(1),
            z: along(2),
            order: slots.iter().map(|(point, _)| *point).collect(),
            receivers: scene.elements.iter().map(|e| scaled(*e)).collect(),
            transmits: (0..scene.sources.len()).map(transmit).collect(),
            samples: scene.samples,
            start: scene.t_start * scene.fs,
            cycles: scene.f_mod / scene.fs,
            min_aperture: scene.min_aperture * scale,
            margin: scene.margin() * scale,
        }
    }

    pub(super) fn patches(&self) -> usize {
        self.order.len() / PATCH
    }

    /// From patches `[patch][re, im][slot]` to points.
    pub(super) fn scatter(&self, first_patch: usize, patches: &[f32], image: &mut [[f32; 2]]) {
        let order = &self.order[first_patch * PATCH..];
        for (values, points) in patches
            .chunks_exact(2 * PATCH)
            .zip(order.chunks_exact(PATCH))
        {
            let (re, im) = values.split_at(PATCH);
            for ((re, im), point) in re.iter().zip(im).zip(points) {
                if *point != EMPTY {
                    image[*point as usize] = [*re, *im];
                }
            }
        }
    }
}

/// Point of each slot, or EMPTY, and the point whose coordinates it has. Patches along a Z-curve (Morton 1966), so that those of a task
/// are as square as can be and look into the same stretches of the traces.
fn slots([nx, nz]: [usize; 2], patch: [usize; 2]) -> Vec<(u32, usize)> {
    // A list of points is a line.
    let [a, b] = match (nx, nz) {
        (_, 1) => [PATCH, 1],
        (1, _) => [1, PATCH],
        _ => patch,
    };
    let (across, down) = (nx.div_ceil(a), nz.div_ceil(b));
    let (wide, tall) = (a / a.min(b), b / a.min(b));
    let mut patches: Vec<(u64, usize, usize)> = (0..across)
        .flat_map(|i| (0..down).map(move |j| (interleaved(i * wide, j * tall), i, j)))
        .collect();
    patches.sort_unstable();
    let mut slots = Vec::with_capacity(patches.len() * PATCH);
    for (_, i, j) in patches {
        for k in 0..PATCH {
            let (x, z) = (i * a + k / b, j * b + k % b);
            let near = x.min(nx - 1) * nz + z.min(nz - 1);
            let is_point = x < nx && z < nz;
            slots.push((if is_point { near as u32 } else { EMPTY }, near));
        }
    }
    slots
}

/// The bits of two numbers in turn.
fn interleaved(i: usize, j: usize) -> u64 {
    (0..32).fold(0, |all, bit| {
        let pair = (i as u64 >> bit & 1) << 1 | (j as u64 >> bit & 1);
        all | pair << (2 * bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_one_slot_and_every_slot_a_place() {
        for shape in [[32, 32], [7, 13], [1, 5], [40, 1], [3, 100]] {
            for patch in [[4, 4], [8, 2], [16, 1], [2, 8], [1, 16]] {
                let slots = slots(shape, patch);
                assert!(slots.len().is_multiple_of(PATCH));
                let mut points: Vec<u32> = slots.iter().map(|s| s.0).collect();
                points.retain(|p| *p != EMPTY);
                points.sort_unstable();
                let all: Vec<u32> = (0..(shape[0] * shape[1]) as u32).collect();
                assert_eq!(points, all, "{shape:?} {patch:?}");
                assert!(
                    slots
                        .iter()
                        .all(|(p, near)| *p == EMPTY || *p as usize == *near)
                );
            }
        }
    }

    #[test]
    fn the_first_sixteen_patches_of_a_grid_are_a_square() {
        let slots = slots([64, 64], [4, 4]);
        let inside = |p: u32| p / 64 < 16 && p % 64 < 16;
        assert!(slots[..256].iter().all(|(p, _)| inside(*p)));
    }
}
