//! The lines of the Dovecot auth protocol: fields with tabs between them.

use std::net::{IpAddr, SocketAddr};

use crate::dovecot_auth::{unescape, write};
use crate::imap::command::decode_base64;
use crate::ipc::Origin;
use crate::mail::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What a client of the auth socket can say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// `VERSION major minor`; the client's major number.
    Version(u32),
    /// `CPID pid`
    ProcessId,
    /// `AUTH id mechanism parameters`
    Auth(u32, Box<Auth>),
    /// `CONT id base64`; `None`: that was no base64.
    Continue(u32, Option<Secret>),
    /// `CANCEL id`
    Cancel(u32),
}

/// The arguments of AUTH.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Auth {
    pub mechanism: String,
    pub origin: Origin,
    /// The address is one of many, and not to be made wait.
    pub no_penalty: bool,
    /// `resp=`: the initial response; `Some(None)` if that was no base64.
    pub initial: Option<Option<Secret>>,
}

/// Reads a line without its end.  `None`: the sender does not speak this protocol.
pub(super) fn parse(line: &[u8]) -> Option<Line> {
    let mut fields = line.split(|&octet| octet == b'\t');
    match fields.next()? {
        b"VERSION" => number(fields.next()?).map(Line::Version),
        b"CPID" => number(fields.next()?).map(|_| Line::ProcessId),
        b"AUTH" => {
            let id = number(fields.next()?)?;
            let mechanism = String::from_utf8(fields.next()?.to_vec()).ok()?;
            Some(Line::Auth(id, Box::new(parameters(mechanism, fields))))
        }
        b"CONT" => {
            let id = number(fields.next()?)?;
            let coded = fields.next().unwrap_or_default();
            Some(Line::Continue(id, decode(coded)))
        }
        b"CANCEL" => number(fields.next()?).map(Line::Cancel),
        _ => None,
    }
}

/// `CONT id base64`
pub(super) fn write_challenge(out: &mut Vec<u8>, id: u32, challenge: &[u8]) {
    let coded = Zeroizing::new(STANDARD.encode(challenge));
    write(out, "CONT", id, &[("", &coded)]);
}

/// Unknown parameters are ignored, because a newer client may send more.
fn parameters<'a>(mechanism: String, fields: impl Iterator<Item = &'a [u8]>) -> Auth {
    let mut auth = Auth {
        mechanism,
        origin: Origin {
            remote: None,
            local: None,
            tls: false,
            session: String::new(),
        },
        no_penalty: false,
        initial: None,
    };
    let (mut remote, mut remote_port) = (None, 0);
    let (mut local, mut local_port) = (None, 0);
    for field in fields {
        let (name, value) = match memchr::memchr(b'=', field) {
            Some(at) => field.split_at(at),
            None => (field, &[][..]),
        };
        let value = value.get(1..).unwrap_or_default();
        match name {
            b"rip" => remote = address(value),
            b"lip" => local = address(value),
            b"rport" => remote_port = port(value),
            b"lport" => local_port = port(value),
            b"secured" => auth.origin.tls = true,
            b"no-penalty" => auth.no_penalty = true,
            b"session" => auth.origin.session = session(&unescape(value)),
            b"resp" => auth.initial = Some(decode(value)),
            _ => {}
        }
    }
    auth.origin.remote = remote.map(|address| SocketAddr::new(address, remote_port));
    auth.origin.local = local.map(|address| SocketAddr::new(address, local_port));
    auth
}

/// Base64, escaped or not, of something secret.
fn decode(coded: &[u8]) -> Option<Secret> {
    decode_base64(coded).map(Secret::new)
}

fn number(digits: &[u8]) -> Option<u32> {
    text(digits)?.parse().ok()
}

fn port(digits: &[u8]) -> u16 {
    text(digits)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

fn address(value: &[u8]) -> Option<IpAddr> {
    text(value)?.parse().ok()
}

fn text(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok()
}

/// For the log, where it stands between `<` and `>`.
fn session(value: &[u8]) -> String {
    let is_plain = |octet: &&u8| octet.is_ascii_graphic() && !b"<>,()".contains(octet);
    let plain = value.iter().filter(is_plain).take(MAX_SESSION);
    plain.map(|&octet| char::from(octet)).collect()
}

const MAX_SESSION: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_auth_are_read_and_others_ignored() {
        let line =
            b"AUTH\t12\tplain\tservice=smtp\tnologin\tlip=192.0.2.10\tlport=587\trip=2001:db8::5\
            \trport=4711\tsecured=tls\tno-penalty\tsession=a\x01t<b>\tnew=1\tresp=AGJvYgBzZWNyZXQ=";
        let Some(Line::Auth(12, auth)) = parse(line) else {
            panic!("no AUTH");
        };
        assert_eq!(auth.mechanism, "plain");
        assert_eq!(
            auth.origin.remote,
            Some("[2001:db8::5]:4711".parse().unwrap())
        );
        assert_eq!(auth.origin.local, Some("192.0.2.10:587".parse().unwrap()));
        assert!(auth.origin.tls && auth.no_penalty);
        assert_eq!(auth.origin.session, "ab");
        let initial = auth.initial.unwrap().unwrap();
        assert_eq!(initial.expose(), b"\0bob\0secret");
    }

    #[test]
    fn what_is_no_line_of_the_protocol_is_none() {
        for line in [
            &b""[..],
            b"HELO",
            b"AUTH",
            b"AUTH\t1",
            b"AUTH\t-1\tPLAIN",
            b"AUTH\t4294967296\tPLAIN",
            b"AUTH\t1\t\xff",
            b"VERSION\tx\t1",
            b"CPID\t",
            b"CONT\tone",
            b"CANCEL",
        ] {
            assert_eq!(parse(line), None, "{}", String::from_utf8_lossy(line));
        }
        assert_eq!(parse(b"CONT\t7\t!"), Some(Line::Continue(7, None)));
        assert_eq!(parse(b"VERSION\t1\t3"), Some(Line::Version(1)));
        assert_eq!(parse(b"CANCEL\t4294967295"), Some(Line::Cancel(u32::MAX)));
    }
}
