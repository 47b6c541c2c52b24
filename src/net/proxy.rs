//! The PROXY protocol, versions 1 and 2
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>): what a proxy says of the client
//! behind it, before anything of the client's.
//!
//! Pure: octets in, a header out.  What a header says is only as good as the proxy that sent it, so
//! the loop takes one only from networks that were named as trusted.  Of a header's extensions
//! (TLVs) two are read: that the client came by TLS, which the proxy has ended (2.2.6), and the
//! checksum (2.2.3).  What the proxy says of the client's certificate is ignored: only the end of
//! the handshake knows whose it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// How many octets it has.
    pub length: usize,
    /// None: the proxy speaks for itself, or does not know the client's addresses.  Then the
    /// addresses of the connection hold.
    pub addresses: Option<Addresses>,
    /// The client came by TLS, and the proxy has ended it.
    pub tls: bool,
    /// There is no client: the proxy looks whether we are there.
    pub is_check: bool,
}

/// The ends of the connection between client and proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub client: SocketAddr,
    pub proxy: SocketAddr,
}

/// Why something is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// It begins otherwise.
    NoHeader,
    /// A version 1 line with something wrong in it.
    BadLine,
    /// A version, command or family of version 2 that does not exist.
    Unknown,
    /// Less than the addresses must be there.
    Short,
    /// More than anybody sends.
    Long,
    /// An extension that ends after the header, or has something wrong in it.
    BadExtension,
    /// It is not what the proxy sent.
    Checksum,
}

/// Octets from the beginning of a connection; none if the header is not complete.
pub fn parse(input: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    if input.starts_with(SIGNATURE) {
        return parse_binary(input);
    }
    if input.starts_with(PREFIX) {
        return parse_line(input);
    }
    match SIGNATURE.starts_with(input) || PREFIX.starts_with(input) {
        true => Ok(None),
        false => Err(ProxyError::NoHeader),
    }
}

/// 2.1: `PROXY TCP4 192.0.2.1 198.51.100.2 56324 143`, CRLF.
fn parse_line(input: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    let line = input.get(..LONGEST_LINE).unwrap_or(input);
    let Some(end) = memchr::memmem::find(line, b"\r\n") else {
        return match line.len() < LONGEST_LINE {
            true => Ok(None),
            false => Err(ProxyError::BadLine),
        };
    };
    let text = line
        .get(PREFIX.len()..end)
        .and_then(|text| std::str::from_utf8(text).ok())
        .ok_or(ProxyError::BadLine)?;
    let length = end + b"\r\n".len();
    let mut words = text.split(' ');
    let addresses = match words.next() {
        // "The receiver must ignore anything presented before the CRLF."
        Some("UNKNOWN") => {
            return Ok(Some(ProxyHeader {
                length,
                addresses: None,
                tls: false,
                // HAProxy's checks are such a line.
                is_check: true,
            }));
        }
        Some("TCP4") => read_words::<Ipv4Addr>(words),
        Some("TCP6") => read_words::<Ipv6Addr>(words),
        _ => None,
    };
    let addresses = addresses.ok_or(ProxyError::BadLine)?;
    Ok(Some(ProxyHeader {
        length,
        addresses: Some(addresses),
        tls: false,
        is_check: false,
    }))
}

/// Source address, destination address, source port, destination port.
fn read_words<'a, A>(mut words: impl Iterator<Item = &'a str>) -> Option<Addresses>
where
    A: std::str::FromStr + Into<IpAddr>,
{
    let mut address = || words.next()?.parse::<A>().ok().map(Into::into);
    let (client, proxy) = (address()?, address()?);
    let mut port = || read_port(words.next()?);
    let (client_port, proxy_port) = (port()?, port()?);
    if words.next().is_some() {
        return None;
    }
    Some(Addresses {
        client: end(client, client_port),
        proxy: end(proxy, proxy_port),
    })
}

/// A decimal number without leading zeros.
fn read_port(word: &str) -> Option<u16> {
    let is_plain =
        word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| is_plain)
}

