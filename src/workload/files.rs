//! Arrays in files: `.npy`, `.npz` and raw numbers in, `.npy` out; and what memory this machine has for them.
//!
//! `.npy` is read and written here and not by ndarray-npy, which knows neither half precision nor (in our build) complex
//! numbers, and has to be told the element type beforehand: format at
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. Archives are left to it.
#![allow(
    clippy::disallowed_methods,
    reason = "this file reads and writes arrays"
)]
use crate::array::{Array, Values};
use crate::plan::OutputFile;
use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, ReadNpzError};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

/// Reads an array: f32 and f64 as they are, half precision as f32, other numbers as f64, complex numbers with a last axis of
/// length 2. `described` says more about raw files and archives.
///
/// # Errors
/// What is wrong with the file, by name.
pub fn read_array(path: &Path, described: Option<&OutputFile>) -> Result<Array, String> {
    let wrong = |why: String| format!("{}: {why}", path.display());
    let mut file = File::open(path).map_err(|e| wrong(format!("cannot be opened: {e}")))?;
    if let Some(OutputFile {
        dtype: Some(dtype),
        shape: Some(shape),
        ..
    }) = described
    {
        return raw(&mut file, dtype, shape).map_err(wrong);
    }
    if path.extension().is_some_and(|e| e == "npz") {
        return archived(file, described.and_then(|d| d.array.as_deref())).map_err(wrong);
    }
    npy(&mut file).map_err(wrong)
}

/// An element type as `.npy` names it: `<f4`, `|u1`, `<c8`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Element {
    /// f, i, u, b (boolean) or c.
    kind: char,
    width: usize,
    is_big_endian: bool,
}

impl Element {
    fn of_npy(written: &str) -> Option<Element> {
        let is_big_endian = written.starts_with('>');
        let mut rest = written.trim_start_matches(['<', '>', '=', '|']).chars();
        let kind = rest.next()?;
        let width = rest.as_str().parse().ok()?;
        Element {
            kind,
            width,
            is_big_endian,
        }
        .known()
    }

    /// As plans name it: `f32`.
    pub(super) fn of_plan(written: &str) -> Option<Element> {
        let kind = written.chars().next()?;
        let bits: usize = written.get(1..)?.parse().ok()?;
        Element {
            kind,
            width: bits / 8,
            is_big_endian: false,
        }
        .known()
        .filter(|_| bits.is_multiple_of(8))
    }

    fn known(self) -> Option<Element> {
        let widths: &[usize] = match self.kind {
            'f' => &[2, 4, 8],
            'i' | 'u' => &[1, 2, 4, 8],
            'c' => &[8, 16],
            'b' => &[1],
            _ => &[],
        };
        widths.contains(&self.width).then_some(self)
    }

    /// In the order of the file. A complex number is two values.
    pub(super) fn values(self, bytes: &[u8]) -> Values {
        macro_rules! each {
            ($type:ty, $to:expr) => {
                bytes
                    .chunks_exact(size_of::<$type>())
                    .map(|b| b.try_into().expect("chunks of its width"))
                    .map(|b| {
                        $to(if self.is_big_endian {
                            <$type>::from_be_bytes(b)
                        } else {
                            <$type>::from_le_bytes(b)
                        })
                    })
                    .collect()
            };
        }
        match (self.kind, self.width) {
            ('f', 2) => Values::F32(each!(u16, |bits| half::f16::from_bits(bits).to_f32())),
            ('f', 4) | ('c', 8) => Values::F32(each!(f32, |v| v)),
            ('f', _) | ('c', _) => Values::F64(each!(f64, |v| v)),
            ('i', 1) => Values::F64(each!(i8, f64::from)),
            ('i', 2) => Values::F64(each!(i16, f64::from)),
            ('i', 4) => Values::F64(each!(i32, f64::from)),
            ('i', _) => Values::F64(each!(i64, |v| v as f64)),
            (_, 1) => Values::F64(each!(u8, f64::from)),
            (_, 2) => Values::F64(each!(u16, f64::from)),
            (_, 4) => Values::F64(each!(u32, f64::from)),
            _ => Values::F64(each!(u64, |v| v as f64)),
        }
    }

    /// Bytes of a value.
    pub(super) fn width(self) -> usize {
        self.width
    }

