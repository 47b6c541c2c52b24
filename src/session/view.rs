//! What one client has been told of the mailbox it has selected.
//!
//! All clients of a user share one table of messages, sorted by UID, in which an expunged message
//! stays as a tombstone.  A client's sequence numbers (RFC 3501 2.3.1.2) are ranks in that table:
//! a view says which rows count.  Rows above `told` do not yet (no EXISTS said so), rows in
//! `hidden` do not any more (an EXPUNGE said so, or they were tombstones when the view began).
//! Rows in `gone` are tombstones that still count, because no EXPUNGE could be sent yet.
//!
//! Invariants: `hidden` and `gone` are ascending and disjoint, hold UIDs of tombstones at or below
//! `told` only, and together hold all of those.

use std::ops::Range;

use super::flags::KeywordNames;
use crate::imap::fetch::FetchLine;
use crate::imap::response;
use crate::imap::sequence::{Ranges, Uid};
use crate::maildir::folder::Folder;
use crate::maildir::messages::Message;
use crate::net::Buffer;

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

#[derive(Debug)]
pub struct View {
    pub read_only: bool,
    told: u32,
    hidden: Vec<u32>,
    gone: Vec<u32>,
    /// UIDs whose flags another changed since the client heard of them; unsorted, perhaps twice.
    changed: Vec<u32>,
    /// UIDs that are \Recent for this client.
    recent: Ranges,
    /// The client has heard of so many keywords.
    keywords_told: usize,
    exists_due: bool,
    recent_due: bool,
}

impl View {
    /// The view of a client that is told now that all messages in `folder` exist.
    pub fn new(folder: &Folder, read_only: bool, recent: Ranges) -> View {
        let messages = folder.messages();
        View {
            read_only,
            told: messages.last().map_or(0, |message| message.uid().0),
            hidden: gone_among(messages),
            gone: Vec::new(),
            changed: Vec::new(),
            recent,
            keywords_told: folder.keywords().count(),
            exists_due: false,
            recent_due: false,
        }
    }

    /// How many messages the client thinks there are.
    pub fn exists(&self, messages: &[Message]) -> u32 {
        let rows = self.rows(messages).len() - self.hidden.len().min(messages.len());
        u32::try_from(rows).unwrap_or(u32::MAX)
    }

    /// The largest UID the client has been told of; 0 in an empty mailbox.
    pub fn last_uid(&self, messages: &[Message]) -> u32 {
        let rows = self.rows(messages);
        let last = messages[rows]
            .iter()
            .rfind(|message| !self.is_hidden(message.uid().0));
        last.map_or(0, |message| message.uid().0)
    }

    pub fn is_recent(&self, uid: Uid) -> bool {
        self.recent.contains(uid.0)
    }

    /// The sequence number of the message in row `index`, which the client counts.
    pub fn number(&self, messages: &[Message], index: usize) -> u32 {
        let uid = messages.get(index).map_or(0, |message| message.uid().0);
        let before = self.hidden.partition_point(|&hidden| hidden < uid);
        u32::try_from(index + 1 - before.min(index)).unwrap_or(u32::MAX)
    }

