//! Line ends: files hold LF (or CRLF, or both), the wire has CRLF.
//!
//! A line end is LF or CRLF; a CR elsewhere is an ordinary octet and stays. All conversions and
//! counts are incremental, and agree with each other: what [`CrlfCounter`] announces is what
//! [`ToCrlf`] yields, so that a literal's size can be sent before its first octet.
//!
//! NUL may not be sent in a literal (RFC 3501 9, `CHAR8`). [`ToCrlf`] sends the octet 0x80 in its
//! place, as Dovecot does: same size, and no ASCII or UTF-8 text can contain it by right.

use memchr::{memchr, memchr_iter};

/// A piece of a message in its file, and what it measures on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset in the file.
    pub start: u64,
    pub end: u64,
    /// Line feeds in it.
    pub lines: u64,
    /// Line feeds without CR before them: each costs one octet more on the wire.
    pub bare_lines: u64,
}

impl Span {
    /// Octets in the file.
    pub fn size(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Octets on the wire.
    pub fn crlf_size(&self) -> u64 {
        self.size().saturating_add(self.bare_lines)
    }

    pub(super) fn between(start: Mark, end: Mark) -> Span {
        Span {
            start: start.offset,
            end: end.offset,
            lines: end.lines.saturating_sub(start.lines),
            bare_lines: end.bare_lines.saturating_sub(start.bare_lines),
        }
    }

    /// This piece and the one that follows it at once.
    pub fn joined(&self, next: &Span) -> Span {
        Span {
            start: self.start,
            end: next.end,
            lines: self.lines.saturating_add(next.lines),
            bare_lines: self.bare_lines.saturating_add(next.bare_lines),
        }
    }
}

/// A place in a text, with the line ends before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    offset: u64,
    lines: u64,
    bare_lines: u64,
}

impl Mark {
    /// Before the line end of so many octets that precedes it.
    pub fn before_line_end(self, octets: u64) -> Mark {
        Mark {
            offset: self.offset.saturating_sub(octets),
            lines: self.lines.saturating_sub(octets.min(1)),
            bare_lines: self.bare_lines.saturating_sub(u64::from(octets == 1)),
        }
    }
}

/// Measures a text pushed in chunks.
#[derive(Clone, Copy, Debug, Default)]
pub struct CrlfCounter {
    at: Mark,
    after_cr: bool,
}

impl CrlfCounter {
    pub fn push(&mut self, chunk: &[u8]) {
        let Some(last) = chunk.last() else { return };
        let mut crlf = u64::from(self.after_cr && chunk.starts_with(b"\n"));
        let mut lines = 0;
        for block in chunk.chunks(BLOCK) {
            lines += count_lf(block);
        }
        let pairs = chunk.get(1..).unwrap_or_default();
        for (before, block) in chunk.chunks(BLOCK).zip(pairs.chunks(BLOCK)) {
            crlf += count_crlf(before, block);
        }
        self.at.offset = self.at.offset.saturating_add(chunk.len() as u64);
        self.at.lines += lines;
        self.at.bare_lines += lines.saturating_sub(crlf);
        self.after_cr = *last == b'\r';
    }

    /// What was pushed so far, as a span that starts at 0.
    pub fn span(&self) -> Span {
        Span::between(Mark::default(), self.at)
    }

    pub(super) fn mark(&self) -> Mark {
        self.at
    }
}

/// Short enough for a count in one octet per lane, which is what lets the compiler use vectors.
const BLOCK: usize = 255 * 32;

fn count_lf(block: &[u8]) -> u64 {
    let mut total = 0;
    for run in block.chunks(255) {
        total += u64::from(run.iter().map(|b| u8::from(*b == b'\n')).sum::<u8>());
    }
    total
}

/// Places where `before` has CR and `after`, the same text one octet further, has LF.
fn count_crlf(before: &[u8], after: &[u8]) -> u64 {
    let mut total = 0;
    for (a, b) in before.chunks(255).zip(after.chunks(255)) {
        let pair = |(x, y): (&u8, &u8)| u8::from((*x == b'\r') & (*y == b'\n'));
        total += u64::from(a.iter().zip(b).map(pair).sum::<u8>());
    }
    total
}

/// A place in a text from which conversion can go on, so that a client that fetches a body in
/// partial pieces does not make us read it from the start for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Octets of the file's text before it.
    pub read: u64,
    /// Octets of the wire's text before it.
    pub written: u64,
    after_cr: bool,
    /// The CR that we put before a LF is written, the LF is not yet.
    owes_lf: bool,
}

