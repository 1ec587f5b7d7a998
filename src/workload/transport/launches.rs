//! The launches of a GPU's march, all steps of it, with the energies that each of them has.
use super::beam::Grid;
use super::form::{Direction, Form, Fusion, Sparse};
use super::gpu::{Kernels, Memory};
use super::settings::Settings;
use super::tables::Tables;
use super::{BEAM, ENERGY, FUSED, SCATTERING, STREAMING};
use crate::device::{Action, Buffer, Kernel, Passed, Step};
use crate::trial::Ending;
use std::ops::Range;

/// What a launch is told; see `Window` in the kernels.
#[derive(Clone, Debug)]
struct Window {
    /// Energies of which the launch has threads, and of which it reads.
    launched: Range<usize>,
    read: Range<usize>,
    leaks: bool,
    /// Of the extents, which holds.
    half: usize,
    /// Clears or trims for what comes after the loss of energy, or after a second scattering.
    after: bool,
}

impl Window {
    fn bytes(&self) -> Vec<u8> {
        let words = [
            self.launched.start,
            self.launched.len(),
            self.read.start,
            self.read.end,
            usize::from(self.leaks),
            self.half,
            usize::from(self.after),
            0,
        ];
        let word = |n: &usize| (*n as u32).to_le_bytes();
        words.iter().flat_map(word).collect()
    }
}

/// An invocation as it is put together.
pub(super) struct Launches<'a> {
    memory: &'a Memory,
    grid: Grid,
    groups: [usize; 2],
    /// By their bytes: most launches share theirs.
    windows: Vec<(Vec<u8>, Buffer)>,
    pub(super) steps: Vec<Step>,
    /// Cells of the energies of all steps.
    pub(super) visited: usize,
    /// What holds the phase space, and the other array; which half of the extents holds.
    pub(super) current: Buffer,
    other: Buffer,
    pub(super) half: usize,
    /// Energies that may have weight.
    pub(super) held: Range<usize>,
}

