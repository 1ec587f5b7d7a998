//! A configuration as the remapping reads it. What the pipeline around it reads is the pipeline's.
use super::map::Places;
use super::scene::Scene;
use crate::device::{Device, Language};
use crate::plan::Declaration;
use crate::space::Configuration;
use crate::trial::Ending;
use crate::workload::instructions::{InstructionSet, SETS};
use crate::workload::written::{Chosen, names, numbers, unsupported};

/// Where pixels are looked up comes from this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Map {
    /// Column and row of each pixel, made before.
    F32,
    /// The same in 1/32 of a pixel, in four bytes.
    Fixed,
    /// From the pixel's ray, each time.
    Trig,
}

/// Whose map a camera reads: one of its own, or one for all cameras that differ only in yaw, shifted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Maps {
    PerCamera,
    Shared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Interpolation {
    Bilinear,
    Nearest,
    /// Keys' kernel with −0.75, which OpenCV has.
    Bicubic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Precision {
    F32,
    /// Levels, and everything interpolated from them, are halves.
    F16Pixels,
    /// The places looked up are halves from −1 to 1, as upstream stores its sampling grid.
    F16Coordinates,
}

/// What a loop inside the other's sees: a map is read once for each frame, or once for all frames of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    FrameOuter,
    CameraOuter,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fusion {
    PerCamera,
    AllCameras,
}

/// Where a processor's images go: through its caches, or past them to memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stores {
    Cached,
    Streaming,
}

/// How frames lie in a GPU's memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pixels {
    Rgb8,
    /// A word for each pixel, made on the device.
    Rgba8,
    Texture,
}

/// Launches that a device keeps, to be sent as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Graphs {
    /// Launched one by one.
    None,
    PerCamera,
    PerBatch,
}

/// Values that `prepare` accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    /// Frames that go through a device together, at most.
    pub(super) batch: usize,
    pub(super) map: Map,
    pub(super) maps: Maps,
    pub(super) interpolation: Interpolation,
    pub(super) precision: Precision,
    pub(super) order: Order,
    pub(super) fusion: Fusion,
    /// Width and height of the part of an image that a thread, or a GPU's group, takes at a time.
    pub(super) tile: [usize; 2],
    pub(super) pixels: Pixels,
    pub(super) stores: Stores,
    pub(super) graphs: Graphs,
    pub(super) set: InstructionSet,
    pub(super) threads: usize,
}

const MAPS: &[(&str, Map)] = &[
    ("f32", Map::F32),
    ("fixed", Map::Fixed),
    ("trig", Map::Trig),
];
const SHARING: &[(&str, Maps)] = &[("per_camera", Maps::PerCamera), ("shared", Maps::Shared)];
const INTERPOLATIONS: &[(&str, Interpolation)] = &[
    ("bilinear", Interpolation::Bilinear),
    ("nearest", Interpolation::Nearest),
    ("bicubic", Interpolation::Bicubic),
];
const PRECISIONS: &[(&str, Precision)] = &[
    ("f32", Precision::F32),
    ("f16_pixels", Precision::F16Pixels),
    ("f16_coordinates", Precision::F16Coordinates),
];
const ORDERS: &[(&str, Order)] = &[
    ("frame_outer", Order::FrameOuter),
    ("camera_outer", Order::CameraOuter),
];
const FUSIONS: &[(&str, Fusion)] = &[
    ("per_camera", Fusion::PerCamera),
    ("all_cameras", Fusion::AllCameras),
];
const TILES: &[(&str, [usize; 2])] = &[
    ("16x16", [16, 16]),
    ("32x8", [32, 8]),
    ("64x4", [64, 4]),
    ("64x16", [64, 16]),
    ("64x64", [64, 64]),
    ("256x4", [256, 4]),
    ("256x16", [256, 16]),
    ("1024x4", [1024, 4]),
];
const PIXELS: &[(&str, Pixels)] = &[
    ("rgb8", Pixels::Rgb8),
    ("rgba8", Pixels::Rgba8),
    ("texture", Pixels::Texture),
];

const STORES: &[(&str, Stores)] = &[("cached", Stores::Cached), ("streaming", Stores::Streaming)];

const GRAPHS: &[(&str, Graphs)] = &[
    ("none", Graphs::None),
    ("per_camera", Graphs::PerCamera),
    ("per_batch", Graphs::PerBatch),
];

/// Frames of a batch where a plan does not say.
const BATCH: usize = 8;