    /// The row of the message with sequence number `number`.
    pub fn index_of_number(&self, messages: &[Message], number: u32) -> Option<usize> {
        let wanted = usize::try_from(number).ok()?.checked_sub(1)?;
        // The k-th hidden row comes before the wanted one if so few visible rows come before it.
        let row_of = |uid: u32| messages.partition_point(|message| message.uid().0 < uid);
        let (mut low, mut high) = (0, self.hidden.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if row_of(self.hidden[middle]) - middle <= wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let index = wanted + low;
        self.rows(messages).contains(&index).then_some(index)
    }

    /// The UIDs behind sequence numbers; `None` if one of them is past the end (RFC 3501 9,
    /// seq-number: the client must not do that).
    pub fn uids_of_numbers(&self, messages: &[Message], numbers: &Ranges) -> Option<Ranges> {
        let mut uids = Vec::new();
        for &(first, last) in numbers.ranges() {
            let first = self.index_of_number(messages, first)?;
            let last = self.index_of_number(messages, last)?;
            uids.push((messages[first].uid().0, messages[last].uid().0));
        }
        Some(Ranges::from_unsorted(uids))
    }

    /// The first message at or after `from` in `uids` that the client counts, tombstones it has not
    /// been told of included, as (row, sequence number).
    pub fn next(
        &self,
        messages: &[Message],
        uids: &Ranges,
        walk: &mut Walk,
    ) -> Option<(usize, u32)> {
        let rows = self.rows(messages).end;
        loop {
            let index = next_row(messages.get(..rows)?, uids, walk)?;
            if !self.is_hidden(messages[index].uid().0) {
                return Some((index, self.number(messages, index)));
            }
        }
    }

    /// Another client or program changed flags.
    pub fn note_flags(&mut self, uid: Uid) {
        if uid.0 > self.told {
            return;
        }
        self.changed.push(uid.0);
        // A client that is silent while flags flip for hours costs no more than its messages.
        if self.changed.len() >= CHANGED_MANY && self.changed.len() == self.changed.capacity() {
            self.changed.sort_unstable();
            self.changed.dedup();
        }
    }

    pub fn note_expunged(&mut self, uid: Uid) {
        if uid.0 > self.told {
            return;
        }
        if let Err(place) = self.gone.binary_search(&uid.0) {
            self.gone.insert(place, uid.0);
        }
    }

    /// The messages of the mailbox from `first` on are \Recent for this client.
    pub fn note_recent(&mut self, first: Uid, last: Uid) {
        if first <= last {
            self.recent.insert_range(first.0, last.0);
            self.recent_due = true;
        }
    }

    /// Whether tombstones are still needed.
    pub fn counts_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    /// All tombstones have been taken out of the table.
    pub fn note_buried(&mut self) {
        self.hidden = Vec::new();
    }

    /// Writes what may be told now, as far as there is room; true when all of it is written.
    pub fn tell(&mut self, folder: &Folder, tell: Tell, manner: Manner, out: &mut Buffer) -> bool {
        if tell == Tell::All {
            while !self.gone.is_empty() {
                if out.is_full() {
                    return false;
                }
                self.tell_expunged(folder.messages(), manner, out.writer());
            }
        }
        self.tell_arrived(folder.messages(), manner, out.writer());
        self.tell_keywords(folder, out.writer());
        self.tell_flags(folder, manner, out)
    }

    fn tell_expunged(&mut self, messages: &[Message], manner: Manner, out: &mut Vec<u8>) {
        let count = self.gone.len().min(EXPUNGE_CHUNK);
        let chunk: Vec<u32> = self.gone.drain(..count).collect();
        if manner.qresync {
            let mut uids = Ranges::new();
            chunk.iter().for_each(|&uid| uids.push(uid));
            response::vanished(out, false, &uids);
        } else {
            // Each EXPUNGE takes one off the numbers after it.
            for (told, &uid) in chunk.iter().enumerate() {
                let row = messages.partition_point(|message| message.uid().0 < uid);
                let number = self.number(messages, row);
                response::expunge(
                    out,
                    number - u32::try_from(told).unwrap_or(0).min(number - 1),
                );
            }
        }
        self.hidden = merged(&self.hidden, &chunk);
    }

    fn tell_arrived(&mut self, messages: &[Message], manner: Manner, out: &mut Vec<u8>) {
        let arrived = self.rows(messages).end..messages.len();
        if let Some(last) = messages[arrived.clone()].last() {
            let gone = gone_among(&messages[arrived]);
            self.exists_due = true;
            self.hidden.extend(gone);
            self.told = last.uid().0;
        }
        if std::mem::take(&mut self.exists_due) {
            response::exists(out, self.exists(messages));
            self.recent_due = true;
        }
        if std::mem::take(&mut self.recent_due) && !manner.rev2 {
            response::recent(out, self.recent_count(messages));
        }
    }

    /// How many messages the client counts are \Recent for it.
    pub fn recent_count(&self, messages: &[Message]) -> u32 {
        let mut walk = Walk::default();
        let mut count = 0;
        while self.next(messages, &self.recent, &mut walk).is_some() {
            count += 1;
        }
        count
    }

    /// FLAGS and PERMANENTFLAGS, if there are keywords that the client has not heard of.
    pub fn tell_keywords(&mut self, folder: &Folder, out: &mut Vec<u8>) {
        let count = folder.keywords().count();
        if count != self.keywords_told {
            self.keywords_told = count;
            write_flags_of_mailbox(folder, self.read_only, out);
        }
    }

    fn tell_flags(&mut self, folder: &Folder, manner: Manner, out: &mut Buffer) -> bool {
        if self.changed.is_empty() {
            return true;
        }
        // Descending, so that what is told can be cut off the end.
        self.changed.sort_unstable_by(|a, b| b.cmp(a));
        self.changed.dedup();
        let names = KeywordNames::new(folder);
        while let Some(&uid) = self.changed.last() {
            if out.is_full() {
                return false;
            }
            self.changed.pop();
            let Ok(index) = folder.index_of(Uid(uid)) else {
                continue;
            };
            let message = &folder.messages()[index];
            if message.is_gone() {
                continue;
            }
            let number = self.number(folder.messages(), index);
            self.write_flags(number, message, &names, manner, out.writer());
        }
        self.changed = Vec::new();
        true
    }

    /// `* n FETCH (FLAGS (..))` with what else the client wants to know with it.
    pub fn write_flags(
        &self,
        number: u32,
        message: &Message,
        names: &KeywordNames<'_>,
        manner: Manner,
        out: &mut Vec<u8>,
    ) {
        let mut line = FetchLine::begin(out, number);
        if manner.qresync {
            line.uid(out, message.uid());
        }
        let recent = self.is_recent(message.uid()) && !manner.rev2;
        line.flags(out, message.flags(), recent, |letter| names.get(letter));
        if manner.condstore {
            line.modseq(out, message.modseq());
        }
        line.end(out);
    }

    /// The rows at or below `told`.
    fn rows(&self, messages: &[Message]) -> Range<usize> {
        let all_told = messages
            .last()
            .is_none_or(|message| message.uid().0 <= self.told);
        let end = if all_told {
            messages.len()
        } else {
            messages.partition_point(|message| message.uid().0 <= self.told)
        };
        0..end
    }

    fn is_hidden(&self, uid: u32) -> bool {
        !self.hidden.is_empty() && self.hidden.binary_search(&uid).is_ok()
    }
}

/// A place in a walk over a set of UIDs; it stays right when messages come and go meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    range: usize,
    from: u32,
    /// A guess.
    row: usize,
}

