//! RMS velocity over the grid: one pillar, or a cube on a coarser grid. Values are f32, as the definition has them.
use super::npy;
use crate::workload::written::Written;
use std::f64::consts::PI;

/// Nodes of the image between nodes of a generated cube, along x, y and t.
const COARSE: [usize; 3] = [4, 4, 8];

/// How the velocity of a node is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lookup {
    /// That of the grid's middle, everywhere.
    CentrePillar,
    Nearest,
    Trilinear,
}

#[derive(Clone, Debug)]
pub(super) struct Velocity {
    law: Law,
    /// Image nodes between the cube's, along x, y, t.
    pub(super) step: [usize; 3],
    pub(super) shape: [usize; 3],
    /// `[x][y][t]`, m/s.
    pub(super) cube: Vec<f32>,
    /// At the middle of the grid, for each time of the image.
    pub(super) pillar: Vec<f32>,
}

/// v(x, y, t) = (v0 + gradient·t)·(1 + lateral·smooth(x, y)).
#[derive(Clone, Copy, Debug)]
struct Law {
    v0: f64,
    gradient: f64,
    lateral: f64,
    shape: [usize; 3],
}

impl Law {
    fn at(&self, [x, y]: [f64; 2], time: f64) -> f64 {
        let share = |n: f64, count: usize| n / (count.max(2) - 1) as f64;
        let smooth =
            (2.0 * PI * share(x, self.shape[0])).sin() * (2.0 * PI * share(y, self.shape[1])).cos();
        (self.v0 + self.gradient * time) * (1.0 + self.lateral * smooth)
    }
}

impl Velocity {
    /// # Errors
    /// What is wrong with the keys or the file.
    pub(super) fn new(
        written: &Written<'_>,
        shape: [usize; 3],
        dt: f64,
    ) -> Result<Velocity, String> {
        let law = Law {
            v0: written.within("v0", 2000.0, (1.0, 1e5))?,
            gradient: written.within("gradient", 0.0, (-1e5, 1e5))?,
            lateral: written.within("lateral", 0.0, (-0.5, 0.5))?,
            shape,
        };
        if let Some(file) = written.text("velocity")? {
            return Velocity::read(file, law, shape);
        }
        let coarse: [usize; 3] =
            std::array::from_fn(|axis| (shape[axis] - 1).div_ceil(COARSE[axis]) + 1);
        let mut cube = Vec::with_capacity(coarse.iter().product());
        for x in 0..coarse[0] {
            for y in 0..coarse[1] {
                for t in 0..coarse[2] {
                    let node = [(x * COARSE[0]) as f64, (y * COARSE[1]) as f64];
                    cube.push(law.at(node, (t * COARSE[2]) as f64 * dt) as f32);
                }
            }
        }
        let middle = [(shape[0] - 1) as f64 / 2.0, (shape[1] - 1) as f64 / 2.0];
        let pillar = (0..shape[2])
            .map(|t| law.at(middle, t as f64 * dt) as f32)
            .collect();
        Velocity {
            law,
            step: COARSE,
            shape: coarse,
            cube,
            pillar,
        }
        .checked()
    }

    /// `[nt]`, or `[nx, ny, nt]` of the image's grid.
    fn read(file: &str, law: Law, shape: [usize; 3]) -> Result<Velocity, String> {
        let (found, values) = npy(file)?;
        let values: Vec<f32> = values.into_iter().map(|v| v as f32).collect();
        let [nx, ny, nt] = shape;
        match found[..] {
            [n] if n == nt => Velocity {
                law,
                // One pillar is a cube of constants across.
                step: [nx.max(2) - 1, ny.max(2) - 1, 1],
                shape: [2, 2, nt],
                cube: [&values[..]; 4].concat(),
                pillar: values,
            },
            [a, b, c] if [a, b, c] == shape => {
                let from = ((nx - 1) / 2 * ny + (ny - 1) / 2) * nt;
                Velocity {
                    law,
                    step: [1, 1, 1],
                    shape,
                    pillar: values[from..from + nt].to_vec(),
                    cube: values,
                }
            }
            _ => {
                return Err(format!(
                    "{file}: wanted [{nt}] or {shape:?}, found {found:?}"
                ));
            }
        }
        .checked()
    }

    fn checked(self) -> Result<Velocity, String> {
        match self
            .cube
            .iter()
            .chain(&self.pillar)
            .find(|v| !(1.0..=1e5).contains(*v))
        {
            Some(wrong) => Err(format!(
                "a velocity of {wrong} m/s; they are from 1 to 100000"
            )),
            None => Ok(self),
        }
    }

    pub(super) fn is_constant(&self) -> bool {
        self.cube
            .iter()
            .chain(&self.pillar)
            .all(|v| *v == self.pillar[0])
    }

    pub(super) fn slowest(&self) -> f64 {
        let all = self.cube.iter().chain(&self.pillar);
        f64::from(all.fold(f32::INFINITY, |m, v| m.min(*v)))
    }

    pub(super) fn fastest(&self) -> f64 {
        f64::from(
            self.cube
                .iter()
                .chain(&self.pillar)
                .fold(0.0_f32, |m, v| m.max(*v)),
        )
    }

    /// What the generator's echoes travel with.
    pub(super) fn law(&self, [x, y]: [usize; 2], time: f64) -> f64 {
        self.law.at([x as f64, y as f64], time)
    }

    /// Of every time of a pillar of the image.
    pub(super) fn row(&self, lookup: Lookup, x: usize, y: usize, row: &mut Vec<f32>) {
        row.clear();
        let times = 0..self.pillar.len();
        match lookup {
            Lookup::CentrePillar => row.extend_from_slice(&self.pillar),
            Lookup::Nearest => row.extend(times.map(|t| {
                let near = |n: usize, axis: usize| {
                    ((n + self.step[axis] / 2) / self.step[axis]).min(self.shape[axis] - 1)
                };
                self.node(near(x, 0), near(y, 1), near(t, 2))
            })),
            Lookup::Trilinear => row.extend(times.map(|t| self.between([x, y, t]))),
        }
    }

    fn node(&self, x: usize, y: usize, t: usize) -> f32 {
        self.cube[(x * self.shape[1] + y) * self.shape[2] + t]
    }

    /// From a to b as a + f·(b − a): a constant stays what it is.
    fn between(&self, at: [usize; 3]) -> f32 {
        let low: [usize; 3] =
            std::array::from_fn(|axis| (at[axis] / self.step[axis]).min(self.shape[axis] - 1));
        let high: [usize; 3] =
            std::array::from_fn(|axis| (low[axis] + 1).min(self.shape[axis] - 1));
        let share: [f32; 3] = std::array::from_fn(|axis| {
            (at[axis] - low[axis] * self.step[axis]) as f32 / self.step[axis] as f32
        });
        let mix = |a: f32, b: f32, f: f32| a + f * (b - a);
        let along_t = |x, y| mix(self.node(x, y, low[2]), self.node(x, y, high[2]), share[2]);
        let along_y = |x| mix(along_t(x, low[1]), along_t(x, high[1]), share[1]);
        mix(along_y(low[0]), along_y(high[0]), share[0])
    }
}
