//! How a client is told what changed in the mailbox it has selected.

use crate::imap::fetch::FetchLine;
use crate::imap::response::{self, Code, Status};
use crate::maildir::folder::Folder;
use crate::net::{Buffer, ConnectionId};
use crate::store::cursor::{Counted, Cursor};
use crate::store::flags::KeywordNames;
use crate::store::mailbox::Mailbox;

/// Which changes may be told (RFC 3501 7.4.1, RFC 9051 7.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Everything but EXPUNGE: a FETCH, STORE or SEARCH with sequence numbers is in progress.
    NoExpunge,
    All,
}

/// How this client wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// QRESYNC is enabled: VANISHED instead of EXPUNGE, UIDs in FETCH (RFC 7162 3.2.10).
    pub qresync: bool,
    /// CONDSTORE is enabled: MODSEQ in FETCH (RFC 7162 3.1).
    pub condstore: bool,
    /// IMAP4rev2 is enabled: no RECENT.
    pub rev2: bool,
}

/// Writes what the client of `connection` may be told now, as far as there is room; true when all
/// of it is written.
pub fn tell(
    mailbox: &mut Mailbox,
    connection: ConnectionId,
    tell: Tell,
    manner: Manner,
    out: &mut Buffer,
) -> bool {
    let Some((folder, cursor)) = mailbox.folder_and_cursor(connection) else {
        return true;
    };
    let complete = tell_news(folder, cursor, tell, manner, out);
    if complete {
        mailbox.bury();
    }
    complete
}

fn tell_news(
    folder: &Folder,
    cursor: &mut Cursor,
    tell: Tell,
    manner: Manner,
    out: &mut Buffer,
) -> bool {
    let messages = folder.messages();
    if tell == Tell::All {
        while cursor.needs_tombstones() {
            if out.is_full() {
                return false;
            }
            if let Some(removed) = cursor.take_removed(messages) {
                match manner.qresync {
                    true => response::vanished(out.writer(), false, &removed.uids),
                    false => removed
                        .numbers
                        .iter()
                        .for_each(|&number| response::expunge(out.writer(), number)),
                }
            }
        }
    }
    if let Some(exists) = cursor.take_arrived(messages) {
        response::exists(out.writer(), exists);
    }
    if let Some(recent) = cursor.take_recent(messages)
        && !manner.rev2
    {
        response::recent(out.writer(), recent);
    }
    tell_new_keywords(folder, cursor, out.writer());
    if !tell_flags(folder, cursor, manner, out) {
        return false;
    }
    // New messages came, whose own modseqs the client does not hear.
    if cursor.take_modseq_due() && manner.condstore {
        let code = Code::HighestModSeq(folder.highest_modseq());
        response::untagged(out.writer(), Status::Ok, Some(code), "Highest");
    }
    true
}

/// FLAGS and PERMANENTFLAGS, if there are keywords that the client has not heard of: a keyword is
/// named there before it is used.
pub fn tell_keywords(mailbox: &mut Mailbox, connection: ConnectionId, out: &mut Vec<u8>) {
    if let Some((folder, cursor)) = mailbox.folder_and_cursor(connection) {
        tell_new_keywords(folder, cursor, out);
    }
}

fn tell_new_keywords(folder: &Folder, cursor: &mut Cursor, out: &mut Vec<u8>) {
    if cursor.take_keywords_due(folder) {
        write_flags_of_mailbox(folder, cursor.read_only, out);
    }
}

fn tell_flags(folder: &Folder, cursor: &mut Cursor, manner: Manner, out: &mut Buffer) -> bool {
    if !cursor.begin_changed(folder.messages()) {
        return true;
    }
    let names = KeywordNames::new(folder);
    loop {
        if out.is_full() {
            return false;
        }
        let Some(counted) = cursor.take_changed(folder.messages()) else {
            return true;
        };
        write_flags(cursor, counted, &names, manner, out.writer());
        if manner.condstore {
            cursor.note_modseq(counted.message.modseq());
        }
    }
}

/// `* n FETCH (FLAGS (..))` with what else the client wants to know with it.
pub fn write_flags(
    cursor: &Cursor,
    counted: Counted<'_>,
    names: &KeywordNames<'_>,
    manner: Manner,
    out: &mut Vec<u8>,
) {
    let message = counted.message;
    let mut line = FetchLine::begin(out, counted.number);
    if manner.qresync {
        line.uid(out, message.uid());
    }
    let recent = cursor.is_recent(message.uid()) && !manner.rev2;
    line.flags(out, message.flags(), recent, |letter| names.get(letter));
    if manner.condstore {
        line.modseq(out, message.modseq());
    }
    line.end(out);
}

/// FLAGS and PERMANENTFLAGS.
pub fn write_flags_of_mailbox(folder: &Folder, read_only: bool, out: &mut Vec<u8>) {
    let names = || folder.keywords().map(|(_, keyword)| keyword.as_str());
    response::flags(out, names());
    let room_for_more = folder.has_room_for_keywords();
    response::permanent_flags(out, (!read_only).then(names), room_for_more);
}

#[cfg(test)]
mod tests;
