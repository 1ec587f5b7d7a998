//! A figure as a list of shapes, laid out once and painted twice with plotters: as SVG, and as PNG at double size. Laid out by hand
//! and not by a chart library, so that a test can ask whether labels overlap or leave the picture.
use super::theme::{Colour, QUIET, WHITE};
use plotters::prelude::{BitMapBackend, DrawingBackend, RGBColor, SVGBackend, ShapeStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, FontTransform, IntoFont, TextStyle};
use std::sync::Once;

/// Both pictures are painted in these units; the SVG says that it is half as large. Glyphs and lines of plotters' bitmaps are
/// set to whole pixels: at double size nobody sees it.
const SCALE: f64 = 2.0;

/// What an SVG asks its viewer for; the bitmap's font is registered under the same name.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Line {
        points: Vec<(f64, f64)>,
        colour: Colour,
        width: f64,
    },
    Area {
        points: Vec<(f64, f64)>,
        colour: Colour,
    },
    Block {
        from: (f64, f64),
        to: (f64, f64),
        colour: Colour,
    },
    Disc {
        at: (f64, f64),
        radius: f64,
        colour: Colour,
    },
    Label {
        /// Of the baseline.
        at: (f64, f64),
        text: String,
        size: f64,
        colour: Colour,
        anchor: Anchor,
        /// Reads from bottom to top.
        is_upright: bool,
    },
    /// `columns` × `rows` colours over a rectangle, row by row.
    Raster {
        from: (f64, f64),
        to: (f64, f64),
        columns: usize,
        rgb: Vec<u8>,
    },
}

/// A figure: shapes in the order in which they are painted, in pixels from the upper left.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Sketch {
    width: f64,
    height: f64,
    shapes: Vec<Shape>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Vector,
    Bitmap,
}

impl Kind {
    /// plotters' font size of one em, and how far below the top of a text it sets the baseline, in em.
    fn font(self) -> (f64, f64) {
        match self {
            // plotters-svg divides the size by 1.24 to get SVG's em.
            Kind::Vector => (1.24, 0.76),
            // ab_glyph's size is ascent and descent, 1.164 em of DejaVu Sans; the baseline is half of it below the top.
            Kind::Bitmap => (1.164, 0.5 * 1.164),
        }
    }
}

/// Both files of a figure.
pub(in crate::report) struct Painted {
    pub(in crate::report) svg: String,
    pub(in crate::report) png: Vec<u8>,
}

impl Sketch {
    pub(super) fn new(width: f64, height: f64) -> Sketch {
        Sketch {
            width,
            height,
            shapes: vec![],
        }
    }

    pub(super) fn line(&mut self, points: Vec<(f64, f64)>, colour: Colour, width: f64) {
        let points: Vec<_> = points.into_iter().filter(is_finite).collect();
        if points.len() > 1 {
            self.shapes.push(Shape::Line {
                points,
                colour,
                width,
            });
        }
    }

