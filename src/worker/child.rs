//! The campaign's end of the link: starts the worker as a child of this machine, sends it orders, and turns its death into the
//! ending of the variant that killed it.
#![allow(
    unsafe_code,
    reason = "asking the kernel to end the worker when its campaign dies (prctl)"
)]
use super::protocol::{LoadOrder, Order, Reply, Request, receive, send};
use super::{Runner, WorkerLost};
use crate::measure::{BlockOrder, CheckOrder, Checked, ExpectOrder, memory};
use crate::plan::WorkloadChoice;
use crate::trace::{self, Moment, Note, Tracer, Track};
use crate::trial::{Block, Cell, Conditions, Ending, Place, VariantId};
use crate::value::{Bytes, Nanoseconds};
use crate::workload::command::signal_name;
use std::io::{BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A local worker, started when needed and replaced when it is lost or has measured enough.
#[derive(Debug)]
pub struct Child {
    program: PathBuf,
    load: LoadOrder,
    interrupted: Arc<AtomicBool>,
    /// Where the campaign's own spans go, and through which its workers' come; absent where no trace is wanted.
    track: Option<Track>,
    /// Above this resident size the worker is killed before the machine suffers.
    memory_guard: Option<Bytes>,
    link: Option<Link>,
    started: u32,
    /// As the last worker said.
    place: Option<Place>,
}

#[derive(Debug)]
struct Link {
    process: std::process::Child,
    requests: ChildStdin,
    replies: Receiver<std::io::Result<Reply>>,
    last_words: Arc<Mutex<Vec<u8>>>,
    blocks_done: u32,
    blocks_before_replacement: Option<u32>,
    /// Nanoseconds by which its clock is behind the campaign's.
    behind: i64,
}

/// How often the campaign looks up from waiting: for Ctrl-C, and at the worker's memory.
const LOOK_UP: Duration = Duration::from_millis(200);

/// The worker's own watchdog comes first; this much later the campaign stops waiting for a worker that hangs altogether.
const GRACE: f64 = 10e9;

/// Questions about a worker's clock; the quickest answer counts.
const CLOCK_EXCHANGES: usize = 8;

/// The thread of a trace on which phases, blocks and checks lie.
pub const CAMPAIGN_THREAD: &str = "campaign";

/// What of the worker's stderr is kept for the message.
const LAST_WORDS: usize = 4096;

/// An answer, or how the worker ended instead.
enum Answer {
    Reply(Reply),
    Died(Ending),
}

impl Child {
    /// `program` is this very binary; it is started with the hidden subcommand `__worker`.
    /// With a tracer, `load.trace` must say so too.
    pub fn new(
        program: PathBuf,
        load: LoadOrder,
        interrupted: Arc<AtomicBool>,
        tracer: Option<&Tracer>,
    ) -> Child {
        let guard = crate::device::available_memory().map(|all| Bytes(all.0 / 10 * 8));
        Child {
            memory_guard: load.memory_limit.or(guard),
            program,
            load,
            interrupted,
            track: tracer.map(|tracer| tracer.track(0, CAMPAIGN_THREAD)),
            link: None,
            started: 0,
            place: None,
        }
    }

    /// Where its workers measure, once one has loaded the workload.
    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    fn link(&mut self) -> Result<&mut Link, WorkerLost> {
        if self.link.is_none() {
            self.started += 1;
            let opened = self.moment();
            let mut link = Link::start(&self.program)?;
            let sent = send(&mut link.requests, &Request::Load(self.load.clone()));
            self.link = Some(link);
            sent.map_err(|e| WorkerLost::Gone(format!("the worker does not take orders: {e}")))?;
            match self.answer(f64::INFINITY)? {
                Answer::Reply(Reply::Loaded(place)) => self.place = Some(place),
                Answer::Reply(Reply::Refused(reason)) => return Err(self.refused(reason)),
                Answer::Reply(Reply::Absent(reason)) => {
                    self.retire();
                    return Err(WorkerLost::Absent(reason));
                }
                Answer::Reply(other) => return Err(self.gone(&format!("an unexpected {other:?}"))),
                Answer::Died(ending) => {
                    return Err(WorkerLost::Gone(format!(
                        "the worker died while it loaded the workload: {}",
                        ending.sentence()
                    )));
                }
            }
            let aligned = self.align()?;
            let number = self.started;
            self.note(opened, || {
                (
                    format!("start worker {number}"),
                    aligned.into_iter().collect(),
                )
            });
        }
        Ok(self.link.as_mut().expect("started above"))
    }

    fn moment(&self) -> Option<Moment> {
        self.track.as_ref().map(Track::now)
    }

    /// Something that began at `start` has ended.
    fn note(&self, start: Option<Moment>, told: impl FnOnce() -> (String, Vec<Note<'static>>)) {
        if let (Some(start), Some(track)) = (start, &self.track) {
            let now = track.now();
            let (name, notes) = told();
            track.span(&name, (start, now), notes);
        }
    }

    /// Finds how the clock of a new worker stands, where a trace is wanted.
    fn align(&mut self) -> Result<Option<Note<'static>>, WorkerLost> {
        let Some(track) = self.track.clone() else {
            return Ok(None);
        };
        let mut exchanges = vec![];
        for _ in 0..CLOCK_EXCHANGES {
            let asked = track.now();
            let link = self.link.as_mut().expect("asked only of a live worker");
            let sent = send(&mut link.requests, &Request::Clock);
            sent.map_err(|e| WorkerLost::Gone(format!("the worker does not take orders: {e}")))?;
            match self.answer(f64::INFINITY)? {
                Answer::Reply(Reply::Clock(there)) => exchanges.push((asked, there, track.now())),
                Answer::Reply(other) => return Err(self.gone(&format!("an unexpected {other:?}"))),
                Answer::Died(ending) => return Err(WorkerLost::Gone(ending.sentence())),
            }
        }
        let found = trace::behind(&exchanges).zip(self.link.as_mut());
        Ok(found.map(|((behind, uncertainty), link)| {
            link.behind = behind;
            ("clock_within_us", (uncertainty as f64 / 1e3).into())
        }))
    }

    /// Waits for the next reply, at most `deadline` nanoseconds.
    fn answer(&mut self, deadline: f64) -> Result<Answer, WorkerLost> {
        let started = Instant::now();
        let link = self.link.as_mut().expect("asked only of a live worker");
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                self.retire();
                return Err(WorkerLost::Interrupted);
            }
            match link.replies.recv_timeout(LOOK_UP) {
                Ok(Ok(Reply::Spans(traced))) => {
                    if let Some(track) = &self.track {
                        track.tracer().absorb(self.started, traced, link.behind);
                    }
                    continue;
                }
                Ok(Ok(reply)) => return Ok(Answer::Reply(reply)),
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                    return Err(self.gone(&format!("its answer cannot be read: {error}")));
                }
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                    let ending = self.autopsy();
                    // Ctrl-C may have ended it before us.
                    return match self.interrupted.load(Ordering::Relaxed) {
                        true => Err(WorkerLost::Interrupted),
                        false => Ok(Answer::Died(ending)),
                    };
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let (Some(limit), Some(now)) =
                (self.memory_guard, memory::resident(link.process.id()))
                && now > limit
            {
                self.retire();
                let limit = format!("resident memory {now} above the limit of {limit}");
                return Ok(Answer::Died(Ending::OverLimit { limit }));
            }
            if since(started).0 > deadline {
                self.retire();
                let limit = self.load.trial_timeout;
                return Ok(Answer::Died(Ending::TimedOut { limit }));
            }
        }
    }

    /// The worker's streams have ended: how did it?
    fn autopsy(&mut self) -> Ending {
        let Some(mut link) = self.link.take() else {
            return Ending::Crashed {
                cause: "the worker is gone".into(),
            };
        };
        let status = link.process.wait();
        // Its stderr has ended with it; the reader needs a moment to have read it.
        std::thread::sleep(Duration::from_millis(20));
        let words = String::from_utf8_lossy(
            &link
                .last_words
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
        .trim()
        .to_owned();
        let how = match status {
            Ok(status) => match (status.signal(), status.code()) {
                (Some(signal), _) => signal_name(signal),
                (None, Some(code)) => format!("the worker exited with status {code}"),
                (None, None) => "the worker ended".into(),
            },
            Err(error) => format!("the worker cannot be waited for: {error}"),
        };
        let cause = match words.is_empty() {
            true => how,
            false => format!("{how}: {words}"),
        };
        Ending::Crashed { cause }
    }

    fn gone(&mut self, why: &str) -> WorkerLost {
        self.retire();
        WorkerLost::Gone(format!("the worker is lost: {why}"))
    }

    fn refused(&mut self, reason: String) -> WorkerLost {
        self.retire();
        WorkerLost::Refused(reason)
    }

    fn request(&mut self, order: Order) -> Result<(), WorkerLost> {
        let request = &Request::Order(order);
        let has_worked = self.link.is_some();
        let sent = send(&mut self.link()?.requests, request);
        // One that was ended between two orders has hurt no measurement: another takes its place.
        let sent = match sent {
            Err(_) if has_worked => {
                self.retire();
                send(&mut self.link()?.requests, request)
            }
            sent => sent,
        };
        sent.map_err(|error| self.gone(&format!("it does not take orders: {error}")))
    }

    /// Collects the cells of a block; the last is the one in which the worker died, if it did.
    fn cells(&mut self, order: &BlockOrder) -> Result<(Vec<Cell>, Conditions), WorkerLost> {
        let per_cell = self.load.trial_timeout.0 * f64::from(order.repetitions + 1);
        let deadline = per_cell + order.warm_up_limit.0 + GRACE;
        let mut cells: Vec<Cell> = Vec::new();
        let mut running = order.cells[0].variant;
        loop {
            let ending = match self.answer(deadline)? {
                Answer::Reply(Reply::CellStarts(variant)) => {
                    running = variant;
                    continue;
                }
                Answer::Reply(Reply::CellEnds(cell)) => {
                    cells.push(cell);
                    continue;
                }
                Answer::Reply(Reply::BlockEnds(conditions)) => return Ok((cells, *conditions)),
                Answer::Reply(Reply::Hangs(variant)) => {
                    running = variant;
                    self.retire();
                    Ending::TimedOut {
                        limit: self.load.trial_timeout,
                    }
                }
                Answer::Reply(Reply::Refused(reason)) => return Err(self.refused(reason)),
                Answer::Reply(other) => return Err(self.gone(&format!("an unexpected {other:?}"))),
                Answer::Died(ending) => ending,
            };
            cells.retain(|cell| cell.variant != running);
            cells.push(Cell {
                variant: running,
                samples: vec![],
                ending,
            });
            return Ok((cells, Conditions::default()));
        }
    }
}

