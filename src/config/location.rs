//! Where a user's mail is: templates with variables, as in Dovecot's `mail_location`.
//!
//! `maildir:/var/mail/%d/%n:LAYOUT=fs:INDEX=/var/index/%u`.  The user's name comes from the client.
//! It can only become part of one name in the directory that the template means: what is put in for
//! `%u`, `%n` and `%d` has no slash and no NUL in it, is not empty, and does not begin with a dot.
//! So it can be neither `..` nor a folder of another user's Maildir.

use std::fmt;
use std::path::PathBuf;

use super::Config;
use super::value::{LAYOUT, word};
use crate::mail::Layout;

/// A template with all variables filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub maildir: PathBuf,
    pub index_dir: Option<PathBuf>,
    pub layout: Layout,
}

/// Why a user has no location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationError {
    /// The template is wrong.
    Form(&'static str),
    /// The user's name cannot be the name of a directory.
    Name,
    /// The template has `%d` in it, and the user's name no `@`.
    NoDomain,
    /// The template has the home directory in it, and the user has none.
    NoHome,
}

pub(super) fn locate(
    config: &Config,
    template: &str,
    user: &str,
    home: &str,
) -> Result<Location, LocationError> {
    let template = parse(template).map_err(LocationError::Form)?;
    let user = User { name: user, home };
    let index_dir = match (template.index_dir, &config.index_dir) {
        (Some(pieces), _) => Some(user.fill(&pieces)?),
        (None, Some(index_dir)) => {
            // What `Config` holds is UTF-8, but its type does not say so.
            let template = index_dir.to_str().ok_or(LocationError::Form(NOT_UTF8))?;
            Some(user.fill(&path(template).map_err(LocationError::Form)?)?)
        }
        (None, None) => None,
    };
    Ok(Location {
        maildir: user.fill(&template.maildir)?,
        index_dir,
        layout: template.layout.unwrap_or(config.layout),
    })
}

pub(super) fn default_home(config: &Config, user: &str) -> Result<Option<String>, LocationError> {
    if config.auth_default_home.is_empty() {
        return Ok(None);
    }
    let pieces = path(&config.auth_default_home).map_err(LocationError::Form)?;
    let home = User {
        name: user,
        home: "",
    }
    .fill(&pieces)?;
    let home = home.into_os_string().into_string();
    home.map(Some).map_err(|_| LocationError::Form(NOT_UTF8))
}

/// The same for `auth.default_home`, which may be empty and cannot have the home directory in it.
pub(super) fn check_home(template: &str) -> Result<(), &'static str> {
    if template.is_empty() {
        return Ok(());
    }
    let is_home = |piece: &Piece<'_>| matches!(piece, Piece::Variable(Variable::Home, _));
    match path(template)?.iter().any(is_home) {
        true => Err("the path must begin with /, and have no %h in it"),
        false => Ok(()),
    }
}

/// Whether it is a template.
pub(super) fn check(template: &str) -> Result<(), &'static str> {
    parse(template).map(|_| ())
}

/// The same for `mail.index_dir`, which may be empty.
pub(super) fn check_index_dir(template: &str) -> Result<(), &'static str> {
    match template {
        "" => Ok(()),
        template => path(template).map(|_| ()),
    }
}

/// Whether users without a domain have no mail.
pub(super) fn uses_domain(config: &Config) -> bool {
    let location = parse(&config.mail_location);
    let location = location.map(|template| [Some(template.maildir), template.index_dir]);
    let index_dir = config.index_dir.as_deref().and_then(|path| path.to_str());
    let index_dir = index_dir.and_then(|template| path(template).ok());
    let home = path(&config.auth_default_home).ok();
    let paths = location.into_iter().flatten().chain([index_dir, home]);
    let paths = paths.flatten();
    let is_domain = |piece: &Piece<'_>| matches!(piece, Piece::Variable(Variable::Domain, _));
    { paths }.any(|path| path.iter().any(is_domain))
}