    /// Along one axis: dashes of four pixels.
    pub(super) fn dashes(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour, width: f64) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        if !(length.is_finite() && length > 0.0) {
            return;
        }
        let mut at = 0.0;
        while at < length {
            let end = (at + 4.0).min(length);
            let point = |t: f64| (from.0 + dx * t / length, from.1 + dy * t / length);
            self.line(vec![point(at), point(end)], colour, width);
            at += 7.0;
        }
    }

    pub(super) fn area(&mut self, points: Vec<(f64, f64)>, colour: Colour) {
        if points.iter().all(is_finite) {
            self.shapes.push(Shape::Area { points, colour });
        }
    }

    pub(super) fn block(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        if is_finite(&from) && is_finite(&to) {
            self.shapes.push(Shape::Block { from, to, colour });
        }
    }

    pub(super) fn frame(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour, width: f64) {
        let corners = vec![from, (to.0, from.1), to, (from.0, to.1), from];
        self.line(corners, colour, width);
    }

    pub(super) fn disc(&mut self, at: (f64, f64), radius: f64, colour: Colour) {
        if is_finite(&at) && radius.is_finite() {
            self.shapes.push(Shape::Disc { at, radius, colour });
        }
    }

    /// A disc with a hole: the ground shows through a white one.
    pub(super) fn ring(&mut self, at: (f64, f64), radius: f64, colour: Colour, width: f64) {
        self.disc(at, radius, colour);
        self.disc(at, radius - width, WHITE);
    }

    /// Text whose capitals are centred on `at` vertically.
    pub(super) fn text(
        &mut self,
        at: (f64, f64),
        text: &str,
        size: f64,
        colour: Colour,
        anchor: Anchor,
    ) {
        // DejaVu Sans: capitals are 0.729 em high.
        self.label(
            (at.0, at.1 + 0.729 / 2.0 * size),
            text,
            size,
            colour,
            anchor,
            false,
        );
    }

    /// Text that reads from bottom to top, centred on `at`.
    pub(super) fn upright(&mut self, at: (f64, f64), text: &str, size: f64, colour: Colour) {
        self.label(
            (at.0 + 0.729 / 2.0 * size, at.1),
            text,
            size,
            colour,
            Anchor::Middle,
            true,
        );
    }

    fn label(
        &mut self,
        at: (f64, f64),
        text: &str,
        size: f64,
        colour: Colour,
        anchor: Anchor,
        is_upright: bool,
    ) {
        if is_finite(&at) && !text.is_empty() {
            self.shapes.push(Shape::Label {
                at,
                text: printable(text),
                size,
                colour,
                anchor,
                is_upright,
            });
        }
    }

    /// A raster of `columns` × `rows` colours over a rectangle that nothing was painted on before.
    pub(super) fn raster(
        &mut self,
        from: (f64, f64),
        to: (f64, f64),
        (columns, rows): (usize, usize),
        colour: impl Fn(usize, usize) -> Colour,
    ) {
        if columns == 0 || rows == 0 || !is_finite(&from) || !is_finite(&to) {
            return;
        }
        let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
        let rgb = places
            .map(|(column, row)| colour(column, row))
            .flat_map(|c| [c.0, c.1, c.2])
            .collect();
        self.shapes.push(Shape::Raster {
            from,
            to,
            columns,
            rgb,
        });
    }

    /// Says in the middle that there is nothing to see.
    pub(super) fn nothing(width: f64, why: &str) -> Sketch {
        let mut sketch = Sketch::new(width, 80.0);
        sketch.text(
            (width / 2.0, 40.0),
            why,
            super::theme::LABEL,
            QUIET,
            Anchor::Middle,
        );
        sketch
    }

    pub(in crate::report) fn paint(&self) -> Result<Painted, String> {
        register_font();
        let size = |v: f64| (v * SCALE).ceil().max(1.0) as u32;
        let (w, h) = (size(self.width), size(self.height));
        let mut svg = String::new();
        {
            let mut backend = SVGBackend::with_string(&mut svg, (w, h));
            self.onto(&mut backend, Kind::Vector)?;
            backend.present().map_err(said)?;
        }
        let whole = format!("width=\"{w}\" height=\"{h}\"");
        let half = format!(
            "width=\"{}\" height=\"{}\"",
            self.width.ceil(),
            self.height.ceil()
        );
        let svg = self.with_rasters(&svg.replacen(&whole, &half, 1))?;
        let mut pixels = vec![255_u8; (w * h * 3) as usize];
        {
            let mut backend = BitMapBackend::with_buffer(&mut pixels, (w, h));
            self.onto(&mut backend, Kind::Bitmap)?;
            backend.present().map_err(said)?;
        }
        let png = encode(&pixels, w, h).map_err(said)?;
        Ok(Painted { svg, png })
    }

    fn onto<B: DrawingBackend>(&self, backend: &mut B, kind: Kind) -> Result<(), String> {
        let (em, ascent) = kind.font();
        let px = |(x, y): (f64, f64)| ((x * SCALE).round() as i32, (y * SCALE).round() as i32);
        let (w, h) = backend.get_size();
        backend
            .draw_rect((0, 0), (w as i32, h as i32), &style(WHITE, 1.0), true)
            .map_err(said)?;
        for shape in &self.shapes {
            match shape {
                Shape::Line {
                    points,
                    colour,
                    width,
                } => {
                    // Points that fall together have no direction, which plotters' wide lines divide by.
                    let mut path: Vec<(i32, i32)> = points.iter().map(|p| px(*p)).collect();
                    path.dedup();
                    let style = style(*colour, *width);
                    match path[..] {
                        [a, b] => backend.draw_line(a, b, &style),
                        _ => backend.draw_path(path, &style),
                    }
                    .map_err(said)?;
                }
                Shape::Area { points, colour } => backend
                    .fill_polygon(points.iter().map(|p| px(*p)), &style(*colour, 1.0))
                    .map_err(said)?,
                Shape::Block { from, to, colour } => {
                    let (a, b) = (px(*from), px(*to));
                    // A bitmap's rectangle includes its far edge.
                    let far = ((b.0 - 1).max(a.0), (b.1 - 1).max(a.1));
                    backend
                        .draw_rect(a, far, &style(*colour, 1.0), true)
                        .map_err(said)?;
                }
                Shape::Disc { at, radius, colour } => backend
                    .draw_circle(
                        px(*at),
                        (radius * SCALE).round().max(1.0) as u32,
                        &style(*colour, 1.0),
                        true,
                    )
                    .map_err(said)?,
                Shape::Label {
                    at,
                    text,
                    size,
                    colour,
                    anchor,
                    is_upright,
                } => {
                    let up = size * ascent;
                    let top = match is_upright {
                        true => (at.0 - up, at.1),
                        false => (at.0, at.1 - up),
                    };
                    let font = font(size * em * SCALE).pos(Pos::new(
                        match anchor {
                            Anchor::Left => HPos::Left,
                            Anchor::Middle => HPos::Center,
                            Anchor::Right => HPos::Right,
                        },
                        VPos::Top,
                    ));
                    let ink = RGBColor(colour.0, colour.1, colour.2);
                    let font = font.color(&ink);
                    let font = match is_upright {
                        true => font.transform(FontTransform::Rotate270),
                        false => font,
                    };
                    backend.draw_text(text, &font, px(top)).map_err(said)?;
                }
                Shape::Raster {
                    from,
                    to,
                    columns,
                    rgb,
                } if kind == Kind::Bitmap => {
                    let (a, b) = (px(*from), px(*to));
                    let size = ((b.0 - a.0).max(1) as usize, (b.1 - a.1).max(1) as usize);
                    let pixels = enlarged(rgb, *columns, size);
                    backend
                        .blit_bitmap(a, (size.0 as u32, size.1 as u32), &pixels)
                        .map_err(said)?;
                }
                // plotters would write each pixel as a rectangle: see `with_rasters`.
                Shape::Raster { .. } => {}
            }
        }
        Ok(())
    }

    /// Puts the rasters into the SVG as pictures, one pixel a value, behind all other shapes.
    fn with_rasters(&self, svg: &str) -> Result<String, String> {
        let mut images = String::new();
        for shape in &self.shapes {
            let Shape::Raster {
                from,
                to,
                columns,
                rgb,
            } = shape
            else {
                continue;
            };
            let png =
                encode(rgb, *columns as u32, (rgb.len() / 3 / columns) as u32).map_err(said)?;
            let (x, y) = (from.0 * SCALE, from.1 * SCALE);
            let (w, h) = ((to.0 - from.0) * SCALE, (to.1 - from.1) * SCALE);
            images.push_str(&format!(
                "\n<image x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
                base64(&png)
            ));
        }
        // The first shape is the ground.
        let ground = svg.find("/>").ok_or("plotters wrote no shape")? + 2;
        Ok(format!("{}{images}{}", &svg[..ground], &svg[ground..]))
    }

    /// Labels that leave the picture or lie on one another, for tests.
    #[cfg(test)]
    pub(in crate::report) fn crowded(&self) -> Vec<String> {
        let boxes: Vec<(&str, [f64; 4])> = self
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Label {
                    at,
                    text,
                    size,
                    anchor,
                    is_upright,
                    ..
                } => {
                    let w = text_width(text, *size);
                    let shift = match anchor {
                        Anchor::Left => 0.0,
                        Anchor::Middle => -w / 2.0,
                        Anchor::Right => -w,
                    };
                    let high = 0.729 * size;
                    Some((
                        text.as_str(),
                        match is_upright {
                            true => [at.0 - high, at.1 - w / 2.0, at.0, at.1 + w / 2.0],
                            false => [at.0 + shift, at.1 - high, at.0 + shift + w, at.1],
                        },
                    ))
                }
                _ => None,
            })
            .collect();
        let mut found = vec![];
        for (i, (text, b)) in boxes.iter().enumerate() {
            if b[0] < 0.0 || b[1] < 0.0 || b[2] > self.width || b[3] > self.height {
                found.push(format!("`{text}` leaves the picture"));
            }
            for (other, o) in &boxes[i + 1..] {
                if b[0] < o[2] && o[0] < b[2] && b[1] < o[3] && o[1] < b[3] {
                    found.push(format!("`{text}` and `{other}` overlap"));
                }
            }
        }
        found
    }
}

