//! Commands and their arguments.
//!
//! `parse_name` reads as far as the command's name and says where it is allowed, so that nothing
//! else is looked at before that is settled; `parse_arguments` reads the rest.

use super::fetch::Fetch;
use super::list::{List, Pattern};
use super::mailbox::{Dialect, MailboxArgument};
use super::search::Search;
pub use super::select::{Qresync, Select, SequenceMatch};
use super::sequence::Set;
pub use super::status::StatusItem;
pub use super::store::{How, Store};
use super::syntax::{Parsed, Reader, fail, is_astring_char};
use crate::mail::{Secret, SpecialUse};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    pub tag: Tag,
    /// The command's name in capitals, without UID.
    pub name: &'static str,
    pub command: Command,
}

/// `tag`: what the client wrote before the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(Vec<u8>);

/// Every command but APPEND, whose messages do not fit in a value: see `connection::Event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Capability,
    Noop,
    Logout,
    Id(IdFields),
    StartTls,
    /// `initial` is decoded; `=` is an empty one (RFC 4959).
    Authenticate {
        mechanism: String,
        initial: Option<Secret>,
    },
    Login {
        user: Vec<u8>,
        password: Secret,
    },
    /// The extensions that are known here.  Others are ignored (RFC 5161 3.1).
    Enable(Vec<Extension>),
    Select(Select),
    Create(Create),
    Delete(MailboxArgument),
    Rename {
        from: MailboxArgument,
        to: MailboxArgument,
    },
    Subscribe(MailboxArgument),
    Unsubscribe(MailboxArgument),
    List(List),
    Lsub(Pattern),
    Namespace,
    Status {
        mailbox: MailboxArgument,
        items: Vec<StatusItem>,
    },
    Idle,
    Check,
    Close,
    Unselect,
    /// With a set: UID EXPUNGE (RFC 4315).
    Expunge {
        uids: Option<Set>,
    },
    Search(Search),
    Fetch(Fetch),
    Store(Store),
    Copy(Copy),
    Move(Copy),
}

/// Names and values (RFC 2971 3.1).
pub type IdFields = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// The arguments of CREATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub mailbox: MailboxArgument,
    /// An unknown use is answered `NO [USEATTR]` (RFC 6154 3).
    pub special_use: Result<Vec<SpecialUse>, UnknownUse>,
}

/// The arguments of COPY and MOVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub uid: bool,
    pub set: Set,
    pub mailbox: MailboxArgument,
}

/// What ENABLE can switch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    CondStore,
    QResync,
    Imap4Rev2,
}

impl Extension {
    /// As ENABLED tells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Extension::CondStore => "CONDSTORE",
            Extension::QResync => "QRESYNC",
            Extension::Imap4Rev2 => "IMAP4rev2",
        }
    }
}

/// CREATE's USE names an attribute we do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownUse;

impl Tag {
    /// From the octets of a tag that another process has read.
    pub fn from_octets(octets: &[u8]) -> Option<Tag> {
        let mut reader = Reader::new(octets);
        let tag = reader.tag().ok()?;
        reader.is_at_end().then_some(tag)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A command's name and what is known of it before its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    row: &'static Row,
    uid: bool,
    pub allowed: Allowed,
}

impl Name {
    pub fn as_str(&self) -> &'static str {
        self.row.name
    }

    /// APPEND, whose arguments `append` reads.
    pub fn is_append(&self) -> bool {
        matches!(self.row.arguments, Arguments::Append)
    }
}

/// In which states a command may come (RFC 3501 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    Always,
    BeforeLogin,
    AfterLogin,
    Selected,
}

/// A command of the grammar.
#[derive(Debug)]
struct Row {
    name: &'static str,
    allowed: Allowed,
    /// Whether UID may precede the name, and whether it may be missing.
    takes_uid: bool,
    needs_uid: bool,
    arguments: Arguments,
}

#[derive(Clone, Copy, Debug)]
enum Arguments {
    None(fn() -> Command),
    /// What follows the space after the name; with UID or without.
    Read(Read),
    /// Read by `append`, between literals that are not held.
    Append,
}

type Read = fn(&mut Reader<'_>, bool, Dialect<'_>) -> Parsed<Command>;

