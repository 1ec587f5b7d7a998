//! Traces on disk, in the precision and with the padding that kernels want, and the cache in front of them. Reading is real input
//! and output: what a campaign asks of cache, prefetching and copies it asks of these.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "owns the file of traces: reads into numbers, and maps it"
)]
use super::lanes::Sample;
use super::scene::Scene;
use crate::workload::files;
use memmap2::Mmap;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Zeros before a trace: taps of an interpolation reach back, and triangles too.
pub(super) const BEFORE: usize = 16;
/// Zeros after it: a window of 32 samples may begin at the last one.
const AFTER: usize = 48;

/// Traces of a vector at most.
const WIDEST: usize = 16;

/// No grid is as wide (Scene::check).
const FAR: f32 = 1e15;

/// Traces that are read and cached together: neighbours in the file are neighbours in the field.
pub(super) const CHUNK: usize = 8;

/// From the start of a trace to that of the next, in samples.
pub(super) fn stride(samples: usize) -> usize {
    (BEFORE + samples + AFTER).next_multiple_of(16)
}

/// One bin's traces in a file.
#[derive(Debug)]
pub(super) struct Store {
    file: File,
    path: PathBuf,
    pub(super) traces: usize,
    pub(super) stride: usize,
}

impl Store {
    /// Opens the file, which is made first if no worker has made it yet.
    ///
    /// # Errors
    /// What is wrong with the problem's file, or why this one cannot be written.
    pub(super) fn open<T: Sample>(
        scene: &Scene,
        bin: usize,
        folder: &Path,
        key: &str,
    ) -> Result<Store, String> {
        let (traces, stride) = (scene.gathers[bin].geometry.len(), stride(scene.samples));
        let kind = std::any::type_name::<T>()
            .rsplit("::")
            .next()
            .unwrap_or("f32");
        let path = folder.join(format!("pstm-{key}-{bin}.{kind}"));
        let wrong = |e: io::Error| format!("the store of traces {}: {e}", path.display());
        let whole = (traces * stride * T::BYTES) as u64;
        let is_there = std::fs::metadata(&path).is_ok_and(|m| m.len() == whole);
        if !is_there {
            std::fs::create_dir_all(folder).map_err(wrong)?;
            // Aside, then renamed: another worker sees all of it or nothing.
            let aside = tempfile::NamedTempFile::new_in(folder).map_err(wrong)?;
            write::<T>(scene, bin, aside.as_file(), stride)
                .map_err(|e| format!("the store of traces {}: {e}", path.display()))?;
            aside.persist(&path).map_err(|e| wrong(e.error))?;
        }
        Ok(Store {
            file: File::open(&path).map_err(wrong)?,
            path,
            traces,
            stride,
        })
    }

    /// The traces of a chunk as they lie in the file.
    fn read_bytes(&self, chunk: usize, width: usize, to: &mut Vec<u8>) -> Result<(), String> {
        let traces = CHUNK.min(self.traces - chunk * CHUNK);
        to.resize(traces * self.stride * width, 0);
        self.read_exact(to, chunk * CHUNK * self.stride * width)
    }

    fn read_exact(&self, to: &mut [u8], from: usize) -> Result<(), String> {
        (self.file.read_exact_at(to, from as u64))
            .map_err(|e| format!("the store of traces {}: {e}", self.path.display()))
    }

    /// Straight into numbers.
    fn read_samples<T: Sample>(&self, chunk: usize, to: &mut Vec<T>) -> Result<(), String> {
        let traces = CHUNK.min(self.traces - chunk * CHUNK);
        to.resize(traces * self.stride, T::default());
        // SAFETY: a Sample is its bits: any bytes are one, and there is no padding between them.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(to.as_mut_ptr().cast::<u8>(), size_of_val(&to[..]))
        };
        self.read_exact(bytes, chunk * CHUNK * self.stride * T::BYTES)
    }

    /// # Errors
    /// Where the file cannot be mapped, or this machine's numbers are the other way round.
    pub(super) fn map<T: Sample>(&self) -> Result<Mapped<T>, String> {
        if cfg!(target_endian = "big") {
            return Err("the file is little-endian and this machine is not".into());
        }
        // SAFETY: the file is ours, written once under another name and never changed under this one.
        let map = unsafe { Mmap::map(&self.file) }
            .map_err(|e| format!("{} cannot be mapped: {e}", self.path.display()))?;
        Ok(Mapped {
            map: Arc::new(map),
            _samples: std::marker::PhantomData,
        })
    }
}

