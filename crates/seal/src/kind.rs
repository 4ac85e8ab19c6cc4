//! What a sealed blob is.

/// What was sealed. It is authenticated: a blob of one kind never opens as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SealKind {
    /// A piece of file contents, or a bundle of small ones.
    Chunk = 1,
    /// The entries of a page; the page's visible part is the additional data.
    Page = 2,
    /// The private part of a recovery point; its visible header is the additional data.
    PointBody = 3,
    /// A master key under a key-encryption key; the key set's id is the additional data.
    MasterKey = 4,
    /// The settings of a machine; its item and their generation are the additional data.
    Settings = 5,
}

impl SealKind {
    /// The byte that tag and cipher authenticate.
    pub(crate) const fn byte(self) -> u8 {
        self as u8
    }
}