/// LF to CRLF, in pieces: CRLF stays as it is, and so does a bare CR.
#[derive(Clone, Debug)]
pub struct ToCrlf {
    at: Checkpoint,
    /// Octets still to be left out.
    skip: u64,
    /// Octets still wanted after those.
    left: u64,
    keeps_nul: bool,
}

impl ToCrlf {
    /// Yields octets `from .. from + length` of the wire's text (`u64::MAX`: to its end). Input
    /// begins at the text's start.
    pub fn new(from: u64, length: u64) -> ToCrlf {
        ToCrlf::resume(Checkpoint::default(), from, length)
    }

    /// The same, with input that begins `at.read` octets into the text; `at.written <= from`.
    pub fn resume(at: Checkpoint, from: u64, length: u64) -> ToCrlf {
        ToCrlf {
            at,
            skip: from.saturating_sub(at.written),
            left: length,
            keeps_nul: false,
        }
    }

    /// For a literal8 (RFC 3516), which may hold NUL: all of the text, octet for octet.
    pub fn binary() -> ToCrlf {
        ToCrlf {
            keeps_nul: true,
            ..ToCrlf::new(0, u64::MAX)
        }
    }

    /// Converts until the input or the room is used up, or the last octet wanted is written.
    /// Returns how much of the input was used.
    pub fn push(&mut self, input: &[u8], room: usize, out: &mut Vec<u8>) -> usize {
        let mut rest = input;
        if self.skip > 0 {
            let room = usize::try_from(self.skip).unwrap_or(usize::MAX);
            let mut sink = Skipped(0);
            rest = self.convert(rest, room, &mut sink);
            self.skip -= sink.0;
            if self.skip > 0 {
                return input.len();
            }
        }
        let room = room.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let start = out.len();
        out.reserve(room.min(rest.len() + rest.len() / 16 + 2));
        rest = self.convert(rest, room, out);
        let written = out.get_mut(start..).unwrap_or_default();
        self.left -= written.len() as u64;
        if !self.keeps_nul {
            replace_nul(written);
        }
        input.len() - rest.len()
    }

    /// Where the conversion stands.
    pub fn checkpoint(&self) -> Checkpoint {
        self.at
    }

    /// Converts as much of the input as there is room for its result; returns what is left of it.
    fn convert<'i>(&mut self, input: &'i [u8], mut room: usize, out: &mut impl Sink) -> &'i [u8] {
        let at = &mut self.at;
        let mut used = 0; // input[..used] is converted
        let line_ends = memchr_iter(b'\n', input);
        for end in line_ends {
            let run = input.get(used..end).unwrap_or_default();
            let taken = run.len().min(room);
            out.put(run.get(..taken).unwrap_or_default());
            used += taken;
            room -= taken;
            if room == 0 {
                break;
            }
            let bare = match end.checked_sub(1) {
                Some(before) => input.get(before) != Some(&b'\r'),
                None => !at.after_cr,
            };
            if bare && !at.owes_lf {
                out.put(b"\r");
                at.written += 1;
                room -= 1;
                at.owes_lf = true;
                if room == 0 {
                    break;
                }
            }
            out.put(b"\n");
            at.owes_lf = false;
            used += 1;
            room -= 1;
            if room == 0 {
                break;
            }
        }
        if room > 0 {
            let run = input.get(used..).unwrap_or_default();
            let taken = run.len().min(room);
            out.put(run.get(..taken).unwrap_or_default());
            used += taken;
        }
        if let Some(last) = used.checked_sub(1).and_then(|last| input.get(last)) {
            at.after_cr = *last == b'\r';
        }
        at.read += used as u64;
        at.written += used as u64;
        input.get(used..).unwrap_or_default()
    }
}

/// Where converted text goes: into a buffer, or nowhere when it is before what was asked for.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

struct Skipped(u64);

impl Sink for Skipped {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
}

fn replace_nul(mut text: &mut [u8]) {
    while let Some(nul) = memchr(0, text) {
        let (before, after) = text.split_at_mut(nul + 1);
        if let Some(octet) = before.last_mut() {
            *octet = 0x80;
        }
        text = after;
    }
}

/// CRLF to LF, in pieces, for what a client sends: a bare CR stays. So does a CRLF after other CRs:
/// as LF it would make a CRLF of the last of them, and the text sent again would be shorter.
#[derive(Clone, Debug, Default)]
pub struct ToLf {
    /// How many CRs came last.
    crs: usize,
}

