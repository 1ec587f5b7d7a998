//! Inside the launcher: spawns a command in a process group of its own, sleeps until it ends or a limit is reached, and reads
//! what it used. One thread, no polling: everything that may happen wakes one `poll`.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "starts commands, waits for them with wait4, kills their process groups, owns their clock"
)]
use super::captured::Captured;
use super::launcher::{End, Launch, Launched, receive, send};
use crate::value::{Bytes, Nanoseconds};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The least time between two looks at a command's memory.
const MEMORY_PERIOD: Duration = Duration::from_millis(100);

/// A look may cost one part in so many of the time between looks: process trees can be large.
const MEMORY_SHARE: u32 = 100;

/// How long the next command is waited for with open eyes.
const AWAKE: Duration = Duration::from_micros(100);

/// Replies above this size leave the launcher's own memory larger, and with it the floor of the next command's peak.
const LARGE_REPLY: usize = 64 << 10;

/// The hidden subcommand `__launch`.
pub fn launcher_main() -> ExitCode {
    let Ok(children) = become_parent() else {
        return ExitCode::FAILURE;
    };
    shrink();
    // Fetches what spawning needs of the program, so that the first command's time does not contain it. A folder never starts.
    let folder = Launch {
        program: "/".into(),
        ends_strays: true,
        ..Launch::default()
    };
    let _ = run(&folder, &children, None);
    let mut requests = BufReader::new(io::stdin().lock());
    let mut replies = io::stdout().lock();
    let mut spare = None;
    while let Ok(Some(launch)) = receive::<Launch>(&mut requests) {
        let reply = match run(&launch, &children, spare.take()) {
            Ok(launched) => Ok(launched),
            Err(NoRun::Refused(reason)) => Err(reason),
            Err(NoRun::Orphaned) => break,
        };
        let size = reply
            .as_ref()
            .map_or(0, |l| l.stdout.len() + l.stderr.len());
        if send(&mut replies, &reply).is_err() {
            break;
        }
        drop(reply);
        if size > LARGE_REPLY {
            shrink();
        }
        // Pipes are made while the worker reads the reply, not while it waits for the next.
        spare = Captured::new(launch.keeps_stdout).ok();
        stay_awake();
    }
    // The worker is gone: nothing of it stays behind.
    end_descendants(&children);
    ExitCode::SUCCESS
}

enum NoRun {
    /// The command cannot be started.
    Refused(String),
    /// The worker is gone.
    Orphaned,
}

/// Readable when a child has ended.
type Children = File;

/// Takes in orphaned grandchildren, survives what is meant for the worker, and opens the descriptor that tells of children.
fn become_parent() -> io::Result<Children> {
    // The kernel, if it runs out of memory, takes the command before the user's other programs. Best effort.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    // SAFETY: system calls on a set that lives on this stack and is initialized by sigemptyset; nothing else runs in this process.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        // A descriptor for SIGCHLD and not one for each process (pidfd): clusters still run kernels from before 5.3.
        let descriptor = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // Blocked and not ignored: commands get an empty mask from `Command`, but would inherit what is ignored.
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
            libc::sigaddset(&mut set, signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        Ok(File::from(OwnedFd::from_raw_fd(descriptor)))
    }
}

