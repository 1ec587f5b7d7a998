//! Pixels as vectors: of each the bytes that its neighbours take in a row of the frame are loaded at once, and all three levels are
//! weighed together.
#![allow(unsafe_code, reason = "intrinsics; threads write tiles of one array")]
use super::cpu::Task;
use super::map::GROUP;
use super::pixel::{self, Edges};
use super::places::Found;
use super::quads::{self, Quads};
use super::scene::Scene;
use super::settings::Stores;

/// Bytes of a row of neighbours that were gathered one by one: as many as are loaded of a frame's.
const fn row_bytes(neighbours: usize) -> usize {
    4 * neighbours
}

/// What is done with the neighbours of a pixel in each lane.
pub(super) trait Arithmetic {
    /// Neighbours across and down: 2, or 4.
    const NEIGHBOURS: usize;

    /// What `levels` needs of each place's nearness, as words.
    type Weights: AsRef<[[u32; GROUP]]>;

    fn weights(found: &Found) -> Self::Weights;

    /// Whether neighbours, or bytes that are loaded with them, may lie outside the frame or across its seam.
    fn is_at_edge(found: &Found, scene: &Scene) -> bool;

    /// Of one pixel in each lane: those at every fourth offset, with the weights' words in the same places of their lanes.
    ///
    /// # Safety
    /// The processor has the vectors' instructions, and the frame has the neighbours.
    unsafe fn levels<Q: Quads>(from: &Neighbours, weights: impl Fn(usize) -> Q) -> Q;
}

/// Where the first neighbours of some pixels are.
pub(super) struct Neighbours {
    first: *const u8,
    next_row: usize,
    /// Of every fourth of these pixels.
    offsets: *const u32,
}

/// Bytes of the three levels of a corner, as 32-bit numbers.
const fn corner(first: u8) -> [u8; 16] {
    let mut table = [128; 16];
    let mut channel = 0;
    while channel < 3 {
        table[4 * channel] = first + channel as u8;
        channel += 1;
    }
    table
}

const ABOVE: [[u8; 16]; 2] = [corner(0), corner(3)];
const BELOW: [[u8; 16]; 2] = [corner(8), corner(11)];

/// Of each channel left and right above, left and right below.
const CHANNELS: [u8; 16] = [0, 3, 8, 11, 1, 4, 9, 12, 2, 5, 10, 13, 128, 128, 128, 128];

/// Word m of a lane in all its places.
const SPREAD: [[u8; 16]; 4] = [
    [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3],
    [4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7],
    [8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11],
    [
        12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15,
    ],
];

/// What bilinear pixels have in common.
macro_rules! bilinear {
    () => {
        const NEIGHBOURS: usize = 2;

        type Weights = [[u32; GROUP]; 2];

        #[inline(always)]
        fn is_at_edge(found: &Found, _scene: &Scene) -> bool {
            found.is_at_edge
        }
    };
}

impl Neighbours {
    /// Two neighbours of the row above and two of the row below.
    ///
    /// # Safety
    /// As of `Arithmetic::levels`.
    #[inline(always)]
    unsafe fn corners<Q: Quads>(&self) -> Q {
        // SAFETY: as the caller promises.
        unsafe { Q::load(self.first, self.first.add(self.next_row), self.offsets) }
    }
}

pub(super) struct Plain;

impl Arithmetic for Plain {
    bilinear!();

    #[inline(always)]
    fn weights(found: &Found) -> [[u32; GROUP]; 2] {
        [found.a.map(f32::to_bits), found.b.map(f32::to_bits)]
    }

    #[inline(always)]
    unsafe fn levels<Q: Quads>(from: &Neighbours, weights: impl Fn(usize) -> Q) -> Q {
        // SAFETY: as the caller promises, here and below.
        unsafe {
            let corners = from.corners::<Q>();
            let level = |table: &[u8; 16]| corners.shuffle(table).to_reals();
            let between = |from: Q::Reals, to: Q::Reals, t: Q::Reals| {
                Q::add(from, Q::multiply(t, Q::subtract(to, from)))
            };
            let (a, b) = (weights(0).as_reals(), weights(1).as_reals());
            let above = between(level(&ABOVE[0]), level(&ABOVE[1]), a);
            let below = between(level(&BELOW[0]), level(&BELOW[1]), a);
            Q::rounded(between(above, below, b))
        }
    }
}

pub(super) struct Halves;

impl Arithmetic for Halves {
    bilinear!();

    #[inline(always)]
    fn weights(found: &Found) -> [[u32; GROUP]; 2] {
        Plain::weights(found)
    }

