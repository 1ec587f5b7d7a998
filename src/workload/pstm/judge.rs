//! How far an image is from another in the terms of its readers: by time window, by slice, by fold; and the pictures.
use super::scene::Scene;
use crate::array::{Array, Values};
use crate::trial::PictureRecord;
use crate::workload::Picture;
use std::ops::Range;

/// Name and what it is. Distances: smaller is better, unless the name begins with psnr.
pub(super) const METRICS: &[(&str, &str)] = &[
    (
        "fold_mismatch",
        "share of nodes whose fold differs from the geometric count",
    ),
    (
        "peak_shift",
        "nodes between the largest amplitude and where it should be",
    ),
    (
        "rel_l2_early",
        "norm of the difference over that of the image, first quarter of the times",
    ),
    ("rel_l2_middle", "the same, second quarter of the times"),
    ("rel_l2_late", "the same, second half of the times"),
    (
        "decorrelation_late",
        "1 − correlation with the image, second half of the times",
    ),
    (
        "psnr_slices",
        "peak signal over mean square error of the worst QC slice, dB; 99 where they are equal",
    ),
];

/// An output's image and fold, `[bin][x][y][t]` each.
pub(super) fn parts(output: &Array) -> (&[f32], &[f32]) {
    let values: &[f32] = match &output.values {
        Values::F32(values) => values,
        Values::F64(_) => &[],
    };
    values.split_at(values.len() / 2)
}

pub(super) fn distances(scene: &Scene, output: &Array, expected: &Array) -> Vec<f64> {
    let (image, fold) = parts(output);
    let (wanted, count) = parts(expected);
    let [_, _, nt] = scene.shape;
    let quarter = |n: usize| (n * (nt - 1)).div_ceil(4);
    let late = quarter(2)..nt;
    let differing = fold.iter().zip(count).filter(|(a, b)| a != b).count();
    let worst = slices(scene)
        .iter()
        .map(|slice| slice.psnr(scene, image, wanted))
        .fold(f64::INFINITY, f64::min);
    vec![
        differing as f64 / fold.len().max(1) as f64,
        peak_shift(scene, image, wanted),
        relative(nt, 0..quarter(1), image, wanted),
        relative(nt, quarter(1)..quarter(2), image, wanted),
        relative(nt, late.clone(), image, wanted),
        decorrelation(nt, late, image, wanted),
        if image.iter().any(|v| v.is_nan()) {
            f64::NAN
        } else {
            worst
        },
    ]
}

fn window(nt: usize, times: Range<usize>, values: &[f32]) -> impl Iterator<Item = f64> + '_ {
    let pillars = values.chunks_exact(nt);
    pillars.flat_map(move |row| row[times.clone()].iter().map(|v| f64::from(*v)))
}

fn relative(nt: usize, times: Range<usize>, image: &[f32], wanted: &[f32]) -> f64 {
    let (mut off, mut all) = (0.0, 0.0);
    let pairs = window(nt, times.clone(), image).zip(window(nt, times, wanted));
    for (a, b) in pairs {
        off += (a - b) * (a - b);
        all += b * b;
    }
    if off == 0.0 { 0.0 } else { (off / all).sqrt() }
}

fn decorrelation(nt: usize, times: Range<usize>, image: &[f32], wanted: &[f32]) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in window(nt, times.clone(), image).zip(window(nt, times, wanted)) {
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    match aa == bb && ab == aa {
        true => 0.0,
        false => 1.0 - ab / (aa * bb).sqrt(),
    }
}

/// Of the worst bin.
fn peak_shift(scene: &Scene, image: &[f32], wanted: &[f32]) -> f64 {
    let peak = |values: &[f32]| {
        let (mut best, mut at) = (-1.0, 0);
        for (i, v) in values.iter().enumerate() {
            if v.abs() > best {
                (best, at) = (v.abs(), i);
            }
        }
        place(scene, at)
    };
    let bins = image
        .chunks_exact(scene.nodes())
        .zip(wanted.chunks_exact(scene.nodes()));
    bins.map(|(a, b)| {
        let (a, b) = (peak(a), peak(b));
        (0..3)
            .map(|axis| a[axis].abs_diff(b[axis]))
            .max()
            .unwrap_or(0) as f64
    })
    .fold(0.0, f64::max)
}

pub(super) fn place(scene: &Scene, at: usize) -> [usize; 3] {
    let [_, ny, nt] = scene.shape;
    [at / (ny * nt), at / nt % ny, at % nt]
}

/// A plane of the volume that is looked at.
#[derive(Clone, Copy, Debug)]
enum Slice {
    /// Along x at one y.
    Inline(usize),
    /// Along y at one x.
    Crossline(usize),
    Time(usize),
}

/// The published plan's slices at the same relative places: inlines 100, 256, 410 of 511, crosslines 85, 214, 340 of 427, times
/// 500, 1000, 1500 of 2000 ms.
fn slices(scene: &Scene) -> Vec<Slice> {
    let [nx, ny, nt] = scene.shape;
    let at = |count: usize, share: f64| ((count as f64 * share) as usize).min(count - 1);
    let mut all: Vec<Slice> = vec![];
    // An inline is named by its place along x in the published plan.
    all.extend([100.0, 256.0, 410.0].map(|n| Slice::Crossline(at(nx, n / 511.0))));
    all.extend([85.0, 214.0, 340.0].map(|n| Slice::Inline(at(ny, n / 427.0))));
    all.extend([0.25, 0.5, 0.75].map(|share| Slice::Time(at(nt, share))));
    all
}