/// 2.2: signature, version and command, family, length, addresses, extensions.
fn parse_binary(input: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    let Some(&[command, family, high, low]) = input.get(SIGNATURE.len()..FIXED) else {
        return Ok(None);
    };
    let wanted = usize::from(u16::from_be_bytes([high, low]));
    let length = FIXED + wanted;
    let addresses = match (command, family) {
        // LOCAL: whatever the family is, "the receiver must accept this connection [...] and must
        // use the real connection endpoints".
        (LOCAL, _) => Family::None,
        (0x21, 0x11) => Family::V4,
        (0x21, 0x21) => Family::V6,
        (0x21, 0x00) => Family::None,
        (0x21, 0x31) => Family::Unix,
        _ => return Err(ProxyError::Unknown),
    };
    if wanted < addresses.length() {
        return Err(ProxyError::Short);
    }
    if length > LONGEST {
        return Err(ProxyError::Long);
    }
    let (Some(header), Some(body)) = (input.get(..length), input.get(FIXED..length)) else {
        return Ok(None);
    };
    let is_check = command == LOCAL;
    let extensions = FIXED + addresses.length();
    let tls = match (&addresses, read_extensions(header, extensions)) {
        // "The receiver must ignore": of LOCAL everything, of AF_UNSPEC what it cannot read.
        _ if is_check => false,
        (Family::None, Err(ProxyError::BadExtension)) => false,
        (_, tls) => tls?,
    };
    Ok(Some(ProxyHeader {
        length,
        addresses: addresses.read(body),
        tls,
        is_check,
    }))
}

/// 2.2: type, length, value, again and again.  Says whether the client came by TLS.
fn read_extensions(header: &[u8], start: usize) -> Result<bool, ProxyError> {
    let mut rest = header.get(start..).unwrap_or_default();
    let (mut tls, mut is_checked) = (None, false);
    while let Some((extension, after)) = split_extension(rest)? {
        match extension.kind {
            TYPE_SSL => tls = Some(tls.unwrap_or(true) && read_tls(extension.value)?),
            TYPE_CRC32C if is_checked => return Err(ProxyError::BadExtension),
            TYPE_CRC32C => {
                let end = header.len() - after.len();
                check(header, end, extension.value)?;
                is_checked = true;
            }
            _ => {}
        }
        rest = after;
    }
    Ok(tls.unwrap_or(false))
}

struct Extension<'a> {
    kind: u8,
    value: &'a [u8],
}

/// The first one, and what follows it.
fn split_extension(octets: &[u8]) -> Result<Option<(Extension<'_>, &[u8])>, ProxyError> {
    let (&[kind, high, low], rest) = match octets.split_first_chunk() {
        Some(parts) => parts,
        None if octets.is_empty() => return Ok(None),
        None => return Err(ProxyError::BadExtension),
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (value, after) = rest
        .split_at_checked(length)
        .ok_or(ProxyError::BadExtension)?;
    Ok(Some((Extension { kind, value }, after)))
}

/// 2.2.6: a bit field, whether the certificate was verified, and extensions of its own.  There is
/// TLS whatever became of the certificate.
fn read_tls(value: &[u8]) -> Result<bool, ProxyError> {
    let (&[client, _, _, _, _], mut rest) =
        value.split_first_chunk().ok_or(ProxyError::BadExtension)?;
    while let Some((_, after)) = split_extension(rest)? {
        rest = after;
    }
    Ok(client & CLIENT_SSL != 0)
}

/// 2.2.3: the checksum of the whole header, in which the checksum itself, which ends at `end`,
/// counts as four zeros.
fn check(header: &[u8], end: usize, value: &[u8]) -> Result<(), ProxyError> {
    let expected: [u8; 4] = value.try_into().map_err(|_| ProxyError::BadExtension)?;
    let before = header.get(..end - expected.len()).unwrap_or_default();
    let after = header.get(end..).unwrap_or_default();
    let octets = before.iter().chain(&[0; 4]).chain(after);
    match crc32c(octets) == u32::from_be_bytes(expected) {
        true => Ok(()),
        false => Err(ProxyError::Checksum),
    }
}

/// RFC 9260 A
fn crc32c<'a>(octets: impl Iterator<Item = &'a u8>) -> u32 {
    let step = |sum: u32, _| match sum & 1 {
        0 => sum >> 1,
        _ => (sum >> 1) ^ 0x82f6_3b78,
    };
    let add = |sum: u32, octet: &u8| (0..8).fold(sum ^ u32::from(*octet), step);
    !octets.fold(u32::MAX, add)
}

