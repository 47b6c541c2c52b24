use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::super::tests::samples;
use super::super::{Attempt, Message};
use super::*;
use crate::mail::Secret;

#[test]
fn every_message_arrives_with_its_descriptor() {
    let (mut ours, mut theirs) = pair();
    for message in samples(null) {
        let (kind, shown) = (message.kind(), format!("{message:?}"));
        let has_descriptor = shown.contains("OwnedFd");
        ours.send(message).unwrap();
        let received = theirs.receive().unwrap().unwrap();
        assert_eq!(received.kind(), kind);
        if !has_descriptor {
            assert_eq!(format!("{received:?}"), shown);
        }
    }
    assert!(theirs.receive().unwrap().is_none());
}

#[test]
fn a_received_descriptor_is_closed_on_exec() {
    let (mut ours, mut theirs) = pair();
    ours.send(Message::Start(null())).unwrap();
    let Message::Start(fd) = theirs.wait().unwrap() else {
        panic!();
    };
    let flags = fcntl(&fd, FcntlArg::F_GETFD).unwrap();
    assert!(FdFlag::from_bits_truncate(flags).contains(FdFlag::FD_CLOEXEC));
}

#[test]
fn the_end_of_the_peer_is_told() {
    let (mut ours, theirs) = pair();
    drop(theirs);
    assert!(matches!(ours.receive(), Err(ChannelError::Closed)));
    assert!(matches!(
        ours.send(Message::Stop),
        Err(ChannelError::Closed)
    ));
}

#[test]
fn what_was_sent_before_the_end_is_received() {
    let (mut ours, mut theirs) = pair();
    theirs.send(Message::GiveUp(Attempt(1))).unwrap();
    drop(theirs);
    assert!(matches!(ours.wait(), Ok(Message::GiveUp(Attempt(1)))));
    assert!(matches!(ours.wait(), Err(ChannelError::Closed)));
}

#[test]
fn a_channel_that_is_not_read_fills_up_and_goes_on_in_order() {
    let (mut ours, mut theirs) = pair();
    let mut sent = 0;
    while !ours.is_full() {
        let text = format!("{sent:0>20000}");
        ours.send(Message::Respond(
            Attempt(sent),
            Secret::new(text.into_bytes()),
        ))
        .unwrap();
        sent += 1;
    }
    assert!(!ours.is_flushed());
    for expected in 0..sent {
        let Some(Message::Respond(Attempt(number), _)) = theirs.receive().unwrap() else {
            panic!();
        };
        assert_eq!(number, expected);
        ours.flush().unwrap();
    }
    assert!(ours.is_flushed() && !ours.is_full());
}

#[test]
fn a_peer_that_never_reads_is_given_up() {
    let (mut ours, _theirs) = pair();
    let error = loop {
        let authority = Message::ClientAuthority(vec![0; 300 * 1024]);
        if let Err(error) = ours.send(authority) {
            break error;
        }
    };
    assert!(matches!(error, ChannelError::Stuck));
}

#[test]
fn the_largest_message_arrives_and_a_larger_one_is_refused() {
    let (mut ours, mut theirs) = pair();
    let of_size = |size| Message::Certificate {
        chain: vec![b'x'; size],
        key: Secret::new(Vec::new()),
    };
    ours.send(of_size(MAX_MESSAGE - 9)).unwrap();
    let Message::Certificate { chain, .. } = theirs.wait().unwrap() else {
        panic!();
    };
    assert_eq!(chain.len(), MAX_MESSAGE - 9);
    let error = ours.send(of_size(MAX_MESSAGE - 8)).unwrap_err();
    assert!(matches!(error, ChannelError::TooLarge));
    ours.send(Message::Stop).unwrap();
    assert!(matches!(theirs.wait(), Ok(Message::Stop)));
}

