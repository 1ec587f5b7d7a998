//! The launcher as the worker sees it: what is asked of it, what it answers, and the link to it. The process itself is in
//! `running.rs`.
//!
//! It is a process of its own because a child's peak memory as `wait4` tells it is floored by the peak of the process that
//! spawned it: a parent of 300 MB makes `true` report 295 MB (STATISTICS, "Why it is so"). It lives as long as the worker, so a
//! sample costs one spawn and not two; when the worker dies, however it dies, the launcher ends what runs and then itself.
#![allow(clippy::disallowed_methods, reason = "starts the launcher")]
use crate::value::{Bytes, Nanoseconds};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// One command to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Looked for on `PATH` unless it has a slash.
    pub program: String,
    pub arguments: Vec<String>,
    /// Added to what the launcher inherited.
    pub environment: Vec<(String, String)>,
    pub folder: Option<PathBuf>,
    /// Longer, and its whole process group is killed.
    pub time_limit: Option<Nanoseconds>,
    /// Resident memory of the command and all that it started. It is looked at every 100 ms, so a shorter command is never
    /// disturbed and never stopped.
    pub memory_limit: Option<Bytes>,
    /// Length of an environment variable that only shifts the stack: each process gets a memory layout of its own.
    pub padding: u32,
    /// Otherwise stdout is `/dev/null`, which costs the command least. A few programs notice (`grep` stops at the first match).
    pub keeps_stdout: bool,
    /// Whether processes that outlive the command are killed. A server that `prepare` starts has to live on until `cleanup`.
    pub ends_strays: bool,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launched {
    pub end: End,
    /// From just before the spawn to just after the exit.
    pub wall: Nanoseconds,
    pub user: Nanoseconds,
    pub system: Nanoseconds,
    /// Largest resident size of the command or of a descendant that it waited for; never less than the launcher's own, 1.5 MB.
    pub peak: Bytes,
    /// Its beginning and end, if it was kept.
    pub stdout: String,
    /// Its beginning and end.
    pub stderr: String,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    Exit(i32),
    Signal(i32),
    TimedOut,
    /// With what it had when it was killed.
    OverMemory(Bytes),
}

/// What to start as a launcher.
#[derive(Clone, Debug)]
pub struct LauncherProgram {
    pub path: PathBuf,
    pub arguments: Vec<String>,
}

impl LauncherProgram {
    /// The small program beside this one, since a command's peak memory is floored by its parent's (1.5 MB instead of 9); where
    /// it is not installed, this very program, even if its file has been replaced since it started.
    pub fn this() -> LauncherProgram {
        let small = std::env::current_exe().map(|whole| whole.with_file_name("phasetune-launcher"));
        let path = small
            .ok()
            .filter(|path| path.is_file())
            .unwrap_or_else(|| "/proc/self/exe".into());
        LauncherProgram {
            path,
            arguments: vec!["__launch".into()],
        }
    }
}

/// The worker's end of the link. A launcher that is lost is replaced at the next command.
#[derive(Debug)]
pub struct Launcher {
    program: LauncherProgram,
    link: Option<Link>,
}

#[derive(Debug)]
struct Link {
    process: Child,
    /// Closed first when the link ends, which is what the launcher ends at.
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Launcher {
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: LauncherProgram) -> Result<Launcher, String> {
        let link = Link::start(&program)?;
        Ok(Launcher {
            program,
            link: Some(link),
        })
    }

    /// Runs one command to its end.
    ///
    /// # Errors
    /// When there was no run: the program cannot be started, or the launcher is lost. Says what to do.
    pub fn run(&mut self, launch: &Launch) -> Result<Launched, String> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::start(&self.program)?,
        };
        // An answer that is lost or foreign leaves the link in no known state: it is dropped, and with it what still runs.
        let lost =
            |what: String| format!("the launcher of commands is lost ({what}); was it killed?");
        let requests = link.requests.as_mut().expect("open as long as the link");
        send(requests, launch).map_err(|e| lost(e.to_string()))?;
        let reply: Result<Launched, String> = receive(&mut link.replies)
            .map_err(|e| lost(e.to_string()))?
            .ok_or_else(|| lost("it has ended".into()))?;
        self.link = Some(link);
        reply
    }

    /// The launcher's process, for those who watch over it.
    pub fn process(&self) -> Option<u32> {
        self.link.as_ref().map(|link| link.process.id())
    }
}