static COMMANDS: [Row; 31] = {
    use Allowed::{AfterLogin, Always, BeforeLogin, Selected};
    [
        Row {
            name: "APPEND",
            allowed: AfterLogin,
            takes_uid: false,
            needs_uid: false,
            arguments: Arguments::Append,
        },
        reads("AUTHENTICATE", BeforeLogin, |r, _, _| r.authenticate()),
        bare("CAPABILITY", Always, || Command::Capability),
        bare("CHECK", Selected, || Command::Check),
        bare("CLOSE", Selected, || Command::Close),
        uid_too("COPY", |r, uid, names| {
            r.copy(uid, names).map(Command::Copy)
        }),
        reads("CREATE", AfterLogin, |r, _, names| {
            r.create(names).map(Command::Create)
        }),
        reads("DELETE", AfterLogin, |r, _, names| {
            r.mailbox(names).map(Command::Delete)
        }),
        reads("ENABLE", AfterLogin, |r, _, _| {
            r.enable().map(Command::Enable)
        }),
        reads("EXAMINE", AfterLogin, |r, _, names| {
            r.select_arguments(true, names).map(Command::Select)
        }),
        bare("EXPUNGE", Selected, || Command::Expunge { uids: None }),
        Row {
            needs_uid: true,
            ..uid_too("EXPUNGE", |r, _, _| {
                let uids = Some(r.set()?);
                Ok(Command::Expunge { uids })
            })
        },
        uid_too("FETCH", |r, uid, _| {
            r.fetch_arguments(uid).map(Command::Fetch)
        }),
        reads("ID", Always, |r, _, _| r.id_params_list().map(Command::Id)),
        bare("IDLE", AfterLogin, || Command::Idle),
        reads("LIST", AfterLogin, |r, _, names| {
            r.list_arguments(names).map(Command::List)
        }),
        reads("LOGIN", BeforeLogin, |r, _, _| r.login()),
        bare("LOGOUT", Always, || Command::Logout),
        reads("LSUB", AfterLogin, |r, _, names| r.lsub(names)),
        uid_too("MOVE", |r, uid, names| {
            r.copy(uid, names).map(Command::Move)
        }),
        bare("NAMESPACE", AfterLogin, || Command::Namespace),
        bare("NOOP", Always, || Command::Noop),
        reads("RENAME", AfterLogin, |r, _, names| r.rename(names)),
        uid_too("SEARCH", |r, uid, _| {
            r.search_arguments(uid).map(Command::Search)
        }),
        reads("SELECT", AfterLogin, |r, _, names| {
            r.select_arguments(false, names).map(Command::Select)
        }),
        bare("STARTTLS", BeforeLogin, || Command::StartTls),
        reads("STATUS", AfterLogin, |r, _, names| r.status(names)),
        uid_too("STORE", |r, uid, _| {
            r.store_arguments(uid).map(Command::Store)
        }),
        reads("SUBSCRIBE", AfterLogin, |r, _, names| {
            r.mailbox(names).map(Command::Subscribe)
        }),
        bare("UNSELECT", Selected, || Command::Unselect),
        reads("UNSUBSCRIBE", AfterLogin, |r, _, names| {
            r.mailbox(names).map(Command::Unsubscribe)
        }),
    ]
};

const fn bare(name: &'static str, allowed: Allowed, command: fn() -> Command) -> Row {
    Row {
        name,
        allowed,
        takes_uid: false,
        needs_uid: false,
        arguments: Arguments::None(command),
    }
}

const fn reads(name: &'static str, allowed: Allowed, read: Read) -> Row {
    Row {
        name,
        allowed,
        takes_uid: false,
        needs_uid: false,
        arguments: Arguments::Read(read),
    }
}

/// With sequence numbers, or with UIDs after UID.
const fn uid_too(name: &'static str, read: Read) -> Row {
    Row {
        name,
        allowed: Allowed::Selected,
        takes_uid: true,
        needs_uid: false,
        arguments: Arguments::Read(read),
    }
}

/// The tag if there is one, and the command's name.
pub fn parse_name(reader: &mut Reader<'_>) -> (Option<Tag>, Parsed<Name>) {
    let tag = match reader.tag() {
        Ok(tag) => tag,
        Err(error) => return (None, Err(error)),
    };
    let name = reader.command_name();
    (Some(tag), name)
}

/// Everything after the name, to the end of the command.
pub fn parse_arguments(
    name: Name,
    reader: &mut Reader<'_>,
    dialect: Dialect<'_>,
) -> Parsed<Command> {
    let command = reader.command(name, dialect)?;
    reader.end()?;
    Ok(command)
}

