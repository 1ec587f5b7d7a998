//! The definition in double precision (WORKLOADS §5a): a ray for each pixel, its place in the frame, and four pixels around it.
use super::frames;
use super::scene::{Camera, Kind, Mapping, Scene};
use std::f64::consts::PI;

/// x of an image's first column and from one column to the next, on the plane one unit ahead of the camera; then y of its rows.
pub(super) fn edges(scene: &Scene) -> [[f64; 2]; 2] {
    let [height, width] = scene.out.map(|n| n as f64);
    let line = |count: f64, scale: f64| match scene.mapping {
        Mapping::Standard => [(1.0 / count - 1.0) * scale, 2.0 / count * scale],
        Mapping::PlanCpu => [-scale, 2.0 / count * scale],
        // From the first pixel at −1 to the last at 1.
        Mapping::PlanTorch | Mapping::Py360 => [-scale, 2.0 / (count - 1.0).max(1.0) * scale],
    };
    [
        line(width, scene.tangents[0]),
        line(height, -scene.tangents[1]),
    ]
}

/// Roll, then pitch: rows of the matrix for (x, y, z), x to the right, y up, z ahead.
pub(super) fn tilt(camera: Camera) -> [[f64; 3]; 3] {
    let (s, c) = camera.roll.to_radians().sin_cos();
    let (sp, cp) = camera.pitch.to_radians().sin_cos();
    [[c, -s, 0.0], [s * cp, c * cp, sp], [-s * sp, -c * sp, cp]]
}

/// The ray of pixel (column, row) in the frame's directions, of length 1.
pub(super) fn ray(scene: &Scene, camera: Camera, at: [usize; 2]) -> [f64; 3] {
    let [x, y] = std::array::from_fn(|axis| {
        let [first, step] = edges(scene)[axis];
        first + step * at[axis] as f64
    });
    let length = (x * x + y * y + 1.0).sqrt();
    let [x, y, z] = tilt(camera).map(|row| (row[0] * x + row[1] * y + row[2]) / length);
    let (sin, cos) = camera.yaw.to_radians().sin_cos();
    [x * cos + z * sin, y, -x * sin + z * cos]
}

/// Where a ray meets the frame, in pixels between centres: column and row, before columns are wrapped or clipped.
pub(super) fn place(scene: &Scene, [x, y, z]: [f64; 3]) -> [f64; 2] {
    let (width, height) = (scene.width as f64, scene.height as f64);
    let (turn, rise) = (
        x.atan2(z) / (2.0 * PI) + 0.5,
        0.5 - y.clamp(-1.0, 1.0).asin() / PI,
    );
    let [u, v] = match scene.mapping {
        Mapping::Standard | Mapping::Py360 => [turn * width - 0.5, rise * height - 0.5],
        Mapping::PlanCpu => [turn * width, rise * height],
        Mapping::PlanTorch => [turn * (width - 1.0), rise * (height - 1.0)],
    };
    [u, v.clamp(0.0, height - 1.0)]
}

/// A column as it is looked up: on the other side of the seam, or at the edge.
pub(super) fn column(scene: &Scene, u: f64) -> f64 {
    let width = scene.width as f64;
    match scene.mapping.wraps() {
        // `rem_euclid` of a number just below 0 rounds to the width itself.
        true => Some(u.rem_euclid(width))
            .filter(|u| *u < width)
            .unwrap_or(0.0),
        false => u.clamp(0.0, width - 1.0),
    }
}

/// The four pixels around a place weighed by their nearness, unrounded.
pub(super) fn bilinear(scene: &Scene, frame: &[u8], [u, v]: [f64; 2]) -> [f64; 3] {
    let u = column(scene, u);
    let (i, j) = (u.floor() as usize, v.floor() as usize);
    let (a, b) = (u - i as f64, v - j as f64);
    let right = match scene.mapping.wraps() {
        true => (i + 1) % scene.width,
        false => (i + 1).min(scene.width - 1),
    };
    let below = (j + 1).min(scene.height - 1);
    std::array::from_fn(|channel| {
        let level = |i: usize, j: usize| f64::from(frame[3 * (j * scene.width + i) + channel]);
        let above = level(i, j) * (1.0 - a) + level(right, j) * a;
        let under = level(i, below) * (1.0 - a) + level(right, below) * a;
        above * (1.0 - b) + under * b
    })
}

/// Every pixel of the judged images, `[frame][camera][3][height][width]`.
///
/// # Errors
/// What is wrong with the file of a given frame.
pub(super) fn images(scene: &Scene) -> Result<Vec<f32>, String> {
    let (frames, cameras) = scene.judged();
    let frames = (frames.into_iter())
        .map(|k| match scene.kinds[k] {
            Kind::Given => frames::read(scene, k),
            _ => Ok(frames::generate(scene, k)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let [height, width] = scene.out;
    let size = height * width;
    let mut images = vec![0.0; frames.len() * cameras.len() * 3 * size];
    for (c, camera) in cameras.iter().enumerate() {
        for pixel in 0..size {
            let at = [pixel % width, pixel / width];
            let place = place(scene, ray(scene, scene.cameras[*camera], at));
            for (f, frame) in frames.iter().enumerate() {
                let levels = bilinear(scene, frame, place);
                for (channel, level) in levels.into_iter().enumerate() {
                    let plane = (f * cameras.len() + c) * 3 + channel;
                    images[plane * size + pixel] = level.round_ties_even().clamp(0.0, 255.0) as f32;
                }
            }
        }
    }
    Ok(images)
}
