//! Speedups with their intervals, and the steps from baseline to final. Laid out by hand: names on the left, figures on the
//! right, one row each, so that nothing overlaps however many there are.
use super::{
    Area, COLOURS, Done, FAINT, INK, Mark, colour_of, font, range, short, text, time_unit,
};
use crate::trial::Verdict;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(super) fn forest<B: DrawingBackend>(
    area: &Area<'_, B>,
    scale: f64,
    marks: &[Mark],
    equivalence: f64,
) -> Done {
    let (width, height) = area.dim_in_pixel();
    let px = |v: f64| (v * scale) as i32;
    let (left, right) = (px(230.0), width as i32 - px(210.0));
    let ends = marks.iter().flat_map(|m| {
        let (l, u) = m.interval.unwrap_or((m.value, m.value));
        [m.value.ln(), l.max(0.01).ln(), u.min(100.0).ln()]
    });
    let span = range(ends.chain([0.0]), 0.06);
    let x = |log: f64| {
        left + ((log - span.start) / (span.end - span.start) * f64::from(right - left)) as i32
    };
    let (top, bottom) = (px(34.0), height as i32 - px(48.0));
    let delta = (1.0 + equivalence).ln();
    area.draw(&Rectangle::new(
        [(x(-delta).max(left), top), (x(delta).min(right), bottom)],
        RGBColor(240, 240, 228).filled(),
    ))
    .map_err(text)?;
    for tick in ticks(span.start.exp(), span.end.exp()) {
        let at = x(tick.ln());
        area.draw(&PathElement::new(
            vec![(at, top), (at, bottom)],
            FAINT.stroke_width(px(1.0) as u32),
        ))
        .map_err(text)?;
        let style = font(13.0, scale).pos(Pos::new(HPos::Center, VPos::Top));
        let label = if (tick - tick.round()).abs() < 1e-9 {
            format!("{tick:.0}×")
        } else {
            format!("{tick}×")
        };
        area.draw(&Text::new(label, (at, bottom + px(5.0)), style))
            .map_err(text)?;
    }
    area.draw(&PathElement::new(
        vec![(x(0.0), top), (x(0.0), bottom)],
        INK.stroke_width(px(1.5) as u32),
    ))
    .map_err(text)?;
    for (i, mark) in marks.iter().enumerate() {
        row(
            area,
            scale,
            mark,
            top + px(17.0) + px(34.0) * i as i32,
            (left, right),
            &x,
        )?;
    }
    let centred = font(14.0, scale).pos(Pos::new(HPos::Center, VPos::Bottom));
    area.draw(&Text::new(
        "speedup against the reference (log scale): right is faster",
        ((left + right) / 2, height as i32 - px(6.0)),
        centred.clone(),
    ))
    .map_err(text)
}

