pub mod flag;
pub mod mailbox;
pub mod sequence;
