//! The work of a step shared among processes: forked once, they get an order a pass, and either see the same memory or get their
//! slices of the phase space through pipes and send the results back.
#![allow(
    unsafe_code,
    reason = "forks, and reads and writes raw arrays through pipes"
)]
use super::lanes::Cell;
use super::march::{March, Pass};
use crate::workload::stopwatch::timed;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::FromRawFd;
use std::time::Duration;

/// Who shares, and how.
pub(super) struct Team {
    members: Vec<Member>,
    sends_slices: bool,
}

struct Member {
    process: libc::pid_t,
    orders: Option<File>,
    answers: File,
}

/// The array that holds the phase space, and the pass of the step.
type Order = [u8; 2];

impl Team {
    /// Forks. `march` has its ledger, and without `sends_slices` its arrays too, in shared memory.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn start<S: Cell>(march: &mut March<S>, sends_slices: bool) -> io::Result<Team> {
        let mut team = Team {
            members: vec![],
            sends_slices,
        };
        for number in 0..march.form.workers {
            let (orders, to) = pipe()?;
            let (from, answers) = pipe()?;
            // SAFETY: the child uses what was there before the fork: memory of its own or shared for this, and the allocator, which
            // glibc and musl keep usable across a fork; it never returns from `serve`.
            let process = unsafe { libc::fork() };
            match process {
                -1 => return Err(io::Error::last_os_error()),
                0 => {
                    drop((to, from));
                    // Else they would live until this process ends, and its elder siblings wait for that.
                    for mut elder in team.members.drain(..) {
                        elder.process = 0;
                        drop(elder);
                    }
                    serve(march, number, sends_slices, orders, answers);
                }
                _ => team.members.push(Member {
                    process,
                    orders: Some(to),
                    answers: from,
                }),
            }
        }
        Ok(team)
    }

    /// One pass, by all. `transfer` gets the time that copying took.
    ///
    /// # Errors
    /// When a process is gone.
    pub(super) fn run<S: Cell>(
        &mut self,
        march: &March<S>,
        number: usize,
        pass: &Pass,
        transfer: &mut Duration,
    ) -> io::Result<()> {
        let count = self.members.len();
        for (member, orders) in self.members.iter_mut().map(|m| &mut m.orders).enumerate() {
            let orders = orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            let order: Order = [march.current() as u8, number as u8];
            orders.write_all(&order)?;
            if self.sends_slices {
                timed(transfer, || {
                    let slices = march.sources(pass, member, count);
                    slices
                        .into_iter()
                        .try_for_each(|s| orders.write_all(march.bytes(s)))
                })?;
            }
        }
        for (number, answers) in self.members.iter_mut().map(|m| &mut m.answers).enumerate() {
            answers.read_exact(&mut [0])?;
            if self.sends_slices {
                timed(transfer, || {
                    let slices = march.results(pass, number, count);
                    // SAFETY: no task runs in this process; the slice is one of the other array.
                    slices
                        .into_iter()
                        .try_for_each(|s| answers.read_exact(unsafe { march.bytes_mut(s) }))
                })?;
            }
        }
        Ok(())
    }
}

/// A child's life: an order, its share of the pass, an answer; until nobody orders any more.
fn serve<S: Cell>(
    march: &mut March<S>,
    number: usize,
    has_slices: bool,
    mut orders: File,
    mut answers: File,
) -> ! {
    let count = march.form.workers;
    let mut obey = || -> io::Result<()> {
        let mut order: Order = [0; 2];
        orders.read_exact(&mut order)?;
        march.set_current(usize::from(order[0]));
        let passes = march.passes();
        let pass = passes
            .get(usize::from(order[1]))
            .ok_or(io::ErrorKind::InvalidData)?;
        if has_slices {
            for slice in march.sources(pass, number, count) {
                // SAFETY: no task runs in this process yet.
                orders.read_exact(unsafe { march.bytes_mut(slice) })?;
            }
        }
        for task in march.share(pass, number, count) {
            march.run(pass, task, number);
        }
        answers.write_all(&[1])?;
        if has_slices {
            for slice in march.results(pass, number, count) {
                answers.write_all(march.bytes(slice))?;
            }
        }
        Ok(())
    };
    let life = std::panic::AssertUnwindSafe(|| while obey().is_ok() {});
    let status = i32::from(std::panic::catch_unwind(life).is_err());
    // SAFETY: ends this process, without the destructors and buffers that belong to the parent.
    unsafe { libc::_exit(status) }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Its end of file is the order to end.
        self.orders = None;
        if self.process > 0 {
            // SAFETY: waits for an own child, once.
            unsafe { libc::waitpid(self.process, std::ptr::null_mut(), 0) };
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        // All of them before the first is waited for: a child keeps its elder siblings' ends open until it has ended.
        for member in &mut self.members {
            member.orders = None;
        }
    }
}

fn pipe() -> io::Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: two descriptors are written, each of which gets one owner.
    unsafe {
        if libc::pipe(ends.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        for end in ends {
            libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        Ok((File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])))
    }
}
