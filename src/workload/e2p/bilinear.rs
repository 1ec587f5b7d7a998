//! Bilinear pixels as vectors: of each the eight bytes that its left and right neighbours take in the row above, and in the row
//! below, are loaded at once, and all three levels are weighed together.
#![allow(unsafe_code, reason = "intrinsics; threads write tiles of one array")]
use super::cpu::Task;
use super::map::GROUP;
use super::pixel::Edges;
use super::places::Found;
use super::quads::Quads;
use super::settings::Stores;

/// What is done with the neighbours of a pixel in each lane.
pub(super) trait Arithmetic {
    /// What `levels` needs of a place's nearness, as words.
    fn weights(found: &Found) -> [[u32; GROUP]; 2];

    /// # Safety
    /// The processor has the vectors' instructions.
    unsafe fn levels<Q: Quads>(corners: Q, across: Q, down: Q) -> Q;
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

pub(super) struct Plain;

impl Arithmetic for Plain {
    #[inline(always)]
    fn weights(found: &Found) -> [[u32; GROUP]; 2] {
        [found.a.map(f32::to_bits), found.b.map(f32::to_bits)]
    }

    #[inline(always)]
    unsafe fn levels<Q: Quads>(corners: Q, across: Q, down: Q) -> Q {
        // SAFETY: as the caller promises, here and below.
        unsafe {
            let level = |table: &[u8; 16]| corners.shuffle(table).to_reals();
            let between = |from: Q::Reals, to: Q::Reals, t: Q::Reals| {
                Q::add(from, Q::multiply(t, Q::subtract(to, from)))
            };
            let (a, b) = (across.as_reals(), down.as_reals());
            let above = between(level(&ABOVE[0]), level(&ABOVE[1]), a);
            let below = between(level(&BELOW[0]), level(&BELOW[1]), a);
            Q::rounded(between(above, below, b))
        }
    }
}

pub(super) struct Halves;

impl Arithmetic for Halves {
    #[inline(always)]
    fn weights(found: &Found) -> [[u32; GROUP]; 2] {
        Plain::weights(found)
    }

    #[inline(always)]
    unsafe fn levels<Q: Quads>(corners: Q, across: Q, down: Q) -> Q {
        unsafe {
            let level = |table: &[u8; 16]| corners.shuffle(table).to_reals();
            let between = |from: Q::Reals, to: Q::Reals, t: Q::Reals| {
                let change = Q::halves(Q::multiply(t, Q::halves(Q::subtract(to, from))));
                Q::halves(Q::add(from, change))
            };
            let (a, b) = (Q::halves(across.as_reals()), Q::halves(down.as_reals()));
            let above = between(level(&ABOVE[0]), level(&ABOVE[1]), a);
            let below = between(level(&BELOW[0]), level(&BELOW[1]), a);
            Q::rounded(between(above, below, b))
        }
    }
}

pub(super) struct Fixed;

impl Arithmetic for Fixed {
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
    unsafe fn levels<Q: Quads>(corners: Q, across: Q, down: Q) -> Q {
        unsafe {
            let rows = corners.shuffle(&CHANNELS).weigh_bytes(across);
            rows.weigh_words(down).over_1024()
        }
    }
}

/// Group after group.
///
/// # Safety
/// The processor has the vectors' instructions.
#[inline(always)]
pub(super) unsafe fn groups<Q: Quads, A: Arithmetic>(task: &Task<'_>) {
    let edges = Edges::new(task.scene());
    let next_row = 3 * task.scene().width;
    let next_line = 3 * task.scene().out[1];
    let is_streaming = task.settings().stores == Stores::Streaming;
    for row in task.rows.clone() {
        for column in task.columns.clone().step_by(GROUP) {
            let count = GROUP.min(task.columns.end - column);
            let found = task.find(column, row);
            let [across, down] = A::weights(&found);
            let mut offsets = [0; GROUP];
            for k in 0..GROUP {
                offsets[k] =
                    3 * (found.row[k] * task.scene().width as i32 + found.column[k]) as u32;
            }
            let coming = [offsets[0], offsets[GROUP - 1]].map(|at| at as usize + 2 * next_row);
            for frame in task.frames.clone() {
                let pixels = task.job.frames[frame];
                Q::prefetch(pixels.as_ptr().wrapping_add(coming[0]));
                Q::prefetch(pixels.as_ptr().wrapping_add(coming[1]));
                let mut gathered = [0; 16 * GROUP];
                let (above, next_row, offsets) = if found.is_at_edge {
                    gather(pixels, edges, &found, &mut gathered);
                    (gathered.as_ptr(), 8, &GATHERED)
                } else {
                    (pixels.as_ptr(), next_row, &offsets)
                };
                let to = task.output(frame, column, row);
                if !is_streaming {
                    Q::prefetch_store(task.job.outputs.near(to + next_line));
                }
                let mut levels = [0; 3 * GROUP];
                // SAFETY: the caller promises the instructions; away from its edges a frame has eight bytes from each pixel of the
                // group and from the one below it, and the gathered bytes have them always; these pixels are of the task's tile,
                // which is no other's.
                unsafe {
                    let to = task.job.outputs.part(to, 3 * count);
                    let is_direct = count == GROUP && !is_streaming;
                    let all = if is_direct { to } else { levels.as_mut_ptr() };
                    for first in (0..GROUP).step_by(4 * Q::PIXELS) {
                        let a = Q::load_words(across.as_ptr().add(first));
                        let b = Q::load_words(down.as_ptr().add(first));
                        let mut four = [Q::zero(); 4];
                        for (m, part) in four.iter_mut().enumerate() {
                            let at = offsets.as_ptr().add(first + m);
                            let corners = Q::load(above, above.add(next_row), at);
                            let (a, b) = (a.shuffle(&SPREAD[m]), b.shuffle(&SPREAD[m]));
                            *part = A::levels(corners, a, b);
                        }
                        Q::store(four, all.add(3 * first));
                    }
                    if !is_direct {
                        if is_streaming && count == GROUP {
                            Q::stream(levels.as_ptr(), to);
                        } else {
                            std::ptr::copy_nonoverlapping(levels.as_ptr(), to, 3 * count);
                        }
                    }
                }
            }
        }
    }
    if is_streaming {
        Q::fence();
    }
}

/// Where `gather` puts each pixel's neighbours.
const GATHERED: [u32; GROUP] = [
    0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240,
];

/// The neighbours of a group at an edge of the frame, as they would lie within it: of each pixel eight bytes above and eight below.
#[inline(never)]
fn gather(frame: &[u8], edges: Edges, found: &Found, to: &mut [u8; 16 * GROUP]) {
    for (k, to) in to.chunks_exact_mut(16).enumerate() {
        for (corner, at) in [(0, 0), (1, 3), (2, 8), (3, 11)] {
            let from = edges.index(found.column[k] + corner % 2, found.row[k] + corner / 2);
            to[at..at + 3].copy_from_slice(&frame[from..from + 3]);
        }
    }
}
