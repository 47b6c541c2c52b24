//! The lines of the Dovecot auth protocol, version 1: fields with tabs between them.  PURE.
//!
//! Postfix speaks it to us (`front/sasl_socket`), and we speak it to a Dovecot that knows the users
//! (`auth/source/dovecot.rs`).

/// What the auth service says to a request: `OK 1 user=bob`, `USER 1 bob uid=1000`.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthReply {
    pub word: String,
    pub id: u32,
    /// What stands in the line after the number.  A field without `=` has an empty value.
    fields: Vec<(String, String)>,
}

impl AuthReply {
    /// Reads a line without its end.
    pub fn parse(line: &[u8]) -> Option<AuthReply> {
        let text = |octets: &[u8]| String::from_utf8(unescape(octets)).ok();
        let mut parts = line.split(|&octet| octet == b'\t');
        let word = text(parts.next()?)?;
        let id = text(parts.next()?)?.parse().ok()?;
        let fields = parts
            .filter(|part| !part.is_empty())
            .map(|part| {
                let at = memchr::memchr(b'=', part).unwrap_or(part.len());
                let (name, value) = part.split_at(at);
                Some((text(name)?, text(value.get(1..).unwrap_or_default())?))
            })
            .collect::<Option<_>>()?;
        Some(AuthReply { word, id, fields })
    }

    /// The value of a field, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(other, _)| other == name)?;
        Some(value)
    }

    /// The name of the first field: in the answers to `USER` and `REQUEST` this is the user.
    pub fn first(&self) -> Option<&str> {
        self.fields.first().map(|(name, _)| name.as_str())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }
}

/// A line: a word, the request's number, and fields, whose values are escaped here.
pub fn write(out: &mut Vec<u8>, word: &str, id: u32, fields: &[(&str, &str)]) {
    out.extend_from_slice(format!("{word}\t{id}").as_bytes());
    for (name, value) in fields {
        out.push(b'\t');
        out.extend_from_slice(name.as_bytes());
        for octet in value.bytes() {
            match octet {
                0 => out.extend_from_slice(b"\x010"),
                1 => out.extend_from_slice(b"\x011"),
                b'\t' => out.extend_from_slice(b"\x01t"),
                b'\r' => out.extend_from_slice(b"\x01r"),
                b'\n' => out.extend_from_slice(b"\x01n"),
                octet => out.push(octet),
            }
        }
    }
    out.push(b'\n');
}

pub fn unescape(value: &[u8]) -> Vec<u8> {
    let mut octets = value.iter();
    let mut plain = Vec::with_capacity(value.len());
    while let Some(&octet) = octets.next() {
        plain.push(match octet {
            1 => match octets.next() {
                Some(b'0') => 0,
                Some(b'1') => 1,
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(&other) => other,
                None => break,
            },
            octet => octet,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_field_or_a_line_is_escaped() {
        let mut out = Vec::new();
        write(&mut out, "OK", 3, &[("user=", "b\to\nb\r\0\x01")]);
        assert_eq!(out, b"OK\t3\tuser=b\x01to\x01nb\x01r\x010\x011\n");
        assert_eq!(
            unescape(b"b\x01to\x01nb\x01r\x010\x011"),
            b"b\to\nb\r\0\x01"
        );
    }

    #[test]
    fn the_fields_of_a_reply_are_read_whatever_they_hold() {
        let reply = AuthReply::parse(b"USER\t3\tbob\tuid=995\t\thome=/a=b\x01tc\tnologin\treason=")
            .unwrap();
        assert_eq!((reply.word.as_str(), reply.id), ("USER", 3));
        assert_eq!(reply.first(), Some("bob"));
        assert_eq!(reply.get("uid"), Some("995"));
        assert_eq!(reply.get("home"), Some("/a=b\tc"));
        assert_eq!(reply.get("nologin"), Some(""));
        assert_eq!(reply.get("reason"), Some(""));
        assert_eq!(reply.get("gid"), None);
    }

    #[test]
    fn what_is_no_reply_is_none() {
        for line in [
            &b""[..],
            b"OK",
            b"OK\t",
            b"OK\tx",
            b"OK\t-1",
            b"OK\t1\t\xff=1",
            b"\xff\t1",
        ] {
            assert_eq!(
                AuthReply::parse(line),
                None,
                "{}",
                String::from_utf8_lossy(line)
            );
        }
    }
}
