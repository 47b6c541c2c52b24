//! The first line of `dovecot-uidlist`.

use std::hash::{BuildHasher, RandomState};

/// What the first line says, of either version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UidlistHeader {
    pub layout: RecordForm,
    /// Both are above 0, or the line is lost.
    pub numbers: Option<Numbers>,
    /// 32 lower-case hexadecimal digits.
    pub guid: Option<String>,
    /// Fields of version 3 that we do not know, as they stand.
    pub others: Vec<u8>,
    /// Is everything as Dovecot wants it?
    pub sound: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub uid_validity: u32,
    pub next_uid: u32,
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordForm {
    /// Version 1: `<uid> <name>`
    Plain,
    /// Version 3: `<uid>[ <key><value>...] :<name>`
    Keyed,
}

/// A version that we cannot read, and must not write over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownVersion(pub u8);

impl UidlistHeader {
    pub fn parse(line: &[u8]) -> Result<UidlistHeader, UnknownVersion> {
        // A file that passed a Windows host is none the worse for it.
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.split_at_checked(2) {
            Some((b"1 ", rest)) => Ok(UidlistHeader::parse_plain(rest)),
            Some((b"3 ", rest)) => Ok(UidlistHeader::parse_keyed(rest)),
            Some(([version @ b'0'..=b'9', b' '], _)) => Err(UnknownVersion(version - b'0')),
            _ => Ok(UidlistHeader::lost(RecordForm::Keyed)),
        }
    }

    pub fn format(numbers: Numbers, guid: &str, others: &[u8]) -> Vec<u8> {
        let Numbers {
            uid_validity,
            next_uid,
        } = numbers;
        let mut line = format!("3 V{uid_validity} N{next_uid} G{guid}").into_bytes();
        if !others.is_empty() {
            line.push(b' ');
            line.extend_from_slice(others);
        }
        line.push(b'\n');
        line
    }

    fn lost(layout: RecordForm) -> UidlistHeader {
        UidlistHeader {
            layout,
            numbers: None,
            guid: None,
            others: Vec::new(),
            sound: false,
        }
    }

    /// `<uidvalidity> <nextuid>`
    fn parse_plain(line: &[u8]) -> UidlistHeader {
        let mut header = UidlistHeader::lost(RecordForm::Plain);
        let mut fields = fields(line);
        let numbers = (
            fields.next().and_then(number),
            fields.next().and_then(number),
        );
        header.set_numbers(numbers);
        header.sound = header.numbers.is_some();
        header
    }

    fn parse_keyed(line: &[u8]) -> UidlistHeader {
        let mut header = UidlistHeader::lost(RecordForm::Keyed);
        let (mut numbers, mut guids) = ((None, None), 0);
        for field in fields(line) {
            match field {
                [b'V', value @ ..] => numbers.0 = number(value),
                [b'N', value @ ..] => numbers.1 = number(value),
                [b'G', value @ ..] => {
                    guids += 1;
                    header.guid = guid(value);
                }
                other => {
                    if !header.others.is_empty() {
                        header.others.push(b' ');
                    }
                    header.others.extend_from_slice(other);
                }
            }
        }
        header.set_numbers(numbers);
        header.sound = header.numbers.is_some() && (guids == 0) == header.guid.is_none();
        header
    }

    fn set_numbers(&mut self, numbers: (Option<u32>, Option<u32>)) {
        if let (Some(uid_validity), Some(next_uid)) = numbers {
            self.numbers = Some(Numbers {
                uid_validity,
                next_uid,
            });
        }
    }
}

/// Checks a GUID, and lowers its case.
pub(super) fn guid(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let fits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| text.to_ascii_lowercase())
}

/// A GUID that no mailbox had before.  It need not be secret: the keys that std draws from the
/// system's random numbers for its hash tables are random enough.
pub(super) fn new_guid() -> String {
    let half = || RandomState::new().hash_one(());
    format!("{:016x}{:016x}", half(), half())
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b' ')
        .filter(|field| !field.is_empty())
}

/// A number above 0.
fn number(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| plain && number > 0)
}