/// The row of the first message at or after the walk's place in `uids`, tombstones included.
pub fn next_row(messages: &[Message], uids: &Ranges, walk: &mut Walk) -> Option<usize> {
    loop {
        let &(first, last) = uids.ranges().get(walk.range)?;
        let from = first.max(walk.from);
        if from > last {
            walk.range += 1;
            continue;
        }
        // The row after the one given last is nearly always the right one.
        let is_before = |row: usize| {
            messages
                .get(row)
                .is_some_and(|message| message.uid().0 < from)
        };
        let guessed = !is_before(walk.row) && walk.row.checked_sub(1).is_none_or(is_before);
        let row = if guessed && walk.row <= messages.len() {
            walk.row
        } else {
            messages.partition_point(|message| message.uid().0 < from)
        };
        let uid = messages.get(row)?.uid().0;
        if uid > last {
            walk.range += 1;
            continue;
        }
        walk.from = uid.checked_add(1)?;
        walk.row = row + 1;
        return Some(row);
    }
}

/// FLAGS and PERMANENTFLAGS.
pub fn write_flags_of_mailbox(folder: &Folder, read_only: bool, out: &mut Vec<u8>) {
    let names = || folder.keywords().map(|(_, keyword)| keyword.as_str());
    response::flags(out, names());
    let room_for_more = folder.keywords().count() < KEYWORDS_MAX;
    response::permanent_flags(out, (!read_only).then(names), room_for_more);
}

fn gone_among(messages: &[Message]) -> Vec<u32> {
    let gone = messages.iter().filter(|message| message.is_gone());
    gone.map(|message| message.uid().0).collect()
}

/// Two ascending, disjoint lists as one.
fn merged(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    merged.extend_from_slice(a);
    merged.extend_from_slice(b);
    merged.sort_unstable();
    merged
}

/// So many expunges are told before a look at the room left: some 16 KB of output.
const EXPUNGE_CHUNK: usize = 1000;

/// So many changes may wait twice.
const CHANGED_MANY: usize = 1024;

/// Letters a-z (`maildir-formats.md 4`).
const KEYWORDS_MAX: usize = 26;
