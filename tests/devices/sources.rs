//! CUDA sources through NVRTC, which needs no GPU.
use crate::{check, named, said};
use libtest_mimic::Failed;
use phasetune::device::{Source, nvrtc};
use phasetune::value::Value;

/// Tunables that a source under `kernels/` wants, as a plan would give them; several sets where they choose other code.
fn tunables(file: &str) -> Vec<Vec<(String, Value)>> {
    let numbers = |pairs: &[(&str, i64)]| -> Vec<(String, Value)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), Value::Int(*v)))
            .collect()
    };
    let matmul = [
        ("block_x", 16),
        ("block_y", 8),
        ("thread_x", 4),
        ("thread_y", 2),
        ("tile_k", 16),
        ("unroll", 2),
    ];
    match file {
        "matmul/matmul.cu" => [false, true]
            .map(|staged| [numbers(&matmul), named(&[("staged", Value::Bool(staged))])].concat())
            .to_vec(),
        "matmul/reference.cu" => vec![vec![]],
        "ceilings/ceilings.cu" => {
            vec![numbers(&[
                ("THREADS", 256),
                ("ROUNDS", 64),
                ("VALUES", 1024),
            ])]
        }
        // Every form is compiled where it is tested, in src/workload/beamform3d/gpu_tests.rs.
        "beamform3d/beamform3d.cu" => ["float", "__half", "__nv_bfloat16"]
            .map(beamform3d)
            .to_vec(),
        "pstm/pstm.cu" => [32, 16, 17].map(pstm).to_vec(),
        "reduce/reduce.cu" => (0..4).map(reduce).collect(),
        "e2p/e2p.cu" => (0..3).map(e2p).collect(),
        "transport/transport.cu" => [(32, 0, 0), (16, 1, 1), (17, 2, 1)]
            .map(|(storage, layout, extents)| {
                let sizes = [
                    ("ENERGIES", 200),
                    ("ANGLES", 72),
                    ("NZ", 40),
                    ("NX", 40),
                    ("TAPS", 123),
                    ("RIM_Z", 1),
                    ("RIM_X", 1),
                    ("GROUP_X", 32),
                    ("GROUP_Z", 4),
                    ("BAND", 8),
                    ("STORAGE", storage),
                    ("LAYOUT", layout),
                    ("HAS_EXTENTS", extents),
                    ("TRIMS_ROWS", extents),
                    ("TRIMS_ANGLES", extents),
                ];
                let cutoff = named(&[("CUTOFF", Value::Text("1e-12f".into()))]);
                [numbers(&sizes), cutoff].concat()
            })
            .to_vec(),
        other => panic!("kernels/{other}: write here with which tunables it is compiled"),
    }
}

/// The three forms of maps and of pixels: every choice is compiled where it is tested, in src/workload/e2p/tests.rs.
fn e2p(form: i64) -> Vec<(String, Value)> {
    let whole = [
        ("WIDTH", 1920),
        ("HEIGHT", 960),
        ("OUT_WIDTH", 480),
        ("OUT_HEIGHT", 270),
        ("STRIDE", 480),
        ("CAMERAS", 8),
        ("TILE_X", 16),
        ("TILE_Y", 16),
        ("ROW_BITS", 14),
        ("MAP", form),
        ("PIXELS", [2, 0, 1][form as usize]),
        ("INTERPOLATION", [1, 1, 3][form as usize]),
    ]
    .map(|(name, n)| (name, Value::Int(n)));
    let text = ["STEPS", "FIRST_X", "STEP_X", "FIRST_Y", "STEP_Y"]
        .map(|name| (name, Value::Text("8.192e3".into())));
    let truths = ["WRAPS", "IS_CAMERA_OUTER"].map(|name| (name, Value::Bool(form != 1)));
    named(&[&whole[..], &text[..], &truths[..]].concat())
}