#[test]
fn too_many_descriptors_break_the_channel_and_are_closed() {
    for count in [2, 4, 5, 200] {
        let (ours, mut theirs) = pair();
        let (reader, writer) = io::pipe().unwrap();
        let raw = vec![writer.as_raw_fd(); count];
        // `Start` without anything else, which should have one.
        let start = codec::encode(Message::Start(null())).unwrap().0;
        send_raw(&ours, &start, &raw);
        drop(writer);
        let error = theirs.receive().unwrap_err();
        assert!(matches!(error, ChannelError::Broken(_)), "{error:?}");
        assert!(is_at_end(reader));
    }
}

#[test]
fn a_descriptor_that_belongs_to_no_message_breaks_the_channel_and_is_closed() {
    let (ours, mut theirs) = pair();
    let (reader, writer) = io::pipe().unwrap();
    let stop = codec::encode(Message::Stop).unwrap().0;
    send_raw(&ours, &stop, &[writer.as_raw_fd()]);
    drop(writer);
    assert!(matches!(theirs.receive(), Err(ChannelError::Broken(_))));
    assert!(is_at_end(reader));
}

#[test]
fn octets_that_are_no_message_break_the_channel() {
    for octets in [
        &b"\xff"[..],
        b"nonsense",
        &[0; 100],
        &vec![1; MAX_MESSAGE + 1],
    ] {
        let (ours, mut theirs) = pair();
        send_raw(&ours, octets, &[]);
        assert!(matches!(theirs.receive(), Err(ChannelError::Broken(_))));
    }
}

#[test]
fn a_descriptor_for_which_there_is_no_room_becomes_an_ended_connection() {
    // As a child, for the limit is the whole process's.
    let name =
        "ipc::channel::tests::a_descriptor_for_which_there_is_no_room_becomes_an_ended_connection";
    if std::env::var_os("ROOST_TEST_FEW_DESCRIPTORS").is_none() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact"])
            .env("ROOST_TEST_FEW_DESCRIPTORS", "1")
            .status();
        assert!(child.unwrap().success());
        return;
    }
    let (mut ours, mut theirs) = pair();
    theirs.keep_stand_ins();
    for _ in 0..STAND_INS {
        ours.send(Message::Start(null())).unwrap();
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 40, hard).unwrap();
    let all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let mut ended = Vec::new();
    for _ in 0..STAND_INS {
        let received = theirs.receive();
        let Ok(Some(Message::Start(fd))) = received else {
            panic!("{received:?}");
        };
        let mut stream = std::os::unix::net::UnixStream::from(fd);
        assert_eq!(io::Read::read(&mut stream, &mut [0]).unwrap(), 0);
        assert!(stream.write_all(b"x").is_err());
        ended.push(stream);
    }
    drop(all);
    ours.send(Message::Start(null())).unwrap();
    let received = theirs.receive();
    let Ok(Some(Message::Start(fd))) = received else {
        panic!("{received:?}");
    };
    assert!(
        File::from(fd)
            .metadata()
            .unwrap()
            .file_type()
            .is_char_device()
    );
}

/// Nobody has the other end any more.
fn is_at_end(mut reader: io::PipeReader) -> bool {
    let mut octets = Vec::new();
    io::Read::read_to_end(&mut reader, &mut octets).is_ok()
}

fn send_raw(channel: &Channel, octets: &[u8], descriptors: &[i32]) {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() {
        &[][..]
    } else {
        &rights
    };
    let fd = channel.fd().as_raw_fd();
    sendmsg::<()>(
        fd,
        &[IoSlice::new(octets)],
        control,
        MsgFlags::empty(),
        None,
    )
    .unwrap();
}

fn pair() -> (Channel, Channel) {
    let (ours, theirs) = Channel::pair().unwrap();
    (ours, Channel::new(theirs).unwrap())
}

fn null() -> OwnedFd {
    let mut file = File::options().write(true).open("/dev/null").unwrap();
    file.write_all(b"").unwrap();
    file.into()
}
