//! Inside the worker: reads requests from stdin, measures, answers on stdout.
#![allow(
    clippy::exit,
    reason = "an invocation that hangs can only be ended with its process"
)]
use super::protocol::{LoadOrder, Order, Reply, Request, receive, send};
use crate::device;
use crate::measure::{self, Bench, BlockOrder, Listener, Spans, Watchdog};
use crate::plan::WorkloadChoice;
use crate::trace::Tracer;
use crate::trial::{Cell, VariantId};
use crate::value::Nanoseconds;
use crate::workload;
use std::io::{self, BufReader, Stdout};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

/// Spans that a worker keeps until it sends them, after every cell: more of one cell nobody can look at.
const MOST_SPANS: usize = 20_000;

/// The hidden subcommand `__worker`.
pub fn serve() -> ExitCode {
    let out = Output(Arc::new(Mutex::new(io::stdout())));
    let mut requests = BufReader::new(io::stdin().lock());
    let mut bench: Option<Bench> = None;
    let mut tracer: Option<Tracer> = None;
    loop {
        let request = match receive::<Request>(&mut requests) {
            Ok(Some(request)) => request,
            // The campaign is gone or has no more work.
            Ok(None) => return ExitCode::SUCCESS,
            Err(error) => {
                out.say(&Reply::Refused(format!(
                    "the request cannot be read: {error}"
                )));
                return ExitCode::FAILURE;
            }
        };
        let reply = match (request, bench.as_mut()) {
            (Request::Load(order), _) => {
                tracer = order.trace.as_ref().map(|_| Tracer::new(MOST_SPANS));
                match load(&order, &out, tracer.as_ref()) {
                    Ok(loaded) => {
                        let place = measure::place(&loaded.device);
                        bench = Some(loaded);
                        Reply::Loaded(place)
                    }
                    Err(reply) => reply,
                }
            }
            (Request::Clock, _) => match &tracer {
                Some(tracer) => Reply::Clock(tracer.now()),
                None => Reply::Refused("no trace is wanted, so there is no clock".into()),
            },
            (Request::Order(Order::Expect(order)), Some(bench)) => {
                match measure::expect(bench, &order) {
                    Ok(has_output) => Reply::Expected(has_output),
                    Err(reason) => Reply::Refused(reason),
                }
            }
            (Request::Order(Order::Check(order)), Some(bench)) => {
                Reply::Checked(Box::new(measure::check(bench, &order)))
            }
            (Request::Order(Order::Block(order)), Some(bench)) => {
                block(bench, &order, &out, tracer.as_ref())
            }
            (_, None) => Reply::Refused("a request came before the workload".into()),
        };
        if !matches!(reply, Reply::Clock(_)) {
            out.send_spans(tracer.as_ref());
        }
        if !out.say(&reply) {
            return ExitCode::SUCCESS;
        }
    }
}

/// The error is what the campaign is told.
fn load(order: &LoadOrder, out: &Output, tracer: Option<&Tracer>) -> Result<Bench, Reply> {
    let device = device::open(order.device).map_err(Reply::Absent)?;
    let workload = workload::load(
        &order.workload,
        &order.problem,
        &workload::Surroundings {
            trial_timeout: order.trial_timeout,
            memory_limit: order.memory_limit,
            scratch: order.scratch.clone(),
            seed: order.seed,
            tracer: tracer.cloned(),
        },
    )
    .map_err(Reply::Refused)?;
    // A command is watched by its launcher, which can end it without ending the worker.
    let limit = match order.workload {
        WorkloadChoice::Command(_) => Nanoseconds(f64::INFINITY),
        _ => order.trial_timeout,
    };
    let out = out.clone();
    let watchdog = Watchdog::new(limit, move |variant| {
        out.say(&Reply::Hangs(variant));
        std::process::exit(3);
    });
    let mut bench = Bench::new(workload, device, watchdog);
    bench.spans = (tracer.zip(order.trace.as_ref()))
        .map(|(tracer, trace)| Spans::new(tracer, trace.stages.clone()));
    Ok(bench)
}

fn block(bench: &mut Bench, order: &BlockOrder, out: &Output, tracer: Option<&Tracer>) -> Reply {
    struct Telling<'a>(&'a Output, Option<&'a Tracer>);
    impl Listener for Telling<'_> {
        fn cell_starts(&mut self, variant: VariantId) {
            self.0.say(&Reply::CellStarts(variant));
        }
        fn cell_ends(&mut self, cell: Cell) {
            self.0.say(&Reply::CellEnds(cell));
            self.0.send_spans(self.1);
        }
    }
    Reply::BlockEnds(Box::new(bench.block(order, &mut Telling(out, tracer))))
}

/// The worker's voice; the watchdog's thread has one too.
#[derive(Clone)]
struct Output(Arc<Mutex<Stdout>>);

impl Output {
    /// False when nobody listens any more.
    fn say(&self, reply: &Reply) -> bool {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        send(&mut *out, reply).is_ok()
    }

    /// What was traced since the last time, if anything.
    fn send_spans(&self, tracer: Option<&Tracer>) {
        let traced = tracer.map(Tracer::take);
        if let Some(traced) = traced.filter(|t| !t.spans.is_empty() || t.left_out > 0) {
            self.say(&Reply::Spans(traced));
        }
    }
}
