//! One client after login: events in, commands run one after the other, responses out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::{Client, handle_folder_error, look, tell_news};
use super::command::{self, Begun, Command, Context, Progress, Start};
use super::counters::{ClientCounters, Departure};
use super::reply::{self, About, Reply, ReplyCode};
use super::view::Tell;
use crate::config::Config;
use crate::imap::command::Tag;
use crate::imap::connection::{Bad, State};
use crate::imap::response::{self, Code, Status};
use crate::imap::{self, Event};
use crate::log::ONCE;
use crate::mail::Ranges;
use crate::maildir::folder::Step;
use crate::net::{Buffer, ConnectionId, Now, Run};
use crate::store::Mailboxes;
use crate::store::mailbox::Effort;

pub struct Connection {
    pub client: Client,
    /// What its lines in the log begin with.
    whose: Arc<str>,
    stage: Stage,
    /// The client will send nothing more.
    ended: bool,
    /// The client last did something.
    active: Instant,
    /// The command that runs waits for the client.
    awaits_input: bool,
    /// To be said after the command that runs, which may be in the middle of a response.
    farewell: Option<&'static str>,
    /// Why we ended the connection.
    reason: Option<&'static str>,
}

/// What a client is about, for `ps`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    #[default]
    Authenticated,
    /// It has a mailbox selected.
    Selected,
    /// It waits in IDLE.
    Idle,
}

enum Stage {
    /// Between commands.
    Ready,
    Running(Running),
    Telling(Telling),
    Closing,
}

struct Running {
    tag: Tag,
    about: About,
    command: Box<dyn Command>,
    tell: Tell,
    wait: LockWait,
}

/// A command is done; before its tagged response the client is told what has happened.
struct Telling {
    tag: Tag,
    about: About,
    reply: Reply,
    tell: Tell,
    /// A look is due first.
    look: Option<Effort>,
    waits: u32,
}

impl Connection {
    pub fn new(
        id: ConnectionId,
        whose: Arc<str>,
        imap: imap::Connection,
        out: Buffer,
        now: Now,
    ) -> Connection {
        let saved = Ranges::new();
        let client = Client {
            id,
            imap,
            out,
            selected: None,
            saved,
            condstore: false,
            memo: None,
            counters: ClientCounters::default(),
        };
        Connection {
            client,
            whose,
            stage: Stage::Ready,
            ended: false,
            active: now.instant,
            awaits_input: false,
            farewell: None,
            reason: None,
        }
    }

    pub fn whose(&self) -> &Arc<str> {
        &self.whose
    }

    pub fn handle_input(&mut self, bytes: &[u8], now: Now) {
        self.active = now.instant;
        self.client.counters.received += bytes.len() as u64;
        self.client.imap.handle_input(bytes);
    }

    pub fn handle_end(&mut self) {
        self.ended = true;
    }

    /// The connection is gone: what is to be said of it.
    pub fn depart(self) -> Departure {
        let mut counters = self.client.counters;
        counters.sent = self.client.out.taken();
        Departure {
            reason: self.reason.unwrap_or("Connection closed"),
            counters,
        }
    }

    pub fn wants_input(&self) -> bool {
        !matches!(self.stage, Stage::Closing) && self.client.imap.wants_input()
    }

    /// Works until something has to be waited for; see `net::Run`.
    pub fn run(
        &mut self,
        mailboxes: &mut Mailboxes,
        config: &Config,
        now: Now,
        over: &dyn Fn() -> bool,
    ) -> Run {
        loop {
            if self.client.out.is_full() {
                return Run::Idle;
            }
            self.client.leave_lost_mailbox(mailboxes, now);
            if let Some(run) = self.step(mailboxes, config, now, over) {
                return run;
            }
            if over() {
                return Run::Again;
            }
        }
    }

    /// One step; `None` if the next can follow at once.
    fn step(
        &mut self,
        mailboxes: &mut Mailboxes,
        config: &Config,
        now: Now,
        over: &dyn Fn() -> bool,
    ) -> Option<Run> {
        let mut context = Context {
            client: &mut self.client,
            mailboxes,
            config,
            now,
            over,
        };
        match &mut self.stage {
            Stage::Closing => Some(Run::Close),
            Stage::Ready => {
                let client = &mut context.client;
                let Some(event) = client.imap.poll_event(client.out.writer()) else {
                    return Some(if self.ended { Run::Close } else { Run::Idle });
                };
                settle(&mut context);
                hear(&mut context);
                self.stage = begin(event, context);
                None
            }
            Stage::Running(running) => {
                let progress = running.command.step(&mut context);
                let waits = matches!(progress, Progress::Wait(_));
                if running.wait.is_worth_a_line(waits, now.instant) {
                    reply::report_wait(&running.about, mailboxes);
                }
                self.handle_progress(progress, now)
            }
            Stage::Telling(telling) => {
                if let Some(run) = telling.tell_news(&mut context) {
                    return Some(run);
                }
                telling.reply.report(&telling.about, mailboxes);
                self.reply();
                None
            }
        }
    }

