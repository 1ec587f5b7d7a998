//! Heat maps over two parameters, and QC slices with their difference from the baseline.
use super::{Area, Done, FAINT, INK, font, range, short, text, time_unit};
use crate::record::Run;
use crate::trial::PictureRecord;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Viridis at five stations, linear between them: van der Walt & Smith 2015.
fn viridis(t: f64) -> RGBColor {
    const STATIONS: [(f64, f64, f64); 5] = [
        (68.0, 1.0, 84.0),
        (59.0, 82.0, 139.0),
        (33.0, 145.0, 140.0),
        (94.0, 201.0, 98.0),
        (253.0, 231.0, 37.0),
    ];
    let place = t.clamp(0.0, 1.0) * 4.0;
    let (i, share) = (
        (place as usize).min(3),
        place - (place as usize).min(3) as f64,
    );
    let (a, b) = (STATIONS[i], STATIONS[i + 1]);
    let mix = |x: f64, y: f64| (x + share * (y - x)) as u8;
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// Blue over white to orange, for signed differences.
fn diverging(t: f64) -> RGBColor {
    let u = (2.0 * t - 1.0).clamp(-1.0, 1.0);
    let mix = |end: f64| (255.0 + u.abs() * (end - 255.0)) as u8;
    if u < 0.0 {
        RGBColor(mix(0.0), mix(114.0), mix(178.0))
    } else {
        RGBColor(mix(213.0), mix(94.0), mix(0.0))
    }
}

/// The values that occur, numbers in their order.
fn axis(labels: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = vec![];
    for label in labels {
        if !all.contains(&label) {
            all.push(label);
        }
    }
    if all.iter().all(|l| l.parse::<f64>().is_ok()) {
        all.sort_by(|a, b| {
            a.parse::<f64>()
                .unwrap_or(0.0)
                .total_cmp(&b.parse::<f64>().unwrap_or(0.0))
        });
    }
    all
}

pub(super) fn heat_map<B: DrawingBackend>(
    area: &Area<'_, B>,
    scale: f64,
    x: &str,
    y: &str,
    cells: &[(String, String, f64)],
) -> Done {
    let (width, height) = area.dim_in_pixel();
    let px = |v: f64| (v * scale) as i32;
    let (xs, ys) = (
        axis(cells.iter().map(|c| c.0.clone())),
        axis(cells.iter().map(|c| c.1.clone())),
    );
    let (left, top, right, bottom) = (
        px(110.0),
        px(24.0),
        width as i32 - px(30.0),
        height as i32 - px(70.0),
    );
    let (unit, size) = time_unit(cells.iter().map(|c| c.2).fold(0.0, f64::max));
    let span = range(cells.iter().map(|c| c.2.ln()), 0.0);
    let (w, h) = (
        f64::from(right - left) / xs.len().max(1) as f64,
        f64::from(bottom - top) / ys.len().max(1) as f64,
    );
    for (i, column) in xs.iter().enumerate() {
        for (j, row) in ys.iter().enumerate() {
            let corner = (
                left + (i as f64 * w) as i32,
                bottom - ((j + 1) as f64 * h) as i32,
            );
            let far = (
                left + ((i + 1) as f64 * w) as i32 - 1,
                bottom - (j as f64 * h) as i32 - 1,
            );
            let value = cells
                .iter()
                .find(|c| c.0 == *column && c.1 == *row)
                .map(|c| c.2);
            // Not measured is grey, never a colour of the scale.
            let t = value.map(|v| (v.ln() - span.start) / (span.end - span.start).max(1e-12));
            let colour = t.map_or(FAINT, |t| viridis(1.0 - t));
            area.draw(&Rectangle::new([corner, far], colour.filled()))
                .map_err(text)?;
            let dark = t.is_none_or(|t| t < 0.5);
            let style = font(12.0, scale)
                .color(if dark { &BLACK } else { &WHITE })
                .pos(Pos::new(HPos::Center, VPos::Center));
            let label = value.map_or_else(|| "–".into(), |v| format!("{:.2}", v / size));
            area.draw(&Text::new(
                label,
                ((corner.0 + far.0) / 2, (corner.1 + far.1) / 2),
                style,
            ))
            .map_err(text)?;
        }
    }
    for (i, column) in xs.iter().enumerate() {
        let style = font(12.0, scale).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(
            short(column, 12),
            (left + ((i as f64 + 0.5) * w) as i32, bottom + px(6.0)),
            style,
        ))
        .map_err(text)?;
    }
    for (j, row) in ys.iter().enumerate() {
        let style = font(12.0, scale).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(
            short(row, 12),
            (left - px(6.0), bottom - ((j as f64 + 0.5) * h) as i32),
            style,
        ))
        .map_err(text)?;
    }
    let style = font(14.0, scale).pos(Pos::new(HPos::Center, VPos::Bottom));
    let title = format!(
        "{} (across), {} (up): median runtime, {unit}",
        short(x, 24),
        short(y, 24)
    );
    area.draw(&Text::new(
        title,
        ((left + right) / 2, height as i32 - px(10.0)),
        style,
    ))
    .map_err(text)
}