impl Runner for Child {
    fn block(&mut self, order: &BlockOrder) -> Result<Block, WorkerLost> {
        let (started, opened) = (Instant::now(), self.moment());
        self.request(Order::Block(order.clone()))?;
        let worker = self.started;
        let is_first = self.link.as_ref().is_some_and(|link| link.blocks_done == 0);
        let (cells, conditions) = self.cells(order)?;
        let elapsed = since(started);
        self.note(opened, || {
            let purpose = format!("{:?}", order.purpose).to_lowercase();
            let notes = vec![("worker", worker.into()), ("cells", cells.len().into())];
            (format!("{purpose} block {}", order.index), notes)
        });
        if let Some(link) = &mut self.link {
            link.blocks_done += 1;
            // A command gets a process for each invocation, so a fresh worker would be no other draw of anything, and starting
            // one costs as much as some thirty commands of a millisecond (benches/overhead.py).
            let is_command = matches!(self.load.workload, WorkloadChoice::Command(_));
            if is_first && !is_command {
                // What starting cost: all of the first block that was not in its measured samples.
                let measured: f64 = cells
                    .iter()
                    .flat_map(|cell| cell.samples.iter().filter(|s| !s.is_warm_up))
                    .map(|s| s.invocation.timing.wall.0 * f64::from(s.batch))
                    .sum();
                let cost = (elapsed.0 - measured).max(0.0);
                // Starting may take a fifth of the time, and no more.
                let enough = (4.0 * cost / measured.max(1.0)).ceil().clamp(1.0, 1e6) as u32;
                link.blocks_before_replacement = Some(enough.min(order.blocks_per_worker.max(1)));
            }
            if link
                .blocks_before_replacement
                .is_some_and(|b| link.blocks_done >= b)
            {
                self.retire();
            }
        }
        Ok(Block {
            index: order.index,
            purpose: order.purpose,
            worker,
            elapsed,
            cells,
            conditions,
            place: None,
        })
    }