    #[inline(always)]
    unsafe fn levels<Q: Quads>(from: &Neighbours, weights: impl Fn(usize) -> Q) -> Q {
        unsafe {
            let corners = from.corners::<Q>();
            let level = |table: &[u8; 16]| corners.shuffle(table).to_reals();
            let between = |from: Q::Reals, to: Q::Reals, t: Q::Reals| {
                let change = Q::halves(Q::multiply(t, Q::halves(Q::subtract(to, from))));
                Q::halves(Q::add(from, change))
            };
            let (a, b) = (
                Q::halves(weights(0).as_reals()),
                Q::halves(weights(1).as_reals()),
            );
            let above = between(level(&ABOVE[0]), level(&ABOVE[1]), a);
            let below = between(level(&BELOW[0]), level(&BELOW[1]), a);
            Q::rounded(between(above, below, b))
        }
    }
}

pub(super) struct Fixed;

impl Arithmetic for Fixed {
    bilinear!();

    /// 32 − a and a as bytes, twice; 32 − b and b as 16-bit numbers.
    #[inline(always)]
    fn weights(found: &Found) -> [[u32; GROUP]; 2] {
        let (mut across, mut down) = ([0; GROUP], [0; GROUP]);
        for k in 0..GROUP {
            // SAFETY: from 0 to 32; `as` would be no vector.
            let [a, b]: [u32; 2] =
                [found.a[k], found.b[k]].map(|t| unsafe { t.to_int_unchecked() });
            across[k] = ((32 - a) | a << 8) * 0x1_0001;
            down[k] = (32 - b) | b << 16;
        }
        [across, down]
    }

    #[inline(always)]
    unsafe fn levels<Q: Quads>(from: &Neighbours, weights: impl Fn(usize) -> Q) -> Q {
        unsafe {
            let rows = from
                .corners::<Q>()
                .shuffle(&CHANNELS)
                .weigh_bytes(weights(0));
            rows.weigh_words(weights(1)).over_1024()
        }
    }
}

/// All weight on the nearest neighbour: exactly its levels.
pub(super) struct Nearest;

impl Arithmetic for Nearest {
    bilinear!();

    #[inline(always)]
    fn weights(found: &Found) -> [[u32; GROUP]; 2] {
        let whole = |t: [f32; GROUP]| t.map(|t| if t >= 0.5 { 32.0 } else { 0.0 });
        Fixed::weights(&Found {
            a: whole(found.a),
            b: whole(found.b),
            ..*found
        })
    }

    #[inline(always)]
    unsafe fn levels<Q: Quads>(from: &Neighbours, weights: impl Fn(usize) -> Q) -> Q {
        // SAFETY: as the caller promises.
        unsafe { Fixed::levels(from, weights) }
    }
}

/// Four rows of four neighbours.
pub(super) struct Cubic;

/// Of the taps of a row.
const TAPS: [[u8; 16]; 4] = [corner(0), corner(3), corner(6), corner(9)];

impl Arithmetic for Cubic {
    const NEIGHBOURS: usize = 4;

    /// Across, then down.
    type Weights = [[u32; GROUP]; 8];

    #[inline(always)]
    fn weights(found: &Found) -> [[u32; GROUP]; 8] {
        let (across, down) = (found.a.map(pixel::cubic), found.b.map(pixel::cubic));
        std::array::from_fn(|tap| {
            let taps = if tap < 4 { &across } else { &down };
            std::array::from_fn(|k| taps[k][tap % 4].to_bits())
        })
    }

    /// Sixteen bytes are loaded from the first of four neighbours: a third of a pixel more than five.
    #[inline(always)]
    fn is_at_edge(found: &Found, scene: &Scene) -> bool {
        let (width, height) = (scene.width as i32, scene.height as i32);
        let is_inside = |k: usize| {
            found.column[k] >= 1
                && found.column[k] + 5 <= width
                && found.row[k] >= 1
                && found.row[k] + 2 < height
        };
        // All of them, so that this is a vector.
        (0..GROUP).fold(false, |outside, k| outside | !is_inside(k))
    }

    #[inline(always)]
    unsafe fn levels<Q: Quads>(from: &Neighbours, weights: impl Fn(usize) -> Q) -> Q {
        unsafe {
            let mut sum = Q::zero().as_reals();
            for j in 0..4 {
                let row = Q::load_row(from.first.add(j * from.next_row), from.offsets);
                let mut line = Q::zero().as_reals();
                for (i, tap) in TAPS.iter().enumerate() {
                    let level = row.shuffle(tap).to_reals();
                    line = Q::add(line, Q::multiply(weights(i).as_reals(), level));
                }
                sum = Q::add(sum, Q::multiply(weights(4 + j).as_reals(), line));
            }
            Q::rounded(sum)
        }
    }
}

