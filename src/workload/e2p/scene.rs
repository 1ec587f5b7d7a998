//! The problem: frames on disk, cameras, and how a camera looks at a frame (WORKLOADS §5a, §5b).
use super::frames;
use crate::value::Value;
use crate::workload::Problem;
use crate::workload::written::Written;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Keys that `problem:` may have beside preset and seed.
pub(super) const KEYS: &[&str] = &[
    "frames",
    "width", // of a frame, which is half as high
    "cameras",
    "out_width",
    "out_height",
    "h_fov",
    "v_fov",
    "yaw",
    "pitch",
    "roll",
    "mapping",
    "kind",
    "format",
    "images", // a folder of the user's frames
    "io_ms",  // how long a read lasts at least: a disk that is simulated
    "on_bad_frame",
];

pub(super) const PRESETS: &[&str] = &["tiny", "laptop", "paper", "paper-square"];

/// Where a problem names none.
const DEFAULT_PRESET: &str = "laptop";

/// Larger frames have columns that 13 bits do not hold, in which fixed-point maps keep them.
pub(super) const WIDEST: usize = 8192;

/// Pixels of a frame's judged images, about: beside the definition in double precision they take 24 bytes each.
const JUDGED_PIXELS: usize = 4 << 20;

/// What a preset fixes.
struct Size {
    frames: usize,
    width: usize,
    cameras: usize,
    out: [usize; 2],
    h_fov: f64,
}

/// WORKLOADS §5e; its peers were measured at 90°.
fn size(preset: &str) -> Option<Size> {
    let size = |frames, width, cameras, out, h_fov| {
        Some(Size {
            frames,
            width,
            cameras,
            out,
            h_fov,
        })
    };
    match preset {
        "tiny" => size(4, 384, 4, [54, 96], 90.0),
        "laptop" => size(16, 1920, 8, [270, 480], 90.0),
        "paper" => size(240, 7680, 8, [1080, 1920], 110.0),
        "paper-square" => size(240, 7680, 8, [1920, 1920], 110.0),
        _ => None,
    }
}

/// Each preset as keys of the problem; the first is meant where a plan names none.
pub(super) fn sizes() -> Vec<(String, Vec<(String, Value)>)> {
    let mut names = PRESETS.to_vec();
    names.sort_by_key(|name| *name != DEFAULT_PRESET);
    let keys = |name: &str| {
        let size = size(name)?;
        let whole = |key: &str, n: usize| (key.to_owned(), Value::Int(n as i64));
        let keys = vec![
            whole("frames", size.frames),
            whole("width", size.width),
            whole("cameras", size.cameras),
            whole("out_width", size.out[1]),
            whole("out_height", size.out[0]),
            ("h_fov".to_owned(), Value::Float(size.h_fov)),
        ];
        Some((name.to_owned(), keys))
    };
    names.into_iter().filter_map(keys).collect()
}

/// How a ray of a pixel becomes a place in a frame (WORKLOADS §5a): the definition, or as other programs have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mapping {
    Standard,
    /// Without the half pixels, and clipped at the seam, where it shows.
    PlanCpu,
    /// Rays from edge to edge; `grid_sample` with aligned corners and its padding at the border.
    PlanTorch,
    /// Rays from edge to edge.
    Py360,
}

const MAPPINGS: &[(&str, Mapping)] = &[
    ("standard", Mapping::Standard),
    ("plan_cpu", Mapping::PlanCpu),
    ("plan_torch", Mapping::PlanTorch),
    ("py360", Mapping::Py360),
];

impl Mapping {
    /// Whether columns go on at the other side of the seam.
    pub(super) fn wraps(self) -> bool {
        matches!(self, Mapping::Standard | Mapping::Py360)
    }
}

/// What a frame shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Colours that tell directions, turned by 2π/240 a frame.
    Direction,
    Checker,
    /// The user's.
    Given,
}

const KINDS: &[(&str, &[Kind])] = &[
    ("both", &[Kind::Direction, Kind::Checker]),
    ("dir", &[Kind::Direction]),
    ("checker", &[Kind::Checker]),
];

/// What becomes of a frame whose file is missing, torn, or of another size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OnBadFrame {
    /// It is left out, and named in the records.
    Skip,
    /// The invocation fails with its name.
    Abort,
}

const ON_BAD_FRAME: &[(&str, OnBadFrame)] =
    &[("skip", OnBadFrame::Skip), ("abort", OnBadFrame::Abort)];

/// Degrees; pitch is up, yaw to the right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Camera {
    pub(super) yaw: f64,
    pub(super) pitch: f64,
    pub(super) roll: f64,
}

/// The problem, with its frames on disk.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) cameras: Vec<Camera>,
    /// Height and width of an image.
    pub(super) out: [usize; 2],
    /// Half the fields of view across and down: their tangents.
    pub(super) tangents: [f64; 2],
    pub(super) mapping: Mapping,
    /// One of each frame, in order.
    pub(super) kinds: Vec<Kind>,
    pub(super) files: Vec<PathBuf>,
    /// A read lasts at least so long.
    pub(super) io_time: Duration,
    pub(super) on_bad_frame: OnBadFrame,
}

/// The one of these names, the first where the plan is silent.
fn named<T: Copy>(written: &Written<'_>, key: &str, names: &[(&str, T)]) -> Result<T, String> {
    let all = || names.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ");
    match written.text(key)? {
        None => Ok(names[0].1),
        Some(text) => (names.iter())
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("problem.{key} is one of {}, not `{text}`", all())),
    }
}

