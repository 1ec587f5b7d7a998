//! Frames as files: the generator's, in raw formats so that no codec is measured, and the user's. Only here is it known how a
//! frame lies in its file.
#![allow(
    clippy::disallowed_methods,
    reason = "owns the files that frames are written to and read from"
)]
use super::scene::{Kind, Scene};
use sha2::{Digest, Sha256};
use std::f64::consts::PI;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// What frames are written as. Both are a header before the pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    /// `|u1`, `[height, width, 3]`.
    Npy,
    /// Binary, 8 bits: P6.
    Ppm,
}

pub(super) const FORMATS: &[(&str, Format)] = &[("npy", Format::Npy), ("ppm", Format::Ppm)];

impl Format {
    fn ending(self) -> &'static str {
        match self {
            Format::Npy => "npy",
            Format::Ppm => "ppm",
        }
    }
}

/// What stands in a file before its pixels.
pub(super) fn header(format: Format, [height, width]: [usize; 2]) -> Vec<u8> {
    match format {
        Format::Ppm => format!("P6\n{width} {height}\n255\n").into_bytes(),
        Format::Npy => {
            let described = format!(
                "{{'descr': '|u1', 'fortran_order': False, 'shape': ({height}, {width}, 3), }}"
            );
            // Magic, version and length take 10 bytes; the pixels begin at a multiple of 64, after a line feed.
            let length = (10 + described.len() + 1).next_multiple_of(64) - 10;
            let mut header = b"\x93NUMPY\x01\x00".to_vec();
            header.extend((length as u16).to_le_bytes());
            header.extend(described.as_bytes());
            header.resize(10 + length - 1, b' ');
            header.push(b'\n');
            header
        }
    }
}

/// Where the pixels of a frame lie in its file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Bytes before the first pixel.
    pub(super) offset: usize,
}

impl Layout {
    /// By the first bytes of a file (all that it has, up to [`Layout::HEADER`]).
    ///
    /// # Errors
    /// What it is instead of a frame.
    pub(super) fn read(bytes: &[u8]) -> Result<Layout, String> {
        if bytes.starts_with(b"\x93NUMPY") {
            Layout::of_npy(bytes)
        } else if bytes.starts_with(b"P6") {
            Layout::of_ppm(bytes)
        } else {
            Err("is neither .npy nor binary PPM (P6)".into())
        }
    }

    /// Enough of a file for its header.
    pub(super) const HEADER: usize = 4096;

    fn of_npy(bytes: &[u8]) -> Result<Layout, String> {
        let length = match bytes {
            [_, _, _, _, _, _, 1, _, a, b, ..] => 10 + usize::from(u16::from_le_bytes([*a, *b])),
            [_, _, _, _, _, _, 2 | 3, _, a, b, c, d, ..] => {
                12 + u32::from_le_bytes([*a, *b, *c, *d]) as usize
            }
            _ => return Err("has no .npy header".into()),
        };
        let header = bytes.get(..length).ok_or("ends within its header")?;
        let text: String = (header.iter().skip(10))
            .map(|b| char::from(*b))
            .filter(|c| !c.is_whitespace())
            .collect();
        if !text.contains("'descr':'|u1'") || !text.contains("'fortran_order':False") {
            return Err("is not of 8-bit numbers (|u1) in C order".into());
        }
        let shape = text
            .split_once("'shape':(")
            .and_then(|(_, rest)| rest.split_once(')'));
        let shape: Vec<usize> = (shape.map_or("", |(shape, _)| shape).split(','))
            .filter(|n| !n.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| "has a shape that is not of whole numbers")?;
        match shape[..] {
            [height, width, 3] => Ok(Layout {
                height,
                width,
                offset: length,
            }),
            _ => Err(format!("has the shape {shape:?}, not [height, width, 3]")),
        }
    }

    /// <https://netpbm.sourceforge.net/doc/ppm.html>: words between white space, comments from # to the line's end, and one white
    /// space before the pixels.
    fn of_ppm(bytes: &[u8]) -> Result<Layout, String> {
        let mut at = 2;
        let mut number = || -> Option<usize> {
            loop {
                match bytes.get(at)? {
                    b'#' => {
                        while *bytes.get(at)? != b'\n' {
                            at += 1;
                        }
                    }
                    b if b.is_ascii_whitespace() => at += 1,
                    _ => break,
                }
            }
            let from = at;
            while bytes.get(at)?.is_ascii_digit() {
                at += 1;
            }
            std::str::from_utf8(&bytes[from..at]).ok()?.parse().ok()
        };
        let (Some(width), Some(height), Some(largest)) = (number(), number(), number()) else {
            return Err("has no PPM header".into());
        };
        if largest != 255 {
            return Err(format!("has levels up to {largest}, not 255"));
        }
        Ok(Layout {
            height,
            width,
            offset: at + 1,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        3 * self.height * self.width
    }
}

/// The user's frames, in the order of their names.
pub(super) struct Given {
    pub(super) files: Vec<PathBuf>,
    pub(super) width: usize,
}

/// The frames of a folder. Only the first is opened: what is wrong with another shows when the pipeline reads it.
///
/// # Errors
/// What is wrong with the folder or with its first frame.
pub(super) fn list(folder: &Path) -> Result<Given, String> {
    let wrong = |e: std::io::Error| format!("problem.images: {}: {e}", folder.display());
    let mut files = vec![];
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|e| e == "npy" || e == "ppm") {
            files.push(path);
        }
    }
    files.sort();
    let first = files
        .first()
        .ok_or_else(|| format!("problem.images: {} has no .npy or .ppm", folder.display()))?;
    let layout = layout(first)?;
    if layout.width != 2 * layout.height {
        return Err(format!(
            "{}: {} × {} pixels are no whole sphere, which is twice as wide as high",
            first.display(),
            layout.width,
            layout.height
        ));
    }
    Ok(Given {
        width: layout.width,
        files,
    })
}

