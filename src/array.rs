//! An n-dimensional array as workloads produce it: element type, shape, values in row-major order.

/// Row-major values with their shape. Complex data has a last axis of length 2.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Values,
    /// The last axis holds real and imaginary part, so norms are complex norms.
    pub is_complex: bool,
}

/// The element type and the values.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Array {
    /// # Errors
    /// When the values do not fill the shape, or complex data has no last axis of length 2.
    pub fn new(shape: Vec<usize>, values: Values, is_complex: bool) -> Result<Array, String> {
        let room = shape
            .iter()
            .try_fold(1_usize, |n, &length| n.checked_mul(length));
        if room != Some(values.len()) {
            return Err(format!(
                "{} values do not fill the shape {shape:?}",
                values.len()
            ));
        }
        if is_complex && shape.last() != Some(&2) {
            return Err(format!(
                "complex data needs a last axis of length 2, not the shape {shape:?}"
            ));
        }
        Ok(Array {
            shape,
            values,
            is_complex,
        })
    }

    /// All values in double precision.
    pub fn to_f64(&self) -> Vec<f64> {
        self.values.to_f64()
    }
}

impl Values {
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Values::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Values::F64(v) => v.clone(),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Values::F32(v) => v.len(),
            Values::F64(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_must_fill_their_shape() {
        let make = |shape: &[usize], n, is_complex| {
            Array::new(shape.to_vec(), Values::F32(vec![0.5; n]), is_complex)
        };
        assert_eq!(make(&[2, 3], 6, false).unwrap().to_f64(), [0.5; 6]);
        assert!(make(&[], 1, false).is_ok());
        assert!(make(&[4, 2], 8, true).is_ok());
        assert!(make(&[2, 3], 5, false).unwrap_err().contains("[2, 3]"));
        assert!(make(&[2, 3], 6, true).is_err());
        assert!(make(&[usize::MAX, 2], 0, false).is_err());
    }
}
