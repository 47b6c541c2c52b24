//! What the safe crates do not offer: the only place with `unsafe`.
//!
//! Every block says with `SAFETY:` why it holds there.  Nothing in here knows of mail or IMAP.

pub mod fs;
