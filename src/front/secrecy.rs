//! Who could listen to what a client says, and what it may therefore send.

use super::Settings;
use super::sasl::Ground;
use crate::config::TlsRequired;
use crate::net::Secured;
use crate::net::stream::Peer;

/// Who could listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    Clear,
    /// The client is on this machine.
    Local,
    /// TLS has been begun, but not been agreed on.
    Handshaking,
    Tls,
    /// A proxy that is trusted says that the client came to it by TLS.
    Proxied,
}

impl Secrecy {
    /// Of a client that has just connected.
    pub fn of(peer: Peer, settings: &Settings) -> Secrecy {
        match peer.tls {
            true => Secrecy::Handshaking,
            // The client would have to show its certificate to us, not to the proxy.
            false if peer.proxy_tls && !settings.certificate_required => Secrecy::Proxied,
            false if is_same_host(peer) => Secrecy::Local,
            false => Secrecy::Clear,
        }
    }

    pub fn is_tls(self) -> bool {
        match self {
            Secrecy::Tls | Secrecy::Handshaking | Secrecy::Proxied => true,
            Secrecy::Clear | Secrecy::Local => false,
        }
    }

    /// What a mechanism may rely on; `secured` is what became known when TLS was agreed on.
    pub fn ground<'a>(self, settings: &Settings, secured: Option<&'a Secured>) -> Ground<'a> {
        let is_tls = self.is_tls();
        let (is_private, is_usable) = match settings.tls_required {
            _ if settings.certificate_required => (is_tls, is_tls),
            TlsRequired::Off | TlsRequired::No => (true, true),
            TlsRequired::Yes => (is_tls || self == Secrecy::Local, true),
            TlsRequired::Always => (is_tls, is_tls),
        };
        Ground {
            is_private,
            is_usable,
            secured,
        }
    }
}

/// What stays within this machine need not be encrypted.
fn is_same_host(peer: Peer) -> bool {
    if peer.proxy.is_some() {
        // The way from the proxy to us may be unsafe, whatever the client's address is.
        return false;
    }
    match (peer.address, peer.local) {
        (Some(address), Some(local)) => {
            let address = address.ip().to_canonical();
            address.is_loopback() || address == local.ip().to_canonical()
        }
        // A unix socket or a pipe.
        _ => true,
    }
}
