//! What clients speak, and on which sockets.
//!
//! A protocol has one row here, and a place of the same name wherever something of it is done: its
//! words (`imap`), its conversation before login (`front/protocols.rs`), its service after login
//! (`session`).

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Imap,
    /// The Dovecot auth protocol, for logins to other programs, above all to Postfix's submission.
    Sasl,
}

/// What a listening socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerKind {
    pub protocol: Protocol,
    /// TLS comes first.
    pub tls: bool,
    /// A PROXY header comes before everything.
    pub proxy: bool,
}

impl Protocol {
    /// Whether a client that logs in gets a session.  Otherwise it only gets the answer.
    pub fn has_session(self) -> bool {
        match self {
            Protocol::Imap => true,
            Protocol::Sasl => false,
        }
    }

    /// As in names of sockets.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Imap => "imap",
            Protocol::Sasl => "sasl",
        }
    }
}

impl ListenerKind {
    /// Nothing comes before the protocol.
    pub const fn plain(protocol: Protocol) -> ListenerKind {
        ListenerKind {
            protocol,
            tls: false,
            proxy: false,
        }
    }

    pub const fn under_tls(self) -> ListenerKind {
        ListenerKind { tls: true, ..self }
    }

    pub const fn behind_proxy(self) -> ListenerKind {
        ListenerKind {
            proxy: true,
            ..self
        }
    }

    /// `imap`, `imaps-proxy`: as in the log, and as FileDescriptorName= of systemd.
    pub fn name(self) -> String {
        let tls = if self.tls { "s" } else { "" };
        let proxy = if self.proxy { "-proxy" } else { "" };
        format!("{}{tls}{proxy}", self.protocol.name())
    }

    /// The kind of this [`name`](ListenerKind::name), if there may be such sockets.
    pub fn named(name: &str) -> Option<ListenerKind> {
        LISTENERS.iter().copied().find(|kind| kind.name() == name)
    }
}

/// All sockets that the configuration may ask for.
const LISTENERS: &[ListenerKind] = &[
    IMAP,
    IMAP.under_tls(),
    IMAP.behind_proxy(),
    IMAP.under_tls().behind_proxy(),
    ListenerKind::plain(Protocol::Sasl),
];

const IMAP: ListenerKind = ListenerKind::plain(Protocol::Imap);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_its_name_and_by_no_other() {
        for kind in LISTENERS {
            assert_eq!(ListenerKind::named(&kind.name()), Some(*kind));
        }
        assert_eq!(IMAP.under_tls().behind_proxy().name(), "imaps-proxy");
        for name in ["", "sasls", "imap-proxys", "pop3"] {
            assert_eq!(ListenerKind::named(name), None, "{name}");
        }
    }
}
