//! What happens in a run: who is there, what each does, and who goes when.  A plan is data: the
//! same plan gives the same run, and a part left out gives a smaller plan.

use std::fmt;

use crate::random::Random;

#[derive(Clone, Debug)]
pub struct Plan {
    /// Flags of the messages that are there at first.
    pub messages: Vec<u8>,
    /// Records of the uidlist whose messages are long gone.
    pub dead_records: u8,
    pub servers: Vec<Server>,
    pub outsiders: Vec<Vec<Timed<Deed>>>,
    /// Who makes the next calls, and how many.  When this is used up everybody goes on to the end.
    pub turns: Vec<(u8, u8)>,
}

/// A process of Roost and its clients.
#[derive(Clone, Debug)]
pub struct Server {
    /// The kernel tells it what changes; else it polls.
    pub watches: bool,
    /// How many milliseconds late.
    pub lag: u8,
    /// A time slice is over once in so many times that this is asked.
    pub slice: u16,
    pub clients: Vec<Kind>,
    pub acts: Vec<Timed<Act>>,
    /// At this call it is killed, and started again.
    pub dies_at: Option<u16>,
    /// At the end it is killed, too.
    pub ends_badly: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 3501 and no more.
    Plain,
    /// QRESYNC: it comes back with what it knew.
    Qresync,
}

/// Something done after so many milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timed<T> {
    pub after: u16,
    pub what: T,
}

/// What a server is asked to do.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Command(u8, Command),
    /// Two clients at once.
    Both(Command, Command),
    /// The client's connection breaks, and it comes back.
    Reconnect(u8),
    /// The process ends as it should, and is started again.
    Restart,
    /// It looks after its timers.
    Idle,
}

/// `u8`s choose among the messages that the client knows.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    Noop,
    Store {
        pick: u8,
        how: How,
        flags: u8,
        silent: bool,
        by_uid: bool,
        conditional: bool,
        keyword: bool,
    },
    /// The whole text, which makes it \Seen.
    Read(u8),
    Flags,
    Search,
    Idle,
    Expunge,
    UidExpunge(u8),
    Close,
    Copy(u8),
    Move(u8),
    Append(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Add,
    Remove,
    Replace,
}

/// What other programs do, and what befalls the host.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    Deliver,
    /// Into cur/, as maildrop and procmail can.
    Place(u8),
    /// A rename, as mutt does it.
    Flag {
        pick: u8,
        set: u8,
        clear: u8,
    },
    Delete(u8),
    /// A message is renamed again and again.
    Storm(u8),
    /// A deleted message comes back.
    Restore {
        pick: u8,
        renamed: bool,
        flags: u8,
    },
    /// Dovecot looks at the folder.
    Dovecot {
        rewrite: bool,
        expunge: bool,
        keyword: bool,
    },
    /// There is room for so many files and octets, and no more.
    Fill {
        files: u8,
        octets: u8,
    },
    /// There is room again.
    Drain,
    Clock(i16),
    /// A cache is removed.
    Lose(Cache),
    /// The kernel loses events.
    Overflow,
}

#[derive(Clone, Copy, Debug)]
pub enum Cache {
    Index,
    Texts,
}

impl Plan {
    pub fn from_seed(seed: u64) -> Plan {
        let mut random = Random::new(seed);
        let random = &mut random;
        let count = 1 + random.below(4);
        let messages = (0..count).map(|_| flags(random)).collect();
        let servers: Vec<Server> = (0..1 + random.below(3)).map(|_| server(random)).collect();
        let outsiders: Vec<_> = (0..random.below(4)).map(|_| outsider(random)).collect();
        let actors = (servers.len() + outsiders.len()) as u64;
        let longest = random.pick(&[4, 20, 60, 200]);
        let turns = (0..random.below(300))
            .map(|_| (random.below(actors) as u8, 1 + random.below(longest) as u8))
            .collect();
        Plan {
            messages,
            dead_records: random.pick(&[0, 0, 15, 17]),
            servers,
            outsiders,
            turns,
        }
    }
}

fn server(random: &mut Random) -> Server {
    let clients: Vec<Kind> = (0..1 + random.below(2))
        .map(|_| random.pick(&[Kind::Plain, Kind::Qresync, Kind::Qresync]))
        .collect();
    let acts = (0..1 + random.below(8)).map(|_| {
        let client = random.below(clients.len() as u64) as u8;
        let what = match random.below(14) {
            0 => Act::Reconnect(client),
            1 => Act::Restart,
            2 => Act::Idle,
            3 if clients.len() > 1 => Act::Both(command(random), command(random)),
            _ => Act::Command(client, command(random)),
        };
        timed(random, what)
    });
    Server {
        acts: acts.collect(),
        watches: random.once_in(2),
        lag: random.pick(&[0, 0, 1, 10]),
        slice: random.pick(&[2, 3, 5, 1000, 1000]),
        clients,
        dies_at: random.once_in(4).then(|| random.below(600) as u16),
        ends_badly: random.once_in(2),
    }
}

