//! What a command says: pipes that never make it wait for long, and the beginning and end of what came through them.
#![allow(unsafe_code, reason = "the size and mode of a pipe are set with fcntl")]
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::process::Stdio;

/// What of each end is kept. Metrics stand at the beginning or the end of stdout; messages at the end of stderr.
const KEPT_STDOUT: usize = 512 << 10;
const KEPT_STDERR: usize = 32 << 10;

/// Both streams of one command. Fresh for each, since a command may change the mode of a pipe for all who have it.
pub(super) struct Captured {
    /// Absent: `/dev/null`, which costs the command least.
    stdout: Option<Stream>,
    stderr: Stream,
}

impl Captured {
    pub(super) fn new(keeps_stdout: bool) -> io::Result<Captured> {
        let stdout = keeps_stdout.then(|| Stream::new(KEPT_STDOUT)).transpose()?;
        if let Some(stdout) = &stdout {
            // SAFETY: the descriptor is open. A megabyte is what an unprivileged process may ask for; where it is refused the
            // pipe keeps its 64 KiB, and a command that says much waits for us now and then.
            unsafe { libc::fcntl(stdout.writer.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
        }
        Ok(Captured {
            stdout,
            stderr: Stream::new(KEPT_STDERR)?,
        })
    }

    pub(super) fn keeps_stdout(&self) -> bool {
        self.stdout.is_some()
    }

    /// The command's ends: stdout, stderr.
    pub(super) fn inlets(&self) -> io::Result<[Stdio; 2]> {
        let stdout = self
            .stdout
            .as_ref()
            .map_or(Ok(Stdio::null()), Stream::inlet)?;
        Ok([stdout, self.stderr.inlet()?])
    }

    /// What becomes readable when the command says something; negative where nothing is kept.
    pub(super) fn descriptors(&self) -> [RawFd; 2] {
        [
            self.stdout.as_ref().map_or(-1, |s| s.reader.as_raw_fd()),
            self.stderr.reader.as_raw_fd(),
        ]
    }

    pub(super) fn drain(&mut self) {
        self.stdout.iter_mut().for_each(Stream::drain);
        self.stderr.drain();
    }

    /// Everything that was said: stdout, stderr.
    pub(super) fn texts(&mut self) -> [String; 2] {
        [
            self.stdout.as_mut().map(Stream::text).unwrap_or_default(),
            self.stderr.text(),
        ]
    }
}

struct Stream {
    reader: PipeReader,
    /// Kept open, so that the pipe's end does not wake us while the command is still about to exit.
    writer: PipeWriter,
    head: Vec<u8>,
    tail: Vec<u8>,
    kept: usize,
    left_out: usize,
}

impl Stream {
    fn new(kept: usize) -> io::Result<Stream> {
        let (reader, writer) = io::pipe()?;
        // SAFETY: the descriptor is open.
        if unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Stream {
            reader,
            writer,
            head: vec![],
            tail: vec![],
            kept,
            left_out: 0,
        })
    }

    fn inlet(&self) -> io::Result<Stdio> {
        self.writer.try_clone().map(Stdio::from)
    }

    /// Takes in what the pipe has now. A writer that is faster than this is left waiting: limits must be looked at.
    fn drain(&mut self) {
        let mut some = [0; 16 << 10];
        for _ in 0..256 {
            let Ok(n @ 1..) = self.reader.read(&mut some) else {
                return;
            };
            self.take(&some[..n]);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.kept - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        // Twice the length, so that it is not moved for every few bytes.
        if self.tail.len() > 2 * self.kept {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let surplus = self.tail.len().saturating_sub(self.kept);
        self.tail.drain(..surplus);
        self.left_out += surplus;
    }

    fn text(&mut self) -> String {
        self.drain();
        self.shorten();
        let mut bytes = std::mem::take(&mut self.head);
        if self.left_out > 0 {
            bytes.extend_from_slice(format!("\n[{} bytes left out]\n", self.left_out).as_bytes());
        }
        bytes.append(&mut self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn beginning_and_end_of_a_long_output_are_kept() {
        let mut stream = Stream::new(4).unwrap();
        for byte in b'a'..=b'z' {
            stream.take(&[byte]);
        }
        assert_eq!(stream.text(), "abcd\n[18 bytes left out]\nwxyz");
        let mut stream = Stream::new(4).unwrap();
        // Cut in the middle of a character, and whole again.
        stream.take("abcéfgh".as_bytes());
        assert_eq!(stream.text(), "abcéfgh");
    }

    #[test]
    fn a_megabyte_can_be_said_before_anybody_listens() {
        let mut captured = Captured::new(true).unwrap();
        captured
            .stdout
            .as_mut()
            .unwrap()
            .writer
            .write_all(&[b'x'; 1_000_000])
            .unwrap();
        captured.stderr.writer.write_all(b"oh").unwrap();
        let [stdout, stderr] = captured.texts();
        assert_eq!((stdout.len(), &*stderr), (1_000_000, "oh"));
        assert_eq!(Captured::new(false).unwrap().texts(), ["", ""]);
    }
}
