//! What the parts without input and output cost: `cargo bench`, or `cargo bench NAME` for some.
//!
//! Reading the index and the uidlist goes through files, which the kernel has in memory.

// A benchmark that cannot be set up has nothing to tell.
#![allow(clippy::unwrap_used)]

mod mail;

fn main() {
    divan::main();
}

mod protocol {
    use divan::{Bencher, black_box, counter::BytesCount};
    use roost::imap::command::{Command, parse_arguments, parse_name};
    use roost::imap::connection::{Connection, Event, State};
    use roost::imap::fetch::FetchLine;
    use roost::imap::framing::{Frame, Framer};
    use roost::imap::mailbox::Dialect;
    use roost::imap::syntax::Reader;
    use roost::mail::{Flags, System, Uid};

    /// A thousand commands in one piece, as a pipelining client sends them.
    #[divan::bench]
    fn frame_1000_commands(bencher: Bencher<'_, '_>) {
        let input = b"a17 UID FETCH 4711 (UID FLAGS BODY.PEEK[])\r\n".repeat(1000);
        bencher.counter(BytesCount::of_slice(&input)).bench(|| {
            let mut framer = Framer::new();
            let mut commands = 0;
            framer.handle_input(&input);
            while let Some(Frame::Command) = framer.poll_frame() {
                commands += framer.text().len();
                framer.finish();
            }
            commands
        });
    }

    /// The same, parsed and checked.
    #[divan::bench]
    fn converse_1000_commands(bencher: Bencher<'_, '_>) {
        let input = b"a17 UID FETCH 4711 (UID FLAGS BODY.PEEK[])\r\n".repeat(1000);
        bencher.counter(BytesCount::of_slice(&input)).bench(|| {
            let mut connection = Connection::new(State::Selected, b'/');
            let mut out = Vec::new();
            connection.handle_input(&input);
            std::iter::from_fn(|| connection.poll_event(&mut out)).count()
        });
    }

    /// 10 MB of message in pieces of 64 KiB.
    #[divan::bench]
    fn append_10_mb(bencher: Bencher<'_, '_>) {
        let text = vec![b'x'; 64 << 10];
        bencher.counter(BytesCount::new(10_usize << 20)).bench(|| {
            let mut connection = Connection::new(State::Authenticated, b'/');
            let mut out = Vec::new();
            let mut taken = 0;
            connection.handle_input(b"a APPEND x {10485760+}\r\n");
            for _ in 0..160 {
                connection.handle_input(&text);
                while let Some(event) = connection.poll_event(&mut out) {
                    match event {
                        Event::Append(..) => connection.accept(&mut out),
                        Event::AppendData => {
                            let piece = connection.append_data().len();
                            taken += piece;
                            connection.consume_append_data(piece);
                        }
                        _ => {}
                    }
                }
            }
            assert_eq!(taken, 10 << 20);
        });
    }

    fn parse(text: &[u8]) -> Command {
        let mut reader = Reader::new(text);
        let (_, name) = parse_name(&mut reader);
        parse_arguments(name.unwrap(), &mut reader, Dialect::default()).unwrap()
    }

    #[divan::bench]
    fn parse_fetch() -> Command {
        parse(black_box(b"a UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM TO CC SUBJECT MESSAGE-ID REFERENCES CONTENT-TYPE)]) (CHANGEDSINCE 90060115205545359)"))
    }

