//! The auth service of a running Dovecot as a source of logins: whatever passdbs and userdbs that
//! Dovecot has (SQL, LDAP, Lua, static, master users, ..) know Roost's users too.
//!
//! We do what Dovecot's own `imap-login` does.  `auth-login` is told the password and says whether
//! it is right.  `auth-master` then says who that is: uid, gid, home, mail.  It remembers the
//! request, so what the passdb itself says of the user (`userdb_*`, userdb prefetch) counts.
//! For a user whom a certificate has identified, `auth-userdb` is asked by name.
//!
//! | file | what |
//! |---|---|
//! | `connection` | a socket of that service: lines, versions, errors |

mod connection;

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Source;
use crate::auth::password::HashEffort;
use crate::auth::trace::Trace;
use crate::auth::{Denial, Identity};
use crate::config::{Config, MAIL_SETTINGS, MailPlace};
use crate::dovecot_auth::{AuthReply, write};
use crate::ipc::{LoginRequest, Protocol};
use crate::mail::Secret;
use crate::sys::process;
use connection::{AuthConnection, ConnectionError};

pub(super) struct DovecotAuth<'a> {
    pub config: &'a Config,
    pub base_dir: &'a Path,
}

impl Source for DovecotAuth<'_> {
    fn name(&self) -> &'static str {
        SOURCE
    }

    fn check(
        &self,
        user: &str,
        password: &Secret,
        request: &LoginRequest,
        effort: &mut HashEffort,
        trace: &mut Trace,
    ) -> Result<Identity, Denial> {
        // Dovecot sees to it that an unknown user costs the same.
        effort.compared = true;
        match self.log_in(("", user), password, request, trace) {
            Ok(identity) => identity,
            Err(error) => Err(unavailable(&error, trace)),
        }
    }

    fn check_master(
        &self,
        user: &str,
        master: &str,
        password: &Secret,
        request: &LoginRequest,
        effort: &mut HashEffort,
        trace: &mut Trace,
    ) -> Result<Identity, Denial> {
        effort.compared = true;
        match self.log_in((user, master), password, request, trace) {
            Ok(identity) => identity,
            Err(error) => Err(unavailable(&error, trace)),
        }
    }

    fn look_up(
        &self,
        user: &str,
        request: &LoginRequest,
        trace: &mut Trace,
    ) -> Result<Identity, Denial> {
        match self.ask_by_name(user, request.protocol) {
            Ok(reply) => identify(&reply, user, trace),
            Err(error) => Err(unavailable(&error, trace)),
        }
    }

    /// It is made anew when Dovecot is started again.
    fn file(&self) -> PathBuf {
        self.base_dir.join(LOGIN)
    }

    fn problems(&self) -> Vec<String> {
        let is_socket = |path: &Path| fs::metadata(path).map(|found| found.file_type().is_socket());
        let problem = |name: &&str| {
            let path = self.base_dir.join(name);
            let text = match is_socket(&path) {
                Ok(true) => return None,
                Ok(false) => String::from("no socket"),
                Err(error) => error.to_string(),
            };
            Some(format!(
                "{}: {text}: nobody can log in by this Dovecot until it runs with this base_dir",
                path.display()
            ))
        };
        [LOGIN, MASTER].iter().filter_map(problem).collect()
    }

    fn describe(&self) -> String {
        format!("dovecot, sockets in {}", self.base_dir.display())
    }
}