impl ToLf {
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len());
        let mut rest = input;
        while let Some(&first) = rest.first() {
            if first == b'\r' {
                let after = rest.iter().position(|byte| *byte != b'\r');
                let (crs, after) = rest
                    .split_at_checked(after.unwrap_or(rest.len()))
                    .unwrap_or_default();
                self.crs += crs.len();
                rest = after;
                continue;
            }
            if first != b'\n' || self.crs != 1 {
                self.put_crs(out);
            }
            self.crs = 0;
            let (text, after) = memchr(b'\r', rest)
                .and_then(|cr| rest.split_at_checked(cr))
                .unwrap_or((rest, b""));
            out.extend_from_slice(text);
            rest = after;
        }
    }

    /// CRs that ended the input.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.put_crs(out);
    }

    fn put_crs(&mut self, out: &mut Vec<u8>) {
        out.resize(out.len() + std::mem::take(&mut self.crs), b'\r');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn crlf(text: &[u8]) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        for &byte in text {
            if byte == b'\n' && out.last() != Some(&b'\r') {
                out.push(b'\r');
            }
            out.push(byte);
        }
        out
    }

    fn lines() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a'), Just(b'b')],
            0..200,
        )
    }

    #[test]
    fn nul_is_never_sent() {
        let mut out = Vec::new();
        ToCrlf::new(0, u64::MAX).push(b"a\0b\0", 100, &mut out);
        assert_eq!(out, b"a\x80b\x80");
    }

    proptest! {
        #[test]
        fn any_cut_and_any_room_give_the_same_text(
            text in lines(), from in 0u64..60, length in 0u64..300,
            steps in proptest::collection::vec((1usize..9, 0usize..9), 1..9),
        ) {
            let whole = crlf(&text);
            let from_index = (from as usize).min(whole.len());
            let wanted = &whole[from_index..(from_index + length as usize).min(whole.len())];
            let (mut out, mut read) = (Vec::new(), 0);
            let mut convert = ToCrlf::new(from, length);
            for (cut, room) in steps.iter().cycle().take(2000).chain([&(1000, 1000), &(1000, 1000)]) {
                let chunk = &text[read..(read + cut).min(text.len())];
                read += convert.push(chunk, *room, &mut out);
                // A client that comes back for the rest continues from here.
                let at = convert.checkpoint();
                prop_assert_eq!(at.read, read as u64);
                if at.written >= from {
                    convert = ToCrlf::resume(at, at.written, length - out.len() as u64);
                }
            }
            prop_assert_eq!(out, wanted);
        }

        #[test]
        fn the_counter_announces_what_is_written(text in lines(), cut in 0usize..200) {
            let cut = cut.min(text.len());
            let mut counter = CrlfCounter::default();
            counter.push(&text[..cut]);
            counter.push(&text[cut..]);
            let span = counter.span();
            prop_assert_eq!(span.crlf_size(), crlf(&text).len() as u64);
            prop_assert_eq!(span.lines, text.iter().filter(|b| **b == b'\n').count() as u64);
        }

        #[test]
        fn to_lf_undoes_to_crlf_for_any_cut(text in lines(), cut in 0usize..200) {
            let cut = cut.min(text.len());
            let mut out = Vec::new();
            let mut convert = ToLf::default();
            convert.push(&text[..cut], &mut out);
            convert.push(&text[cut..], &mut out);
            convert.finish(&mut out);
            // Line ends are LF, but for those after other CRs.
            let text = String::from_utf8(text).unwrap();
            let expected = text.replace("\r\r\n", "\r\r!").replace("\r\n", "\n").replace("\r!", "\r\n");
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
            let mut again = Vec::new();
            ToCrlf::new(0, u64::MAX).push(&out, usize::MAX, &mut again);
            prop_assert_eq!(again, crlf(text.as_bytes()));
        }
    }

    #[test]
    fn long_texts_are_counted_across_block_borders() {
        for line in [&b"x\n"[..], b"x\r\n", b"\n", b"\r\n", b"\r\r\n\n"] {
            let text: Vec<u8> = line.iter().copied().cycle().take(30_000).collect();
            let mut counter = CrlfCounter::default();
            counter.push(&text);
            assert_eq!(counter.span().crlf_size(), crlf(&text).len() as u64);
        }
    }
}
