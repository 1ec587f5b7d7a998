//! Which vectors the built-ins' kernels use on a processor: asked of it once, named the same way everywhere.

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum InstructionSet {
    Portable,
    Avx2,
    Avx512,
}

/// Values of the parameter `simd`. `None`: the best that this processor has.
pub(super) const SETS: &[(&str, Option<InstructionSet>)] = &[
    ("auto", None),
    ("portable", Some(InstructionSet::Portable)),
    ("avx2", Some(InstructionSet::Avx2)),
    ("avx512", Some(InstructionSet::Avx512)),
];

impl InstructionSet {
    /// For messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            InstructionSet::Portable => "portable instructions",
            InstructionSet::Avx2 => "AVX2 with FMA and F16C",
            InstructionSet::Avx512 => "AVX-512 (F, DQ, BW, VL)",
        }
    }

    /// Numbers of single precision in a vector.
    pub(super) fn lanes(self) -> usize {
        match self {
            InstructionSet::Avx512 => 16,
            _ => 8,
        }
    }
}

/// What this processor has, the best last.
pub(super) fn available() -> Vec<InstructionSet> {
    let mut all = vec![InstructionSet::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        let has_avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        let has_avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        if has_avx2 {
            all.push(InstructionSet::Avx2);
        }
        if has_avx2 && has_avx512 {
            all.push(InstructionSet::Avx512);
        }
    }
    all
}