impl DovecotAuth<'_> {
    /// `authorize`: whom to be, or empty.
    fn log_in(
        &self,
        (authorize, user): (&str, &str),
        password: &Secret,
        request: &LoginRequest,
        trace: &mut Trace,
    ) -> Result<Result<Identity, Denial>, ConnectionError> {
        let mut login = self.connect(LOGIN)?;
        let number = client_number();
        login.say(&hello(Some(number)))?;
        let offer = login.offer()?;
        if !offer.mechanisms.iter().any(|name| name == "PLAIN") {
            trace.problem(SOURCE, "this Dovecot has no PLAIN in its auth_mechanisms");
            return Ok(Err(Denial::Unavailable));
        }
        login.say(&question((authorize, user), password, request))?;
        let reply = login.answer()?;
        match reply.word.as_str() {
            "OK" => {}
            "FAIL" => return Ok(Err(refusal(&reply, trace))),
            word => return Err(login.unexpected(word.as_bytes())),
        }
        if let Some(denial) = elsewhere(&reply, trace) {
            return Ok(Err(denial));
        }
        let user = reply.get("user").unwrap_or(user);
        if !request.protocol.has_session() {
            let identity = Identity::of_system(user.to_owned(), SOURCE);
            return Ok(Ok(identity));
        }
        // `login` stays open meanwhile: with it the request would be forgotten.
        let mut master = self.connect(MASTER)?;
        master.say(&hello(None))?;
        let cookie = &offer.cookie;
        master.say(format!("REQUEST\t1\t{number}\t1\t{cookie}\n").as_bytes())?;
        let reply = master.answer()?;
        Ok(identify(&reply, user, trace))
    }

    fn ask_by_name(&self, user: &str, protocol: Protocol) -> Result<AuthReply, ConnectionError> {
        let mut userdb = self.connect(USERDB)?;
        let mut question = hello(None);
        let fields = [("", user), ("service=", service(protocol))];
        write(&mut question, "USER", 1, &fields);
        userdb.say(&question)?;
        userdb.answer()
    }

    fn connect(&self, name: &str) -> Result<AuthConnection, ConnectionError> {
        // The monitor ends this process a little later.
        let patience = self.config.auth_timeout.mul_f32(0.75);
        let patience = patience.max(Duration::from_secs(1));
        AuthConnection::open(self.base_dir.join(name), patience)
    }
}

/// What is said first; with our number where logins are asked for.
fn hello(number: Option<u32>) -> Vec<u8> {
    let mut lines = b"VERSION\t1\t1\n".to_vec();
    if let Some(number) = number {
        lines.extend_from_slice(format!("CPID\t{number}\n").as_bytes());
    }
    lines
}

/// In the place of our process number, which may be that of a former connection that Dovecot has
/// not seen the end of, or of a process in another container.  Both would be refused.  Linux gives
/// no process a number so large.
fn client_number() -> u32 {
    let mut random = [0; 4];
    match rand::fill(&mut random) {
        Ok(()) => (1 << 30) | (u32::from_le_bytes(random) >> 2),
        Err(_) => process::id(),
    }
}

/// `AUTH 1 PLAIN ..`
fn question(
    (authorize, user): (&str, &str),
    password: &Secret,
    request: &LoginRequest,
) -> Zeroizing<Vec<u8>> {
    let origin = &request.origin;
    let mut fields = vec![
        ("", String::from("PLAIN")),
        ("service=", service(request.protocol).to_owned()),
    ];
    for (address, port, socket) in [
        ("rip=", "rport=", origin.remote),
        ("lip=", "lport=", origin.local),
    ] {
        if let Some(socket) = socket {
            fields.push((address, socket.ip().to_canonical().to_string()));
            fields.push((port, socket.port().to_string()));
        }
    }
    if !origin.session.is_empty() {
        fields.push(("session=", origin.session.clone()));
    }
    if origin.tls {
        fields.push(("secured", String::new()));
    }
    // Roost itself makes addresses wait that fail.
    fields.push(("no-penalty", String::new()));
    if !request.protocol.has_session() {
        fields.push(("nologin", String::new()));
    }
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(n, value)| (*n, value.as_str()))
        .collect();
    let mut plain = Zeroizing::new(authorize.as_bytes().to_vec());
    plain.push(0);
    plain.extend_from_slice(user.as_bytes());
    plain.push(0);
    plain.extend_from_slice(password.expose());
    let coded = Zeroizing::new(STANDARD.encode(&*plain));
    let mut line = Zeroizing::new(Vec::with_capacity(1024 + coded.len()));
    write(&mut line, "AUTH", 1, &fields);
    // The last one, as the protocol wants it.
    line.pop();
    line.extend_from_slice(b"\tresp=");
    line.extend_from_slice(coded.as_bytes());
    line.push(b'\n');
    line
}

/// Dovecot's `%s`.
fn service(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "imap",
        Protocol::Sasl => "smtp",
    }
}

