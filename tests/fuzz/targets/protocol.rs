//! What a client sends.

use super::{cuttings, legal};
use roost::imap::command::{Command, Tag, parse_arguments, parse_name};
use roost::imap::connection::{Connection, Event, State};
use roost::imap::fetch::{FetchItem, FetchLine, Partial};
use roost::imap::flag::{Flag, SYSTEM_FLAGS};
use roost::imap::list::Pattern;
use roost::imap::mailbox::{Dialect, MailboxArgument};
use roost::imap::sequence::Set;
use roost::imap::syntax::{Reader, write_astring, write_date_time, write_string};
use roost::mail::{MailboxName, Ranges, utf7};
use roost::net::proxy::parse;

/// What a proxy says first. It is known when it is complete, not before and not otherwise after,
/// and at the latest when the longest header has come.
pub fn proxy(input: &[u8]) {
    let whole = parse(input);
    assert!(whole != Ok(None) || input.len() < 536);
    for end in 0..=input.len().min(600) {
        let part = parse(&input[..end]);
        match whole {
            Ok(Some(header)) if end >= header.length => assert_eq!(part, whole),
            Ok(_) => assert_eq!(part, Ok(None)),
            Err(_) => assert!(matches!(part, Ok(None) | Err(_)), "{part:?}"),
        }
    }
}

/// A whole conversation. Events, and what the connection says itself, do not depend on the cuts.
pub fn dialogue(input: &[u8]) {
    for state in [State::NotAuthenticated, State::Authenticated] {
        let mut conversations = cuttings(input)
            .into_iter()
            .map(|pieces| Conversation::hold(state, &pieces));
        let whole = conversations.next();
        for other in conversations {
            assert_eq!(Some(&other), whole.as_ref());
        }
    }
}

#[derive(Debug, Default, PartialEq)]
struct Conversation {
    events: Vec<Event>,
    /// What the connection says itself.
    said: Vec<u8>,
    /// The text of all messages appended.
    text: Vec<u8>,
    /// How much more of the message that comes now is taken before it is refused.
    left: Option<u64>,
}

impl Conversation {
    fn hold(state: State, pieces: &[&[u8]]) -> Conversation {
        let mut connection = Connection::new(state, b'/');
        let mut conversation = Conversation::default();
        for piece in pieces {
            connection.handle_input(piece);
            conversation.answer(&mut connection);
        }
        conversation
    }

    /// Does with each event what a session might do.
    fn answer(&mut self, connection: &mut Connection) {
        while let Some(event) = connection.poll_event(&mut self.said) {
            match &event {
                Event::Command(tagged) => self.act(&tagged.command, &tagged.tag, connection),
                Event::Append(_, start) => self.announced(start.message.size, connection),
                Event::AppendMessage(message) => self.announced(message.size, connection),
                Event::AppendData => {
                    self.take(connection);
                    continue;
                }
                Event::Bad(bad) if bad.fatal => connection.set_state(State::Logout),
                _ => {}
            }
            self.events.push(event);
        }
    }

    fn act(&mut self, command: &Command, tag: &Tag, connection: &mut Connection) {
        match command {
            Command::Login { .. } => connection.set_state(State::Authenticated),
            Command::Authenticate { initial: None, .. } => {
                connection.challenge(tag, b"", &mut self.said);
            }
            Command::Select(_) => connection.set_state(State::Selected),
            Command::Close | Command::Unselect => connection.set_state(State::Authenticated),
            Command::Logout => connection.set_state(State::Logout),
            Command::Enable(extensions) => {
                extensions
                    .iter()
                    .for_each(|&extension| connection.enable(extension));
            }
            Command::Idle => connection.start_idle(tag, &mut self.said),
            _ => {}
        }
    }

    /// Some messages are refused at once, some when half of them has come.
    fn announced(&mut self, size: u64, connection: &mut Connection) {
        self.left = (size % 5 == 4).then_some(size / 2);
        if size % 5 == 3 {
            connection.refuse();
        } else {
            connection.accept(&mut self.said);
        }
    }

    fn take(&mut self, connection: &mut Connection) {
        let data = connection.append_data();
        assert!(!data.is_empty());
        let most = self.left.unwrap_or(u64::MAX).min(data.len() as u64);
        self.text.extend_from_slice(&data[..most as usize]);
        connection.consume_append_data(most as usize);
        if let Some(left) = &mut self.left {
            *left -= most;
            if *left == 0 {
                connection.refuse();
            }
        }
    }
}

/// One command, without its line end. What of it can be written is understood again.
pub fn command(input: &[u8]) {
    for dialect in DIALECTS {
        let mut reader = Reader::new(input);
        let (_, name) = parse_name(&mut reader);
        let Ok(command) = name.and_then(|name| parse_arguments(name, &mut reader, dialect)) else {
            continue;
        };
        match &command {
            Command::Select(select) => mailbox(&select.mailbox, dialect),
            Command::Create(create) => mailbox(&create.mailbox, dialect),
            Command::Delete(name)
            | Command::Subscribe(name)
            | Command::Unsubscribe(name)
            | Command::Status { mailbox: name, .. } => mailbox(name, dialect),
            Command::Rename { from, to } => {
                mailbox(from, dialect);
                mailbox(to, dialect);
            }
            Command::Copy(copy) | Command::Move(copy) => {
                set(&copy.set);
                mailbox(&copy.mailbox, dialect);
            }
            Command::Fetch(fetch) => set(&fetch.set),
            Command::Store(store) => {
                set(&store.set);
                flags(&store.flags);
            }
            Command::Expunge { uids: Some(uids) } => set(uids),
            Command::Lsub(pattern) => matches(pattern),
            Command::List(list) => list.patterns.iter().for_each(matches),
            _ => {}
        }
    }
}

