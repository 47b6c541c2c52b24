//! The text of ENVELOPE (RFC 3501 7.4.2, RFC 9051 7.5.2): strings as written, not decoded.
//!
//! Where a field is repeated, the last counts, and lists of addresses are put together, as in
//! Dovecot.

use super::address::{ADDRESSES_MAX, Address, parse_addresses};
use super::header::{fields, one_spaced, shown, unfold};
use super::nstring::{write_nstring, write_string};

/// Writes the parenthesized `envelope` of a header block.
pub fn write_envelope(header: &[u8], out: &mut Vec<u8>) {
    write_envelope_within(header, &mut ADDRESSES_MAX.clone(), out);
}

/// Writes an envelope under a limit that several envelopes share: at most `addresses` addresses are
/// written, and their number is taken off.
pub(super) fn write_envelope_within(header: &[u8], addresses: &mut usize, out: &mut Vec<u8>) {
    let envelope = Envelope::read(header, *addresses);
    envelope.write(addresses, out);
}

/// Whether a field is one that ENVELOPE is made of.
pub(super) fn is_in_envelope(name: &[u8]) -> bool {
    FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
}

const FIELDS: [&[u8]; 10] = [
    b"Date",
    b"Subject",
    b"From",
    b"Sender",
    b"Reply-To",
    b"To",
    b"Cc",
    b"Bcc",
    b"In-Reply-To",
    b"Message-ID",
];

#[derive(Debug, Default)]
struct Envelope {
    date: Option<Vec<u8>>,
    subject: Option<Vec<u8>>,
    from: Vec<Address>,
    sender: Vec<Address>,
    reply_to: Vec<Address>,
    to: Vec<Address>,
    cc: Vec<Address>,
    bcc: Vec<Address>,
    in_reply_to: Option<Vec<u8>>,
    message_id: Option<Vec<u8>>,
}

impl Envelope {
    fn read(header: &[u8], max: usize) -> Envelope {
        let mut envelope = Envelope::default();
        let mut left = max;
        let mut add = |list: &mut Vec<Address>, value: &[u8]| {
            let mut found = parse_addresses(value, left);
            left = left.saturating_sub(found.len());
            list.append(&mut found);
        };
        for field in fields(header) {
            let value = field.value;
            match field.name.to_ascii_lowercase().as_slice() {
                b"date" => envelope.date = Some(shown(value)),
                // White space in a subject comes from folding.
                b"subject" => envelope.subject = Some(one_spaced(&unfold(value))),
                b"from" => add(&mut envelope.from, value),
                b"sender" => add(&mut envelope.sender, value),
                b"reply-to" => add(&mut envelope.reply_to, value),
                b"to" => add(&mut envelope.to, value),
                b"cc" => add(&mut envelope.cc, value),
                b"bcc" => add(&mut envelope.bcc, value),
                b"in-reply-to" => envelope.in_reply_to = Some(shown(value)),
                b"message-id" => envelope.message_id = Some(shown(value)),
                _ => {}
            }
        }
        envelope
    }

    /// `envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to
    /// SP env-cc SP env-bcc SP env-in-reply-to SP env-message-id ")"`
    fn write(&self, left: &mut usize, out: &mut Vec<u8>) {
        let or_from = |list| {
            if Vec::is_empty(list) {
                &self.from
            } else {
                list
            }
        };
        out.push(b'(');
        write_nstring(self.date.as_deref(), out);
        out.push(b' ');
        write_nstring(self.subject.as_deref(), out);
        let lists = [
            &self.from,
            or_from(&self.sender),
            or_from(&self.reply_to),
            &self.to,
            &self.cc,
            &self.bcc,
        ];
        for list in lists {
            out.push(b' ');
            write_addresses(list, left, out);
        }
        out.push(b' ');
        write_nstring(self.in_reply_to.as_deref(), out);
        out.push(b' ');
        write_nstring(self.message_id.as_deref(), out);
        out.push(b')');
    }
}

/// `"(" 1*address ")" / nil`
fn write_addresses(list: &[Address], left: &mut usize, out: &mut Vec<u8>) {
    let list = list.get(..*left).unwrap_or(list);
    *left = left.saturating_sub(list.len());
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for address in list {
        // address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
        out.push(b'(');
        for (index, part) in [
            &address.name,
            &address.route,
            &address.mailbox,
            &address.host,
        ]
        .into_iter()
        .enumerate()
        {
            if index > 0 {
                out.push(b' ');
            }
            match part {
                Some(text) => write_string(text, out),
                None => out.extend_from_slice(b"NIL"),
            }
        }
        out.push(b')');
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(header: &str) -> String {
        let mut out = Vec::new();
        write_envelope(header.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_example_of_rfc_3501_comes_out() {
        let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
            From: Terry Gray <gray@cac.washington.edu>\r\n\
            Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
            To: imap@cac.washington.edu\r\n\
            cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
            Message-Id: <B27397-0100000@cac.washington.edu>\r\n\r\n";
        let gray = r#"(("Terry Gray" NIL "gray" "cac.washington.edu"))"#;
        assert_eq!(
            envelope(header),
            format!(
                r#"("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" {gray} {gray} {gray} ((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>")"#
            )
        );
    }

    #[test]
    fn a_header_without_fields_is_all_nil() {
        assert_eq!(envelope("\n"), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    }

    #[test]
    fn repeated_lists_are_joined_and_repeated_texts_replaced() {
        assert_eq!(
            envelope("To: a@b\nSubject: x\nTo: G:;\nSubject: y \n\t z\nSender: \n"),
            r#"(NIL "y z" NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "G" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)"#
        );
    }

    #[test]
    fn white_space_around_dates_and_identifiers_is_no_part_of_them() {
        let expected = r#"("Tue, 3 Feb 2026" "s t" NIL NIL NIL NIL NIL NIL "<a@b> <c@d>" "<e@f>")"#;
        assert_eq!(
            envelope(
                "Date: Tue, 3 Feb 2026 \r\r\nSubject:\n\ts\n t\nMessage-ID:\n <e@f>\t\n\
                In-Reply-To:\t<a@b>\n\t <c@d> \n"
            ),
            expected
        );
        assert_eq!(
            envelope(
                "Date:Tue, 3 Feb 2026\nSubject:s\r\r\n t\r\r\nMessage-ID: \r\r\n <e@f>\r\r\n\
                In-Reply-To: \n\t<a@b>\r<c@d>\n"
            ),
            expected
        );
    }

    #[test]
    fn what_is_not_ascii_becomes_a_literal() {
        assert_eq!(
            envelope("Subject: \"é\"\nIn-Reply-To:   \n"),
            "(NIL {4}\r\n\"é\" NIL NIL NIL NIL NIL NIL \"\" NIL)"
        );
    }

    #[test]
    fn addresses_beyond_the_limit_are_left_out() {
        let header = format!("From: {}\n", "a@b,".repeat(30_000));
        let mut out = Vec::new();
        write_envelope(header.as_bytes(), &mut out);
        assert!(out.len() < 25 * ADDRESSES_MAX);
    }
}
