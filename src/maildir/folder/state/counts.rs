//! Counts of a folder's messages, kept up to date with every change of a row.

use std::cell::Cell;

use super::super::Folder;
use super::messages::Message;
use super::table::Table;
use crate::mail::{System, Uid};
use crate::maildir::disk::watch::Place;

/// Sums over the messages that are not gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub messages: u32,
    pub unseen: u32,
    pub deleted: u32,
    /// The sum of RFC822.SIZE over the messages where it is known ...
    pub size: u64,
    /// ... and how many there are where it is not.
    pub unmeasured: u32,
    pub first_unseen: Option<Uid>,
}

/// What STATUS asks of a folder that is not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderStatus {
    pub uid_validity: u32,
    pub uid_next: u32,
    pub highest_modseq: u64,
    pub mailbox_id: String,
    pub counts: Counts,
    pub recent: u32,
}

/// Counts that are kept up to date with every change of a row.
#[derive(Clone, Debug, Default)]
pub(in crate::maildir) struct Tally {
    messages: u32,
    unseen: u32,
    deleted: u32,
    size: u64,
    unmeasured: u32,
    pub gone: usize,
    pub in_new: usize,
    /// No row before this one is unseen.
    pub seen_before: Cell<usize>,
}

impl Folder {
    pub fn counts(&self) -> Counts {
        let &Tally {
            messages,
            unseen,
            deleted,
            size,
            unmeasured,
            ..
        } = &self.counts;
        Counts {
            messages,
            unseen,
            deleted,
            size,
            unmeasured,
            first_unseen: self.first_unseen(),
        }
    }

    fn first_unseen(&self) -> Option<Uid> {
        let rows = self.table.rows();
        let from = self.counts.seen_before.get();
        let is_unseen = |row: &Message| !row.is_gone() && !is_seen(row);
        let offset = match self.counts.unseen {
            0 => None,
            _ => rows
                .get(from..)
                .unwrap_or_default()
                .iter()
                .position(is_unseen),
        };
        let at = offset.map_or(rows.len(), |offset| from + offset);
        self.counts.seen_before.set(at);
        rows.get(at).map(Message::uid)
    }

    /// Changes a row and keeps the counts right.
    pub(in crate::maildir) fn change_row<T>(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut Table) -> T,
    ) -> T {
        if let Some(row) = self.table.rows().get(index) {
            self.counts.remove(row);
        }
        let result = change(&mut self.table);
        if let Some(row) = self.table.rows().get(index) {
            self.counts.add(row, index);
        }
        self.stale = true;
        result
    }

    pub(in crate::maildir) fn recount(&mut self) {
        self.counts = Tally::default();
        self.count_from(0);
    }

    /// Counts the rows from `first` on, which are new.
    pub(in crate::maildir) fn count_from(&mut self, first: usize) {
        let rows = (0..).zip(self.table.rows()).skip(first);
        rows.for_each(|(index, row)| self.counts.add(row, index));
    }
}

impl Tally {
    fn add(&mut self, row: &Message, index: usize) {
        if row.is_gone() {
            self.gone += 1;
            return;
        }
        self.messages += 1;
        if !is_seen(row) {
            self.unseen += 1;
            self.seen_before.set(self.seen_before.get().min(index));
        }
        self.deleted += u32::from(row.flags().system.contains(System::DELETED));
        match row.virtual_size() {
            Some(size) => self.size = self.size.wrapping_add(size),
            None => self.unmeasured += 1,
        }
        self.in_new += usize::from(row.place() == Place::New);
    }

    fn remove(&mut self, row: &Message) {
        if row.is_gone() {
            self.gone -= 1;
            return;
        }
        self.messages -= 1;
        self.unseen -= u32::from(!is_seen(row));
        self.deleted -= u32::from(row.flags().system.contains(System::DELETED));
        match row.virtual_size() {
            Some(size) => self.size = self.size.wrapping_sub(size),
            None => self.unmeasured -= 1,
        }
        self.in_new -= usize::from(row.place() == Place::New);
    }
}

pub(in crate::maildir) fn is_seen(row: &Message) -> bool {
    row.flags().system.contains(System::SEEN)
}
