//! Frames from the disk through a device to whoever takes their images: reading, upload, remapping, download and hand-on, one
//! after the other or each on a thread of its own, joined by bounded queues. A stage that cannot go on ends; its queues end with
//! it, and so the whole pipeline does.
#![allow(
    clippy::disallowed_methods,
    reason = "waiting for frames is timed where it happens"
)]
use super::memory::Room;
use super::pipeline_flow::{Flow, Pool};
use super::pipeline_meter::{DECODE, DOWNLOAD, HAND_ON, Meters, READ, REMAP, STAGES, UPLOAD};
use super::pipeline_read::{
    Arrived, Buffers, Cache, ReadFile, Reading, from_disk, room_of_a_frame,
};
use super::pipeline_ring::Window;
use super::remapper::{Batch, Frame, POISON, Remapper};
use super::scene::{OnBadFrame, Scene};
use crate::trace::Tracer;
use crate::trial::{Ending, Stretch};
use crate::value::Nanoseconds;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Batches that an overlapped pipeline has on the device at once: one is uploaded while one is remapped and one downloaded or
/// handed on.
const SLOTS: usize = 3;

pub(super) struct Pipeline {
    scene: Arc<Scene>,
    flow: Flow,
    batch: usize,
    remapper: Box<dyn Remapper>,
    buffers: Buffers,
    cache: Cache,
    /// What an adaptive ring learns, it knows in the next invocation too.
    window: Mutex<Window>,
    /// Room for the images of each slot's batch.
    outputs: Mutex<Vec<Room>>,
    tracer: Option<Tracer>,
    /// What tests put a disk of their own in the place of.
    pub(super) read_file: ReadFile,
}

/// What an invocation spent and counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Spent {
    /// Of each stage, the time in which one of its threads worked and waited, on average.
    pub(super) busy: [Duration; STAGES.len()],
    pub(super) waiting: [Duration; STAGES.len()],
    /// By the device's own timestamps, where it has them.
    pub(super) device: Option<Nanoseconds>,
    /// Files that were opened.
    pub(super) reads: u64,
    /// Frames that were there when they were asked for, of all.
    pub(super) hits: u64,
    pub(super) frames: u64,
    /// In which the device was without frames.
    pub(super) starved: Duration,
    /// Least and most of the ring.
    pub(super) depths: Option<(usize, usize)>,
    /// Frames in memory at once.
    pub(super) most_frames: usize,
    /// Buffers of the pool that nobody holds when it is over.
    pub(super) free: Option<usize>,
    pub(super) cached: usize,
    /// Frames that were left out, with what is wrong with them.
    pub(super) failed: Vec<(usize, String)>,
    pub(super) stretches: Vec<Stretch>,
}

/// A batch on its way, with the numbers of its frames.
struct Work {
    numbers: Vec<usize>,
    batch: Batch,
}

/// Room on the device and for images, which goes round.
struct Slot {
    number: usize,
    outputs: Room,
}

/// Counted while an invocation runs.
struct Counted {
    meters: Meters,
    reads: AtomicU64,
    device: Mutex<Option<Nanoseconds>>,
    /// The first thing that went wrong.
    failure: Mutex<Option<Ending>>,
}

impl Pipeline {
    /// Batches that the remapper must have room for at once.
    pub(super) fn slots(flow: &Flow) -> usize {
        if flow.is_overlapped { SLOTS } else { 1 }
    }

    /// `remapper` was prepared for so many slots and frames.
    ///
    /// # Errors
    /// What allocating pinned memory came to.
    pub(super) fn new(
        scene: &Arc<Scene>,
        flow: Flow,
        batch: usize,
        remapper: Box<dyn Remapper>,
        tracer: Option<Tracer>,
    ) -> Result<Pipeline, Ending> {
        let pin = || Ok(Room::Pinned(remapper.pin(room_of_a_frame(scene))?, 0));
        let pipeline = Pipeline {
            scene: scene.clone(),
            flow,
            batch,
            buffers: Buffers::new(flow.pool, pin)?,
            remapper,
            cache: Cache::new(flow.cache),
            window: Mutex::new(Window::new(&flow, batch)),
            outputs: Mutex::default(),
            tracer,
            read_file: from_disk,
        };
        pipeline.make_outputs()?;
        Ok(pipeline)
    }

