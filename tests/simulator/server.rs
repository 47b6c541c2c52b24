//! A process of Roost with its clients: what `net` does in a real one, on simulated time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use roost::config::{Config, Location};
use roost::imap;
use roost::imap::connection::State;
use roost::maildir::disk::dir::world as seam;
use roost::net::{Buffer, ConnectionId, Run};
use roost::session::{Greeting, Session};

use crate::client::Client;
use crate::plan::{self, Act, Kind};
use crate::world::Here;

pub struct Server {
    here: Rc<Here>,
    plan: plan::Server,
    session: Option<Session>,
    pub clients: Vec<Client>,
    connections: usize,
    /// Whether a time slice is over depends on it.
    asked: Cell<u16>,
}

impl Server {
    pub fn new(here: Rc<Here>, plan: plan::Server) -> Server {
        seam::enter(Rc::clone(&here) as Rc<dyn seam::World>);
        here.set_life(
            plan.dies_at.map(usize::from),
            Duration::from_millis(plan.lag.into()),
        );
        let names = plan.clients.iter().zip(1..);
        let clients = names.map(|(&kind, number)| {
            Client::new(kind, number - 1, format!("{}{number}", here.name()))
        });
        Server {
            clients: clients.collect(),
            here,
            plan,
            session: None,
            connections: 0,
            asked: Cell::new(0),
        }
    }

    /// The director's, for a client of its own.
    pub fn with(here: Rc<Here>, clients: Vec<Client>) -> Server {
        let plan = plan::Server {
            watches: false,
            lag: 0,
            slice: 1000,
            clients: Vec::new(),
            acts: Vec::new(),
            dies_at: None,
            ends_badly: false,
        };
        let mut server = Server::new(here, plan);
        server.clients = clients;
        server
    }

    /// Does all that is planned.
    pub fn act(&mut self) {
        self.start();
        for act in self.plan.acts.clone() {
            if self.here.failed() {
                return;
            }
            if act.after > 0 {
                self.here.pass(Duration::from_millis(act.after.into()));
            }
            self.check_life();
            match act.what {
                Act::Command(client, command) => {
                    let client = usize::from(client) % self.clients.len();
                    self.converse(&[(client, command)]);
                }
                Act::Both(first, second) if self.clients.len() > 1 => {
                    self.converse(&[(0, first), (1, second)]);
                }
                Act::Both(first, _) => self.converse(&[(0, first)]),
                Act::Reconnect(client) => {
                    let client = usize::from(client) % self.clients.len();
                    self.disconnect(client);
                    self.connect(client);
                }
                Act::Restart => {
                    self.finish();
                    self.start();
                }
                Act::Idle => self.look_after(),
            }
            self.catch_up();
        }
    }

    fn start(&mut self) {
        self.session = None;
        self.here.be_born();
        for client in 0..self.clients.len() {
            self.connect(client);
        }
    }

    fn config(&self) -> Config {
        let mut config = Config::default();
        let watch = if self.plan.watches { "yes" } else { "no" };
        config.set(&format!("mail.watch={watch}")).unwrap();
        config
    }

    /// A dead process is replaced.
    fn check_life(&mut self) {
        if self.here.is_dead() {
            for client in &mut self.clients {
                client.disconnect();
            }
            self.start();
        }
    }

    fn connect(&mut self, client: usize) {
        for _ in 0..TRIES {
            if self.here.failed() {
                return;
            }
            if self.here.is_dead() {
                return self.check_life();
            }
            self.disconnect(client);
            self.greet(client);
            if self.clients[client].selected {
                return;
            }
            self.here.sleep(Duration::from_millis(500));
        }
    }

    fn greet(&mut self, client: usize) {
        if self.session.is_none() {
            let root = self.here.world.inner().disk.root.clone();
            let location = Location::at(root, self.config().layout);
            self.session = Session::new("alice", &self.config(), location, Box::new(|| {})).ok();
        }
        let Some(session) = &mut self.session else {
            return;
        };
        self.connections += 1;
        let id = ConnectionId(self.connections);
        self.clients[client].id = id;
        let connection = imap::Connection::new(State::Authenticated, b'.');
        let now = self.here.now();
        session.attach(id, "s", Greeting::PreAuth, connection, Buffer::new(), now);
        if self.clients[client].kind == Kind::Qresync {
            let line = self.clients[client].enable(&self.here);
            self.send(&[(client, line)]);
        }
        self.select(client);
    }

    fn select(&mut self, client: usize) {
        let mailbox = match self.clients[client].is_for_copies {
            true => "Box",
            false => "INBOX",
        };
        let line = self.clients[client].select(mailbox, &self.here);
        self.send(&[(client, line)]);
    }

    fn disconnect(&mut self, client: usize) {
        let now = self.here.now();
        if let Some(session) = &mut self.session {
            session.handle_close(self.clients[client].id, now);
        }
        self.here.forget(client);
        self.clients[client].disconnect();
    }

    /// The clients say these things, and are answered.
    fn converse(&mut self, commands: &[(usize, plan::Command)]) {
        let mut lines = Vec::new();
        for &(client, command) in commands {
            if !self.clients[client].selected {
                self.connect(client);
            }
            if self.here.is_dead() || !self.clients[client].selected {
                return;
            }
            let line = self.clients[client].command(command, &self.here);
            lines.extend(line.map(|line| (client, line)));
        }
        self.send(&lines);
        for &(client, _) in commands {
            if !self.here.is_dead() && !self.here.failed() && !self.clients[client].selected {
                self.select(client);
            }
        }
    }

