//! Messages and descriptors over a socket pair (`SOCK_SEQPACKET`), without blocking.
//!
//! A packet is a message: the kernel keeps them apart, and a descriptor goes with its own.  What
//! the kernel does not take at once waits here, in order.  Octets are wiped when they are gone, for
//! there are passwords and keys among them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::{fmt, io};

use zeroize::Zeroizing;

use super::Message;
use super::codec::{self, MAX_MESSAGE};
use crate::sys::packet;

/// One end.  What cannot be sent at once waits inside; `is_full` says when it is too much.
pub struct Channel {
    fd: Rc<OwnedFd>,
    queue: VecDeque<Waiting>,
    /// Octets in the queue.
    queued: usize,
    stand_ins: Option<StandIns>,
}

/// What comes instead of descriptors when this process may have no more: connections that have
/// ended.  So one client is lost, and the message still says which.  Otherwise the peer would seem
/// to break the rules, and all its clients would be lost.
struct StandIns {
    dead: OwnedFd,
    ready: Vec<OwnedFd>,
}

/// What the kernel has not taken yet.
struct Waiting {
    octets: Zeroizing<Vec<u8>>,
    descriptor: Option<OwnedFd>,
}

/// Why a channel cannot be used any more.  After `TooLarge` it can.
#[derive(Debug)]
pub enum ChannelError {
    /// The peer has closed it.
    Closed,
    /// The peer sent what is no message, or a descriptor that belongs to none.
    Broken(&'static str),
    /// The message is too large, and was not sent.
    TooLarge,
    /// Too much waits to be sent: the peer has stopped reading.
    Stuck,
    Io(io::Error),
}

impl Channel {
    /// Both ends, close-on-exec.
    pub fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (ours, theirs) = packet::pair()?;
        Ok((Channel::new(ours)?, theirs))
    }

    pub fn new(fd: OwnedFd) -> io::Result<Channel> {
        packet::make_room(fd.as_fd(), SEND_BUFFER);
        Ok(Channel {
            fd: Rc::new(fd),
            queue: VecDeque::new(),
            queued: 0,
            stand_ins: None,
        })
    }

    /// Prepares for a channel through which connections come.
    pub fn keep_stand_ins(&mut self) {
        // If none can be had, the channel works without.
        let dead = packet::dead_end().ok();
        self.stand_ins = dead.map(|dead| StandIns {
            dead,
            ready: Vec::new(),
        });
        self.renew_stand_ins();
    }

    fn renew_stand_ins(&mut self) {
        if let Some(StandIns { dead, ready }) = &mut self.stand_ins {
            while ready.len() < STAND_INS
                && let Ok(another) = dead.try_clone()
            {
                ready.push(another);
            }
        }
    }

    /// For the event loop to watch.
    pub fn fd(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.fd)
    }

    /// Sends, or queues behind what is queued.
    pub fn send(&mut self, message: Message) -> Result<(), ChannelError> {
        let (octets, descriptor) = codec::encode(message).map_err(|_| ChannelError::TooLarge)?;
        if self.queued.saturating_add(octets.len()) > MAX_QUEUED || self.queue.len() >= MAX_WAITING
        {
            return Err(ChannelError::Stuck);
        }
        self.queued += octets.len();
        self.queue.push_back(Waiting { octets, descriptor });
        self.flush()
    }

    /// Sends what is queued, as far as the kernel takes it; to be called when the descriptor is
    /// ready.
    pub fn flush(&mut self) -> Result<(), ChannelError> {
        while let Some(waiting) = self.queue.front() {
            let descriptor = waiting.descriptor.as_ref().map(AsFd::as_fd);
            let result = packet::send(self.fd.as_fd(), &waiting.octets, descriptor);
            match result {
                Err(error) if packet::is_shortage(&error) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                _ => {}
            }
            if let Some(gone) = self.queue.pop_front() {
                self.queued = self.queued.saturating_sub(gone.octets.len());
            }
            result.map_err(ChannelError::from)?;
        }
        Ok(())
    }

    /// The next message; `None` if none has come.
    pub fn receive(&mut self) -> Result<Option<Message>, ChannelError> {
        self.renew_stand_ins();
        let packet = loop {
            match packet::receive(self.fd.as_fd(), MAX_MESSAGE) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(None) => return Err(ChannelError::Closed),
                Ok(Some(packet)) => break packet,
                Err(error) => return Err(ChannelError::from(error)),
            }
        };
        if packet.is_cut {
            return Err(ChannelError::Broken("it is too large"));
        }
        let mut descriptors = packet.descriptors.into_iter();
        let mut descriptor = descriptors.next();
        if packet.lost_descriptor {
            log::warn!("Out of file descriptors: a connection is lost");
            descriptor = self
                .stand_ins
                .as_mut()
                .and_then(|stand_ins| stand_ins.ready.pop());
        }
        if descriptors.next().is_some() {
            return Err(ChannelError::Broken("it has several descriptors"));
        }
        codec::decode(&packet.octets, descriptor)
            .map(Some)
            .map_err(ChannelError::Broken)
    }

    /// Waits for the next message (in a login child and at the start of a role).
    pub fn wait(&mut self) -> Result<Message, ChannelError> {
        loop {
            if let Some(message) = self.receive()? {
                return Ok(message);
            }
            packet::wait(self.fd.as_fd())?;
        }
    }

    /// Lets nothing through any more, in either direction.  What has come already can be received.
    pub fn hang_up(&mut self) {
        packet::shut(self.fd.as_fd());
    }

    /// Whether so much is queued that the peer does not seem to read.
    pub fn is_full(&self) -> bool {
        self.queued > FULL || self.queue.len() > FULL_WAITING
    }

    /// Whether the kernel has taken everything.
    pub fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }
}

/// Sends a line of the log to the monitor, whose file it is.
pub fn pass_on_log(channel: &Rc<RefCell<Channel>>) -> impl Fn(log::Level, &str) + use<> {
    let channel = Rc::clone(channel);
    move |level, text| {
        // A lost line is better than a process that waits for its log.
        if let Ok(mut channel) = channel.try_borrow_mut()
            && !channel.is_full()
        {
            let _ = channel.send(Message::Log(level.into(), text.to_owned()));
        }
    }
}

impl From<io::Error> for ChannelError {
    fn from(error: io::Error) -> ChannelError {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ChannelError::Closed,
            _ if packet::is_too_large(&error) => ChannelError::TooLarge,
            _ => ChannelError::Io(error),
        }
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChannelError::Closed => write!(f, "it has ended"),
            ChannelError::Broken(why) => write!(f, "it sent what is no message: {why}"),
            ChannelError::TooLarge => write!(f, "the message for it is too large"),
            ChannelError::Stuck => write!(f, "it reads no messages"),
            ChannelError::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ChannelError {}

/// Enough for the largest message.
const SEND_BUFFER: usize = MAX_MESSAGE + 16 * 1024;

/// How many connections may come at once when there is no room for any.
const STAND_INS: usize = 8;

const FULL: usize = 1024 * 1024;
const FULL_WAITING: usize = 256;

/// All certificates of a large site must fit.  If more is queued, the peer does not read.
const MAX_QUEUED: usize = 64 * 1024 * 1024;
const MAX_WAITING: usize = 64 * 1024;

#[cfg(test)]
mod tests;