/// The whole file as samples.
#[derive(Debug)]
pub(super) struct Mapped<T> {
    map: Arc<Mmap>,
    _samples: std::marker::PhantomData<T>,
}

impl<T> Clone for Mapped<T> {
    fn clone(&self) -> Self {
        Mapped {
            map: self.map.clone(),
            _samples: std::marker::PhantomData,
        }
    }
}

impl<T: Sample> Mapped<T> {
    pub(super) fn samples(&self) -> &[T] {
        // SAFETY: a map begins at a page, so it is aligned; any bits are a Sample.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.map.len() / T::BYTES) }
    }
}

/// Traces that are made or read at once.
const AT_ONCE: usize = 64;

fn write<T: Sample>(scene: &Scene, bin: usize, file: &File, stride: usize) -> Result<(), String> {
    let mut out = BufWriter::with_capacity(1 << 16, file);
    let said = |e: io::Error| e.to_string();
    let padded = |trace: &[f32]| {
        let mut bytes = vec![0; BEFORE * T::BYTES];
        for value in trace {
            T::from_f32(*value).push_bytes(&mut bytes);
        }
        bytes.resize(stride * T::BYTES, 0);
        bytes
    };
    let traces = scene.gathers[bin].geometry.len();
    match &scene.file {
        Some(name) => {
            files::read_rows(
                Path::new(name),
                [traces, scene.samples],
                &mut |row| match row.iter().find(|v| !v.is_finite()) {
                    Some(wrong) => Err(format!("{wrong} among the amplitudes of {name}")),
                    None => out.write_all(&padded(row)).map_err(said),
                },
            )?
        }
        None => {
            for first in (0..traces).step_by(AT_ONCE) {
                let some: Vec<Vec<u8>> = (first..traces.min(first + AT_ONCE))
                    .into_par_iter()
                    .map(|k| padded(&scene.trace(bin, k)))
                    .collect();
                for bytes in some {
                    out.write_all(&bytes).map_err(said)?;
                }
            }
        }
    }
    out.flush().map_err(said)
}

/// What reading cost in an invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counters {
    /// Chunks of traces that were in the cache when they were asked for, and those that were not.
    pub(super) hits: u64,
    pub(super) misses: u64,
}

/// The chunks that were used last, as many as its budget holds.
#[derive(Debug)]
pub(super) struct Cache<T> {
    slots: Vec<Slot<T>>,
    most: usize,
    /// Slot of each chunk.
    place: Vec<Option<u32>>,
    /// Slots by when they were used last.
    order: BTreeMap<u64, u32>,
    clock: u64,
    /// Bytes on their way into numbers; absent where reading is direct.
    bytes: Option<Vec<u8>>,
    pub(super) counters: Counters,
}

#[derive(Debug)]
struct Slot<T> {
    chunk: usize,
    used: u64,
    samples: Vec<T>,
}

impl<T: Sample> Cache<T> {
    /// At least one chunk, whatever the budget.
    pub(super) fn new(store: &Store, budget: u64, is_direct: bool) -> Cache<T> {
        let chunk = (CHUNK * store.stride * T::BYTES) as u64;
        Cache {
            slots: vec![],
            most: (budget / chunk).max(1) as usize,
            place: vec![None; store.traces.div_ceil(CHUNK)],
            order: BTreeMap::new(),
            clock: 0,
            bytes: (!is_direct).then(Vec::new),
            counters: Counters::default(),
        }
    }