    /// Clients ask for what they do not know.
    fn catch_up(&mut self) {
        for client in 0..self.clients.len() {
            for _ in 0..3 {
                if self.here.is_dead() || self.here.failed() || !self.clients[client].selected {
                    break;
                }
                let Some(line) = self.clients[client].ask(&self.here) else {
                    break;
                };
                self.send(&[(client, line)]);
                if self.clients[client].picture.unknown().is_some() {
                    self.converse(&[(client, plan::Command::Noop)]);
                }
            }
        }
    }

    fn send(&mut self, lines: &[(usize, Vec<u8>)]) {
        let now = self.here.now();
        let Some(session) = &mut self.session else {
            return;
        };
        for (client, line) in lines {
            session.handle_input(self.clients[*client].id, line, now);
        }
        let mut waits = 0;
        for _ in 0..TURNS_MAX {
            if self.here.is_dead() || self.here.failed() {
                return;
            }
            let mut wait: Option<Duration> = None;
            let mut busy = false;
            for client in 0..self.clients.len() {
                if self.clients[client].pending.is_none() {
                    continue;
                }
                self.end_idle(client);
                match self.run(client) {
                    Run::Again => busy = true,
                    Run::Wait(span) => wait = Some(wait.map_or(span, |wait| wait.min(span))),
                    _ => {}
                }
            }
            if self.clients.iter().any(Client::is_idle) {
                wait = wait.or(Some(Duration::from_millis(25)));
            }
            self.look_after();
            if self.clients.iter().all(|client| client.pending.is_none()) {
                return;
            }
            if let (false, Some(span)) = (busy, wait) {
                waits += 1;
                self.here.sleep(span * (1 + waits / 20));
            }
        }
        self.here
            .fail("stall", "a command comes to no end".to_owned());
    }

    /// A client in IDLE has enough of it some time.
    fn end_idle(&mut self, client: usize) {
        let now = self.here.now();
        let id = self.clients[client].id;
        let (Some(session), Some(pending)) = (&mut self.session, &mut self.clients[client].pending)
        else {
            return;
        };
        pending.idle = match pending.idle {
            Some(0) => {
                session.handle_input(id, b"DONE\r\n", now);
                None
            }
            left => left.map(|left| left - 1),
        };
    }

    /// Lets the session work for one client.
    fn run(&mut self, client: usize) -> Run {
        let now = self.here.now();
        let Some(session) = &mut self.session else {
            return Run::Close;
        };
        let asked = &self.asked;
        let slice = self.plan.slice;
        let over = || {
            asked.set(asked.get().wrapping_mul(25_173).wrapping_add(13_849));
            asked.get() >> 4 < 4096 / slice
        };
        let client = &mut self.clients[client];
        let run = session.run(client.id, now, &over);
        // What a process says before it dies may get out or not; here it does not.
        if !self.here.is_dead() {
            let output = session.output(client.id);
            client.input.extend_from_slice(output.pending());
            output.consume(output.len());
            client.hear(&self.here);
        }
        run
    }

    /// Events, timers, and those whom they concern.
    fn look_after(&mut self) {
        let now = self.here.now();
        let Some(session) = &mut self.session else {
            return;
        };
        session.handle_wake(now);
        if session.next_timeout().is_some_and(|due| due <= now.instant) {
            session.handle_timeout(now);
        }
        while let Some(id) = self.session.as_mut().and_then(Session::poll_ready) {
            let found = self.clients.iter().position(|client| client.id == id);
            if let Some(client) = found {
                self.run(client);
            }
        }
    }

    /// Everybody hears what there is to hear.
    pub fn settle(&mut self) {
        for round in 0..ROUNDS {
            self.check_life();
            for client in 0..self.clients.len() {
                if !self.clients[client].selected {
                    self.connect(client);
                }
                if self.here.failed() {
                    return;
                }
                if !self.clients[client].selected {
                    let text = format!("client {client} cannot select the mailbox");
                    return self.here.fail("refused", text);
                }
                let noop = self.clients[client].command(plan::Command::Noop, &self.here);
                let lines: Vec<_> = noop.into_iter().map(|line| (client, line)).collect();
                self.send(&lines);
            }
            self.catch_up();
            if round < ROUNDS - 1 {
                self.here.pass(Duration::from_millis(2500));
            }
        }
    }

    /// As at SIGTERM, or as at SIGKILL.
    pub fn stop(&mut self) {
        match self.plan.ends_badly {
            true => {
                self.here.kill();
                self.session = None;
            }
            false => self.finish(),
        }
    }

    pub fn finish(&mut self) {
        let now = self.here.now();
        for client in 0..self.clients.len() {
            self.disconnect(client);
        }
        if let Some(mut session) = self.session.take() {
            session.finish(now);
        }
    }
}

/// How often a client tries to come in.
const TRIES: usize = 8;

const ROUNDS: usize = 3;

/// Two minutes of waiting for a lock, and more.
const TURNS_MAX: usize = 20_000;
