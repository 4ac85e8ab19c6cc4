//! Bits.

/// What a server says of itself before anything else.
pub mod handshake {
    /// It knows options and answers them.
    pub const FIXED_NEWSTYLE: u16 = 1;
    /// It can leave out 124 zero bytes.
    pub const NO_ZEROES: u16 = 1 << 1;
}

/// What a client answers to [`handshake`].
pub mod client {
    /// It sends options.
    pub const FIXED_NEWSTYLE: u32 = 1;
    /// It does not want the 124 zero bytes.
    pub const NO_ZEROES: u32 = 1 << 1;
}

/// What a client adds to a command.
pub mod command {
    /// Read: one chunk, with its zeros.
    pub const DONT_FRAGMENT: u16 = 1 << 2;
    /// Status of blocks: one extent.
    pub const ONE_EXTENT: u16 = 1 << 3;
}

/// What an extent is, by the context that was asked about.
pub mod state {
    /// `base:allocation`: no space is taken for it. It need not read as zeros.
    pub const HOLE: u32 = 1;
    /// `base:allocation`: it reads as zeros.
    pub const ZERO: u32 = 1 << 1;
    /// `qemu:dirty-bitmap:NAME`: it was written to.
    pub const DIRTY: u32 = 1;
}

/// What a server says of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransmissionFlags(pub u16);

impl TransmissionFlags {
    /// Always there.
    pub const HAS_FLAGS: Self = Self(1);
    /// Nothing can be written.
    pub const READ_ONLY: Self = Self(1 << 1);
    /// Flushing is understood.
    pub const SEND_FLUSH: Self = Self(1 << 2);
    /// Reading in one piece is understood.
    pub const SEND_DF: Self = Self(1 << 7);
    /// Several connections see the same.
    pub const CAN_MULTI_CONN: Self = Self(1 << 8);
    /// Reading ahead is understood.
    pub const SEND_CACHE: Self = Self(1 << 10);

    /// Both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of these are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