fn is_finite(point: &(f64, f64)) -> bool {
    // Far outside of any picture plotters' integers overflow.
    point.0.abs() < 1e5 && point.1.abs() < 1e5
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn style(colour: Colour, width: f64) -> ShapeStyle {
    use plotters::style::Color;
    ShapeStyle {
        color: RGBColor(colour.0, colour.1, colour.2).mix(colour.3),
        filled: true,
        stroke_width: (width * SCALE).round().max(1.0) as u32,
    }
}

fn register_font() {
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        // The file is part of the program: it is a font or no build would pass its tests.
        let bytes = include_bytes!("../../../assets/DejaVuSans-subset.ttf");
        let _ = plotters::style::register_font(FAMILY, FontStyle::Normal, bytes);
    });
}

fn font(size: f64) -> TextStyle<'static> {
    TextStyle::from((FAMILY, size).into_font())
}

/// Width of a text whose em is `size` pixels.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    register_font();
    // Measured large, since plotters counts whole pixels.
    let large = 100.0;
    let width = (FAMILY, large * 1.164)
        .into_font()
        .box_size(&printable(text))
        .map_or(0, |(w, _)| w);
    f64::from(width) * size / large
}

/// The text, or as much of its beginning as fits into `width` with "…" behind it.
pub(super) fn fitted(text: &str, size: f64, width: f64) -> String {
    // No letter is narrower than a twentieth of an em: longer texts need no measuring.
    let most = (20.0 * width / size) as usize + 1;
    let mut letters: Vec<char> = printable(text).chars().take(most).collect();
    let whole: String = letters.iter().collect();
    if letters.len() < most && text_width(&whole, size) <= width {
        return whole;
    }
    // Widths grow with letters: the longest beginning that fits, by halving.
    let with_dots = |n: usize| -> String {
        let start: String = letters[..n].iter().collect();
        format!("{}…", start.trim_end())
    };
    let (mut fits, mut too_long) = (0, letters.len());
    while too_long - fits > 1 {
        let middle = usize::midpoint(fits, too_long);
        match text_width(&with_dots(middle), size) <= width {
            true => fits = middle,
            false => too_long = middle,
        }
    }
    letters.truncate(fits);
    format!("{}…", letters.iter().collect::<String>().trim_end())
}

fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// With a palette where 256 colours are enough: line art is a quarter as large then.
fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = vec![];
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_compression(png::Compression::Default);
    encoder.set_filter(png::FilterType::NoFilter);
    match palette(pixels) {
        Some((colours, indices)) => {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(colours);
            encoder.write_header()?.write_image_data(&indices)?;
        }
        None => {
            encoder.set_color(png::ColorType::Rgb);
            encoder.set_filter(png::FilterType::Sub);
            encoder.write_header()?.write_image_data(pixels)?;
        }
    }
    Ok(out)
}

/// The colours in order of appearance, and each pixel's; absent if there are more than 256.
fn palette(pixels: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut colours: Vec<u8> = vec![];
    let mut indices = Vec::with_capacity(pixels.len() / 3);
    // A lookup by five bits of each channel would merge colours; a map of those seen does not.
    let mut seen = std::collections::BTreeMap::new();
    let mut last = ([0_u8; 3], None);
    for pixel in pixels.chunks_exact(3) {
        let key = [pixel[0], pixel[1], pixel[2]];
        if let (same, Some(index)) = last
            && same == key
        {
            indices.push(index);
            continue;
        }
        let next = seen.len();
        let index = *seen.entry(key).or_insert(next);
        if index > 255 {
            return None;
        }
        if index == next {
            colours.extend(key);
        }
        last = (key, Some(index as u8));
        indices.push(index as u8);
    }
    Some((colours, indices))
}