    /// Samples of a chunk of traces, padding included.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn chunk(&mut self, store: &Store, chunk: usize) -> Result<&[T], String> {
        self.clock += 1;
        if let Some(place) = self.place[chunk] {
            self.counters.hits += 1;
            let slot = &mut self.slots[place as usize];
            self.order.remove(&slot.used);
            slot.used = self.clock;
            self.order.insert(self.clock, place);
            return Ok(&self.slots[place as usize].samples);
        }
        self.counters.misses += 1;
        let place = self.free_slot();
        let slot = &mut self.slots[place as usize];
        match &mut self.bytes {
            None => store.read_samples(chunk, &mut slot.samples)?,
            Some(bytes) => {
                store.read_bytes(chunk, T::BYTES, bytes)?;
                slot.samples.clear();
                slot.samples
                    .extend(bytes.chunks_exact(T::BYTES).map(T::from_bytes));
            }
        }
        slot.chunk = chunk;
        slot.used = self.clock;
        self.place[chunk] = Some(place);
        self.order.insert(self.clock, place);
        Ok(&self.slots[place as usize].samples)
    }

    /// A new one within the budget, else that which was used longest ago.
    fn free_slot(&mut self) -> u32 {
        if self.slots.len() < self.most {
            self.slots.push(Slot {
                chunk: 0,
                used: 0,
                samples: vec![],
            });
            return (self.slots.len() - 1) as u32;
        }
        let (_, place) = self.order.pop_first().expect("at least one chunk is kept");
        self.place[self.slots[place as usize].chunk] = None;
        place
    }
}

/// Traces of one load, side by side for a kernel.
#[derive(Debug)]
pub(super) struct Batch<T> {
    pub(super) traces: Vec<u32>,
    /// sx, sy, rx, ry.
    pub(super) geometry: Vec<[f32; 4]>,
    /// The same by component, filled up to a whole number of vectors with what is far from everything.
    pub(super) components: [Vec<f32>; 4],
    /// Of each trace's first sample.
    pub(super) offsets: Vec<i32>,
    samples: Vec<T>,
    mapped: Option<Mapped<T>>,
}

impl<T: Sample> Batch<T> {
    pub(super) fn new() -> Batch<T> {
        Batch {
            traces: vec![],
            geometry: vec![],
            components: Default::default(),
            offsets: vec![],
            samples: vec![],
            mapped: None,
        }
    }

    pub(super) fn samples(&self) -> &[T] {
        match &self.mapped {
            Some(mapped) => mapped.samples(),
            None => &self.samples,
        }
    }