    /// Appends a value, little-endian; whole types round, and stop at their limits.
    pub(super) fn push(self, value: f64, to: &mut Vec<u8>) {
        macro_rules! as_type {
            ($type:ty) => {
                to.extend_from_slice(&(value.round() as $type).to_le_bytes())
            };
        }
        match (self.kind, self.width) {
            ('f', 2) => to.extend_from_slice(&half::f16::from_f64(value).to_le_bytes()),
            ('f', 4) => to.extend_from_slice(&(value as f32).to_le_bytes()),
            ('f' | 'c', _) => to.extend_from_slice(&value.to_le_bytes()),
            ('i', 1) => as_type!(i8),
            ('i', 2) => as_type!(i16),
            ('i', 4) => as_type!(i32),
            ('i', _) => as_type!(i64),
            (_, 1) => as_type!(u8),
            (_, 2) => as_type!(u16),
            (_, 4) => as_type!(u32),
            _ => as_type!(u64),
        }
    }

    /// Bytes of an array of this shape.
    pub(super) fn size(self, shape: &[usize]) -> Result<usize, String> {
        let size = shape
            .iter()
            .try_fold(self.width, |n, &length| n.checked_mul(length));
        size.ok_or_else(|| format!("the shape {shape:?} is larger than any memory"))
    }
}

fn raw(file: &mut File, dtype: &str, shape: &[usize]) -> Result<Array, String> {
    let element = Element::of_plan(dtype).ok_or_else(|| format!("`{dtype}` is no element type"))?;
    let wanted = element.size(shape)?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    if length != wanted as u64 {
        return Err(format!(
            "it has {length} bytes, but {dtype} {shape:?} are {wanted}"
        ));
    }
    let mut bytes = vec![];
    file.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    array(element, shape.to_vec(), element.values(&bytes))
}

/// The values in row-major order, of which a complex number is two.
fn array(element: Element, mut shape: Vec<usize>, values: Values) -> Result<Array, String> {
    let is_complex = element.kind == 'c';
    if is_complex {
        shape.push(2);
    }
    Array::new(shape, values, is_complex)
}

/// What the header of an `.npy` file says.
#[derive(Debug, PartialEq)]
struct Header {
    element: Element,
    is_column_major: bool,
    shape: Vec<usize>,
}

/// Reads a matrix row by row as f32, however many rows there are: arrays that are larger than memory.
///
/// # Errors
/// What is wrong with the file, by name; or what `each` says.
pub(super) fn read_rows(
    path: &Path,
    [rows, columns]: [usize; 2],
    each: &mut dyn FnMut(&[f32]) -> Result<(), String>,
) -> Result<(), String> {
    let wrong = |why: String| format!("{}: {why}", path.display());
    let file = File::open(path).map_err(|e| wrong(format!("cannot be opened: {e}")))?;
    let mut file = io::BufReader::with_capacity(1 << 20, file);
    let header = npy_start(&mut file).map_err(wrong)?;
    if header.shape != [rows, columns] || header.element.kind == 'c' || header.is_column_major {
        return Err(wrong(format!(
            "wanted real numbers of the shape [{rows}, {columns}] in row-major order, found {:?}{}",
            header.shape,
            if header.is_column_major {
                " in column-major order"
            } else {
                ""
            }
        )));
    }
    let mut bytes = vec![0; columns * header.element.width];
    for row in 0..rows {
        file.read_exact(&mut bytes)
            .map_err(|e| wrong(format!("row {row} of {rows}: {e}")))?;
        match header.element.values(&bytes) {
            Values::F32(row) => each(&row)?,
            Values::F64(row) => each(&row.into_iter().map(|v| v as f32).collect::<Vec<_>>())?,
        }
    }
    Ok(())
}

fn npy(file: &mut impl Read) -> Result<Array, String> {
    let header = npy_start(file)?;
    let wanted = header.element.size(&header.shape)?;
    let mut bytes = vec![];
    file.take(wanted as u64)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() < wanted {
        return Err(format!(
            "cut off: the shape {:?} needs {wanted} bytes, there are {}",
            header.shape,
            bytes.len()
        ));
    }
    let pair = if header.element.kind == 'c' { 2 } else { 1 };
    let values = match (header.element.values(&bytes), header.is_column_major) {
        (values, false) => values,
        (Values::F32(values), true) => Values::F32(row_major(&values, &header.shape, pair)),
        (Values::F64(values), true) => Values::F64(row_major(&values, &header.shape, pair)),
    };
    array(header.element, header.shape, values)
}