    /// Room for images where it is missing: at first, and after an invocation that failed.
    fn make_outputs(&self) -> Result<(), Ending> {
        let size = self.batch * self.scene.images_bytes();
        let mut outputs = lock(&self.outputs);
        while outputs.len() < Pipeline::slots(&self.flow) {
            outputs.push(match self.flow.pool {
                Pool::Pinned(_) => Room::Pinned(self.remapper.pin(size)?, size),
                _ => Room::Heap(vec![0; size]),
            });
        }
        Ok(())
    }

    pub(super) fn remapper(&self) -> &dyn Remapper {
        &*self.remapper
    }

    /// Overwrites the room for images.
    pub(super) fn poison(&self) {
        for outputs in &mut *lock(&self.outputs) {
            outputs.fill(POISON);
        }
        self.remapper.poison();
    }

    /// Every frame once, in its order: `hand_on` gets a frame's number and `[camera][height][width][3]`.
    ///
    /// # Errors
    /// The first thing that went wrong, in whichever stage.
    ///
    /// # Panics
    /// When a stage does; every thread has ended then.
    pub(super) fn run(&self, hand_on: &mut dyn FnMut(usize, &[u8])) -> Result<Spent, Ending> {
        let counted = Counted {
            meters: Meters::new(self.tracer.as_ref(), self.flow.io_threads),
            reads: AtomicU64::new(0),
            device: Mutex::new(None),
            failure: Mutex::new(None),
        };
        self.make_outputs()?;
        self.buffers.take_most();
        lock(&self.window).start();
        let reading = Reading {
            scene: &self.scene,
            buffers: &self.buffers,
            cache: &self.cache,
            meters: &counted.meters,
            reads: &counted.reads,
            read_file: self.read_file,
        };
        let (reading, counting) = (&reading, &counted);
        let gathered = std::thread::scope(|scope| {
            let frames = self.scene.files.len();
            // The window bounds both. The second is no bounded queue since those keep what nobody takes any more until their
            // senders are gone too, which wait for the buffers that are in it.
            let (give_ticket, tickets) = bounded(frames);
            let (arrive, arrived) = unbounded();
            let mut threads: Vec<_> = (0..self.flow.io_threads)
                .map(|lane| {
                    let (tickets, arrive) = (tickets.clone(), arrive.clone());
                    scope.spawn(move || reading.work(lane, &tickets, &arrive))
                })
                .collect();
            drop((tickets, arrive));
            let gather = Gather {
                pipeline: self,
                tickets: give_ticket,
                arrived,
                waiting: BTreeMap::new(),
                issued: 0,
                head: 0,
                told: Told::default(),
            };
            let told = match self.flow.is_overlapped {
                false => Some(self.in_turn(gather, counting, hand_on)),
                true => {
                    let gathering = self.overlapped(scope, gather, counting, &mut threads, hand_on);
                    join(vec![gathering]).pop()
                }
            };
            join(threads);
            told
        });
        let told = gathered.unwrap_or_default();
        if let Some(ending) = lock(&counted.failure).take() {
            return Err(ending);
        }
        Ok(self.spent(&counted, told))
    }

    fn spent(&self, counted: &Counted, told: Told) -> Spent {
        let of = |stage: usize, sum: Duration| match stage {
            READ | DECODE => sum / self.flow.io_threads as u32,
            _ => sum,
        };
        Spent {
            busy: std::array::from_fn(|stage| of(stage, counted.meters.busy(stage))),
            waiting: std::array::from_fn(|stage| of(stage, counted.meters.waiting(stage))),
            device: *lock(&counted.device),
            reads: counted.reads.load(Ordering::Relaxed),
            hits: told.hits,
            starved: told.starved,
            frames: self.scene.files.len() as u64,
            depths: lock(&self.window).depths,
            most_frames: self.buffers.take_most(),
            free: self.buffers.free(),
            cached: self.cache.held(),
            failed: told.failed,
            stretches: counted.meters.take_stretches(),
        }
    }

