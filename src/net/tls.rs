//! TLS on a TCP connection (RFC 8446, RFC 8314), as the server.
//!
//! | file | what |
//! |---|---|
//! | `certificates` | the server's certificates, and what is asked of clients |
//! | `failure` | why it has failed, in plain words |
//! | `oddity` | what is odd about a certificate and will keep clients out |
//! | `x509` | what is in a certificate |

mod certificates;
mod failure;
mod oddity;
mod x509;

use std::io::{self, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{ProtocolVersion, ServerConnection};

use super::Secured;
use certificates::Identity;
pub use certificates::{
    Certificates, ClientCertificates, MinVersion, Pair, Policy, TlsError, make_self_signed,
};
use failure::explain;
pub use oddity::Oddity;

/// A TLS connection with its socket.  What is buffered is bounded: one record of plaintext in, and
/// `SEND_LIMIT` bytes out.
pub struct TlsStream {
    socket: TcpStream,
    state: State,
    /// Something has come from the client.
    heard: bool,
}

enum State {
    /// The ClientHello has not come as a whole.
    Hello(Acceptor, Arc<Certificates>),
    /// The certificate is needed until the handshake is done.
    Handshake(ServerConnection, Arc<Identity>),
    Talking(ServerConnection),
    /// Something was wrong, and the client has been told: nothing comes after an alert.
    Broken,
}

impl TlsStream {
    /// Begins TLS: the next bytes from the client are its ClientHello.  Nothing that was read
    /// before is known here, so nothing sent in the clear can be taken for something sent under
    /// TLS.
    pub fn new(socket: TcpStream, certificates: Arc<Certificates>) -> TlsStream {
        TlsStream {
            socket,
            state: State::Hello(Acceptor::default(), certificates),
            heard: false,
        }
    }

    /// Nothing has come from the client.
    pub fn was_silent(&self) -> bool {
        !self.heard
    }

    pub fn is_handshaking(&self) -> bool {
        matches!(self.state, State::Hello(..) | State::Handshake(..))
    }

    /// Goes on with the handshake as far as it goes without waiting; when it is done, it says what
    /// it has found out.
    pub fn handshake(&mut self) -> io::Result<Option<Secured>> {
        loop {
            let result = self.advance();
            match result {
                Ok(Some(secured)) => return Ok(Some(secured)),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// One step of the handshake.
    fn advance(&mut self) -> io::Result<Option<Secured>> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Hello(mut acceptor, certificates) => {
                let read = acceptor.read_tls(&mut self.socket);
                match read {
                    Ok(0) => return Err(ended()),
                    Ok(_) => self.heard = true,
                    Err(error) => {
                        self.state = State::Hello(acceptor, certificates);
                        return Err(error);
                    }
                }
                match acceptor.accept() {
                    Ok(Some(hello)) => self.begin(hello, &certificates)?,
                    Ok(None) => self.state = State::Hello(acceptor, certificates),
                    Err((error, alert)) => return Err(self.refuse(error, alert)),
                }
                Ok(None)
            }
            State::Handshake(mut tls, identity) => {
                let secured = self.exchange(&mut tls, &identity);
                match &secured {
                    Ok(Some(_)) => self.state = State::Talking(tls),
                    Ok(None) => self.state = State::Handshake(tls, identity),
                    Err(error) if is_passing(error) => {
                        self.state = State::Handshake(tls, identity);
                    }
                    Err(_) => {}
                }
                secured
            }
            other => {
                self.state = other;
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }

    fn begin(&mut self, hello: Accepted, certificates: &Certificates) -> io::Result<()> {
        let (identity, config) = {
            let hello = hello.client_hello();
            let identity = certificates.choose(&hello).ok_or(io::ErrorKind::NotFound)?;
            (Arc::clone(identity), identity.config(&hello))
        };
        match hello.into_connection(config) {
            Ok(mut tls) => {
                tls.set_buffer_limit(Some(SEND_LIMIT));
                self.state = State::Handshake(tls, identity);
                Ok(())
            }
            Err((error, alert)) => Err(self.refuse(error, alert)),
        }
    }

    /// Tells the client why not; the connection ends whether or not it arrives.
    fn refuse(&mut self, error: rustls::Error, mut alert: AcceptedAlert) -> io::Error {
        let _ = alert.write_all(&mut self.socket);
        explain(error)
    }

    /// Handles what has been read, sends, and only then reads more.
    fn exchange(
        &mut self,
        tls: &mut ServerConnection,
        identity: &Identity,
    ) -> io::Result<Option<Secured>> {
        let processed = tls.process_new_packets();
        let flushed = flush(tls, &mut self.socket);
        processed.map_err(explain)?;
        match flushed {
            Err(error) if !is_passing(&error) => return Err(error),
            _ => {}
        }
        if !tls.is_handshaking() {
            return Ok(Some(secured(tls, identity)));
        }
        match tls.read_tls(&mut self.socket)? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the client has closed the connection after it was shown the certificate; some do that \
                 without a word if they do not accept it",
            )),
            _ => Ok(None),
        }
    }

    /// Plaintext from the client; 0 is its end.  A client that ends without a TLS closure alert is
    /// taken to have ended all the same: IMAP has its own ends of lines and of literals.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let State::Talking(tls) = &mut self.state else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            if let Err(error) = tls.process_new_packets() {
                // The alert that says why; the connection ends whether or not it arrives.
                let _ = flush(tls, &mut self.socket);
                self.state = State::Broken;
                return Err(explain(error));
            }
            match flush(tls, &mut self.socket) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }

    /// Takes plaintext for the client, as much as there is room for.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let State::Talking(tls) = &mut self.state else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        loop {
            let taken = tls.writer().write(bytes)?;
            match flush(tls, &mut self.socket) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ if taken > 0 || bytes.is_empty() => return Ok(taken),
                // There was no room.  If the socket has taken data there is room now, and the loop
                // would not tell us, because the socket was writable all the time.
                Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends what is encrypted already.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Handshake(tls, _) | State::Talking(tls) => flush(tls, &mut self.socket),
            State::Hello(..) | State::Broken => Ok(()),
        }
    }

    /// Whether the kernel has everything.
    pub fn is_flushed(&self) -> bool {
        match &self.state {
            State::Handshake(tls, _) | State::Talking(tls) => !tls.wants_write(),
            State::Hello(..) | State::Broken => true,
        }
    }

    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Tells the client that nothing more comes.
    pub fn end_output(&mut self) -> io::Result<()> {
        if let State::Talking(tls) = &mut self.state {
            tls.send_close_notify();
        }
        match self.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Tells the client that nothing more comes, and gives the socket back.
    pub fn close(mut self) -> TcpStream {
        if let State::Talking(tls) = &mut self.state {
            tls.send_close_notify();
            // A client that does not take it will see the socket close.
            let _ = flush(tls, &mut self.socket);
        }
        self.socket
    }
}

fn flush(tls: &mut ServerConnection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(socket)?;
    }
    Ok(())
}

fn secured(tls: &ServerConnection, identity: &Identity) -> Secured {
    let certificate = tls
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|certificate| certificate.to_vec());
    // RFC 9266 2; under TLS 1.2 it would only be unique with an extension that some clients lack.
    let exporter = match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => tls
            .export_keying_material(vec![0; 32], EXPORTER_LABEL, Some(&[]))
            .ok(),
        _ => None,
    };
    Secured {
        certificate,
        exporter,
        end_point: identity.end_point.clone(),
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the client has closed the connection",
    )
}

/// RFC 9266 4
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// Plaintext not yet encrypted and ciphertext not yet sent, each.
const SEND_LIMIT: usize = 64 * 1024;

#[cfg(test)]
mod tests;
