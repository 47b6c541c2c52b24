//! Where a user's mail is: Dovecot's `mail_location`, with its variables (`template.rs`).
//!
//! `maildir:/var/mail/%d/%n:LAYOUT=fs:INDEX=/var/index/%u`.  Every part that Dovecot 2.3 has is
//! taken, or refused with a reason: a part that is passed over would show users another mailbox, or
//! give their messages other UIDs.  What 2.4 has settings for is a part here, so the fields of a
//! user in its user database are changes to the parts ([`MailPlace::Changed`]).

mod template;

use std::fmt;
use std::path::PathBuf;

use super::Config;
use super::value::{LAYOUT, word};
use crate::mail::Layout;
use template::{Template, Variable};

/// The places of one user's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub maildir: PathBuf,
    /// INBOX; None: the Maildir itself.
    pub inbox: Option<PathBuf>,
    /// Our indexes and caches; None: in the Maildir.
    pub index_dir: Option<PathBuf>,
    /// Dovecot's indexes; None: in the Maildir.
    pub dovecot_index_dir: Option<PathBuf>,
    /// `dovecot-uidlist` and what else must not be lost; None: in the Maildir.
    pub control_dir: Option<PathBuf>,
    pub layout: Layout,
    /// Whether the names of folders are UTF-8 on the disk, instead of modified UTF-7.
    pub utf8_names: bool,
}

/// What a user database says of the place of a user's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailPlace {
    /// This instead of `mail.location`.
    Template(String),
    /// `mail.location`, but with these settings of Dovecot 2.4.
    Changed(Vec<(&'static str, String)>),
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

impl MailPlace {
    /// From the fields of a user in a user database.
    pub fn of_fields<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Option<MailPlace> {
        if let Some(template) = field("mail") {
            return Some(MailPlace::Template(template.to_owned()));
        }
        let settings = MAIL_SETTINGS.iter();
        let settings = settings.filter_map(|name| Some((*name, field(name)?.to_owned())));
        let settings: Vec<_> = settings.collect();
        (!settings.is_empty()).then_some(MailPlace::Changed(settings))
    }
}

impl Location {
    /// A Maildir without anything elsewhere.
    pub fn at(maildir: PathBuf, layout: Layout) -> Location {
        Location {
            maildir,
            inbox: None,
            index_dir: None,
            dovecot_index_dir: None,
            control_dir: None,
            layout,
            utf8_names: false,
        }
    }

    /// Every directory in which the mail or what belongs to it is.
    pub fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        let beside = [
            &self.inbox,
            &self.index_dir,
            &self.dovecot_index_dir,
            &self.control_dir,
        ];
        std::iter::once(&self.maildir).chain(beside.into_iter().flatten())
    }
}

pub(super) fn locate(
    config: &Config,
    place: Option<&MailPlace>,
    user: &str,
    home: &str,
) -> Result<Location, LocationError> {
    let form = LocationError::Form;
    let mut parts = Parts::parse(match place {
        Some(MailPlace::Template(template)) => template,
        Some(MailPlace::Changed(_)) | None => &config.mail_location,
    })
    .map_err(form)?;
    if let Some(MailPlace::Changed(settings)) = place {
        for (name, value) in settings {
            parts.change(name, value).map_err(form)?;
        }
    }
    let fill = |template: &Template<'_>| template.fill(user, home).map(PathBuf::from);
    let layout = parts.layout.unwrap_or(config.layout);
    let maildir = fill(&parts.maildir)?;
    let inbox = match &parts.inbox {
        Inbox::Root => None,
        Inbox::Mailbox => match layout {
            Layout::MaildirPlusPlus => Some(maildir.join(".INBOX")),
            Layout::Fs => Some(maildir.join("INBOX")),
            Layout::Detect => return Err(form(INBOX_BY_LAYOUT)),
        },
        Inbox::Below(name) => Some(maildir.join(name)),
        Inbox::At(template) => Some(fill(template)?),
    };
    let dovecot_index_dir = match &parts.index {
        Some(Index::At(template)) => Some(fill(template)?),
        Some(Index::InMemory) | None => None,
    };
    let index_dir = match (&parts.index, &config.index_dir) {
        (Some(_), _) => dovecot_index_dir.clone(),
        (None, Some(index_dir)) => {
            // What `Config` holds is UTF-8, but its type does not say so.
            let template = index_dir.to_str().ok_or(form(NOT_UTF8))?;
            Some(fill(&Template::parse(template).map_err(form)?)?)
        }
        (None, None) => None,
    };
    Ok(Location {
        control_dir: parts.control.as_ref().map(fill).transpose()?,
        inbox: inbox.filter(|inbox| *inbox != maildir),
        maildir,
        index_dir,
        dovecot_index_dir,
        layout,
        utf8_names: parts.utf8_names,
    })
}

pub(super) fn default_home(config: &Config, user: &str) -> Result<Option<String>, LocationError> {
    if config.auth_default_home.is_empty() {
        return Ok(None);
    }
    let template = Template::parse(&config.auth_default_home).map_err(LocationError::Form)?;
    template.fill(user, "").map(Some)
}

/// The same for `auth.default_home`, which may be empty and cannot have the home directory in it.
pub(super) fn check_home(template: &str) -> Result<(), &'static str> {
    if template.is_empty() {
        return Ok(());
    }
    match Template::parse(template)?.has(Variable::Home) {
        true => Err("the path must begin with /, and have no %h in it"),
        false => Ok(()),
    }
}