    /// One batch after another, one step after another, on this thread.
    fn in_turn(
        &self,
        mut gather: Gather<'_>,
        counted: &Counted,
        hand_on: &mut dyn FnMut(usize, &[u8]),
    ) -> Told {
        let outputs = lock(&self.outputs).pop();
        let mut slot = Slot {
            number: 0,
            outputs: outputs.unwrap_or_default(),
        };
        let result = loop {
            let frames = match gather.next() {
                Ok(Some(frames)) => frames,
                Ok(None) => break Ok(()),
                Err(ending) => break Err(ending),
            };
            let mut work = self.admit(frames, slot);
            let done = self
                .upload(&work, counted)
                .and_then(|()| self.remap(&mut work, counted))
                .and_then(|()| self.download(&mut work, counted));
            if done.is_ok() {
                self.hand_on(&work, counted, hand_on);
            }
            slot = Slot {
                number: 0,
                outputs: work.batch.outputs,
            };
            if let Err(ending) = done {
                break Err(ending);
            }
        };
        lock(&self.outputs).push(slot.outputs);
        counted.keep(result);
        gather.told
    }

    /// Each step on a thread; this one hands on. Returns the thread that gathers.
    fn overlapped<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        mut gather: Gather<'env>,
        counted: &'env Counted,
        threads: &mut Vec<ScopedJoinHandle<'scope, ()>>,
        hand_on: &mut dyn FnMut(usize, &[u8]),
    ) -> ScopedJoinHandle<'scope, Told> {
        let (give_slot, slots) = bounded(SLOTS);
        let outputs = std::mem::take(&mut *lock(&self.outputs));
        for (number, outputs) in (0..SLOTS).zip(outputs) {
            // There is room for all of them.
            let _ = give_slot.send(Slot { number, outputs });
        }
        // The ring before it is the queue: what waits here would be beyond its depth.
        let (to_upload, uploads) = bounded(0);
        // Every batch in the others has a slot, so they never hold more than there are. No bounded queues, which keep what nobody
        // takes any more (see `run`): the frames of a batch behind one that failed would be missing to the readers.
        let (to_remap, remaps) = unbounded();
        let (to_download, downloads) = unbounded();
        let (to_hand_on, hand_ons) = unbounded();
        let gathering = scope.spawn(move || {
            let result = loop {
                match gather.next() {
                    Ok(Some(frames)) => {
                        if to_upload.send(frames).is_err() {
                            break Ok(());
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(ending) => break Err(ending),
                }
            };
            counted.keep(result);
            gather.told
        });
        threads.push(scope.spawn(move || {
            counted.keep(self.stage_of_upload(counted, &slots, &uploads, &to_remap));
            // Nothing is taken any more where it failed; what the slots hold is kept for the next invocation.
            let mut outputs = lock(&self.outputs);
            outputs.extend(slots.try_iter().map(|slot| slot.outputs));
        }));
        threads.push(scope.spawn(move || {
            let step = |work: &mut Work| {
                let done = self.remap(work, counted);
                work.batch.frames.clear();
                done
            };
            counted.keep(counted.stage(REMAP, &remaps, &to_download, step));
        }));
        threads.push(scope.spawn(move || {
            let step = |work: &mut Work| self.download(work, counted);
            counted.keep(counted.stage(DOWNLOAD, &downloads, &to_hand_on, step));
        }));
        loop {
            let waited = counted.meters.now();
            let Ok(work) = hand_ons.recv() else { break };
            counted.meters.waited(HAND_ON, waited);
            self.hand_on(&work, counted, hand_on);
            let slot = Slot {
                number: work.batch.slot,
                outputs: work.batch.outputs,
            };
            if let Err(unwanted) = give_slot.send(slot) {
                lock(&self.outputs).push(unwanted.0.outputs);
            }
        }
        gathering
    }

    fn stage_of_upload(
        &self,
        counted: &Counted,
        slots: &Receiver<Slot>,
        uploads: &Receiver<Gathered>,
        to_remap: &Sender<Work>,
    ) -> Result<(), Ending> {
        loop {
            let waited = counted.meters.now();
            // The slot before the frames, so that no batch waits for one here.
            let Ok(slot) = slots.recv() else {
                return Ok(());
            };
            let Ok(frames) = uploads.recv() else {
                lock(&self.outputs).push(slot.outputs);
                return Ok(());
            };
            counted.meters.waited(UPLOAD, waited);
            let work = self.admit(frames, slot);
            self.upload(&work, counted)?;
            let waited = counted.meters.now();
            if to_remap.send(work).is_err() {
                return Ok(());
            }
            counted.meters.waited(UPLOAD, waited);
        }
    }

    fn admit(&self, gathered: Gathered, slot: Slot) -> Work {
        let mut outputs = slot.outputs;
        outputs.resize(gathered.frames.len() * self.scene.images_bytes());
        Work {
            numbers: gathered.numbers,
            batch: Batch {
                slot: slot.number,
                frames: gathered.frames,
                outputs,
            },
        }
    }

    fn upload(&self, work: &Work, counted: &Counted) -> Result<(), Ending> {
        let started = counted.meters.now();
        let done = self.remapper.upload(&work.batch);
        (counted.meters).worked(UPLOAD, 0, started, &work.numbers);
        self.of_frames(work, done)
    }

    fn remap(&self, work: &mut Work, counted: &Counted) -> Result<(), Ending> {
        let started = counted.meters.now();
        let done = self.remapper.remap(&mut work.batch);
        lock(&self.window).has_remapped(work.numbers.len(), started.elapsed());
        (counted.meters).worked(REMAP, 0, started, &work.numbers);
        let device = self.of_frames(work, done)?;
        if let Some(time) = device {
            lock(&counted.device).get_or_insert_default().0 += time.0;
        }
        Ok(())
    }

    fn download(&self, work: &mut Work, counted: &Counted) -> Result<(), Ending> {
        let started = counted.meters.now();
        let done = self.remapper.download(&mut work.batch);
        (counted.meters).worked(DOWNLOAD, 0, started, &work.numbers);
        self.of_frames(work, done)
    }

    fn hand_on(&self, work: &Work, counted: &Counted, hand_on: &mut dyn FnMut(usize, &[u8])) {
        let started = counted.meters.now();
        let images = work.batch.outputs.chunks_exact(self.scene.images_bytes());
        for (number, images) in work.numbers.iter().zip(images) {
            hand_on(*number, images);
        }
        (counted.meters).worked(HAND_ON, 0, started, &work.numbers);
    }

    /// What went wrong, with the frames in which it did.
    fn of_frames<T>(&self, work: &Work, done: Result<T, Ending>) -> Result<T, Ending> {
        done.map_err(|ending| match ending {
            Ending::Failed { reason } => {
                let name = |k: &usize| self.scene.files[*k].display().to_string();
                let names = match &work.numbers[..] {
                    [] => String::new(),
                    [one] => name(one),
                    [first, .., last] => format!("{} to {}", name(first), name(last)),
                };
                let reason = format!("{names}: {reason}");
                Ending::Failed { reason }
            }
            other => other,
        })
    }
}