    fn check(&mut self, order: &CheckOrder) -> Result<Checked, WorkerLost> {
        let (started, opened) = (Instant::now(), self.moment());
        // Memory is only known of a process that did nothing else before.
        self.retire();
        self.request(Order::Check(order.clone()))?;
        // Preparing and two invocations, each under the watchdog; reading back and comparing are not the variant's fault.
        let mut checked = match self.answer(f64::INFINITY)? {
            Answer::Reply(Reply::Checked(checked)) => *checked,
            Answer::Reply(Reply::Hangs(_)) => Checked::ended(Ending::TimedOut {
                limit: self.load.trial_timeout,
            }),
            Answer::Reply(Reply::Refused(reason)) => return Err(self.refused(reason)),
            Answer::Reply(other) => return Err(self.gone(&format!("an unexpected {other:?}"))),
            Answer::Died(ending) => Checked::ended(ending),
        };
        self.retire();
        checked.elapsed = since(started);
        self.note(opened, || {
            let ended = vec![("ending", checked.ending.sentence().into())];
            (format!("check {}", order.name), ended)
        });
        Ok(checked)
    }

    fn expect(&mut self, order: &ExpectOrder) -> Result<bool, WorkerLost> {
        let opened = self.moment();
        self.request(Order::Expect(order.clone()))?;
        let answer = self.answer(f64::INFINITY)?;
        self.retire();
        self.note(opened, || ("expected output".into(), vec![]));
        match answer {
            Answer::Reply(Reply::Expected(has_output)) => Ok(has_output),
            Answer::Reply(Reply::Refused(reason)) => Err(WorkerLost::Refused(reason)),
            Answer::Reply(Reply::Hangs(VariantId(_))) => Err(WorkerLost::Refused(
                "the baseline took longer than trial_timeout; raise protocol.trial_timeout".into(),
            )),
            Answer::Reply(other) => Err(WorkerLost::Gone(format!("an unexpected {other:?}"))),
            Answer::Died(ending) => Err(WorkerLost::Refused(format!(
                "the baseline has no output: {}",
                ending.sentence()
            ))),
        }
    }