/// Whether it is a template.
pub(super) fn check(template: &str) -> Result<(), &'static str> {
    Parts::parse(template).map(drop)
}

/// The same for `mail.index_dir`, which may be empty.
pub(super) fn check_index_dir(template: &str) -> Result<(), &'static str> {
    match template {
        "" => Ok(()),
        template => Template::parse(template).map(drop),
    }
}

/// The layout of users for whom nothing else is said.
pub(super) fn layout(config: &Config) -> Layout {
    let parts = Parts::parse(&config.mail_location).ok();
    let layout = parts.and_then(|parts| parts.layout);
    layout.unwrap_or(config.layout)
}

/// Whether `mail.location` has an INBOX= that needs to know the layout.
pub(super) fn inbox_is_by_layout(config: &Config) -> bool {
    let parts = Parts::parse(&config.mail_location);
    parts.is_ok_and(|parts| matches!(parts.inbox, Inbox::Mailbox))
}

/// Whether users without a domain have no mail.
pub(super) fn uses_domain(config: &Config) -> bool {
    let needs = |template: &Template<'_>| template.has(Variable::Domain);
    let location = Parts::parse(&config.mail_location);
    let in_location = location.is_ok_and(|parts| parts.templates().any(needs));
    let index_dir = config.index_dir.as_deref().and_then(|path| path.to_str());
    let others = [index_dir, Some(config.auth_default_home.as_str())];
    let mut others = others
        .into_iter()
        .flatten()
        .filter_map(|text| Template::parse(text).ok());
    in_location || others.any(|template| needs(&template))
}

/// A mail location that is understood.
struct Parts<'a> {
    maildir: Template<'a>,
    inbox: Inbox<'a>,
    index: Option<Index<'a>>,
    control: Option<Template<'a>>,
    layout: Option<Layout>,
    utf8_names: bool,
}

