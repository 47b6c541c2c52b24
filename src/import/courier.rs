//! Courier's configuration: `imapd`, `imapd-ssl` and `authdaemonrc`, lines of a shell.
//!
//! Courier has one layout, one separator and one prefix: Maildir++, `.` and `INBOX.`.

use super::draft::ImportDraft;
use super::{Files, ImportError, Imported, Place, Unreadable};

/// From the files in this directory.
pub fn courier(directory: &str, files: &dyn Files) -> Result<Imported, ImportError> {
    let directory = directory.trim_end_matches('/');
    let imapd = format!("{directory}/imapd");
    let mut found = Found {
        settings: read(&imapd, files)?,
    };
    for more in ["imapd-ssl", "authdaemonrc"] {
        let path = format!("{directory}/{more}");
        if files.exists(&path) {
            found.settings.extend(read(&path, files)?);
        }
    }
    let mut draft = ImportDraft::new(&imapd);
    draft.set_from("mail.prefix", "INBOX.", "Courier's");
    mail(&found, &mut draft);
    listeners(&found, &mut draft);
    tls(&found, &mut draft);
    users(&found, &mut draft);
    features(&found, files, &mut draft);
    for setting in &found.settings {
        if !KNOWN.iter().any(|known| fits(known, &setting.name)) {
            draft.unknown(&setting.name, &setting.place);
        }
    }
    draft.finish("roost import-courier", directory)
}

struct Found {
    settings: Vec<Assignment>,
}

struct Assignment {
    name: String,
    value: String,
    place: Place,
}

impl Found {
    fn get(&self, name: &str) -> Option<&Assignment> {
        self.settings
            .iter()
            .rev()
            .find(|setting| setting.name == name)
    }

    /// One with a value.
    fn some(&self, name: &str) -> Option<&Assignment> {
        self.get(name).filter(|setting| !setting.value.is_empty())
    }

    fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|setting| {
            matches!(setting.value.as_str(), "1" | "YES" | "yes" | "Y" | "y")
        })
    }
}

fn mail(found: &Found, draft: &mut ImportDraft) {
    if let Some(path) = found.some("MAILDIRPATH") {
        let whole = match path.value.starts_with('/') {
            true => path.value.clone(),
            false => format!("~/{}", path.value.trim_start_matches("./")),
        };
        draft.set("mail.location", &format!("maildir:{whole}"), &path.place);
    }
    if let Some(trash) = found.some("IMAP_TRASHFOLDERNAME") {
        draft.set(
            &format!("mailbox.{}.special_use", trash.value),
            "Trash",
            &trash.place,
        );
    }
}

fn listeners(found: &Found, draft: &mut ImportDraft) {
    for (ours, start, address, port, usual) in [
        ("listen.imap", "IMAPDSTART", "ADDRESS", "PORT", "143"),
        (
            "listen.imaps",
            "IMAPDSSLSTART",
            "SSLADDRESS",
            "SSLPORT",
            "993",
        ),
    ] {
        let start = found.get(start);
        if let Some(start) =
            start.filter(|start| !start.value.to_ascii_uppercase().starts_with('Y'))
        {
            draft.set(ours, "", &start.place);
            continue;
        }
        let (address, port) = (found.some(address), found.some(port));
        let Some(place) = port.or(address).map(|setting| &setting.place) else {
            continue;
        };
        let everywhere = address.map_or("0", |address| address.value.as_str());
        let ports = port.map_or(usual, |port| port.value.as_str()).split(',');
        // `143`, or `127.0.0.1.143`.
        let endpoints = ports.map(|port| match port.trim().rsplit_once('.') {
            Some((address, port)) => endpoint(address, port),
            None => endpoint(everywhere, port.trim()),
        });
        let endpoints: Vec<String> = endpoints.collect();
        draft.set(ours, &endpoints.join(" "), place);
    }
}

fn endpoint(address: &str, port: &str) -> String {
    match address {
        "0" | "*" => format!("*:{port}"),
        address if address.contains(':') => format!("[{address}]:{port}"),
        address => format!("{address}:{port}"),
    }
}