/// Reads up to the first value.
fn npy_start(file: &mut impl Read) -> Result<Header, String> {
    let cut = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => "no .npy file, or cut off in its header".to_owned(),
        _ => e.to_string(),
    };
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(cut)?;
    if &start[..6] != b"\x93NUMPY" {
        return Err("no .npy file (a raw file needs `dtype` and `shape` in the plan)".into());
    }
    // Version 1 has a length of two bytes, 2 and 3 have four.
    let mut length = [0; 4];
    let width = if start[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut length[..width]).map_err(cut)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > 1 << 20 {
        return Err(format!("its header of {length} bytes is none"));
    }
    let mut text = vec![0; length];
    file.read_exact(&mut text).map_err(cut)?;
    header(&String::from_utf8_lossy(&text))
}

/// A Python dictionary with three known keys: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
fn header(text: &str) -> Result<Header, String> {
    let wrong = || format!("its header cannot be read: {}", text.trim());
    let after = |key: &str| {
        let at = text
            .find(&format!("'{key}'"))
            .or_else(|| text.find(&format!("\"{key}\"")))?;
        text[at + key.len() + 2..]
            .trim_start()
            .strip_prefix(':')
            .map(str::trim_start)
    };
    let descr = after("descr").ok_or_else(wrong)?;
    let written = descr
        .strip_prefix(['\'', '"'])
        .and_then(|d| d.split(['\'', '"']).next());
    let element = written.and_then(Element::of_npy).ok_or_else(|| {
        let what = written.unwrap_or("a record");
        format!(
            "its elements are {what}; integers, booleans, f2, f4, f8, c8 and c16 can be compared"
        )
    })?;
    let is_column_major = after("fortran_order")
        .ok_or_else(wrong)?
        .starts_with("True");
    let shape = after("shape")
        .and_then(|s| s.strip_prefix('('))
        .and_then(|s| s.split(')').next())
        .ok_or_else(wrong)?;
    let shape = shape.split(',').map(str::trim).filter(|n| !n.is_empty());
    // Python 2 wrote long integers as 3L.
    let shape: Option<Vec<usize>> = shape
        .map(|n| n.trim_end_matches('L').parse().ok())
        .collect();
    Ok(Header {
        element,
        is_column_major,
        shape: shape.ok_or_else(wrong)?,
    })
}