/// What a plan may say about remapping. The first value of each parameter is the published plan's baseline.
pub(super) fn declaration() -> Declaration {
    Declaration {
        name: "e2p".into(),
        parameters: vec![
            numbers("batch", &[BATCH as i64, 1, 2, 4, 16, 32]),
            names("map", MAPS),
            names("maps", SHARING),
            names("interp", INTERPOLATIONS),
            names("precision", PRECISIONS),
            names("order", ORDERS),
            names("fusion", FUSIONS),
            names("tile", TILES),
            names("pixels", PIXELS),
            names("stores", STORES),
            names("graphs", GRAPHS),
            names("simd", SETS),
            numbers("threads", &[0]),
        ],
        ranges: vec![("batch".into(), 1, 1024), ("threads".into(), 0, 1024)],
        ..Declaration::default()
    }
}

impl Settings {
    /// # Errors
    /// As for `on_host`.
    pub(super) fn on(
        device: &Device,
        configuration: &Configuration,
        scene: &Scene,
    ) -> Result<Settings, Ending> {
        match device {
            Device::Host => Settings::on_host(configuration, scene),
            Device::Gpu(gpu) => Settings::on_gpu(gpu.language(), configuration, scene),
        }
    }

    /// For this machine's processors.
    ///
    /// # Errors
    /// `Unsupported` with the reason for a combination that is not implemented here.
    pub(super) fn on_host(
        configuration: &Configuration,
        scene: &Scene,
    ) -> Result<Settings, Ending> {
        let read = chosen(configuration);
        let (set, threads) = read.processors("threads", 0)?;
        let settings = Settings {
            set,
            threads,
            ..Settings::read(&read)?
        };
        let refusal = settings.refusal_on_host(scene).or(settings.refusal(scene));
        refusal.map_or(Ok(settings), |reason| Err(unsupported(&reason)))
    }

    /// For a GPU.
    ///
    /// # Errors
    /// As for `on_host`.
    pub(super) fn on_gpu(
        language: Language,
        configuration: &Configuration,
        scene: &Scene,
    ) -> Result<Settings, Ending> {
        let read = chosen(configuration);
        if read.name("simd", SETS)?.is_some() || read.number("threads", 0, 0)? != 0 {
            return Err(unsupported("simd and threads are a processor's"));
        }
        let settings = Settings::read(&read)?;
        let refusal = (settings.refusal_on_gpu(scene, language)).or(settings.refusal(scene));
        refusal.map_or(Ok(settings), |reason| Err(unsupported(&reason)))
    }

    fn read(read: &Chosen<'_>) -> Result<Settings, Ending> {
        Ok(Settings {
            batch: read.count("batch", BATCH)?,
            map: read.name("map", MAPS)?,
            maps: read.name("maps", SHARING)?,
            interpolation: read.name("interp", INTERPOLATIONS)?,
            precision: read.name("precision", PRECISIONS)?,
            order: read.name("order", ORDERS)?,
            fusion: read.name("fusion", FUSIONS)?,
            tile: read.name("tile", TILES)?,
            pixels: read.name("pixels", PIXELS)?,
            stores: read.name("stores", STORES)?,
            graphs: read.name("graphs", GRAPHS)?,
            set: InstructionSet::Portable,
            threads: 1,
        })
    }

