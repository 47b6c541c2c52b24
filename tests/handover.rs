//! One Maildir handed from Dovecot to Roost and back, in any order and at the same time.
//!
//! UIDVALIDITY, UIDs, flags, keywords and subscriptions go on unchanged, UIDNEXT and HIGHESTMODSEQ
//! never go back, and a client that keeps a copy by QRESYNC misses nothing, whichever of the two it
//! asks. "Ours" is the server under test; "theirs" is Dovecot.

// A test says what it skips and what it measured.
#![allow(clippy::print_stderr)]

mod support;

#[path = "handover/locations.rs"]
mod locations;

use std::collections::{BTreeMap, BTreeSet};

use support::*;

/// A mailbox as a client sees it.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Mailbox {
    uid_validity: u64,
    /// Flags and Message-ID by UID.
    messages: BTreeMap<u32, (BTreeSet<String>, Vec<u8>)>,
}

/// All the mail of a user as a client sees it.
#[derive(Debug, PartialEq, Eq)]
struct Sight {
    mailboxes: BTreeMap<String, Mailbox>,
    subscribed: BTreeSet<String>,
}

/// What may grow but not shrink, by mailbox: UIDNEXT, HIGHESTMODSEQ.
type Marks = BTreeMap<String, (u64, u64)>;

