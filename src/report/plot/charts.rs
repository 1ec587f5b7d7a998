//! Sweeps over one parameter, speed against accuracy, the roofline.
use super::{Area, COLOURS, Done, FAINT, INK, ParetoPoint, font, range, short, text, time_unit};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(super) fn sweep<B: DrawingBackend>(
    area: &Area<'_, B>,
    scale: f64,
    x: &str,
    points: &[(String, (f64, f64, f64))],
) -> Done {
    let px = |v: f64| (v * scale) as u32;
    let (unit, size) = time_unit(points.iter().map(|p| p.1.2).fold(0.0, f64::max));
    let y = range(
        points.iter().flat_map(|p| [p.1.0 / size, p.1.2 / size]),
        0.1,
    );
    let last = points.len().saturating_sub(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(px(12.0))
        .x_label_area_size(px(42.0))
        .y_label_area_size(px(74.0))
        .build_cartesian_2d(-0.4..last + 0.4, y)
        .map_err(text)?;
    let label = |v: &f64| match (v.round() - v).abs() < 0.05 {
        true => points
            .get(v.round() as usize)
            .map_or_else(String::new, |p| short(&p.0, 12)),
        false => String::new(),
    };
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_labels(points.len().min(20))
        .x_desc(short(x, 40))
        .y_desc(format!("median with quartiles, {unit}"))
        .x_label_formatter(&label)
        .y_label_formatter(&|v| format!("{v:.3}"))
        .label_style(font(13.0, scale))
        .axis_desc_style(font(14.0, scale))
        .draw()
        .map_err(text)?;
    let colour = COLOURS[0];
    chart
        .draw_series(LineSeries::new(
            points
                .iter()
                .enumerate()
                .map(|(i, p)| (i as f64, p.1.1 / size)),
            colour.stroke_width(px(1.5)),
        ))
        .map_err(text)?;
    for (i, (_, (q1, median, q3))) in points.iter().enumerate() {
        let at = i as f64;
        chart
            .draw_series([PathElement::new(
                vec![(at, q1 / size), (at, q3 / size)],
                colour.stroke_width(px(2.0)),
            )])
            .map_err(text)?;
        chart
            .draw_series([Circle::new(
                (at, median / size),
                px(4.0) as i32,
                colour.filled(),
            )])
            .map_err(text)?;
    }
    Ok(())
}

pub(super) fn pareto<B: DrawingBackend>(
    area: &Area<'_, B>,
    scale: f64,
    metric: &str,
    points: &[ParetoPoint],
) -> Done {
    let px = |v: f64| (v * scale) as u32;
    let (unit, size) = time_unit(points.iter().map(|p| p.time).fold(0.0, f64::max));
    let x = range(points.iter().map(|p| (p.time / size).log10()), 0.12);
    let y = range(points.iter().map(|p| p.error.log10()), 0.12);
    let mut chart = ChartBuilder::on(area)
        .margin(px(12.0))
        .x_label_area_size(px(44.0))
        .y_label_area_size(px(80.0))
        .build_cartesian_2d(x, y)
        .map_err(text)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_labels(6)
        .y_labels(6)
        .x_desc(format!("median runtime, {unit} (log scale)"))
        .y_desc(format!("{metric} (log scale)"))
        .x_label_formatter(&|v| format!("{:.3}", 10_f64.powf(*v)))
        .y_label_formatter(&|v| format!("{:.1e}", 10_f64.powf(*v)))
        .label_style(font(13.0, scale))
        .axis_desc_style(font(14.0, scale))
        .draw()
        .map_err(text)?;
    let most = points.iter().map(|p| p.memory).fold(1.0, f64::max);
    let mut order: Vec<&ParetoPoint> = points.iter().collect();
    order.sort_by(|a, b| a.time.total_cmp(&b.time));
    let mut least = f64::INFINITY;
    for point in order {
        // Errors that differ by rounding are one error.
        let is_front = point.error < 0.95 * least;
        least = least.min(point.error);
        let colour = if is_front { COLOURS[0] } else { COLOURS[6] };
        let at = ((point.time / size).log10(), point.error.log10());
        let radius = (4.0 + 10.0 * (point.memory / most).sqrt()) * scale;
        chart
            .draw_series([Circle::new(at, radius as i32, colour.mix(0.5).filled())])
            .map_err(text)?;
        if is_front {
            let style = font(12.0, scale).pos(Pos::new(HPos::Left, VPos::Bottom));
            let label = EmptyElement::at(at)
                + Text::new(
                    short(&point.label, 26),
                    (radius as i32, -(radius as i32)),
                    style,
                );
            chart.draw_series([label]).map_err(text)?;
        }
    }
    Ok(())
}

pub(super) fn roofline<B: DrawingBackend>(
    area: &Area<'_, B>,
    scale: f64,
    (flops, bandwidth): (f64, f64),
    points: &[(String, f64, f64)],
) -> Done {
    let px = |v: f64| (v * scale) as u32;
    let ridge = flops / bandwidth;
    let x = range(
        points.iter().map(|p| p.1.log10()).chain([ridge.log10()]),
        0.3,
    );
    let y = range(
        points.iter().map(|p| p.2.log10()).chain([flops.log10()]),
        0.15,
    );
    let mut chart = ChartBuilder::on(area)
        .margin(px(12.0))
        .x_label_area_size(px(44.0))
        .y_label_area_size(px(80.0))
        .build_cartesian_2d(x.clone(), y)
        .map_err(text)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .x_labels(6)
        .y_labels(6)
        .x_desc("effective operations a byte (log scale)")
        .y_desc("effective Gop/s (log scale)")
        .x_label_formatter(&|v| plain(10_f64.powf(*v)))
        .y_label_formatter(&|v| plain(10_f64.powf(*v) / 1e9))
        .label_style(font(13.0, scale))
        .axis_desc_style(font(14.0, scale))
        .draw()
        .map_err(text)?;
    let roof = |log_x: f64| flops.min(bandwidth * 10_f64.powf(log_x)).log10();
    let corners = [x.start, ridge.log10().clamp(x.start, x.end), x.end];
    chart
        .draw_series(LineSeries::new(
            corners.into_iter().map(|v| (v, roof(v))),
            INK.stroke_width(px(2.0)),
        ))
        .map_err(text)?;
    let best = points.iter().map(|p| p.2).fold(0.0, f64::max);
    for (label, intensity, rate) in points {
        let at = (intensity.log10(), rate.log10());
        let colour = if *rate == best {
            COLOURS[1]
        } else {
            COLOURS[0]
        };
        chart
            .draw_series([Circle::new(at, px(4.0) as i32, colour.filled())])
            .map_err(text)?;
        if *rate == best {
            let style = font(12.0, scale).pos(Pos::new(HPos::Right, VPos::Center));
            let label =
                EmptyElement::at(at) + Text::new(short(label, 44), (-(px(8.0) as i32), 0), style);
            chart.draw_series([label]).map_err(text)?;
        }
    }
    Ok(())
}

/// Three significant digits.
fn plain(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
