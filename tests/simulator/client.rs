//! A client: it says what its plan wants, believes what it is told, and complains of what no server
//! may tell.

use std::collections::BTreeSet;

use roost::net::ConnectionId;

use crate::answer;
use crate::picture::{Broken, Picture, Rules};
use crate::plan::{self, Command, How, Kind};
use crate::world::{Here, Inner, Intent, Wish};

pub struct Client {
    pub kind: Kind,
    /// Its number in its process.
    number: usize,
    pub id: ConnectionId,
    name: String,
    tags: u32,
    pub picture: Picture,
    pub input: Vec<u8>,
    pub pending: Option<Pending>,
    pub selected: bool,
    /// Its mailbox is the one that others copy to.
    pub is_for_copies: bool,
    /// What the client would come back with if it had gone at that time.
    pub snapshots: Vec<Picture>,
}

pub struct Pending {
    tag: String,
    rules: Rules,
    what: What,
    began: usize,
    /// It is IDLE, and so many turns of its process are left.
    pub idle: Option<u8>,
}

enum What {
    Select,
    Other,
    Close,
    Append(u32),
    Store(Stored),
}

struct Stored {
    uid: u32,
    how: How,
    flags: BTreeSet<String>,
    letters: String,
    silent: bool,
}

impl Client {
    pub fn new(kind: Kind, number: usize, name: String) -> Client {
        Client {
            kind,
            number,
            id: ConnectionId(0),
            name,
            tags: 0,
            picture: Picture::default(),
            input: Vec::new(),
            pending: None,
            selected: false,
            is_for_copies: false,
            snapshots: Vec::new(),
        }
    }

    /// Another client, which comes with what this one once knew.
    pub fn with(picture: Picture, number: usize, name: String) -> Client {
        let mut client = Client::new(Kind::Qresync, number, name);
        client.picture = picture;
        client
    }

