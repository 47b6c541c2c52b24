//! Who somebody is: lines of password files, and what clients say.

use std::io::{self, Read};

use roost::auth::scheme::Stored;
use roost::auth::scram::{ClientFirst, name_in};
use roost::auth::source::passwd_file::{Extent, PasswdLine, each, find_in};
use roost::auth::verifier::Verifier;
use roost::ipc::Binding;

/// A passwd-file. A user who has a line in it is found, by the first of the user's lines, wherever
/// the file is cut.
pub fn passwd_file(input: &[u8]) {
    let mut entries: Vec<PasswdLine> = Vec::new();
    each(&mut &input[..], |number, entry| {
        assert!(number > 0);
        entries.push(entry);
    })
    .expect("a small file");
    for entry in entries.iter().take(20) {
        let first = entries.iter().find(|other| other.user == entry.user);
        if entry.user.contains('\r') {
            continue;
        }
        for size in [1, 7, 100_000] {
            for extent in [Extent::Line, Extent::Whole] {
                let found = find_in(&mut Slowly(input, size), &entry.user, extent);
                assert!(found.expect("a small file").entry.as_ref() == first);
            }
        }
        for address in ["203.0.113.5", "::ffff:10.1.2.3", "2001:db8::1"] {
            entry.allows(address.parse().ok());
        }
        entry.allows(None);
        let _ = entry.password();
    }
    let nobody = find_in(&mut &input[..], "no:body", Extent::Whole).expect("a small file");
    assert!(nobody.entry.is_none());
}

/// A password as it is kept. Those that cost little are compared, too.
pub fn scheme(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match Stored::parse(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(stored @ Stored::Plain(_)) => {
            let Stored::Plain(password) = &stored else {
                return;
            };
            let fits = (1..=512).contains(&password.len());
            assert_eq!(stored.admits(password), fits);
            assert!(!stored.admits(b""));
        }
        Ok(stored @ Stored::Digest { .. }) => assert!(!stored.admits(input)),
        Ok(_) => {}
    }
}

/// Two lines: what a client says first and last. Nobody comes in who does not know the password.
pub fn scram(input: &[u8]) {
    let mut lines = input.splitn(2, |&byte| byte == b'\n');
    let (first, last) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    name_in(first);
    for plus in [false, true] {
        for offered in [plus, true] {
            let binding = Binding {
                plus,
                offered,
                exporter: Some(b"exported".to_vec()),
                end_point: Some(b"certificate".to_vec()),
            };
            let client = match ClientFirst::parse(first, &binding) {
                Ok(client) => client,
                Err(error) => {
                    assert!(error.message().starts_with("e="));
                    continue;
                }
            };
            assert!(!client.user.is_empty() && !client.user.contains('\0'));
            assert!(first.starts_with(b"p=") == plus);
            for verifier in [
                Verifier::derive(b"pencil", b"salt", 1),
                Verifier::made_up(&client.user, &[7; 32], 1),
            ] {
                let exchange = client.clone().challenge(verifier, "xyz");
                assert!(exchange.first().starts_with("r="));
                assert!(exchange.finish(last).is_err());
            }
        }
    }
}

/// Gives so many octets at a time.
struct Slowly<'a>(&'a [u8], usize);

impl Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}