    /// The copied traces one after the other, padding included.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: a Sample is its bits, without padding between them.
        unsafe {
            std::slice::from_raw_parts(self.samples.as_ptr().cast(), size_of_val(&self.samples[..]))
        }
    }

    fn begin(&mut self, traces: &[u32], geometry: &[[f32; 4]]) {
        self.traces.clear();
        self.traces.extend_from_slice(traces);
        self.geometry.clear();
        self.geometry
            .extend(traces.iter().map(|t| geometry[*t as usize]));
        for (c, component) in self.components.iter_mut().enumerate() {
            component.clear();
            component.extend(self.geometry.iter().map(|g| g[c]));
            component.resize(component.len().next_multiple_of(WIDEST), FAR);
        }
        self.offsets.clear();
        self.samples.clear();
    }

    /// Copies traces out of the cache.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn fill(
        &mut self,
        traces: &[u32],
        geometry: &[[f32; 4]],
        store: &Store,
        cache: &mut Cache<T>,
    ) -> Result<(), String> {
        self.begin(traces, geometry);
        let stride = store.stride;
        // No more than it takes: what grows by doubling would be over its budget.
        self.samples.reserve_exact(traces.len() * stride);
        let mut rest = traces;
        while let [first, ..] = *rest {
            let chunk = first as usize / CHUNK;
            let count = rest
                .iter()
                .take_while(|t| **t as usize / CHUNK == chunk)
                .count();
            let samples = cache.chunk(store, chunk)?;
            for trace in &rest[..count] {
                let from = (*trace as usize % CHUNK) * stride;
                self.offsets.push((self.samples.len() + BEFORE) as i32);
                self.samples
                    .extend_from_slice(&samples[from..from + stride]);
            }
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Refers to traces where they lie in the file.
    pub(super) fn refer(
        &mut self,
        traces: &[u32],
        geometry: &[[f32; 4]],
        stride: usize,
        mapped: &Mapped<T>,
    ) {
        self.begin(traces, geometry);
        self.offsets.extend(
            traces
                .iter()
                .map(|t| (*t as usize * stride + BEFORE) as i32),
        );
        self.mapped = Some(mapped.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn scene() -> Scene {
        Scene::new(&[("preset".into(), Value::Text("tiny".into()))]).unwrap()
    }

    #[test]
    fn traces_come_back_with_zeros_around_them() {
        let (scene, folder) = (scene(), tempfile::tempdir().unwrap());
        let store = Store::open::<f32>(&scene, 0, folder.path(), "k").unwrap();
        for is_direct in [false, true] {
            let mut cache = Cache::<f32>::new(&store, 0, is_direct);
            let mut batch = Batch::new();
            let wanted = [3, 4, 17, 399];
            batch
                .fill(&wanted, &scene.gathers[0].geometry, &store, &mut cache)
                .unwrap();
            for (trace, offset) in wanted.iter().zip(&batch.offsets) {
                let at = *offset as usize;
                let samples = batch.samples();
                assert_eq!(
                    samples[at..at + scene.samples],
                    scene.trace(0, *trace as usize)[..]
                );
                assert!(samples[at - BEFORE..at].iter().all(|v| *v == 0.0));
                let after = at + scene.samples;
                assert!(samples[after..after + AFTER].iter().all(|v| *v == 0.0));
            }
            assert_eq!(cache.counters, Counters { hits: 0, misses: 3 });
        }
    }

    #[test]
    fn a_mapped_file_holds_what_reading_gives() {
        let (scene, folder) = (scene(), tempfile::tempdir().unwrap());
        let store = Store::open::<half::f16>(&scene, 0, folder.path(), "k").unwrap();
        let mapped = store.map::<half::f16>().unwrap();
        let (mut read, mut referred) = (Batch::new(), Batch::new());
        let mut cache = Cache::new(&store, 1 << 20, true);
        let geometry = &scene.gathers[0].geometry;
        read.fill(&[7, 200], geometry, &store, &mut cache).unwrap();
        referred.refer(&[7, 200], geometry, store.stride, &mapped);
        for i in 0..2 {
            let of = |batch: &Batch<half::f16>| {
                let at = batch.offsets[i] as usize;
                batch.samples()[at..at + scene.samples].to_vec()
            };
            assert_eq!(of(&read), of(&referred));
        }
    }

    #[test]
    fn the_cache_forgets_what_was_used_longest_ago() {
        let (scene, folder) = (scene(), tempfile::tempdir().unwrap());
        let store = Store::open::<f32>(&scene, 0, folder.path(), "k").unwrap();
        let two = 2 * (CHUNK * store.stride * 4) as u64;
        let mut cache = Cache::<f32>::new(&store, two, true);
        let is_hit = |cache: &mut Cache<f32>, chunk: usize| {
            let before = cache.counters.hits;
            cache.chunk(&store, chunk).unwrap();
            cache.counters.hits > before
        };
        let asked = [0, 1, 0, 2, 0, 1, 2];
        let hits: Vec<bool> = asked.iter().map(|c| is_hit(&mut cache, *c)).collect();
        // 2 pushes out 1, then 1 pushes out 2, then 2 pushes out 0.
        assert_eq!(hits, [false, false, true, false, true, false, false]);
    }
}