    fn retire(&mut self) {
        if let Some(mut link) = self.link.take() {
            // It may be in the middle of a hanging kernel: no goodbye.
            let _ = link.process.kill();
            let _ = link.process.wait();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.retire();
    }
}

impl Link {
    fn start(program: &std::path::Path) -> Result<Link, WorkerLost> {
        let mut command = Command::new(program);
        command
            .arg("__worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: Ctrl-C reaches the campaign, which decides.
            .process_group(0);
        let campaign = std::process::id();
        // SAFETY: prctl, getppid and _exit are async-signal-safe; nothing is allocated between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // The campaign may have died before the line above took effect.
                if libc::getppid() as u32 != campaign {
                    libc::_exit(1);
                }
                Ok(())
            });
        }
        let mut process = command.spawn().map_err(|error| {
            WorkerLost::Gone(format!(
                "the worker {} cannot be started: {error}",
                program.display()
            ))
        })?;
        let requests = process.stdin.take().expect("piped above");
        let mut answers = BufReader::new(process.stdout.take().expect("piped above"));
        let mut stderr = process.stderr.take().expect("piped above");
        let (sender, replies) = channel();
        std::thread::spawn(move || {
            loop {
                let reply = match receive::<Reply>(&mut answers) {
                    Ok(Some(reply)) => Ok(reply),
                    Ok(None) => Err(std::io::ErrorKind::UnexpectedEof.into()),
                    Err(error) => Err(error),
                };
                let is_over = reply.is_err();
                if sender.send(reply).is_err() || is_over {
                    return;
                }
            }
        });
        let last_words = Arc::new(Mutex::new(Vec::new()));
        let kept = last_words.clone();
        std::thread::spawn(move || {
            let mut some = [0; 1024];
            while let Ok(n @ 1..) = stderr.read(&mut some) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&some[..n]);
                let surplus = kept.len().saturating_sub(LAST_WORDS);
                kept.drain(..surplus);
            }
        });
        Ok(Link {
            process,
            requests,
            replies,
            last_words,
            blocks_done: 0,
            blocks_before_replacement: None,
            behind: 0,
        })
    }
}

fn since(started: Instant) -> Nanoseconds {
    Nanoseconds::from(started.elapsed())
}