impl Counted {
    fn keep(&self, result: Result<(), Ending>) {
        if let Err(ending) = result {
            lock(&self.failure).get_or_insert(ending);
        }
    }

    /// A stage between two queues.
    fn stage(
        &self,
        stage: usize,
        from: &Receiver<Work>,
        to: &Sender<Work>,
        step: impl Fn(&mut Work) -> Result<(), Ending>,
    ) -> Result<(), Ending> {
        loop {
            let waited = self.meters.now();
            let Ok(mut work) = from.recv() else {
                return Ok(());
            };
            self.meters.waited(stage, waited);
            step(&mut work)?;
            let waited = self.meters.now();
            if to.send(work).is_err() {
                return Ok(());
            }
            self.meters.waited(stage, waited);
        }
    }
}

/// A frame that was read before its turn.
struct Waiting {
    frame: Result<Frame, String>,
    /// Whether it never left the memory: it was there before anybody asked, whenever that was.
    is_cached: bool,
}

/// Frames of a batch, in their order; those that failed are not among them.
struct Gathered {
    numbers: Vec<usize>,
    frames: Vec<Frame>,
}

/// What gathering has to tell when it is over.
#[derive(Default)]
struct Told {
    hits: u64,
    starved: Duration,
    failed: Vec<(usize, String)>,
}

