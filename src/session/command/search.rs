use super::{Context, Start};
use crate::imap::command::Tag;
use crate::imap::search::Search;
pub fn start(_tag: Tag, _request: Search, _context: &mut Context<'_>) -> Start {
    todo!()
}
