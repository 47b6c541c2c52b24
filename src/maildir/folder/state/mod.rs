//! What a folder knows of its messages.  Pure: nothing here looks at a file.

pub mod counts;
pub mod history;
pub mod messages;
pub mod table;