    fn handle_progress(&mut self, progress: Progress, now: Now) -> Option<Run> {
        self.awaits_input = matches!(progress, Progress::NeedInput);
        match progress {
            Progress::Done(reply) => {
                self.active = now.instant;
                if let Stage::Running(done) = std::mem::replace(&mut self.stage, Stage::Ready) {
                    let effort = done.command.effort();
                    self.stage = finished(done.tag, done.about, reply, done.tell, effort);
                }
                None
            }
            Progress::NeedRoom => self.client.out.is_full().then_some(Run::Idle),
            Progress::NeedInput if self.ended => Some(Run::Close),
            Progress::NeedInput => match self.farewell.take() {
                Some(text) => {
                    self.say_bye(text);
                    None
                }
                None => Some(Run::Idle),
            },
            Progress::Again => Some(Run::Again),
            Progress::Wait(time) => Some(Run::Wait(time)),
            Progress::Bad(bad) => {
                self.stage = after_bad(&bad, &mut self.client);
                None
            }
        }
    }

    /// The tagged response, and what follows from it.
    fn reply(&mut self) {
        let Stage::Telling(telling) = std::mem::replace(&mut self.stage, Stage::Ready) else {
            return;
        };
        let Telling {
            tag,
            about,
            mut reply,
            ..
        } = telling;
        reply.name_mailbox(&about, self.client.imap.dialect());
        reply.write(&tag, self.client.out.writer());
        if self.client.imap.state() == State::Logout {
            self.stage = Stage::Closing;
            self.reason = Some("Logged out");
        }
        if reply.status == Status::Bad && self.client.imap.count_bad() {
            self.farewell = Some(TOO_MANY_BAD);
        }
        if let Some(text) = self.farewell.take() {
            self.say_bye(text);
        }
    }

    /// `* BYE`, and nothing after it, as soon as the command that runs has said all.
    pub fn dismiss(&mut self, text: &'static str) {
        if self.is_working() {
            self.farewell = Some(text);
        } else {
            self.say_bye(text);
        }
    }

    fn say_bye(&mut self, text: &'static str) {
        if !matches!(self.stage, Stage::Closing) {
            self.reason = Some(text);
            response::bye(self.client.out.writer(), None, text);
            self.stage = Stage::Closing;
        }
    }

    /// A command runs, and it is not the client that keeps it waiting for more.
    fn is_working(&self) -> bool {
        match self.stage {
            Stage::Ready | Stage::Closing => false,
            Stage::Running(_) => !self.awaits_input && !self.is_idling(),
            Stage::Telling(_) => true,
        }
    }

    pub fn standing(&self) -> Standing {
        match self.client.selected {
            _ if self.is_idling() => Standing::Idle,
            Some(_) => Standing::Selected,
            None => Standing::Authenticated,
        }
    }

    pub fn is_idling(&self) -> bool {
        matches!(&self.stage, Stage::Running(running) if running.command.is_idle())
    }

    /// When the client has been silent too long.
    pub fn deadline(&self, config: &Config) -> Instant {
        let patience = if self.is_idling() {
            config.idle_notify
        } else {
            config.idle_timeout
        };
        self.active + patience
    }

    /// The deadline has passed: an IDLE hears that we are still here (RFC 2177 lets a server give
    /// up on it, but phones behind NAT like to hear something), others are logged out.
    pub fn handle_deadline(&mut self, now: Now) {
        if self.is_working() {
            // It is we who let the client wait.
            self.active = now.instant;
        } else if self.is_idling() && self.client.out.is_empty() {
            response::untagged(self.client.out.writer(), Status::Ok, None, "Still here");
            self.active = now.instant;
        } else {
            self.say_bye("Disconnected for inactivity.");
        }
    }
}

/// No UID is told that a crash could take back.
fn settle(context: &mut Context<'_>) {
    let selected = context.client.selected;
    if let Some(mailbox) = selected.and_then(|selected| context.mailboxes.get(selected.mailbox))
        && let Err(error) = mailbox.folder.settle()
    {
        let name = &mailbox.name;
        log::warn!(target: ONCE, "Mailbox {name}: UIDs are not on disk yet: {error}");
    }
}

/// What a watch has told is known before a command acts or answers; an error is met again by the
/// look that comes after it.
fn hear(context: &mut Context<'_>) {
    let selected = context.client.selected;
    let mailbox = selected.and_then(|selected| context.mailboxes.get(selected.mailbox));
    if mailbox.is_some_and(|mailbox| mailbox.folder.is_watched()) {
        let (mailboxes, now) = (&mut *context.mailboxes, context.now);
        let _ = look(context.client, mailboxes, Effort::Watch, now, context.over);
    }
}