impl Slice {
    /// Row-major: times down, or x down and y across.
    fn values(self, scene: &Scene, volume: &[f32]) -> Vec<f32> {
        let [nx, ny, nt] = scene.shape;
        let node = |x: usize, y: usize, t: usize| volume[(x * ny + y) * nt + t];
        match self {
            Slice::Crossline(x) => (0..nt)
                .flat_map(|t| (0..ny).map(move |y| node(x, y, t)))
                .collect(),
            Slice::Inline(y) => (0..nt)
                .flat_map(|t| (0..nx).map(move |x| node(x, y, t)))
                .collect(),
            Slice::Time(t) => (0..ny)
                .flat_map(|y| (0..nx).map(move |x| node(x, y, t)))
                .collect(),
        }
    }

    fn psnr(self, scene: &Scene, image: &[f32], wanted: &[f32]) -> f64 {
        let bins = image
            .chunks_exact(scene.nodes())
            .zip(wanted.chunks_exact(scene.nodes()));
        let mut worst = f64::INFINITY;
        for (a, b) in bins {
            let (a, b) = (self.values(scene, a), self.values(scene, b));
            let largest = b.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            let square: f64 = a
                .iter()
                .zip(&b)
                .map(|(a, b)| f64::from(a - b).powi(2))
                .sum();
            let psnr = match square {
                0.0 => 99.0,
                _ => 10.0 * (f64::from(largest).powi(2) * a.len() as f64 / square).log10(),
            };
            worst = worst.min(psnr.min(99.0));
        }
        worst
    }

    fn record(self, scene: &Scene) -> PictureRecord {
        let [nx, ny, _] = scene.shape;
        let [dx, dy, dt] = scene.spacing;
        let (x, y) = ((0.0, (nx - 1) as f64 * dx), (0.0, (ny - 1) as f64 * dy));
        let times = (0.0, scene.last_time() * 1e3);
        let ms = |t: usize| (t as f64 * dt * 1e3).round();
        let labels = |x: &str, y: &str| (x.to_owned(), y.to_owned());
        let (file, title, (x_label, y_label), x_range, y_range, width, height) = match self {
            Slice::Crossline(i) => (
                format!("inline_{i}"),
                format!("inline {i}, x = {} m", i as f64 * dx),
                labels("y (m)", "time (ms)"),
                y,
                times,
                ny,
                scene.shape[2],
            ),
            Slice::Inline(j) => (
                format!("crossline_{j}"),
                format!("crossline {j}, y = {} m", j as f64 * dy),
                labels("x (m)", "time (ms)"),
                x,
                times,
                nx,
                scene.shape[2],
            ),
            Slice::Time(t) => (
                format!("timeslice_{}ms", ms(t)),
                format!("time slice at {} ms", ms(t)),
                labels("x (m)", "y (m)"),
                x,
                y,
                nx,
                ny,
            ),
        };
        PictureRecord {
            file,
            title,
            unit: "sum".into(),
            x_label,
            y_label,
            x_range,
            y_range,
            scale: (0.0, 0.0),
            width,
            height,
        }
    }
}

/// The slices and the fold, of all bins stacked.
pub(super) fn pictures(scene: &Scene, output: &Array) -> Vec<Picture> {
    let (image, fold) = parts(output);
    let stacked = |values: &[f32]| {
        let mut sum = vec![0.0; scene.nodes()];
        for bin in values.chunks_exact(scene.nodes()) {
            sum.iter_mut().zip(bin).for_each(|(s, v)| *s += v);
        }
        sum
    };
    let (image, fold) = (stacked(image), stacked(fold));
    let [_, _, nt] = scene.shape;
    let largest = percentile(&image);
    let mut all: Vec<Picture> = slices(scene)
        .into_iter()
        .map(|slice| Picture {
            record: PictureRecord {
                scale: (-largest, largest),
                ..slice.record(scene)
            },
            values: slice.values(scene, &image),
        })
        .collect();
    // Names are unique even where a small grid has two shares at one place.
    all.dedup_by(|a, b| a.record.file == b.record.file);
    let middle = Slice::Time(scene.shape[2] / 2);
    let most = fold.iter().fold(1.0_f32, |m, v| m.max(*v));
    let ms = (scene.last_time() * 500.0).round();
    all.push(Picture {
        record: PictureRecord {
            file: "fold_map".into(),
            title: format!("fold at {ms} ms"),
            unit: "traces".into(),
            scale: (0.0, f64::from(most)),
            ..middle.record(scene)
        },
        values: middle.values(scene, &fold),
    });
    // The largest of every pillar, in each time's place, so that one slice shows it.
    let highest: Vec<f32> = (fold.chunks_exact(nt))
        .flat_map(|row| std::iter::repeat_n(row.iter().fold(0.0_f32, |m, v| m.max(*v)), nt))
        .collect();
    all.push(Picture {
        record: PictureRecord {
            file: "fold_map_largest".into(),
            title: "fold, largest of all times".into(),
            unit: "traces".into(),
            scale: (0.0, f64::from(most)),
            ..middle.record(scene)
        },
        values: middle.values(scene, &highest),
    });
    all
}

/// The 99th of the magnitudes, as seismic displays clip; over what is not silent, so that a lone diffractor is seen.
fn percentile(image: &[f32]) -> f64 {
    let mut magnitudes: Vec<f32> = image
        .iter()
        .map(|v| v.abs())
        .filter(|v| *v > 0.0 && v.is_finite())
        .collect();
    if magnitudes.is_empty() {
        return 1.0;
    }
    let at = (magnitudes.len() * 99 / 100).min(magnitudes.len() - 1);
    let (_, value, _) = magnitudes.select_nth_unstable_by(at, f32::total_cmp);
    // Three digits, as the colour scale is labelled.
    let power = 10_f64.powf(f64::from(*value).log10().floor() - 2.0);
    (f64::from(*value) / power).round() * power
}
