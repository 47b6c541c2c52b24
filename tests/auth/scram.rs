//! SASL SCRAM-SHA-256 with verifiers and passwords in files.

use std::path::Path;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roost::auth::{Admission, Dialogue, authenticate};
use roost::config::Config;
use roost::ipc::{Binding, Proof, Refusal};
use roost::mail::Secret;

use crate::login::{log, refused, request, with_file};
use crate::support::Place;

/// `doveadm pw -s SCRAM-SHA-256 -p 'tanstaaf löl'`
const DOVECOT: &str = "{SCRAM-SHA-256}4096,don5s4ahvuW7/lz+SiFBVA==,unhmRdmaJ8aALYK1wzf/Q6xS3gP2MfIaEX1+kYZoQp8=,UFGszqbGp9yMavTRgFW7LGM//NrsIiF77I291f3JDzI=";

/// A client as RFC 5802 3 describes it.
struct Client {
    header: &'static str,
    channel: Vec<u8>,
    bare: String,
    password: &'static str,
    /// What the server said.
    said: Vec<String>,
    server_key: Option<hmac::Key>,
    text: String,
    /// How many challenges it answers.
    patience: usize,
}

impl Client {
    fn new(user: &str, password: &'static str) -> Client {
        Client {
            header: "n,,",
            channel: b"n,,".to_vec(),
            bare: format!("n={user},r=abc"),
            password,
            said: Vec::new(),
            server_key: None,
            text: String::new(),
            patience: usize::MAX,
        }
    }

    fn log_in(&mut self, config: &Config) -> Result<Admission, Refusal> {
        self.bound(config, Binding::default())
    }

    fn bound(&mut self, config: &Config, binding: Binding) -> Result<Admission, Refusal> {
        let first = format!("{}{}", self.header, self.bare);
        let first = Secret::new(first.into_bytes());
        let proof = Proof::Scram { first, binding };
        authenticate(config, &request(proof), self)
    }

    /// Whether the server has shown that it knows the password.
    fn believes(&self) -> bool {
        let key = self.server_key.as_ref().unwrap();
        let signature = STANDARD.encode(hmac::sign(key, self.text.as_bytes()));
        self.said.last() == Some(&format!("v={signature}"))
    }

    fn salt(&self) -> &str {
        let rest = self.said[0].split(",s=").nth(1).unwrap();
        rest.split_once(',').unwrap().0
    }

    fn answer(&mut self, first: &str) -> String {
        let nonce = first.strip_prefix("r=").unwrap().split(',').next().unwrap();
        let iterations = first.split(",i=").nth(1).unwrap();
        let mut salted = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations.parse().unwrap(),
            &STANDARD.decode(self.salt()).unwrap(),
            self.password.as_bytes(),
            &mut salted,
        );
        let key = |key: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, key);
        let client_key = hmac::sign(&key(&salted), b"Client Key");
        let server_key = hmac::sign(&key(&salted), b"Server Key");
        self.server_key = Some(key(server_key.as_ref()));
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let unproved = format!("c={},r={nonce}", STANDARD.encode(&self.channel));
        self.text = format!("{},{first},{unproved}", self.bare);
        let signature = hmac::sign(&key(stored_key.as_ref()), self.text.as_bytes());
        let pairs = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = pairs.map(|(a, b)| a ^ b).collect();
        format!("{unproved},p={}", STANDARD.encode(proof))
    }
}

impl Dialogue for Client {
    fn challenge(&mut self, challenge: Secret) -> Option<Secret> {
        let text = String::from_utf8(challenge.expose().to_vec()).unwrap();
        self.said.push(text.clone());
        self.patience = self.patience.checked_sub(1)?;
        let answer = match text.starts_with("r=") {
            true => self.answer(&text),
            false => String::new(),
        };
        Some(Secret::new(answer.into_bytes()))
    }
}

fn config(place: &Place, file: &Path) -> Config {
    Config {
        state_dir: place.join("state"),
        ..with_file(file)
    }
}

fn with(place: &Place, text: &str) -> Config {
    let file = place.write("users", text);
    config(place, &file)
}

#[test]
fn a_verifier_of_dovecot_and_a_plain_password_let_their_users_in() {
    let place = Place::new();
    let config = with(
        &place,
        &format!("bob:{DOVECOT}:5000:5000::/x\neve:{{PLAIN}}pencil:5001:5000::/x\n"),
    );
    for (user, password, uid) in [("bob", "tanstaaf löl", 5000), ("Eve", "pencil", 5001)] {
        let mut client = Client::new(user, password);
        let account = client.log_in(&config).ok().unwrap().account;
        assert_eq!(account.uid, uid);
        assert_eq!(client.said.len(), 2);
        assert!(client.believes());
    }
    assert_eq!(log(), [""; 0]);
}