/// Group after group.
///
/// # Safety
/// The processor has the vectors' instructions.
#[inline(always)]
pub(super) unsafe fn groups<Q: Quads, A: Arithmetic>(task: &Task<'_>) {
    let scene = task.scene();
    let edges = Edges::new(scene);
    let (next_row, next_line) = (3 * scene.width, 3 * scene.out[1]);
    let is_streaming = task.settings().stores == Stores::Streaming;
    // From the first neighbour to the one that is above and to the left of the place.
    let before = (A::NEIGHBOURS / 2 - 1) as i32;
    let (of_row, of_pixel) = (
        row_bytes(A::NEIGHBOURS),
        A::NEIGHBOURS * row_bytes(A::NEIGHBOURS),
    );
    let mut gathered = [0; 64 * GROUP];
    let mut at_gathered = [0; GROUP];
    for (k, at) in at_gathered.iter_mut().enumerate() {
        *at = (k * of_pixel) as u32;
    }
    for row in task.rows.clone() {
        for column in task.columns.clone().step_by(GROUP) {
            let count = GROUP.min(task.columns.end - column);
            let found = task.find(column, row);
            let weights = A::weights(&found);
            let is_at_edge = A::is_at_edge(&found, scene);
            let mut at_frame = [0; GROUP];
            for (k, at) in at_frame.iter_mut().enumerate() {
                let first = (found.row[k] - before) * scene.width as i32 + found.column[k] - before;
                *at = (3 * first) as u32;
            }
            // The pixels below these will be the first to read one or two rows more.
            let below = (A::NEIGHBOURS * next_row) as u32;
            let coming = [at_frame[0], at_frame[GROUP - 1]].map(|at| at.wrapping_add(below));
            for frame in task.frames.clone() {
                let pixels = task.job.frames[frame];
                let to = task.output(frame, column, row);
                for at in coming {
                    let at = pixels.as_ptr().wrapping_add(at as usize);
                    quads::prefetch(at);
                    quads::prefetch(at.wrapping_add(next_row));
                }
                if !is_streaming {
                    quads::prefetch_store(task.job.outputs.near(to + next_line));
                }
                let (first, next_row, offsets) = if is_at_edge {
                    gather(pixels, edges, &found, A::NEIGHBOURS, &mut gathered);
                    (gathered.as_ptr(), of_row, &at_gathered)
                } else {
                    (pixels.as_ptr(), next_row, &at_frame)
                };
                let mut levels = [0; 3 * GROUP];
                // SAFETY: the caller promises the instructions; away from its edges a frame has the bytes that are loaded with the
                // group's neighbours, and the gathered bytes have them always; these pixels are of the task's tile, which is no
                // other's.
                unsafe {
                    let to = task.job.outputs.part(to, 3 * count);
                    let is_direct = count == GROUP && !is_streaming;
                    let all = if is_direct { to } else { levels.as_mut_ptr() };
                    for part in (0..GROUP).step_by(4 * Q::PIXELS) {
                        let mut four = [Q::zero(); 4];
                        for (m, pixels) in four.iter_mut().enumerate() {
                            let from = Neighbours {
                                first,
                                next_row,
                                offsets: offsets.as_ptr().add(part + m),
                            };
                            let words = |w: usize| {
                                Q::load_words(weights.as_ref()[w].as_ptr().add(part))
                                    .shuffle(&SPREAD[m])
                            };
                            *pixels = A::levels(&from, words);
                        }
                        Q::store(four, all.add(3 * part));
                    }
                    if is_streaming && count == GROUP {
                        quads::stream(levels.as_ptr(), to);
                    } else if !is_direct {
                        std::ptr::copy_nonoverlapping(levels.as_ptr(), to, 3 * count);
                    }
                }
            }
        }
    }
    if is_streaming {
        quads::fence();
    }
}

/// The neighbours of a group at an edge of the frame, as they would lie within it.
#[inline(never)]
fn gather(frame: &[u8], edges: Edges, found: &Found, neighbours: usize, to: &mut [u8]) {
    let (of_row, before) = (row_bytes(neighbours), neighbours as i32 / 2 - 1);
    let rows = to.chunks_exact_mut(of_row).take(GROUP * neighbours);
    for (n, to) in rows.enumerate() {
        let (k, j) = (n / neighbours, n % neighbours);
        for i in 0..neighbours {
            let column = found.column[k] - before + i as i32;
            let from = edges.index(column, found.row[k] - before + j as i32);
            to[3 * i..][..3].copy_from_slice(&frame[from..from + 3]);
        }
    }
}
