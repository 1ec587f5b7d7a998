//! How every figure looks: colours, sizes, shapes of verdicts. Nothing here draws.
use crate::trial::Verdict;

/// Red, green, blue, and how opaque.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour(pub(super) u8, pub(super) u8, pub(super) u8, pub(super) f64);

impl Colour {
    const fn solid(r: u8, g: u8, b: u8) -> Colour {
        Colour(r, g, b, 1.0)
    }

    pub(super) fn faded(self, alpha: f64) -> Colour {
        Colour(self.0, self.1, self.2, alpha)
    }
}

pub(super) const WHITE: Colour = Colour::solid(255, 255, 255);
pub(super) const INK: Colour = Colour::solid(38, 38, 38);
pub(super) const QUIET: Colour = Colour::solid(110, 110, 110);
pub(super) const FRAME: Colour = Colour::solid(150, 150, 150);
pub(super) const GRID: Colour = Colour::solid(226, 226, 226);
pub(super) const BAND: Colour = Colour::solid(240, 240, 224);
/// Not measured: never a colour of a scale.
pub(super) const MISSING: Colour = Colour::solid(236, 236, 236);
/// Not a number: in no colour scale, so it cannot be overlooked.
pub(super) const NOT_A_NUMBER: Colour = Colour::solid(255, 0, 255);

// Colours that people with any colour vision can tell apart: Okabe & Ito, Color Universal Design (2008).
pub(super) const BLUE: Colour = Colour::solid(0, 114, 178);
pub(super) const VERMILION: Colour = Colour::solid(213, 94, 0);
pub(super) const GREEN: Colour = Colour::solid(0, 158, 115);
pub(super) const GREY: Colour = Colour::solid(140, 140, 140);

/// Width of a figure; heights are as large as what is shown.
pub(super) const WIDTH: f64 = 900.0;

/// Heights of letters in em: 1 em = this many pixels.
pub(super) const SMALL: f64 = 10.5;
pub(super) const LABEL: f64 = 12.0;
pub(super) const TITLE: f64 = 13.0;

pub(super) fn colour_of(verdict: Verdict) -> Colour {
    match verdict {
        Verdict::Faster | Verdict::SlightlyFaster => BLUE,
        Verdict::Slower | Verdict::SlightlySlower => VERMILION,
        _ => QUIET,
    }
}

/// Viridis at nine stations, linear between them: van der Walt & Smith, matplotlib 2.0 (2015).
pub(super) fn viridis(share: f64) -> Colour {
    const STATIONS: [(u8, u8, u8); 9] = [
        (68, 1, 84),
        (71, 44, 122),
        (59, 81, 139),
        (44, 113, 142),
        (33, 144, 141),
        (39, 173, 129),
        (92, 200, 99),
        (170, 220, 50),
        (253, 231, 37),
    ];
    if share.is_nan() {
        return NOT_A_NUMBER;
    }
    let place = share.clamp(0.0, 1.0) * (STATIONS.len() - 1) as f64;
    let i = (place as usize).min(STATIONS.len() - 2);
    let (a, b, t) = (STATIONS[i], STATIONS[i + 1], place - i as f64);
    let mix = |x: u8, y: u8| (f64::from(x) + t * (f64::from(y) - f64::from(x))).round() as u8;
    Colour::solid(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// Black over grey to white, as seismic sections are shown: what has a sign and a scale that is symmetric.
pub(super) fn grey(share: f64) -> Colour {
    if share.is_nan() {
        return NOT_A_NUMBER;
    }
    let level = (255.0 * share.clamp(0.0, 1.0)).round() as u8;
    Colour::solid(level, level, level)
}

/// Blue over white to vermilion, for signed differences.
pub(super) fn diverging(share: f64) -> Colour {
    if share.is_nan() {
        return NOT_A_NUMBER;
    }
    let u = (2.0 * share - 1.0).clamp(-1.0, 1.0);
    let end = if u < 0.0 { BLUE } else { VERMILION };
    let mix = |end: u8| (255.0 + u.abs() * (f64::from(end) - 255.0)).round() as u8;
    Colour::solid(mix(end.0), mix(end.1), mix(end.2))
}

/// White or black, whichever can be read on this.
pub(super) fn readable_on(ground: Colour) -> Colour {
    // ITU-R BT.601 luma.
    let luma =
        0.299 * f64::from(ground.0) + 0.587 * f64::from(ground.1) + 0.114 * f64::from(ground.2);
    if luma > 140.0 { INK } else { WHITE }
}
