//! Which pack holds a blob. It is sorted into a temporary file, a run of bounded size after the other, so that memory
//! does not grow with the repository.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::id::Id;

/// Blobs of a run: some 50 MiB while it is made.
const RUN_BLOBS: usize = 1 << 20;
/// Each run knows where the ids with each beginning of two bytes are.
const BEGINNINGS: usize = 1 << 16;
/// Bytes of a blob in the file: id, kind, pack, offset, length, length when plain, each as it is below.
const RECORD_BYTES: usize = 32 + 1 + 4 * 4;

/// What a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BlobKind {
    /// A part of a file.
    Data = 0,
    /// A folder's list of names.
    Tree = 1,
}

/// Where a blob lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Located {
    pub(crate) id: Id,
    pub(crate) kind: BlobKind,
    /// Which of the packs.
    pub(crate) pack: u32,
    pub(crate) offset: u32,
    /// Sealed.
    pub(crate) length: u32,
    /// If it is compressed.
    pub(crate) plain_length: Option<u32>,
}

/// An index in the making.
pub(crate) struct IndexBuilder {
    file: File,
    run: Vec<Located>,
    runs: Vec<Run>,
}

/// Finds blobs.
pub(crate) struct Index {
    file: File,
    runs: Vec<Run>,
}

struct Run {
    /// Records before it in the file.
    first: u64,
    /// For each beginning, the records of the run before it; and all, in the end.
    starts: Vec<u32>,
}

impl IndexBuilder {
    /// Begins one, in a file without a name in this folder.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let (run, runs) = (Vec::new(), Vec::new());
        let file = tempfile::tempfile_in(folder)?;
        Ok(Self { file, run, runs })
    }

    pub(crate) fn push(&mut self, blob: Located) -> io::Result<()> {
        self.run.push(blob);
        if self.run.len() >= RUN_BLOBS {
            self.close_run()
        } else {
            Ok(())
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<Index> {
        self.close_run()?;
        let Self { file, runs, .. } = self;
        Ok(Index { file, runs })
    }

    fn close_run(&mut self) -> io::Result<()> {
        self.run.sort_unstable();
        self.run.dedup();
        let first = self.file.metadata()?.len() / RECORD_BYTES as u64;
        let mut starts = vec![0; BEGINNINGS + 1];
        let mut file = io::BufWriter::new(&self.file);
        for blob in &self.run {
            starts[beginning(&blob.id) + 1] += 1;
            file.write_all(&encode(blob))?;
        }
        file.flush()?;
        for at in 0..BEGINNINGS {
            starts[at + 1] += starts[at];
        }
        self.runs.push(Run { first, starts });
        self.run.clear();
        Ok(())
    }
}

impl Index {
    /// All places where the blob lies.
    pub(crate) fn find(&self, kind: BlobKind, id: &Id) -> io::Result<Vec<Located>> {
        let mut found = Vec::new();
        for run in &self.runs {
            let (from, to) = (run.starts[beginning(id)], run.starts[beginning(id) + 1]);
            let mut bytes = vec![0; (to - from) as usize * RECORD_BYTES];
            let offset = (run.first + u64::from(from)) * RECORD_BYTES as u64;
            self.file.read_exact_at(&mut bytes, offset)?;
            let (records, _) = bytes.as_chunks::<RECORD_BYTES>();
            let blobs = records.iter().map(decode);
            found.extend(blobs.filter(|blob| blob.id == *id && blob.kind == kind));
        }
        Ok(found)
    }
}

fn beginning(id: &Id) -> usize {
    usize::from(u16::from_be_bytes([id.as_bytes()[0], id.as_bytes()[1]]))
}

fn encode(blob: &Located) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..32].copy_from_slice(blob.id.as_bytes());
    record[32] = blob.kind as u8;
    // A blob of no bytes is not compressed, so 0 is free to say that.
    let numbers = [blob.pack, blob.offset, blob.length, blob.plain_length.unwrap_or(0)];
    for (place, number) in record[33..].chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    record
}

fn decode(record: &[u8; RECORD_BYTES]) -> Located {
    let number = |at: usize| {
        let bytes = record[33 + 4 * at..37 + 4 * at].try_into();
        u32::from_le_bytes(bytes.expect("four bytes"))
    };
    Located {
        id: Id::from_bytes(record[..32].try_into().expect("32 bytes")),
        kind: if record[32] == 0 {
            BlobKind::Data
        } else {
            BlobKind::Tree
        },
        pack: number(0),
        offset: number(1),
        length: number(2),
        plain_length: Some(number(3)).filter(|length| *length > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_blob_is_found_in_whichever_run() {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = IndexBuilder::new(folder.path()).unwrap();
        let blob = |seed: u32, kind, pack| Located {
            id: Id::of(&seed.to_le_bytes()),
            kind,
            pack,
            offset: seed,
            length: 40,
            plain_length: seed.is_multiple_of(2).then_some(seed + 1),
        };
        for run in 0..3 {
            for seed in 0..5000 {
                builder.push(blob(seed, BlobKind::Data, run)).unwrap();
            }
            builder.close_run().unwrap();
        }
        builder.push(blob(7, BlobKind::Tree, 9)).unwrap();
        let index = builder.finish().unwrap();
        for seed in 0..5000 {
            let expected: Vec<_> = (0..3).map(|run| blob(seed, BlobKind::Data, run)).collect();
            let found = index.find(BlobKind::Data, &Id::of(&seed.to_le_bytes())).unwrap();
            assert_eq!(found, expected);
        }
        let id = Id::of(&7u32.to_le_bytes());
        assert_eq!(index.find(BlobKind::Tree, &id).unwrap(), [blob(7, BlobKind::Tree, 9)]);
        assert_eq!(index.find(BlobKind::Tree, &Id::of(b"absent")).unwrap(), []);
    }
}
