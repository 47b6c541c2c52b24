//! Mail to measure with, the same at every run.

/// A few words with an ASCII subject, one part.
pub fn plain() -> Vec<u8> {
    let mut text = header("Minutes of the meeting", "text/plain; charset=utf-8");
    text.extend_from_slice(&prose(4 << 10, 1));
    text
}

/// What most mail looks like: text and HTML, then a picture and a forwarded message.
pub fn nested() -> Vec<u8> {
    let mut text = header(
        "=?utf-8?Q?Angebot_f=C3=BCr_M=C3=BCller?=",
        "multipart/mixed;\n boundary=\"----=_outer\"",
    );
    text.extend_from_slice(b"This is a message in MIME format.\n");
    text.extend_from_slice(
        b"------=_outer\nContent-Type: multipart/alternative; boundary=inner\n\n",
    );
    for (media_type, seed) in [("text/plain", 2), ("text/html", 3)] {
        text.extend_from_slice(format!("--inner\nContent-Type: {media_type}; charset=\"utf-8\"\nContent-Transfer-Encoding: quoted-printable\n\n").as_bytes());
        text.extend_from_slice(&quoted_printable(20 << 10, seed));
    }
    text.extend_from_slice(b"\n--inner--\n");
    text.extend_from_slice(b"------=_outer\nContent-Type: image/png; name=\"logo.png\"\nContent-Disposition: inline; filename=\"logo.png\"\nContent-ID: <logo@example.org>\nContent-Transfer-Encoding: base64\n\n");
    text.extend_from_slice(&base64_lines(30 << 10, 4));
    text.extend_from_slice(b"------=_outer\nContent-Type: message/rfc822\n\n");
    text.extend_from_slice(&plain());
    text.extend_from_slice(b"\n------=_outer--\n");
    text
}

/// One attachment of ten megabytes.
pub fn attachment() -> Vec<u8> {
    let mut text = header("The plans", "multipart/mixed; boundary=b");
    text.extend_from_slice(b"--b\n\nAttached.\n--b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=plans.pdf\n\n");
    text.extend_from_slice(&base64_lines(10 << 20, 5));
    text.extend_from_slice(b"--b--\n");
    text
}

/// As many boundary lines as fit in a megabyte, which makes a part of four octets.
pub fn bomb() -> Vec<u8> {
    let mut text = header("Boo", "multipart/mixed; boundary=b");
    text.extend(b"--b\n".iter().cycle().take(1 << 20));
    text
}

fn header(subject: &str, content_type: &str) -> Vec<u8> {
    let received = "Received: from mx.example.org (mx.example.org [192.0.2.25])\n\tby mail.example.com (Postfix) with ESMTPS id 4XyZ123abc\n\tfor <alice@example.com>; Mon, 23 Nov 2026 10:17:03 +0100 (CET)\n";
    format!(
        "Return-Path: <bob@example.org>\nDelivered-To: alice@example.com\n{}\
         DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=mail;\n\t{}\n\
         From: \"Bob M. Builder\" <bob@example.org>\nTo: Alice <alice@example.com>, =?utf-8?B?TcO8bGxlcg==?= <mueller@example.com>\n\
         Cc: team: carol@example.com, dave@example.com;\nSubject: {subject}\nDate: Mon, 23 Nov 2026 10:17:01 +0100\n\
         Message-ID: <20261123101701.4711@example.org>\nIn-Reply-To: <20261122@example.com>\nMIME-Version: 1.0\nContent-Type: {content_type}\n\n",
        received.repeat(3),
        "b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZ\n\t ".repeat(6),
    )
    .into_bytes()
}

/// About so many octets of lines of words.
pub fn prose(size: usize, seed: u32) -> Vec<u8> {
    let mut random = Random(seed);
    let mut text = Vec::with_capacity(size + 80);
    let mut column = 0;
    while text.len() < size {
        let word = WORDS[random.next() as usize % WORDS.len()];
        text.extend_from_slice(word.as_bytes());
        column += word.len() + 1;
        text.push(if column > 68 { b'\n' } else { b' ' });
        column %= 69;
    }
    text.push(b'\n');
    text
}

/// Prose as clients send it that think of umlauts; lines broken by `=`.
pub fn quoted_printable(size: usize, seed: u32) -> Vec<u8> {
    let mut text = Vec::new();
    for line in prose(size, seed).split(|&byte| byte == b'\n') {
        text.extend_from_slice(line);
        text.extend_from_slice(b" f=C3=BCr =E2=82=AC=\n\n");
    }
    text
}

/// Lines of 76 characters that stand for so many octets.
pub fn base64_lines(size: usize, seed: u32) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = Random(seed);
    let mut text = Vec::with_capacity(size / 54 * 73);
    for _ in 0..size / 57 {
        text.extend((0..76).map(|_| ALPHABET[(random.next() % 64) as usize]));
        text.push(b'\n');
    }
    text
}

struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }
}

const WORDS: [&str; 24] = [
    "the",
    "mail",
    "a",
    "delivery",
    "of",
    "in",
    "for",
    "quarterly",
    "offer",
    "and",
    "please",
    "answer",
    "until",
    "Friday",
    "we",
    "would",
    "like",
    "to",
    "server",
    "budget",
    "with",
    "best",
    "regards",
    "figures",
];