fn row<B: DrawingBackend>(
    area: &Area<'_, B>,
    scale: f64,
    mark: &Mark,
    y: i32,
    (left, right): (i32, i32),
    x: &dyn Fn(f64) -> i32,
) -> Done {
    let px = |v: f64| (v * scale) as i32;
    let colour = colour_of(mark.verdict);
    let name = font(14.0, scale).pos(Pos::new(HPos::Right, VPos::Center));
    area.draw(&Text::new(
        short(&mark.name, 28),
        (left - px(10.0), y),
        name,
    ))
    .map_err(text)?;
    let line = colour.stroke_width(px(2.0) as u32);
    if let Some((lower, upper)) = mark.interval {
        let (a, b) = (
            x(lower.max(0.01).ln()).max(left),
            x(upper.min(100.0).ln()).min(right),
        );
        area.draw(&PathElement::new(vec![(a, y), (b, y)], line))
            .map_err(text)?;
        for end in [a, b] {
            area.draw(&PathElement::new(
                vec![(end, y - px(5.0)), (end, y + px(5.0))],
                line,
            ))
            .map_err(text)?;
        }
    }
    let at = (x(mark.value.ln()), y);
    let style = if mark.is_confirmed {
        colour.filled()
    } else {
        colour.stroke_width(px(2.0) as u32)
    };
    let paper = WHITE.filled();
    let r = px(6.0);
    // Shape as well as colour tells the verdict: triangles point to where the variant goes.
    match mark.verdict {
        Verdict::Faster | Verdict::SlightlyFaster => {
            let corners = vec![(at.0 - r, y - r), (at.0 - r, y + r), (at.0 + r, y)];
            area.draw(&Polygon::new(
                corners.clone(),
                if mark.is_confirmed { style } else { paper },
            ))
            .map_err(text)?;
            area.draw(&PathElement::new(
                [corners.clone(), vec![corners[0]]].concat(),
                line,
            ))
            .map_err(text)?;
        }
        Verdict::Slower | Verdict::SlightlySlower => {
            let corners = vec![(at.0 + r, y - r), (at.0 + r, y + r), (at.0 - r, y)];
            area.draw(&Polygon::new(
                corners.clone(),
                if mark.is_confirmed { style } else { paper },
            ))
            .map_err(text)?;
            area.draw(&PathElement::new(
                [corners.clone(), vec![corners[0]]].concat(),
                line,
            ))
            .map_err(text)?;
        }
        _ => {
            area.draw(&Circle::new(
                at,
                r,
                if mark.is_confirmed { style } else { paper },
            ))
            .map_err(text)?;
            area.draw(&Circle::new(at, r, line)).map_err(text)?;
        }
    }
    let figure = match mark.interval {
        Some((l, u)) => format!("{:.2}× [{l:.2}, {u:.2}]", mark.value),
        None => format!("{:.2}×", mark.value),
    };
    let beside = font(13.0, scale).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new(
        figure,
        (right + px(12.0), y - px(7.0)),
        beside.clone(),
    ))
    .map_err(text)?;
    let small = font(11.0, scale)
        .color(&colour)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let word = format!(
        "{}{}",
        mark.verdict.words(),
        if mark.is_confirmed { ", confirmed" } else { "" }
    );
    area.draw(&Text::new(word, (right + px(12.0), y + px(8.0)), small))
        .map_err(text)
}

/// Round factors inside a range: 1, 1.1, 1.2 … or 0.5, 1, 2, 5.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let sets: [&[f64]; 4] = [
        &[0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03],
        &[0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.25],
        &[
            0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5,
        ],
        &[
            0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0,
        ],
    ];
    let width = (high / low).ln();
    let set = match width {
        w if w < 0.07 => sets[0],
        w if w < 0.45 => sets[1],
        w if w < 1.6 => sets[2],
        _ => sets[3],
    };
    set.iter()
        .copied()
        .filter(|t| *t > low && *t < high)
        .collect()
}

pub(super) fn waterfall<B: DrawingBackend>(
    area: &Area<'_, B>,
    scale: f64,
    steps: &[(String, f64, String)],
) -> Done {
    let (width, height) = area.dim_in_pixel();
    let px = |v: f64| (v * scale) as i32;
    let (left, right) = (px(270.0), width as i32 - px(290.0));
    let largest = steps.iter().map(|s| s.1).fold(f64::MIN_POSITIVE, f64::max);
    let (unit, size) = time_unit(largest);
    for (i, (name, value, note)) in steps.iter().enumerate() {
        let y = px(30.0) + px(36.0) * i as i32;
        let end = left + (value / largest * f64::from(right - left)) as i32;
        let is_end = i == 0 || i + 1 == steps.len();
        let colour = if is_end { COLOURS[6] } else { COLOURS[0] };
        area.draw(&Rectangle::new(
            [(left, y), (end.max(left + 1), y + px(24.0))],
            colour.filled(),
        ))
        .map_err(text)?;
        let right_aligned = font(14.0, scale).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(
            short(name, 36),
            (left - px(10.0), y + px(12.0)),
            right_aligned,
        ))
        .map_err(text)?;
        let beside = font(13.0, scale).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(
            format!("{:.3} {unit}{note}", value / size),
            (end + px(8.0), y + px(12.0)),
            beside,
        ))
        .map_err(text)?;
    }
    let centred = font(14.0, scale).pos(Pos::new(HPos::Center, VPos::Bottom));
    area.draw(&Text::new(
        "median runtime of what was kept",
        ((left + right) / 2, height as i32 - px(10.0)),
        centred,
    ))
    .map_err(text)
}
