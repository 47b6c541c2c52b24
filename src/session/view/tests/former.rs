//! The cursor as it was: a list of each message that the client has not heard of, made as it is
//! changed.  The cursor that is a few numbers has to tell the same.

use super::super::{Manner, Tell};
use crate::imap::fetch::FetchLine;
use crate::imap::response::{self, Code, Status};
use crate::mail::{Ranges, Uid};
use crate::maildir::folder::Folder;
use crate::maildir::folder::state::messages::Message;
use crate::net::Buffer;
use crate::session::view::write_flags_of_mailbox;
use crate::store::cursor::{Removed, Walk, next_message};
use crate::store::flags::KeywordNames;

#[derive(Clone, Debug)]
pub struct Former {
    pub read_only: bool,
    told: u32,
    hidden: Vec<u32>,
    gone: Vec<u32>,
    /// UIDs whose flags another changed since the client heard of them; unsorted, perhaps twice.
    changed: Vec<u32>,
    /// UIDs that are \Recent for this client.
    recent: Ranges,
    /// The names of keywords that the client has heard of: [`Folder::keyword_changes`].
    keywords_told: u64,
    /// The greatest modseq told since [`Former::take_held_back`].
    modseq_told: u64,
    exists_due: bool,
    recent_due: bool,
    /// There are new messages, and the client was not told the modseq that it knows everything up to.
    modseq_due: bool,
}

impl Former {
    /// The cursor of a client that is told now that all messages in `folder` exist.
    pub fn new(folder: &Folder, read_only: bool, recent: Ranges) -> Former {
        let messages = folder.messages();
        Former {
            read_only,
            told: messages.last().map_or(0, uid_of),
            hidden: gone_among(messages),
            gone: Vec::new(),
            changed: Vec::new(),
            recent,
            keywords_told: folder.keyword_changes(),
            modseq_told: 0,
            exists_due: false,
            recent_due: false,
            modseq_due: false,
        }
    }

    /// How many messages the client thinks there are.
    pub fn exists(&self, messages: &[Message]) -> u32 {
        let rows = self.told_of(messages).len();
        narrow(rows.saturating_sub(self.hidden.len()))
    }

    /// The largest UID the client has been told of; 0 in an empty mailbox.
    pub fn last_uid(&self, messages: &[Message]) -> u32 {
        let counted = self.told_of(messages).iter();
        let last = counted.map(uid_of).rfind(|&uid| !self.is_hidden(uid));
        last.unwrap_or(0)
    }

    pub fn is_recent(&self, uid: Uid) -> bool {
        self.recent.contains(uid.0)
    }

    /// The sequence number of the message in row `index`, which the client counts.
    pub fn number(&self, messages: &[Message], index: usize) -> u32 {
        let uid = messages.get(index).map_or(0, uid_of);
        let hidden = self.hidden.partition_point(|&hidden| hidden < uid);
        narrow(index.saturating_sub(hidden).saturating_add(1))
    }

