//! Which conversation belongs to which protocol: the one place in the front that names them all.

use std::rc::Rc;

use super::conversation::Conversation;
use super::{Settings, imap, sasl_socket};
use crate::ipc::Protocol;
use crate::net::stream::Peer;
use crate::net::{ConnectionId, Now};

/// How the clients of a protocol are received.
pub(super) struct Reception {
    pub begin: Begin,
    pub clients: Clients,
}

/// The conversation with a client that has just connected.
pub(super) type Begin = fn(Rc<Settings>, ConnectionId, Peer, Now) -> Box<dyn Conversation>;

/// Who the clients are.
pub(super) enum Clients {
    /// Anybody.  They have to log in within `auth.login_timeout`, and places are counted; whoever
    /// finds none has the conversation `turn_away`.
    Strangers { turn_away: Begin },
    /// Programs that the mode of the socket lets in.  More than `most` are not served, which is
    /// `complaint` in the log.
    Programs {
        most: usize,
        complaint: &'static str,
    },
}

/// A row for each protocol.
pub(super) fn reception(protocol: Protocol) -> &'static Reception {
    match protocol {
        Protocol::Imap => &imap::RECEPTION,
        Protocol::Sasl => &sasl_socket::RECEPTION,
    }
}