impl Scene {
    /// Writes the frames into a folder of their own below `scratch`, unless they are there already.
    ///
    /// # Errors
    /// What is wrong with the problem, or with its files.
    pub(super) fn new(problem: &Problem, scratch: &Path) -> Result<Scene, String> {
        let written = Written {
            workload: "e2p",
            problem,
        };
        written.check_names(KEYS)?;
        let preset = written.text("preset")?.unwrap_or(DEFAULT_PRESET);
        let size = size(preset)
            .ok_or_else(|| format!("e2p has the presets {}, not `{preset}`", PRESETS.join(", ")))?;
        let given = match written.text("images")? {
            Some(folder) => Some(frames::list(Path::new(folder))?),
            None => None,
        };
        if given.is_some()
            && let Some(key) = (["frames", "width", "kind", "format"].into_iter())
                .find(|key| written.get(key).is_some())
        {
            return Err(format!(
                "problem.{key} is that of problem.images: leave it out"
            ));
        }
        let width = match &given {
            Some(given) => given.width,
            None => written.count("width", size.width, WIDEST)?,
        };
        if width % 8 != 0 || width > WIDEST {
            return Err(format!(
                "a frame's width is a multiple of 8 up to {WIDEST}, not {width}"
            ));
        }
        let [out_height, out_width] = size.out;
        let out = [
            written.count("out_height", out_height, WIDEST)?,
            written.count("out_width", out_width, WIDEST)?,
        ];
        let h_fov = written
            .within("h_fov", size.h_fov, (1.0, 179.0))?
            .to_radians();
        let shape = out[0] as f64 / out[1] as f64;
        let v_tangent = match named(&written, "v_fov", &[("linear", false), ("exact", true)])? {
            // Linear in the angle, as upstream has it, or of square pixels.
            false if h_fov * shape < 179_f64.to_radians() => (h_fov * shape / 2.0).tan(),
            false => {
                return Err(format!(
                    "h_fov × out_height / out_width is {:.1}°, and a camera sees less than 180°: v_fov: exact has no such limit",
                    (h_fov * shape).to_degrees()
                ));
            }
            true => (h_fov / 2.0).tan() * shape,
        };
        let count = written.count("cameras", size.cameras, 64)?;
        let yaw = written.within("yaw", 0.0, (-360.0, 360.0))?;
        let pitch = written.within("pitch", 0.0, (-90.0, 90.0))?;
        let roll = written.within("roll", 0.0, (-360.0, 360.0))?;
        let camera = |k: usize| Camera {
            yaw: yaw + 360.0 * k as f64 / count as f64,
            pitch,
            roll,
        };
        let kinds = named(&written, "kind", KINDS)?;
        let mut scene = Scene {
            width,
            height: width / 2,
            cameras: (0..count).map(camera).collect(),
            out,
            tangents: [(h_fov / 2.0).tan(), v_tangent],
            mapping: named(&written, "mapping", MAPPINGS)?,
            kinds: vec![],
            files: vec![],
            io_time: Duration::from_secs_f64(written.within("io_ms", 0.0, (0.0, 1e4))? / 1e3),
            on_bad_frame: named(&written, "on_bad_frame", ON_BAD_FRAME)?,
        };
        match given {
            Some(given) => {
                scene.kinds = vec![Kind::Given; given.files.len()];
                scene.files = given.files;
            }
            None => {
                let frames = written.count("frames", size.frames, 100_000)?;
                scene.kinds = (0..frames).map(|k| kinds[k % kinds.len()]).collect();
                let format = named(&written, "format", frames::FORMATS)?;
                scene.files = frames::write(&scene, format, scratch)?;
            }
        }
        Ok(scene)
    }

    pub(super) fn frame_bytes(&self) -> usize {
        3 * self.width * self.height
    }

    pub(super) fn image_bytes(&self) -> usize {
        3 * self.out[0] * self.out[1]
    }

    /// Of every camera's image of a frame.
    pub(super) fn images_bytes(&self) -> usize {
        self.cameras.len() * self.image_bytes()
    }

    /// Frames and cameras whose images are compared with the definition: the first frame of each kind (of given ones, the
    /// first two), and as many cameras as fit, spread over all.
    pub(super) fn judged(&self) -> (Vec<usize>, Vec<usize>) {
        let is_first = |&k: &usize| match self.kinds[k] {
            Kind::Given => k < 2,
            kind => !self.kinds[..k].contains(&kind),
        };
        let frames = (0..self.kinds.len()).filter(is_first).collect();
        let count = (JUDGED_PIXELS / (self.out[0] * self.out[1])).clamp(1, self.cameras.len());
        let cameras = (0..count).map(|k| k * self.cameras.len() / count).collect();
        (frames, cameras)
    }

    /// Of what is compared: `[frame][camera][3][height][width]`.
    pub(super) fn output_shape(&self) -> Vec<usize> {
        let (frames, cameras) = self.judged();
        let [height, width] = self.out;
        vec![frames.len(), cameras.len(), 3, height, width]
    }

    /// The judged cameras' images out of those of every camera of the judged frames, each channel a plane.
    pub(super) fn planes(&self, images: &[u8]) -> Vec<f32> {
        let (_, cameras) = self.judged();
        let size = self.out[0] * self.out[1];
        let mut planes = vec![];
        for of_frame in images.chunks_exact(self.images_bytes()) {
            for camera in &cameras {
                let image = &of_frame[camera * 3 * size..][..3 * size];
                for channel in 0..3 {
                    planes.extend(image.iter().skip(channel).step_by(3).map(|v| f32::from(*v)));
                }
            }
        }
        planes
    }
}