/// `spare` are pipes that were made beforehand.
fn run(launch: &Launch, children: &Children, spare: Option<Captured>) -> Result<Launched, NoRun> {
    let refused = |e: io::Error| NoRun::Refused(format!("no pipe for the command's output: {e}"));
    let fitting = spare.filter(|spare| spare.keeps_stdout() == launch.keeps_stdout);
    let mut captured = match fitting {
        Some(captured) => captured,
        None => Captured::new(launch.keeps_stdout).map_err(refused)?,
    };
    let [stdout, stderr] = captured.inlets().map_err(refused)?;
    let mut command = command(launch);
    command.stdout(stdout).stderr(stderr);

    // Without `pre_exec`, `Command` spawns as fast as vfork. PR_SET_PDEATHSIG would need fork: +100 µs on 560 µs (measured).
    let started = Instant::now();
    let child = command
        .spawn()
        .map_err(|e| NoRun::Refused(explain(&e, launch)))?;
    let leader = child.id() as i32;
    let watched = watch(leader, launch, started, children, &mut captured);
    let (ended, verdict) = match watched {
        Some(watched) => watched,
        None => {
            kill_group(leader);
            return Err(NoRun::Orphaned);
        }
    };
    // The leader is not reaped yet, so the group's number cannot belong to anybody else.
    if launch.ends_strays || verdict.is_some() {
        kill_group(leader);
    }
    let (status, usage) = reap(leader);
    if launch.ends_strays || verdict.is_some() {
        end_descendants(children);
    }
    let time = |t: libc::timeval| Nanoseconds(t.tv_sec as f64 * 1e9 + t.tv_usec as f64 * 1e3);
    let [stdout, stderr] = captured.texts();
    Ok(Launched {
        end: verdict.unwrap_or(match libc::WIFSIGNALED(status) {
            true => End::Signal(libc::WTERMSIG(status)),
            false => End::Exit(libc::WEXITSTATUS(status)),
        }),
        wall: Nanoseconds::from(ended - started),
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        // Kilobytes on Linux: getrusage(2).
        peak: Bytes(usage.ru_maxrss as u64 * 1024),
        stdout,
        stderr,
    })
}

fn command(launch: &Launch) -> Command {
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .env("PHASETUNE_PADDING", "x".repeat(launch.padding as usize))
        .stdin(Stdio::null())
        .process_group(0);
    if let Some(folder) = &launch.folder {
        command.current_dir(folder);
    }
    command
}

fn explain(error: &io::Error, launch: &Launch) -> String {
    let program = &launch.program;
    if let Some(folder) = launch.folder.as_ref().filter(|folder| !folder.is_dir()) {
        return format!(
            "`{program}` cannot be started: there is no folder {}",
            folder.display()
        );
    }
    let what_to_do = match (error.kind(), program.contains('/')) {
        (io::ErrorKind::NotFound, false) => "; install it, or write its path",
        (io::ErrorKind::NotFound, true) => "; check the path, which starts at the command's folder",
        (io::ErrorKind::PermissionDenied, _) => "; is it executable (chmod +x)?",
        _ if error.raw_os_error() == Some(libc::ENOEXEC) => {
            "; a script begins with a line such as #!/bin/sh"
        }
        _ if error.raw_os_error() == Some(libc::E2BIG) => {
            "; its arguments or its environment are too long"
        }
        _ => "",
    };
    format!("`{program}` cannot be started: {error}{what_to_do}")
}

/// Sleeps until the command has ended; says when, and which limit ended it. `None`: the worker has gone.
fn watch(
    leader: i32,
    launch: &Launch,
    started: Instant,
    children: &Children,
    captured: &mut Captured,
) -> Option<(Instant, Option<End>)> {
    let deadline = launch
        .time_limit
        .map(|limit| started + Duration::from_nanos(limit.0.clamp(1e6, 1e18) as u64));
    let mut next_look = started + MEMORY_PERIOD;
    let mut verdict = None;
    loop {
        let look = launch.memory_limit.map(|_| next_look);
        let wake = [deadline, look]
            .into_iter()
            .flatten()
            .min()
            .filter(|_| verdict.is_none());
        let [stdout, stderr] = captured.descriptors();
        let mut polled = [
            watched(children.as_raw_fd(), libc::POLLIN),
            // No event but the one that cannot be masked: the worker's end is closed.
            watched(io::stdin().as_raw_fd(), 0),
            watched(stdout, libc::POLLIN),
            watched(stderr, libc::POLLIN),
        ];
        wait_for(&mut polled, wake);
        let now = Instant::now();
        let [child, worker, ..] = polled.map(|p| p.revents != 0);
        if child && has_ended(leader, children) {
            return Some((now, verdict));
        }
        if worker {
            return None;
        }
        captured.drain();
        if verdict.is_some() {
            continue;
        }
        if deadline.is_some_and(|deadline| now >= deadline) {
            verdict = Some(End::TimedOut);
        } else if let Some(limit) = launch.memory_limit
            && now >= next_look
        {
            verdict = memory_above(limit).map(End::OverMemory);
            let cost = now.elapsed();
            next_look = Instant::now() + MEMORY_PERIOD.max(cost * MEMORY_SHARE);
        }
        if verdict.is_some() {
            kill_group(leader);
        }
    }
}

