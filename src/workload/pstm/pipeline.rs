//! From the disk to the image: tiles in their order, the traces of each from the cache, loads that are read ahead, tiles and bins
//! in flight. Where the sums are made is an [`Engine`]'s affair: a processor's threads or a GPU.
#![allow(clippy::disallowed_methods, reason = "stages are timed where they run")]
use super::exact;
use super::lanes::Sample;
use super::scene::Scene;
use super::settings::{Aperture, Io, Settings, TileOrder, Traversal};
use super::store::{Batch, CHUNK, Cache, Counters, Mapped, Store};
use super::tiles::{Field, Tile, tiles};
use crate::trial::Ending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Of a trace of a load: number, offset, geometry as it is and by component.
const PLACE_BYTES: usize = 40;

/// Of a trace in the list of a pillar.
const LISTED_BYTES: usize = 32;

/// Which load this is of which tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) bin: usize,
    pub(super) tile: &'a Tile,
    /// The tile's first load: its sums begin at nothing.
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

/// What sums up.
pub(super) trait Engine<T>: Sync {
    /// Adds a load to its tile's sums. Loads of one tile come in order and from one lane; lanes work at once.
    ///
    /// # Errors
    /// What went wrong on the device.
    fn migrate(&self, lane: usize, place: Place<'_>, batch: &Batch<T>) -> Result<(), Ending>;
}

/// What an invocation spent, over all bins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// For traces that were not there yet, and for sums: of one lane, on average.
    pub(super) waiting: Duration,
    pub(super) migrating: Duration,
    pub(super) counters: Counters,
    pub(super) loads: u64,
}

impl Spent {
    fn add(&mut self, other: Spent, lanes: u32) {
        self.waiting += other.waiting / lanes;
        self.migrating += other.migrating / lanes;
        self.counters.hits += other.counters.hits;
        self.counters.misses += other.counters.misses;
        self.loads += other.loads;
    }
}

#[derive(Debug)]
pub(super) struct Pipeline<T> {
    scene: Arc<Scene>,
    settings: Settings,
    stores: Vec<Store>,
    mapped: Vec<Mapped<T>>,
    fields: Arc<Vec<Field>>,
    pub(super) tiles: Vec<Tile>,
    /// Traces of a load at most.
    pub(super) capacity: usize,
    cache_bytes: u64,
}

/// Reads the loads of a bin, one after the other.
struct Loader<'a, T> {
    pipeline: &'a Pipeline<T>,
    bin: usize,
    cache: Cache<T>,
    next: usize,
    loads: u64,
}

impl<T: Sample> Loader<'_, T> {
    /// The next tile with the traces that it needs.
    fn tile(&mut self) -> Option<(usize, Vec<u32>)> {
        let pipeline = self.pipeline;
        let tile = pipeline.tiles.get(self.next)?;
        self.next += 1;
        let gather = &pipeline.scene.gathers[self.bin];
        let reach = pipeline.reach();
        Some((
            self.next - 1,
            pipeline.fields[self.bin].within(&pipeline.scene, gather, tile, reach),
        ))
    }

    fn fill(&mut self, batch: &mut Batch<T>, traces: &[u32]) -> Result<(), Ending> {
        let pipeline = self.pipeline;
        let geometry = &pipeline.scene.gathers[self.bin].geometry;
        let store = &pipeline.stores[self.bin];
        self.loads += 1;
        match pipeline.mapped.get(self.bin) {
            Some(mapped) => {
                batch.refer(traces, geometry, store.stride, mapped);
                Ok(())
            }
            None => batch
                .fill(traces, geometry, store, &mut self.cache)
                .map_err(|reason| Ending::Failed { reason }),
        }
    }
}

/// A load on its way to a lane.
struct Load<T> {
    tile: usize,
    is_first: bool,
    is_last: bool,
    batch: Batch<T>,
}

