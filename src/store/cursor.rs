//! What a listener has been told of a mailbox: a few numbers, from which it follows what it has not
//! heard yet.
//!
//! # Which messages there are
//!
//! All clients of a user share one table of messages, sorted by UID, in which an expunged message
//! stays as a tombstone.  A client's sequence numbers (RFC 3501 2.3.1.2) are ranks in that table:
//! a cursor says which rows count.  Rows above `told` do not yet (no EXISTS said so), and
//! tombstones do not, but for those in `gone`, of which no EXPUNGE could be sent yet.
//!
//! `hidden` are the tombstones that do not count.  That follows from the table, `told` and `gone`;
//! it is kept as an ascending list because every sequence number is reckoned with it.
//!
//! # Whose flags are news
//!
//! A message's modseq grows with every change of its flags, so a client that has heard of all
//! changes up to the modseq `heard` has to hear of messages with a greater one.  There are three
//! exceptions, and one shortcut:
//!
//! - What the client changed by a command of its own was told by that command: `own` are the
//!   modseqs of such changes.
//! - Some messages have to be told whatever their modseq says: `owed`.  The client changed one that
//!   another had changed before, or a walk over the news is not at its end.
//! - Messages above `told` are told as new ones, with no word of their flags.
//! - A look through the whole table takes time where it is large: `touched` is the least part of it
//!   in which all the news is.
//!
//! So a client that goes away for a while is known by `told`, `heard`, `recent`, and what there is
//! in `own`, `owed` and `gone`.  Where it has heard everything there is nothing in the last three.

use crate::mail::{Ranges, Uid};
use crate::maildir::folder::Folder;
use crate::maildir::folder::state::messages::Message;

#[derive(Debug)]
pub struct Cursor {
    /// The client may only read the mailbox: it is told of no permanent flags.
    pub read_only: bool,
    /// The greatest UID that the client was told of.
    told: u32,
    /// All changes of flags up to this modseq have been told.
    heard: u64,
    /// All changes up to this modseq have been noted here.
    noted: u64,
    /// The least and the greatest UID whose flags another changed since `heard`.
    touched: Option<(u32, u32)>,
    own: OwnModseqs,
    /// UIDs whose flags are to be told, perhaps with such between them as are of no live message.
    owed: Ranges,
    /// How far the walk over `owed` is.
    walk: Walk,
    gone: Ranges,
    /// The least modseq of the removals in `gone`.
    gone_since: u64,
    hidden: Vec<u32>,
    /// UIDs that are \Recent for this client.
    recent: Ranges,
    /// The names of keywords that the client has heard of: [`Folder::keyword_changes`].
    keywords_told: u64,
    /// The greatest modseq told since [`Cursor::take_held_back`].
    modseq_told: u64,
    exists_due: bool,
    recent_due: bool,
    /// There are new messages, and the client was not told the modseq that it knows everything up
    /// to.
    modseq_due: bool,
}