fn watched(fd: RawFd, events: i16) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

/// Returns when something happened, or at `wake`.
fn wait_for(polled: &mut [libc::pollfd], wake: Option<Instant>) {
    let milliseconds = wake.map_or(-1, |at| {
        // Rounded up: waking a little early would mean spinning until the time has come.
        let left = at
            .saturating_duration_since(Instant::now())
            .as_micros()
            .div_ceil(1000);
        i32::try_from(left).unwrap_or(i32::MAX)
    });
    // SAFETY: the slice is valid for its length; a negative descriptor is skipped by poll(2).
    unsafe {
        libc::poll(
            polled.as_mut_ptr(),
            polled.len() as libc::nfds_t,
            milliseconds,
        )
    };
}

/// Whether the command's first process has ended; it stays unreaped. SIGCHLD may have come from an orphan that we took in.
fn has_ended(leader: i32, children: &Children) -> bool {
    empty(children);
    // SAFETY: siginfo_t is plain numbers, for which all zeros is a value; waitid fills it. `leader` is our own child.
    unsafe {
        let mut info: libc::siginfo_t = zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, leader as libc::id_t, &mut info, flags) == 0
            && info.si_pid() == leader
    }
}

/// Takes out what tells of children that have ended, so that the descriptor is silent until the next one.
fn empty(mut children: &Children) {
    let mut record = [0; size_of::<libc::signalfd_siginfo>()];
    while children.read(&mut record).is_ok_and(|n| n > 0) {}
}

fn reap(leader: i32) -> (i32, libc::rusage) {
    let mut status = 0;
    // SAFETY: rusage is plain numbers; both pointers are valid for the call. The child has ended, so this does not block.
    unsafe {
        let mut usage: libc::rusage = zeroed();
        libc::wait4(leader, &mut status, 0, &mut usage);
        (status, usage)
    }
}

fn kill_group(leader: i32) {
    // SAFETY: a plain system call. A group that has gone already is ESRCH, which is as good.
    unsafe { libc::kill(-leader, libc::SIGKILL) };
}

/// Kills and reaps everything that commands have left behind, those that began a session of their own included: orphans become
/// ours. Gives up after two seconds on what sits in an uninterruptible system call.
fn end_descendants(children: &Children) {
    let started = Instant::now();
    loop {
        // SAFETY: plain system calls without pointers that could dangle; WNOHANG does not block.
        let reaped = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
        if reaped < 0 || started.elapsed() > Duration::from_secs(2) {
            return;
        }
        if reaped == 0 {
            for child in children_of(std::process::id() as i32) {
                // SAFETY: as above; a child of ours that is not reaped keeps its number.
                unsafe { libc::kill(child, libc::SIGKILL) };
            }
            let mut polled = [watched(children.as_raw_fd(), libc::POLLIN)];
            wait_for(
                &mut polled,
                Some(Instant::now() + Duration::from_millis(100)),
            );
            empty(children);
        }
    }
}