/// Each value as a block of pixels, as equal as whole pixels allow.
fn enlarged(rgb: &[u8], columns: usize, (width, height): (usize, usize)) -> Vec<u8> {
    let rows = rgb.len() / 3 / columns;
    let mut out = Vec::with_capacity(width * height * 3);
    let mut last = None;
    for y in 0..height {
        let row = y * rows / height;
        if last == Some(row) {
            // The same as the line above.
            out.extend_from_within(out.len() - 3 * width..);
            continue;
        }
        for x in 0..width {
            let at = 3 * (row * columns + x * columns / width);
            out.extend_from_slice(&rgb[at..at + 3]);
        }
        last = Some(row);
    }
    out
}

/// RFC 4648, §4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..4 {
            let is_filled = i <= three.len();
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if is_filled { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_text_is_cut_where_it_no_longer_fits() {
        assert_eq!(fitted("short", 12.0, 100.0), "short");
        let cut = fitted(&"long name ".repeat(1000), 12.0, 100.0);
        assert!(
            cut.ends_with('…') && text_width(&cut, 12.0) <= 100.0 && cut.len() > 10,
            "{cut}"
        );
        assert_eq!(fitted("anything", 12.0, 0.0), "…");
    }

    #[test]
    fn labels_that_overlap_or_leave_the_picture_are_found() {
        let mut sketch = Sketch::new(100.0, 40.0);
        sketch.text((10.0, 10.0), "one", 10.0, QUIET, Anchor::Left);
        sketch.text((10.0, 30.0), "apart", 10.0, QUIET, Anchor::Left);
        assert_eq!(sketch.crowded(), Vec::<String>::new());
        sketch.text((20.0, 12.0), "on it", 10.0, QUIET, Anchor::Left);
        sketch.text((95.0, 30.0), "outside", 10.0, QUIET, Anchor::Left);
        let found = ["`one` and `on it` overlap", "`outside` leaves the picture"];
        assert_eq!(sketch.crowded(), found);
    }

    #[test]
    fn both_pictures_show_the_same_shapes() {
        let mut sketch = Sketch::new(40.0, 20.0);
        sketch.block((0.0, 0.0), (20.0, 20.0), Colour(255, 0, 0, 1.0));
        sketch.raster((20.0, 0.0), (40.0, 20.0), (2, 1), |column, _| {
            Colour(0, 0, 200 + column as u8, 1.0)
        });
        sketch.text((10.0, 10.0), "<a & b>", 8.0, WHITE, Anchor::Middle);
        let painted = sketch.paint().expect("it can be painted");
        assert!(
            painted
                .svg
                .contains("width=\"40\" height=\"20\" viewBox=\"0 0 80 40\""),
            "{}",
            painted.svg
        );
        assert!(
            painted.svg.contains("&lt;a &amp; b&gt;") && painted.svg.contains("<image"),
            "{}",
            painted.svg
        );
        let mut reader = png::Decoder::new(&painted.png[..])
            .read_info()
            .expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size()];
        let info = reader.next_frame(&mut pixels).expect("pixels");
        assert_eq!((info.width, info.height), (80, 40));
    }
}
