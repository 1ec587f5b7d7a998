//! A configuration on this machine's processors, ready to run: in threads or in processes.
use super::beam::Beam;
use super::form::{Form, Parallel};
use super::judge::{self, Outcome};
use super::lanes::Cell;
use super::ledger::Account;
use super::march::March;
#[cfg(unix)]
use super::processes::Team;
use super::tables::Tables;
use super::{BEAM, SCATTERING, STAGES, TRANSFER};
use crate::array::Array;
use crate::trial::{Ending, Invocation, Timing};
use crate::value::Nanoseconds;
use crate::workload::Executable;
use crate::workload::stopwatch::timed;
use rayon::prelude::*;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Host<S> {
    /// The problem's, and the one on this configuration's grid.
    problem: Arc<Beam>,
    own: Beam,
    march: March<S>,
    workers: Workers,
}

enum Workers {
    Threads(rayon::ThreadPool),
    #[cfg(unix)]
    Processes(Team),
}

impl<S: Cell> Host<S> {
    /// # Errors
    /// When the system gives no threads or processes.
    pub(super) fn new(
        problem: &Arc<Beam>,
        own: Beam,
        tables: Tables,
        form: &Form,
        unit: f32,
    ) -> Result<Host<S>, Ending> {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "only processes change it"))]
        let mut march = March::new(tables, form, unit);
        let failed = |what: &str, why: &dyn std::fmt::Display| Ending::Failed {
            reason: format!("no {what}: {why}"),
        };
        let workers = match form.parallel {
            Parallel::Threads => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(form.workers);
                Workers::Threads(pool.build().map_err(|e| failed("threads", &e))?)
            }
            #[cfg(unix)]
            parallel => {
                let team = Team::start(&mut march, parallel == Parallel::Pipes);
                Workers::Processes(team.map_err(|e| failed("processes", &e))?)
            }
            #[cfg(not(unix))]
            _ => return Err(failed("processes", &"this system cannot fork")),
        };
        Ok(Host {
            problem: problem.clone(),
            own,
            march,
            workers,
        })
    }

    fn steps(&mut self, stages: &mut [Duration]) -> Result<(), Ending> {
        let Host {
            own,
            march,
            workers,
            ..
        } = self;
        timed(&mut stages[BEAM], || march.begin());
        for _ in 0..own.steps {
            let passes = march.passes();
            for (number, pass) in passes.iter().enumerate() {
                let mut transfer = Duration::ZERO;
                let mut elapsed = Duration::ZERO;
                timed(&mut elapsed, || match workers {
                    Workers::Threads(pool) => {
                        // One at a time: energies differ in cost.
                        let tasks = pass.tasks.par_iter().with_max_len(1);
                        let run = |task| {
                            march.run(pass, task, rayon::current_thread_index().unwrap_or(0));
                        };
                        pool.install(|| tasks.for_each(run));
                        Ok(())
                    }
                    #[cfg(unix)]
                    Workers::Processes(team) => team
                        .run(march, number, pass, &mut transfer)
                        .map_err(|why| Ending::Failed {
                            reason: format!("a process of the transport is gone: {why}"),
                        }),
                })?;
                #[cfg(not(unix))]
                let _ = number;
                stages[TRANSFER] += transfer;
                stages[SCATTERING + pass.part as usize] += elapsed.saturating_sub(transfer);
            }
            march.step_done();
        }
        Ok(())
    }

    pub(super) fn outcome(&self) -> Outcome {
        outcome(&self.march)
    }
}

/// The dose, and what the ledger does not account for.
pub(super) fn outcome<S: Cell>(march: &March<S>) -> Outcome {
    let ledger = &march.ledger;
    let of_unit = |values: &[f64]| -> Vec<f64> {
        let unit = f64::from(march.unit);
        values.iter().map(|v| v / unit).collect()
    };
    let gone: Vec<f64> = (ledger.escaped.as_slice().iter())
        .zip(ledger.leaked.as_slice())
        .map(|(escaped, leaked)| escaped + leaked)
        .collect();
    Account {
        remaining: march.remaining(),
        gone: of_unit(&gone),
        cut: of_unit(ledger.cut.as_slice()),
        arrived: of_unit(ledger.arrived.as_slice()),
    }
    .outcome(&march.tables)
}

impl<S: Cell> Executable for Host<S> {
    fn run(&mut self) -> Result<Invocation, Ending> {
        let (mut wall, mut stages) = (Duration::ZERO, [Duration::ZERO; STAGES]);
        timed(&mut wall, || self.steps(&mut stages))?;
        Ok(Invocation {
            timing: Timing {
                wall: wall.into(),
                device: None,
                stages: stages.map(Nanoseconds::from).to_vec(),
            },
            ..Invocation::default()
        })
    }

    fn poison(&mut self) {
        self.march.poison();
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        Ok(Some(judge::output(&self.own, &self.outcome().dose)))
    }

    fn own_metrics(&mut self, expected: &Array) -> Vec<f64> {
        judge::of_run(&self.problem, &self.own, &self.outcome(), expected)
    }

    /// Executed beside dense work: what the active window saves.
    fn attributes(&self) -> Vec<(String, f64)> {
        let visited: u64 = self.march.ledger.cells.as_slice().iter().sum();
        let dense = self.own.steps as f64 * self.own.grid.cells() as f64;
        vec![
            ("cells_visited".into(), visited as f64),
            ("cells_dense".into(), dense),
        ]
    }
}