/// `FAIL`
fn refusal(reply: &AuthReply, trace: &mut Trace) -> Denial {
    let says = |word: &str| reply.get(word).is_some() || reply.get("code") == Some(word);
    let because = reply
        .get("reason")
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    if says("temp") || says("temp_fail") {
        trace.problem(
            SOURCE,
            format!("Dovecot cannot find out now whether the password is right{because}; its log says why"),
        );
        return Denial::Unavailable;
    }
    let (text, denial) = if says("user_disabled") {
        ("User is disabled", Denial::Disabled)
    } else if says("pass_expired") {
        ("Password expired", Denial::Expired)
    } else {
        // Unknown users too.  fail2ban looks for these words.
        ("Invalid credentials", Denial::Mismatch)
    };
    trace.failure(SOURCE, format!("{text}{because}"));
    denial
}

/// A password that is right, and what Dovecot does with it instead of serving mail.
fn elsewhere(reply: &AuthReply, trace: &mut Trace) -> Option<Denial> {
    let host = reply.get("host").unwrap_or("another host");
    if reply.get("proxy").is_some() || reply.get("proxy_maybe").is_some() {
        let text =
            format!("Dovecot passes this user on to {host} (proxy), which Roost does not do");
        trace.problem(SOURCE, text);
        return Some(Denial::Unavailable);
    }
    if reply.get("nologin").is_some() {
        let because = match (reply.get("reason"), reply.get("host")) {
            (Some(reason), _) => format!(": {reason}"),
            (None, Some(host)) => format!(": the mail is on {host}"),
            (None, None) => String::new(),
        };
        trace.failure(
            SOURCE,
            format!("User not allowed to log in (nologin){because}"),
        );
        return Some(Denial::Disabled);
    }
    None
}

/// The answer to `REQUEST` and `USER`.
fn identify(reply: &AuthReply, user: &str, trace: &mut Trace) -> Result<Identity, Denial> {
    match reply.word.as_str() {
        "USER" => {}
        "NOTFOUND" => {
            trace.failure(SOURCE, "unknown user (Dovecot's userdb has none)");
            return Err(Denial::Unknown);
        }
        _ => {
            let reason = reply.get("reason").unwrap_or("its log says why");
            trace.problem(
                SOURCE,
                format!("Dovecot's userdb gives no answer ({reason})"),
            );
            return Err(Denial::Unavailable);
        }
    }
    if let Some(denial) = elsewhere(reply, trace) {
        return Err(denial);
    }
    if reply.get("chroot").is_some_and(|chroot| !chroot.is_empty()) {
        let text = "Dovecot serves this user from a chroot, which Roost does not do";
        trace.problem(SOURCE, text);
        return Err(Denial::Unavailable);
    }
    for name in reply
        .names()
        .skip(1)
        .filter(|name| !UNDERSTOOD.contains(name) && !MAIL_SETTINGS.contains(name))
    {
        trace.detail(SOURCE, format!("the field {name} means nothing here"));
    }
    let text = |name: &str| reply.get(name).map(str::to_owned);
    Ok(Identity {
        uid: text("uid"),
        gid: text("gid"),
        // Dovecot would make what stands before `/./` the root.
        home: reply.get("home").map(|home| home.replacen("/./", "/", 1)),
        mail: MailPlace::of_fields(|name| reply.get(name)),
        takes_defaults: true,
        ..Identity::of_system(reply.first().unwrap_or(user).to_owned(), SOURCE)
    })
}

fn unavailable(error: &ConnectionError, trace: &mut Trace) -> Denial {
    trace.problem(SOURCE, error.to_string());
    Denial::Unavailable
}

const SOURCE: &str = "dovecot";

/// Where logins are asked for, as by `imap-login`.
const LOGIN: &str = "auth-login";

/// Where the user of such a login is asked for, as by `imap`.
const MASTER: &str = "auth-master";

/// Where a user is asked for by name, as by `lmtp`.
const USERDB: &str = "auth-userdb";

const UNDERSTOOD: &[&str] = &[
    "uid",
    "gid",
    "home",
    "mail",
    "chroot",
    // What Dovecot says of the login.
    "auth_mech",
    "auth_token",
    "auth_user",
    "master_user",
];