fn beamform3d(number: &str) -> Vec<(String, Value)> {
    let is = |name: &str| i64::from(number == name);
    let storage = 32 - 16 * is("__half") - 15 * is("__nv_bfloat16");
    let whole = [
        ("NX", 64),
        ("NY", 64),
        ("NZ", 128),
        ("PADDED", 1024),
        ("ELEMENTS", 1024),
        ("SAMPLES", 560),
        ("STORAGE", storage),
        ("HAS_F16", is("__half")),
        ("HAS_BF16", is("__nv_bfloat16")),
        ("IS_FACTORED", is("float")),
        ("IS_RECURRENCE", 0),
        ("IS_BUILTIN", is("__half")),
        ("IS_ELEMENT_SAMPLE", 1),
        ("IS_NEAREST_FIRST", 0),
        ("INTERPOLATION", 1),
        ("HAS_APERTURE", is("__half")),
        ("ELEMENT_MEMORY", 1),
        ("IS_STORED", is("__half")),
        ("TAKES_OUT", is("__nv_bfloat16")),
        ("POINTS", 128),
        ("SPLIT", 2),
        ("DEPTHS", 2),
        ("GROUP_X", 2),
        ("GROUP_Y", 4),
        ("GROUP_Z", 16),
        ("UNROLL", 4),
        ("BATCH", 2),
    ]
    .map(|(name, n)| (name, Value::Int(n)));
    let text = [
        ("CYCLES", "2.5e-1"),
        ("START", "0e0"),
        ("LATE", "6e4"),
        ("SCALE", "2.5e-1"),
        ("PLANE", "0e0"),
        ("COMMON_DELAY", "0e0"),
        ("TURN", "6.28e0"),
        ("COSINE", "fmaf(-1e0f, q, 1e0f)"),
        ("SINE", "1e0f"),
        ("TWICE_F_NUMBER", "2e0"),
        ("DELAY_TYPE", number),
        ("NUMBER_TYPE", number),
        ("SUM_TYPE", number),
    ]
    .map(|(name, t)| (name, Value::Text(t.into())));
    named(&[&whole[..], &text[..]].concat())
}

/// The three storages, with other choices each: every choice is compiled where it is tested, in src/workload/pstm/gpu_tests.rs.
fn pstm(storage: i64) -> Vec<(String, Value)> {
    let is = |s: i64| i64::from(storage == s);
    let whole = [
        ("STORAGE", storage),
        ("TIMES", 201),
        ("STEP", 1 + is(17)),
        ("LAST_TIME", 200),
        ("STRIDE", 416),
        ("BEFORE", 16),
        ("LOOKUP", 2 * is(16)),
        ("CUBE_X", 7),
        ("CUBE_Y", 7),
        ("CUBE_T", 26),
        ("STEP_X", 4),
        ("STEP_Y", 4),
        ("STEP_T", 8),
        ("INTERPOLATION", 1 + 7 * is(17)),
        ("SINC_STEPS", 2048),
        ("APERTURE", 2 * is(16)),
        ("QUARTER_FROM", 50),
        ("HALF_FROM", 100),
        ("MUTE", is(16)),
        ("HAS_SPREADING", is(16)),
        ("HAS_OBLIQUITY", is(17)),
        ("ANTI_ALIAS", is(16) + 2 * is(17)),
        ("LONGEST", 10),
        ("IS_LOCAL", is(32)),
        ("TRACE_BATCH", 4),
        ("TG_X", 4),
        ("TG_Y", 4),
        ("TG_T", 64),
    ]
    .map(|(name, n)| (name, Value::Int(n)));
    let real = [
        "BEGIN",
        "END",
        "DX",
        "DY",
        "HALF_TIME",
        "PER_SAMPLE",
        "DT",
        "AMAX",
        "AMIN",
        "DIP_TANGENT",
        "FLAT_SHARE",
        "SLOW_MUTE",
        "PER_RAMP",
        "STRETCH",
        "GRID_DOMINANT",
        "LEAST_SHARE",
        "COARSE",
    ]
    .map(|name| (name, Value::Text("1.5e0f".into())));
    named(&[&whole[..], &real[..]].concat())
}

