//! Each format as its own tools and Dovecot write it, and broken in every way.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::maildir::disk::dir::scratch::Scratch;
use crate::maildir::dovecot::modseq::lab::Lab;

fn expand_bytes(bytes: &[u8], limit: u64) -> Result<Option<Vec<u8>>, CompressedError> {
    let scratch = Scratch::new();
    scratch.write("mail", bytes);
    let file = Arc::new(scratch.dir.open_file(b"mail").unwrap());
    let Some(format) = detect(&bytes[..bytes.len().min(FIRST_BYTES)]) else {
        return Ok(None);
    };
    let expanded = Expansion::begin(&file, format, &scratch.dir, limit)
        .and_then(|mut expansion| Ok(expansion.go_on(&|| false)?.expect("no slices")));
    assert_eq!(scratch.names(), ["mail"], "nothing is left behind");
    let expanded = match expanded {
        Err(CompressedError::Broken) if format == Format::Zlib => return Ok(None),
        Ok(expanded) if expanded.is_cut => return Err(CompressedError::Broken),
        expanded => expanded?,
    };
    Ok(Some(expanded).map(|Expanded { file, size, .. }| {
        let mut text = vec![0; 1 + size as usize];
        let mut got = 0;
        while let n @ 1.. = file.read_at(&mut text[got..], got as u64).unwrap() {
            got += n;
        }
        assert_eq!(got as u64, size);
        text.truncate(got);
        text
    }))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

fn lz4(text: &[u8]) -> Vec<u8> {
    let mut file = [LZ4_MAGIC, &[0, 1, 0, 0]].concat();
    for chunk in text.chunks(0x1_0000) {
        let chunk = lz4_flex::block::compress(chunk);
        file.extend((chunk.len() as u32).to_be_bytes());
        file.extend(chunk);
    }
    file
}

fn message() -> Vec<u8> {
    (0..20_000)
        .flat_map(|n| format!("Line {n}\n").into_bytes())
        .collect()
}

type Compress = fn(&[u8]) -> Vec<u8>;
const FORMATS: [(Format, Compress); 5] = [
    (Format::Gzip, gzip),
    (Format::Bzip2, bzip2),
    (Format::Zstd, zstd),
    (Format::Lz4, lz4),
    (Format::Zlib, zlib),
];

#[test]
fn every_format_gives_its_text_back() {
    for (format, compress) in FORMATS {
        for text in [message(), Vec::new(), b"Subject: x\n\n".to_vec()] {
            let file = compress(&text);
            assert_eq!(detect(&file), Some(format));
            assert_eq!(
                expand_bytes(&file, 1 << 30).unwrap(),
                Some(text),
                "{format:?}"
            );
        }
    }
}

#[test]
fn several_members_in_one_file_are_one_text() {
    for (format, compress) in &FORMATS[..3] {
        let mut file = compress(b"Subject: x\n");
        if *format == Format::Zstd {
            file.extend(b"\x50\x2a\x4d\x18\x03\0\0\0abc"); // a frame to skip
        }
        file.extend(compress(b"\nbody\n"));
        let text = expand_bytes(&file, 1 << 30).unwrap();
        assert_eq!(
            text.as_deref(),
            Some(b"Subject: x\n\nbody\n".as_slice()),
            "{format:?}"
        );
    }
}

#[test]
fn plain_messages_are_left_alone() {
    for text in [
        "",
        "x",
        "From: a\n\n",
        "x^: y\nSubject: z\n\n",
        "BZ",
        "CRYPTED",
        "Dovecot-LZ4\n",
    ] {
        assert!(
            matches!(expand_bytes(text.as_bytes(), 9), Ok(None)),
            "{text}"
        );
    }
    // Begins like zlib, and is not.
    assert!(matches!(
        expand_bytes(b"x\x9c\xc3\xbc: 8 bit\n", 99),
        Ok(None)
    ));
}

#[test]
fn a_text_larger_than_the_limit_is_refused() {
    for (format, compress) in FORMATS {
        let file = compress(&message());
        let refused = expand_bytes(&file, 1000);
        assert!(
            matches!(refused, Err(CompressedError::TooLarge)),
            "{format:?}"
        );
    }
}

#[test]
fn a_file_cut_short_is_broken() {
    for (format, compress) in &FORMATS[..4] {
        let file = compress(&message());
        let cut = expand_bytes(&file[..file.len() - 9], 1 << 30);
        assert!(
            matches!(cut, Err(CompressedError::Broken)),
            "{format:?} {:?}",
            cut.map(|t| t.map(|t| t.len()))
        );
    }
}

#[test]
fn a_file_cut_short_gives_what_it_has() {
    for (format, compress) in &FORMATS[..4] {
        let text: Vec<u8> = (0..200_000_u32)
            .flat_map(|n| format!("{}\n", n.wrapping_mul(2_654_435_761)).into_bytes())
            .collect();
        let whole = compress(&text);
        let scratch = Scratch::new();
        scratch.write("mail", &whole[..whole.len() - 9]);
        let file = Arc::new(scratch.dir.open_file(b"mail").unwrap());
        let mut expansion = Expansion::begin(&file, *format, &scratch.dir, 1 << 30).unwrap();
        let expanded = expansion.go_on(&|| false).unwrap().unwrap();
        assert!(expanded.is_cut, "{format:?}");
        let mut start = vec![0; 1000];
        assert_eq!(expanded.file.read_at(&mut start, 0).unwrap(), 1000);
        assert_eq!(start, &text[..1000], "{format:?}");
    }
}

#[test]
fn expanding_stops_at_the_end_of_each_slice() {
    let members = bzip2(b"").repeat(2000);
    for file in [
        members,
        gzip(&vec![b'x'; 50_000_000]),
        gzip(b"").repeat(2000),
    ] {
        let scratch = Scratch::new();
        scratch.write("mail", &file);
        let input = Arc::new(scratch.dir.open_file(b"mail").unwrap());
        let format = detect(&file).unwrap();
        let mut expansion = Expansion::begin(&input, format, &scratch.dir, 1 << 30).unwrap();
        let mut slices = 1;
        while expansion.go_on(&|| true).unwrap().is_none() {
            slices += 1;
        }
        assert!(slices >= 1000, "{slices}");
    }
}

#[test]
fn a_text_that_begins_like_bzip2_is_plain() {
    for text in ["BZhang: x\n\n", "BZh9: x\n\nxxxxxxxxxxxx"] {
        assert_eq!(detect(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn what_cannot_be_read_says_so() {
    let encrypted = expand_bytes(b"CRYPTED\x03\x07\x02....", 99);
    assert!(matches!(encrypted, Err(CompressedError::Encrypted)));
    let xz = expand_bytes(b"\xfd7zXZ\0....", 99);
    assert!(matches!(xz, Err(CompressedError::Unsupported)));
    let huge_chunk = [LZ4_MAGIC, &[0x7f, 0, 0, 0]].concat();
    assert!(matches!(
        expand_bytes(&huge_chunk, 99),
        Err(CompressedError::Broken)
    ));
}

#[test]
fn what_dovecot_compresses_we_read() {
    for method in ["gz", "bz2", "zstd", "lz4"] {
        let settings = format!(
            "mail_plugins = zlib\nplugin {{\n  zlib_save = {method}\n  zlib_save_level = 6\n}}\n"
        );
        let Some(lab) = Lab::new(&settings) else {
            return;
        };
        let mut imap = lab.imap();
        imap.append("INBOX", 1);
        let text = format!("Subject: long\r\n\r\n{}", "0123456789\r\n".repeat(20_000));
        imap.ok(&format!("APPEND INBOX {{{}+}}\r\n{text}", text.len()));
        imap.ok("SELECT INBOX");
        let mut texts = Vec::new();
        for entry in std::fs::read_dir(lab.maildir().join("cur")).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(detect(&bytes).is_some(), "{method}");
            texts.push(expand_bytes(&bytes, 1 << 30).unwrap());
        }
        texts.sort_by_key(|text| text.as_ref().map(Vec::len));
        let expected = ["Subject: 0\n\n.\n".to_owned(), text.replace('\r', "")];
        assert_eq!(
            texts,
            expected.map(|text| Some(text.into_bytes())),
            "{method}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn arbitrary_bytes_after_the_magic_do_no_harm(format in 0..5usize, at in 0..1000usize, bytes in prop::collection::vec(any::<u8>(), 1..40)) {
        let mut file = FORMATS[format].1(&message()[..3000]);
        let at = at % file.len();
        file.splice(at.., bytes);
        let _ = expand_bytes(&file, 1 << 20);
    }
}
