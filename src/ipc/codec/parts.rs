//! In which order the parts of each type go through a channel.

use super::part::{NO_SUCH, Part, Reader, Writer, Wrong};
use crate::ipc::declare::{choice, structure};
use crate::ipc::{
    Account, Attempt, Binding, Connection, ConnectionNumber, FrontCounters, HandOver, Judgement,
    Level, Limit, ListenerKind, Location, LoginRequest, Origin, Proof, Protocol, Refusal,
    SessionCounters, Verdict,
};
use crate::mail::Layout;

structure! { Attempt(_) }
structure! { ConnectionNumber(_) }
choice! { Protocol { Imap, Sasl } }
structure! { ListenerKind { protocol, tls, proxy } }

structure! { Origin { remote, local, tls, session } }
structure! { LoginRequest { protocol, origin, proof } }
structure! { Binding { plus, offered, exporter, end_point } }
choice! {
    Proof {
        Password { mechanism, user, authorize, password },
        Scram { first, binding },
        External { certified, authorize },
    }
}

choice! { Limit { UserAndAddress, User, All } }
choice! {
    Refusal {
        Mismatch,
        Expired,
        Disabled,
        NotPermitted,
        Unavailable,
        TooMany(limit),
        NoMail,
    }
}
choice! { Verdict { Challenge(challenge), Refused(why), Admitted { user, pid } } }
choice! { Judgement { Challenge(challenge), Refused(why), Admitted { account } } }

choice! { Layout { MaildirPlusPlus, Fs, Detect } }
structure! {
    Location { maildir, inbox, index_dir, dovecot_index_dir, control_dir, layout, utf8_names }
}
structure! { Account { user, uid, gid, home, location } }

structure! { HandOver { origin, state, input, output, relayed } }
structure! { Connection { number, protocol, hand_over } }

structure! {
    FrontCounters { connections, tls_handshakes, tls_failures, refused, waiting, relayed }
}
structure! { SessionCounters { received, sent, commands } }
choice! { Level { Error, Warn, Info, Debug } }
