//! How the operators are carried out on a processor: what a configuration chooses beside the physics and the grid.
use crate::workload::instructions::InstructionSet;

/// Which index of a cell changes first in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CellOrder {
    /// `[energy][angle][z][x]`
    EnergyAnglePlace,
    /// `[energy][z][x][angle]`
    EnergyPlaceAngle,
    /// `[z][x][energy][angle]`
    PlaceEnergyAngle,
}

/// Which operators share a pass over the phase space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fusion {
    None,
    ThetaStream,
    StreamEnergy,
    All,
}

/// Whether a cell collects what arrives or hands on what it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Direction {
    Gather,
    Scatter,
}

/// What is left out because nothing is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sparse {
    None,
    /// Energies without weight.
    Planes,
    /// And depths of an energy.
    Rows,
    /// And angles of an energy.
    Box,
}

/// Who shares the work of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Parallel {
    Threads,
    /// Processes that get their slices through pipes and send them back.
    Pipes,
    /// Processes that work on the same memory.
    SharedMemory,
}

#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) fusion: Fusion,
    pub(super) streaming: Direction,
    pub(super) energy: Direction,
    pub(super) sparse: Sparse,
    /// Weight of a plane, row or angle that is left out, as a share of the beam's.
    pub(super) cutoff: f64,
    /// Rows that a task takes from one operator to the next.
    pub(super) tile: usize,
    /// Angles whose sums are kept in registers.
    pub(super) angle_block: usize,
    /// Energies of a task.
    pub(super) energy_block: usize,
    pub(super) prefetches: bool,
    pub(super) set: InstructionSet,
    pub(super) parallel: Parallel,
    /// Threads or processes.
    pub(super) workers: usize,
}

impl Form {
    /// Whether what holds weight is found out as the beam goes on, beside the energies that it can have at all.
    pub(super) fn trims(&self) -> bool {
        match self.sparse {
            Sparse::None => false,
            Sparse::Planes => self.cutoff > 0.0,
            Sparse::Rows | Sparse::Box => true,
        }
    }
}