#[test]
fn nobody_and_a_wrong_password_cannot_be_told_apart() {
    let place = Place::new();
    let config = with(
        &place,
        &format!(
            "bob:{DOVECOT}:5000:5000::/x\nold:{{SHA256}}nzT2kQ2dwAQCSSlduQXBNdz0oQSou2rtRDbYZTVm9l4=:5000:5000::/x\n"
        ),
    );
    let mut salts = Vec::new();
    for user in ["bob", "nobody", "old", "eve"] {
        let mut client = Client::new(user, "wrong");
        assert_eq!(refused(client.log_in(&config)), Refusal::Mismatch);
        assert_eq!(
            client.said.len(),
            1,
            "no answer but the front's, which waits"
        );
        assert!(client.said[0].ends_with(",i=4096"));
        assert_eq!(STANDARD.decode(client.salt()).unwrap().len(), 16);

        let mut again = Client::new(&user.to_uppercase(), "other");
        let _ = again.log_in(&config);
        assert_eq!(client.salt(), again.salt(), "{user}");
        assert_ne!(client.said, again.said, "the nonce is new");
        salts.push(client.salt().to_owned());
    }
    salts.sort();
    salts.dedup();
    assert_eq!(salts.len(), 4);
    assert_eq!(
        log().len(),
        10,
        "each attempt has its line, those of old two"
    );
}

#[test]
fn nobody_has_as_many_iterations_as_others() {
    let place = Place::new();
    let config = with(
        &place,
        "bob:{SCRAM-SHA-256}10000,AAAA,unhmRdmaJ8aALYK1wzf/Q6xS3gP2MfIaEX1+kYZoQp8=,UFGszqbGp9yMavTRgFW7LGM//NrsIiF77I291f3JDzI=\n",
    );
    let mut client = Client::new("nobody", "x");
    assert!(client.log_in(&config).is_err());
    assert!(client.said[0].ends_with(",i=10000"));
}

#[test]
fn the_channel_is_bound() {
    let place = Place::new();
    let config = with(&place, "bob:{PLAIN}pencil:5000:5000::/x\n");
    let binding = |plus| Binding {
        plus,
        offered: true,
        exporter: Some(b"exported".to_vec()),
        end_point: None,
    };
    let client = |header: &'static str, data: &[u8]| Client {
        header,
        channel: [header.as_bytes(), data].concat(),
        ..Client::new("bob", "pencil")
    };
    let mut good = client("p=tls-exporter,,", b"exported");
    assert!(good.bound(&config, binding(true)).is_ok());
    assert!(good.believes());

    let mut other = client("p=tls-exporter,,", b"of somebody in between");
    let result = other.bound(&config, binding(true));
    assert_eq!(refused(result), Refusal::Mismatch);
    assert_eq!(other.said[1], "e=channel-bindings-dont-match");

    let mut lied_to = client("y,,", b"");
    let result = lied_to.bound(&config, binding(false));
    assert_eq!(refused(result), Refusal::Mismatch);
    assert_eq!(lied_to.said, ["e=server-does-support-channel-binding"]);
}

#[test]
fn nobody_can_be_somebody_else() {
    let place = Place::new();
    let config = with(&place, "bob:{PLAIN}pencil:5000:5000::/x\n");
    let client = |header: &'static str| Client {
        header,
        channel: header.as_bytes().to_vec(),
        ..Client::new("bob", "pencil")
    };
    assert!(client("n,a=bob,").log_in(&config).is_ok());
    let result = client("n,a=eve,").log_in(&config);
    assert_eq!(refused(result), Refusal::Mismatch);
}

#[test]
fn rules_of_the_line_hold_here_too() {
    let place = Place::new();
    let config = with(
        &place,
        "a:{PLAIN}pencil:5000:5000::/x::allow_nets=10.0.0.0/8\nb:{PLAIN}pencil:5000:5000::/x::nologin\nc:{PLAIN}pencil:0:0::/x\nroot:{PLAIN}pencil:5000:5000::/x\n",
    );
    for (user, refusal) in [
        ("a", Refusal::Mismatch),
        ("b", Refusal::Disabled),
        ("c", Refusal::Mismatch),
        ("root", Refusal::NotPermitted),
    ] {
        let mut client = Client::new(user, "pencil");
        assert_eq!(refused(client.log_in(&config)), refusal, "{user}");
        assert!(!client.said.iter().any(|text| text.starts_with("v=")));
    }
}

#[test]
fn a_client_that_gives_up_is_not_let_in() {
    let place = Place::new();
    let config = with(&place, "bob:{PLAIN}pencil:5000:5000::/x\n");
    for patience in [0, 1] {
        let mut client = Client {
            patience,
            ..Client::new("bob", "pencil")
        };
        assert_eq!(refused(client.log_in(&config)), Refusal::Mismatch);
    }
}

#[test]
fn the_key_of_salts_is_kept_and_roots_alone() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let config = with(&place, "bob:{PLAIN}pencil:5000:5000::/x\n");
    let _ = Client::new("nobody", "x").log_in(&config);
    let files: Vec<_> = std::fs::read_dir(place.join("state")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let metadata = files[0].as_ref().unwrap().metadata().unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
    assert_eq!(metadata.len(), 32);
}