impl<T: Sample> Pipeline<T> {
    /// # Errors
    /// What keeps the traces from being stored or mapped, and `Unsupported` for what cannot matter here.
    pub(super) fn new(
        scene: &Arc<Scene>,
        fields: &Arc<Vec<Field>>,
        settings: &Settings,
        stores: Vec<Store>,
    ) -> Result<Pipeline<T>, Ending> {
        let unsupported = |reason: String| Ending::Unsupported { reason };
        let tiles = tiles(scene.shape, settings.tile, settings.tile_order);
        let budget = scene.memory.0 * settings.memory_percent as u64 / 100;
        let cache_bytes = budget * settings.cache_percent as u64 / 100;
        let lanes = settings.tiles_in_flight * (settings.prefetch + 1) * settings.bins_in_flight;
        // Of a trace on its way: its samples, its place, and its entry in the list of every pillar that a thread has at hand.
        let stride = stores.first().map_or(0, |s| s.stride);
        let pillars = match settings.traversal {
            Traversal::TraceScatter => settings.group[0] * settings.group[1],
            Traversal::TileGather => 1,
        };
        let listed = LISTED_BYTES * settings.threads * pillars;
        let room = (budget - cache_bytes) / lanes as u64;
        let capacity = |samples: usize| (room / (samples + PLACE_BYTES + listed) as u64) as usize;
        let mut mapped = vec![];
        let capacity = match settings.io {
            Io::ZeroCopy => {
                for store in &stores {
                    if store.traces * store.stride > i32::MAX as usize {
                        return Err(unsupported("io=zero_copy counts the samples of a file in 31 bits, and this one has more".into()));
                    }
                    mapped.push(store.map().map_err(unsupported)?);
                }
                capacity(0).max(CHUNK)
            }
            _ => capacity(stride * T::BYTES).clamp(CHUNK, i32::MAX as usize / stride.max(1)),
        };
        let pipeline = Pipeline {
            scene: scene.clone(),
            settings: *settings,
            stores,
            mapped,
            fields: fields.clone(),
            tiles,
            capacity,
            cache_bytes,
        };
        match pipeline.refusal() {
            Some(reason) => Err(unsupported(reason)),
            None => Ok(pipeline),
        }
    }

    /// What would be the same code under another name (WORKLOADS §0.6).
    fn refusal(&self) -> Option<String> {
        let (settings, tiles) = (&self.settings, self.tiles.len());
        let [nx, ny, _] = self.scene.shape;
        if settings.tiles_in_flight > tiles {
            return Some(format!(
                "{} tiles in flight, but tiles of {} × {} make {tiles} of the grid of {nx} × {ny}",
                settings.tiles_in_flight, settings.tile[0], settings.tile[1]
            ));
        }
        if settings.tile_order != TileOrder::RowMajor && tiles < 3 {
            return Some(format!(
                "tile_order: there is no other way through {tiles} tiles"
            ));
        }
        let most = (self.fields.iter().zip(&self.scene.gathers))
            .map(|(field, gather)| {
                field
                    .within(&self.scene, gather, &self.tiles[0], self.reach())
                    .len()
            })
            .max()
            .unwrap_or(0);
        if settings.prefetch > 0 && tiles == 1 && most <= self.capacity {
            return Some(
                "prefetch: the only tile is read in one load, so there is nothing to read ahead"
                    .into(),
            );
        }
        None
    }

    /// Traces farther than this from a tile's nodes cannot matter to them.
    fn reach(&self) -> f64 {
        let scene = &self.scene;
        match self.settings.imaging.aperture {
            Aperture::Fixed | Aperture::DepthAdaptive => scene.amax,
            // With the fastest of all velocities at the last time.
            Aperture::Dip => (0..scene.shape[2])
                .map(|it| exact::radius(scene, Aperture::Dip, it, scene.velocity.fastest()))
                .fold(scene.amin, f64::max),
        }
    }

    /// Every bin, as many at once as are in flight.
    ///
    /// # Errors
    /// The first thing that went wrong.
    pub(super) fn run(&self, engine: &dyn Engine<T>) -> Result<Spent, Ending> {
        let bins = self.scene.gathers.len();
        let at_once = self.settings.bins_in_flight;
        let next = AtomicUsize::new(0);
        let lanes = self.settings.tiles_in_flight;
        let one = |worker: usize| -> Result<Spent, Ending> {
            let mut spent = Spent::default();
            loop {
                let bin = next.fetch_add(1, Ordering::Relaxed);
                if bin >= bins {
                    return Ok(spent);
                }
                spent.add(self.bin(bin, worker * lanes, engine)?, at_once as u32);
            }
        };
        in_threads(at_once, 1, one)
    }

    fn bin(&self, bin: usize, first_lane: usize, engine: &dyn Engine<T>) -> Result<Spent, Ending> {
        let share = self.cache_bytes / self.settings.bins_in_flight as u64;
        let loader = Loader {
            pipeline: self,
            bin,
            cache: Cache::new(&self.stores[bin], share, self.settings.io != Io::Copy2),
            next: 0,
            loads: 0,
        };
        match self.settings.prefetch {
            0 => self.inline(loader, first_lane, engine),
            ahead => self.ahead(loader, ahead, first_lane, engine),
        }
    }