    fn refusal(&self, scene: &Scene) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        match self {
            s if s.map != Map::F32 && s.precision == Precision::F16Coordinates => {
                no("precision=f16_coordinates stores map=f32 in halves")
            }
            s if s.map == Map::Fixed && s.interpolation != Interpolation::Bilinear => {
                no("map=fixed is for interp=bilinear, whose weights are then whole numbers")
            }
            s if s.map == Map::Fixed && s.precision != Precision::F32 => {
                no("map=fixed computes in whole numbers: precision=f32 means the other maps")
            }
            s if s.interpolation != Interpolation::Bilinear
                && s.precision == Precision::F16Pixels =>
            {
                no("precision=f16_pixels is written for interp=bilinear")
            }
            s if s.map == Map::Trig && !scene.mapping.wraps() => {
                no("map=trig is written for mappings that go on at the seam: standard, py360")
            }
            s if s.map == Map::Trig && s.maps == Maps::Shared => {
                no("no-op: map=trig has no map to share")
            }
            s if s.maps == Maps::Shared && !scene.mapping.wraps() => {
                no("maps=shared shifts a map over the seam, where this mapping is clipped")
            }
            s if s.maps == Maps::Shared && scene.map_of_camera(s.maps).1 == scene.cameras.len() => {
                no("no-op: no two cameras differ by a shift in whole 1/32 of a pixel")
            }
            _ => None,
        }
    }

    fn refusal_on_host(&self, scene: &Scene) -> Option<String> {
        if self.stores == Stores::Streaming {
            if self.set == InstructionSet::Portable {
                return Some("stores=streaming is written for vectors".into());
            }
            if !scene.out[1].is_multiple_of(16) {
                return Some(format!(
                    "stores=streaming wants rows of whole 16 pixels, and out_width is {}",
                    scene.out[1]
                ));
            }
        }
        if self.graphs != Graphs::None {
            return Some("graphs are a GPU's: a processor launches nothing".into());
        }
        match self.pixels {
            Pixels::Rgb8 => None,
            Pixels::Rgba8 => {
                Some("pixels=rgba8 is a GPU's: a processor loads words from anywhere".into())
            }
            Pixels::Texture => Some("pixels=texture is a GPU's".into()),
        }
    }

    fn refusal_on_gpu(&self, scene: &Scene, language: Language) -> Option<String> {
        match (self.graphs, language) {
            (Graphs::None, _) => {}
            (_, Language::Wgsl) => {
                return Some("graphs are CUDA's: wgpu records a batch's launches into one submission, whatever they are".into());
            }
            (Graphs::PerCamera, _) if self.fusion == Fusion::AllCameras => {
                return Some(
                    "no-op: fusion=all_cameras is one launch: graphs=per_batch has it".into(),
                );
            }
            _ => {}
        }
        if self.stores == Stores::Streaming {
            return Some("stores=streaming is a processor's".into());
        }
        if self.pixels == Pixels::Texture {
            return Some("pixels=texture: kernels here are given buffers, no textures".into());
        }
        if self.pixels == Pixels::Rgba8 && self.precision == Precision::F16Pixels {
            return Some("precision=f16_pixels has a layout of its own: pixels=rgb8".into());
        }
        if self.tile[0] / 4 * self.tile[1] > 1024 {
            return Some(format!(
                "{} × {} pixels are more than a group's 1024 threads with four each",
                self.tile[0], self.tile[1]
            ));
        }
        if !scene.out[1].is_multiple_of(4) {
            return Some(format!(
                "a GPU's threads write four pixels each, and out_width is {}",
                scene.out[1]
            ));
        }
        None
    }
}

fn chosen(configuration: &Configuration) -> Chosen<'_> {
    Chosen {
        workload: "e2p",
        configuration,
    }
}

/// Of each camera the map that it reads, and how far it is shifted to the right, in pixels from 0 to below the width.
pub(super) type Sources = Vec<(usize, f64)>;

impl Scene {
    /// Where cameras find their places, and how many maps there are.
    pub(super) fn map_of_camera(&self, maps: Maps) -> (Sources, usize) {
        let shift = |k: usize| self.cameras[k].yaw / 360.0 * self.width as f64;
        let mut owners: Vec<usize> = vec![];
        let mut all = vec![];
        for (k, camera) in self.cameras.iter().enumerate() {
            let is_like = |&owner: &usize| {
                let other = self.cameras[owner];
                let steps = 32.0 * (shift(k) - shift(owner));
                (camera.pitch, camera.roll) == (other.pitch, other.roll)
                    && (steps - steps.round()).abs() < 1e-9
            };
            let known = match maps {
                Maps::Shared => owners.iter().position(is_like),
                Maps::PerCamera => None,
            };
            let map = known.unwrap_or_else(|| {
                owners.push(k);
                owners.len() - 1
            });
            let steps = (32.0 * (shift(k) - shift(owners[map]))).round();
            all.push((map, (steps / 32.0).rem_euclid(self.width as f64)));
        }
        (all, owners.len())
    }

    /// The maps of a configuration, and which of them each camera reads.
    ///
    /// # Errors
    /// A place that the map's form cannot hold.
    pub(super) fn maps(&self, settings: &Settings) -> Result<(Sources, Vec<Places>), Ending> {
        let (cameras, count) = self.map_of_camera(settings.maps);
        let owner = |map: usize| cameras.iter().position(|(m, _)| *m == map).unwrap_or(0);
        let maps = (0..count).map(|map| {
            let camera = self.cameras[owner(map)];
            Places::new(self, camera, settings.map, settings.precision)
        });
        let maps = maps.collect::<Result<_, _>>()?;
        Ok((cameras, maps))
    }
}
