//! The commands before login (RFC 9051 6.1, 6.2.1).

use super::{ImapClient, Phase};
use crate::front::conversation::Step;
use crate::front::secrecy::Secrecy;
use crate::imap::command::{Command, Tag};
use crate::imap::connection::State;
use crate::imap::response::{self, Stage, Status};
use crate::net::Now;

impl ImapClient {
    /// RFC 9051 6.1 and 6.2; the connection lets no other command through.
    pub(super) fn handle_command(&mut self, tag: Tag, command: Command, now: Now) -> Option<Step> {
        match command {
            Command::Capability => {
                let capabilities = self.capabilities();
                response::capability(self.output.writer(), &capabilities);
                self.done(&tag, "Capability completed.")
            }
            Command::Noop => self.done(&tag, "NOOP completed."),
            Command::Id(_) => {
                response::id(self.output.writer(), &[("name", "Roost")]);
                self.done(&tag, "ID completed.")
            }
            Command::Logout => {
                response::bye(self.output.writer(), None, "Goodbye.");
                self.done(&tag, "Logged out.");
                self.connection.set_state(State::Logout);
                self.close("Logged out");
                None
            }
            Command::StartTls => self.start_tls(&tag),
            Command::Login { user, password } => self.login(tag, user, password, now),
            Command::Authenticate { mechanism, initial } => {
                self.authenticate(tag, &mechanism, initial, now)
            }
            _ => {
                let out = self.output.writer();
                response::tagged(out, &tag, Status::Bad, None, "Log in first.");
                None
            }
        }
    }

    fn done(&mut self, tag: &Tag, text: &str) -> Option<Step> {
        response::tagged(self.output.writer(), tag, Status::Ok, None, text);
        None
    }

    /// RFC 9051 6.2.1
    fn start_tls(&mut self, tag: &Tag) -> Option<Step> {
        let is_tls = self.attempts.secrecy.is_tls();
        let out = self.output.writer();
        if !self.settings.starttls || is_tls {
            let text = match is_tls {
                true => "TLS is in use already.",
                false => "TLS is not to be had here.",
            };
            response::tagged(out, tag, Status::Bad, None, text);
            return None;
        }
        response::tagged(out, tag, Status::Ok, None, "Begin TLS now.");
        self.connection.start_tls();
        self.unanswered = 0;
        self.attempts.secrecy = Secrecy::Handshaking;
        self.phase = Phase::Securing { greet: false };
        Some(Step::StartTls)
    }

    pub(super) fn capabilities(&self) -> String {
        let ground = self.ground();
        let stage = Stage::PreLogin {
            starttls: self.settings.starttls && !self.attempts.secrecy.is_tls(),
            login: ground.is_private && self.settings.mechanisms.has_passwords(),
            mechanisms: &self.settings.mechanisms.offered(ground),
        };
        response::capabilities(stage, Some(self.settings.append_limit))
    }
}
