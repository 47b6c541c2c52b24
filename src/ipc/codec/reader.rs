//! Octets to messages.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::super::{
    Account, Attempt, Binding, Connection, ConnectionNumber, FrontCounters, HandOver, Judgement,
    Kind, Level, Limit, ListenerKind, Location, LoginRequest, Message, Origin, Proof, Protocol,
    Refusal, SessionCounters, Verdict,
};
use super::{MAX_LOG_LINE, MECHANISMS};
use crate::mail::{Layout, Secret};

/// What has not been read yet.
pub(super) struct Reader<'a>(&'a [u8]);

type Part<T> = Result<T, &'static str>;

impl<'a> Reader<'a> {
    pub fn new(octets: &'a [u8]) -> Reader<'a> {
        Reader(octets)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn message(&mut self, kind: Kind, descriptor: Option<OwnedFd>) -> Part<Message> {
        let descriptor = descriptor.ok_or("its descriptor is missing");
        Ok(match kind {
            Kind::Settings => Message::Settings(self.text()?),
            Kind::Stop => Message::Stop,
            Kind::Certificate => Message::Certificate {
                chain: self.octets()?.to_vec(),
                key: self.secret()?,
            },
            Kind::ClientAuthority => Message::ClientAuthority(self.octets()?.to_vec()),
            Kind::Listener => Message::Listener(self.listener()?, descriptor?),
            Kind::Unlisten => Message::Unlisten,
            Kind::Client => Message::Client(self.listener()?, descriptor?),
            Kind::UseCertificates => Message::UseCertificates,
            Kind::Serve => Message::Serve,
            Kind::VerdictChallenge => {
                Message::Verdict(self.attempt()?, Verdict::Challenge(self.secret()?))
            }
            Kind::VerdictRefused => {
                Message::Verdict(self.attempt()?, Verdict::Refused(self.refusal()?))
            }
            Kind::VerdictAdmitted => {
                let attempt = self.attempt()?;
                let user = self.text()?;
                let pid = self.u32()?;
                Message::Verdict(attempt, Verdict::Admitted { user, pid })
            }
            Kind::Login => Message::Login(self.attempt()?, self.login()?),
            Kind::Respond => Message::Respond(self.attempt()?, self.secret()?),
            Kind::GiveUp => Message::GiveUp(self.attempt()?),
            Kind::HandOver | Kind::Relay => {
                let attempt = self.attempt()?;
                let relayed = kind == Kind::Relay;
                let hand_over = HandOver {
                    relayed,
                    ..self.hand_over()?
                };
                Message::HandOver(attempt, hand_over, descriptor?)
            }
            Kind::Ended => Message::Ended(self.attempt()?),
            Kind::Counted => Message::Counted(self.front_counters()?),
            Kind::Account => Message::Account(self.account()?),
            Kind::Connection => {
                let connection = Connection {
                    number: self.number()?,
                    protocol: self.protocol()?,
                    hand_over: self.hand_over()?,
                };
                Message::Connection(connection, descriptor?)
            }
            Kind::Drop => Message::Drop(self.number()?),
            Kind::Closed => Message::Closed(self.number()?, self.session_counters()?),
            Kind::Idle => Message::Idle {
                connections: self.u64()?,
            },
            Kind::JudgedChallenge => Message::Judged(Judgement::Challenge(self.secret()?)),
            Kind::JudgedRefused => Message::Judged(Judgement::Refused(self.refusal()?)),
            Kind::JudgedAdmitted => Message::Judged(Judgement::Admitted {
                account: self.account()?,
            }),
            Kind::Started => Message::Started { pid: self.u32()? },
            Kind::Start => Message::Start(descriptor?),
            Kind::Log => {
                let level = self.level()?;
                let line = self.text()?;
                if line.len() > MAX_LOG_LINE {
                    return Err("the line is too long");
                }
                Message::Log(level, line)
            }
        })
    }

    fn take(&mut self, length: usize) -> Part<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or("it ends before its end")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Part<[u8; N]> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or("it ends before its end")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Part<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Part<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Part<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Part<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn flag(&mut self) -> Part<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(NO_SUCH),
        }
    }

    fn octets(&mut self) -> Part<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn vector(&mut self) -> Part<Vec<u8>> {
        self.octets().map(<[u8]>::to_vec)
    }

    fn text(&mut self) -> Part<String> {
        let text = std::str::from_utf8(self.octets()?);
        text.map(str::to_owned).map_err(|_| "it is not UTF-8")
    }

    fn secret(&mut self) -> Part<Secret> {
        self.vector().map(Secret::new)
    }