struct Template<'a> {
    maildir: Vec<Piece<'a>>,
    index_dir: Option<Vec<Piece<'a>>>,
    layout: Option<Layout>,
}

enum Piece<'a> {
    Text(&'a str),
    Variable(Variable, Case),
}

#[derive(Clone, Copy)]
enum Variable {
    /// `%u`
    User,
    /// `%n`: the part before the `@`.
    Name,
    /// `%d`: the part after the `@`.
    Domain,
    /// `%h`, `~`
    Home,
}

#[derive(Clone, Copy)]
enum Case {
    AsIs,
    Lower,
    Upper,
}

/// `[maildir:]PATH[:LAYOUT=fs][:INDEX=PATH]`
fn parse(template: &str) -> Result<Template<'_>, &'static str> {
    let mut parts = template.split(':').peekable();
    parts.next_if_eq(&"maildir");
    let first = parts.next().unwrap_or("");
    if ["mbox", "mdbox", "sdbox", "dbox", "imapc"].contains(&first) {
        return Err("only maildir: is served");
    }
    let mut parsed = Template {
        maildir: path(first)?,
        index_dir: None,
        layout: None,
    };
    for part in parts {
        match part.split_once('=') {
            Some(("LAYOUT", layout)) => {
                let layout = word(layout.to_ascii_lowercase().as_str(), LAYOUT);
                parsed.layout = Some(layout.map_err(|_| "LAYOUT must be fs or maildir++")?);
            }
            Some(("INDEX", index_dir)) => parsed.index_dir = Some(path(index_dir)?),
            other => return Err(of_no_use(other.map_or(part, |(key, _)| key))),
        }
    }
    Ok(parsed)
}

/// What an operator is told of a key that Dovecot takes there and Roost does not.
fn of_no_use(key: &str) -> &'static str {
    match key {
        "INBOX" => {
            "INBOX= is not taken: INBOX is the path itself, so let the path be that of the inbox, or move \
             the mail of the inbox to where the path says"
        }
        "CONTROL" => {
            "CONTROL= is not taken: dovecot-uidlist and its like are read and written in the Maildir; move \
             them there, or clients download everything again"
        }
        "UTF-8" => {
            "UTF-8 is not taken: names of folders are modified UTF-7 on disk, so folders with other letters \
             than ASCII have to be renamed"
        }
        "VOLATILEDIR" | "LISTINDEX" | "INDEXPVT" | "ALT" => {
            "VOLATILEDIR=, LISTINDEX=, INDEXPVT= and ALT= are not taken; leave them out"
        }
        "DIRNAME" | "SUBSCRIPTIONS" | "MAILBOXDIR" | "FULLDIRNAME" | "NOSELECTDIR"
        | "BROKENCHAR" | "ITERINDEX" | "NO-NOSELECT" => {
            "DIRNAME=, FULLDIRNAME=, MAILBOXDIR=, SUBSCRIPTIONS=, BROKENCHAR= and their like are not taken: \
             what they move has to be where Dovecot has it without them"
        }
        _ => "after the path only :LAYOUT= and :INDEX= may come",
    }
}

/// A path that begins at the root or at home.
fn path(template: &str) -> Result<Vec<Piece<'_>>, &'static str> {
    let mut pieces = Vec::new();
    let mut rest = template;
    if let Some(below) = rest.strip_prefix('~') {
        if !below.is_empty() && !below.starts_with('/') {
            return Err("~ must stand alone or before a slash");
        }
        pieces.push(Piece::Variable(Variable::Home, Case::AsIs));
        rest = below;
    } else if !rest.starts_with('/') && !rest.starts_with("%h") {
        return Err("the path must begin with /, ~/ or %h");
    }
    while let Some((text, after)) = rest.split_once('%') {
        pieces.push(Piece::Text(text));
        let (case, after) = match after.split_at_checked(1) {
            Some(("L", after)) => (Case::Lower, after),
            Some(("U", after)) => (Case::Upper, after),
            _ => (Case::AsIs, after),
        };
        let (letter, after) = after.split_at_checked(1).ok_or(NO_VARIABLE)?;
        pieces.push(match letter {
            "u" => Piece::Variable(Variable::User, case),
            "n" => Piece::Variable(Variable::Name, case),
            "d" => Piece::Variable(Variable::Domain, case),
            "h" if pieces.iter().any(|piece| !piece.is_empty()) => {
                return Err("the home directory must stand at the beginning");
            }
            "h" if matches!(case, Case::AsIs) => Piece::Variable(Variable::Home, case),
            "%" if matches!(case, Case::AsIs) => Piece::Text("%"),
            _ => return Err(NO_VARIABLE),
        });
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

impl Piece<'_> {
    fn is_empty(&self) -> bool {
        matches!(self, Piece::Text(""))
    }
}

struct User<'a> {
    name: &'a str,
    home: &'a str,
}