/// Direct children, from the kernel's own list (CONFIG_PROC_CHILDREN, which distributions set); empty where it is missing.
fn children_of(process: i32) -> Vec<i32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return vec![];
    };
    let lists = threads
        .flatten()
        .map(|thread| std::fs::read_to_string(thread.path().join("children")));
    lists
        .flatten()
        .flat_map(|list| {
            list.split_whitespace()
                .flat_map(str::parse)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Resident memory of everything that was started, if it is above the limit.
fn memory_above(limit: Bytes) -> Option<Bytes> {
    let mut processes = children_of(std::process::id() as i32);
    let mut next = 0;
    while next < processes.len() {
        processes.extend(children_of(processes[next]));
        next += 1;
    }
    let resident: u64 = processes.iter().map(|&process| resident(process)).sum();
    if resident <= limit.0 {
        return None;
    }
    // The sum counts shared pages once for each process. Counting them right is slow, so it is done only here.
    let proportional: u64 = processes
        .iter()
        .map(|&p| proportional(p).unwrap_or_else(|| self::resident(p)))
        .sum();
    (proportional > limit.0).then_some(Bytes(proportional))
}

fn resident(process: i32) -> u64 {
    // SAFETY: sysconf has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    let text = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    text.split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or(0)
        * page
}

fn proportional(process: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim()
        .trim_end_matches("kB")
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

/// Waits a moment for the next command before falling asleep: within a cell it comes at once, and being woken takes long on a
/// virtual machine (3 % of the whole for a command of 0.6 ms, measured). Yields, for the worker may need this very processor.
fn stay_awake() {
    let started = Instant::now();
    while started.elapsed() < AWAKE {
        let mut polled = [watched(io::stdin().as_raw_fd(), libc::POLLIN)];
        wait_for(&mut polled, Some(started));
        if polled[0].revents != 0 {
            return;
        }
        std::thread::yield_now();
    }
}

/// Makes this process as small as it can be and starts its peak anew (5: proc(5), clear_refs), since both floor the peaks of
/// commands: the program is 48 MB large, and starting it touches 8 MB of that. Where the kernel does not allow it, small
/// commands show our size for theirs; nothing else is wrong.
fn shrink() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    for (start, end) in droppable(&maps) {
        // SAFETY: the mapping is of a file, cannot be written and has no changed page, so its pages come back from the file.
        unsafe {
            libc::madvise(
                std::ptr::with_exposed_provenance_mut(start),
                end - start,
                libc::MADV_DONTNEED,
            )
        };
    }
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Mappings of files that were never written to: proc(5), /proc/pid/smaps. Relocated data is read-only too, but anonymous.
fn droppable(maps: &str) -> Vec<(usize, usize)> {
    let mut found = vec![];
    let mut mapping = None;
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [range, access, _, _, inode, ..] if range.contains('-') => {
                let is_file = access.starts_with('r') && !access.contains('w') && inode != "0";
                mapping = range.split_once('-').filter(|_| is_file);
            }
            ["Anonymous:", "0", "kB"] => {
                let bounds = mapping.take().map(|(start, end)| {
                    (
                        usize::from_str_radix(start, 16),
                        usize::from_str_radix(end, 16),
                    )
                });
                found.extend(bounds.and_then(|(start, end)| Some((start.ok()?, end.ok()?))));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unchanged_read_only_files_are_dropped() {
        let maps = "\
            1000-3000 r--p 00000000 fe:00 77 /bin/a b\nRss: 8 kB\nAnonymous:             0 kB\n\
            3000-4000 r--p 00002000 fe:00 77 /bin/a b\nAnonymous:             4 kB\n\
            4000-5000 rw-p 00003000 fe:00 77 /bin/a b\nAnonymous:             0 kB\n\
            5000-6000 r--p 00000000 00:00 0  [vvar]\nAnonymous:             0 kB\n\
            6000-a000 r-xp 00000000 fe:00 78 /lib/c.so\nAnonymous:             0 kB\n";
        assert_eq!(droppable(maps), [(0x1000, 0x3000), (0x6000, 0xa000)]);
    }

    #[test]
    fn children_are_found_and_their_memory_is_seen() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        assert!(children_of(std::process::id() as i32).contains(&(child.id() as i32)));
        assert!(resident(child.id() as i32) > 0);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
