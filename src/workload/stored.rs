//! How a number is stored where memory is scarce; arithmetic is f32. Workloads add what their vectors load and store.
use half::{bf16, f16};

pub(super) trait Stored: Copy + Default + Send + Sync + std::fmt::Debug + 'static {
    const NAN: Self;
    /// Whether it is the type that arithmetic is done in.
    const IS_SINGLE: bool = false;

    /// To the nearest, halves to the even one.
    fn from_f32(value: f32) -> Self;
    fn to_f32(self) -> f32;
}

impl Stored for f32 {
    const NAN: f32 = f32::NAN;
    const IS_SINGLE: bool = true;

    #[inline(always)]
    fn from_f32(value: f32) -> f32 {
        value
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

macro_rules! half {
    ($type:ty) => {
        impl Stored for $type {
            const NAN: $type = <$type>::NAN;

            #[inline(always)]
            fn from_f32(value: f32) -> $type {
                <$type>::from_f32(value)
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                <$type>::to_f32(self)
            }
        }
    };
}

half!(f16);
half!(bf16);
