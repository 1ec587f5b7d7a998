//! The pipeline around a device that does little: order, counts, memory, and that it ends whatever goes wrong in it (WORKLOADS §5b).
#![allow(
    clippy::disallowed_methods,
    reason = "tests spoil files, and time an overlap"
)]
use super::pipeline::{Pipeline, Spent};
use super::pipeline_flow::{DEEPEST, Flow, Pool, Prefetch, Ring, SHALLOWEST};
use super::pipeline_meter::{DECODE, DOWNLOAD, HAND_ON, READ, REMAP, STAGES, UPLOAD};
use super::pipeline_read::from_disk;
use super::remapper::{Batch, Remapper};
use super::scene::Scene;
use crate::device::Pinned;
use crate::trace::Tracer;
use crate::trial::Ending;
use crate::value::{Nanoseconds, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// The published baseline: everything in turn.
const IN_TURN: Flow = Flow {
    io_threads: 1,
    pool: Pool::PerFrame,
    is_overlapped: false,
    ring: Ring::None,
    prefetch: Prefetch::Batches(0),
    cache: 0,
};

const BATCH: usize = 3;

/// Small frames in a folder of their own.
struct Bed {
    scene: Arc<Scene>,
    _folder: tempfile::TempDir,
}

impl Bed {
    fn new(frames: usize, more: &[(&str, Value)]) -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let small = [
            ("frames", frames as i64),
            ("width", 64),
            ("out_width", 16),
            ("out_height", 8),
            ("cameras", 3),
        ];
        let mut problem = vec![("preset".to_owned(), Value::Text("tiny".into()))];
        problem.extend(small.map(|(k, v)| (k.to_owned(), Value::Int(v))));
        problem.extend(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        Bed {
            scene: Arc::new(Scene::new(&problem, folder.path()).unwrap()),
            _folder: folder,
        }
    }

    fn pipeline(&self, flow: Flow, batch: usize, toy: Toy) -> Pipeline {
        let toy = Toy {
            scene: Some(self.scene.clone()),
            ..toy
        };
        Pipeline::new(&self.scene, flow, batch, Box::new(toy), None).unwrap()
    }

    fn run(&self, flow: Flow) -> (Vec<(usize, usize, u64)>, Spent) {
        run(&self.pipeline(flow, BATCH, Toy::default())).unwrap()
    }
}

/// Number of the frame, of the camera, and hash of the image, in the order in which they were handed on.
type HandedOn = Vec<(usize, usize, u64)>;

fn run(pipeline: &Pipeline) -> Result<(HandedOn, Spent), Ending> {
    let mut all = vec![];
    let spent = pipeline.run(&mut |frame, images| {
        for (camera, image) in images.chunks(3 * 8 * 16).enumerate() {
            all.push((frame, camera, xxhash_rust::xxh3::xxh3_64(image)));
        }
    })?;
    Ok((all, spent))
}

/// A device whose images are bytes of the frame, and which fails where a test wants it.
#[derive(Default)]
struct Toy {
    scene: Option<Arc<Scene>>,
    takes: Duration,
    /// Stage, and which of its calls.
    fails: Option<(usize, usize)>,
    panics: Option<(usize, usize)>,
    calls: Mutex<[usize; STAGES.len()]>,
    slots: AtomicUsize,
}

impl Toy {
    fn call(&self, stage: usize, slot: usize) -> Result<(), Ending> {
        let mut calls = self.calls.lock().unwrap();
        calls[stage] += 1;
        let now = Some((stage, calls[stage]));
        drop(calls);
        self.slots.fetch_max(slot + 1, Ordering::Relaxed);
        assert!(self.panics != now, "the toy breaks");
        match self.fails == now {
            true => Err(Ending::Failed {
                reason: format!("the toy's {} fails", STAGES[stage]),
            }),
            false => Ok(()),
        }
    }
}

impl Remapper for Toy {
    fn upload(&self, batch: &Batch) -> Result<(), Ending> {
        batch.check(self.scene.as_ref().unwrap())?;
        self.call(UPLOAD, batch.slot)
    }

    fn remap(&self, batch: &mut Batch) -> Result<Option<Nanoseconds>, Ending> {
        self.call(REMAP, batch.slot)?;
        std::thread::sleep(self.takes * batch.frames.len() as u32);
        let each = self.scene.as_ref().unwrap().images_bytes();
        for (frame, images) in batch.frames.iter().zip(batch.outputs.chunks_mut(each)) {
            let frame: &[u8] = (**frame).as_ref();
            for (i, byte) in images.iter_mut().enumerate() {
                *byte = frame[i * 5 % frame.len()].wrapping_add((i / 384) as u8);
            }
        }
        Ok(Some(Nanoseconds(1.0)))
    }

    fn download(&self, batch: &mut Batch) -> Result<(), Ending> {
        self.call(DOWNLOAD, batch.slot)
    }

    fn pin(&self, size: usize) -> Result<Pinned, Ending> {
        Ok(Box::new(vec![0; size]))
    }
}

/// Every way for frames to flow that is not refused.
fn flows() -> Vec<Flow> {
    let mut all = vec![];
    let ways = [
        (Ring::None, 0),
        (Ring::None, 1),
        (Ring::None, 2),
        (Ring::Fixed(2), 0),
        (Ring::Fixed(16), 0),
        (Ring::Adaptive, 0),
    ];
    for io_threads in [1, 2, 8] {
        for pool in [
            Pool::PerFrame,
            Pool::Mapped,
            Pool::Buffers(4),
            Pool::Pinned(4),
            Pool::Buffers(16),
        ] {
            for is_overlapped in [false, true] {
                for (ring, ahead) in ways {
                    for cache in [0, 1] {
                        all.push(Flow {
                            io_threads,
                            pool,
                            is_overlapped,
                            ring,
                            prefetch: Prefetch::Batches(ahead),
                            cache,
                        });
                    }
                }
            }
        }
    }
    all
}

/// Frames in memory at most: cached ones, those on their way from the disk, the batch that is gathered, and those on the device.
fn bound(flow: &Flow, batch: usize) -> usize {
    let in_flight = match flow.is_overlapped {
        true => (1 + Pipeline::slots(flow)) * batch,
        false => batch,
    };
    let from_disk = match (flow.ring, flow.prefetch) {
        (Ring::Fixed(depth), _) => depth,
        (Ring::Adaptive, _) => DEEPEST,
        (Ring::None, Prefetch::Batches(ahead)) => (1 + ahead) * batch,
        (Ring::None, Prefetch::CameraPattern) => batch,
    };
    flow.cache + from_disk + in_flight
}

#[test]
fn every_way_hands_on_the_same_images_in_order_and_leaks_no_buffer() {
    let bed = Bed::new(23, &[]);
    let (expected, spent) = bed.run(IN_TURN);
    assert_eq!(expected.len(), 23 * 3);
    assert!(expected.is_sorted_by_key(|(frame, camera, _)| (*frame, *camera)));
    assert_eq!((spent.reads, spent.hits), (23, 0));
    for flow in flows() {
        let (images, spent) = bed.run(flow);
        assert_eq!(images, expected, "{flow:?}");
        assert_eq!(spent.reads, 23, "{flow:?}");
        match flow.pool {
            Pool::Buffers(n) | Pool::Pinned(n) => {
                assert_eq!(spent.free, Some(n - flow.cache), "{flow:?}");
            }
            Pool::PerFrame | Pool::Mapped => assert_eq!(spent.free, None),
        }
        let most = bound(&flow, BATCH);
        assert!(
            (1..=most).contains(&spent.most_frames),
            "{flow:?} {spent:?}"
        );
        match flow.ring {
            Ring::None => assert_eq!(spent.depths, None),
            Ring::Fixed(depth) => assert_eq!(spent.depths, Some((depth, depth))),
            Ring::Adaptive => {
                let (least, most) = spent.depths.unwrap();
                assert!(SHALLOWEST <= least && least <= most && most <= DEEPEST);
            }
        }
        assert_eq!(spent.device, Some(Nanoseconds(8.0)), "eight batches");
    }
}

#[test]
fn a_cache_spares_just_its_frames_from_the_second_invocation_on() {
    let bed = Bed::new(12, &[]);
    let flow = Flow {
        cache: 4,
        pool: Pool::Buffers(8),
        io_threads: 2,
        ..IN_TURN
    };
    let pipeline = bed.pipeline(flow, BATCH, Toy::default());
    let counted = |(_, spent): (HandedOn, Spent)| (spent.reads, spent.hits, spent.free);
    assert_eq!(counted(run(&pipeline).unwrap()), (12, 0, Some(4)));
    for _ in 0..2 {
        assert_eq!(counted(run(&pipeline).unwrap()), (8, 4, Some(4)));
    }
}

#[test]
fn prefetched_frames_are_there_when_they_are_asked_for() {
    let bed = Bed::new(12, &[]);
    let flow = Flow {
        prefetch: Prefetch::Batches(1),
        io_threads: 4,
        ..IN_TURN
    };
    let toy = Toy {
        takes: Duration::from_millis(20),
        ..Toy::default()
    };
    let (_, spent) = run(&bed.pipeline(flow, BATCH, toy)).unwrap();
    // The first batch cannot be; the others are read while 60 ms of a batch pass, unless the machine stands still for so long.
    assert!((1..=9).contains(&spent.hits), "{spent:?}");
}

#[test]
fn ten_times_the_frames_take_the_same_memory() {
    let flow = Flow {
        io_threads: 4,
        is_overlapped: true,
        ring: Ring::Fixed(8),
        ..IN_TURN
    };
    for frames in [30, 300] {
        let (_, spent) = Bed::new(frames, &[]).run(flow);
        assert!(spent.most_frames <= bound(&flow, BATCH), "{spent:?}");
    }
}

/// Runs on a thread, which must end: nothing of it may wait for ever.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    finished
        .recv_timeout(Duration::from_secs(60))
        .expect("it hangs, or panicked where it should not")
}