fn look(client: &mut Client) -> (Sight, Marks) {
    let mut sight = Sight {
        mailboxes: BTreeMap::new(),
        subscribed: names(client, "LSUB"),
    };
    let mut marks = Marks::new();
    for name in names(client, "LIST") {
        let reply = client.ok(&format!("EXAMINE \"{name}\" (CONDSTORE)"));
        let uid_validity = reply.number("UIDVALIDITY");
        let highest = reply.find_number("HIGHESTMODSEQ").unwrap_or(1);
        marks.insert(name.clone(), (reply.number("UIDNEXT"), highest));
        let mut messages = BTreeMap::new();
        let fetched = client.ok("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
        for n in 1..=u32::try_from(fetched.untagged.len()).expect("a count") {
            if fetched.find_item(n, "UID").is_some() {
                let id = fetched.bytes(n, "BODY[HEADER.FIELDS (MESSAGE-ID)]");
                messages.insert(uid(&fetched, n), (flags(fetched.item(n, "FLAGS")), id));
            }
        }
        sight.mailboxes.insert(
            name,
            Mailbox {
                uid_validity,
                messages,
            },
        );
    }
    (sight, marks)
}

fn names(client: &mut Client, command: &str) -> BTreeSet<String> {
    let reply = client.ok(&format!("{command} \"\" *"));
    let named = reply
        .untagged
        .iter()
        .filter(|response| response.word() == command);
    let selectable = named.filter(|response| {
        let attributes = format!("{:?}", response.tokens[1]).to_ascii_lowercase();
        !attributes.contains("noselect") && !attributes.contains("nonexistent")
    });
    selectable
        .map(|response| String::from_utf8_lossy(response.tokens[3].bytes().expect("a name")).into())
        .collect()
}

fn uid(reply: &Reply, n: u32) -> u32 {
    let uid = reply.item(n, "UID").number().expect("a number");
    u32::try_from(uid).expect("a UID")
}

/// The flags without `\Recent`, which means something else to every server.
fn flags(token: &Token) -> BTreeSet<String> {
    let flags = token.list().expect("a flag list").iter();
    let names = flags
        .filter_map(Token::as_atom)
        .filter(|flag| *flag != "\\Recent");
    names.map(str::to_ascii_lowercase).collect()
}

const THEIRS: Program = Program::Dovecot;

fn ours() -> Program {
    Program::under_test()
}

fn serve(program: Program, mail: &Mail) -> Client {
    Server::preauth_of(program, mail, &[])
}

/// Changes of every kind; `round` makes them different each time.
fn work(client: &mut Client, round: usize) {
    client.ok("SELECT INBOX");
    client.append(r"INBOX (\Seen Round)", &numbered(round));
    client.append("INBOX", &numbered(round + 100));
    client.ok(&format!(r"STORE 1:* +FLAGS.SILENT (key{round} $Forwarded)"));
    client.ok(r"UID STORE 1,3 +FLAGS.SILENT (\Flagged)");
    client.ok(&format!("CREATE Work/{round}"));
    client.ok(&format!("SUBSCRIBE Work/{round}"));
    client.ok(&format!("COPY 1:2 Work/{round}"));
    client.ok(&format!("MOVE 2 Work/{round}"));
    client.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    client.ok("EXPUNGE");
    client.ok("UNSELECT");
}

/// Both see the same. They are asked afresh: a Dovecot that is running lists no mailbox that
/// another program has made since it began.
#[track_caller]
fn agree(mail: &Mail, when: &str) -> Sight {
    let ours = look(&mut serve(ours(), mail)).0;
    let theirs = look(&mut serve(THEIRS, mail)).0;
    assert_eq!(ours, theirs, "{when}");
    ours
}

/// Serves the mail with each program in turn; what one leaves the next must find.
fn hand_over(programs: &[Program]) {
    if let Some(why) = THEIRS.missing() {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml", "four.eml"]);
    let mut left: Option<(Sight, Marks)> = None;
    for (round, &program) in programs.iter().enumerate() {
        eprintln!("round {round}: {program:?}");
        let mut client = serve(program, &mail);
        let (found, marks) = look(&mut client);
        if let Some((left, marks_left)) = &left {
            assert_eq!(
                *left, found,
                "{program:?} finds something else than was left"
            );
            not_back(marks_left, &marks);
        }
        work(&mut client, round);
        let now = look(&mut client);
        not_back(&marks, &now.1);
        left = Some(now);
        client.logout();
    }
}

fn not_back(before: &Marks, after: &Marks) {
    for (name, (next, highest)) in before {
        if let Some((next_after, highest_after)) = after.get(name) {
            assert!(
                next_after >= next,
                "UIDNEXT of {name}: {next}, then {next_after}"
            );
            assert!(
                highest_after >= highest,
                "HIGHESTMODSEQ of {name}: {highest}, then {highest_after}"
            );
        }
    }
}

#[test]
fn theirs_ours_theirs() {
    hand_over(&[THEIRS, ours(), THEIRS]);
}

#[test]
fn ours_theirs_ours() {
    hand_over(&[ours(), THEIRS, ours()]);
}

#[test]
fn many_times_in_turn() {
    hand_over(&[
        THEIRS,
        ours(),
        ours(),
        THEIRS,
        ours(),
        THEIRS,
        THEIRS,
        ours(),
    ]);
}

#[test]
fn both_serve_the_same_mail_at_once_and_agree() {
    if let Some(why) = THEIRS.missing() {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml", "four.eml"]);
    let (mut a, mut b) = (serve(ours(), &mail), serve(THEIRS, &mail));
    for round in 0..6 {
        work(if round % 2 == 0 { &mut a } else { &mut b }, round);
        agree(&mail, &format!("after round {round}"));
    }
    // And with a mailbox selected on both sides.
    a.ok("SELECT INBOX");
    b.ok("SELECT INBOX");
    for round in 10..20 {
        a.append("INBOX", &numbered(round));
        b.append(r"INBOX (\Flagged)", &numbered(round + 100));
        a.ok(&format!("STORE 1:* +FLAGS.SILENT (a{})", round % 4));
        b.ok(&format!("STORE 1:* +FLAGS.SILENT (b{})", round % 4));
    }
    a.ok("UNSELECT");
    b.ok("UNSELECT");
    let ours = agree(&mail, "in the end");
    let uids: Vec<u32> = ours.mailboxes["INBOX"].messages.keys().copied().collect();
    assert!(uids.len() >= 20, "{uids:?}");
}

#[test]
fn doveadm_and_their_lda_work_on_what_we_serve() {
    if let Some(why) = THEIRS.missing() {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml", "four.eml"]);
    let mut client = serve(ours(), &mail);
    client.ok("CREATE Work");
    client.ok("SELECT INBOX");
    let mut idle = client.idle();
    doveadm(
        &mail,
        &[
            "flags",
            "add",
            "\\Flagged $Label1",
            "mailbox",
            "INBOX",
            "uid",
            "2",
        ],
    );
    idle.expect(r"2 FETCH (FLAGS (\Flagged $Label1) ...)");
    lda(&mail, "INBOX", &numbered(1));
    idle.expect("5 EXISTS");
    doveadm(&mail, &["move", "Work", "mailbox", "INBOX", "uid", "3"]);
    idle.expect("3 EXPUNGE");
    doveadm(&mail, &["expunge", "mailbox", "INBOX", "uid", "1"]);
    idle.expect("1 EXPUNGE");
    lda(&mail, "Work", &numbered(2));
    idle.done();
    client.ok("FETCH 1:* (UID FLAGS)").untagged([
        r"1 FETCH (UID 2 FLAGS (\Flagged $Label1))",
        "2 FETCH (UID 4 FLAGS ())",
        "3 FETCH (UID 5 FLAGS ())",
    ]);
    client
        .ok("STATUS Work (MESSAGES UIDNEXT)")
        .contains("STATUS Work (MESSAGES 2 UIDNEXT 3)");
    client.ok(r"UID STORE 4 +FLAGS.SILENT (\Answered)");
    client.ok("UNSELECT");
    agree(&mail, "after their tools");
}

/// A mail program that keeps a copy of INBOX and brings it up to date by QRESYNC alone.
#[derive(Default)]
struct Copy {
    uid_validity: u64,
    modseq: u64,
    messages: BTreeMap<u32, BTreeSet<String>>,
}

impl Copy {
    /// RFC 7162 3.2.5: SELECT with what is known; then the copy must be what the server has.
    fn resync(&mut self, client: &mut Client, what: &str) {
        client.ok("ENABLE QRESYNC");
        let select = match self.modseq {
            0 => "SELECT INBOX".to_owned(),
            modseq => format!("SELECT INBOX (QRESYNC ({} {modseq}))", self.uid_validity),
        };
        let reply = client.ok(&select);
        let validity = reply.number("UIDVALIDITY");
        if self.modseq != 0 {
            assert_eq!(validity, self.uid_validity, "UIDVALIDITY changed {what}");
        }
        let highest = reply.number("HIGHESTMODSEQ");
        assert!(highest >= self.modseq, "HIGHESTMODSEQ went back {what}");
        self.take(&reply);
        let known = self.messages.keys().next_back().map_or(1, |last| last + 1);
        self.take(&client.ok(&format!("UID FETCH {known}:* (FLAGS)")));
        (self.uid_validity, self.modseq) = (validity, highest);

        let mut truth = BTreeMap::new();
        let all = client.ok("UID FETCH 1:* (FLAGS)");
        for n in 1..=u32::try_from(all.untagged.len()).expect("a count") {
            if all.find_item(n, "UID").is_some() {
                truth.insert(uid(&all, n), flags(all.item(n, "FLAGS")));
            }
        }
        assert_eq!(
            self.messages,
            truth,
            "the copy is wrong {what}\n{}",
            client.conversation()
        );
        client.ok("UNSELECT");
    }

    fn take(&mut self, reply: &Reply) {
        for response in &reply.untagged {
            match response.tokens.as_slice() {
                [word, .., Token::Atom(set)] if word.as_atom() == Some("VANISHED") => {
                    for element in set.split(',') {
                        let (first, last) = element.split_once(':').unwrap_or((element, element));
                        let range = first.parse().expect("a UID")..=last.parse().expect("a UID");
                        self.messages.retain(|uid, _| !range.contains(uid));
                    }
                }
                [_, word, Token::List(items)] if word.as_atom() == Some("FETCH") => {
                    let value = |name: &str| {
                        items
                            .chunks(2)
                            .find(|p| p[0].as_atom() == Some(name))
                            .map(|p| &p[1])
                    };
                    if let (Some(uid), Some(now)) = (value("UID"), value("FLAGS")) {
                        let uid = u32::try_from(uid.number().expect("a UID")).expect("a UID");
                        self.messages.insert(uid, flags(now));
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_qresync_client_misses_nothing_whoever_it_asks() {
    if let Some(why) = THEIRS.missing() {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml", "four.eml"]);
    let inbox = mail.inbox();
    let mut copy = Copy::default();
    let mut dice = Dice(20_231_114);
    copy.resync(&mut serve(THEIRS, &mail), "at first");
    for round in 0..40 {
        let writer = if dice.roll(2) == 0 { ours() } else { THEIRS };
        let reader = if dice.roll(2) == 0 { ours() } else { THEIRS };
        let mut what = format!("in round {round}: changed by {writer:?}, read by {reader:?}:");
        let mut client = serve(writer, &mail);
        client.ok("SELECT INBOX");
        for _ in 0..=dice.roll(3) {
            what += &change(&mut client, &inbox, &mut dice, round);
        }
        client.logout();
        copy.resync(&mut serve(reader, &mail), &what);
    }
}

#[test]
fn a_qresync_client_misses_nothing_while_both_serve() {
    if let Some(why) = THEIRS.missing() {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml", "four.eml"]);
    let inbox = mail.inbox();
    let mut dice = Dice(7_162);
    let mut writers = [serve(ours(), &mail), serve(THEIRS, &mail)];
    for writer in &mut writers {
        writer.ok("SELECT INBOX (CONDSTORE)");
    }
    // One client stays with ours, one with theirs.
    let mut copies = [Copy::default(), Copy::default()];
    for round in 0..30 {
        let which = dice.roll(2);
        let mut what = format!("in round {round}: changed by writer {which}:");
        what += &change(&mut writers[which], &inbox, &mut dice, round);
        for (copy, program) in copies.iter_mut().zip([ours(), THEIRS]) {
            let what = format!("{what} read by {program:?}");
            copy.resync(&mut serve(program, &mail), &what);
        }
    }
}

#[test]
fn a_qresync_client_that_asks_each_in_turn_misses_nothing_while_both_serve() {
    if let Some(why) = THEIRS.missing() {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml", "four.eml"]);
    let inbox = mail.inbox();
    let mut dice = Dice(9_051);
    let mut writers = [serve(ours(), &mail), serve(THEIRS, &mail)];
    for writer in &mut writers {
        writer.ok("SELECT INBOX (CONDSTORE)");
    }
    let mut copy = Copy::default();
    for round in 0..30 {
        let (writer, reader) = (dice.roll(2), [ours(), THEIRS][dice.roll(2)]);
        let mut what = format!("in round {round}: changed by writer {writer}, read by {reader:?}:");
        what += &change(&mut writers[writer], &inbox, &mut dice, round);
        copy.resync(&mut serve(reader, &mail), &what);
    }
}

/// One change of some kind by the client, or by a program outside; says which.
fn change(client: &mut Client, inbox: &Folder, dice: &mut Dice, round: usize) -> String {
    client.ok("NOOP");
    let count = client.ok("STATUS INBOX (MESSAGES)");
    let messages = count
        .untagged
        .iter()
        .find(|r| r.word() == "STATUS")
        .expect("STATUS");
    let messages = messages.tokens[2].list().expect("items")[1]
        .number()
        .expect("a count");
    let some = 1 + dice.roll(usize::try_from(messages).expect("a count").max(1));
    match dice.roll(7) {
        0 => {
            client.append("INBOX", &numbered(round));
            " an append;".into()
        }
        1 => {
            inbox.deliver(&numbered(round + 1000));
            client.ok("NOOP");
            " a delivery;".into()
        }
        2 if messages > 3 => {
            client.ok(&format!(r"STORE {some} +FLAGS.SILENT (\Deleted)"));
            client.ok("EXPUNGE");
            format!(" an expunge of {some};")
        }
        3 if messages > 3 => {
            let bases = inbox.bases();
            inbox.remove(&bases[dice.roll(bases.len())]);
            client.ok("NOOP");
            " a file removed;".into()
        }
        4 => {
            let bases = inbox.bases();
            let base = &bases[dice.roll(bases.len())];
            inbox.set_flags(base, ["", "S", "F", "FS", "RS"][dice.roll(5)]);
            client.ok("NOOP");
            " a file renamed;".into()
        }
        _ => {
            let flag = [r"\Seen", r"\Flagged", "$Forwarded", "Junk"][dice.roll(4)];
            let sign = ["+", "-"][dice.roll(2)];
            client.ok(&format!("STORE {some} {sign}FLAGS.SILENT ({flag})"));
            format!(" {sign}{flag} on {some};")
        }
    }
}

/// The same throws in every run (a linear congruential generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("64 bits") % sides
    }
}
