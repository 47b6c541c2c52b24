//! What `roost try` prints when it is ready: how to connect.

use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

/// All that a mail program has to know.
pub(super) struct Welcome<'a> {
    pub maildir: &'a Path,
    /// The Maildir was made on the spot.
    pub is_sample: bool,
    /// The user who runs this process.
    pub owner: &'a str,
    pub user: &'a str,
    pub password: Shown<'a>,
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    /// In DER.
    pub certificate: &'a [u8],
}

/// The password, or where it comes from.
pub(super) enum Shown<'a> {
    Made(&'a str),
    File(&'a PathBuf),
}

impl fmt::Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let maildir = self.maildir.display();
        match self.is_sample {
            true => writeln!(
                f,
                "There is no ~/Maildir, so Roost has made a small one with a few messages:\n{maildir}\n"
            )?,
            false => writeln!(f, "Serving {maildir} as {}.\n", self.owner)?,
        }
        let (plain, tls) = (self.plain, self.tls);
        writeln!(f, "  IMAP   {plain}  (STARTTLS possible)")?;
        writeln!(f, "  IMAPS  {tls}")?;
        writeln!(f, "  user name  {}", self.user)?;
        match self.password {
            Shown::Made(password) => writeln!(f, "  password   {password}")?,
            Shown::File(path) => writeln!(f, "  password   the first line of {}", path.display())?,
        }
        writeln!(
            f,
            "  certificate, made on the spot, SHA-256 {}",
            self.fingerprint()
        )?;

        writeln!(f, "\nThe newest message, with curl:\n")?;
        writeln!(
            f,
            "  curl -u {} 'imap://{plain}/INBOX;MAILINDEX=*'",
            self.curl_user()
        )?;

        writeln!(
            f,
            "\nThunderbird (Account Settings, Add Mail Account, Configure manually):\n"
        )?;
        writeln!(
            f,
            "  Protocol IMAP, hostname {}, user name {}",
            tls.ip(),
            self.user
        )?;
        writeln!(
            f,
            "  either port {}, connection security SSL/TLS, authentication Normal password",
            tls.port()
        )?;
        writeln!(
            f,
            "  or     port {}, connection security None, authentication Password, transmitted insecurely",
            plain.port()
        )?;
        writeln!(
            f,
            "  The outgoing server does not matter; Roost does not send mail."
        )?;
        writeln!(f, "\nCtrl-C ends it.")
    }
}

impl Welcome<'_> {
    /// The argument of curl's `-u`, for a shell.
    fn curl_user(&self) -> String {
        match self.password {
            Shown::Made(password) => quote(&format!("{}:{password}", self.user)),
            Shown::File(path) => format!(
                "{}:\"$(head -n 1 {})\"",
                quote(self.user),
                quote(&path.display().to_string())
            ),
        }
    }

    fn fingerprint(&self) -> String {
        let mut text = String::new();
        for (index, octet) in digest(&SHA256, self.certificate)
            .as_ref()
            .iter()
            .enumerate()
        {
            let separator = if index == 0 { "" } else { ":" };
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator}{octet:02X}");
        }
        text
    }
}

/// In single quotes if a shell would see more than a word in it.
fn quote(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(quote("alice:abc23"), "alice:abc23");
        assert_eq!(quote("it's me"), r"'it'\''s me'");
        assert_eq!(quote(""), "''");
    }
}