    /// The next message of a walk over `uids` that the client counts, tombstones it has not been told
    /// of included.
    pub fn next<'m>(
        &self,
        messages: &'m [Message],
        uids: &Ranges,
        walk: &mut Walk,
    ) -> Option<(u32, &'m Message)> {
        let messages = self.told_of(messages);
        loop {
            let (index, message) = next_message(messages, uids, walk)?;
            if !self.is_hidden(uid_of(message)) {
                let number = self.number(messages, index);
                return Some((number, message));
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

    pub fn note_modseq(&mut self, modseq: u64) {
        self.modseq_told = self.modseq_told.max(modseq);
    }

    /// The greatest modseq below those of the removals that could not be told yet, if there are any.
    pub fn below_gone(&self, messages: &[Message]) -> Option<u64> {
        let gone = self.gone.iter().filter_map(|&uid| {
            let message = messages.get(row_at(messages, uid))?;
            (uid_of(message) == uid).then(|| message.modseq())
        });
        gone.min().map(|modseq| modseq.saturating_sub(1))
    }

    /// As above, if the client was told a greater modseq since this was last asked.
    pub fn take_held_back(&mut self, messages: &[Message]) -> Option<u64> {
        let told = std::mem::take(&mut self.modseq_told);
        self.below_gone(messages).filter(|&below| told > below)
    }

    /// Whether tombstones are still needed.
    pub fn counts_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    /// All tombstones have been taken out of the table.
    pub fn note_buried(&mut self) {
        self.hidden = Vec::new();
    }

    /// Takes the next removals, some 1000 at most, that the client now hears of.
    pub fn take_removed(&mut self, messages: &[Message]) -> Option<Removed> {
        if self.gone.is_empty() {
            return None;
        }
        let count = self.gone.len().min(REMOVED_MAX);
        let gone: Vec<u32> = self.gone.drain(..count).collect();
        let mut removed = Removed::default();
        // Each one takes one off the numbers after it.
        for (told, &uid) in gone.iter().enumerate() {
            let number = self.number(messages, row_at(messages, uid));
            removed.numbers.push(number.saturating_sub(narrow(told)));
            removed.uids.push(uid);
        }
        // RFC 3501 7.3.2: RECENT is told when it changes.
        self.recent_due |= gone.iter().any(|&uid| self.recent.contains(uid));
        self.hidden = merged(&self.hidden, &gone);
        Some(removed)
    }

    /// How many messages there are, if the client now hears of new ones.
    pub fn take_arrived(&mut self, messages: &[Message]) -> Option<u32> {
        let arrived = messages.get(self.told_of(messages).len()..);
        if let Some(arrived @ [.., last]) = arrived {
            self.exists_due = true;
            self.hidden.extend(gone_among(arrived));
            self.told = uid_of(last);
        }
        if !std::mem::take(&mut self.exists_due) {
            return None;
        }
        self.recent_due = true;
        self.modseq_due = true;
        Some(self.exists(messages))
    }

    /// How many messages are \Recent for the client, if that changed.
    pub fn take_recent(&mut self, messages: &[Message]) -> Option<u32> {
        std::mem::take(&mut self.recent_due).then(|| self.recent_count(messages))
    }

    /// Whether the client has new messages, and may now hear up to which modseq it knows everything: not before it
    /// has heard of all that happened up to there. An expunge that may not be told yet must not be passed over
    /// (RFC 7162 3.2).
    pub fn take_modseq_due(&mut self) -> bool {
        self.gone.is_empty() && std::mem::take(&mut self.modseq_due)
    }

    /// Whether there are keywords that the client has not heard of; it hears of them now.
    pub fn take_keywords_due(&mut self, folder: &Folder) -> bool {
        let changes = folder.keyword_changes();
        std::mem::replace(&mut self.keywords_told, changes) != changes
    }

    /// Begins a walk over the messages whose flags the client has not heard of; false: there are none.
    pub fn begin_changed(&mut self) -> bool {
        // Descending, so that what is told can be cut off the end.
        self.changed.sort_unstable_by(|a, b| b.cmp(a));
        self.changed.dedup();
        !self.changed.is_empty()
    }

    /// Takes the next of them, in the order of UIDs.
    pub fn take_changed<'m>(&mut self, messages: &'m [Message]) -> Option<(u32, &'m Message)> {
        while let Some(uid) = self.changed.pop() {
            let index = row_at(messages, uid);
            match messages.get(index) {
                Some(message) if uid_of(message) == uid && !message.is_gone() => {
                    let number = self.number(messages, index);
                    return Some((number, message));
                }
                _ => {}
            }
        }
        self.changed = Vec::new();
        None
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

    /// The rows at or below `told`.
    fn told_of<'m>(&self, messages: &'m [Message]) -> &'m [Message] {
        // It is nearly always all of them.
        if messages.last().is_none_or(|last| uid_of(last) <= self.told) {
            return messages;
        }
        let end = messages.partition_point(|message| uid_of(message) <= self.told);
        messages.get(..end).unwrap_or_default()
    }

    fn is_hidden(&self, uid: u32) -> bool {
        !self.hidden.is_empty() && self.hidden.binary_search(&uid).is_ok()
    }
}

fn gone_among(messages: &[Message]) -> Vec<u32> {
    let gone = messages.iter().filter(|message| message.is_gone());
    gone.map(uid_of).collect()
}

fn uid_of(message: &Message) -> u32 {
    message.uid().0
}

/// The row of the message with this UID, or where it would be.
fn row_at(messages: &[Message], uid: u32) -> usize {
    messages.partition_point(|message| uid_of(message) < uid)
}

/// Every message has a UID of its own: there are no more of them than fit.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Two ascending, disjoint lists as one.
fn merged(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    merged.extend_from_slice(a);
    merged.extend_from_slice(b);
    merged.sort_unstable();
    merged
}

/// How many removals are told before a look at the room left: some 16 KB of output.
const REMOVED_MAX: usize = 1000;

/// How many changes may wait twice.
const CHANGED_MANY: usize = 1024;

impl Former {
    pub fn tell(&mut self, folder: &Folder, tell: Tell, manner: Manner, out: &mut Buffer) -> bool {
        let messages = folder.messages();
        if tell == Tell::All {
            while self.counts_gone() {
                if out.is_full() {
                    return false;
                }
                if let Some(removed) = self.take_removed(messages) {
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
        if let Some(exists) = self.take_arrived(messages) {
            response::exists(out.writer(), exists);
        }
        if let Some(recent) = self.take_recent(messages)
            && !manner.rev2
        {
            response::recent(out.writer(), recent);
        }
        if self.take_keywords_due(folder) {
            write_flags_of_mailbox(folder, self.read_only, out.writer());
        }
        if self.begin_changed() {
            let names = KeywordNames::new(folder);
            loop {
                if out.is_full() {
                    return false;
                }
                let Some((number, message)) = self.take_changed(messages) else {
                    break;
                };
                let (uid, modseq, flags) = (message.uid(), message.modseq(), message.flags());
                let out = out.writer();
                let mut line = FetchLine::begin(out, number);
                if manner.qresync {
                    line.uid(out, uid);
                }
                let recent = self.is_recent(uid) && !manner.rev2;
                line.flags(out, flags, recent, |letter| names.get(letter));
                if manner.condstore {
                    line.modseq(out, modseq);
                    self.note_modseq(modseq);
                }
                line.end(out);
            }
        }
        if self.take_modseq_due() && manner.condstore {
            let code = Code::HighestModSeq(folder.highest_modseq());
            response::untagged(out.writer(), Status::Ok, Some(code), "Highest");
        }
        true
    }
}