impl User<'_> {
    fn fill(&self, pieces: &[Piece<'_>]) -> Result<PathBuf, LocationError> {
        let mut path = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Variable(Variable::Home, _) => path.push_str(self.home()?),
                Piece::Variable(variable, Case::AsIs) => path.push_str(self.part(*variable)?),
                Piece::Variable(variable, Case::Lower) => {
                    path.push_str(&self.part(*variable)?.to_lowercase());
                }
                Piece::Variable(variable, Case::Upper) => {
                    path.push_str(&self.part(*variable)?.to_uppercase());
                }
            }
        }
        let bare = path.trim_end_matches('/');
        Ok(PathBuf::from(if bare.is_empty() { "/" } else { bare }))
    }

    fn home(&self) -> Result<&str, LocationError> {
        match self.home.starts_with('/') && !self.home.contains('\0') {
            true => Ok(self.home.trim_end_matches('/')),
            false => Err(LocationError::NoHome),
        }
    }

    fn part(&self, variable: Variable) -> Result<&str, LocationError> {
        let (name, domain) = match self.name.split_once('@') {
            Some((name, domain)) => (name, Some(domain)),
            None => (self.name, None),
        };
        let part = match variable {
            Variable::Name => name,
            Variable::Domain => domain.ok_or(LocationError::NoDomain)?,
            Variable::User | Variable::Home => self.name,
        };
        match part.is_empty() || part.starts_with('.') || part.contains(['/', '\0']) {
            true => Err(LocationError::Name),
            false => Ok(part),
        }
    }
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LocationError::Form(problem) => write!(f, "the mail location is wrong: {problem}"),
            LocationError::Name => write!(f, "the user name cannot be part of a mail location"),
            LocationError::NoDomain => write!(
                f,
                "the mail location has %d in it, and the user name no domain"
            ),
            LocationError::NoHome => write!(
                f,
                "the mail location is in the home directory, and the user has none"
            ),
        }
    }
}

impl std::error::Error for LocationError {}

const NO_VARIABLE: &str =
    "after % there must be u, n, d, h or another %, and before the letter perhaps L or U";

