//! What the monitor says to the front, and what it is told.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::{CHANNEL, Phase, Server};
use crate::config::Config;
use crate::front::desk::{Answer, Asker};
use crate::front::{Admitted, Entry};
use crate::ipc::channel::ChannelError;
use crate::ipc::{Attempt, FrontCounters, HandOver, ListenerKind, Message};
use crate::net::stream::{ListenerId, Peer, Stream};
use crate::net::{Change, ConnectionId, Now};

impl Server {
    /// Something has come, or there is room for more to say.
    pub(super) fn listen_to_monitor(&mut self, now: Now) {
        let flushed = self.channel.borrow_mut().flush();
        if let Err(error) = flushed {
            return self.lose_monitor(&error);
        }
        loop {
            let received = self.channel.borrow_mut().receive();
            match received {
                Ok(Some(message)) => self.handle_message(message, now),
                Ok(None) => break,
                Err(error) => return self.lose_monitor(&error),
            }
        }
        self.send_due(now);
    }

    /// Tells the monitor what it is to hear now.
    pub(super) fn send_due(&mut self, now: Now) {
        while self.may_send()
            && let Some(message) = self.desk.poll_message(now.instant)
        {
            self.send(message);
        }
    }

    /// Whether anything may be said that can wait.
    pub(super) fn may_send(&self) -> bool {
        self.phase != Phase::Alone && !self.channel.borrow().is_full()
    }

    pub(super) fn send_counters(&mut self, counters: FrontCounters) -> bool {
        let may_send = self.may_send();
        if may_send {
            self.send(Message::Counted(counters));
        }
        may_send
    }

    /// A connection that was given to the loop: the only client, or the session's side of a relayed
    /// one.
    pub(super) fn add(&mut self, id: ConnectionId, context: u64, now: Now) {
        match self.only_client.take() {
            Some((protocol, peer)) if context == ONLY_CLIENT => {
                self.welcome(protocol, id, peer, now)
            }
            only_client => {
                self.only_client = only_client;
                let client = ConnectionId(usize::try_from(context).unwrap_or(usize::MAX));
                if let Some(attempt) = self.joining.remove(&client) {
                    self.pairs.insert(id, attempt);
                }
                if !self.relay.join(client, id) {
                    self.changes.push_back(Change::Cut(id));
                }
            }
        }
    }

    /// A client in the clear goes to its session as it is.
    pub(super) fn hand_over(&mut self, attempt: Attempt, admitted: Admitted, stream: Stream) {
        match stream.into_socket() {
            Some(socket) => self.send(Message::HandOver(attempt, admitted.hand_over(), socket)),
            None => self.desk.return_unused(attempt),
        }
    }

    fn handle_message(&mut self, message: Message, now: Now) {
        match message {
            Message::Settings(lines) => self.configure(&lines),
            Message::Certificate { chain, key } => self.certificates.add_pair(chain, key),
            Message::ClientAuthority(authority) => self.certificates.set_authority(authority),
            Message::UseCertificates => self.use_certificates(now),
            Message::Listener(kind, socket) => self.listen(kind, socket),
            Message::Unlisten => self.changes.push_back(Change::Unlisten),
            Message::Client(kind, socket) => self.serve_one(kind, socket),
            Message::Serve => {
                self.counted_at = Some(now.instant);
                if self.phase == Phase::Preparing {
                    self.phase = Phase::Serving;
                }
            }
            Message::Verdict(attempt, verdict) => {
                let answer = self.desk.handle_verdict(attempt, verdict, now.instant);
                if let Some((asker, answer)) = answer {
                    self.answer(asker, answer, now);
                }
            }
            Message::Stop => self.changes.push_back(Change::Stop),
            _ => self.lose_monitor(&ChannelError::Broken("it is not for the front")),
        }
    }

    fn configure(&mut self, lines: &str) {
        match Config::from_lines(lines) {
            Ok(config) => {
                crate::log::set_level(config.log_level);
                self.desk
                    .set_delays(config.failure_delay, config.auth_penalty);
                self.places.set_limits(
                    config.waiting_connections,
                    config.waiting_connections_per_address,
                );
                self.config = config;
                self.configure_dialogues();
            }
            Err(error) => log::error!("imap-login: the settings stay as they were: {error}"),
        }
    }

    fn configure_dialogues(&mut self) {
        let starttls = self.certificates.in_use().is_some();
        self.front.set_config(&self.config, starttls);
    }

    fn use_certificates(&mut self, now: Now) {
        match self.certificates.finish(&self.config) {
            Ok(certificates) => {
                for oddity in certificates.oddities(now.time) {
                    log::warn!("imap-login: tls.certificate: {oddity}");
                }
                self.changes
                    .push_back(Change::UseCertificates(certificates));
                self.configure_dialogues();
            }
            Err(error) if self.certificates.in_use().is_some() => {
                log::error!("imap-login: the certificates stay as they were: {error}");
            }
            Err(error) => log::error!("imap-login: there is no TLS: {error}"),
        }
    }