/// Gives out tickets as far as the window allows, and takes frames in their order, in whichever they arrive.
struct Gather<'a> {
    pipeline: &'a Pipeline,
    tickets: Sender<usize>,
    /// `None`: a reader has panicked.
    arrived: Receiver<Option<Arrived>>,
    /// Those that were read before their turn.
    waiting: BTreeMap<usize, Waiting>,
    issued: usize,
    head: usize,
    told: Told,
}

impl Gather<'_> {
    /// The next batch that has any frame; `None` after the last, or where a reader has gone.
    fn next(&mut self) -> Result<Option<Gathered>, Ending> {
        let all = self.pipeline.scene.files.len();
        let mut gathered = Gathered {
            numbers: vec![],
            frames: vec![],
        };
        while gathered.frames.is_empty() && self.head < all {
            let asked = (self.head + self.pipeline.batch).min(all);
            // What has arrived meanwhile was there when it was asked for.
            while let Ok(arrived) = self.arrived.try_recv() {
                let Some(arrived) = arrived else {
                    return Ok(None);
                };
                self.accept(arrived);
            }
            let early = self.waiting.range(self.head..asked);
            self.told.hits += early.filter(|(_, w)| !w.is_cached).count() as u64;
            while self.head < asked {
                self.issue(asked);
                let Some(frame) = self.take() else {
                    return Ok(None);
                };
                match (frame, self.pipeline.scene.on_bad_frame) {
                    (Ok(frame), _) => {
                        gathered.numbers.push(self.head);
                        gathered.frames.push(frame);
                    }
                    (Err(reason), OnBadFrame::Skip) => self.told.failed.push((self.head, reason)),
                    (Err(reason), OnBadFrame::Abort) => return Err(Ending::Failed { reason }),
                }
                self.head += 1;
            }
            // The window has moved on: readers go on while the batch is worked on.
            self.issue(asked);
        }
        Ok((!gathered.frames.is_empty()).then_some(gathered))
    }

    fn issue(&mut self, asked: usize) {
        let limit = lock(&self.pipeline.window).limit(self.head, asked);
        let limit = limit.min(self.pipeline.scene.files.len());
        while self.issued < limit {
            // There is room for every frame's; readers that are gone show when nothing arrives.
            let _ = self.tickets.send(self.issued);
            self.issued += 1;
        }
    }

    /// Waits for the frame whose turn it is.
    fn take(&mut self) -> Option<Result<Frame, String>> {
        loop {
            if let Some(waiting) = self.waiting.remove(&self.head) {
                self.told.hits += u64::from(waiting.is_cached);
                return Some(waiting.frame);
            }
            let waited = Instant::now();
            let arrived = self.arrived.recv().ok()??;
            self.told.starved += waited.elapsed();
            self.accept(arrived);
        }
    }

    fn accept(&mut self, arrived: Arrived) {
        if let Some(took) = arrived.took {
            lock(&self.pipeline.window).has_read(took);
        }
        let waiting = Waiting {
            frame: arrived.frame,
            is_cached: arrived.took.is_none(),
        };
        self.waiting.insert(arrived.number, waiting);
    }
}

/// Waits for all; then goes on with a panic of one of them.
fn join<T>(threads: Vec<ScopedJoinHandle<'_, T>>) -> Vec<T> {
    let ended: Vec<_> = threads.into_iter().map(ScopedJoinHandle::join).collect();
    let good = |result: std::thread::Result<T>| {
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    };
    ended.into_iter().map(good).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
