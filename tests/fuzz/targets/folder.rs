//! Whole folders: files that have to agree with each other, and may not.
//!
//! An input is text with a line `== NAME` before the bytes of each file.

use super::files::{Scratch, now};
use roost::mail::Fsync;
use roost::maildir::dovecot::modseq::{DovecotLog, Raised};
use roost::maildir::folder::state::messages::Message;
use roost::maildir::folder::{Folder, Look, Step};
use roost::maildir::{Maildir, Settings};
use std::path::{Component, Path};
use std::time::Duration;

/// A folder with any index, uidlist, keywords, counter and messages, checksums put right. It is
/// served, nothing about it changes when it is opened again, and modseqs never go back.
pub fn folder(input: &[u8]) {
    let scratch = Scratch::new();
    for name in ["cur", "new", "tmp"] {
        std::fs::create_dir(scratch.path.join(name)).expect("a directory for the test");
    }
    for (name, bytes) in files(input) {
        match name {
            "roost.index" => scratch.write(name, &sealed_index(bytes)),
            "roost.modseq" => scratch.write(name, &sealed_counter(bytes)),
            "dovecot-uidlist" | "dovecot-keywords" | "dovecot-uidvalidity" => {
                scratch.write(name, bytes);
            }
            _ => deliver(&scratch, name, bytes),
        }
    }
    // One that contradicts itself but has the right checksum was not written by us.
    let has_index = files(input).any(|(name, _)| name == "roost.index");
    serve(&scratch, has_index);
}

/// Opens the folder several times; what was told first, if it can be served.
pub fn serve(scratch: &Scratch, has_index: bool) -> Option<Told> {
    let settings = Settings {
        fsync: Fsync::Never,
        ..Settings::default()
    };
    let maildir = Maildir::new(scratch.path.clone(), settings);
    let mut before: Option<Told> = None;
    for _ in 0..3 {
        let mut folder = Folder::open(&maildir, &scratch.path, now()).ok()?;
        if !sync(&mut folder) {
            return None;
        }
        let told = Told::by(&folder);
        let mut modseqs = folder.messages().iter().map(Message::modseq);
        assert!(has_index || modseqs.all(|modseq| modseq <= told.modseq));
        if let Some(before) = before {
            assert_eq!(told.validity, before.validity);
            assert_eq!(told.messages, before.messages);
            assert!(told.next >= before.next);
            assert!(told.modseq >= before.modseq);
        }
        before = Some(told);
        folder.close(now());
    }
    before
}

#[derive(Debug)]
pub struct Told {
    pub validity: u32,
    pub next: u32,
    modseq: u64,
    /// UIDs and flags.
    pub messages: Vec<(u32, u8, u32)>,
}

impl Told {
    fn by(folder: &Folder) -> Told {
        let live = || {
            folder
                .messages()
                .iter()
                .filter(|message| !message.is_gone())
        };
        let messages: Vec<_> = live()
            .map(|message| {
                let flags = message.flags();
                (message.uid().0, flags.system.0, flags.keywords)
            })
            .collect();
        assert!(messages.is_sorted_by(|a, b| a.0 < b.0));
        let told = Told {
            validity: folder.uid_validity(),
            next: folder.uid_next(),
            modseq: folder.highest_modseq(),
            messages,
        };
        assert_ne!(told.validity, 0);
        assert!(told.messages.last().is_none_or(|last| last.0 < told.next));
        assert_eq!(folder.counts().messages as usize, told.messages.len());
        folder.expunged_since(1);
        (0..told.messages.len()).for_each(|index| drop(folder.email_id(index)));
        told
    }
}

/// False: the folder cannot be served, which is told.
fn sync(folder: &mut Folder) -> bool {
    let look = Look {
        move_new: true,
        force_scan: false,
    };
    for turn in 0..1000 {
        // Some things are worth waiting for.
        let now = now() + Duration::from_millis(20) * turn;
        match folder.sync(look, now, &|| true) {
            Ok(Step::Done) => return true,
            Ok(Step::Again | Step::Locked) => {}
            Err(_) => return false,
        }
    }
    panic!("there is no end to it");
}

