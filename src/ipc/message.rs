//! The messages.  Who may say which of them, and when, is in `table.rs`.

use std::os::fd::OwnedFd;

use super::codec::part::{NO_SUCH, Part, Reader, Writer, Wrong};
use super::declare::{choice, messages};
use super::{
    Account, Attempt, Connection, ConnectionNumber, FrontCounters, HandOver, Judgement, Level,
    ListenerKind, LoginRequest, SessionCounters, Verdict,
};
use crate::mail::Secret;

messages! {
    one kind each {
        // From the monitor to every child.
        /// First of all: the configuration, one `NAME=VALUE` a line (`config::Config::lines`).
        Settings(lines: String);
        /// Say goodbye to your clients, finish what was promised, and end.
        Stop;

        // From the monitor to the front.
        /// A certificate chain and its private key, both PEM, for the names in the certificate.
        /// The first is for clients that name none.
        Certificate { chain: Vec<u8>, key: Secret };
        /// Who may sign certificates of clients, PEM.
        ClientAuthority(authority: Vec<u8>);
        /// A listening socket.
        Listener(kind: ListenerKind, socket: OwnedFd);
        /// Accept nothing from the listening sockets that you have; others follow.
        Unlisten;
        /// One client that is here already (inetd); when it has gone the front ends.
        Client(kind: ListenerKind, socket: OwnedFd);
        /// All certificates have been sent: use these from now on.
        UseCertificates;
        /// Serve from now on.
        Serve;

        // From the front to the monitor.
        /// A client says who it is.
        Login(attempt: Attempt, request: LoginRequest);
        /// The client's answer to `Verdict::Challenge`.
        Respond(attempt: Attempt, answer: Secret);
        /// The client has gone; nobody waits for a verdict.
        GiveUp(attempt: Attempt);
        /// The pair of this connection is gone, whatever its session says.
        Ended(attempt: Attempt);
        /// What has been counted since the last such message.
        Counted(counters: FrontCounters);

        // From the monitor to a session.
        /// Whose session it is; comes after `Settings`.
        Account(account: Account);
        /// One more client.
        Connection(connection: Connection, socket: OwnedFd);
        /// Send this client away (`roost kick`).
        Drop(connection: ConnectionNumber);

        // From a session to the monitor.
        /// The client has gone.
        Closed(connection: ConnectionNumber, counters: SessionCounters);
        /// There has been no client for a while, after so many `Connection` messages.  If no
        /// further one has been sent the monitor closes the channel, and the session ends.
        Idle { connections: u64 };

        // From a login child to the monitor.
        /// The user's process is there and has become the user: it is the child itself, or a child
        /// of the child if that keeps a PAM session open.  Without this message, nobody is
        /// admitted.
        Started { pid: u32 };

        // From the monitor to a login child.
        /// Become the session; the channel to the monitor.
        Start(channel: OwnedFd);

        // From the front and from sessions, if the log is not standard error.
        Log(level: Level, line: String);
    }

    several kinds each {
        // From the monitor to the front.
        /// What came of `Login` or `Respond`.
        Verdict(attempt: Attempt, verdict: Verdict) by verdict {
            VerdictChallenge: Verdict::Challenge(_),
            VerdictRefused: Verdict::Refused(_),
            VerdictAdmitted: Verdict::Admitted { .. },
        }

        // From the front to the monitor.
        /// The connection that was admitted: its socket, or the end of a pair under TLS.
        HandOver(attempt: Attempt, hand_over: HandOver, socket: OwnedFd) by hand_over {
            Relay: HandOver { relayed: true, .. },
            HandOver: HandOver { relayed: false, .. },
        }

        // From a login child to the monitor.
        /// What came of the attempt.
        Judged(judgement: Judgement) by judgement {
            JudgedChallenge: Judgement::Challenge(_),
            JudgedRefused: Judgement::Refused(_),
            JudgedAdmitted: Judgement::Admitted { .. },
        }
    }
}