impl<'a> Launches<'a> {
    pub(super) fn of(
        memory: &'a Memory,
        kernels: &Kernels,
        tables: &Tables,
        settings: &Settings,
        steps: usize,
    ) -> Result<Launches<'a>, Ending> {
        let [current, other] = memory.arrays.clone();
        let energies = 0..tables.grid.energies;
        let entered = tables.entries.iter().map(|e| e.energy);
        let is_dense = settings.form.sparse == Sparse::None;
        let mut launches = Launches {
            memory,
            grid: tables.grid,
            groups: [settings.grouping.x, settings.grouping.z],
            windows: vec![],
            steps: vec![],
            visited: 0,
            current,
            other,
            half: 0,
            held: match is_dense {
                true => energies.clone(),
                false => entered.clone().min().unwrap_or(0)..entered.max().map_or(0, |e| e + 1),
            },
        };
        let begin = launches.window(energies.clone(), launches.held.clone());
        let to = launches.current.clone();
        launches.launch(BEAM, &kernels.begin, &begin, [&memory.start, &to], 1)?;
        for _ in 0..steps {
            if launches.held.is_empty() {
                break;
            }
            let ends = match is_dense {
                true => energies.clone(),
                false => tables.ends(&launches.held),
            };
            launches.step(kernels, &settings.form, ends, tables.is_strang)?;
        }
        Ok(launches)
    }

    /// A step that takes the weight of the held energies to `ends`.
    fn step(
        &mut self,
        kernels: &Kernels,
        form: &Form,
        ends: Range<usize>,
        is_strang: bool,
    ) -> Result<(), Ending> {
        self.visited += self.held.len() * self.grid.angles * self.grid.places();
        let own = self.window(self.held.clone(), self.held.clone());
        let leaking = Window {
            leaks: true,
            ..own.clone()
        };
        let around = match ends.is_empty() {
            true => self.held.clone(),
            false => ends.start.min(self.held.start)..ends.end.max(self.held.end),
        };
        let arriving = self.window(around, self.held.clone());
        let clears = |direction| {
            kernels
                .clear
                .as_ref()
                .filter(|_| direction == Direction::Scatter)
        };
        let is_fused = matches!(form.fusion, Fusion::StreamEnergy | Fusion::All);
        if let Some(kernel) = &kernels.theta_stream {
            self.pass(FUSED, kernel, &leaking, 1)?;
        } else if let Some(kernel) = kernels
            .scatter
            .as_ref()
            .filter(|_| form.fusion != Fusion::All)
        {
            self.pass(SCATTERING, kernel, &leaking, 1)?;
        }
        if let Some(kernel) = &kernels.stream {
            if let Some(clear) = clears(form.streaming) {
                self.stay(STREAMING, clear, &own, 1)?;
            }
            self.pass(STREAMING, kernel, &own, 1)?;
        }
        let stage = if is_fused { FUSED } else { ENERGY };
        if let Some(clear) = clears(form.energy).filter(|_| !is_fused) {
            let after = true;
            self.stay(
                stage,
                clear,
                &Window {
                    after,
                    ..arriving.clone()
                },
                1,
            )?;
        }
        let band = if form.fusion == Fusion::All {
            form.energy_block
        } else {
            1
        };
        self.pass(stage, &kernels.energy, &arriving, band)?;
        self.trim(stage, kernels, &arriving)?;
        self.held = ends;
        if let (true, Some(scatter)) = (is_strang && !self.held.is_empty(), &kernels.scatter) {
            let again = self.window(self.held.clone(), self.held.clone());
            self.pass(SCATTERING, scatter, &again, 1)?;
            self.trim(
                SCATTERING,
                kernels,
                &Window {
                    after: true,
                    ..again
                },
            )?;
        }
        Ok(())
    }

    fn window(&self, launched: Range<usize>, read: Range<usize>) -> Window {
        Window {
            launched,
            read,
            leaks: false,
            half: self.half,
            after: false,
        }
    }

    /// From the array that holds the phase space into the other, which holds it then. A group of places has `band` energies.
    fn pass(
        &mut self,
        stage: usize,
        kernel: &Kernel,
        window: &Window,
        band: usize,
    ) -> Result<(), Ending> {
        self.stay(stage, kernel, window, band)?;
        std::mem::swap(&mut self.current, &mut self.other);
        Ok(())
    }

    /// The same, but the phase space is where it was.
    fn stay(
        &mut self,
        stage: usize,
        kernel: &Kernel,
        window: &Window,
        band: usize,
    ) -> Result<(), Ending> {
        let [from, to] = [self.current.clone(), self.other.clone()];
        self.launch(stage, kernel, window, [&from, &to], band)
    }

    fn launch(
        &mut self,
        stage: usize,
        kernel: &Kernel,
        window: &Window,
        between: [&Buffer; 2],
        band: usize,
    ) -> Result<(), Ending> {
        let grid = [
            self.grid.nx.div_ceil(self.groups[0]),
            self.grid.nz.div_ceil(self.groups[1]),
            window.launched.len().div_ceil(band),
        ];
        self.groups_of(stage, kernel, window, between, grid)
    }

    /// The other half of the extents from the weights as they are now: a group for each energy.
    fn trim(&mut self, stage: usize, kernels: &Kernels, window: &Window) -> Result<(), Ending> {
        if let Some(trim) = &kernels.trim {
            let [from, to] = [self.current.clone(), self.other.clone()];
            let grid = [1, 1, window.launched.len()];
            self.groups_of(stage, trim, window, [&from, &to], grid)?;
            self.half = 1 - self.half;
        }
        Ok(())
    }

    fn groups_of(
        &mut self,
        stage: usize,
        kernel: &Kernel,
        window: &Window,
        [from, to]: [&Buffer; 2],
        grid: [usize; 3],
    ) -> Result<(), Ending> {
        let told = self.buffer(window)?;
        let Memory {
            numbers,
            indices,
            account,
            extents,
            ..
        } = self.memory;
        let arguments = [&told, from, to, numbers, indices, account, extents]
            .map(|buffer| Passed::Buffer(buffer.clone()));
        self.steps.push(Step {
            stage: Some(stage),
            action: Action::Launch {
                kernel: kernel.clone(),
                grid: grid.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
                arguments: arguments.to_vec(),
            },
        });
        Ok(())
    }

    fn buffer(&mut self, window: &Window) -> Result<Buffer, Ending> {
        let bytes = window.bytes();
        if let Some((_, buffer)) = self.windows.iter().find(|(known, _)| *known == bytes) {
            return Ok(buffer.clone());
        }
        let buffer = self.memory.gpu.allocate("window", bytes.len() as u64)?;
        self.memory.gpu.upload(&buffer, &bytes)?;
        self.windows.push((bytes, buffer.clone()));
        Ok(buffer)
    }
}