    /// Each lane reads its own loads, in turn.
    fn inline(
        &self,
        loader: Loader<'_, T>,
        first_lane: usize,
        engine: &dyn Engine<T>,
    ) -> Result<Spent, Ending> {
        let (lanes, bin) = (self.settings.tiles_in_flight, loader.bin);
        let loader = Mutex::new(loader);
        let lock = || loader.lock().unwrap_or_else(PoisonError::into_inner);
        let work = |lane: usize| -> Result<Spent, Ending> {
            let mut spent = Spent::default();
            let mut batch = Batch::new();
            loop {
                let started = Instant::now();
                let Some((tile, traces)) = lock().tile() else {
                    return Ok(spent);
                };
                spent.waiting += started.elapsed();
                for (n, load) in loads(&traces, self.capacity).enumerate() {
                    let started = Instant::now();
                    lock().fill(&mut batch, load)?;
                    spent.waiting += started.elapsed();
                    let place = Place {
                        bin,
                        tile: &self.tiles[tile],
                        is_first: n == 0,
                        is_last: (n + 1).saturating_mul(self.capacity) >= traces.len(),
                    };
                    let started = Instant::now();
                    engine.migrate(lane, place, &batch)?;
                    spent.migrating += started.elapsed();
                }
            }
        };
        let mut spent = in_threads(lanes, lanes, |lane| work(first_lane + lane))?;
        let loader = lock();
        (spent.counters, spent.loads) = (loader.cache.counters, loader.loads);
        Ok(spent)
    }

    /// A thread reads so many loads ahead of the lanes.
    fn ahead(
        &self,
        mut loader: Loader<'_, T>,
        ahead: usize,
        first_lane: usize,
        engine: &dyn Engine<T>,
    ) -> Result<Spent, Ending> {
        let (lanes, bin) = (self.settings.tiles_in_flight, loader.bin);
        let (give_back, free) = channel::<Batch<T>>();
        for _ in 0..lanes * (ahead + 1) {
            // The receiver is alive.
            let _ = give_back.send(Batch::new());
        }
        // One load waits in the thread's hand, the others in the channel.
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..lanes).map(|_| sync_channel(ahead - 1)).unzip();
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || -> Result<(Counters, u64), Ending> {
                read_ahead(&mut loader, &free, senders)?;
                Ok((loader.cache.counters, loader.loads))
            });
            let receivers: Vec<Mutex<Option<Receiver<Load<T>>>>> =
                receivers.into_iter().map(|r| Mutex::new(Some(r))).collect();
            let spent = in_threads(lanes, lanes, |lane| {
                let receiver = receivers[lane]
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                let receiver = receiver.expect("a lane takes its own once");
                self.consume(
                    bin,
                    first_lane + lane,
                    &receiver,
                    &give_back.clone(),
                    engine,
                )
            });
            let read = reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let mut spent = spent?;
            (spent.counters, spent.loads) = read?;
            Ok(spent)
        })
    }

    fn consume(
        &self,
        bin: usize,
        lane: usize,
        loads: &Receiver<Load<T>>,
        give_back: &Sender<Batch<T>>,
        engine: &dyn Engine<T>,
    ) -> Result<Spent, Ending> {
        let mut spent = Spent::default();
        loop {
            let started = Instant::now();
            let Ok(load) = loads.recv() else {
                return Ok(spent);
            };
            spent.waiting += started.elapsed();
            let place = Place {
                bin,
                tile: &self.tiles[load.tile],
                is_first: load.is_first,
                is_last: load.is_last,
            };
            let started = Instant::now();
            engine.migrate(lane, place, &load.batch)?;
            spent.migrating += started.elapsed();
            // The reader may be done.
            let _ = give_back.send(load.batch);
        }
    }
}

/// A tile without any trace has one load of none: its sums are zero.
fn loads(traces: &[u32], capacity: usize) -> impl Iterator<Item = &[u32]> {
    let none = traces.is_empty().then_some(traces);
    traces.chunks(capacity).chain(none)
}

/// Stops when all is read, or a lane has given up.
fn read_ahead<T: Sample>(
    loader: &mut Loader<'_, T>,
    free: &Receiver<Batch<T>>,
    lanes: Vec<SyncSender<Load<T>>>,
) -> Result<(), Ending> {
    let capacity = loader.pipeline.capacity;
    let mut turn = 0;
    while let Some((tile, traces)) = loader.tile() {
        let all = loads(&traces, capacity).count();
        for (n, load) in loads(&traces, capacity).enumerate() {
            let Ok(mut batch) = free.recv() else {
                return Ok(());
            };
            loader.fill(&mut batch, load)?;
            let load = Load {
                tile,
                is_first: n == 0,
                is_last: n + 1 == all,
                batch,
            };
            if lanes[turn % lanes.len()].send(load).is_err() {
                return Ok(());
            }
        }
        turn += 1;
    }
    Ok(())
}

/// What so many spent, in threads of their own where there are several; each counts as one part of `parts`.
fn in_threads(
    count: usize,
    parts: usize,
    work: impl Fn(usize) -> Result<Spent, Ending> + Sync,
) -> Result<Spent, Ending> {
    if count == 1 {
        return work(0);
    }
    let results: Vec<Result<Spent, Ending>> = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count).map(|k| scope.spawn(move || work(k))).collect();
        threads
            .into_iter()
            .map(|t| {
                t.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    results
        .into_iter()
        .try_fold(Spent::default(), |mut all, spent| {
            all.add(spent?, parts as u32);
            Ok(all)
        })
}