fn tls(found: &Found, draft: &mut ImportDraft) {
    if let Some(certificate) = found.some("TLS_CERTFILE") {
        let key = found.some("TLS_PRIVATE_KEYFILE").unwrap_or(certificate);
        draft.set(
            "tls.certificate",
            &format!("\"{}\"", certificate.value),
            &certificate.place,
        );
        draft.set("tls.key", &format!("\"{}\"", key.value), &key.place);
    }
    let offered = found
        .get("IMAPDSTARTTLS")
        .is_none_or(|setting| setting.value.starts_with(['Y', 'y']));
    let is_required = found.is_on("IMAP_TLS_REQUIRED");
    if !is_required {
        let place = found
            .get("IMAP_TLS_REQUIRED")
            .map_or(Place::start(""), |setting| setting.place.clone());
        draft.set("tls.required", "no", &place);
        let text = "Courier takes passwords without TLS, so Roost does; without this line it does not, which is \
                    safer, and stops clients that are not set to TLS";
        draft.note("IMAP_TLS_REQUIRED", &place, text);
    }
    if !offered {
        draft.note(
            "IMAPDSTARTTLS",
            &Place::start(""),
            "Roost offers STARTTLS all the same",
        );
    }
    if let Some(protocol) = found
        .some("TLS_PROTOCOL")
        .filter(|setting| !setting.value.contains("TLS"))
    {
        draft.note(
            "TLS_PROTOCOL",
            &protocol.place,
            "Roost speaks TLS 1.2 and 1.3 only",
        );
    }
    let asked = found
        .some("TLS_VERIFYPEER")
        .filter(|setting| setting.value.ends_with("PEER"));
    if let Some((asked, authorities)) = asked.zip(found.some("TLS_TRUSTCERTS")) {
        draft.set("tls.client_ca", &authorities.value, &authorities.place);
        let word = match asked.value.as_str() {
            "REQUIREPEER" => "required",
            _ => "optional",
        };
        draft.set("tls.client_certificate", word, &asked.place);
    }
}

fn users(found: &Found, draft: &mut ImportDraft) {
    if let Some(modules) = found.some("authmodulelist") {
        for module in modules.value.split_whitespace() {
            // PAM knows the users of the host.
            if !["authpam", "authpwd", "authshadow", "authdaemon"].contains(&module) {
                let text = format!(
                    "Roost does not ask {module}: write a passwd-file of these users (authenumerate prints all but \
                     their passwords), and name it in auth.sources"
                );
                draft.lost("authmodulelist", &modules.place, text);
            }
        }
    }
    if let Some(domain) = found.some("DEFDOMAIN") {
        let text = format!(
            "users have to log in with their domain, as NAME{}",
            domain.value
        );
        draft.lost("DEFDOMAIN", &domain.place, text);
    }
    if let Some(options) = found
        .some("DEFAULTOPTIONS")
        .filter(|options| options.value.contains("disable"))
    {
        let text = "Roost knows no options of users: whoever has a password can log in";
        draft.note("DEFAULTOPTIONS", &options.place, text);
    }
    if let Some(most) = found.some("MAXPERIP") {
        let usual = draft.config.connections_per_user_and_address;
        if most.value.parse().is_ok_and(|most: usize| most > usual) {
            draft.set(
                "limits.connections_per_user_and_address",
                &most.value,
                &most.place,
            );
        }
    }
    if let Some(debug) = found.some("DEBUG_LOGIN").filter(|debug| debug.value != "0") {
        draft.set("log.level", "debug", &debug.place);
    }
}

fn features(found: &Found, files: &dyn Files, draft: &mut ImportDraft) {
    if let Some(trash) = found.some("IMAP_EMPTYTRASH") {
        let text = format!(
            "old messages are not removed ({}): let cron do it, for example with find /home/*/Maildir/.Trash/cur \
             -type f -ctime +7 -delete",
            trash.value
        );
        draft.lost("IMAP_EMPTYTRASH", &trash.place, text);
    }
    for (name, text) in [
        (
            "IMAP_MOVE_EXPUNGE_TO_TRASH",
            "what a client expunges is gone, and not moved to Trash",
        ),
        (
            "OUTBOX",
            "a message that a client saves in the Outbox is not sent: clients need an SMTP server",
        ),
        ("IMAP_PROXY", "no client is passed on to another server"),
    ] {
        let setting = found.some(name).filter(|setting| setting.value != "0");
        if let Some(setting) = setting {
            draft.lost(name, &setting.place, text);
        }
    }
    let shared = found
        .some("IMAP_SHAREDINDEXFILE")
        .filter(|index| files.exists(&index.value));
    if let Some(shared) = shared {
        let text = "mailboxes of others are not served, nor the rights that users gave each other";
        draft.lost("IMAP_SHAREDINDEXFILE", &shared.place, text);
    }
    if let Some(capability) = found.some("IMAP_CAPABILITY") {
        let words = capability.value.split_whitespace();
        for mechanism in words.filter_map(|word| word.strip_prefix("AUTH=")) {
            if !["PLAIN", "LOGIN"].contains(&mechanism) {
                let text = format!(
                    "{mechanism} is not offered; clients that use it have to be set to a password over TLS"
                );
                draft.lost("IMAP_CAPABILITY", &capability.place, text);
            }
        }
    }
}