pub(super) fn pictures<B: DrawingBackend>(
    area: &Area<'_, B>,
    scale: f64,
    run: &Run,
    picture: &PictureRecord,
    baseline: Option<&PictureRecord>,
) -> Done {
    let values = run.picture(picture).map_err(text)?;
    let Some(baseline) = baseline else {
        return slice(
            area,
            scale,
            picture,
            &values,
            picture.scale,
            viridis,
            &picture.title,
        );
    };
    let expected = run.picture(baseline).map_err(text)?;
    let difference: Vec<f32> = values.iter().zip(&expected).map(|(a, b)| a - b).collect();
    let largest = difference
        .iter()
        .map(|d| f64::from(d.abs()))
        .filter(|d| d.is_finite())
        .fold(0.0, f64::max);
    let (one, two) = area.split_horizontally(460.0 * scale);
    slice(
        &one,
        scale,
        picture,
        &values,
        picture.scale,
        viridis,
        &picture.title,
    )?;
    let limit = largest.max(1e-6);
    let title = format!(
        "difference from the baseline (largest {largest:.2e} {})",
        picture.unit
    );
    slice(
        &two,
        scale,
        picture,
        &difference,
        (-limit, limit),
        diverging,
        &title,
    )
}

fn slice<B: DrawingBackend>(
    area: &Area<'_, B>,
    scale: f64,
    picture: &PictureRecord,
    values: &[f32],
    (low, high): (f64, f64),
    colours: fn(f64) -> RGBColor,
    title: &str,
) -> Done {
    let (width, height) = area.dim_in_pixel();
    let px = |v: f64| (v * scale) as i32;
    let (left, top, right, bottom) = (
        px(64.0),
        px(34.0),
        width as i32 - px(84.0),
        height as i32 - px(56.0),
    );
    let (w, h) = (picture.width.max(1), picture.height.max(1));
    let x = |i: usize| left + (f64::from(right - left) * i as f64 / w as f64) as i32;
    let y = |j: usize| top + (f64::from(bottom - top) * j as f64 / h as f64) as i32;
    for j in 0..h {
        for i in 0..w {
            let value = values.get(j * w + i).copied().map_or(f64::NAN, f64::from);
            let colour = if value.is_nan() {
                RGBColor(255, 0, 255)
            } else {
                colours((value - low) / (high - low))
            };
            area.draw(&Rectangle::new(
                [(x(i), y(j)), (x(i + 1), y(j + 1))],
                colour.filled(),
            ))
            .map_err(text)?;
        }
    }
    let bar = right + px(12.0);
    for step in 0..64 {
        let at = |s: i32| bottom - (bottom - top) * s / 64;
        area.draw(&Rectangle::new(
            [(bar, at(step + 1)), (bar + px(14.0), at(step))],
            colours(f64::from(step) / 63.0).filled(),
        ))
        .map_err(text)?;
    }
    area.draw(&Rectangle::new(
        [(left, top), (right, bottom)],
        INK.stroke_width(px(1.0) as u32),
    ))
    .map_err(text)?;
    let number = |v: f64| {
        if v != 0.0 && v.abs() < 0.01 {
            format!("{v:.0e}")
        } else {
            format!("{v:.4}")
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        }
    };
    let put = |label: String, at: (i32, i32), h: HPos, v: VPos, points: f64| {
        area.draw(&Text::new(
            label,
            at,
            font(points, scale).pos(Pos::new(h, v)),
        ))
        .map_err(text)
    };
    put(
        short(title, 52),
        (left, px(8.0)),
        HPos::Left,
        VPos::Top,
        14.0,
    )?;
    put(
        number(high),
        (bar + px(18.0), top),
        HPos::Left,
        VPos::Top,
        11.0,
    )?;
    put(
        number(low),
        (bar + px(18.0), bottom),
        HPos::Left,
        VPos::Bottom,
        11.0,
    )?;
    put(
        picture.unit.clone(),
        (bar, top - px(6.0)),
        HPos::Left,
        VPos::Bottom,
        11.0,
    )?;
    put(
        number(picture.x_range.0),
        (left, bottom + px(6.0)),
        HPos::Left,
        VPos::Top,
        11.0,
    )?;
    put(
        number(picture.x_range.1),
        (right, bottom + px(6.0)),
        HPos::Right,
        VPos::Top,
        11.0,
    )?;
    put(
        number(picture.y_range.0),
        (left - px(5.0), top),
        HPos::Right,
        VPos::Top,
        11.0,
    )?;
    put(
        number(picture.y_range.1),
        (left - px(5.0), bottom),
        HPos::Right,
        VPos::Bottom,
        11.0,
    )?;
    put(
        picture.x_label.clone(),
        ((left + right) / 2, bottom + px(22.0)),
        HPos::Center,
        VPos::Top,
        13.0,
    )?;
    put(
        short(&picture.y_label, 12),
        (px(4.0), (top + bottom) / 2),
        HPos::Left,
        VPos::Center,
        12.0,
    )
}