const NOT_UTF8: &str = "mail.index_dir must be UTF-8";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    fn at(template: &str, user: &str) -> Result<String, LocationError> {
        let location = Config::default().locate_by(template, user, "/home/bob/")?;
        Ok(location.maildir.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_key_of_dovecots_that_is_not_taken_is_named() {
        for key in ["INBOX", "CONTROL", "UTF-8", "DIRNAME", "VOLATILEDIR"] {
            for form in [
                format!(":{key}=~/x"),
                format!(":{key}"),
                format!(":LAYOUT=fs:{key}=x"),
            ] {
                let Err(text) = check(&format!("maildir:~/Maildir{form}")) else {
                    panic!("{form}");
                };
                assert!(text.contains(key), "{form}: {text}");
            }
        }
        assert!(check("~/Maildir:NONSENSE").is_err());
        assert_eq!(check("~/Maildir:LAYOUT=fs:INDEX=/var/index/%u"), Ok(()));
    }

    #[test]
    fn variables_are_filled_in() {
        for (template, path) in [
            ("~/Maildir", "/home/bob/Maildir"),
            ("~", "/home/bob"),
            ("maildir:~/Maildir/", "/home/bob/Maildir"),
            ("%h/mail", "/home/bob/mail"),
            ("/var/mail/%d/%n", "/var/mail/Example.ORG/Bob"),
            ("/var/mail/%Ld/%Un", "/var/mail/example.org/BOB"),
            ("/var/mail/%Lu", "/var/mail/bob@example.org"),
            ("/srv/100%%/%u/mail~", "/srv/100%/Bob@Example.ORG/mail~"),
        ] {
            assert_eq!(at(template, "Bob@Example.ORG").as_deref(), Ok(path));
        }
    }

    #[test]
    fn layout_and_index_follow_the_path() {
        let mut config = Config::default();
        config.set("mail.index_dir=/idx/%u").unwrap();
        let both = "maildir:/m/%u:LAYOUT=fs:INDEX=~/i";
        let location = config.locate_by(both, "bob", "/home/bob").unwrap();
        assert_eq!(location.layout, Layout::Fs);
        assert_eq!(location.index_dir.unwrap(), Path::new("/home/bob/i"));
        config.set("mail.location=/m/%u:INDEX=~/i").unwrap();
        let location = config.locate("bob", "/home/bob").unwrap();
        assert_eq!(location.layout, Layout::MaildirPlusPlus);
        let location = config.locate_by("/m/%u", "bob", "").unwrap();
        assert_eq!(location.index_dir.unwrap(), Path::new("/idx/bob"));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for template in [
            "",
            "Maildir",
            "mbox:~/mail",
            "~bob/Maildir",
            "/x/%",
            "/x/%L",
            "/x/%q",
            "/x/%{user}",
            "/x/%L%",
            "/x/%h",
            "%Lh/x",
            "/x:CONTROL=/y",
            "/x:INDEX=MEMORY",
            "/x:LAYOUT=index",
            "/x:y",
            "/x/\u{e4}%\u{e4}",
        ] {
            assert!(check(template).is_err(), "{template}");
        }
    }

    #[test]
    fn a_name_without_a_domain_or_a_home_is_told_apart() {
        assert_eq!(at("/m/%d/%n", "bob"), Err(LocationError::NoDomain));
        assert_eq!(at("/m/%d/%n", "bob@"), Err(LocationError::Name));
        assert_eq!(at("/m/%d/%n", "@x"), Err(LocationError::Name));
        let homeless = Config::default().locate("bob", "");
        assert_eq!(homeless, Err(LocationError::NoHome));
    }

    #[test]
    fn names_that_lead_elsewhere_have_no_mail() {
        for user in [
            "..", ".", ".bob", "../bob", "a/b", "a\0b", "", "a@..", "a@.b",
        ] {
            for template in ["/m/%u", "/m/%d/%n", "/m/%n/%d"] {
                let found = at(template, user);
                let expected = match (user, template) {
                    ("a@..", "/m/%u") => Ok("/m/a@..".to_owned()),
                    ("a@.b", "/m/%u") => Ok("/m/a@.b".to_owned()),
                    (user, "/m/%d/%n") if !user.contains('@') => Err(LocationError::NoDomain),
                    _ => Err(LocationError::Name),
                };
                assert_eq!(found, expected, "{user} {template}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_name_stays_in_its_directory(user in "[a./@\\x00%~:\u{e4}]{0,8}") {
            for template in ["/m/%u", "/m/%d/%n/x", "/m/%Ln.%Ud", "/m/x%u"] {
                let Ok(path) = at(template, &user) else { continue };
                let components: Vec<Component<'_>> = Path::new(&path).components().collect();
                let expected = template.matches('/').count() + 1;
                prop_assert_eq!(components.len(), expected);
                prop_assert!(!components.contains(&Component::ParentDir));
                prop_assert_eq!(components[1], Component::Normal("m".as_ref()));
            }
        }
    }
}
