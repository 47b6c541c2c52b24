//! `roost auth-test USER`: a login with each of its steps told.

use std::fmt;
use std::path::Path;

use super::trace::{Trace, TraceKind};
use super::{Dialogue, files, judge, reach, source};
use crate::config::Config;
use crate::ipc::{Account, LoginRequest, Origin, Proof, Protocol, Refusal};
use crate::mail::Secret;
use crate::sys::users;

/// What came of a login, step by step.
pub struct Report {
    /// The user is let in and has mail that can be opened.
    pub admitted: bool,
    lines: Vec<(&'static str, String)>,
}

/// Logs in as a client would, from this host, and says what was found.  It has to run as root.
pub fn test(config: &Config, user: &str, password: Secret) -> Report {
    let mut report = Report {
        admitted: false,
        lines: Vec::new(),
    };
    for source in source::all(config) {
        report.line("source", source.describe());
        if let Some(text) = source.warning() {
            report.line("warning", text);
        }
    }
    let origin = Origin {
        remote: None,
        local: None,
        tls: false,
        session: String::new(),
    };
    let mut trace = Trace::new(user.as_bytes(), &origin);
    let request = LoginRequest {
        protocol: Protocol::Imap,
        origin,
        proof: Proof::Password {
            mechanism: "PLAIN",
            user: user.as_bytes().to_vec(),
            authorize: Vec::new(),
            password,
        },
    };
    let result = judge(config, &request, &mut Silence, &mut trace);
    for step in trace.steps() {
        let name = match step.kind {
            TraceKind::Problem => "problem",
            TraceKind::Failure | TraceKind::Notice | TraceKind::Detail => "step",
        };
        report.line(name, format!("{}: {}", step.source, step.text));
    }
    match result {
        Err(refusal) => report.line("result", format!("refused: {}", why(refusal))),
        Ok(admission) => {
            let account = &admission.account;
            let has_session = admission.pam.is_some() && config.auth_pam_session;
            match reach::problem(account) {
                None => {
                    report.admitted = true;
                    report.line("result", String::from("let in"));
                }
                // A module of the session may make what is missing.
                Some(problem) if has_session && problem.is_absence => {
                    report.admitted = true;
                    report.line("warning", problem.text);
                    report.line(
                        "result",
                        String::from("let in, if the PAM session makes the home directory"),
                    );
                }
                Some(problem) => {
                    report.line("problem", problem.text);
                    report.line(
                        "result",
                        String::from(
                            "let in, but the mail cannot be opened, so the login is of no use",
                        ),
                    );
                }
            }
            report.tell(account);
            if admission.pam.is_some() {
                let session = match config.auth_pam_session {
                    true => "a PAM session is opened, which may make the home directory",
                    false => "no PAM session is opened (auth.pam_session)",
                };
                report.line("pam", session.to_owned());
            }
        }
    }
    report
}

impl Report {
    fn line(&mut self, name: &'static str, text: String) {
        self.lines.push((name, text));
    }

    fn tell(&mut self, account: &Account) {
        self.line("user", account.user.clone());
        self.line("uid", account.uid.to_string());
        self.line("gid", account.gid.to_string());
        // The groups of a name are the user's only if the uid of the name is.
        let system = users::named(&account.user).ok().flatten();
        if system.is_some_and(|user| user.uid == account.uid) {
            let groups = users::groups_of(&account.user, account.gid);
            self.line(
                "groups",
                groups.map_or_else(|error| error.to_string(), |groups| groups.join(" ")),
            );
        }
        self.line("home", files::describe(Path::new(&account.home)));
        self.line("maildir", files::describe(&account.location.maildir));
        let location = &account.location;
        for (name, directory) in [
            ("inbox", &location.inbox),
            ("index_dir", &location.index_dir),
            ("control", &location.control_dir),
        ] {
            if let Some(directory) = directory {
                self.line(name, files::describe(directory));
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.lines.iter();
        lines.try_for_each(|(name, text)| writeln!(f, "{name:<9} {text}"))
    }
}

/// A password needs no exchange.
struct Silence;

impl Dialogue for Silence {
    fn challenge(&mut self, _challenge: Secret) -> Option<Secret> {
        None
    }
}

fn why(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Mismatch => "no such user, or another password",
        Refusal::Expired => "the password or the account has expired",
        Refusal::Disabled => "the account cannot be used now",
        Refusal::NotPermitted => "this user may not be served",
        Refusal::Unavailable => "whether the password is right cannot be found out now",
        Refusal::TooMany(_) => "there are too many connections",
        Refusal::NoMail => "the uid or the place of the mail is not known (see above)",
    }
}