enum Family {
    /// AF_UNSPEC
    None,
    V4,
    V6,
    /// There are addresses, but none that means anything here.
    Unix,
}

impl Family {
    fn length(&self) -> usize {
        match self {
            Family::None => 0,
            Family::V4 => 12,
            Family::V6 => 36,
            Family::Unix => 216,
        }
    }

    /// Both addresses, then both ports.
    fn read(&self, body: &[u8]) -> Option<Addresses> {
        let (client, rest) = self.read_address(body)?;
        let (proxy, rest) = self.read_address(rest)?;
        let (client_port, rest) = rest.split_first_chunk()?;
        let (proxy_port, _) = rest.split_first_chunk()?;
        Some(Addresses {
            client: end(client, u16::from_be_bytes(*client_port)),
            proxy: end(proxy, u16::from_be_bytes(*proxy_port)),
        })
    }

    fn read_address<'a>(&self, body: &'a [u8]) -> Option<(IpAddr, &'a [u8])> {
        match self {
            Family::None | Family::Unix => None,
            Family::V4 => {
                let (address, rest) = body.split_first_chunk::<4>()?;
                Some((Ipv4Addr::from(*address).into(), rest))
            }
            Family::V6 => {
                let (address, rest) = body.split_first_chunk::<16>()?;
                Some((Ipv6Addr::from(*address).into(), rest))
            }
        }
    }
}

/// An IPv4 address is written as one, however the proxy came by it.
fn end(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.to_canonical(), port)
}

/// Whether an address is in one of the networks, each an address and how many bits of it count.
pub(super) fn is_within(address: IpAddr, networks: &[(IpAddr, u8)]) -> bool {
    let address = address.to_canonical();
    networks
        .iter()
        .any(|&(network, bits)| match (address, network) {
            (IpAddr::V4(address), IpAddr::V4(network)) => {
                let difference = u32::from(address) ^ u32::from(network);
                difference.leading_zeros() >= u32::from(bits)
            }
            (IpAddr::V6(address), IpAddr::V6(network)) => {
                let difference = u128::from(address) ^ u128::from(network);
                difference.leading_zeros() >= u32::from(bits)
            }
            _ => false,
        })
}

impl std::fmt::Display for ProxyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ProxyError::NoHeader => "there is no PROXY header",
            ProxyError::BadLine => "there is something wrong with its PROXY line",
            ProxyError::Unknown => "its PROXY header is of an unknown kind",
            ProxyError::Short => "its PROXY header is too short for its addresses",
            ProxyError::Long => "its PROXY header is too long",
            ProxyError::BadExtension => {
                "there is something wrong with an extension in its PROXY header"
            }
            ProxyError::Checksum => "its PROXY header does not match the checksum in it",
        })
    }
}

impl std::error::Error for ProxyError {}

/// How a header of version 1 begins.
const PREFIX: &[u8] = b"PROXY ";

/// How a header of version 2 begins.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, CRLF included.
const LONGEST_LINE: usize = 107;

/// What is always there in version 2.
const FIXED: usize = 16;

/// The command that says that there is no client.
const LOCAL: u8 = 0x20;

const TYPE_CRC32C: u8 = 0x03;
const TYPE_SSL: u8 = 0x20;

/// In the bit field of TYPE_SSL.
const CLIENT_SSL: u8 = 0x01;

/// The longest header.  It has room for a client's whole certificate, and fits into the kernel's
/// buffer.
pub(super) const LONGEST: usize = 16 * 1024;

#[cfg(test)]
mod tests;