enum Inbox<'a> {
    /// The Maildir itself.
    Root,
    /// A mailbox like others, by its name.
    Mailbox,
    Below(&'a str),
    At(Template<'a>),
}

enum Index<'a> {
    At(Template<'a>),
    /// Dovecot keeps none.
    InMemory,
}

impl<'a> Parts<'a> {
    /// `[maildir:]PATH[:KEY=VALUE]..`
    fn parse(text: &'a str) -> Result<Parts<'a>, &'static str> {
        if text.contains("::") {
            return Err("a path with a colon in it cannot be written");
        }
        // `%{md5:user}` is one part.
        let mut within = false;
        let between = |c: char| {
            within = c == '{' || within && c != '}';
            c == ':' && !within
        };
        let mut parts = text.split(between).peekable();
        parts.next_if_eq(&"maildir");
        let first = parts.next().unwrap_or("");
        if DRIVERS.contains(&first) {
            return Err(ONLY_MAILDIR);
        }
        let mut parsed = Parts {
            maildir: Template::parse(first)?,
            inbox: Inbox::Root,
            index: None,
            control: None,
            layout: None,
            utf8_names: false,
        };
        for part in parts {
            match part.split_once('=') {
                // Dovecot takes a colon at the end.
                None if part.is_empty() => {}
                None if part == "UTF-8" => parsed.utf8_names = true,
                Some((key, value)) => parsed.take(key, value)?,
                None => return Err(refused(part)),
            }
        }
        Ok(parsed)
    }

    fn take(&mut self, key: &str, value: &'a str) -> Result<(), &'static str> {
        match key {
            "LAYOUT" => self.layout = Some(layout_named(value)?),
            "INBOX" => {
                self.inbox = match value {
                    "" => Inbox::Mailbox,
                    value => Inbox::At(Template::parse(value).map_err(|_| INBOX_FORM)?),
                };
            }
            "INDEX" => {
                self.index = Some(match value {
                    "MEMORY" => Index::InMemory,
                    value => Index::At(Template::parse(value)?),
                });
            }
            "CONTROL" => self.control = Some(Template::parse(value)?),
            // Where Dovecot has locks that only it takes, and its list of mailboxes and its cache,
            // of which it knows by itself when they are out of date.
            "VOLATILEDIR" | "LISTINDEX" | "INDEXCACHE" => {}
            other => return Err(refused(other)),
        }
        Ok(())
    }

    /// Changes the part that is this setting of Dovecot 2.4.
    fn change(&mut self, name: &str, value: &'a str) -> Result<(), &'static str> {
        match name {
            "mail_driver" if value != "maildir" => return Err(ONLY_MAILDIR),
            "mail_path" => self.maildir = Template::parse(value)?,
            "mail_inbox_path" => {
                self.inbox = match value {
                    "." => Inbox::Root,
                    "" => Inbox::Mailbox,
                    value if value.starts_with(['/', '~', '%']) => {
                        Inbox::At(Template::parse(value)?)
                    }
                    value if is_below(value) => Inbox::Below(value),
                    _ => return Err(INBOX_FORM),
                };
            }
            "mail_index_path" if value.is_empty() => self.index = None,
            "mail_index_path" => self.take("INDEX", value)?,
            "mail_control_path" if value.is_empty() => self.control = None,
            "mail_control_path" => self.take("CONTROL", value)?,
            "mailbox_list_layout" => self.layout = Some(layout_named(value)?),
            "mailbox_list_utf8" => self.utf8_names = value.eq_ignore_ascii_case("yes"),
            _ => {}
        }
        Ok(())
    }

    fn templates(&self) -> impl Iterator<Item = &Template<'a>> {
        let inbox = match &self.inbox {
            Inbox::At(template) => Some(template),
            Inbox::Root | Inbox::Mailbox | Inbox::Below(_) => None,
        };
        let index = match &self.index {
            Some(Index::At(template)) => Some(template),
            Some(Index::InMemory) | None => None,
        };
        let beside = [inbox, index, self.control.as_ref()];
        std::iter::once(&self.maildir).chain(beside.into_iter().flatten())
    }
}

fn layout_named(name: &str) -> Result<Layout, &'static str> {
    match name.to_ascii_lowercase().as_str() {
        "" => Ok(Layout::MaildirPlusPlus),
        "index" => Err(
            "LAYOUT=index is not served: the names of the folders are in Dovecot's index only; doveadm sync \
             copies them into a Maildir of another layout",
        ),
        name => word(name, LAYOUT).map_err(|_| "LAYOUT must be fs or maildir++"),
    }
}

/// Whether the path has nothing but names in it.
fn is_below(path: &str) -> bool {
    let mut names = path.split('/');
    names.all(|name| !matches!(name, "" | "." | "..") && !name.contains(['%', '\0']))
}

/// What an operator is told of a key that Dovecot takes there and Roost does not.
fn refused(key: &str) -> &'static str {
    match key {
        "ALT" => {
            "ALT= is not taken: it is a second place for messages in dbox, which Roost does not serve; a \
             Maildir has none"
        }
        "INDEXPVT" => {
            "INDEXPVT= is not taken: the flags that each user has of shared mail for itself are not served; \
             leave it out if no mail is shared"
        }
        "SUBSCRIPTIONS" => {
            "SUBSCRIPTIONS= is not taken: name the file \"subscriptions\", in Dovecot as well, or nothing \
             is subscribed"
        }
        "DIRNAME" | "FULLDIRNAME" | "MAILBOXDIR" => {
            "DIRNAME=, FULLDIRNAME= and MAILBOXDIR= are not taken: folders have to be where Dovecot has \
             them without these"
        }
        "BROKENCHAR" => {
            "BROKENCHAR= is not taken: folders whose names are not modified UTF-7 are shown by another name"
        }
        "ITERINDEX" => {
            "ITERINDEX is not taken: a Dovecot that lists mailboxes by its index alone does not see those \
             that others make; leave it out, in Dovecot as well"
        }
        "NO-NOSELECT" | "NO-FS-VALIDATION" => {
            "NO-NOSELECT and NO-FS-VALIDATION are not taken; leave them out"
        }
        _ => {
            "after the path only :LAYOUT=, :INBOX=, :INDEX=, :CONTROL=, :UTF-8, :VOLATILEDIR=, :LISTINDEX= \
             and :INDEXCACHE= may come"
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

/// The settings of Dovecot 2.4 that say where mail is.
pub const MAIL_SETTINGS: &[&str] = &[
    "mail_driver",
    "mail_path",
    "mail_inbox_path",
    "mail_index_path",
    "mail_control_path",
    "mailbox_list_layout",
    "mailbox_list_utf8",
];

const DRIVERS: &[&str] = &["mbox", "mdbox", "sdbox", "dbox", "imapc", "pop3c", "cydir"];

const ONLY_MAILDIR: &str =
    "only maildir: is served; doveadm sync copies mail of another format into a Maildir";

const INBOX_FORM: &str =
    "INBOX= must be a path that begins with /, ~/ or %h, or nothing for a mailbox like the others";

const INBOX_BY_LAYOUT: &str =
    "an INBOX= with nothing behind it needs a layout: set mail.layout to maildir++ or fs";

const NOT_UTF8: &str = "mail.index_dir must be UTF-8";

#[cfg(test)]
mod tests;
