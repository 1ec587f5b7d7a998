//! From the disk to decoded frames: threads that read what they have a ticket for, into buffers of a pool, past a cache. Who may
//! read ahead how far is decided where tickets are given out.
use super::frames::{Layout, check};
use super::pipeline_flow::Pool;
use super::pipeline_meter::{DECODE, Meters, READ};
use super::remapper::Frame;
use super::scene::Scene;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Memory for frames.
pub(super) struct Buffers {
    /// Those that are free; absent where each frame is allocated.
    free: Option<Free>,
    frames: Arc<Alive>,
}

/// Where buffers go home to, and are taken from.
type Free = (Sender<Vec<u8>>, Receiver<Vec<u8>>);

/// Frames in memory.
#[derive(Default)]
struct Alive {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A buffer, with a frame in it once one was read; goes home when it is dropped.
struct Held {
    bytes: Vec<u8>,
    pixels: Range<usize>,
    home: Option<Sender<Vec<u8>>>,
    frames: Arc<Alive>,
    is_full: bool,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.pixels.clone()]
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_full {
            self.frames.now.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(home) = &self.home {
            // The pool may be gone: then the buffer goes too.
            let _ = home.send(std::mem::take(&mut self.bytes));
        }
    }
}

impl Buffers {
    pub(super) fn new(pool: Pool) -> Buffers {
        let count = match pool {
            Pool::PerFrame | Pool::Pinned => None,
            Pool::Buffers(count) => Some(count),
        };
        let free = count.map(|count| {
            let (give, take) = unbounded();
            for _ in 0..count {
                // The receiver is beside it.
                let _ = give.send(vec![]);
            }
            (give, take)
        });
        Buffers {
            free,
            frames: Arc::default(),
        }
    }

    /// Waits until one is free.
    fn take(&self) -> Held {
        let bytes = self.free.as_ref().map(|(give, take)| {
            let bytes = take.recv().expect("the pool itself can send");
            (bytes, give.clone())
        });
        let (bytes, home) = bytes.map_or((vec![], None), |(bytes, home)| (bytes, Some(home)));
        Held {
            bytes,
            pixels: 0..0,
            home,
            frames: self.frames.clone(),
            is_full: false,
        }
    }

    /// Of a pool.
    pub(super) fn free(&self) -> Option<usize> {
        self.free.as_ref().map(|(_, take)| take.len())
    }

    /// Frames that were in memory at once, since this was asked last.
    pub(super) fn take_most(&self) -> usize {
        let now = self.frames.now.load(Ordering::Relaxed);
        self.frames.most.swap(now, Ordering::Relaxed)
    }
}

impl Held {
    fn fill(&mut self, path: &Path, room: usize, read_file: ReadFile) -> std::io::Result<()> {
        self.bytes.clear();
        self.bytes.reserve_exact(room);
        let now = self.frames.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.frames.most.fetch_max(now, Ordering::Relaxed);
        self.is_full = true;
        // A file that is longer is no frame of ours, and is not read to its end.
        read_file(path, room, &mut self.bytes)
    }
}

/// The first frames of a sequence, which stay in memory over invocations.
pub(super) struct Cache(Vec<OnceLock<Frame>>);

impl Cache {
    pub(super) fn new(frames: usize) -> Cache {
        Cache((0..frames).map(|_| OnceLock::new()).collect())
    }

    pub(super) fn held(&self) -> usize {
        self.0.iter().filter(|frame| frame.get().is_some()).count()
    }
}

/// A frame that has been read, or what is wrong with its file.
pub(super) struct Arrived {
    pub(super) number: usize,
    pub(super) frame: Result<Frame, String>,
    /// Absent where it came from the cache.
    pub(super) took: Option<Duration>,
}

/// What reading threads share.
pub(super) struct Reading<'a> {
    pub(super) scene: &'a Scene,
    pub(super) buffers: &'a Buffers,
    pub(super) cache: &'a Cache,
    pub(super) meters: &'a Meters,
    /// Files that were opened.
    pub(super) reads: &'a AtomicU64,
    pub(super) read_file: ReadFile,
}

/// Reads at most so many bytes of a file, all of it where it has no more.
pub(super) type ReadFile = fn(&Path, usize, &mut Vec<u8>) -> std::io::Result<()>;

pub(super) fn from_disk(path: &Path, most: usize, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    File::open(path)?.take(most as u64).read_to_end(bytes)?;
    Ok(())
}

/// Tells who takes frames that a reading thread has panicked: the others would go on waiting for tickets, and it for a frame.
struct Farewell<'a>(&'a Sender<Option<Arrived>>);

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // If nobody takes frames any more, all is well.
            let _ = self.0.send(None);
        }
    }
}

impl Reading<'_> {
    /// One thread: ends when there are no more tickets, or nobody takes frames any more.
    pub(super) fn work(
        &self,
        lane: usize,
        tickets: &Receiver<usize>,
        arrived: &Sender<Option<Arrived>>,
    ) {
        let _farewell = Farewell(arrived);
        let mut spare = None;
        loop {
            let waited = self.meters.now();
            // The buffer before the ticket: a frame that is due is never without a buffer while later ones have them all.
            let held = spare.take().unwrap_or_else(|| self.buffers.take());
            let Ok(number) = tickets.recv() else { return };
            self.meters.waited(READ, waited);
            let known = self.cache.0.get(number).and_then(|frame| frame.get());
            let arrival = match known {
                Some(frame) => {
                    spare = Some(held);
                    Arrived {
                        number,
                        frame: Ok(frame.clone()),
                        took: None,
                    }
                }
                None => self.read(lane, number, held),
            };
            let waited = self.meters.now();
            if arrived.send(Some(arrival)).is_err() {
                return;
            }
            self.meters.waited(READ, waited);
        }
    }

    fn read(&self, lane: usize, number: usize, mut held: Held) -> Arrived {
        let path = &self.scene.files[number];
        let named = |what: String| format!("{}: {what}", path.display());
        let started = self.meters.now();
        self.reads.fetch_add(1, Ordering::Relaxed);
        let room = self.scene.frame_bytes() + Layout::HEADER;
        let read = held.fill(path, room, self.read_file);
        let read = read.map_err(|e| named(e.to_string()));
        self.lengthen(started);
        let took = started.elapsed();
        self.meters.worked(READ, lane, started, &[number]);
        let decode = |mut held: Held| -> Result<Frame, String> {
            let header = &held.bytes[..held.bytes.len().min(Layout::HEADER)];
            let layout = Layout::read(header).map_err(named)?;
            let pixels = held.bytes.len().saturating_sub(layout.offset);
            check(self.scene, layout, pixels).map_err(named)?;
            held.pixels = layout.offset..layout.offset + pixels;
            Ok(Arc::new(held))
        };
        let started = self.meters.now();
        let frame = read.and_then(|()| decode(held));
        self.meters.worked(DECODE, lane, started, &[number]);
        if let (Ok(frame), Some(cached)) = (&frame, self.cache.0.get(number)) {
            // Another thread cannot have had the same ticket.
            let _ = cached.set(frame.clone());
        }
        Arrived {
            number,
            frame,
            took: Some(took),
        }
    }

    /// A read lasts as long as the problem says, where its disk is a simulated one.
    fn lengthen(&self, started: Instant) {
        if let Some(rest) = self.scene.io_time.checked_sub(started.elapsed()) {
            std::thread::sleep(rest);
        }
    }
}