/// Lines `NAME=VALUE` as a shell reads them; other lines, such as `##NAME: ..`, are comments.
fn read(path: &str, files: &dyn Files) -> Result<Vec<Assignment>, ImportError> {
    let text = files.read(path);
    let text = text.map_err(|error| ImportError::input(format!("{path}: {error}")))?;
    let mut settings = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let place = Place {
            file: path.into(),
            line: number,
        };
        if line.contains('\0') {
            return Err(Unreadable::at(&place, "this is no text").into());
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let assignment = line.strip_prefix("export ").unwrap_or(line).split_once('=');
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let Some((name, value)) = assignment.filter(|(name, _)| is_name(name)) else {
            return Err(Unreadable::at(&place, "this is no NAME=VALUE").into());
        };
        settings.push(Assignment {
            name: name.to_owned(),
            value: value_of(value),
            place,
        });
    }
    Ok(settings)
}

/// Without quotes and what follows the value.
fn value_of(text: &str) -> String {
    let mut value = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => value.extend(characters.next()),
            (None, c) if c.is_whitespace() || c == ';' => break,
            (_, c) => value.push(c),
        }
    }
    value
}

fn fits(known: &str, name: &str) -> bool {
    match known.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => known == name,
    }
}

/// Every setting of these files; `*` stands for the rest of a name.
const KNOWN: &[&str] = &[
    "ADDRESS",
    "PORT",
    "SSLADDRESS",
    "SSLPORT",
    "SSLPIDFILE",
    "SSLLOGGEROPTS",
    "PIDFILE",
    "MAXDAEMONS",
    "MAXPERIP",
    "TCPDOPTS",
    "LOGGEROPTS",
    "DEFDOMAIN",
    "MAILDIRPATH",
    "MAILDIR",
    "OUTBOX",
    "SENDMAIL",
    "HEADERFROM",
    "PRERUN",
    "AUTHMODULES*",
    "IMAPDSTART",
    "IMAPDSSLSTART",
    "IMAPDSTARTTLS",
    "IMAPDEBUGFILE",
    "IMAPACCESSFILE",
    "IMAPSSLACCESSFILE",
    "IMAP_*",
    "TLS_*",
    "COURIERTLS",
    "authmodulelist*",
    "daemons",
    "authdaemonvar",
    "DEBUG_LOGIN",
    "DEFAULTOPTIONS",
];

#[cfg(test)]
mod tests {
    use super::super::tests::{Texts, accepted};
    use super::*;
    use proptest::prelude::*;

    fn import(imapd: &str) -> Imported {
        courier("/c", &Texts::from([("/c/imapd", imapd)])).expect(imapd)
    }

    #[test]
    fn values_are_those_of_a_shell() {
        for (text, value) in [
            ("a", "a"),
            ("\"a b\" # c", "a b"),
            ("'a \\ \"b\"'", "a \\ \"b\""),
            ("a\\ b c", "a b"),
            ("\"a\"'b'c", "abc"),
            ("", ""),
        ] {
            assert_eq!(value_of(text), value, "{text}");
        }
    }

    #[test]
    fn addresses_and_ports_stay() {
        for (text, expected) in [
            ("ADDRESS=0\nPORT=143", "[\"*:143\"]"),
            ("ADDRESS=192.0.2.1\nPORT=1143", "[\"192.0.2.1:1143\"]"),
            ("PORT=143,127.0.0.1.1143", "[\"*:143\", \"127.0.0.1:1143\"]"),
            ("IMAPDSTART=NO", "[]"),
        ] {
            let text = import(text).text;
            let is_usual = expected == "[\"*:143\"]";
            assert_eq!(
                text.contains(&format!("imap = {expected}")),
                !is_usual,
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let read = |text| courier("/c", &Texts::from([("/c/imapd", text)]));
        let error = read("A=b\nif x; then").unwrap_err().to_string();
        assert_eq!(error, "/c/imapd:2: this is no NAME=VALUE");
        let error = courier("/none", &Texts::default()).unwrap_err().to_string();
        assert_eq!(error, "/none/imapd: no such file");
        assert!(import("NONSENSE=1").is_lossy);
    }

    proptest! {
        #[test]
        fn whatever_is_read_nothing_panics_and_the_check_accepts_it(
            lines in prop::collection::vec(("[A-Z_]{1,4}|PORT|ADDRESS|MAILDIRPATH|TLS_CERTFILE|MAXPERIP", "\\PC{0,9}"), 0..9),
        ) {
            let text: String = lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
            if let Ok(imported) = courier("/c", &Texts::from([("/c/imapd", text.as_str())])) {
                accepted(&imported);
            }
        }
    }
}
