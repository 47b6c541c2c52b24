//! What the loop of a session serves: clients that come through the channel, and the channel.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::imap::LoggedIn;
use crate::imap::response::{self, Code, Status};
use crate::ipc::channel::{Channel, ChannelError};
use crate::ipc::{self, ConnectionNumber, HandOver, Message, Origin, Protocol, SessionCounters};
use crate::net::stream::{Peer, Stream};
use crate::net::{Buffer, Change, ConnectionId, Now, Run, Service, SourceId};
use crate::session::Session;
use crate::session::imap::connection::Standing;
use crate::session::imap::counters::Departure;
use crate::session::place::Root;
use crate::sys::title;

pub struct Served {
    user: String,
    linger: Duration,
    channel: Rc<RefCell<Channel>>,
    /// `None`: the mail cannot be opened.
    session: Option<Session>,
    root: Option<Root>,
    /// What is left to be said to those who are not served.
    turned_away: BTreeMap<ConnectionId, Buffer>,
    /// On their way into the loop.
    joining: BTreeMap<ConnectionNumber, Joining>,
    clients: BTreeMap<ConnectionId, Client>,
    changes: VecDeque<Change>,
    /// `Connection` messages that have come.
    connections: u64,
    /// When the monitor is to be told that nobody is here.
    idle_at: Option<Instant>,
    /// There will be no further clients.
    ending: bool,
    nothing: Buffer,
}

struct Joining {
    protocol: Protocol,
    hand_over: HandOver,
    /// `Drop` came already.
    dropped: bool,
}

struct Client {
    number: ConnectionNumber,
    origin: Origin,
    standing: Standing,
}

impl Served {
    pub fn new(
        user: String,
        config: &Config,
        mail: Option<(Session, Root)>,
        channel: Rc<RefCell<Channel>>,
        now: Now,
    ) -> Served {
        let (session, root) = mail.unzip();
        let watch = Change::Watch(CHANNEL, channel.borrow().fd());
        let mut served = Served {
            user,
            linger: config.session_linger,
            channel,
            session,
            root,
            turned_away: BTreeMap::new(),
            joining: BTreeMap::new(),
            clients: BTreeMap::new(),
            changes: VecDeque::from([watch]),
            connections: 0,
            idle_at: None,
            ending: false,
            nothing: Buffer::new(),
        };
        // The client that was let in may never come, because its front may be gone.
        served.note_absence(now);
        served.show();
        // The client that logged in first may never come.
        served.note_absence(now);
        served
    }

    /// The loop is over: everything is written that a later session would like to find.
    pub fn finish(&mut self, now: Now) {
        if let Some(session) = &mut self.session {
            session.finish(now);
        }
        // The monitor may be gone.
        let _ = self.channel.borrow_mut().flush();
    }

    /// Takes what the monitor says, until there is no more.
    fn receive(&mut self, now: Now) -> Result<(), ChannelError> {
        self.channel.borrow_mut().flush()?;
        loop {
            let received = self.channel.borrow_mut().receive()?;
            match received {
                None => return Ok(()),
                Some(Message::Connection(connection, socket)) => self.join(connection, socket, now),
                Some(Message::Drop(number)) => self.send_away(number),
                Some(Message::Stop) => self.end(),
                Some(_) => return Err(ChannelError::Broken("it is not for a session")),
            }
        }
    }

    fn join(&mut self, connection: ipc::Connection, socket: OwnedFd, now: Now) {
        self.connections += 1;
        self.idle_at = None;
        let ipc::Connection {
            number,
            protocol,
            hand_over,
        } = connection;
        match Stream::adopt(socket) {
            Ok(stream) => {
                let peer = Peer {
                    address: hand_over.origin.remote,
                    local: hand_over.origin.local,
                    ..Peer::default()
                };
                let joining = Joining {
                    protocol,
                    hand_over,
                    dropped: false,
                };
                self.joining.insert(number, joining);
                self.changes.push_back(Change::Add {
                    stream,
                    peer,
                    context: number.0,
                });
            }
            Err(error) => {
                let level = match error.kind() {
                    // The client has gone meanwhile.
                    std::io::ErrorKind::NotConnected => log::Level::Debug,
                    _ => log::Level::Warn,
                };
                log::log!(
                    level,
                    "imap({}): a connection cannot be served: {error}",
                    self.user
                );
                self.tell(Message::Closed(number, SessionCounters::default()));
                self.note_absence(now);
            }
        }
    }