const DIALECTS: [Dialect; 3] = [
    Dialect {
        utf8: false,
        separator: b'/',
        namespaces: &roost::imap::namespace::PLAIN,
    },
    Dialect {
        utf8: false,
        separator: b'.',
        namespaces: &roost::imap::namespace::PLAIN,
    },
    Dialect {
        utf8: true,
        separator: b'/',
        namespaces: &roost::imap::namespace::PLAIN,
    },
];

fn mailbox(argument: &MailboxArgument, dialect: Dialect) {
    let Ok(name) = argument else { return };
    let mut written = Vec::new();
    name.write(&mut written, dialect);
    let mut reader = Reader::new(&written);
    let again = reader.mailbox(dialect);
    assert_eq!(again.as_ref(), Ok(argument), "{name:?}");
    assert!(reader.is_at_end());
    assert_eq!(MailboxName::new(name.as_str()).as_ref(), Ok(name));
}

fn set(set: &Set) {
    let Set::Numbers(numbers) = set else { return };
    for max in [0, 1, 1000, u32::MAX] {
        ranges(&numbers.resolve(max));
    }
}

/// Ascending and apart, and the same when read again.
fn ranges(ranges: &Ranges) {
    let parts = ranges.ranges();
    assert!(
        parts
            .iter()
            .all(|&(first, last)| 0 < first && first <= last)
    );
    assert!(parts.windows(2).all(|two| two[0].1 < two[1].0 - 1));
    if ranges.is_empty() {
        return;
    }
    let mut written = Vec::new();
    ranges.write(&mut written);
    assert_eq!(Reader::new(&written).known_uids().as_ref(), Ok(ranges));
}

fn flags(flags: &[Flag]) {
    for flag in flags {
        let written = match flag {
            Flag::Keyword(keyword) => keyword.as_str(),
            Flag::System(system) => {
                let known = SYSTEM_FLAGS.iter().find(|(flag, _)| flag == system);
                known.expect("all are in the table").1
            }
            Flag::Recent => "\\Recent",
            Flag::Unknown(_) => continue,
        };
        let again = Reader::new(written.as_bytes()).bare_flags();
        assert_eq!(again, Ok(vec![flag.clone()]));
    }
}

/// Matching takes linear time.
fn matches(pattern: &Pattern) {
    let long = "a/b".repeat(100);
    for name in [
        "INBOX",
        "a",
        "a/b/c",
        "Entw\u{fc}rfe/\u{65e5}\u{672c}",
        &long,
    ] {
        let name = MailboxName::new(name).expect("they are names");
        let _ = pattern.matches(&name);
    }
}

/// The arguments of FETCH. Each item makes a legal response.
pub fn fetch(input: &[u8]) {
    let mut reader = Reader::new(input);
    let Ok(fetch) = reader.fetch_arguments(false) else {
        return;
    };
    set(&fetch.set);
    for item in &fetch.items {
        let mut line = Vec::new();
        let mut response = FetchLine::begin(&mut line, 1);
        match item {
            // imap-codec thinks that numbers have 32 bits.
            FetchItem::Section(item) if item.partial.is_some_and(is_large) => continue,
            FetchItem::Binary {
                partial: Some(partial),
                ..
            } if is_large(*partial) => continue,
            FetchItem::Section(item) => response.section_nil(&mut line, item),
            FetchItem::Binary { part, partial, .. } => {
                response.binary_nil(&mut line, part, *partial);
            }
            FetchItem::BinarySize { part } => response.binary_size(&mut line, part, 1),
            _ => continue,
        }
        response.end(&mut line);
        legal(&line);
    }
}

fn is_large(partial: Partial) -> bool {
    partial.first > u32::MAX.into()
}

/// The arguments of SEARCH, however deep.
pub fn search(input: &[u8]) {
    if let Ok(search) = Reader::new(input).search_arguments(true) {
        search.key.has_modseq();
        assert_eq!(search.key.clone(), search.key);
        assert!(!format!("{:?}", search.key).is_empty());
    }
}

/// Strings, dates, sets and names: what is written is what is read again.
pub fn syntax(input: &[u8]) {
    for utf8 in [false, true] {
        let mut written = Vec::new();
        write_astring(&mut written, input, utf8);
        written.push(b' ');
        write_string(&mut written, input, utf8);
        let mut reader = Reader::new(&written);
        if input.contains(&0) {
            assert!(reader.astring().is_err());
        } else {
            assert_eq!(reader.astring().as_deref(), Ok(input));
            assert_eq!(reader.space(), Ok(()));
            assert_eq!(
                reader.nstring().map(Option::unwrap_or_default).as_deref(),
                Ok(input)
            );
            assert!(reader.is_at_end());
        }
    }
    if let Ok(known) = Reader::new(input).known_uids() {
        ranges(&known);
    }
    if let Ok(Some(time)) = Reader::new(input).date_time() {
        let mut written = Vec::new();
        write_date_time(&mut written, time);
        let again = Reader::new(&written).date_time();
        assert_eq!(again, Ok(Some(time)), "{written:?}");
    }
    if let Ok(name) = utf7::decode(input) {
        assert_eq!(utf7::decode(utf7::encode(&name).as_bytes()), Ok(name));
    }
    if let Ok(name) = std::str::from_utf8(input) {
        let coded = utf7::encode(name);
        assert!(coded.is_ascii());
        if !name.contains(|c: char| c.is_control()) {
            assert_eq!(utf7::decode(coded.as_bytes()).as_deref(), Ok(name));
        }
    }
    for dialect in DIALECTS {
        mailbox(&MailboxName::from_wire(input, dialect), dialect);
    }
}
