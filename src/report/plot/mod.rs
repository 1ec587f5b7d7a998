//! Figures, drawn with plotters twice: as SVG, and as PNG at double size. Fonts are embedded, so that no machine needs any.
mod charts;
mod forest;
mod grids;
mod time_order;

use crate::record::Run;
use crate::trial::{PictureRecord, Purpose, Verdict};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontStyle;
use std::sync::Once;

/// What a figure shows.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a report has some dozens")]
pub(super) enum Drawing {
    Forest {
        marks: Vec<Mark>,
        equivalence: f64,
    },
    TimeOrder {
        case: String,
        phase: String,
        purpose: Purpose,
    },
    Waterfall {
        /// (name, median, what stands behind it)
        steps: Vec<(String, f64, String)>,
    },
    /// (label, (q1, median, q3)) in the order of the parameter's values.
    Sweep {
        x: String,
        points: Vec<(String, (f64, f64, f64))>,
    },
    /// (x, y, median)
    HeatMap {
        x: String,
        y: String,
        cells: Vec<(String, String, f64)>,
    },
    Pareto {
        metric: String,
        points: Vec<ParetoPoint>,
    },
    /// (label, operations a byte, operations a second)
    Roofline {
        flops: f64,
        bandwidth: f64,
        points: Vec<(String, f64, f64)>,
    },
    Picture {
        picture: PictureRecord,
        baseline: Option<PictureRecord>,
    },
}

/// One line of a forest plot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) interval: Option<(f64, f64)>,
    pub(super) is_confirmed: bool,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ParetoPoint {
    pub(super) label: String,
    pub(super) time: f64,
    pub(super) error: f64,
    pub(super) memory: f64,
}

/// Both files of a figure.
pub(super) struct Drawn {
    /// Absent for pictures: a vector of pixels is a hundred times as large and shows nothing more.
    pub(super) svg: Option<String>,
    pub(super) png: Vec<u8>,
}

type Area<'a, B> = DrawingArea<B, Shift>;
type Done = Result<(), String>;

/// Colours that people with any colour vision can tell apart: Okabe & Ito 2008.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];
const INK: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(225, 225, 225);

impl Drawing {
    fn size(&self) -> (u32, u32) {
        match self {
            Drawing::Forest { marks, .. } => (900, 110 + 34 * marks.len() as u32),
            Drawing::Waterfall { steps } => (900, 110 + 36 * steps.len() as u32),
            Drawing::HeatMap { .. } => (820, 520),
            Drawing::Picture { baseline: None, .. } => (460, 420),
            Drawing::Picture { .. } => (920, 420),
            _ => (900, 460),
        }
    }

    /// Draws the figure twice.
    pub(super) fn draw(&self, run: &Run) -> Result<Drawn, String> {
        register_font();
        let (width, height) = self.size();
        let mut svg = String::new();
        let is_raster = matches!(self, Drawing::Picture { .. });
        if !is_raster {
            let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
            self.onto(&area, 1.0, run)?;
            area.present().map_err(text)?;
        }
        // Glyphs of the bitmap backend are set to whole pixels: at double size nobody sees it.
        let (w, h) = (2 * width, 2 * height);
        let mut pixels = vec![255_u8; (w * h * 3) as usize];
        {
            let area = BitMapBackend::with_buffer(&mut pixels, (w, h)).into_drawing_area();
            self.onto(&area, 2.0, run)?;
            area.present().map_err(text)?;
        }
        let mut png = vec![];
        let mut encoder = png::Encoder::new(&mut png, w, h);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::Fast);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&pixels))
            .map_err(text)?;
        Ok(Drawn {
            svg: (!is_raster).then_some(svg),
            png,
        })
    }

    fn onto<B: DrawingBackend>(&self, area: &Area<'_, B>, scale: f64, run: &Run) -> Done {
        area.fill(&WHITE).map_err(text)?;
        match self {
            Drawing::Forest { marks, equivalence } => {
                forest::forest(area, scale, marks, *equivalence)
            }
            Drawing::TimeOrder {
                case,
                phase,
                purpose,
            } => time_order::time_order(area, scale, run, case, phase, *purpose),
            Drawing::Waterfall { steps } => forest::waterfall(area, scale, steps),
            Drawing::Sweep { x, points } => charts::sweep(area, scale, x, points),
            Drawing::HeatMap { x, y, cells } => grids::heat_map(area, scale, x, y, cells),
            Drawing::Pareto { metric, points } => charts::pareto(area, scale, metric, points),
            Drawing::Roofline {
                flops,
                bandwidth,
                points,
            } => charts::roofline(area, scale, (*flops, *bandwidth), points),
            Drawing::Picture { picture, baseline } => {
                grids::pictures(area, scale, run, picture, baseline.as_ref())
            }
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn register_font() {
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        // The file is part of the program: it is a font or no build would pass its tests.
        let bytes = include_bytes!("../../../assets/DejaVuSans-subset.ttf");
        let _ = plotters::style::register_font("sans-serif", FontStyle::Normal, bytes);
    });
}

/// A font of `size` points at this scale.
fn font(size: f64, scale: f64) -> TextStyle<'static> {
    ("sans-serif", size * scale).into_font().color(&INK)
}

/// At most `n` characters.
fn short(name: &str, n: usize) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match clean.chars().count() > n {
        true => clean.chars().take(n - 1).chain(['…']).collect(),
        false => clean,
    }
}

/// The unit in which a range of nanoseconds is written, and its size.
fn time_unit(largest: f64) -> (&'static str, f64) {
    match largest {
        l if l >= 1e9 => ("s", 1e9),
        l if l >= 1e6 => ("ms", 1e6),
        l if l >= 1e3 => ("µs", 1e3),
        _ => ("ns", 1.0),
    }
}

/// A range that holds the values with some air; never empty, never infinite.
fn range(values: impl Iterator<Item = f64>, air: f64) -> std::ops::Range<f64> {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
    if !low.is_finite() || !high.is_finite() {
        return 0.0..1.0;
    }
    let width = if high > low {
        high - low
    } else {
        low.abs().max(1e-9)
    };
    low - air * width..high + air * width
}

fn colour_of(verdict: Verdict) -> RGBColor {
    match verdict {
        Verdict::Faster | Verdict::SlightlyFaster => COLOURS[0],
        Verdict::Slower | Verdict::SlightlySlower => COLOURS[1],
        _ => COLOURS[6],
    }
}
