//! Every combination of parameters that no kernel implements, with the reason. What is refused here is never silently the same
//! code (WORKLOADS §0.6).
use super::beam::Beam;
use super::form::{CellOrder, Direction, Fusion, Parallel, Sparse};
use super::settings::{BAND, PLAIN, Precision, Settings};

/// Times 2^15 it is the largest half; all of a beam may be in one cell.
const HEAVIEST: f64 = 1.99;

impl Settings {
    fn refusal_anywhere(&self, beam: &Beam) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if beam.external.is_some() && self.grid != beam.grid {
            return no("a phase space from a file (problem.psi0) has its own grid: grid=full");
        }
        if self.physics.buckets >= self.grid.energies {
            return Some(format!(
                "no-op: {} buckets for {} energies",
                self.physics.buckets, self.grid.energies
            ));
        }
        if self.form.energy == Direction::Gather
            && matches!(self.form.fusion, Fusion::StreamEnergy | Fusion::All)
        {
            return no(
                "a fused pass ends energies in its own order; energy=gather is written for fusion=none and theta_stream",
            );
        }
        if self.form.sparse == Sparse::None && self.form.cutoff > 0.0 {
            return no("no-op: cutoff is what the active window leaves out; sparse=none has none");
        }
        let weight = |values: &Vec<f32>| values.iter().map(|v| f64::from(*v)).sum::<f64>();
        if self.precision == Precision::F16Scaled
            && beam.external.as_ref().map_or(1.0, weight) > HEAVIEST
        {
            return no(
                "precision=f16_scaled has room for a beam of weight 1; divide problem.psi0 by its sum",
            );
        }
        None
    }

    pub(super) fn refusal_on_host(&self, beam: &Beam) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if let Some(reason) = self.refusal_anywhere(beam) {
            return Some(reason);
        }
        if self.grouping != PLAIN {
            return no("group_x and group_z are a GPU's: a processor has z_tile and theta_block");
        }
        let form = &self.form;
        if self.order != CellOrder::EnergyAnglePlace {
            let is_written = (form.fusion, form.streaming, form.energy, form.sparse)
                == (
                    Fusion::None,
                    Direction::Gather,
                    Direction::Gather,
                    Sparse::None,
                )
                && self.precision == Precision::F32
                && form.parallel == Parallel::Threads;
            if !is_written {
                return no(
                    "an order with angles next to each other is written for separate operators over every cell: fusion=none, streaming=gather, energy=gather, sparse=none, precision=f32, parallel=threads",
                );
            }
            if (form.tile, form.angle_block, form.energy_block) != (usize::MAX, 4, BAND)
                || form.prefetches
            {
                return no(
                    "no-op: with this layout vectors go along the angles; z_tile, theta_block, energy_block and prefetch are the other's",
                );
            }
        }
        if matches!(form.sparse, Sparse::Rows | Sparse::Box)
            && matches!(form.fusion, Fusion::None | Fusion::StreamEnergy)
        {
            return no(
                "streaming reads the neighbours of what was stored: sparse=planes, or fusion=theta_stream or all",
            );
        }
        if form.sparse != Sparse::None && form.energy == Direction::Gather {
            return no("energy=gather does not weigh what it collects: sparse=none");
        }
        match form.parallel {
            Parallel::Threads => {}
            _ if !cfg!(unix) => {
                return no("processes are forked, which only Unix can");
            }
            Parallel::Pipes if form.fusion != Fusion::All || self.physics.is_strang => {
                return no(
                    "parallel=pipes sends its slices once a step: fusion=all, splitting=lie",
                );
            }
            _ => {}
        }
        if form.prefetches && !cfg!(target_arch = "x86_64") {
            return no("no-op: prefetch=next_plane is written for x86-64");
        }
        None
    }

    pub(super) fn refusal_on_gpu(&self, beam: &Beam) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if let Some(reason) = self.refusal_anywhere(beam) {
            return Some(reason);
        }
        let form = &self.form;
        let scatters = |direction, is_own_kernel| direction == Direction::Scatter && is_own_kernel;
        let adds = scatters(form.streaming, form.fusion == Fusion::None)
            || scatters(
                form.energy,
                matches!(form.fusion, Fusion::None | Fusion::ThetaStream),
            );
        if self.precision != Precision::F32 && adds {
            return no(
                "threads add to the same cell, and halves have no atomic addition: streaming=gather with energy=gather, or a fused pass",
            );
        }
        if form.fusion != Fusion::None && form.streaming == Direction::Scatter {
            return no("a fused pass sums what arrives in registers: streaming=gather");
        }
        if (form.tile, form.angle_block) != (usize::MAX, 4) {
            return no(
                "z_tile and theta_block are a processor's: a GPU has group_x, group_z and energy_block",
            );
        }
        if form.energy_block != BAND && form.fusion != Fusion::All {
            return no("no-op: energy_block is what a group takes from all operators: fusion=all");
        }
        if form.prefetches {
            return no(
                "prefetch=next_plane is a processor's: a GPU computes other threads while one waits for memory",
            );
        }
        if form.parallel != Parallel::Threads {
            return no("processes are a processor's");
        }
        None
    }
}