impl Link {
    fn start(program: &LauncherProgram) -> Result<Link, String> {
        let failed = |e: io::Error| {
            format!(
                "the launcher {} cannot be started: {e}",
                program.path.display()
            )
        };
        let mut process = Command::new(&program.path)
            .args(&program.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Whoever waits for the end of the worker's stderr must not wait for the launcher's.
            .stderr(Stdio::null())
            // Who kills the worker's group leaves the launcher alive to end the command's group.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let requests = process.stdin.take();
        let replies = BufReader::new(process.stdout.take().expect("piped above"));
        Ok(Link {
            process,
            requests,
            replies,
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        drop(self.requests.take());
        // It ends what runs and then itself; nothing is left to say if that fails.
        let _ = self.process.wait();
    }
}

/// No message is longer: a megabyte of output, escaped, and some.
const LONGEST: usize = 16 << 20;

/// Writes one message, with its length so that a torn one shows.
pub(super) fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_string(message).map_err(io::Error::other)?;
    to.write_all(format!("{} {body}\n", body.len()).as_bytes())?;
    to.flush()
}

/// Reads one message; `None` at the end of the stream.
///
/// # Errors
/// Anything that is not a whole message.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "no message of ours");
    let mut length = Vec::new();
    if from.by_ref().take(20).read_until(b' ', &mut length)? == 0 {
        return Ok(None);
    }
    let length: Option<usize> = std::str::from_utf8(&length)
        .ok()
        .and_then(|text| text.strip_suffix(' ')?.parse().ok());
    let length = length.filter(|&n| n <= LONGEST).ok_or_else(broken)?;
    let mut body = vec![0; length + 1];
    from.read_exact(&mut body)?;
    if body.pop() != Some(b'\n') {
        return Err(broken());
    }
    serde_json::from_slice(&body)
        .map(Some)
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_whole_and_a_torn_one_is_an_error() {
        let launch = Launch {
            program: "a \"b\"\n".into(),
            time_limit: Some(Nanoseconds(1.5)),
            ..Launch::default()
        };
        let mut pipe = Vec::new();
        send(&mut pipe, &launch).unwrap();
        send(&mut pipe, &Launch::default()).unwrap();
        let mut from = &pipe[..];
        assert_eq!(receive(&mut from).unwrap(), Some(launch));
        assert_eq!(receive(&mut from).unwrap(), Some(Launch::default()));
        assert_eq!(receive::<Launch>(&mut from).unwrap(), None);
        for end in 1..20 {
            assert!(
                receive::<Launch>(&mut &pipe[..end]).is_err(),
                "cut at {end}"
            );
        }
        assert!(receive::<Launch>(&mut &b"running 1 test\n"[..]).is_err());
    }

    #[test]
    fn a_program_that_is_no_launcher_is_an_error_and_no_hang() {
        for (path, arguments) in [
            ("/bin/true", vec![]),
            ("/bin/echo", vec!["hello".to_owned()]),
        ] {
            let mut launcher = Launcher::start(LauncherProgram {
                path: path.into(),
                arguments,
            })
            .unwrap();
            assert!(
                launcher
                    .run(&Launch::default())
                    .unwrap_err()
                    .contains("launcher")
            );
        }
        let missing = LauncherProgram {
            path: "/nowhere/at/all".into(),
            arguments: vec![],
        };
        assert!(
            Launcher::start(missing)
                .unwrap_err()
                .contains("/nowhere/at/all")
        );
    }
}
