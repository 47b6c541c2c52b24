//! Roost's own files beside the mail.  Each can be deleted at any time, and only time is lost.

pub mod cache;
pub mod counter;
pub mod index;