    fn listen(&mut self, kind: ListenerKind, socket: OwnedFd) {
        let Ok(number) = u32::try_from(self.listeners.len()) else {
            return;
        };
        self.listeners.push(kind);
        let networks = || {
            let networks = self.config.trusted_proxies.iter();
            networks
                .map(|network| (network.address, network.bits))
                .collect()
        };
        self.changes.push_back(Change::Listen {
            socket,
            listener: ListenerId(number),
            tls: kind.tls,
            proxy: kind.proxy.then(networks),
        });
    }

    /// inetd: the client is there already.
    fn serve_one(&mut self, kind: ListenerKind, socket: OwnedFd) {
        self.phase = Phase::ServingOne;
        let tls = kind.tls;
        let stream = Stream::adopt(socket).and_then(|stream| {
            let peer = Peer {
                tls,
                ..stream.peer()
            };
            let stream = match (tls, self.certificates.in_use()) {
                (false, _) => stream,
                (true, Some(certificates)) => stream.secured(certificates)?,
                (true, None) => return Err(std::io::Error::other("there is no certificate")),
            };
            Ok((stream, peer))
        });
        match stream {
            Ok((stream, peer)) => {
                self.only_client = Some((kind.protocol, peer));
                self.changes.push_back(Change::Add {
                    stream,
                    peer,
                    context: ONLY_CLIENT,
                });
            }
            Err(error) => log::error!("imap-login: cannot serve the client: {error}"),
        }
    }

    fn answer(&mut self, asker: Asker, answer: Answer, now: Now) {
        let Asker { client, request } = asker;
        match answer {
            Answer::Challenge(challenge) => self.front.challenge(client, request, &challenge),
            Answer::Refused(why, time) => self.front.refuse(client, request, why, time),
            Answer::Admitted { attempt, user, pid } => {
                match self.front.admit(client, request, &user, pid, now) {
                    Entry::Answered => return,
                    Entry::Session(admitted) => self.let_in(client, attempt, *admitted),
                    Entry::Nobody => self.desk.return_unused(attempt),
                }
                self.places.leave(client);
            }
        }
    }

    fn let_in(&mut self, id: ConnectionId, attempt: Attempt, mut admitted: Admitted) {
        if !admitted.is_encrypted {
            self.leaving.insert(id, (attempt, Box::new(admitted)));
            self.front.wake(id);
            return;
        }
        // What the client has not read yet stays here, before all that its session will say.
        let output = std::mem::take(&mut admitted.output);
        let say_sorry = admitted.say_sorry;
        self.relay.expect(id, output);
        let pair = UnixStream::pair().and_then(|(ours, theirs)| {
            let stream = Stream::adopt(OwnedFd::from(ours))?;
            Ok((stream, OwnedFd::from(theirs)))
        });
        match pair {
            Ok((stream, theirs)) => {
                self.joining.insert(id, attempt);
                let hand_over = HandOver {
                    relayed: true,
                    ..admitted.hand_over()
                };
                self.send(Message::HandOver(attempt, hand_over, theirs));
                self.changes.push_back(Change::Add {
                    stream,
                    peer: Peer::default(),
                    context: id.0 as u64,
                });
            }
            Err(error) => {
                log::error!("imap-login: cannot relay a connection: {error}");
                self.desk.return_unused(attempt);
                let mut text = Vec::new();
                say_sorry(&mut text);
                self.relay.send_away(id, &text);
            }
        }
    }

    fn send(&mut self, message: Message) {
        if self.phase == Phase::Alone {
            return;
        }
        let handed_over = match &message {
            Message::HandOver(attempt, ..) => Some(*attempt),
            _ => None,
        };
        let sent = self.channel.borrow_mut().send(message);
        match sent {
            Ok(()) => {}
            // A client that has sent so much in advance is cut off.
            Err(ChannelError::TooLarge) => {
                log::warn!("imap-login: a message is too large");
                // The monitor would count it for ever.
                if let Some(attempt) = handed_over {
                    self.joining.retain(|_, joining| *joining != attempt);
                    self.send(Message::GiveUp(attempt));
                }
            }
            Err(error) => self.lose_monitor(&error),
        }
    }

    /// Without it nobody can be let in.
    fn lose_monitor(&mut self, error: &ChannelError) {
        if self.phase != Phase::Alone {
            self.phase = Phase::Alone;
            log::warn!("imap-login: the channel to the monitor: {error}");
            self.changes.push_back(Change::Unwatch(CHANNEL));
            self.changes.push_back(Change::Stop);
        }
    }
}

/// The context of the client that inetd has accepted; no connection has this number.
const ONLY_CLIENT: u64 = u64::MAX;
