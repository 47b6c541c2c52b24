//! What a client knows of a mailbox, from what it was told.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::{self, Value};
use crate::disk;

#[derive(Clone, Debug, Default)]
pub struct Picture {
    pub validity: u32,
    /// In the order of their numbers.
    pub messages: Vec<Message>,
    /// The highest UID that was ever told.
    top: u32,
    /// HIGHESTMODSEQ as the client knows it.
    pub highest: u64,
    /// The same when the client last knew everything: what it says to come back (RFC 7162 3.2.5).
    pub complete_to: u64,
    /// The highest MODSEQ in the answers to the command that runs.
    seen: u64,
    named: BTreeSet<String>,
    /// HIGHESTMODSEQ as told while the mailbox is being selected.
    pub announced_highest: Option<u64>,
    /// How many there are, as told while the mailbox is being selected.
    announced: usize,
    /// UIDs whose flags were told since the command began.
    told: BTreeSet<u32>,
    /// MODSEQs never go back, even if the client went away.
    modseqs: BTreeMap<u32, u64>,
    /// The disk was full: a process that ended then could leave no word of what it had told, and
    /// the next one goes on from what there was before.
    pub may_go_back: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Message {
    pub uid: Option<u32>,
    pub flags: Option<BTreeSet<String>>,
    pub serial: Option<u32>,
    /// Its UID will be higher than this.
    above: u32,
}

/// What the client may be told now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    pub qresync: bool,
    /// EXPUNGE and VANISHED are not allowed (RFC 3501 7.4.1, RFC 7162 3.2.10.2).
    pub no_expunge: bool,
    /// The mailbox is being selected: what is told by UID is about what the client had.
    pub resuming: bool,
}

