//! Cells over blocks: where drift, two states and outliers show.
use super::{Area, COLOURS, Done, INK, font, range, short, text, time_unit};
use crate::record::Run;
use crate::trial::{Purpose, VariantId};
use plotters::prelude::*;
use std::collections::BTreeMap;

/// More points than this a variant are drawn as the minimum, median and maximum of buckets.
const MOST: usize = 700;

/// More variants than this would be a knot: the reference and the first of them are drawn.
const VARIANTS: usize = 6;

pub(super) fn time_order<B: DrawingBackend>(
    area: &Area<'_, B>,
    scale: f64,
    run: &Run,
    case: &str,
    phase: &str,
    purpose: Purpose,
) -> Done {
    let mut cells: BTreeMap<VariantId, Vec<(f64, f64)>> = BTreeMap::new();
    let parts = run
        .samples
        .iter()
        .filter(|p| p.case == case && p.phase == phase && p.purpose == purpose);
    for row in parts
        .flat_map(|p| &p.rows)
        .filter(|r| !r.is_warm_up && r.objective.is_finite())
    {
        let series = cells.entry(row.variant).or_default();
        // A cell's value is its least sample.
        match series.last_mut() {
            Some((block, value)) if *block == f64::from(row.block) => {
                *value = value.min(row.objective)
            }
            _ => series.push((f64::from(row.block), row.objective)),
        }
    }
    let names: BTreeMap<VariantId, &str> = run
        .trials_of(case, phase)
        .map(|t| (t.id, t.name.as_str()))
        .collect();
    let shown: Vec<(VariantId, Vec<(f64, f64)>)> = cells
        .into_iter()
        .take(VARIANTS)
        .map(|(v, points)| (v, thin(points)))
        .collect();
    let all = || shown.iter().flat_map(|(_, points)| points);
    let (unit, size) = time_unit(all().map(|p| p.1).fold(0.0, f64::max));
    let x = range(all().map(|p| p.0), 0.02);
    let y = range(all().map(|p| p.1 / size), 0.08);
    let px = |v: f64| (v * scale) as u32;
    let mut chart = ChartBuilder::on(area)
        .margin(px(12.0))
        .x_label_area_size(px(42.0))
        .y_label_area_size(px(74.0))
        .build_cartesian_2d(x, y)
        .map_err(text)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("block")
        .y_desc(format!("cell, {unit}"))
        .x_label_formatter(&|v| format!("{v:.0}"))
        .y_label_formatter(&|v| format!("{v:.3}"))
        .label_style(font(13.0, scale))
        .axis_desc_style(font(14.0, scale))
        .draw()
        .map_err(text)?;
    for (i, (variant, points)) in shown.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let name = names.get(variant).copied().unwrap_or("variant");
        let line = LineSeries::new(
            points.iter().map(|(b, v)| (*b, v / size)),
            colour.mix(0.45).stroke_width(px(1.0)),
        );
        chart
            .draw_series(line)
            .map_err(text)?
            .label(short(name, 28))
            .legend(move |(x, y)| {
                Circle::new((x + 8 * scale as i32, y), 4 * scale as i32, colour.filled())
            });
        chart
            .draw_series(
                points
                    .iter()
                    .map(|(b, v)| Circle::new((*b, v / size), px(3.0) as i32, colour.filled())),
            )
            .map_err(text)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(INK.mix(0.2))
        .label_font(font(12.0, scale))
        .draw()
        .map_err(text)
}

/// Minimum, median and maximum of buckets, where there are too many points to see.
fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= MOST {
        return points;
    }
    let size = points.len().div_ceil(MOST / 3);
    points
        .chunks(size)
        .flat_map(|bucket| {
            let mut sorted = bucket.to_vec();
            sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
            let mut three = [
                sorted[0],
                sorted[sorted.len() / 2],
                sorted[sorted.len() - 1],
            ];
            three.sort_by(|a, b| a.0.total_cmp(&b.0));
            three
        })
        .collect()
}