/// Column-major to row-major; `pair` values belong together.
fn row_major<T: Copy>(values: &[T], shape: &[usize], pair: usize) -> Vec<T> {
    let mut strides = vec![pair; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut index = vec![0; shape.len()];
    let mut out = Vec::with_capacity(values.len());
    while out.len() < values.len() {
        let at: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
        out.extend_from_slice(&values[at..at + pair]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

fn archived(file: File, name: Option<&str>) -> Result<Array, String> {
    let unread = |e: ReadNpzError| match e {
        ReadNpzError::Zip(e) if e.to_string().contains("ompression") => {
            format!(
                "{e}: only archives without compression are read (np.savez, not np.savez_compressed)"
            )
        }
        e => e.to_string(),
    };
    let mut archive = NpzReader::new(file).map_err(unread)?;
    let names = archive.names().map_err(unread)?;
    let listed = names.join(", ");
    let name = match (name, &names[..]) {
        (Some(name), _) if names.iter().any(|n| n == name) => name.to_owned(),
        (Some(name), _) => {
            return Err(format!(
                "the archive has no array `{name}`; it has {listed}"
            ));
        }
        (None, [one]) => one.clone(),
        (None, _) => return Err(format!("the archive has {listed}; say which with `array:`")),
    };
    // Its header names the type, but only a reader of the right type gets to it.
    macro_rules! try_as {
        ($($type:ty => $variant:ident, $to:expr;)*) => {$(
            if let Ok(array) = archive.by_name::<OwnedRepr<$type>, IxDyn>(&name) {
                let array: ArrayD<$type> = array;
                let shape = array.shape().to_vec();
                // Row-major whatever the order in the file.
                return Array::new(shape, Values::$variant(array.iter().copied().map($to).collect()), false);
            }
        )*};
    }
    try_as! {
        f32 => F32, |v| v;
        f64 => F64, |v| v;
        i32 => F64, f64::from;
        i64 => F64, |v| v as f64;
        u8 => F64, f64::from;
        i8 => F64, f64::from;
        i16 => F64, f64::from;
        u16 => F64, f64::from;
        u32 => F64, f64::from;
        u64 => F64, |v| v as f64;
        bool => F64, |v| f64::from(u8::from(v));
    }
    let error = archive
        .by_name::<OwnedRepr<f32>, IxDyn>(&name)
        .map(|_| ())
        .err();
    let error = error.map_or_else(String::new, unread);
    Err(format!(
        "`{name}`: {error}; complex numbers and half precision are read from .npy files only"
    ))
}

/// Writes `.npy`, complex numbers as such; the folder is made if it is missing.
///
/// # Errors
/// Why it cannot be written.
pub fn write_array(path: &Path, array: &Array) -> Result<(), String> {
    let write = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut out = BufWriter::with_capacity(1 << 16, File::create(path)?);
        out.write_all(&npy_header(array))?;
        match &array.values {
            Values::F32(values) => values
                .iter()
                .try_for_each(|v| out.write_all(&v.to_le_bytes()))?,
            Values::F64(values) => values
                .iter()
                .try_for_each(|v| out.write_all(&v.to_le_bytes()))?,
        }
        out.flush()
    };
    write().map_err(|e| format!("{} cannot be written: {e}", path.display()))
}

/// Version 1.0, padded so that the values begin at a multiple of 64 bytes.
fn npy_header(array: &Array) -> Vec<u8> {
    let (shape, descr) = match (&array.values, array.is_complex, &array.shape[..]) {
        (Values::F32(_), true, [shape @ .., 2]) => (shape, "<c8"),
        (Values::F64(_), true, [shape @ .., 2]) => (shape, "<c16"),
        (Values::F32(_), _, shape) => (shape, "<f4"),
        (Values::F64(_), _, shape) => (shape, "<f8"),
    };
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut text = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}",
        shape.trim_end()
    );
    let before = 10;
    while !(before + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let length = u16::try_from(text.len())
        .expect("an array has few axes")
        .to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn npy_file(descr: &str, order: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let text =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        [
            b"\x93NUMPY\x01\x00",
            &(text.len() as u16).to_le_bytes()[..],
            text.as_bytes(),
            values,
        ]
        .concat()
    }

    fn described(
        array: Option<&str>,
        dtype: Option<&str>,
        shape: Option<Vec<usize>>,
    ) -> OutputFile {
        OutputFile {
            file: String::new(),
            array: array.map(str::to_owned),
            dtype: dtype.map(str::to_owned),
            shape,
        }
    }

    #[test]
    fn an_array_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/a.npy");
        let f32s = Values::F32(vec![1.0, f32::NAN, -0.0, 4.5, f32::INFINITY, 6.0]);
        for (shape, values, is_complex) in [
            (vec![2, 3], f32s.clone(), false),
            (vec![3, 2], f32s, true),
            (vec![6], Values::F64(vec![1.5; 6]), false),
            (vec![3, 1, 2], Values::F64(vec![1.5; 6]), true),
            (vec![], Values::F64(vec![2.5]), false),
            (vec![0, 4], Values::F32(vec![]), false),
        ] {
            let array = Array::new(shape, values, is_complex).unwrap();
            write_array(&path, &array).unwrap();
            // NaN is not equal to itself, but looks the same.
            assert_eq!(
                format!("{:?}", read_array(&path, None).unwrap()),
                format!("{array:?}")
            );
        }
    }

    #[test]
    fn every_element_type_is_read() {
        for (descr, values) in [
            ("<f2", &[0x00, 0x3c, 0x00, 0xc1][..]),
            (
                "<f4",
                &[1.0_f32.to_le_bytes(), (-2.5_f32).to_le_bytes()].concat(),
            ),
            (
                ">f8",
                &[1.0_f64.to_be_bytes(), (-2.5_f64).to_be_bytes()].concat(),
            ),
        ] {
            let (_folder, path) = file("a.npy", &npy_file(descr, "False", "(2,)", values));
            assert_eq!(
                read_array(&path, None).unwrap().to_f64(),
                [1.0, -2.5],
                "{descr}"
            );
        }
        for (descr, values) in [
            ("|u1", &[1, 2][..]),
            ("|i1", &[1, 2]),
            (">i2", &[0, 1, 0, 2]),
            ("<u2", &[1, 0, 2, 0]),
            ("<i4", &[1, 0, 0, 0, 2, 0, 0, 0]),
            ("<u4", &[1, 0, 0, 0, 2, 0, 0, 0]),
            ("<i8", &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
            ("<u8", &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            let (_folder, path) = file("a.npy", &npy_file(descr, "False", "(2,)", values));
            assert_eq!(
                read_array(&path, None).unwrap().to_f64(),
                [1.0, 2.0],
                "{descr}"
            );
        }
        let complex = [1.0_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat();
        let (_folder, path) = file("a.npy", &npy_file("<c8", "False", "(2,)", &complex));
        let array = read_array(&path, None).unwrap();
        assert!(
            array.is_complex && array.shape == [2, 2] && array.to_f64() == [1.0, 2.0, 3.0, 4.0]
        );
    }

    #[test]
    fn column_major_arrays_become_row_major() {
        let (_folder, path) = file(
            "a.npy",
            &npy_file("|u1", "True", "(2, 3)", &[11, 21, 12, 22, 13, 23]),
        );
        assert_eq!(
            read_array(&path, None).unwrap().to_f64(),
            [11.0, 12.0, 13.0, 21.0, 22.0, 23.0]
        );
        let pairs: Vec<u8> = [11, 21, 12, 22]
            .iter()
            .flat_map(|n| [*n as f32, -1.0])
            .flat_map(f32::to_le_bytes)
            .collect();
        let (_folder, path) = file("a.npy", &npy_file("<c8", "True", "(2, 2)", &pairs));
        assert_eq!(
            read_array(&path, None).unwrap().to_f64(),
            [11.0, -1.0, 12.0, -1.0, 21.0, -1.0, 22.0, -1.0]
        );
    }

    #[test]
    fn a_wrong_file_says_what_was_expected() {
        let says = |name: &str, bytes: &[u8], output: Option<&OutputFile>, part: &str| {
            let (_folder, path) = file(name, bytes);
            let error = read_array(&path, output).unwrap_err();
            assert!(error.contains(part) && error.contains(name), "{error}");
        };
        let f32s = |n| described(None, Some("f32"), Some(vec![n]));
        says(
            "a.raw",
            &[0; 12],
            Some(&f32s(4)),
            "12 bytes, but f32 [4] are 16",
        );
        says(
            "a.raw",
            &[0; 12],
            Some(&f32s(usize::MAX)),
            "larger than any memory",
        );
        says(
            "a.raw",
            &[0; 12],
            Some(&described(None, Some("f3"), Some(vec![3]))),
            "no element type",
        );
        says("a.npy", b"hello", None, "no .npy file");
        says("a.npy", b"hello, dear world", None, "`dtype` and `shape`");
        says(
            "a.npy",
            &npy_file("<f8", "False", "(2, 3)", &[0; 40]),
            None,
            "needs 48 bytes, there are 40",
        );
        says(
            "a.npy",
            &npy_file("<U8", "False", "(2, 3)", &[0; 40]),
            None,
            "its elements are <U8",
        );
        says(
            "a.npy",
            &npy_file("<f8", "False", "(99999999999, 99999999999)", &[]),
            None,
            "larger than any memory",
        );
        says(
            "a.npy",
            &npy_file("<f8", "False", "(-2,)", &[]),
            None,
            "header cannot be read",
        );
        says("a.npz", b"hello", None, "");
        let header = npy_file("<f8", "False", "(2, 3)", &[0; 48]);
        (0..header.len()).for_each(|end| says("a.npy", &header[..end], None, ""));
        assert!(
            read_array(Path::new("/nowhere.npy"), None)
                .unwrap_err()
                .contains("/nowhere.npy")
        );
    }

    #[test]
    fn a_raw_file_is_read_in_its_shape() {
        let (_folder, path) = file(
            "a.raw",
            &[1.0_f64, 2.0, f64::NAN].map(f64::to_le_bytes).concat(),
        );
        let array =
            read_array(&path, Some(&described(None, Some("f64"), Some(vec![3, 1])))).unwrap();
        assert_eq!(array.shape, [3, 1]);
        assert!(array.to_f64()[2].is_nan());
    }

    #[test]
    fn an_archive_gives_the_array_that_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let mut archive = ndarray_npy::NpzWriter::new(File::create(&path).unwrap());
        archive
            .add_array("x", &ndarray::arr2(&[[1.0_f32, 2.0]]))
            .unwrap();
        archive
            .add_array("n", &ndarray::arr1(&[true, false]))
            .unwrap();
        archive.finish().unwrap();
        let read = |name: Option<&str>| read_array(&path, Some(&described(name, None, None)));
        assert_eq!(
            read(Some("x")).unwrap(),
            Array::new(vec![1, 2], Values::F32(vec![1.0, 2.0]), false).unwrap()
        );
        assert_eq!(read(Some("n")).unwrap().to_f64(), [1.0, 0.0]);
        assert!(
            read(Some("y"))
                .unwrap_err()
                .contains("no array `y`; it has x, n")
        );
        assert!(read(None).unwrap_err().contains("say which"));
    }
}