    fn send_away(&mut self, number: ConnectionNumber) {
        if let Some(joining) = self.joining.get_mut(&number) {
            joining.dropped = true;
        }
        let found = self
            .clients
            .iter()
            .find(|(_, client)| client.number == number);
        if let (Some((&id, _)), Some(session)) = (found, &mut self.session) {
            session.dismiss(id, KICKED);
        }
    }

    /// A client is here: it is greeted, and what it sent ahead comes first.
    fn greet(&mut self, id: ConnectionId, joining: Joining, now: Now) {
        let Joining {
            protocol,
            hand_over,
            dropped,
        } = joining;
        let Some(session) = &mut self.session else {
            return self.turn_away(id, protocol, &hand_over);
        };
        if !session.take_over(id, protocol, &hand_over, now) {
            self.turn_away(id, protocol, &hand_over);
        } else if dropped {
            session.dismiss(id, KICKED);
        } else if self.ending {
            session.dismiss(id, STOPPING);
        }
    }

    fn turn_away(&mut self, id: ConnectionId, protocol: Protocol, hand_over: &HandOver) {
        let mut output = Buffer::new();
        let out = output.writer();
        out.extend_from_slice(&hand_over.output);
        match protocol {
            Protocol::Imap => {
                if let Some(LoggedIn { tag, .. }) = LoggedIn::from_octets(&hand_over.state) {
                    let code = Some(Code::Unavailable);
                    response::tagged(out, &tag, Status::No, code, NO_MAIL);
                }
                response::bye(out, Some(Code::Unavailable), NO_MAIL);
            }
            // It has no sessions.
            Protocol::Sasl => {}
        }
        self.turned_away.insert(id, output);
    }

    /// There will be nobody else.
    fn end(&mut self) {
        self.ending = true;
        self.idle_at = None;
        self.changes.push_back(Change::Stop);
    }

    /// Another Maildir is where ours was: it is for another session, which the next login starts.
    fn check_root(&mut self) {
        let replaced = self.root.as_ref().filter(|_| !self.ending);
        let Some(what) = replaced.and_then(Root::replaced) else {
            return;
        };
        log::warn!("imap({}): {what}", self.user);
        if let Some(session) = &mut self.session {
            for &id in self.clients.keys() {
                session.dismiss(id, REPLACED);
            }
        }
        self.end();
    }

    fn tell(&mut self, message: Message) {
        let sent = self.channel.borrow_mut().send(message);
        if let Err(error) = sent {
            self.lose(&error);
        }
    }

    /// The monitor is not there any more, or not to be understood.
    fn lose(&mut self, error: &ChannelError) {
        if self.ending {
            return;
        }
        if !matches!(error, ChannelError::Closed) {
            log::error!("imap({}): channel to the monitor: {error:?}", self.user);
        }
        self.changes.push_back(Change::Unwatch(CHANNEL));
        self.end();
    }

    fn depart(&mut self, client: &Client, departure: &Departure) {
        let (user, process) = (&self.user, crate::sys::process::id());
        let session = &client.origin.session;
        log::info!("imap({user})<{process}><{session}>: {departure}");
        let counters = SessionCounters {
            received: departure.counters.received,
            sent: departure.counters.sent,
            commands: departure.counters.commands,
        };
        self.tell(Message::Closed(client.number, counters));
    }

    fn note_absence(&mut self, now: Now) {
        if self.clients.is_empty() && self.joining.is_empty() && !self.ending {
            // Mail that cannot be opened may be so at the next login: that begins anew.
            let linger = self
                .session
                .as_ref()
                .map_or(Duration::ZERO, |_| self.linger);
            self.idle_at = now.instant.checked_add(linger);
        }
    }

    fn note_standing(&mut self, id: ConnectionId, standing: Standing) {
        if let Some(client) = self.clients.get_mut(&id)
            && client.standing != standing
        {
            client.standing = standing;
            self.show();
        }
    }

