//! Arrays of a problem from `.npy` files, complex ones included (`workload::files` reads what commands write, which is real).
#![allow(clippy::disallowed_methods, reason = "reads a problem's arrays")]
use crate::workload::files;
use std::path::Path;

/// Row-major numbers; complex ones as pairs beyond `shape`.
#[derive(Debug)]
pub(in crate::workload) struct Numbers {
    pub(in crate::workload) shape: Vec<usize>,
    pub(in crate::workload) values: Vec<f64>,
    pub(in crate::workload) is_complex: bool,
}

/// # Errors
/// What is wrong with the file, by name.
pub(in crate::workload) fn read(file: &str) -> Result<Numbers, String> {
    let bytes = std::fs::read(file).map_err(|e| format!("{file}: {e}"))?;
    if let Some(numbers) = complex(&bytes) {
        return numbers.map_err(|why| format!("{file}: {why}"));
    }
    let array = files::read_array(Path::new(file), None)?;
    Ok(Numbers {
        values: array.to_f64(),
        shape: array.shape,
        is_complex: false,
    })
}

/// `None` if the file is not a `.npy` file of complex numbers.
fn complex(bytes: &[u8]) -> Option<Result<Numbers, String>> {
    let version = *bytes.strip_prefix(b"\x93NUMPY")?.first()?;
    // https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html: version 1 has a length of two bytes, later ones of four.
    let (length, start) = match version {
        1 => (
            u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?) as usize,
            10,
        ),
        _ => (
            u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?) as usize,
            12,
        ),
    };
    let header = std::str::from_utf8(bytes.get(start..start + length)?).ok()?;
    let width = match header {
        h if h.contains("'<c8'") => 4,
        h if h.contains("'<c16'") => 8,
        _ => return None,
    };
    Some(pairs(header, &bytes[start + length..], width))
}

fn pairs(header: &str, data: &[u8], width: usize) -> Result<Numbers, String> {
    if header.contains("'fortran_order': True") {
        return Err("it is in Fortran order; save it with numpy.ascontiguousarray".into());
    }
    let shape: Option<Vec<usize>> = header
        .split_once("'shape': (")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(list, _)| list.split(',').map(str::trim).filter(|n| !n.is_empty()))
        .and_then(|numbers| numbers.map(|n| n.parse().ok()).collect());
    let shape = shape.ok_or("its header has no shape")?;
    let count = shape
        .iter()
        .try_fold(2 * width, |n: usize, s| n.checked_mul(*s))
        .ok_or("its shape is too large")?;
    if data.len() != count {
        return Err(format!(
            "its header says {count} bytes of data, it has {}",
            data.len()
        ));
    }
    let values = data.chunks_exact(width).map(|b| match width {
        4 => f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        _ => f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]),
    });
    Ok(Numbers {
        shape,
        values: values.collect(),
        is_complex: true,
    })
}