/// What fails or breaks in which call, and works in the next invocation.
#[test]
fn a_stage_that_fails_or_breaks_ends_the_invocation_and_the_next_one_is_whole() {
    for flow in flows() {
        for (stage, call) in [UPLOAD, REMAP, DOWNLOAD]
            .into_iter()
            .flat_map(|s| [(s, 1), (s, 5)])
        {
            in_time(move || {
                let bed = Bed::new(17, &[]);
                let toy = Toy {
                    fails: Some((stage, call)),
                    ..Toy::default()
                };
                let pipeline = bed.pipeline(flow, BATCH, toy);
                let Err(Ending::Failed { reason }) = run(&pipeline) else {
                    panic!("{flow:?}: {} did not fail", STAGES[stage]);
                };
                let named = format!("the toy's {} fails", STAGES[stage]);
                let first = format!("{:05}.npy", (call - 1) * BATCH);
                assert!(
                    reason.contains(&named) && reason.contains(&first),
                    "{reason}"
                );
                assert_eq!(run(&pipeline).unwrap().0.len(), 17 * 3);
            });
        }
    }
}

#[test]
fn a_stage_that_panics_ends_every_thread_and_the_panic_comes_out() {
    for flow in flows().into_iter().filter(|flow| flow.cache == 0) {
        for stage in [READ, UPLOAD, REMAP, DOWNLOAD, HAND_ON] {
            in_time(move || {
                let bed = Bed::new(17, &[]);
                let toy = Toy {
                    panics: Some((stage, 3)),
                    ..Toy::default()
                };
                let mut pipeline = bed.pipeline(flow, BATCH, toy);
                if stage == READ {
                    pipeline.read_file = |path: &Path, most, bytes| {
                        assert!(!path.ends_with("00007.npy"), "the disk breaks");
                        from_disk(path, most, bytes)
                    };
                }
                let broken = catch_unwind(AssertUnwindSafe(|| {
                    pipeline.run(&mut |frame, _| assert!(stage != HAND_ON || frame < 5, "no more"))
                }));
                assert!(broken.is_err(), "{flow:?}: {}", STAGES[stage]);
                pipeline.read_file = from_disk;
                assert_eq!(run(&pipeline).unwrap().0.len(), 17 * 3, "{flow:?}");
            });
        }
    }
}