    /// For `ps`.
    fn show(&self) {
        let user = &self.user;
        let mut clients = self.clients.values();
        let title = match (clients.next(), clients.next()) {
            (None, _) => format!("session [{user}]"),
            (Some(only), None) => {
                let address = only.origin.remote.map(|address| address.ip());
                let address = address.map_or(String::new(), |address| format!(" {address}"));
                let standing = match only.standing {
                    Standing::Authenticated => "",
                    Standing::Selected => " selected",
                    Standing::Idle => " IDLE",
                };
                format!("session [{user}{address}{standing}]")
            }
            (Some(_), Some(_)) => {
                let is_idle = |client: &&Client| client.standing == Standing::Idle;
                let idle = self.clients.values().filter(is_idle).count();
                format!(
                    "session [{user} {} connections, {idle} IDLE]",
                    self.clients.len()
                )
            }
        };
        title::set(&title);
    }
}

impl Service for Served {
    /// Clients come by `handle_added`.
    fn handle_connect(&mut self, _id: ConnectionId, _peer: Peer, _now: Now) {}

    fn handle_added(&mut self, id: ConnectionId, context: u64, now: Now) {
        let number = ConnectionNumber(context);
        if let Some(joining) = self.joining.remove(&number) {
            let origin = joining.hand_over.origin.clone();
            let standing = Standing::default();
            let client = Client {
                number,
                origin,
                standing,
            };
            self.clients.insert(id, client);
            self.check_root();
            self.greet(id, joining, now);
            self.show();
        }
    }

    fn handle_input(&mut self, id: ConnectionId, bytes: &[u8], now: Now) {
        self.check_root();
        if let Some(session) = &mut self.session {
            session.handle_input(id, bytes, now);
        }
    }

    fn handle_end(&mut self, id: ConnectionId, now: Now) {
        if let Some(session) = &mut self.session {
            session.handle_end(id, now);
        }
    }

    fn handle_close(&mut self, id: ConnectionId, now: Now) {
        let departure = self
            .session
            .as_mut()
            .and_then(|session| session.handle_close(id, now));
        self.turned_away.remove(&id);
        if let Some(client) = self.clients.remove(&id) {
            self.show();
            match departure {
                Some(departure) => self.depart(&client, &departure),
                None => self.tell(Message::Closed(client.number, SessionCounters::default())),
            }
            self.note_absence(now);
        }
    }

    fn handle_source(&mut self, _source: SourceId, now: Now) {
        if let Err(error) = self.receive(now) {
            self.lose(&error);
        }
    }

    fn handle_wake(&mut self, now: Now) {
        self.check_root();
        if let Some(session) = &mut self.session {
            session.handle_wake(now);
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        if let Some(session) = &mut self.session {
            session.handle_timeout(now);
        }
        if self.idle_at.is_some_and(|time| time <= now.instant) {
            self.idle_at = None;
            let connections = self.connections;
            self.tell(Message::Idle { connections });
        }
    }

    fn handle_stop(&mut self, now: Now) {
        self.ending = true;
        self.idle_at = None;
        if let Some(session) = &mut self.session {
            session.handle_stop(now);
        }
    }

    fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run {
        match &mut self.session {
            Some(session) if !self.turned_away.contains_key(&id) => {
                let run = session.run(id, now, over);
                let standing = session.standing(id);
                self.note_standing(id, standing);
                run
            }
            _ => Run::Close,
        }
    }

    fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.session.as_mut()?.poll_ready()
    }

    fn next_timeout(&self) -> Option<Instant> {
        let session = self.session.as_ref().and_then(Session::next_timeout);
        [session, self.idle_at].into_iter().flatten().min()
    }

    fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    fn is_done(&self) -> bool {
        self.ending && self.changes.is_empty() && self.joining.is_empty()
    }

    fn wants_input(&self, id: ConnectionId) -> bool {
        match &self.session {
            Some(session) => session.wants_input(id),
            None => false,
        }
    }

    fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        if let Some(output) = self.turned_away.get_mut(&id) {
            return output;
        }
        match &mut self.session {
            Some(session) => session.output(id),
            None => &mut self.nothing,
        }
    }
}

const CHANNEL: SourceId = SourceId(0);

const KICKED: &str = "Disconnected by the administrator.";
const REPLACED: &str = "The mail was replaced; please log in again.";
const STOPPING: &str = "Server shutting down.";
const NO_MAIL: &str = "Your mail cannot be opened now; the reason is in the server's log.";
