//! What a kernel's arrays hold before it runs, as bytes of their element type.
use crate::plan::{Argument, ArgumentKind, Fill};
use crate::workload::files::{Element, read_array};
use crate::workload::random::{gaussian_pair, uniform};
use std::path::Path;

/// An array's first content.
pub(super) struct Filled {
    pub(super) element: Element,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
    pub(super) is_output: bool,
    /// Whether the plan says what it holds.
    pub(super) is_given: bool,
}

/// # Errors
/// A file that cannot be read or does not fit, a size beyond memory.
pub(super) fn fill(
    argument: &Argument,
    element: Element,
    shape: Vec<usize>,
    folder: &str,
) -> Result<Filled, String> {
    let Argument { name, kind, .. } = argument;
    let wrong = |why: String| format!("argument `{name}`: {why}");
    let ArgumentKind::Array {
        fill,
        seed,
        is_output,
        ..
    } = kind
    else {
        return Err(wrong("it is no array".into()));
    };
    let size = element.size(&shape).map_err(wrong)?;
    let count = size / element.width();
    let numbers = |value: &mut dyn FnMut(u64) -> f64| {
        let mut bytes = vec![];
        bytes
            .try_reserve_exact(size)
            .map_err(|_| wrong(format!("{size} bytes do not fit into memory")))?;
        for i in 0..count as u64 {
            element.push(value(i), &mut bytes);
        }
        Ok::<_, String>(bytes)
    };
    let bytes = match fill {
        None => numbers(&mut |_| 0.0)?,
        Some(Fill::Constant(value)) => numbers(&mut |_| *value)?,
        Some(Fill::Iota) => numbers(&mut |i| i as f64)?,
        Some(Fill::Uniform(low, high)) => numbers(&mut |i| low + (high - low) * uniform(*seed, i))?,
        Some(Fill::Normal(mean, deviation)) => {
            numbers(&mut |i| mean + deviation * gaussian_pair(*seed, i / 2)[(i % 2) as usize])?
        }
        Some(Fill::File(file)) => {
            let array = read_array(&Path::new(folder).join(file), None).map_err(wrong)?;
            if array.shape != shape {
                return Err(wrong(format!(
                    "{file} has the shape {:?}, not {shape:?}",
                    array.shape
                )));
            }
            let values = array.to_f64();
            numbers(&mut |i| values[i as usize])?
        }
    };
    Ok(Filled {
        element,
        shape,
        bytes,
        is_output: *is_output,
        is_given: fill.is_some(),
    })
}

/// NaN in every float type.
pub(super) fn poison(size: usize) -> Vec<u8> {
    vec![0xff; size]
}
