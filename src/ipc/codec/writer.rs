//! Messages to octets.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::super::{
    Account, Attempt, Connection, ConnectionNumber, FrontCounters, HandOver, Judgement, Level,
    Limit, ListenerKind, Location, LoginRequest, Message, Origin, Proof, Protocol, Refusal,
    SessionCounters, Verdict,
};
use super::{MAX_LOG_LINE, MECHANISMS};
use crate::mail::{Layout, Secret};

pub(super) struct Writer {
    octets: Zeroizing<Vec<u8>>,
}

impl Writer {
    pub fn new(code: u8) -> Writer {
        Writer {
            octets: Zeroizing::new(vec![code]),
        }
    }

    pub fn finish(self) -> Zeroizing<Vec<u8>> {
        self.octets
    }

    /// All parts of a message but its descriptor, which is given back.
    pub fn message(&mut self, message: Message) -> Option<OwnedFd> {
        match message {
            Message::Stop | Message::Unlisten | Message::UseCertificates | Message::Serve => {}
            Message::Settings(text) => self.text(&text),
            Message::Certificate { chain, key } => {
                // It is reserved in one piece, because it is large.
                self.octets
                    .reserve_exact(chain.len() + key.expose().len() + 2 * 4);
                self.octets(&chain);
                self.secret(&key);
            }
            Message::ClientAuthority(octets) => self.octets(&octets),
            Message::Listener(kind, descriptor) | Message::Client(kind, descriptor) => {
                self.listener(kind);
                return Some(descriptor);
            }
            Message::Verdict(attempt, verdict) => {
                self.attempt(attempt);
                self.verdict(&verdict);
            }
            Message::Login(attempt, request) => {
                self.attempt(attempt);
                self.login(&request);
            }
            Message::Respond(attempt, answer) => {
                self.attempt(attempt);
                self.secret(&answer);
            }
            Message::GiveUp(attempt) | Message::Ended(attempt) => self.attempt(attempt),
            Message::HandOver(attempt, hand_over, descriptor) => {
                self.attempt(attempt);
                self.hand_over(&hand_over);
                return Some(descriptor);
            }
            Message::Counted(counters) => self.front_counters(&counters),
            Message::Account(account) => self.account(&account),
            Message::Connection(connection, descriptor) => {
                let Connection {
                    number,
                    protocol,
                    hand_over,
                } = connection;
                self.number(number);
                self.protocol(protocol);
                self.hand_over(&hand_over);
                return Some(descriptor);
            }
            Message::Drop(number) => self.number(number),
            Message::Closed(number, counters) => {
                self.number(number);
                self.session_counters(&counters);
            }
            Message::Idle { connections } => self.u64(connections),
            Message::Judged(judgement) => self.judgement(&judgement),
            Message::Started { pid } => self.u32(pid),
            Message::Start(descriptor) => return Some(descriptor),
            Message::Log(level, line) => {
                self.level(level);
                self.text(cut(&line));
            }
        }
        None
    }

    fn u8(&mut self, number: u8) {
        self.octets.push(number);
    }

