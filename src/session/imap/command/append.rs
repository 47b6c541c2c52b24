//! APPEND (RFC 9051 6.3.12) of one or more messages (RFC 3502).
//!
//! All messages of one APPEND become visible together or not at all (RFC 3502 3).

use super::patience::Patience;
use super::{Command, Context, Progress, Start};
use crate::imap::Event;
use crate::imap::append::{AppendMessage, AppendStart};
use crate::imap::response::Code;
use crate::session::imap::reply::{self, Reply, ReplyCode};
use crate::store::deliver::{Arriving, Delivered, Delivery};

pub fn start(request: AppendStart, context: &mut Context<'_>) -> Start {
    let begun = Append::begin(request, context);
    match begun {
        Ok(append) => Start::Running(Box::new(append)),
        Err(reply) => {
            context.client.imap.refuse();
            Start::Done(reply)
        }
    }
}

struct Append {
    delivery: Delivery,
    stage: Stage,
    patience: Patience,
}

enum Stage {
    /// A message is coming.
    Text(Arriving),
    /// A message has come; the announcement of the next one, if there is one.
    Message(Arriving, Option<AppendMessage>),
    /// All messages have come; they are made visible.
    Finish,
}

impl Append {
    fn begin(request: AppendStart, context: &mut Context<'_>) -> Result<Append, Reply> {
        let name = request.mailbox?;
        let delivery = Delivery::begin(name, context.mailboxes, context.now)?;
        let message = begin_message(&delivery, request.message, context)?;
        Ok(Append {
            delivery,
            stage: Stage::Text(message),
            patience: Patience::default(),
        })
    }
    /// Takes what has come of the message.
    fn take_text(
        &mut self,
        mut message: Arriving,
        context: &mut Context<'_>,
    ) -> Result<Option<Progress>, Reply> {
        let progress = loop {
            match context.client.imap.poll_event(context.client.out.writer()) {
                None => break Progress::NeedInput,
                Some(Event::AppendData) => {
                    // NULs are taken in either kind of literal, and given back by BINARY.
                    let data = context.client.imap.append_data();
                    let taken = data.len();
                    message.write(data)?;
                    context.client.imap.consume_append_data(taken);
                }
                Some(Event::AppendMessage(about)) => {
                    message.end()?;
                    self.stage = Stage::Message(message, Some(about));
                    return Ok(None);
                }
                Some(Event::AppendEnd) => {
                    message.end()?;
                    self.stage = Stage::Message(message, None);
                    return Ok(None);
                }
                Some(Event::Bad(bad)) => return Ok(Some(Progress::Bad(bad))),
                // Nothing else comes before the end of the command.
                Some(_) => return Err(Reply::bad("APPEND is incomplete.")),
            }
            if (context.over)() {
                break Progress::Again;
            }
        };
        self.stage = Stage::Text(message);
        Ok(Some(progress))
    }

    /// Takes the message that has come, and begins with the next.
    fn take_message(
        &mut self,
        message: Arriving,
        next: Option<AppendMessage>,
        context: &mut Context<'_>,
    ) -> Result<Option<Progress>, Reply> {
        let delivery = &mut self.delivery;
        if let Some(message) = delivery.add_message(message, context.mailboxes, context.now)? {
            self.stage = Stage::Message(message, next);
            return Ok(Some(self.patience.locked()));
        }
        self.stage = match next {
            Some(about) => Stage::Text(begin_message(delivery, about, context)?),
            None => Stage::Finish,
        };
        Ok(None)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> Result<Progress, Reply> {
        let (now, over, id) = (context.now, context.over, context.client.id);
        Ok(
            match self.delivery.finish(id, context.mailboxes, now, over)? {
                Delivered::Again => Progress::Again,
                Delivered::Locked => self.patience.locked(),
                Delivered::Done { uid_validity, uids } => {
                    let code = ReplyCode::AppendUid(uid_validity, uids);
                    Progress::Done(Reply::ok("Append completed.").with(code))
                }
            },
        )
    }
}

fn begin_message(
    delivery: &Delivery,
    about: AppendMessage,
    context: &mut Context<'_>,
) -> Result<Arriving, Reply> {
    if about.size > context.config.append_limit {
        let text = "The message is larger than append_limit allows.";
        return Err(Reply::no(text).code(Code::TooBig));
    }
    if about.size == 0 {
        // RFC 3502 5: this is how a client gives a MULTIAPPEND up.
        return Err(Reply::no("The message is empty."));
    }
    let flags = reply::settable(&about.flags)?;
    let date = about.date.map(|date| date.seconds);
    let message = delivery.begin_message(flags, date, context.mailboxes, context.now)?;
    context.client.imap.accept(context.client.out.writer());
    Ok(message)
}

impl Command for Append {
    fn step(&mut self, context: &mut Context<'_>) -> Progress {
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Finish);
            let advanced = match stage {
                Stage::Text(message) => self.take_text(message, context),
                Stage::Message(message, next) => self.take_message(message, next, context),
                Stage::Finish => return self.finish(context).unwrap_or_else(Progress::Done),
            };
            match advanced {
                Ok(None) => {}
                Ok(Some(progress)) => return progress,
                Err(reply) => {
                    // The rest of the command is not wanted.
                    context.client.imap.refuse();
                    return Progress::Done(reply);
                }
            }
        }
    }
}
