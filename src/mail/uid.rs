//! What names a message in its mailbox for good.

/// A unique identifier (RFC 9051 2.3.1.1); never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uid(pub u32);
