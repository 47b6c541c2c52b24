//! LOGIN and AUTHENTICATE (RFC 9051 6.2.2, 6.2.3, RFC 4959).

use super::{ImapClient, Phase, ask};
use crate::front::attempts::Declined;
use crate::front::conversation::{Question, Step};
use crate::front::sasl::{self, Exchange, Next, SaslMechanism};
use crate::imap::command::Tag;
use crate::imap::response::{self, Code, Status};
use crate::ipc::{LoginRequest, Proof, Protocol, Refusal};
use crate::mail::Secret;
use crate::net::Now;

impl ImapClient {
    /// RFC 9051 6.2.3
    pub(super) fn login(
        &mut self,
        tag: Tag,
        user: Vec<u8>,
        password: Secret,
        now: Now,
    ) -> Option<Step> {
        if !self.settings.mechanisms.has_passwords() {
            return self.refuse_mechanism(&tag, "LOGIN");
        }
        if !self.ground().is_private {
            return self.refuse_in_clear(&tag, true);
        }
        let mechanism = SaslMechanism::Plain.name();
        let password = password;
        let proof = Proof::Password {
            mechanism,
            user,
            authorize: Vec::new(),
            password,
        };
        self.ask(tag, Exchange::Plain, proof, now)
    }

    /// RFC 9051 6.2.2, RFC 4959
    pub(super) fn authenticate(
        &mut self,
        tag: Tag,
        name: &str,
        initial: Option<Secret>,
        now: Now,
    ) -> Option<Step> {
        let Some(mechanism) = self.settings.mechanisms.find(name) else {
            return self.refuse_mechanism(&tag, name);
        };
        if !mechanism.is_possible(self.ground()) {
            return match self.attempts.secrecy.is_tls() {
                true => self.refuse_mechanism(&tag, name),
                false => self.refuse_in_clear(&tag, mechanism.sends_password()),
            };
        }
        let (exchange, challenge) = mechanism.begin();
        match initial {
            Some(response) => self.handle_response(tag, exchange, response, now),
            None => {
                self.attempts.begin(b"", mechanism.name(), now.instant);
                self.pose(tag, exchange, challenge.as_bytes());
                None
            }
        }
    }

    /// The client's next word in a SASL exchange.
    pub(super) fn handle_response(
        &mut self,
        tag: Tag,
        exchange: Exchange,
        response: Secret,
        now: Now,
    ) -> Option<Step> {
        let mechanism = exchange.mechanism();
        if let Some(why) = self.given_up.take() {
            self.attempts.fail(why);
            self.phase = Phase::Refusing(tag, why, now.instant);
            return None;
        }
        match exchange.handle(response, self.ground()) {
            Next::Challenge(exchange, challenge) => {
                self.attempts.begin(b"", mechanism, now.instant);
                self.pose(tag, exchange, challenge.as_bytes());
                None
            }
            Next::Ask(exchange, proof) => self.ask(tag, exchange, proof, now),
            Next::Respond(exchange, response) => {
                self.phase = Phase::Asking(tag, exchange);
                Some(ask(Question::Respond(response)))
            }
            Next::Malformed => {
                // The monitor is not asked, but the answer takes as long as for any other failure.
                self.attempts.begin(b"", mechanism, now.instant);
                self.attempts.fail(Refusal::Mismatch);
                let time = now.instant.checked_add(self.settings.failure_delay);
                let time = time.unwrap_or(now.instant);
                self.phase = Phase::Refusing(tag, Refusal::Mismatch, time);
                None
            }
        }
    }

    pub(super) fn pose(&mut self, tag: Tag, exchange: Exchange, challenge: &[u8]) {
        let out = self.output.writer();
        self.connection.challenge(&tag, challenge, out);
        self.given_up = None;
        self.phase = Phase::Sasl(tag, exchange);
    }

    fn ask(&mut self, tag: Tag, exchange: Exchange, proof: Proof, now: Now) -> Option<Step> {
        let claimed = sasl::claimed(&proof);
        self.attempts
            .begin(&claimed, exchange.mechanism(), now.instant);
        self.phase = Phase::Asking(tag, exchange);
        Some(ask(Question::Login(Box::new(LoginRequest {
            protocol: Protocol::Imap,
            origin: self.attempts.origin(),
            proof,
        }))))
    }

    /// RFC 9051 11.1: a password must not go over a network in the clear.
    fn refuse_in_clear(&mut self, tag: &Tag, is_password: bool) -> Option<Step> {
        if self.settings.certificate_required {
            self.attempts.declined = Some(Declined::NoCertificate);
        } else if is_password {
            self.attempts.declined = Some(Declined::TooOpen);
        } else {
            self.attempts.declined.get_or_insert(Declined::Mechanism);
        }
        let code = Some(Code::PrivacyRequired);
        let out = self.output.writer();
        response::tagged(out, tag, Status::No, code, "Use TLS first.");
        None
    }

    /// XOAUTH2 is what most clients ask for in vain; they do not look at what is offered.
    fn refuse_mechanism(&mut self, tag: &Tag, name: &str) -> Option<Step> {
        self.attempts.declined.get_or_insert(Declined::Mechanism);
        let offered = self.settings.mechanisms.offered(self.ground());
        let offered = match offered.is_empty() {
            true => "nothing is".to_owned(),
            false => offered.join(" "),
        };
        let name: String = name.chars().take(MAX_MECHANISM).collect();
        let text = format!("{name} is not offered here; offered: {offered}.");
        let out = self.output.writer();
        response::tagged(out, tag, Status::No, Some(Code::Cannot), &text);
        None
    }
}

/// How much of the name of a mechanism is repeated.
const MAX_MECHANISM: usize = 40;