/// An order of reduction, each with another storage, phase and image.
fn reduce(order: i64) -> Vec<(String, Value)> {
    let odd = order % 2;
    let whole = [
        ("TRANSMITS", 99),
        ("RECEIVERS", 96),
        ("SAMPLES", 856),
        ("CHUNK", 65536),
        ("STORAGE", [32, 16, 17, 32][order as usize]),
        ("REDUCE", order),
        ("ROUNDS", 96),
        ("UNROLL", [1, 20, 99, 33][order as usize]),
        ("IS_ROLLED", odd),
        ("PARTS", 99),
        ("IS_FACTORED", odd),
        ("IS_ACTIVE", odd),
        ("IS_BUILTIN", 1 - odd),
        ("HAS_TRANSMIT_TABLE", odd),
        ("HAS_RECEIVE_TABLE", 1 - odd),
        ("INTERPOLATION", [1, 3, 0, 1][order as usize]),
        ("WAVEFRONT", order),
        ("WINDOW", order),
        ("HAS_APERTURE", odd),
        ("IS_COMPENSATED", 1 - odd),
        ("POINTS", 64),
        ("SPLIT", if order == 3 { 4 } else { 1 }),
        ("LOAD_ROW", 1 << 18),
    ]
    .map(|(name, n)| (name, Value::Int(n)));
    let text = [
        ("CYCLES", "5e-1"),
        ("START", "0e0"),
        ("LEFT_END", "-4.75e1"),
        ("RIGHT_END", "4.75e1"),
        ("MIN_APERTURE", "6.5e0"),
        ("MARGIN", "6.5e0"),
        ("TWICE_F_NUMBER", "2e0"),
    ]
    .map(|(name, t)| (name, Value::Text(t.into())));
    named(&[&whole[..], &text[..]].concat())
}

fn cuda_source<'a>(name: &'a str, text: &'a str, constants: &'a [(String, Value)]) -> Source<'a> {
    Source {
        name,
        text,
        entry: "matmul",
        constants,
        block: None,
        shared_memory: 0,
        options: &[],
    }
}

pub(crate) fn cuda_sources() -> Result<(), Failed> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut count = 0;
    for folder in std::fs::read_dir(&root)? {
        for file in std::fs::read_dir(folder?.path())? {
            let path = file?.path();
            if path.extension().is_none_or(|e| e != "cu") {
                continue;
            }
            let name = path.strip_prefix(&root)?.to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path)?;
            for constants in tunables(&name) {
                for architecture in ["sm_80", "sm_90"] {
                    let source = cuda_source(&name, &text, &constants);
                    let code = nvrtc::compile(&source, architecture).map_err(said)?;
                    check(code.starts_with(b"\x7fELF"), format!("{name} is no CUBIN"))?;
                    count += 1;
                }
            }
        }
    }
    check(count >= 6, format!("{count} sources were compiled"))
}

pub(crate) fn cuda_error() -> Result<(), Failed> {
    let source = cuda_source(
        "k.cu",
        "extern \"C\" __global__ void matmul() {\n    unknown_name;\n}",
        &[],
    );
    let error = said(nvrtc::compile(&source, "sm_90").unwrap_err());
    check(
        error.contains("k.cu(2)") && error.contains("unknown_name"),
        error,
    )
}

pub(crate) fn cuda_headers() -> Result<(), Failed> {
    let text = "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\nextern \"C\" __global__ void matmul(__half *x, __nv_bfloat16 *y)
        { x[0] = __hmul(x[0], x[1]); y[0] = __float2bfloat16(__half2float(x[0])); }";
    nvrtc::compile(&cuda_source("h.cu", text, &[]), "sm_90").map_err(said)?;
    Ok(())
}