fn command(random: &mut Random) -> Command {
    let pick = random.byte();
    match random.below(24) {
        0..=2 => Command::Noop,
        3..=8 => Command::Store {
            pick,
            how: random.pick(&[How::Add, How::Add, How::Remove, How::Remove, How::Replace]),
            flags: flags(random),
            silent: random.once_in(2),
            by_uid: random.once_in(2),
            conditional: random.once_in(6),
            keyword: random.once_in(6),
        },
        9 | 10 => Command::Read(pick),
        11 => Command::Flags,
        12 => Command::Search,
        13..=15 => Command::Expunge,
        16 => Command::UidExpunge(pick),
        17 => Command::Close,
        18 => Command::Copy(pick),
        19 => Command::Move(pick),
        20 | 21 => Command::Idle,
        _ => Command::Append(flags(random)),
    }
}

fn outsider(random: &mut Random) -> Vec<Timed<Deed>> {
    let deeds = 1 + random.below(8);
    (0..deeds)
        .map(|_| {
            let what = deed(random);
            timed(random, what)
        })
        .collect()
}

fn deed(random: &mut Random) -> Deed {
    let pick = random.byte();
    match random.below(25) {
        0..=3 => Deed::Deliver,
        4 => Deed::Place(flags(random)),
        5..=10 => Deed::Flag {
            pick,
            set: flags(random),
            clear: flags(random),
        },
        11 | 12 => Deed::Delete(pick),
        13 | 14 => Deed::Restore {
            pick,
            renamed: random.once_in(3),
            flags: flags(random),
        },
        15..=17 => Deed::Dovecot {
            rewrite: random.once_in(2),
            expunge: random.once_in(3),
            keyword: random.once_in(3),
        },
        18 => Deed::Fill {
            files: random.below(3) as u8,
            octets: random.pick(&[0, 30, 255]),
        },
        19 | 20 => Deed::Drain,
        21 => Deed::Clock(random.pick(&[-2000, -30, 100, 3000])),
        22 => Deed::Lose(random.pick(&[Cache::Index, Cache::Texts])),
        23 => Deed::Storm(pick),
        _ => Deed::Overflow,
    }
}

fn timed<T>(random: &mut Random, what: T) -> Timed<T> {
    let after = random.pick(&[0, 0, 0, 5, 30, 60, 1100, 3000, 20_000]);
    Timed { after, what }
}

/// Bits in the order of [`LETTERS`]; \Seen and \Deleted often.
fn flags(random: &mut Random) -> u8 {
    random.pick(&[0, 1, 2, 2, 4, 4, 4, 5, 6, 8, 16, 31])
}

/// The letters of the flags in file names, and the flags' names.
pub const LETTERS: [(char, &str); 5] = [
    ('F', "\\Flagged"),
    ('S', "\\Seen"),
    ('T', "\\Deleted"),
    ('R', "\\Answered"),
    ('D', "\\Draft"),
];

pub fn letters(flags: u8) -> impl Iterator<Item = (char, &'static str)> {
    LETTERS
        .into_iter()
        .enumerate()
        .filter(move |(bit, _)| flags & 1 << bit != 0)
        .map(|(_, flag)| flag)
}

/// The plan as somebody reads it who wants to know what it takes.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first: Vec<String> = self.messages.iter().map(|&flags| info(flags)).collect();
        writeln!(f, "messages: {}", first.join(" "))?;
        if self.dead_records > 0 {
            writeln!(f, "uidlist: {} records of no message", self.dead_records)?;
        }
        for (number, server) in self.servers.iter().enumerate() {
            let Server {
                watches,
                lag,
                slice,
                clients,
                acts,
                dies_at,
                ends_badly,
            } = server;
            write!(f, "{}: {clients:?}", server_name(number))?;
            write!(f, ", watches {watches}, lag {lag}, slice {slice}")?;
            write!(f, ", dies at {dies_at:?}, ends badly {ends_badly}")?;
            writeln!(f)?;
            for act in acts {
                writeln!(f, "    +{} ms {:?}", act.after, act.what)?;
            }
        }
        for (number, deeds) in self.outsiders.iter().enumerate() {
            writeln!(f, "{}:", outsider_name(number))?;
            for deed in deeds {
                writeln!(f, "    +{} ms {:?}", deed.after, deed.what)?;
            }
        }
        writeln!(f, "turns: {:?}", self.turns)
    }
}

pub fn info(flags: u8) -> String {
    let mut letters: Vec<char> = letters(flags).map(|(letter, _)| letter).collect();
    letters.sort_unstable();
    format!(":2,{}", letters.into_iter().collect::<String>())
}

pub fn server_name(number: usize) -> String {
    ["A", "B", "C", "D"][number % 4].to_owned()
}

pub fn outsider_name(number: usize) -> String {
    format!("other{number}")
}
