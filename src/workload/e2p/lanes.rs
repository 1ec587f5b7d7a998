//! Innermost loops of remapping on a processor: sixteen pixels of a row at a time, of one frame after another. Which loop a task
//! wants, and those that compute pixel by pixel.
#![allow(
    unsafe_code,
    reason = "calls what was compiled for this processor; threads write tiles of one array"
)]
use super::cpu::Task;
use super::map::GROUP;
use super::pixel::{self, Edges};
use super::places::Found;
#[cfg(target_arch = "x86_64")]
use super::quads::{Avx2, Avx512, Quads};
use super::settings::{Interpolation, Map, Precision};
#[cfg(target_arch = "x86_64")]
use super::weighing::{Cubic, Fixed, Halves, Nearest, Plain, groups};
use crate::workload::instructions::InstructionSet;

/// The images of a tile.
pub(super) fn run(task: &Task<'_>) {
    match task.settings().set {
        InstructionSet::Portable => portable(task),
        // SAFETY: Settings took only what this processor has.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { avx2(task) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { avx512(task) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => portable(task),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn avx2(task: &Task<'_>) {
    // SAFETY: the processor has the instructions, here and below.
    unsafe { vectors::<Avx2>(task) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl")]
fn avx512(task: &Task<'_>) {
    unsafe { vectors::<Avx512>(task) }
}

fn portable(task: &Task<'_>) {
    use pixel::{bicubic, bilinear, fixed, halves, nearest, plain};
    match kernel(task) {
        Kernel::Nearest => each(task, nearest),
        Kernel::Bicubic => each(task, bicubic),
        Kernel::Fixed => each(task, |frame, edges, found, k| {
            bilinear(frame, edges, found, k, fixed)
        }),
        Kernel::Halves => each(task, |frame, edges, found, k| {
            bilinear(frame, edges, found, k, halves)
        }),
        Kernel::Plain => each(task, |frame, edges, found, k| {
            bilinear(frame, edges, found, k, plain)
        }),
    }
}

/// # Safety
/// The processor has the vectors' instructions.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn vectors<Q: Quads>(task: &Task<'_>) {
    // SAFETY: as the caller promises.
    unsafe {
        match kernel(task) {
            Kernel::Nearest => groups::<Q, Nearest>(task),
            Kernel::Bicubic => groups::<Q, Cubic>(task),
            Kernel::Fixed => groups::<Q, Fixed>(task),
            Kernel::Halves => groups::<Q, Halves>(task),
            Kernel::Plain => groups::<Q, Plain>(task),
        }
    }
}

enum Kernel {
    Plain,
    Halves,
    Fixed,
    Nearest,
    Bicubic,
}

fn kernel(task: &Task<'_>) -> Kernel {
    let settings = task.settings();
    match (settings.interpolation, settings.map, settings.precision) {
        (Interpolation::Nearest, ..) => Kernel::Nearest,
        (Interpolation::Bicubic, ..) => Kernel::Bicubic,
        (_, Map::Fixed, _) => Kernel::Fixed,
        (_, _, Precision::F16Pixels) => Kernel::Halves,
        _ => Kernel::Plain,
    }
}

/// One pixel after another.
#[inline(always)]
fn each(task: &Task<'_>, pixel: impl Fn(&[u8], Edges, &Found, usize) -> [u8; 3]) {
    let edges = Edges::new(task.scene());
    for row in task.rows.clone() {
        for column in task.columns.clone().step_by(GROUP) {
            let count = GROUP.min(task.columns.end - column);
            let found = task.find(column, row);
            for frame in task.frames.clone() {
                let pixels = task.job.frames[frame];
                let mut levels = [0; 3 * GROUP];
                for k in 0..count {
                    levels[3 * k..][..3].copy_from_slice(&pixel(pixels, edges, &found, k));
                }
                let to = task.output(frame, column, row);
                // SAFETY: these pixels are of the task's tile, which is no other's.
                unsafe {
                    let to = task.job.outputs.part(to, 3 * count);
                    std::ptr::copy_nonoverlapping(levels.as_ptr(), to, 3 * count);
                }
            }
        }
    }
}
