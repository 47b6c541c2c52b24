//! The bytes of one connection: a socket pair, TCP, or TLS, read with a time limit.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};

pub enum Wire {
    Pair(UnixStream),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// Between STARTTLS and the handshake.
    Gone,
}

impl Wire {
    /// TLS over `tcp`, trusting exactly the certificates in `pem`.
    pub fn tls(tcp: TcpStream, pem: &[u8]) -> io::Result<Wire> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| io::Error::other(e.to_string()))?;
            roots.add(certificate).map_err(io::Error::other)?;
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Ok(Wire::Tls(Box::new(StreamOwned::new(session, tcp))))
    }

    /// The certificate that whoever listens on this port of loopback shows, as PEM.
    pub fn shown_certificate(port: u16) -> Vec<u8> {
        let shown = Arc::new(Shown::default());
        let _ = Wire::believing_with(port, shown.clone()).read(&mut [0; 1]);
        let der = shown.0.lock().expect("no panic").clone();
        let base64 = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> = base64
            .as_bytes()
            .chunks(64)
            .filter_map(|l| std::str::from_utf8(l).ok())
            .collect();
        let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
        format!("{begin}\n{}\n{end}\n", lines.join("\n")).into_bytes()
    }

    /// TLS with whoever listens on this port of loopback, whatever certificate is shown.
    pub fn believing(port: u16) -> Wire {
        Wire::believing_with(port, Arc::default())
    }

    fn believing_with(port: u16, shown: Arc<Shown>) -> Wire {
        let config = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(shown)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("a TLS client");
        let tcp = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        tcp.set_read_timeout(Some(super::patience()))
            .expect("a timeout");
        Wire::Tls(Box::new(StreamOwned::new(session, tcp)))
    }

    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        match self {
            Wire::Pair(pair) => pair.set_read_timeout(Some(patience)),
            Wire::Tcp(tcp) => tcp.set_read_timeout(Some(patience)),
            Wire::Tls(tls) => tls.sock.set_read_timeout(Some(patience)),
            Wire::Gone => Ok(()),
        }
    }

    pub fn set_write_patience(&self, patience: Duration) -> io::Result<()> {
        match self {
            Wire::Pair(pair) => pair.set_write_timeout(Some(patience)),
            Wire::Tcp(tcp) => tcp.set_write_timeout(Some(patience)),
            Wire::Tls(tls) => tls.sock.set_write_timeout(Some(patience)),
            Wire::Gone => Ok(()),
        }
    }

    /// Whether there is something to read now.
    pub fn has_input(&self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let socket = match self {
            Wire::Pair(pair) => pair.as_fd(),
            Wire::Tcp(tcp) => tcp.as_fd(),
            Wire::Tls(tls) => tls.sock.as_fd(),
            Wire::Gone => return false,
        };
        poll(
            &mut [PollFd::new(socket, PollFlags::POLLIN)],
            PollTimeout::ZERO,
        ) == Ok(1)
    }

    /// Another handle for writing, where the bytes go out as they are.
    pub fn writer(&self) -> Box<dyn Write + Send> {
        match self {
            Wire::Pair(pair) => Box::new(pair.try_clone().expect("the same socket")),
            Wire::Tcp(tcp) => Box::new(tcp.try_clone().expect("the same socket")),
            Wire::Tls(_) | Wire::Gone => panic!("no second handle for TLS"),
        }
    }

    /// Tells the server that no more will be written.
    pub fn finish_writing(&mut self) -> io::Result<()> {
        match self {
            Wire::Pair(pair) => pair.shutdown(std::net::Shutdown::Write),
            Wire::Tcp(tcp) => tcp.shutdown(std::net::Shutdown::Write),
            Wire::Tls(tls) => {
                tls.conn.send_close_notify();
                tls.flush()
            }
            Wire::Gone => Ok(()),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Pair(pair) => pair.read(into),
            Wire::Tcp(tcp) => tcp.read(into),
            Wire::Tls(tls) => tls.read(into),
            Wire::Gone => Ok(0),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Pair(pair) => pair.write(bytes),
            Wire::Tcp(tcp) => tcp.write(bytes),
            Wire::Tls(tls) => tls.write(bytes),
            Wire::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Tls(tls) => tls.flush(),
            _ => Ok(()),
        }
    }
}

/// A verifier that believes everything and remembers the certificate.
#[derive(Debug, Default)]
struct Shown(Mutex<Vec<u8>>);

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().expect("no panic") = certificate.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