    pub fn is_idle(&self) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| pending.idle.is_some())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    fn rules(&self) -> Rules {
        Rules {
            qresync: self.kind == Kind::Qresync,
            ..Rules::default()
        }
    }

    pub fn enable(&mut self, here: &Here) -> Vec<u8> {
        let rules = self.rules();
        self.say("ENABLE QRESYNC", rules, What::Other, Vec::new(), here)
    }

    pub fn select(&mut self, mailbox: &str, here: &Here) -> Vec<u8> {
        let resume = self.kind == Kind::Qresync && self.picture.complete_to > 0;
        self.picture.reselect(resume);
        let Picture {
            validity,
            complete_to: highest,
            ..
        } = self.picture;
        let uids: Vec<String> = self
            .picture
            .messages
            .iter()
            .filter_map(|message| Some(message.uid?.to_string()))
            .collect();
        // Some clients say what they have, some leave that to the server.
        let known = match self.number % 2 == 1 && !uids.is_empty() {
            true => format!(" {}", uids.join(",")),
            false => String::new(),
        };
        let command = match resume {
            true => format!("SELECT {mailbox} (QRESYNC ({validity} {highest}{known}))"),
            false => format!("SELECT {mailbox}"),
        };
        let rules = Rules {
            resuming: resume,
            ..self.rules()
        };
        self.say(&command, rules, What::Select, Vec::new(), here)
    }

    /// What it does not know of its messages.
    pub fn ask(&mut self, here: &Here) -> Option<Vec<u8>> {
        let first = self.picture.unknown()? + 1;
        let command = format!("FETCH {first}:* (UID FLAGS BODY.PEEK[])");
        let rules = Rules {
            no_expunge: true,
            ..self.rules()
        };
        Some(self.say(&command, rules, What::Other, Vec::new(), here))
    }

    /// The plan's command, if it makes sense now.
    pub fn command(&mut self, command: Command, here: &Here) -> Option<Vec<u8>> {
        let quiet = Rules {
            no_expunge: true,
            ..self.rules()
        };
        let rules = self.rules();
        if let Command::Idle = command {
            let line = self.say("IDLE", rules, What::Other, Vec::new(), here);
            self.pending.as_mut().unwrap().idle = Some(IDLE_TURNS);
            return Some(line);
        }
        let empty = self.picture.messages.is_empty();
        let said = |text: &str| (text.to_owned(), rules, What::Other, Vec::new());
        let (text, rules, what, wishes) = match command {
            Command::Noop => said("NOOP"),
            Command::Flags | Command::Search | Command::Read(_) if empty => return None,
            Command::Flags => ("FETCH 1:* FLAGS".to_owned(), quiet, What::Other, Vec::new()),
            Command::Search => (
                "SEARCH UNDELETED".to_owned(),
                quiet,
                What::Other,
                Vec::new(),
            ),
            Command::Read(pick) => {
                let number = usize::from(pick) % self.picture.messages.len() + 1;
                let text = format!("FETCH {number} BODY[]");
                (text, quiet, What::Other, vec![Wish::Read])
            }
            Command::Expunge => (
                "EXPUNGE".to_owned(),
                rules,
                What::Other,
                vec![Wish::Expunge],
            ),
            Command::Close => ("CLOSE".to_owned(), rules, What::Close, vec![Wish::Expunge]),
            Command::UidExpunge(pick) => {
                let (_, uid) = self.pick(pick)?;
                let text = format!("UID EXPUNGE {uid}");
                (text, rules, What::Other, vec![Wish::ExpungeOnly(uid)])
            }
            Command::Copy(pick) => {
                let text = format!("UID COPY {} Box", self.pick(pick)?.1);
                (text, rules, What::Other, vec![Wish::Copy])
            }
            Command::Move(pick) => {
                let text = format!("UID MOVE {} Box", self.pick(pick)?.1);
                (text, rules, What::Other, vec![Wish::Move])
            }
            Command::Append(flags) => {
                let serial = here.world.inner().disk.next_serial();
                let body = crate::disk::text(serial).replace('\n', "\r\n");
                let names: Vec<&str> = plan::letters(flags).map(|(_, name)| name).collect();
                let length = body.len();
                let text = format!("APPEND INBOX ({}) {{{length}+}}\r\n{body}", names.join(" "));
                (text, rules, What::Append(serial), Vec::new())
            }
            Command::Store { .. } => self.store(command)?,
            Command::Idle => return None,
        };
        Some(self.say(&text, rules, what, wishes, here))
    }

    fn store(&self, command: Command) -> Option<(String, Rules, What, Vec<Wish>)> {
        let Command::Store {
            pick,
            how,
            flags,
            silent,
            by_uid,
            conditional,
            keyword,
        } = command
        else {
            return None;
        };
        let (number, uid) = self.pick(pick)?;
        let mut names: BTreeSet<String> = plan::letters(flags)
            .map(|(_, name)| name.to_owned())
            .collect();
        let mut letters: String = plan::letters(flags).map(|(letter, _)| letter).collect();
        if keyword {
            names.insert("$Mine".to_owned());
            letters.extend('a'..='z');
        }
        let sign = match how {
            How::Add => "+",
            How::Remove => "-",
            How::Replace => "",
        };
        let wish = match how {
            How::Add => Wish::Add(letters.clone()),
            How::Remove => Wish::Remove(letters.clone()),
            How::Replace => Wish::Replace,
        };
        let target = match by_uid {
            true => format!("UID STORE {uid}"),
            false => format!("STORE {number}"),
        };
        let highest = self.picture.highest;
        let condition = match conditional && self.kind == Kind::Qresync {
            true => format!(" (UNCHANGEDSINCE {highest})"),
            false => String::new(),
        };
        let suffix = if silent { ".SILENT" } else { "" };
        let listed: Vec<&str> = names.iter().map(String::as_str).collect();
        let listed = listed.join(" ");
        let text = format!("{target}{condition} {sign}FLAGS{suffix} ({listed})");
        let rules = Rules {
            no_expunge: !by_uid,
            ..self.rules()
        };
        let stored = Stored {
            uid,
            how,
            flags: names,
            letters,
            silent,
        };
        Some((text, rules, What::Store(stored), vec![wish]))
    }

    /// Number and UID of one of its messages.
    fn pick(&self, pick: u8) -> Option<(usize, u32)> {
        let messages = &self.picture.messages;
        let index = usize::from(pick).checked_rem(messages.len())?;
        Some((index + 1, messages[index].uid?))
    }

    fn say(
        &mut self,
        text: &str,
        rules: Rules,
        what: What,
        wishes: Vec<Wish>,
        here: &Here,
    ) -> Vec<u8> {
        self.tags += 1;
        let tag = format!("{}{}", self.name.to_lowercase(), self.tags);
        let mut inner = here.world.inner();
        inner.note(&format!(
            "{} C: {tag} {}",
            self.name,
            text.replace("\r\n", "|")
        ));
        let began = inner.step();
        let client = self.number;
        let intents = &mut inner.actors[here.me].intents;
        intents.extend(wishes.into_iter().map(|what| Intent {
            client,
            what,
            since: began,
        }));
        self.pending = Some(Pending {
            tag: tag.clone(),
            rules,
            what,
            began,
            idle: None,
        });
        format!("{tag} {text}\r\n").into_bytes()
    }

    /// Takes what the server said.
    pub fn hear(&mut self, here: &Here) {
        while let Some(response) = answer::take(&mut self.input) {
            let line = String::from_utf8_lossy(&response).replace("\r\n", "|");
            here.note(&format!("{} S: {line}", self.name));
            if let Err((kind, text)) = self.hear_one(&response, here) {
                return here.fail(kind, format!("client {}: {text}", self.name));
            }
        }
    }

    fn hear_one(&mut self, response: &[u8], here: &Here) -> Result<(), Broken> {
        let idle = self.rules();
        let rules = self.pending.as_ref().map_or(idle, |pending| pending.rules);
        self.picture.may_go_back = here.world.inner().disk.was_full;
        if response.starts_with(b"* ") {
            if let [name, number] = answer::code(response).as_slice()
                && name.atom() == "UIDVALIDITY"
            {
                let validity = u32::try_from(number.number().unwrap_or(0)).unwrap();
                self.note_validity(validity, here)?;
            }
            if let [name, number] = answer::code(response).as_slice()
                && name.atom() == "HIGHESTMODSEQ"
                && self
                    .pending
                    .as_ref()
                    .is_some_and(|pending| matches!(pending.what, What::Select))
            {
                self.picture.announced_highest = number.number();
            }
            self.picture.hear(response, rules)?;
            return self.learn(here);
        }
        let Some(pending) = &self.pending else {
            return Ok(());
        };
        let tag = format!("{} ", pending.tag);
        if !response.starts_with(tag.as_bytes()) {
            return Ok(());
        }
        let pending = self.pending.take();
        let status = response[tag.len()..].split(|&octet| octet == b' ').next();
        self.finish(pending, status.unwrap_or_default(), response, here)
    }

    fn note_validity(&mut self, validity: u32, here: &Here) -> Result<(), Broken> {
        let wrong = |text| ("uidvalidity", text);
        self.picture.validity = validity;
        match self.is_for_copies {
            true => Ok(()),
            false => here.world.inner().registry.select(validity).map_err(wrong),
        }
    }

    /// What was found under which UID is told to all.
    fn learn(&mut self, here: &Here) -> Result<(), Broken> {
        if self.is_for_copies {
            return Ok(());
        }
        let mut inner = here.world.inner();
        let Inner { disk, registry, .. } = &mut *inner;
        for message in &self.picture.messages {
            if let (Some(uid), Some(serial)) = (message.uid, message.serial) {
                let arrivals = disk.arrivals.get(&serial).copied().unwrap_or(0);
                let learnt = registry.learn(uid, serial, arrivals);
                learnt.map_err(|text| ("uid", text))?;
            }
        }
        Ok(())
    }

    fn finish(
        &mut self,
        pending: Option<Pending>,
        status: &[u8],
        response: &[u8],
        here: &Here,
    ) -> Result<(), Broken> {
        let Some(pending) = pending else {
            return Ok(());
        };
        here.forget(self.number);
        if status == b"BAD" {
            let text = String::from_utf8_lossy(response).into_owned();
            return Err(("protocol", text));
        }
        let ok = status == b"OK";
        let code = answer::code(response);
        let name = code.first().map_or("", |name| name.atom());
        let highest = match code.get(1) {
            Some(number) if name == "HIGHESTMODSEQ" => number.number(),
            _ => None,
        };
        match pending.what {
            What::Select if ok => {
                self.selected = true;
                let highest = self.picture.announced_highest.take();
                self.picture
                    .note_selected(highest, pending.rules.resuming)?;
            }
            What::Select => self.selected = false,
            What::Close => {
                self.selected = !ok;
                return Ok(());
            }
            What::Append(serial) if ok => {
                let inner = here.world.inner();
                if inner.disk.spots_since(serial, 0).is_empty() {
                    return Err(("lost", format!("OK to APPEND of message {serial}")));
                }
            }
            What::Store(stored) => self.stored(&stored, pending.began, (ok, name), here)?,
            What::Append(_) | What::Other => {}
        }
        if self.selected {
            self.picture.note_done(highest);
            if self.kind == Kind::Qresync && self.snapshots.len() < SNAPSHOTS_MAX {
                self.snapshots.push(self.picture.clone());
            }
        }
        Ok(())
    }

    fn stored(
        &mut self,
        stored: &Stored,
        began: usize,
        (ok, code): (bool, &str),
        here: &Here,
    ) -> Result<(), Broken> {
        if !ok || code == "MODIFIED" {
            // The client has to look what has become of it.
            self.picture.forget(stored.uid);
            return Ok(());
        }
        if stored.silent {
            self.picture.assume(stored.uid, &|flags| match stored.how {
                How::Add => flags.extend(stored.flags.iter().cloned()),
                How::Remove => flags.retain(|flag| !stored.flags.contains(flag)),
                How::Replace => flags.clone_from(&stored.flags),
            });
        }
        let inner = here.world.inner();
        let Some(serial) = inner.registry.serial(stored.uid) else {
            return Ok(());
        };
        let wanted: BTreeSet<char> = stored
            .letters
            .chars()
            .filter(char::is_ascii_uppercase)
            .collect();
        let spots = inner.disk.spots_since(serial, began);
        let done = spots.iter().any(|spot| {
            spot.is_none_or(|spot| {
                let has = spot.letters();
                match stored.how {
                    How::Add | How::Replace => wanted.is_subset(&has),
                    How::Remove => wanted.is_disjoint(&has),
                }
            })
        });
        match done {
            true => Ok(()),
            false => Err(("lost", format!("OK to STORE, but there were {spots:?}"))),
        }
    }

    /// The connection is gone.
    pub fn disconnect(&mut self) {
        self.pending = None;
        self.selected = false;
        self.input.clear();
    }
}

/// An IDLE takes so many turns.
const IDLE_TURNS: u8 = 4;

const SNAPSHOTS_MAX: usize = 24;
