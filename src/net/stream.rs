//! One non-blocking stream of bytes to a client: TCP, a unix socket, TLS, or standard input and output.

use std::net::SocketAddr;

/// The other end, as far as the kernel says.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// None: a unix socket, a pipe, a terminal, a file.
    pub address: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    /// TLS is negotiated before the greeting (port 993).
    pub tls: bool,
}