/// Only into the three directories of the folder.
pub fn deliver(scratch: &Scratch, name: &str, bytes: &[u8]) {
    let mut parts = Path::new(name).components();
    let (Some(Component::Normal(directory)), Some(Component::Normal(file)), None) =
        (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    if ["cur", "new", "tmp"]
        .iter()
        .any(|known| directory == *known)
    {
        // There are names that no file can have.
        let _ = std::fs::write(scratch.path.join(directory).join(file), bytes);
    }
}

/// Dovecot's index and log. Read in two steps they say what they say at once; a modseq once raised
/// is there to be read.
pub fn modseq_log(input: &[u8]) {
    let scratch = Scratch::new();
    let log = scratch.path.join(LOG);
    for (name, bytes) in files(input) {
        if [LOG, "dovecot.index.log.2", "dovecot.index"].contains(&name) {
            scratch.write(name, bytes);
        }
    }
    let Ok(whole) = std::fs::read(&log) else {
        return;
    };
    let read = |log: &mut DovecotLog| log.read().expect("it can be read").cloned();
    let at_once = read(&mut DovecotLog::new(&scratch.path));
    let mut slowly = DovecotLog::new(&scratch.path);
    let (begin, rest) = whole.split_at(whole.len() / 2);
    scratch.write(LOG, begin);
    read(&mut slowly);
    let mut file = std::fs::File::options()
        .append(true)
        .open(&log)
        .expect("it is there");
    std::io::Write::write_all(&mut file, rest).expect("it can be written");
    let in_steps = read(&mut slowly);
    if rest.is_empty() || begin.len() >= 40 {
        assert_eq!(in_steps, at_once);
    }

    let highest = at_once.map_or(0, |summary| summary.highest_modseq);
    let Some(to) = highest.checked_add(5).filter(|&to| to < 1 << 62) else {
        return;
    };
    if let Ok(Raised::Done) = slowly.raise(to, false, now()) {
        for log in [&mut slowly, &mut DovecotLog::new(&scratch.path)] {
            assert!(read(log).is_some_and(|summary| summary.highest_modseq >= to));
        }
    }
}

pub fn files(input: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let mut rest = input.strip_prefix(b"== ");
    std::iter::from_fn(move || {
        let file = rest?;
        let end = file
            .windows(SEPARATOR.len())
            .position(|octets| octets == SEPARATOR);
        let (file, next) = match end {
            Some(end) => (&file[..end], Some(&file[end + SEPARATOR.len()..])),
            None => (file, None),
        };
        rest = next;
        let line = file.iter().position(|&byte| byte == b'\n');
        let (name, bytes) = file.split_at(line.unwrap_or(file.len()));
        let name = std::str::from_utf8(name).unwrap_or_default();
        Some((name, bytes.get(1..).unwrap_or_default()))
    })
}

/// Gives an index lengths that fit its size, and right checksums.
fn sealed_index(input: &[u8]) -> Vec<u8> {
    const HEADER: usize = 256;
    let mut file = b"RoostIX1".to_vec();
    file.extend_from_slice(input.get(8..).unwrap_or_default());
    if file.len() < HEADER + 4 {
        return file;
    }
    let body = file.len() - HEADER - 4;
    let rows = usize::from(file[8]).min(body / 57);
    let history = usize::from(file[16]).min((body - rows * 57) / 16);
    for (at, length) in [
        (8, rows),
        (16, history),
        (24, body - rows * 57 - history * 16),
    ] {
        file[at..at + 8].copy_from_slice(&(length as u64).to_le_bytes());
    }
    seal(&mut file[..HEADER]);
    seal(&mut file[HEADER..]);
    file
}

/// Gives the records of a counter right checksums.
fn sealed_counter(input: &[u8]) -> Vec<u8> {
    let mut file = b"RoostMS1".to_vec();
    file.extend_from_slice(input.get(8..).unwrap_or_default());
    file[8..].chunks_exact_mut(20).for_each(seal);
    file
}

/// Puts their CRC-32 into the last four octets.
fn seal(bytes: &mut [u8]) {
    if let Some((checked, crc)) = bytes.split_last_chunk_mut() {
        *crc = crc32fast::hash(checked).to_le_bytes();
    }
}

const SEPARATOR: &[u8] = b"\n== ";
const LOG: &str = "dovecot.index.log";