impl Cursor {
    /// The cursor of a client that is told now that all messages in `folder` exist.
    pub fn new(folder: &Folder, read_only: bool, recent: Ranges) -> Cursor {
        let messages = folder.messages();
        let highest = folder.highest_modseq();
        Cursor {
            read_only,
            told: messages.last().map_or(0, uid_of),
            heard: highest,
            noted: highest,
            touched: None,
            own: OwnModseqs::default(),
            owed: Ranges::new(),
            walk: Walk::default(),
            gone: Ranges::new(),
            gone_since: 0,
            hidden: gone_among(messages),
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

    /// The row of the message with sequence number `number`.
    pub fn index_of_number(&self, messages: &[Message], number: u32) -> Option<usize> {
        let wanted = usize::try_from(number).ok()?.checked_sub(1)?;
        // A hidden row is before the wanted one if no more rows that count are before it than
        // before that one.
        let (mut low, mut high) = (0, self.hidden.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let row = row_at(messages, *self.hidden.get(middle)?);
            if row.saturating_sub(middle) <= wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let index = wanted.checked_add(low)?;
        (index < self.told_of(messages).len()).then_some(index)
    }

    /// The UIDs behind sequence numbers; `None` if one of them is past the end (RFC 3501 9,
    /// seq-number: the client must not do that).
    pub fn uids_of_numbers(&self, messages: &[Message], numbers: &Ranges) -> Option<Ranges> {
        let mut uids = Vec::new();
        for &(first, last) in numbers.ranges() {
            let uid_of_number = |number| {
                let index = self.index_of_number(messages, number)?;
                messages.get(index).map(uid_of)
            };
            uids.push((uid_of_number(first)?, uid_of_number(last)?));
        }
        Some(Ranges::from_unsorted(uids))
    }

    /// The next message of a walk over `uids` that the client counts, tombstones it has not been
    /// told of included.
    pub fn next<'m>(
        &self,
        messages: &'m [Message],
        uids: &Ranges,
        walk: &mut Walk,
    ) -> Option<Counted<'m>> {
        let messages = self.told_of(messages);
        loop {
            let (index, message) = next_message(messages, uids, walk)?;
            if !self.is_hidden(uid_of(message)) {
                let number = self.number(messages, index);
                return Some(Counted {
                    index,
                    number,
                    message,
                });
            }
        }
    }

    /// Another client or program changed flags.
    pub fn note_flags(&mut self, uid: Uid) {
        if uid.0 > self.told {
            return;
        }
        let (first, last) = self.touched.unwrap_or((uid.0, uid.0));
        self.touched = Some((first.min(uid.0), last.max(uid.0)));
        self.own.close();
    }

    /// The client itself changed flags, by a command that tells it so.  The message had the modseq
    /// `before` until then.
    pub fn note_own(&mut self, uid: Uid, modseq: u64, before: u64) {
        if self.touched.is_none() {
            self.heard = self.heard.max(modseq);
            return;
        }
        if self.is_news(uid.0, before) {
            self.owe(uid);
        }
        self.own.push(modseq);
    }

    /// All changes up to this modseq have been noted.
    pub fn note_all(&mut self, modseq: u64) {
        self.noted = self.noted.max(modseq);
    }

    /// The client has to hear of this message's flags, whoever changed them.
    pub fn owe(&mut self, uid: Uid) {
        if uid.0 > self.told {
            return;
        }
        self.drop_walked();
        self.owed.insert_range(uid.0, uid.0);
    }

    pub fn note_expunged(&mut self, uid: Uid, modseq: u64) {
        if uid.0 > self.told {
            return;
        }
        if self.gone.is_empty() {
            self.gone_since = modseq;
        }
        self.gone_since = self.gone_since.min(modseq);
        self.gone.insert_range(uid.0, uid.0);
    }

    /// The messages of the mailbox from `first` on are \Recent for this client.
    pub fn note_recent(&mut self, first: Uid, last: Uid) {
        if first <= last {
            self.recent.insert_range(first.0, last.0);
            self.recent_due = true;
        }
    }

    /// The client was told of this modseq.
    pub fn note_modseq(&mut self, modseq: u64) {
        self.modseq_told = self.modseq_told.max(modseq);
    }

    /// A modseq below those of all removals that could not be told yet, if there are any.
    pub fn below_gone(&self) -> Option<u64> {
        (!self.gone.is_empty()).then(|| self.gone_since.saturating_sub(1))
    }

    /// The modseq below the removals that wait, if the client was told a greater one since this was
    /// last asked.
    pub fn take_held_back(&mut self) -> Option<u64> {
        let told = std::mem::take(&mut self.modseq_told);
        self.below_gone().filter(|&below| told > below)
    }

    /// Whether rows of expunged messages must stay in the table: the client still counts them.
    pub fn needs_tombstones(&self) -> bool {
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
        let uids = self.gone.take_first(REMOVED_MAX);
        // Each one takes one off the numbers after it.
        let numbers = (0..).zip(uids.iter()).map(|(told, uid)| {
            let number = self.number(messages, row_at(messages, uid));
            number.saturating_sub(told)
        });
        let numbers = numbers.collect();
        // RFC 3501 7.3.2: RECENT is told when it changes.
        self.recent_due |= !uids.intersect(&self.recent).is_empty();
        self.hidden.extend(uids.iter());
        self.hidden.sort_unstable();
        Some(Removed { uids, numbers })
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

    /// Whether the client has new messages, and may now hear up to which modseq it knows
    /// everything: not before it has heard of all that happened up to there. An expunge that may
    /// not be told yet must not be passed over (RFC 7162 3.2).
    pub fn take_modseq_due(&mut self) -> bool {
        self.gone.is_empty() && std::mem::take(&mut self.modseq_due)
    }

    /// Whether there are keywords that the client has not heard of; it hears of them now.
    pub fn take_keywords_due(&mut self, folder: &Folder) -> bool {
        let changes = folder.keyword_changes();
        std::mem::replace(&mut self.keywords_told, changes) != changes
    }

    /// Begins a walk over the messages whose flags the client has not heard of; false: there are
    /// none.
    pub fn begin_changed(&mut self, messages: &[Message]) -> bool {
        self.drop_walked();
        if let Some((first, last)) = self.touched {
            let news = self.news_between(messages, first, last);
            self.owed = match self.owed.is_empty() {
                true => news,
                false => Ranges::from_unsorted([self.owed.ranges(), news.ranges()].concat()),
            };
        }
        self.touched = None;
        self.own = OwnModseqs::default();
        self.heard = self.noted;
        !self.owed.is_empty()
    }

    /// Takes the next of them, in the order of UIDs.
    pub fn take_changed<'m>(&mut self, messages: &'m [Message]) -> Option<Counted<'m>> {
        while let Some((index, message)) = next_message(messages, &self.owed, &mut self.walk) {
            if !message.is_gone() {
                let number = self.number(messages, index);
                return Some(Counted {
                    index,
                    number,
                    message,
                });
            }
        }
        self.owed = Ranges::new();
        self.walk = Walk::default();
        None
    }

