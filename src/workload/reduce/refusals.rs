//! Every combination of parameters that no kernel implements, with the reason. What is refused here is never silently the same
//! code (WORKLOADS §0.6).
use super::scene::Scene;
use super::settings::{
    GROUP_POINTS, Hoist, Lookup, LoopOrder, Precision, Prefetch, Reduce, Remainder, Settings,
    TASK_POINTS,
};
use crate::device::Language;
use crate::workload::instructions::InstructionSet;

/// Unrolled loops that are compiled ahead for processors.
const UNROLLED: [usize; 6] = [1, 2, 4, 8, 16, 32];

impl Settings {
    fn refusal_anywhere(&self, scene: &Scene) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        let rounds = self.rounds(scene);
        if let Some(rounds) = rounds.filter(|n| (1..self.unroll).contains(n)) {
            return Some(format!(
                "no-op: the loop has {rounds} rounds, so unroll={} is unroll={rounds}",
                self.unroll
            ));
        }
        if rounds.is_none() && self.unroll > 1 {
            return no("no-op: reduce=none has no loop with a running total to unroll");
        }
        if self
            .chunk
            .is_some_and(|points| points >= scene.points.len())
        {
            return Some(format!(
                "no-op: there are {} points, so one chunk holds them all: chunk=-1",
                scene.points.len()
            ));
        }
        match self {
            s if s.loop_order != LoopOrder::Ptr
                && (s.transmit_block.is_some() || s.receiver_block.is_some()) =>
            {
                no(
                    "loop_order=tpr is transmit_block=1, and trp receiver_block=1 too: blocks are for loop_order=ptr",
                )
            }
            s if s.transmit_block.is_some_and(|n| n >= scene.sources.len()) => {
                no("no-op: transmit_block holds every transmit: transmit_block=-1")
            }
            s if s.receiver_block.is_some_and(|n| n >= scene.elements.len()) => {
                no("no-op: receiver_block holds every receiver: receiver_block=-1")
            }
            _ => None,
        }
    }

    pub(super) fn refusal_on_host(&self, scene: &Scene) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if let Some(reason) = self.refusal_anywhere(scene) {
            return Some(reason);
        }
        match self {
            s if (s.group_points, s.receiver_split) != (GROUP_POINTS, 1) => {
                no("group_points and receiver_split are a GPU's: a processor has task_points")
            }
            s if s.is_builtin => no("sincos=builtin is a GPU's"),
            s if s.remainder == Remainder::Rolled => {
                no("remainder is a GPU's: loops that were compiled ahead have a rolled one")
            }
            s if s.prefetch == Prefetch::DoubleBuffer => {
                no("prefetch=double_buffer is for frames on their way to a GPU")
            }
            s if s.chunk.is_some() && s.reduce == Reduce::Both => {
                no("no-op: reduce=rx+tx writes no array that chunk would cut; see task_points")
            }
            s if !UNROLLED.contains(&s.unroll) => Some(format!(
                "counterpart: loops are compiled ahead, with unroll={UNROLLED:?}"
            )),
            s if s.unroll > 1 && (!s.is_plain() || s.precision != Precision::F32) => no(
                "unroll is compiled ahead for phase=factored, interp=linear, precision=f32 and the receivers' table",
            ),
            s if s.unroll > 1
                && match s.set {
                    InstructionSet::Portable => true,
                    InstructionSet::Avx2 => false,
                    InstructionSet::Avx512 => s.lookup != Lookup::Window,
                } =>
            {
                no("unroll is compiled ahead for AVX2, and for lookup=window with AVX-512")
            }
            s if s.lookup == Lookup::Window && s.set != InstructionSet::Avx512 => {
                no("lookup=window looks samples up in AVX-512 registers")
            }
            s if s.lookup == Lookup::Window && !s.is_plain() => no(
                "lookup=window is written for phase=factored, interp=linear and the receivers' table",
            ),
            s if s.prefetch == Prefetch::NextTransmit
                && (s.loop_order != LoopOrder::Ptr || s.transmit_block == Some(1)) =>
            {
                no("no-op: with one transmit a block there is no next one to fetch")
            }
            s if s.patch != [4, 4] && scene.shape.contains(&1) => {
                no("no-op: points on a line have one patch, sixteen in their order")
            }
            s if s.prefetch == Prefetch::NextTransmit
                && (!matches!(s.reduce, Reduce::Rx | Reduce::Both) || s.hoist != Hoist::Both) =>
            {
                no(
                    "prefetch=next_transmit is written for loops over receivers (reduce=rx, rx+tx) with hoist=tables",
                )
            }
            _ => None,
        }
    }

    pub(super) fn refusal_on_gpu(&self, scene: &Scene, language: Language) -> Option<String> {
        let no = |reason: &str| Some(reason.to_owned());
        if let Some(reason) = self.refusal_anywhere(scene) {
            return Some(reason);
        }
        let all = [scene.sources.len(), scene.elements.len()];
        let of_loop = usize::from(self.reduce != Reduce::Tx);
        let (looped, block) = (all[of_loop], self.blocks(all)[of_loop]);
        let remains = self
            .rounds(scene)
            .is_some_and(|n| self.unroll < n && (n - 1) % self.unroll > 0);
        match self {
            s if s.task_points != TASK_POINTS => {
                no("task_points is a processor's: a GPU has group_points")
            }
            s if s.receiver_split > 1 && s.reduce != Reduce::Both => {
                no("receiver_split shares the receivers of one sum: reduce=rx+tx")
            }
            s if s.reduce == Reduce::None && s.blocks(all) != all => no(
                "no-op: with reduce=none a thread has one pair of a transmit and a receiver, and no loop",
            ),
            _ if self.reduce != Reduce::None
                && !(looped.is_multiple_of(block) && block.is_multiple_of(self.receiver_split)) =>
            {
                Some(format!(
                    "an unrolled loop has as many rounds in every launch: its block must divide {looped}, and receiver_split the block"
                ))
            }
            s if s.lookup != Lookup::Gather || s.patch != [4, 4] => {
                no("lookup and patch are a processor's: a GPU's threads load for themselves")
            }
            s if s.prefetch == Prefetch::NextTransmit => no(
                "prefetch=next_transmit is a processor's: a GPU computes other threads while one waits for memory",
            ),
            s if s.prefetch == Prefetch::DoubleBuffer && language == Language::Wgsl => no(
                "prefetch=double_buffer needs a second queue; wgpu has one, and takes the next upload from the program while it computes",
            ),
            s if s.prefetch == Prefetch::DoubleBuffer && scene.frames.len() < 2 => no(
                "no-op: prefetch=double_buffer has nothing to upload early; it wants problem.frames above 1",
            ),
            s if s.remainder == Remainder::Rolled && !remains => {
                no("no-op: nothing remains after the unrolled loop")
            }
            _ => None,
        }
    }
}
