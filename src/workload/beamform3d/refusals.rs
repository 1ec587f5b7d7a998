//! Every combination of parameters that no kernel implements, with the reason. What is refused here is never silently the same
//! code (WORKLOADS §0.6).
use super::geometry::{Geometry, WIDTH};
use super::settings::{
    Axis, ElementMemory, Fusion, Interpolation, IqLayout, PLAIN, Phase, Precision, Prefetch,
    Settings,
};
use crate::device::Language;
use crate::workload::instructions::InstructionSet;

impl Settings {
    fn refusal_anywhere(&self, geometry: &Geometry, volumes: usize) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if !volumes.is_multiple_of(self.batch) {
            return Some(format!(
                "batch={} does not divide problem.volumes={volumes}",
                self.batch
            ));
        }
        if self.is_nearest_first && !geometry.has_nearest() {
            return no(
                "first_arrival=nearest needs a planar array whose elements share one transmit delay",
            );
        }
        match self.fusion {
            Fusion::Staged if self.phase != Phase::SinCos => {
                no("fusion=staged rotates in a pass of its own: phase=sincos")
            }
            Fusion::Staged if self.batch > 1 => no("fusion=staged beamforms one volume a call"),
            Fusion::Staged if self.element_split > 1 => {
                no("fusion=staged sums in one pass: element_split=1")
            }
            Fusion::FusedStore if self.is_nearest_first => no(
                "no-op: first_arrival=nearest has no first loop over the elements whose distances fusion=fused_store would keep",
            ),
            Fusion::FusedFactored if self.phase != Phase::SinCos => no(
                "fusion=fused_factored takes the first arrival's phase out of the sum; with phase=factored or recurrence it is in the table",
            ),
            _ if self.phase != Phase::SinCos && geometry.cycles > 1.0 => no(
                "phase=factored and recurrence want at most one carrier cycle a sample (fc <= fs)",
            ),
            _ => None,
        }
    }

    pub(super) fn refusal_on_gpu(
        &self,
        geometry: &Geometry,
        volumes: usize,
        language: Language,
    ) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if let Some(reason) = self.refusal_anywhere(geometry, volumes) {
            return Some(reason);
        }
        let shape = &self.grouping;
        let is_fused = !matches!(self.fusion, Fusion::Staged | Fusion::Partial);
        match (self.prefetch, language) {
            (Prefetch::NextLine, _) => {
                return no(
                    "prefetch=next_line is a processor's: a GPU computes other threads while one waits for memory",
                );
            }
            (Prefetch::DoubleBuffer, Language::Wgsl) => {
                return no(
                    "prefetch=double_buffer needs a second queue; wgpu has one, and takes the next upload from the program while it computes",
                );
            }
            (Prefetch::DoubleBuffer, _) if self.batches(volumes) < 2 => {
                return no(
                    "no-op: prefetch=double_buffer has nothing to upload early; it wants problem.volumes above batch",
                );
            }
            _ => {}
        }
        if self.axis != Axis::Points {
            return no("axis is a processor's: a GPU's threads have points of their own");
        }
        if self.precision == Precision::Bf16All && language == Language::Wgsl {
            return no("WGSL has no bf16 arithmetic");
        }
        if self.phase == Phase::Factored && self.interpolation != Interpolation::Linear {
            return no("phase=factored keeps the step to the next sample: interp=linear");
        }
        if is_fused && shape.depths > self.task_points {
            return Some(format!(
                "group_z={} is more than task_points={}",
                shape.depths, self.task_points
            ));
        }
        if !is_fused
            && (self.element_split, shape.thread_points, shape.depths)
                != (1, PLAIN.thread_points, PLAIN.depths)
        {
            return no(
                "element_split, thread_points and group_z shape the groups of the fused kernels",
            );
        }
        if !is_fused && shape.element_memory == ElementMemory::Shared {
            return no("element_memory=shared is written for the fused kernels");
        }
        if self.fusion == Fusion::Staged && shape.unroll > 1 {
            return no("no-op: fusion=staged has one thread a pair, and no loop to unroll");
        }
        None
    }

    pub(super) fn refusal_on_host(&self, geometry: &Geometry, volumes: usize) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if let Some(reason) = self.refusal_anywhere(geometry, volumes) {
            return Some(reason);
        }
        if self.grouping != PLAIN {
            return no(
                "group_z, thread_points, element_unroll, element_memory and sincos are a GPU's: a processor has vectors and caches instead",
            );
        }
        if self.prefetch == Prefetch::DoubleBuffer {
            return no("prefetch=double_buffer is for signals on their way to a GPU");
        }
        if self.element_split > geometry.padded / WIDTH {
            return Some(format!(
                "element_split={} leaves parts with fewer than {WIDTH} of {} elements",
                self.element_split, geometry.elements
            ));
        }
        match self.fusion {
            Fusion::Staged => self.refusal_of_staged(),
            _ if self.is_emulated() => {
                no("arithmetic in half precision is emulated, and only for fusion=staged")
            }
            _ if self.axis == Axis::Patch => self.refusal_of_patch(geometry),
            Fusion::Partial | Fusion::FusedFactored if self.axis == Axis::Elements => {
                no("axis=elements is written for fusion=fused and fused_store")
            }
            _ if self.axis == Axis::Elements && self.batch > 1 => {
                no("axis=elements beamforms one volume a call")
            }
            _ if self.axis == Axis::Elements && self.prefetch == Prefetch::NextLine => {
                no("no-op: axis=elements reads every element's line at once, there is no next one")
            }
            _ => None,
        }
    }

    fn refusal_of_staged(&self) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        match self {
            s if s.axis != Axis::Points => no("fusion=staged goes point by point: axis=points"),
            s if s.prefetch == Prefetch::NextLine => no(
                "no-op: fusion=staged streams through arrays, which the processor prefetches by itself",
            ),
            _ => None,
        }
    }

    fn refusal_of_patch(&self, geometry: &Geometry) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        match self {
            s if s.set != InstructionSet::Avx512 => {
                no("axis=patch looks samples up in AVX-512 registers")
            }
            s if s.fusion != Fusion::Fused => no("axis=patch is written for fusion=fused"),
            s if s.phase != Phase::Factored => no("axis=patch is written for phase=factored"),
            s if s.layout != IqLayout::ElementSample => {
                no("axis=patch needs each element's samples side by side: iq_layout=element_sample")
            }
            s if s.interpolation != Interpolation::Linear => {
                no("axis=patch is written for interp=linear")
            }
            s if s.f_number != 0.0 => no("axis=patch sums the whole aperture: fnumber=0"),
            s if s.batch > 1 => no("axis=patch beamforms one volume a call"),
            _ if geometry.plane.is_none() => no("axis=patch needs a planar array"),
            _ if geometry.cycles > 0.25 + 1e-9 => no(
                "axis=patch has polynomials for at most a quarter of a carrier cycle a sample (fs >= 4 fc)",
            ),
            _ => None,
        }
    }
}