    fn optional<T>(&mut self, read: fn(&mut Reader<'a>) -> Part<T>) -> Part<Option<T>> {
        match self.flag()? {
            true => read(self).map(Some),
            false => Ok(None),
        }
    }

    fn attempt(&mut self) -> Part<Attempt> {
        self.u64().map(Attempt)
    }

    fn number(&mut self) -> Part<ConnectionNumber> {
        self.u64().map(ConnectionNumber)
    }

    fn listener(&mut self) -> Part<ListenerKind> {
        Ok(ListenerKind {
            protocol: self.protocol()?,
            tls: self.flag()?,
            proxy: self.flag()?,
        })
    }

    fn protocol(&mut self) -> Part<Protocol> {
        Ok(match self.u8()? {
            0 => Protocol::Imap,
            1 => Protocol::Sasl,
            _ => return Err(NO_SUCH),
        })
    }

    fn address(&mut self) -> Part<SocketAddr> {
        let ip = match self.u8()? {
            4 => IpAddr::from(self.array::<4>()?),
            6 => IpAddr::from(self.array::<16>()?),
            _ => return Err(NO_SUCH),
        };
        Ok(SocketAddr::new(ip, self.u16()?))
    }

    fn origin(&mut self) -> Part<Origin> {
        Ok(Origin {
            remote: self.optional(Reader::address)?,
            local: self.optional(Reader::address)?,
            tls: self.flag()?,
            session: self.text()?,
        })
    }

    fn login(&mut self) -> Part<LoginRequest> {
        Ok(LoginRequest {
            protocol: self.protocol()?,
            origin: self.origin()?,
            proof: self.proof()?,
        })
    }

    fn proof(&mut self) -> Part<Proof> {
        Ok(match self.u8()? {
            0 => {
                let place = usize::from(self.u8()?);
                Proof::Password {
                    mechanism: MECHANISMS.get(place).ok_or(NO_SUCH)?,
                    user: self.vector()?,
                    password: self.secret()?,
                }
            }
            1 => Proof::Scram {
                first: self.secret()?,
                binding: Binding {
                    plus: self.flag()?,
                    offered: self.flag()?,
                    exporter: self.optional(Reader::vector)?,
                    end_point: self.optional(Reader::vector)?,
                },
            },
            2 => Proof::External {
                certified: self.vector()?,
                authorize: self.vector()?,
            },
            _ => return Err(NO_SUCH),
        })
    }

    fn refusal(&mut self) -> Part<Refusal> {
        Ok(match self.u8()? {
            0 => Refusal::Mismatch,
            1 => Refusal::Expired,
            2 => Refusal::Disabled,
            3 => Refusal::NotPermitted,
            4 => Refusal::Unavailable,
            5 => Refusal::TooMany(Limit::UserAndAddress),
            6 => Refusal::NoMail,
            7 => Refusal::TooMany(Limit::User),
            8 => Refusal::TooMany(Limit::All),
            _ => return Err(NO_SUCH),
        })
    }

    fn account(&mut self) -> Part<Account> {
        Ok(Account {
            user: self.text()?,
            uid: self.u32()?,
            gid: self.u32()?,
            home: self.text()?,
            location: Location {
                maildir: self.path()?,
                index_dir: self.optional(Reader::path)?,
                layout: self.layout()?,
            },
        })
    }

    fn path(&mut self) -> Part<PathBuf> {
        Ok(PathBuf::from(OsString::from_vec(self.vector()?)))
    }

    fn layout(&mut self) -> Part<Layout> {
        Ok(match self.u8()? {
            0 => Layout::MaildirPlusPlus,
            1 => Layout::Fs,
            2 => Layout::Detect,
            _ => return Err(NO_SUCH),
        })
    }

    fn hand_over(&mut self) -> Part<HandOver> {
        Ok(HandOver {
            origin: self.origin()?,
            state: self.vector()?,
            input: self.vector()?,
            output: self.vector()?,
            // The kind of the message says it, where it matters.
            relayed: false,
        })
    }

    fn front_counters(&mut self) -> Part<FrontCounters> {
        Ok(FrontCounters {
            connections: self.u64()?,
            tls_handshakes: self.u64()?,
            tls_failures: self.u64()?,
            refused: self.u64()?,
            waiting: self.u64()?,
            relayed: self.u64()?,
        })
    }

    fn session_counters(&mut self) -> Part<SessionCounters> {
        Ok(SessionCounters {
            received: self.u64()?,
            sent: self.u64()?,
            commands: self.u64()?,
        })
    }

    fn level(&mut self) -> Part<Level> {
        Ok(match self.u8()? {
            0 => Level::Error,
            1 => Level::Warn,
            2 => Level::Info,
            3 => Level::Debug,
            _ => return Err(NO_SUCH),
        })
    }
}

const NO_SUCH: &str = "it has a choice in it that does not exist";
