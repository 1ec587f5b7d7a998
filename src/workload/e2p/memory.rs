//! Memory of the host that frames are read into and images are written to.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "maps the files of frames"
)]
use crate::device::Pinned;
use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::io::{self, Read};
use std::ops::{Deref, DerefMut};
use std::path::Path;

/// Room that is used again and again.
pub(super) enum Room {
    Heap(Vec<u8>),
    /// Which a GPU copies by itself, and how much of it is in use.
    Pinned(Pinned, usize),
}

impl Default for Room {
    fn default() -> Room {
        Room::Heap(vec![])
    }
}

impl Deref for Room {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Room::Heap(bytes) => bytes,
            Room::Pinned(bytes, length) => &bytes[..*length],
        }
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Room::Heap(bytes) => bytes,
            Room::Pinned(bytes, length) => &mut bytes[..*length],
        }
    }
}

impl Room {
    /// # Panics
    /// Where pinned memory has less.
    pub(super) fn resize(&mut self, length: usize) {
        match self {
            Room::Heap(bytes) => bytes.resize(length, 0),
            Room::Pinned(bytes, used) => {
                assert!(length <= bytes.len(), "pinned memory does not grow");
                *used = length;
            }
        }
    }

    /// Everything to the end, or the first bytes where it is longer than `most`.
    fn read(&mut self, from: impl Read, most: usize) -> io::Result<()> {
        let mut from = from.take(most as u64);
        match self {
            Room::Heap(bytes) => {
                bytes.clear();
                // No more than that: the room of a frame is a frame's.
                bytes.reserve_exact(most);
                from.read_to_end(bytes)?;
            }
            Room::Pinned(bytes, length) => {
                *length = 0;
                while *length < bytes.len() {
                    match from.read(&mut bytes[*length..]) {
                        Ok(0) => break,
                        Ok(more) => *length += more,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where a file's bytes are.
pub(super) enum Content {
    Room(Room),
    /// In the page cache, where the operating system has them anyway.
    Mapped(Option<Mmap>),
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Content::Room(room) => room,
            Content::Mapped(map) => map.as_deref().unwrap_or_default(),
        }
    }
}

impl Content {
    /// The whole file, or its first bytes where it is longer than `most`: then it is no frame of ours.
    pub(super) fn read(&mut self, path: &Path, most: usize) -> io::Result<()> {
        let file = File::open(path)?;
        match self {
            Content::Room(room) => room.read(file, most),
            Content::Mapped(map) => {
                let length = file.metadata()?.len().min(most as u64) as usize;
                // Populated: a page that is not there yet is waited for here, not by whoever looks at the frame.
                let options = MmapOptions::new().len(length).populate().to_owned();
                // SAFETY: the generator writes a file once, under another name. A user's that is changed meanwhile would give
                // other pixels, and one that is cut off would end this worker, which is a variant that crashed.
                *map = (length > 0)
                    .then(|| unsafe { options.map(&file) })
                    .transpose()?;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of an empty file, one that fits and one that is too long; twice, since rooms are used again.
    #[test]
    fn every_kind_of_memory_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut all = [
            Content::Room(Room::default()),
            Content::Room(Room::Pinned(Box::new(vec![0; 100]), 0)),
            Content::Mapped(None),
        ];
        for length in [70, 0, 100, 101, 3] {
            let bytes: Vec<u8> = (0..length).collect();
            std::fs::write(&path, &bytes).unwrap();
            for content in &mut all {
                content.read(&path, 100).unwrap();
                assert_eq!(&**content, &bytes[..bytes.len().min(100)]);
            }
        }
        std::fs::remove_file(&path).unwrap();
        for content in &mut all {
            assert_eq!(
                content.read(&path, 100).unwrap_err().kind(),
                io::ErrorKind::NotFound
            );
        }
    }
}
