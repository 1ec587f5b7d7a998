//! Whether images still look like what the cameras see (WORKLOADS §5d), for smooth frames and for frames with edges apart: edges
//! show where a place is wrong, smooth ones where a level is.
use super::scene::{Kind, Scene};
use crate::accuracy;
use crate::array::{Array, Values};
use crate::trial::PictureRecord;
use crate::workload::Picture;
use std::ops::Range;

/// Own metrics in their order. Those of a kind that no frame has are of all frames.
pub(super) const METRICS: &[(&str, &str)] = &[
    (
        "psnr_dir",
        "PSNR of frames whose colours are directions, dB; 999 where they are equal",
    ),
    (
        "psnr_checker",
        "PSNR of frames with a checkerboard, dB; 999 where they are equal",
    ),
    ("ssim_dir", "SSIM of the luma of frames of directions"),
    (
        "ssim_checker",
        "SSIM of the luma of frames with a checkerboard",
    ),
    (
        "max_dir",
        "largest difference in frames of directions, levels of 255",
    ),
    (
        "max_checker",
        "largest difference in frames with a checkerboard, levels of 255",
    ),
];

pub(super) fn distances(scene: &Scene, output: &Array, expected: &Array) -> Vec<f64> {
    if output.shape != scene.output_shape() || output.shape != expected.shape {
        return vec![f64::NAN; METRICS.len()];
    }
    let (found, wanted) = (output.to_f64(), expected.to_f64());
    let (frames, cameras) = scene.judged();
    let size = cameras.len() * scene.image_bytes();
    let of_kind = |kind: Kind| {
        let chosen = |f: &usize| scene.kinds[frames[*f]] == kind;
        let some: Vec<usize> = (0..frames.len()).filter(chosen).collect();
        let all = if some.is_empty() {
            (0..frames.len()).collect()
        } else {
            some
        };
        let ranges = all.into_iter().map(|f| f * size..(f + 1) * size);
        ranges.collect::<Vec<Range<usize>>>()
    };
    let [directions, checkers] = [Kind::Direction, Kind::Checker].map(of_kind);
    let of = |ranges: &[Range<usize>], values: &[f64]| -> Vec<f64> {
        (ranges.iter())
            .flat_map(|range| values[range.clone()].iter().copied())
            .collect()
    };
    let pairs = [directions, checkers].map(|ranges| [of(&ranges, &found), of(&ranges, &wanted)]);
    let similarity = |[found, wanted]: &[Vec<f64>; 2]| similarity(scene, found, wanted);
    [
        pairs.each_ref().map(|[found, wanted]| psnr(found, wanted)),
        pairs.each_ref().map(similarity),
        (pairs.each_ref()).map(|[found, wanted]| largest(found, wanted)),
    ]
    .concat()
}

/// Relative to 255 levels.
pub(super) fn psnr(found: &[f64], wanted: &[f64]) -> f64 {
    let squares = found.iter().zip(wanted).map(|(f, w)| (f - w).powi(2));
    match squares.sum::<f64>() / found.len() as f64 {
        0.0 => 999.0,
        mean => 10.0 * (255.0 * 255.0 / mean).log10(),
    }
}

fn largest(found: &[f64], wanted: &[f64]) -> f64 {
    let differences = found.iter().zip(wanted).map(|(f, w)| (f - w).abs());
    // `f64::max` would forget a NaN.
    differences.fold(0.0, |most, d| if d <= most { most } else { d })
}

fn similarity(scene: &Scene, found: &[f64], wanted: &[f64]) -> f64 {
    let size = scene.out[0] * scene.out[1];
    let luma = |planes: &[f64]| {
        let of_image = |image: &[f64]| {
            let (red, others) = image.split_at(size);
            let (green, blue) = others.split_at(size);
            // ITU-R BT.601, §2.5.1.
            let weighed = |i: usize| 0.299 * red[i] + 0.587 * green[i] + 0.114 * blue[i];
            (0..size).map(weighed).collect::<Vec<_>>()
        };
        let images = planes.chunks_exact(3 * size).flat_map(of_image);
        let values: Vec<f64> = images.collect();
        Array {
            shape: vec![values.len() / size, scene.out[0], scene.out[1]],
            values: Values::F64(values),
            is_complex: false,
        }
    };
    let metric = accuracy::METRICS.iter().find(|m| m.name == "ssim");
    metric.map_or(f64::NAN, |m| (m.distance)(&luma(found), &luma(wanted)))
}

/// Of each judged frame the camera in the middle of those that are judged: where the seam is, if they look all around.
pub(super) fn pictures(scene: &Scene, output: &Array) -> Vec<Picture> {
    if output.shape != scene.output_shape() {
        return vec![];
    }
    let (frames, cameras) = scene.judged();
    let [height, width] = scene.out;
    let (size, values) = (height * width, output.to_f64());
    let middle = cameras.len() / 2;
    let camera = scene.cameras[cameras[middle]];
    let picture = |(f, frame): (usize, &usize)| {
        let image = &values[(f * cameras.len() + middle) * 3 * size..][..3 * size];
        let name = match scene.kinds[*frame] {
            Kind::Direction => "dir",
            Kind::Checker => "checker",
            Kind::Given => "frame",
        };
        Picture {
            record: PictureRecord {
                file: format!("{name}_{frame}"),
                title: format!("{name}, frame {frame}, yaw {}°, red", camera.yaw),
                unit: "levels".into(),
                x_label: "x, pixels".into(),
                y_label: "y, pixels".into(),
                x_range: (0.0, width as f64 - 1.0),
                y_range: (0.0, height as f64 - 1.0),
                scale: (0.0, 255.0),
                width,
                height,
            },
            values: image[..size].iter().map(|v| *v as f32).collect(),
        }
    };
    frames.iter().enumerate().map(picture).collect()
}