    /// The live messages between two UIDs whose flags another changed and the client has not heard
    /// of.
    fn news_between(&self, messages: &[Message], first: u32, last: u32) -> Ranges {
        let mut news: Vec<(u32, u32)> = Vec::new();
        let mut goes_on = false;
        let from = row_at(messages, first);
        for message in messages.get(from..).unwrap_or_default() {
            let uid = uid_of(message);
            if uid > last {
                break;
            }
            if message.is_gone() {
                continue;
            }
            let is_news = self.is_news(uid, message.modseq());
            match news.last_mut() {
                Some((_, end)) if is_news && goes_on => *end = uid,
                _ if is_news => news.push((uid, uid)),
                _ => {}
            }
            goes_on = is_news;
        }
        Ranges::from_unsorted(news)
    }

    /// Whether another changed the message since `heard`, if it has this modseq.
    fn is_news(&self, uid: u32, modseq: u64) -> bool {
        let is_touched = self
            .touched
            .is_some_and(|(first, last)| (first..=last).contains(&uid));
        is_touched && modseq > self.heard && !self.own.contains(modseq)
    }

    /// What the walk over `owed` has passed is told.
    fn drop_walked(&mut self) {
        let walk = std::mem::take(&mut self.walk);
        if let Some(passed) = walk.from.checked_sub(1) {
            self.owed = self.owed.difference(&Ranges::between(0, passed));
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

/// Removals that a client hears of.
#[derive(Clone, Debug, Default)]
pub struct Removed {
    pub uids: Ranges,
    /// The sequence number of each when those before it have been told.
    pub numbers: Vec<u32>,
}

/// Modseqs above `heard` of changes that the client made itself: ranges of them between which
/// another changed something.
#[derive(Debug, Default)]
struct OwnModseqs {
    ranges: Vec<(u64, u64)>,
    /// Another has changed something since the last one.
    is_closed: bool,
}

impl OwnModseqs {
    /// Adds one that is greater than all before.
    fn push(&mut self, modseq: u64) {
        match self.ranges.last_mut() {
            Some((_, last)) if !self.is_closed => *last = modseq,
            _ => self.ranges.push((modseq, modseq)),
        }
        self.is_closed = false;
    }

    fn close(&mut self) {
        self.is_closed = true;
    }

    fn contains(&self, modseq: u64) -> bool {
        let at = self.ranges.partition_point(|&(_, last)| last < modseq);
        self.ranges
            .get(at)
            .is_some_and(|&(first, _)| first <= modseq)
    }
}

/// A message as a client counts it.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'m> {
    /// Its row in the table.
    pub index: usize,
    /// Its sequence number.
    pub number: u32,
    pub message: &'m Message,
}

/// A place in a walk over a set of UIDs; it stays right when messages come and go meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    range: usize,
    from: u32,
    /// A guess.
    row: usize,
}

/// The next message of a walk over `uids`, tombstones included, with its row.
pub fn next_message<'m>(
    messages: &'m [Message],
    uids: &Ranges,
    walk: &mut Walk,
) -> Option<(usize, &'m Message)> {
    loop {
        let &(first, last) = uids.ranges().get(walk.range)?;
        let from = first.max(walk.from);
        if from > last {
            walk.range += 1;
            continue;
        }
        // The row after the one given last is nearly always the right one.
        let is_before = |row: usize| messages.get(row).is_some_and(|row| uid_of(row) < from);
        let guessed = !is_before(walk.row) && walk.row.checked_sub(1).is_none_or(is_before);
        let row = if guessed && walk.row <= messages.len() {
            walk.row
        } else {
            row_at(messages, from)
        };
        let message = messages.get(row)?;
        let uid = uid_of(message);
        if uid > last {
            walk.range += 1;
            continue;
        }
        walk.from = uid.checked_add(1)?;
        walk.row = row + 1;
        return Some((row, message));
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

/// How many removals are told before a look at the room left: some 16 KB of output.
const REMOVED_MAX: u32 = 1000;
