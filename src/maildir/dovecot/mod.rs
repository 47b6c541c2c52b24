//! The files that Dovecot has beside the mail, read and written as Dovecot does, under its locks.

pub mod keywords;
pub mod modseq;
pub mod subscriptions;
pub mod uidlist;
pub mod uidvalidity;
