//! TLS on a TCP connection (RFC 8446, RFC 8314), as the server.

use std::io::{self, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

/// All certificates of the server, chosen by the name that the client asks for and the algorithms it knows.
pub struct Certificates(Arc<ServerConfig>);

impl Certificates {
    /// A certificate chain, the server's own first, and its private key (PKCS #8), all in DER.
    pub fn new(chain: Vec<Vec<u8>>, key: Vec<u8>) -> io::Result<Certificates> {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_no_client_auth())
            .and_then(|builder| builder.with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        Ok(Certificates(Arc::new(config)))
    }

    /// A certificate made on the spot that nobody but the server itself vouches for; also in DER.
    pub fn self_signed(names: &[&str]) -> io::Result<(Arc<Certificates>, Vec<u8>)> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let der = made.cert.der().to_vec();
        let certificates = Certificates::new(vec![der.clone()], made.signing_key.serialize_der())?;
        Ok((Arc::new(certificates), der))
    }
}

/// A TLS connection with its socket.  What is buffered is bounded: one record of plaintext in, and
/// `SEND_LIMIT` bytes out.
pub struct TlsStream {
    socket: TcpStream,
    tls: ServerConnection,
}

impl TlsStream {
    /// Begins TLS: the next bytes from the client are its ClientHello.  Nothing that was read before
    /// is known here, so nothing sent in the clear can be taken for something sent under TLS.
    pub fn new(socket: TcpStream, certificates: &Certificates) -> io::Result<TlsStream> {
        let config = Arc::clone(&certificates.0);
        let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
        tls.set_buffer_limit(Some(SEND_LIMIT));
        Ok(TlsStream { socket, tls })
    }

    /// Plaintext from the client; 0 is its end.  A client that ends without a TLS closure alert is
    /// taken to have ended all the same: IMAP has its own ends of lines and of literals.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            if self.tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            if let Err(error) = self.tls.process_new_packets() {
                // The alert that says why; the connection ends whether or not it arrives.
                let _ = self.flush();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            match self.flush() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }

    /// Takes plaintext for the client, as much as there is room for.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let taken = self.tls.writer().write(bytes)?;
            let flushed = self.flush();
            match flushed {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ if taken > 0 || bytes.is_empty() => return Ok(taken),
                // There was no room.  If the socket took what was in the way there is some now, and
                // nobody would tell us that the socket can be written to: it could be all the time.
                Ok(()) if !self.tls.is_handshaking() => {}
                _ => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }

    /// Sends what is encrypted already.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// Whether the kernel has everything that can be sent now.  During a handshake plaintext waits
    /// inside, unencrypted; the end of the handshake sends it.
    pub fn is_flushed(&self) -> bool {
        !self.tls.wants_write()
    }

    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Tells the client that nothing more comes, and gives the socket back.
    pub fn close(mut self) -> TcpStream {
        self.tls.send_close_notify();
        // A client that does not take it will see the socket close.
        let _ = self.flush();
        self.socket
    }
}

/// Plaintext not yet encrypted and ciphertext not yet sent, each.
const SEND_LIMIT: usize = 32 * 1024;