fn layout(path: &Path) -> Result<Layout, String> {
    let mut header = vec![];
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    file.take(Layout::HEADER as u64)
        .read_to_end(&mut header)
        .map_err(|e| format!("{}: {e}", path.display()))?;
    Layout::read(&header).map_err(|what| format!("{}: {what}", path.display()))
}

/// Writes every frame that is not there yet.
///
/// # Errors
/// Why one cannot be written.
pub(super) fn write(scene: &Scene, format: Format, scratch: &Path) -> Result<Vec<PathBuf>, String> {
    let written = format!("{} {:?} {:?}", scene.width, scene.kinds, format);
    let key: String = (Sha256::digest(written.as_bytes()).iter().take(6))
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let folder = scratch.join(format!("e2p-{key}"));
    let wrong = |e: std::io::Error| format!("frames in {}: {e}", folder.display());
    std::fs::create_dir_all(&folder).map_err(wrong)?;
    let header = header(format, [scene.height, scene.width]);
    let mut files = vec![];
    for k in 0..scene.kinds.len() {
        let path = folder.join(format!("{k:05}.{}", format.ending()));
        let whole = (header.len() + scene.frame_bytes()) as u64;
        if !std::fs::metadata(&path).is_ok_and(|m| m.len() == whole) {
            // Aside, then renamed: another worker sees all of it or nothing.
            let mut aside = tempfile::NamedTempFile::new_in(&folder).map_err(wrong)?;
            aside.write_all(&header).map_err(wrong)?;
            aside.write_all(&generate(scene, k)).map_err(wrong)?;
            aside.persist(&path).map_err(|e| wrong(e.error))?;
        }
        files.push(path);
    }
    Ok(files)
}

/// Frame `k` as it is in memory, `[height, width, 3]`.
///
/// # Errors
/// What is wrong with its file, named.
pub(super) fn read(scene: &Scene, k: usize) -> Result<Vec<u8>, String> {
    let path = &scene.files[k];
    let mut bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let layout = Layout::read(&bytes[..bytes.len().min(Layout::HEADER)])
        .map_err(|what| format!("{}: {what}", path.display()))?;
    check(scene, layout, bytes.len() - layout.offset.min(bytes.len()))
        .map_err(|what| format!("{}: {what}", path.display()))?;
    bytes.drain(..layout.offset);
    Ok(bytes)
}

/// Whether a file with this header and so many bytes of pixels is one of the scene's frames.
///
/// # Errors
/// What it is instead.
pub(super) fn check(scene: &Scene, layout: Layout, pixels: usize) -> Result<(), String> {
    if (layout.height, layout.width) != (scene.height, scene.width) {
        return Err(format!(
            "has {} × {} pixels, not {} × {}",
            layout.width, layout.height, scene.width, scene.height
        ));
    }
    match pixels == layout.bytes() {
        true => Ok(()),
        false => Err(format!(
            "has {pixels} bytes of pixels, not {}",
            layout.bytes()
        )),
    }
}

/// WORKLOADS §5b.
pub(super) fn generate(scene: &Scene, k: usize) -> Vec<u8> {
    let (height, width) = (scene.height, scene.width);
    match scene.kinds[k] {
        Kind::Direction => direction(height, width, k),
        Kind::Checker | Kind::Given => checker(height, width, k),
    }
}

/// Colours 127.5 + 127.5 n of the direction n of a pixel's centre, in a frame turned by 2πk/240.
fn direction(height: usize, width: usize, k: usize) -> Vec<u8> {
    let turn = 2.0 * PI * k as f64 / 240.0;
    let columns: Vec<[f64; 2]> = (0..width)
        .map(|i| {
            let phi = ((i as f64 + 0.5) / width as f64 * 2.0 - 1.0) * PI + turn;
            [phi.sin(), phi.cos()]
        })
        .collect();
    let level = |n: f64| (127.5 + 127.5 * n).round_ties_even().clamp(0.0, 255.0) as u8;
    let mut pixels = Vec::with_capacity(3 * height * width);
    for j in 0..height {
        let theta = (0.5 - (j as f64 + 0.5) / height as f64) * PI;
        let (sin, cos) = theta.sin_cos();
        for [x, z] in &columns {
            pixels.extend([level(cos * x), level(sin), level(cos * z)]);
        }
    }
    pixels
}

/// 32 by 16 cells of two greys, which change places with every frame.
fn checker(height: usize, width: usize, k: usize) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(3 * height * width);
    for j in 0..height {
        for i in 0..width {
            let is_light = ((i * 32 / width + k) ^ (j * 16 / height)) & 1 == 1;
            pixels.extend([if is_light { 228 } else { 28 }; 3]);
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_are_read_as_they_are_written(height in 1..5000_usize, width in 1..9000_usize, is_ppm: bool) {
            let format = if is_ppm { Format::Ppm } else { Format::Npy };
            let header = header(format, [height, width]);
            let layout = Layout::read(&header).unwrap();
            prop_assert_eq!(layout, Layout { height, width, offset: header.len() });
        }

        #[test]
        fn no_header_is_too_wrong(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), start in 0..3_usize) {
            for (to, from) in bytes.iter_mut().zip([&b""[..], b"P6", b"\x93NUMPY\x01\x00"][start]) {
                *to = *from;
            }
            // Neither panics nor finds pixels before the file's start.
            if let Ok(layout) = Layout::read(&bytes) {
                prop_assert!(layout.offset > 0);
            }
        }
    }
}