impl Reader<'_> {
    /// tag = 1*<any ASTRING-CHAR except "+">
    fn tag(&mut self) -> Parsed<Tag> {
        match self.take_while(|byte| is_astring_char(byte) && byte != b'+') {
            [] => fail("Missing tag"),
            tag if tag.len() > TAG_MAX => fail("Tag too long"),
            tag => Ok(Tag(tag.to_vec())),
        }
    }

    /// SP and the command's name, which may be two words
    fn command_name(&mut self) -> Parsed<Name> {
        self.space().or(fail("Missing command"))?;
        let mut word = self.word();
        let uid = word.as_str() == "UID";
        if uid {
            self.space()?;
            word = self.word();
        }
        let is_it = |row: &&Row| {
            let fits = if uid { row.takes_uid } else { !row.needs_uid };
            fits && row.name == word.as_str()
        };
        match COMMANDS.iter().find(is_it) {
            Some(row) => Ok(Name {
                row,
                uid,
                allowed: row.allowed,
            }),
            None => fail("Unknown command"),
        }
    }

    /// command-any / command-auth / command-nonauth / command-select
    fn command(&mut self, name: Name, dialect: Dialect<'_>) -> Parsed<Command> {
        match name.row.arguments {
            Arguments::None(command) => Ok(command()),
            Arguments::Read(read) => {
                self.space()?;
                read(self, name.uid, dialect)
            }
            Arguments::Append => fail("Unknown command"),
        }
    }

    /// authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp] (RFC 4959 7)
    fn authenticate(&mut self) -> Parsed<Command> {
        let mechanism = self.atom()?.to_ascii_uppercase();
        let initial = if self.is_at_end() {
            None
        } else {
            self.space()?;
            let coded = self.take_while(|byte| byte != b' ');
            let decoded = if coded == b"=" {
                Some(Vec::new())
            } else {
                decode_base64(coded)
            };
            match decoded {
                Some(decoded) => Some(Secret::new(decoded)),
                None => return fail("Invalid base64 in initial response"),
            }
        };
        Ok(Command::Authenticate {
            // An atom is ASCII.
            mechanism: String::from_utf8_lossy(&mechanism).into_owned(),
            initial,
        })
    }

    /// login = "LOGIN" SP userid SP password
    fn login(&mut self) -> Parsed<Command> {
        let user = self.astring()?.into_owned();
        self.space()?;
        let password = Secret::new(self.astring()?.into_owned());
        Ok(Command::Login { user, password })
    }

    /// id-params-list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil (RFC 2971 4)
    fn id_params_list(&mut self) -> Parsed<IdFields> {
        let mut fields = Vec::new();
        if self.peek() != Some(b'(') {
            return match self.word().as_str() {
                "NIL" => Ok(fields),
                _ => fail("Missing list or NIL"),
            };
        }
        self.list(|reader| {
            let name = reader.string()?.into_owned();
            reader.space()?;
            let value = reader.nstring()?;
            fields.push((name, value.map(|value| value.into_owned())));
            Ok(())
        })?;
        Ok(fields)
    }

    /// enable-data = 1*(SP capability) (RFC 5161 4)
    fn enable(&mut self) -> Parsed<Vec<Extension>> {
        let mut extensions = Vec::new();
        loop {
            let capability = self.atom()?;
            let known = [
                Extension::CondStore,
                Extension::QResync,
                Extension::Imap4Rev2,
            ];
            let is_named = |extension: &Extension| {
                extension
                    .as_str()
                    .as_bytes()
                    .eq_ignore_ascii_case(capability)
            };
            extensions.extend(known.into_iter().find(is_named));
            if self.is_at_end() {
                return Ok(extensions);
            }
            self.space()?;
        }
    }

    /// create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"] (RFC
    /// 6154 6)
    fn create(&mut self, dialect: Dialect<'_>) -> Parsed<Create> {
        let mailbox = self.mailbox(dialect)?;
        let mut special_use = Ok(Vec::new());
        if !self.is_at_end() {
            self.space()?;
            self.list(|reader| {
                if reader.word().as_str() != "USE" {
                    return fail("Unknown CREATE parameter");
                }
                reader.space()?;
                reader.list(|reader| reader.use_attr(&mut special_use))
            })?;
        }
        Ok(Create {
            mailbox,
            special_use,
        })
    }

    /// use-attr = "\All" / "\Archive" / .. / "\" atom
    fn use_attr(&mut self, uses: &mut Result<Vec<SpecialUse>, UnknownUse>) -> Parsed<()> {
        self.expect(b'\\', "Missing special-use attribute")?;
        let name = self.atom()?;
        let special = SpecialUse::parse(&format!("\\{}", String::from_utf8_lossy(name)));
        match (special, uses) {
            (Some(special), Ok(known)) if !known.contains(&special) => known.push(special),
            (None, uses) => *uses = Err(UnknownUse),
            _ => {}
        }
        Ok(())
    }

    /// rename = "RENAME" SP mailbox SP mailbox
    fn rename(&mut self, dialect: Dialect<'_>) -> Parsed<Command> {
        let from = self.mailbox(dialect)?;
        self.space()?;
        let to = self.mailbox(dialect)?;
        Ok(Command::Rename { from, to })
    }

    /// lsub = "LSUB" SP mailbox SP list-mailbox
    fn lsub(&mut self, dialect: Dialect<'_>) -> Parsed<Command> {
        let reference = self.astring()?;
        self.space()?;
        let pattern = self.list_mailbox()?;
        Ok(Command::Lsub(Pattern::new(&reference, &pattern, dialect)))
    }

    /// status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
    fn status(&mut self, dialect: Dialect<'_>) -> Parsed<Command> {
        let mailbox = self.mailbox(dialect)?;
        self.space()?;
        let items = self.status_atts()?;
        Ok(Command::Status { mailbox, items })
    }

    /// copy = "COPY" SP sequence-set SP mailbox
    fn copy(&mut self, uid: bool, dialect: Dialect<'_>) -> Parsed<Copy> {
        let set = self.set()?;
        self.space()?;
        Ok(Copy {
            uid,
            set,
            mailbox: self.mailbox(dialect)?,
        })
    }
}

/// base64 (RFC 4648 4), where padding may be missing.
pub fn decode_base64(coded: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(coded).ok()
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Octets; the tag is sent back.
const TAG_MAX: usize = 1000;

#[cfg(test)]
mod tests;
