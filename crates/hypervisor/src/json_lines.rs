//! A unix socket on which each line is a value of JSON: how both QEMU's monitor and the guest's agent speak.

use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// What is read at once.
const READ_BYTES: usize = 64 * 1024;

/// Why there is no next line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("the other side closed the connection")]
    Closed,
    #[error("a line is longer than {0} bytes")]
    TooLong(usize),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One connection. Lines can be waited for and given up at any moment; nothing is lost by it.
pub(crate) struct JsonLines {
    stream: UnixStream,
    unread: Vec<u8>,
    /// How much of `unread` is known to have no end of a line.
    searched: usize,
    line_bytes_max: usize,
    /// Set while a line is being written. A writer that was given up may have left half of one.
    torn: bool,
}

impl JsonLines {
    pub(crate) async fn connect(path: &Path, line_bytes_max: usize) -> io::Result<Self> {
        Ok(Self {
            stream: UnixStream::connect(path).await?,
            unread: Vec::new(),
            searched: 0,
            line_bytes_max,
            torn: false,
        })
    }

    /// As whom the process on the other side listens: user and group.
    pub(crate) fn owner(&self) -> io::Result<(u32, u32)> {
        let credentials = self.stream.peer_cred()?;
        Ok((credentials.uid(), credentials.gid()))
    }

    /// Writes one line, which has its end already.
    pub(crate) async fn write(&mut self, line: &[u8]) -> Result<(), LineError> {
        if self.torn {
            return Err(LineError::Closed);
        }
        self.torn = true;
        self.stream.write_all(line).await?;
        self.torn = false;
        Ok(())
    }

    /// The next line, without its end.
    pub(crate) async fn next(&mut self) -> Result<Vec<u8>, LineError> {
        loop {
            if let Some(end) = self.unread[self.searched..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=self.searched + end).collect();
                self.searched = 0;
                line.pop();
                return Ok(line);
            }
            self.searched = self.unread.len();
            if self.searched > self.line_bytes_max {
                return Err(LineError::TooLong(self.line_bytes_max));
            }
            let mut more = [0; READ_BYTES];
            match self.stream.read(&mut more).await? {
                0 => return Err(LineError::Closed),
                length => self.unread.extend_from_slice(&more[..length]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    async fn pair(max: usize) -> (JsonLines, UnixStream, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let lines = JsonLines::connect(&path, max).await.unwrap();
        let (other, _) = listener.accept().await.unwrap();
        (lines, other, folder)
    }

    #[tokio::test]
    async fn lines_come_whole_however_they_were_sent() {
        let (mut lines, mut other, _folder) = pair(100).await;
        other.write_all(b"one\ntw").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), b"one");
        other.write_all(b"o\n\nlast").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), b"two");
        assert_eq!(lines.next().await.unwrap(), b"");
        drop(other);
        assert!(matches!(lines.next().await, Err(LineError::Closed)));
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_not_collected_for_ever() {
        let (mut lines, mut other, _folder) = pair(100).await;
        other.write_all(&[b'a'; 101]).await.unwrap();
        assert!(matches!(lines.next().await, Err(LineError::TooLong(100))));
    }
}
