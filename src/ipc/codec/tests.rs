use std::fs::File;

use proptest::prelude::*;

use super::super::KINDS;
use super::super::tests::samples;
use super::*;

#[test]
fn every_message_comes_back_as_it_was() {
    for message in samples(null) {
        let shown = format!("{message:?}");
        let (octets, descriptor) = encode(message).unwrap();
        let raw = descriptor.as_ref().map(|fd| format!("{fd:?}"));
        let decoded = decode(&octets, descriptor).unwrap();
        // Secrets are not shown: their octets are compared by encoding once more.
        assert_eq!(format!("{decoded:?}"), shown, "{raw:?}");
        assert_eq!(encode(decoded).unwrap().0, octets);
    }
}

#[test]
fn every_kind_has_a_code_and_a_sample() {
    let samples = samples(null);
    for kind in KINDS {
        assert!(
            samples.iter().any(|sample| sample.kind() == *kind),
            "{kind:?}"
        );
    }
    for sample in &samples {
        assert!(KINDS.contains(&sample.kind()), "{sample:?}");
    }
}

#[test]
fn what_is_cut_or_goes_on_is_no_message() {
    for message in samples(null) {
        let (octets, descriptor) = encode(message).unwrap();
        let descriptor = || descriptor.as_ref().map(|_| null());
        for end in 0..octets.len() {
            assert!(decode(&octets[..end], descriptor()).is_err(), "{octets:?}");
        }
        let longer = [&octets[..], &[0]].concat();
        assert!(decode(&longer, descriptor()).is_err(), "{octets:?}");
    }
}

#[test]
fn a_descriptor_must_be_there_if_and_only_if_the_message_has_one() {
    for message in samples(null) {
        let (octets, descriptor) = encode(message).unwrap();
        let another = descriptor.is_none().then(null);
        assert!(decode(&octets, another).is_err());
    }
}

#[test]
fn a_length_beyond_the_end_allocates_nothing() {
    let octets = [&[0][..], &u32::MAX.to_be_bytes(), b"x"].concat();
    assert_eq!(decode(&octets, None).unwrap_err(), "it ends before its end");
}

#[test]
fn text_is_utf_8_and_choices_exist() {
    let octets = [&[0][..], &2_u32.to_be_bytes(), b"\xff\xfe"].concat();
    assert_eq!(decode(&octets, None).unwrap_err(), "it is not UTF-8");
    assert!(decode(&[200], None).is_err());
    let (mut octets, descriptor) = encode(Message::Listener(
        super::super::ListenerKind::plain(super::super::Protocol::Sasl),
        null(),
    ))
    .unwrap();
    octets[1] = 5;
    assert!(decode(&octets, descriptor).is_err());
}

#[test]
fn a_message_of_a_large_certificate_fits_and_a_larger_one_is_refused() {
    let certificate = |size| Message::Certificate {
        chain: vec![b'x'; size],
        key: crate::mail::Secret::new(vec![b'y'; 10_000]),
    };
    assert!(encode(certificate(256 * 1024)).is_ok());
    assert_eq!(encode(certificate(MAX_MESSAGE)).unwrap_err(), TooLarge);
}

#[test]
fn a_login_of_more_than_a_client_can_have_sent_is_refused_at_both_ends() {
    let answer = |size| {
        let octets = vec![b'x'; size];
        Message::Respond(super::super::Attempt(1), crate::mail::Secret::new(octets))
    };
    let (octets, _) = encode(answer(MAX_LOGIN - 64)).unwrap();
    assert!(decode(&octets, None).is_ok());
    assert_eq!(encode(answer(MAX_LOGIN)).unwrap_err(), TooLarge);
    let longer = [&octets[..], &[0; 64]].concat();
    assert!(decode(&longer, None).is_err());
    let beyond = encode_unlimited(answer(MAX_LOGIN));
    assert_eq!(decode(&beyond, None).unwrap_err(), "it is too large");
}

#[test]
fn a_long_line_for_the_log_is_cut_between_characters() {
    let line = format!("x{}", "ö".repeat(MAX_LOG_LINE));
    let (octets, _) = encode(Message::Log(super::super::Level::Info, line)).unwrap();
    let Ok(Message::Log(_, line)) = decode(&octets, None) else {
        panic!();
    };
    assert_eq!(line.len(), MAX_LOG_LINE - 1);
}

proptest! {
    /// Whatever comes: an error, or a message that is written in just these octets.
    #[test]
    fn octets_are_a_message_in_one_way_only(
        code in 0..30_u8,
        rest in prop::collection::vec(prop_oneof![Just(0_u8), 0..8_u8, any::<u8>()], 0..80),
    ) {
        let octets = [&[code][..], &rest].concat();
        for descriptor in [None, Some(null())] {
            if let Ok(message) = decode(&octets, descriptor) {
                prop_assert_eq!(&encode(message).unwrap().0[..], &octets[..]);
            }
        }
    }

    #[test]
    fn a_damaged_message_is_an_error_or_another_message(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let mut samples = samples(null);
        let message = samples.swap_remove(which.index(samples.len()));
        let (mut octets, descriptor) = encode(message).unwrap();
        let place = place.index(octets.len());
        octets[place] = octet;
        if let Ok(message) = decode(&octets, descriptor) {
            prop_assert_eq!(&encode(message).unwrap().0[..], &octets[..]);
        }
    }
}

fn encode_unlimited(message: Message) -> Zeroizing<Vec<u8>> {
    let mut writer = Writer::default();
    message.write(&mut writer);
    writer.octets
}

fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}