    fn u16(&mut self, number: u16) {
        self.extend(&number.to_be_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.extend(&number.to_be_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.extend(&number.to_be_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.u8(u8::from(flag));
    }

    /// More than 4 GiB is cut here, and is too large in the end.
    fn octets(&mut self, octets: &[u8]) {
        self.u32(u32::try_from(octets.len()).unwrap_or(u32::MAX));
        self.extend(octets);
    }

    /// Like `Vec::extend`, but wipes the memory that it leaves when it grows.
    fn extend(&mut self, octets: &[u8]) {
        let needed = self.octets.len() + octets.len();
        if needed > self.octets.capacity() {
            let mut larger = Vec::with_capacity(needed.next_power_of_two().max(256));
            larger.extend_from_slice(&self.octets);
            self.octets = Zeroizing::new(larger);
        }
        self.octets.extend_from_slice(octets);
    }

    fn text(&mut self, text: &str) {
        self.octets(text.as_bytes());
    }

    fn secret(&mut self, secret: &Secret) {
        self.octets(secret.expose());
    }

    fn optional<T>(&mut self, value: Option<T>, write: fn(&mut Writer, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn attempt(&mut self, attempt: Attempt) {
        self.u64(attempt.0);
    }

    fn number(&mut self, number: ConnectionNumber) {
        self.u64(number.0);
    }

    fn listener(&mut self, kind: ListenerKind) {
        self.protocol(kind.protocol);
        self.flag(kind.tls);
        self.flag(kind.proxy);
    }

    fn protocol(&mut self, protocol: Protocol) {
        self.u8(match protocol {
            Protocol::Imap => 0,
            Protocol::Sasl => 1,
        });
    }

    fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => {
                self.u8(4);
                self.extend(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.u8(6);
                self.extend(&ip.octets());
            }
        }
        self.u16(address.port());
    }

    fn origin(&mut self, origin: &Origin) {
        self.optional(origin.remote, Writer::address);
        self.optional(origin.local, Writer::address);
        self.flag(origin.tls);
        self.text(&origin.session);
    }

    fn login(&mut self, request: &LoginRequest) {
        self.protocol(request.protocol);
        self.origin(&request.origin);
        match &request.proof {
            Proof::Password {
                mechanism,
                user,
                password,
            } => {
                self.u8(0);
                let place = MECHANISMS.iter().position(|known| known == mechanism);
                self.u8(place
                    .and_then(|place| u8::try_from(place).ok())
                    .unwrap_or(0));
                self.octets(user);
                self.secret(password);
            }
            Proof::Scram { first, binding } => {
                self.u8(1);
                self.secret(first);
                self.flag(binding.plus);
                self.flag(binding.offered);
                self.optional(binding.exporter.as_deref(), Writer::octets);
                self.optional(binding.end_point.as_deref(), Writer::octets);
            }
            Proof::External {
                certified,
                authorize,
            } => {
                self.u8(2);
                self.octets(certified);
                self.octets(authorize);
            }
        }
    }

    fn verdict(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Challenge(challenge) => self.secret(challenge),
            Verdict::Refused(refusal) => self.refusal(*refusal),
            Verdict::Admitted { user, pid } => {
                self.text(user);
                self.u32(*pid);
            }
        }
    }

    fn judgement(&mut self, judgement: &Judgement) {
        match judgement {
            Judgement::Challenge(challenge) => self.secret(challenge),
            Judgement::Refused(refusal) => self.refusal(*refusal),
            Judgement::Admitted { account } => self.account(account),
        }
    }

    fn refusal(&mut self, refusal: Refusal) {
        self.u8(match refusal {
            Refusal::Mismatch => 0,
            Refusal::Expired => 1,
            Refusal::Disabled => 2,
            Refusal::NotPermitted => 3,
            Refusal::Unavailable => 4,
            Refusal::TooMany(Limit::UserAndAddress) => 5,
            Refusal::NoMail => 6,
            Refusal::TooMany(Limit::User) => 7,
            Refusal::TooMany(Limit::All) => 8,
        });
    }

    fn account(&mut self, account: &Account) {
        let Location {
            maildir,
            index_dir,
            layout,
        } = &account.location;
        self.text(&account.user);
        self.u32(account.uid);
        self.u32(account.gid);
        self.text(&account.home);
        self.path(maildir);
        self.optional(index_dir.as_deref(), Writer::path);
        self.u8(match layout {
            Layout::MaildirPlusPlus => 0,
            Layout::Fs => 1,
            Layout::Detect => 2,
        });
    }

    fn path(&mut self, path: &Path) {
        self.octets(path.as_os_str().as_bytes());
    }

    fn hand_over(&mut self, hand_over: &HandOver) {
        self.origin(&hand_over.origin);
        self.octets(&hand_over.state);
        self.octets(&hand_over.input);
        self.octets(&hand_over.output);
    }

    fn front_counters(&mut self, counters: &FrontCounters) {
        self.u64(counters.connections);
        self.u64(counters.tls_handshakes);
        self.u64(counters.tls_failures);
        self.u64(counters.refused);
        self.u64(counters.waiting);
        self.u64(counters.relayed);
    }

    fn session_counters(&mut self, counters: &SessionCounters) {
        self.u64(counters.received);
        self.u64(counters.sent);
        self.u64(counters.commands);
    }

    fn level(&mut self, level: Level) {
        self.u8(match level {
            Level::Error => 0,
            Level::Warn => 1,
            Level::Info => 2,
            Level::Debug => 3,
        });
    }
}

/// At a border between characters.
fn cut(line: &str) -> &str {
    let end = line.floor_char_boundary(MAX_LOG_LINE);
    line.get(..end).unwrap_or_default()
}
