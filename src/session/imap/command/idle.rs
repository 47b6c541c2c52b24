//! IDLE (RFC 2177, RFC 9051 6.3.13).

use super::patience::LOCK_WAIT;
use super::{Command, Context, Progress, Start};
use crate::imap::Event;
use crate::imap::command::Tag;
use crate::maildir::folder::Step;
use crate::session::imap::client::{handle_folder_error, look, tell_news};
use crate::session::imap::reply::Reply;
use crate::session::imap::view::Tell;
use crate::store::mailbox::Effort;

pub fn start(tag: &Tag, context: &mut Context<'_>) -> Start {
    let client = &mut *context.client;
    client.imap.start_idle(tag, client.out.writer());
    Start::Running(Box::new(Idle {
        effort: Effort::Directories,
    }))
}

struct Idle {
    /// The first look is thorough; after that the watch tells.
    effort: Effort,
}

impl Command for Idle {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        let mut locked = false;
        match look(
            context.client,
            context.mailboxes,
            self.effort,
            context.now,
            context.over,
        ) {
            Ok(Step::Done) => self.effort = Effort::Watch,
            Ok(Step::Again) => return Progress::Again,
            // However long that takes, the client may end its IDLE meanwhile.
            Ok(Step::Locked) => locked = true,
            Err(error) => {
                handle_folder_error(&error, context.client, context.mailboxes, context.now);
            }
        }
        if !tell_news(context.client, context.mailboxes, Tell::All) {
            return Progress::NeedRoom;
        }
        match context.client.imap.poll_event(context.client.out.writer()) {
            None if locked => Progress::Wait(LOCK_WAIT),
            None => Progress::NeedInput,
            Some(Event::Done) => Progress::Done(Reply::ok("Idle completed.")),
            Some(Event::Bad(bad)) => Progress::Bad(bad),
            // While idling the connection gives nothing else.
            Some(_) => Progress::Done(Reply::bad("Expected DONE.")),
        }
    }

    fn is_idle(&self) -> bool {
        true
    }
}