    #[divan::bench]
    fn parse_search() -> Command {
        parse(black_box(br#"a UID SEARCH RETURN (MIN MAX COUNT ALL) CHARSET UTF-8 OR (UNSEEN SINCE 1-Feb-2026 NOT FROM "Smith") (FLAGGED LARGER 100000 OR SUBJECT "offer" BODY "figures") UNDELETED UID 1:100000 HEADER List-Id "roost" NOT (KEYWORD $Junk)"#))
    }

    /// A set of 10,000 UIDs, half of them in order.
    #[divan::bench]
    fn parse_and_resolve_10000_uids(bencher: Bencher<'_, '_>) {
        let uids: Vec<String> = (1..=10_000u32)
            .map(|n| {
                if n % 2 == 0 {
                    n * 3
                } else {
                    (n * 7919) % 40_000 + 1
                }
            })
            .map(|uid| uid.to_string())
            .collect();
        let text = format!("a UID FETCH {} FLAGS", uids.join(","));
        bencher.counter(BytesCount::of_str(&text)).bench(|| {
            let Command::Fetch(fetch) = parse(text.as_bytes()) else {
                unreachable!("it is FETCH");
            };
            match fetch.set {
                roost::imap::sequence::Set::Numbers(set) => set.resolve(u32::MAX),
                roost::imap::sequence::Set::Saved => unreachable!("it is no $"),
            }
        });
    }

    /// `UID FETCH 1:* (FLAGS)`, with MODSEQ.
    #[divan::bench]
    fn write_flags_of_100000_messages(bencher: Bencher<'_, '_>) {
        let write = |out: &mut Vec<u8>| {
            out.clear();
            for number in 1..=100_000 {
                let flags = Flags {
                    system: if number % 3 == 0 {
                        System::SEEN | System::ANSWERED
                    } else {
                        System::SEEN
                    },
                    keywords: u32::from(number % 10 == 0),
                };
                let mut line = FetchLine::begin(out, number);
                line.uid(out, Uid(number * 2));
                line.flags(out, flags, false, |_| Some("$Forwarded"));
                line.modseq(out, u64::from(number) + 1_000_000);
                line.end(out);
            }
        };
        let mut out = Vec::new();
        write(&mut out);
        bencher
            .counter(BytesCount::of_slice(&out))
            .bench_local(|| write(&mut out));
    }
}

mod message {
    use super::mail;
    use divan::{Bencher, counter::BytesCount};
    use roost::message::body_structure::write_body_structure;
    use roost::message::charset;
    use roost::message::crlf::ToCrlf;
    use roost::message::encoded_word;
    use roost::message::envelope::write_envelope;
    use roost::message::header::select_fields;
    use roost::message::mime::{Scanner, Structure};
    use roost::message::search::{Needle, Scope, Searcher};
    use roost::message::transfer::{Encoding, TransferDecoder};
    use std::rc::Rc;

    const PIECE: usize = 64 << 10;

    fn scan(text: &[u8]) -> Structure {
        let mut scanner = Scanner::new();
        text.chunks(PIECE).for_each(|piece| scanner.push(piece));
        scanner.finish()
    }

    #[divan::bench(args = ["plain", "nested", "attachment", "bomb"])]
    fn scan_mime(bencher: Bencher<'_, '_>, which: &str) {
        let text = match which {
            "plain" => mail::plain(),
            "nested" => mail::nested(),
            "attachment" => mail::attachment(),
            _ => mail::bomb(),
        };
        bencher
            .counter(BytesCount::of_slice(&text))
            .bench(|| scan(&text));
    }

    #[divan::bench]
    fn write_bodystructure(bencher: Bencher<'_, '_>) {
        let structure = scan(&mail::nested());
        bencher.bench(|| {
            let mut out = Vec::new();
            write_body_structure(&structure, true, &mut out);
            out
        });
    }

    #[divan::bench]
    fn envelope(bencher: Bencher<'_, '_>) {
        let header = header();
        bencher.counter(BytesCount::of_slice(&header)).bench(|| {
            let mut out = Vec::new();
            write_envelope(&header, &mut out);
            out
        });
    }

    #[divan::bench]
    fn header_fields(bencher: Bencher<'_, '_>) {
        let header = header();
        let names = [
            "Date",
            "From",
            "To",
            "Cc",
            "Subject",
            "Message-ID",
            "References",
        ];
        bencher.counter(BytesCount::of_slice(&header)).bench(|| {
            let mut out = Vec::new();
            select_fields(&header, &names, false, &mut out);
            out
        });
    }

    #[divan::bench]
    fn decode_subject() -> String {
        encoded_word::decode(divan::black_box(
            b" =?utf-8?Q?Angebot_f=C3=BCr?=\n =?utf-8?B?IE3DvGxsZXI=?= and more",
        ))
    }

    fn header() -> Vec<u8> {
        let text = mail::nested();
        let end = text.windows(2).position(|two| two == b"\n\n").unwrap();
        text[..end + 2].to_vec()
    }

    #[divan::bench]
    fn lf_to_crlf_10_mb(bencher: Bencher<'_, '_>) {
        let text = mail::prose(10 << 20, 7);
        bencher
            .counter(BytesCount::of_slice(&text))
            .bench_local(|| {
                let mut out = Vec::new();
                let mut convert = ToCrlf::new(0, u64::MAX);
                for piece in text.chunks(PIECE) {
                    out.clear();
                    convert.push(piece, usize::MAX, &mut out);
                }
            });
    }

    #[divan::bench(args = ["base64", "quoted-printable"])]
    fn decode_10_mb(bencher: Bencher<'_, '_>, encoding: &str) {
        let (text, encoding) = match encoding {
            "base64" => (mail::base64_lines(10 << 20, 8), Encoding::Base64),
            _ => (
                mail::quoted_printable(10 << 20, 8),
                Encoding::QuotedPrintable,
            ),
        };
        bencher
            .counter(BytesCount::of_slice(&text))
            .bench_local(|| {
                let mut out = Vec::new();
                let mut decoder = TransferDecoder::new(encoding, false);
                for piece in text.chunks(PIECE) {
                    out.clear();
                    decoder.push(piece, &mut out);
                }
                decoder.finish(&mut out);
            });
    }

    #[divan::bench(args = ["utf-8", "iso-8859-1"])]
    fn to_utf8_10_mb(bencher: Bencher<'_, '_>, label: &str) {
        let text = mail::prose(10 << 20, 9);
        bencher
            .counter(BytesCount::of_slice(&text))
            .bench_local(|| {
                let mut out = String::new();
                let mut decoder = charset::CharsetDecoder::new(label.as_bytes());
                for piece in text.chunks(PIECE) {
                    out.clear();
                    decoder.push(piece, &mut out);
                }
            });
    }

    /// SEARCH TEXT for something that is not there.
    #[divan::bench(args = ["invoice", "gr\u{f6}\u{df}e"])]
    fn search_10_mb(bencher: Bencher<'_, '_>, text: &str) {
        let mut message = mail::plain();
        message.extend_from_slice(&mail::prose(10 << 20, 10));
        let keys = [(Rc::new(Needle::new(text)), Scope::Text)];
        bencher
            .counter(BytesCount::of_slice(&message))
            .bench_local(|| {
                let mut searcher = Searcher::new(&keys);
                for piece in message.chunks(PIECE) {
                    searcher.push(piece);
                }
                searcher.finish()
            });
    }

    /// The same in quoted-printable text, beside a picture that is not looked at.
    #[divan::bench]
    fn search_nested_message(bencher: Bencher<'_, '_>) {
        let message = mail::nested();
        let keys = [(Rc::new(Needle::new("invoice")), Scope::Text)];
        bencher
            .counter(BytesCount::of_slice(&message))
            .bench_local(|| {
                let mut searcher = Searcher::new(&keys);
                searcher.push(&message);
                searcher.finish()
            });
    }
}

mod maildir {
    use divan::Bencher;
    use roost::mail::Fsync;
    use roost::maildir::disk::dir::Dir;
    use roost::maildir::disk::filename::Filename;
    use roost::maildir::dovecot::uidlist::Uidlist;
    use roost::maildir::folder::{Folder, Look, Step};
    use roost::maildir::{Maildir, Settings};
    use std::fmt::Write;
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    #[divan::bench(sample_count = 20)]
    fn read_uidlist_of_100000(bencher: Bencher<'_, '_>) {
        let mail = Mail::new();
        mail.write_uidlist(100_000);
        let dir = Dir::open(&mail.0).unwrap();
        bencher.bench_local(|| Uidlist::read(&dir).unwrap().unwrap().len());
    }

    /// Opening a folder whose index is up to date, which reads it and little else.
    #[divan::bench(sample_count = 20)]
    fn open_folder_of_100000(bencher: Bencher<'_, '_>) {
        let mail = Mail::new();
        for number in 1..=100_000 {
            std::fs::File::create(mail.0.join("cur").join(name(number))).unwrap();
        }
        mail.write_uidlist(100_000);
        // In directories changed just now there may be more to come.
        for name in ["cur", "new"] {
            let directory = std::fs::File::open(mail.0.join(name)).unwrap();
            let long_ago = SystemTime::now() - Duration::from_secs(3600);
            directory.set_modified(long_ago).unwrap();
        }
        mail.open().close(SystemTime::now());
        bencher.bench_local(|| {
            let folder = mail.open();
            assert_eq!(folder.messages().len(), 100_000);
            folder
        });
    }

    #[divan::bench]
    fn parse_filename() -> usize {
        let name = divan::black_box(b"1795441023.M587364P17743.vm,S=36,W=41:2,FSab");
        let file = Filename::parse(name).unwrap();
        file.with_flags(file.flags()).len()
    }

    /// A folder in the directory for temporary files.
    struct Mail(PathBuf);

    impl Mail {
        fn new() -> Mail {
            let path = std::env::temp_dir().join(format!("roost-bench-{}", std::process::id()));
            for name in ["cur", "new", "tmp"] {
                std::fs::create_dir_all(path.join(name)).unwrap();
            }
            Mail(path)
        }

        fn write_uidlist(&self, messages: u32) {
            let mut text = format!(
                "3 V1795441023 N{} G0123456789abcdef0123456789abcdef\n",
                messages + 1
            );
            for number in 1..=messages {
                let name = name(number);
                let base = name.split(':').next().unwrap();
                writeln!(text, "{number} :{base}").unwrap();
            }
            std::fs::write(self.0.join("dovecot-uidlist"), text).unwrap();
        }

        fn open(&self) -> Folder {
            let settings = Settings {
                fsync: Fsync::Never,
                ..Settings::default()
            };
            let maildir = Maildir::new(self.0.clone(), settings);
            let now = SystemTime::now();
            let mut folder = Folder::open(&maildir, &self.0, now).unwrap();
            while folder.sync(Look::default(), now, &|| false).unwrap() != Step::Done {}
            folder
        }
    }

    impl Drop for Mail {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn name(number: u32) -> String {
        format!(
            "{}.M{number:06}P17743.mail.example.org,S=4321,W=4400:2,S",
            1_795_000_000 + number
        )
    }
}