/// What may be wrong with a file, by frame.
fn spoil(scene: &Scene) -> [(usize, &'static str); 4] {
    let file = |k: usize| &scene.files[k];
    std::fs::remove_file(file(1)).unwrap();
    let whole = std::fs::read(file(4)).unwrap();
    std::fs::write(file(4), &whole[..whole.len() - 1]).unwrap();
    std::fs::write(file(5), b"not a frame").unwrap();
    let longer = [&whole[..], b"more"].concat();
    std::fs::write(file(11), longer).unwrap();
    [
        (1, "No such file"),
        (4, "bytes of pixels"),
        (5, "neither .npy"),
        (11, "bytes of pixels"),
    ]
}

#[test]
fn bad_frames_are_left_out_with_their_names_and_the_others_are_handed_on() {
    for flow in flows() {
        in_time(move || {
            let bed = Bed::new(14, &[]);
            let bad = spoil(&bed.scene);
            let (images, spent) = bed.run(flow);
            let mut handed_on: Vec<usize> = images.iter().map(|(frame, ..)| *frame).collect();
            handed_on.dedup();
            let good = (0..14).filter(|k| bad.iter().all(|(b, _)| b != k));
            assert_eq!(handed_on, good.collect::<Vec<_>>(), "{flow:?}");
            assert_eq!(spent.failed.len(), 4);
            for ((frame, why), (k, what)) in spent.failed.iter().zip(bad) {
                let name = format!("{k:05}.npy: ");
                assert_eq!(*frame, k);
                assert!(why.contains(&name) && why.contains(what), "{why}");
            }
            if let Pool::Buffers(n) | Pool::Pinned(n) = flow.pool {
                assert_eq!(spent.free, Some(n - flow.cache), "{flow:?}");
            }
        });
    }
}

#[test]
fn a_batch_of_bad_frames_only_is_passed_over() {
    let bed = Bed::new(9, &[]);
    for k in 3..6 {
        std::fs::remove_file(&bed.scene.files[k]).unwrap();
    }
    let (images, spent) = bed.run(IN_TURN);
    assert_eq!((images.len(), spent.failed.len()), (6 * 3, 3));
}

#[test]
fn a_bad_frame_ends_the_invocation_with_its_name_where_the_plan_says_so() {
    for flow in flows() {
        in_time(move || {
            let bed = Bed::new(14, &[("on_bad_frame", Value::Text("abort".into()))]);
            spoil(&bed.scene);
            let pipeline = bed.pipeline(flow, BATCH, Toy::default());
            match run(&pipeline) {
                Err(Ending::Failed { reason }) => {
                    assert!(reason.contains("00001.npy: No such file"), "{reason}");
                }
                other => panic!("{flow:?}: {other:?}"),
            }
        });
    }
}

#[test]
fn spans_of_a_pipeline_have_their_frames() {
    let bed = Bed::new(7, &[]);
    let tracer = Tracer::new(1000);
    let flow = Flow {
        io_threads: 2,
        is_overlapped: true,
        ..IN_TURN
    };
    let toy = Toy {
        scene: Some(bed.scene.clone()),
        ..Toy::default()
    };
    let remapper = Box::new(toy);
    let pipeline = Pipeline::new(&bed.scene, flow, BATCH, remapper, Some(tracer.clone())).unwrap();
    run(&pipeline).unwrap();
    let traced = tracer.take();
    let of = |stage: usize| traced.spans.iter().filter(move |s| s.name == STAGES[stage]);
    assert_eq!((of(READ).count(), of(DECODE).count()), (7, 7));
    for stage in [UPLOAD, REMAP, DOWNLOAD, HAND_ON] {
        let frames: Vec<_> = of(stage)
            .map(|s| (s.notes["frame"].clone(), s.thread))
            .collect();
        let firsts: Vec<u64> = frames.iter().map(|(f, _)| f.as_u64().unwrap()).collect();
        assert_eq!(firsts, [0, 3, 6], "{}", STAGES[stage]);
        assert!(frames.iter().all(|(_, thread)| *thread == frames[0].1));
    }
}

/// WORKLOADS §5b: N(T_io + T_c) one after the other; overlapped at best the longer of the two, over as many threads as read.
#[test]
fn overlap_takes_less_than_the_sum_of_what_overlaps() {
    let bed = Bed::new(16, &[("io_ms", Value::Int(20))]);
    let timed = |flow: Flow| {
        let toy = Toy {
            takes: Duration::from_millis(10),
            ..Toy::default()
        };
        let pipeline = bed.pipeline(flow, 1, toy);
        let started = Instant::now();
        run(&pipeline).unwrap();
        started.elapsed()
    };
    let in_turn = timed(IN_TURN);
    let overlapped = timed(Flow {
        io_threads: 4,
        is_overlapped: true,
        ring: Ring::Fixed(8),
        ..IN_TURN
    });
    let ms = Duration::from_millis;
    assert!(in_turn >= ms(16 * 30), "{in_turn:?}");
    // max(16 · 20 / 4, 16 · 10) ms; sleeping takes no processor, so that a busy machine has twice the bound to spare.
    assert!(
        (ms(160)..ms(160 * 5 / 2)).contains(&overlapped),
        "{overlapped:?}"
    );
}