/// Acts on an event between commands.
fn begin(event: Event, mut context: Context<'_>) -> Stage {
    let begun = match event {
        Event::Command(tagged) => command::begin(tagged, &mut context),
        Event::Append(tag, append) => command::begin_append(tag, append, &mut context),
        Event::Bad(bad) => return after_bad(&bad, context.client),
        // These belong to a command that is running.
        Event::AppendData
        | Event::AppendMessage(_)
        | Event::AppendEnd
        | Event::Continuation(_)
        | Event::Cancelled
        | Event::Done => return Stage::Ready,
    };
    context.client.counters.commands += 1;
    let Begun {
        tag,
        about,
        tell,
        start,
    } = begun;
    match start {
        Start::Running(command) => Stage::Running(Running {
            tag,
            about,
            command,
            tell,
            wait: LockWait::default(),
        }),
        Start::Done(reply) => finished(tag, about, reply, tell, Effort::Watch),
        Start::DoneAfterLook(reply) => finished(tag, about, reply, tell, Effort::Directories),
    }
}

fn finished(tag: Tag, about: About, reply: Reply, tell: Tell, effort: Effort) -> Stage {
    Stage::Telling(Telling {
        tag,
        about,
        reply,
        tell,
        look: Some(effort),
        waits: 0,
    })
}

/// Answers what is no command.
fn after_bad(bad: &Bad, client: &mut Client) -> Stage {
    let out = client.out.writer();
    bad.write(out);
    if bad.fatal {
        response::bye(out, None, TOO_MANY_BAD);
        return Stage::Closing;
    }
    Stage::Ready
}

impl Telling {
    /// Tells what may be told now; `Some` if more has to be told later.
    fn tell_news(&mut self, context: &mut Context<'_>) -> Option<Run> {
        let Context {
            client,
            mailboxes,
            now,
            over,
            ..
        } = context;
        if let Some(effort) = self.look {
            match look(client, mailboxes, effort, *now, over) {
                Ok(Step::Done) => {}
                Ok(Step::Again) => return Some(Run::Again),
                // Whoever is at work there is seldom at it for long; if so, what it does is told
                // later.
                Ok(Step::Locked) if effort != Effort::Watch && self.waits < LOOK_WAITS => {
                    self.waits += 1;
                    return Some(Run::Wait(LOOK_WAIT));
                }
                Ok(Step::Locked) => {}
                Err(error) => {
                    handle_folder_error(&error, client, mailboxes, *now);
                    client.leave_lost_mailbox(mailboxes, *now);
                }
            }
            self.look = None;
        }
        if !tell_news(client, mailboxes, self.tell) {
            return Some(Run::Idle);
        }
        self.hold_back(client, mailboxes);
        None
    }

    /// A client that was told a modseq, but not the removals below it, is told where to go on from
    /// (RFC 7162 3.2).
    fn hold_back(&mut self, client: &mut Client, mailboxes: &mut Mailboxes) {
        let mailbox = client
            .selected
            .and_then(|selected| mailboxes.get(selected.mailbox));
        let Some(modseq) = mailbox.and_then(|mailbox| mailbox.take_held_back(client.id)) else {
            return;
        };
        let code = Code::HighestModSeq(modseq);
        match self.reply.code {
            ReplyCode::None => self.reply.code = ReplyCode::Simple(code),
            _ => {
                let text = "Go on from here.";
                response::untagged(client.out.writer(), Status::Ok, Some(code), text);
            }
        }
    }
}

/// How long a command has waited for another program's lock, for the log.
#[derive(Default)]
struct LockWait {
    since: Option<Instant>,
    is_told: bool,
}

impl LockWait {
    /// Once, when the operator should know why the client gets no answer.
    fn is_worth_a_line(&mut self, waits: bool, now: Instant) -> bool {
        if !waits {
            *self = LockWait::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_due = !self.is_told && now.saturating_duration_since(since) >= LONG_WAIT;
        self.is_told |= is_due;
        is_due
    }
}

/// Longer than a program that works well holds a lock.
const LONG_WAIT: Duration = Duration::from_secs(5);

const TOO_MANY_BAD: &str = "Too many bad commands.";

/// A look before a tagged response waits so long at once,
const LOOK_WAIT: Duration = Duration::from_millis(2);

/// and so often at most.
const LOOK_WAITS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_is_told_once_and_only_while_it_lasts() {
        let start = Instant::now();
        let mut wait = LockWait::default();
        let mut tell = |waits, milliseconds| {
            wait.is_worth_a_line(waits, start + Duration::from_millis(milliseconds))
        };
        assert!(!tell(true, 0));
        assert!(!tell(true, 4_999));
        assert!(tell(true, 5_000));
        assert!(!tell(true, 60_000));
        assert!(!tell(false, 60_001));
        assert!(!tell(true, 60_002));
        assert!(tell(true, 65_002));
    }
}
