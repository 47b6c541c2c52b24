//! Messages and descriptors over a socket pair (`SOCK_SEQPACKET`), without blocking.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::Message;

/// One end.  What cannot be sent at once waits inside; `is_full` says when it is too much.
pub struct Channel {
    fd: Rc<OwnedFd>,
}

/// Why a channel is of no use any more.
#[derive(Debug)]
pub enum ChannelError {
    /// The peer has closed it.
    Closed,
    /// The peer sent what is no message, or a descriptor that belongs to none.
    Broken(&'static str),
    Io(io::Error),
}

impl Channel {
    /// Both ends, close-on-exec.
    pub fn pair() -> io::Result<(Channel, OwnedFd)> {
        todo!()
    }

    pub fn new(fd: OwnedFd) -> io::Result<Channel> {
        todo!()
    }

    /// For the event loop to watch.
    pub fn fd(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.fd)
    }

    /// Sends, or queues behind what is queued.
    pub fn send(&mut self, message: Message) -> Result<(), ChannelError> {
        let _ = message;
        todo!()
    }

    /// Sends what is queued, as far as the kernel takes it; to be called when the descriptor is ready.
    pub fn flush(&mut self) -> Result<(), ChannelError> {
        todo!()
    }

    /// The next message; `None` if none has come.
    pub fn receive(&mut self) -> Result<Option<Message>, ChannelError> {
        todo!()
    }

    /// Waits for the next message (in a login child and at the start of a role).
    pub fn wait(&mut self) -> Result<Message, ChannelError> {
        todo!()
    }

    /// So much is queued that the peer does not seem to read.
    pub fn is_full(&self) -> bool {
        todo!()
    }
}
