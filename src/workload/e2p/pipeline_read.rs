//! From the disk to decoded frames: threads that read what they have a ticket for, into buffers of a pool, past a cache. Who may
//! read ahead how far is decided where tickets are given out.
use super::frames::{Layout, check};
use super::memory::{Content, Room};
use super::pipeline_flow::Pool;
use super::pipeline_meter::{DECODE, Meters, READ};
use super::remapper::Frame;
use super::scene::Scene;
use crate::trial::Ending;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Memory for frames.
pub(super) struct Buffers {
    /// Those that are free; absent where each frame has memory of its own.
    free: Option<Free>,
    is_mapped: bool,
    frames: Arc<Alive>,
}

/// Where buffers go home to, and are taken from.
type Free = (Sender<Room>, Receiver<Room>);

/// Frames in memory.
#[derive(Default)]
struct Alive {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A buffer, with a frame in it once one was read; goes home when it is dropped.
struct Held {
    content: Content,
    pixels: Range<usize>,
    home: Option<Sender<Room>>,
    frames: Arc<Alive>,
    is_full: bool,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.content[self.pixels.clone()]
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_full {
            self.frames.now.fetch_sub(1, Ordering::Relaxed);
        }
        if let (Some(home), Content::Room(room)) = (&self.home, &mut self.content) {
            // The pool may be gone: then the buffer goes too.
            let _ = home.send(std::mem::take(room));
        }
    }
}

impl Buffers {
    /// # Errors
    /// What `pin` says, which makes pinned memory for a frame.
    pub(super) fn new(
        pool: Pool,
        pin: impl Fn() -> Result<Room, Ending>,
    ) -> Result<Buffers, Ending> {
        let rooms = match pool {
            Pool::PerFrame | Pool::Mapped => None,
            Pool::Buffers(count) => Some(Ok((0..count).map(|_| Room::default()).collect())),
            Pool::Pinned(count) => Some((0..count).map(|_| pin()).collect()),
        };
        let free = rooms.transpose()?.map(|rooms: Vec<Room>| {
            let (give, take) = unbounded();
            for room in rooms {
                // The receiver is beside it.
                let _ = give.send(room);
            }
            (give, take)
        });
        Ok(Buffers {
            free,
            is_mapped: pool == Pool::Mapped,
            frames: Arc::default(),
        })
    }

    /// Waits until one is free.
    fn take(&self) -> Held {
        let room = self.free.as_ref().map(|(give, take)| {
            let room = take.recv().expect("the pool itself can send");
            (room, give.clone())
        });
        let (room, home) = room.map_or((Room::default(), None), |(r, home)| (r, Some(home)));
        Held {
            content: match self.is_mapped {
                true => Content::Mapped(None),
                false => Content::Room(room),
            },
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
        let now = self.frames.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.frames.most.fetch_max(now, Ordering::Relaxed);
        self.is_full = true;
        // A file that is longer is no frame of ours, and is not read to its end.
        read_file(path, room, &mut self.content)
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
pub(super) type ReadFile = fn(&Path, usize, &mut Content) -> std::io::Result<()>;

pub(super) fn from_disk(path: &Path, most: usize, into: &mut Content) -> std::io::Result<()> {
    into.read(path, most)
}

/// Bytes that are read of a file at most.
pub(super) fn room_of_a_frame(scene: &Scene) -> usize {
    scene.frame_bytes() + Layout::HEADER
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
        let read = held.fill(path, room_of_a_frame(self.scene), self.read_file);
        let read = read.map_err(|e| named(e.to_string()));
        self.lengthen(started);
        let took = started.elapsed();
        self.meters.worked(READ, lane, started, &[number]);
        let decode = |mut held: Held| -> Result<Frame, String> {
            let header = &held.content[..held.content.len().min(Layout::HEADER)];
            let layout = Layout::read(header).map_err(named)?;
            let pixels = held.content.len().saturating_sub(layout.offset);
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