pub type Broken = (&'static str, String);

impl Picture {
    /// The mailbox is selected anew.  A client with QRESYNC keeps what it had, by UID.
    pub fn reselect(&mut self, keep: bool) {
        if keep {
            self.messages.retain(|message| message.uid.is_some());
        } else {
            self.messages.clear();
            self.top = 0;
            self.complete_to = 0;
        }
    }

    /// An untagged response.
    pub fn hear(&mut self, response: &[u8], rules: Rules) -> Result<(), Broken> {
        let values = answer::values(response.strip_prefix(b"* ").unwrap_or(response));
        let [first, second, rest @ ..] = values.as_slice() else {
            return Ok(());
        };
        match (first.number(), second.atom(), first.atom()) {
            (Some(count), "EXISTS", _) => self.hear_exists(narrow(count), rules),
            (Some(number), "EXPUNGE", _) => self.hear_expunge(narrow(number), rules),
            (Some(number), "FETCH", _) => {
                let items = rest.first().map(Value::list).unwrap_or_default();
                self.hear_fetch(narrow(number), items, rules)
            }
            (None, _, "VANISHED") => self.hear_vanished(&values[1..], rules),
            (None, _, "FLAGS") => {
                let names = second.list().iter().map(|name| name.atom().to_owned());
                self.named = names.collect();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn hear_exists(&mut self, count: usize, rules: Rules) -> Result<(), Broken> {
        if rules.resuming {
            // What of it the client has is told by and by.
            self.announced = count;
            return Ok(());
        }
        if count < self.messages.len() {
            let text = format!("EXISTS {count} after {}", self.messages.len());
            return Err(("protocol", text));
        }
        self.grow(count);
        Ok(())
    }

    fn grow(&mut self, count: usize) {
        let above = self.top;
        let fresh = || Message {
            above,
            ..Message::default()
        };
        self.messages.resize_with(count, fresh);
    }

    fn hear_expunge(&mut self, number: usize, rules: Rules) -> Result<(), Broken> {
        if rules.no_expunge || rules.qresync || number == 0 || number > self.messages.len() {
            let count = self.messages.len();
            return Err((
                "protocol",
                format!("EXPUNGE {number} of {count}: {rules:?}"),
            ));
        }
        self.messages.remove(number - 1);
        Ok(())
    }

    fn hear_vanished(&mut self, values: &[Value], rules: Rules) -> Result<(), Broken> {
        let earlier = values.len() > 1;
        if !rules.qresync || (rules.no_expunge && !earlier) {
            return Err(("protocol", format!("VANISHED {values:?}: {rules:?}")));
        }
        for uid in answer::set(values.last().map_or("", Value::atom)) {
            let known = self
                .messages
                .iter()
                .position(|message| message.uid == Some(uid));
            // One that was told to exist, and whose UID the client has not asked for yet.
            let unknown = || {
                let mut messages = self.messages.iter();
                messages.position(|message| message.uid.is_none() && uid > message.above)
            };
            if rules.resuming && !earlier {
                self.announced = self.announced.saturating_sub(1);
            }
            if let Some(index) = known.or_else(|| unknown().filter(|_| !earlier)) {
                self.messages.remove(index);
            }
        }
        Ok(())
    }

    fn hear_fetch(&mut self, number: usize, items: &[Value], rules: Rules) -> Result<(), Broken> {
        let mut told = BTreeMap::new();
        for [name, value] in items.as_chunks().0 {
            told.insert(name.atom(), value);
        }
        let uid = told.get("UID").and_then(|value| value.number()).map(narrow);
        let uid = uid.map(|uid| u32::try_from(uid).unwrap());
        let index = match (rules.resuming, uid) {
            (true, Some(uid)) => self.place(uid),
            _ => number.wrapping_sub(1),
        };
        let count = self.messages.len();
        let text = format!("{number} {items:?}");
        let Some(message) = self.messages.get_mut(index) else {
            return Err(("protocol", format!("FETCH {text} of {count}")));
        };
        if let Some(uid) = uid {
            match message.uid {
                Some(known) if known != uid => {
                    return Err(("protocol", format!("FETCH {text} is UID {known}")));
                }
                None if uid <= message.above && !rules.resuming => {
                    let above = message.above;
                    return Err(("uid order", format!("FETCH {text} came after UID {above}")));
                }
                _ => message.uid = Some(uid),
            }
            self.top = self.top.max(uid);
        }
        if let Some(flags) = told.get("FLAGS") {
            let mut flags: BTreeSet<String> = flags
                .list()
                .iter()
                .map(|flag| flag.atom().to_owned())
                .collect();
            flags.remove("\\Recent");
            let is_named = |flag: &String| flag.starts_with('\\') || self.named.contains(flag);
            if let Some(unnamed) = flags.iter().find(|flag| !is_named(flag)) {
                return Err((
                    "keyword",
                    format!("FLAGS did not name {unnamed}: FETCH {text}"),
                ));
            }
            message.flags = Some(flags);
            self.told.extend(message.uid);
        }
        if let Some(Value::Text(body)) = told.get("BODY[]") {
            message.serial = Some(disk::serial_of(body));
        }
        let known = message.uid;
        let modseq = told
            .get("MODSEQ")
            .and_then(|value| value.list().first()?.number());
        if let (Some(modseq), Some(uid)) = (modseq, known) {
            self.seen = self.seen.max(modseq);
            let before = self.modseqs.insert(uid, modseq).unwrap_or(0);
            if before > modseq && !self.may_go_back {
                return Err(("modseq", format!("it was {before}: FETCH {text}")));
            }
        }
        self.check_order()
    }

    /// Where a message with this UID is, or gets a place.
    fn place(&mut self, uid: u32) -> usize {
        if let Some(index) = self
            .messages
            .iter()
            .position(|message| message.uid == Some(uid))
        {
            return index;
        }
        let before = |message: &Message| message.uid.is_some_and(|other| other < uid);
        let index = self.messages.iter().position(|message| !before(message));
        let index = index.unwrap_or(self.messages.len());
        self.messages.insert(index, Message::default());
        index
    }

    fn check_order(&self) -> Result<(), Broken> {
        let uids: Vec<u32> = self
            .messages
            .iter()
            .filter_map(|message| message.uid)
            .collect();
        match uids.is_sorted_by(|a, b| a < b) {
            true => Ok(()),
            false => Err(("uid order", format!("{uids:?}"))),
        }
    }

    /// A command is done.  A client takes HIGHESTMODSEQ from the response if there is one, else
    /// what it has seen (RFC 7162 6).
    pub fn note_done(&mut self, highest: Option<u64>) {
        self.told.clear();
        let seen = std::mem::take(&mut self.seen);
        self.highest = highest.unwrap_or(self.highest.max(seen));
        self.note_complete();
    }

    /// The client came back: what it is told to exist is what it has.
    pub fn note_selected(&mut self, highest: Option<u64>, resuming: bool) -> Result<(), Broken> {
        self.seen = 0;
        self.told.clear();
        let (known, announced) = (self.messages.len(), self.announced);
        if resuming && known > announced {
            let uids: Vec<_> = self.messages.iter().map(|message| message.uid).collect();
            return Err((
                "picture",
                format!("{announced} messages, and there are {uids:?}"),
            ));
        }
        if resuming {
            self.grow(announced);
        }
        let highest = highest.unwrap_or(0);
        if highest < self.highest && !self.may_go_back {
            let text = format!("HIGHESTMODSEQ was {} and is {highest}", self.highest);
            return Err(("modseq", text));
        }
        self.highest = highest;
        self.note_complete();
        Ok(())
    }

    fn note_complete(&mut self) {
        if self.unknown().is_none() {
            self.complete_to = self.highest;
        }
    }

    /// A silent STORE of one message was answered OK: the client believes what it was not told.
    pub fn assume(&mut self, uid: u32, change: &dyn Fn(&mut BTreeSet<String>)) {
        let told = self.told.contains(&uid);
        let mut messages = self.messages.iter_mut();
        if let Some(message) = messages.find(|message| message.uid == Some(uid))
            && let (Some(flags), false) = (&mut message.flags, told)
        {
            change(flags);
        }
    }

    /// The client has to ask for the flags of that message.
    pub fn forget(&mut self, uid: u32) {
        let mut messages = self.messages.iter_mut();
        if let Some(message) = messages.find(|message| message.uid == Some(uid)) {
            message.flags = None;
        }
    }

    pub fn unknown(&self) -> Option<usize> {
        let mut messages = self.messages.iter();
        messages.position(|message| {
            message.uid.is_none() || message.flags.is_none() || message.serial.is_none()
        })
    }

    /// What is in it, for a comparison.
    pub fn content(&self) -> Vec<(u32, BTreeSet<String>)> {
        let mut content: Vec<_> = self
            .messages
            .iter()
            .map(|message| {
                let flags = message.flags.clone().unwrap_or_default();
                (message.serial.unwrap_or(0), flags)
            })
            .collect();
        content.sort();
        content
    }
}

fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap()
}
