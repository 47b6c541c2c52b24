use super::{Context, Start};
use crate::imap::fetch::Fetch;
pub fn start(_request: Fetch, _context: &mut Context<'_>) -> Start {
    todo!()
}
