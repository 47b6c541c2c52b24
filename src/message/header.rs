//! Header blocks: fields with their raw text, unfolding, and the filter of BODY[HEADER.FIELDS].
//!
//! A block is lines up to the first empty one. A line that starts with white space continues the
//! field before it. A line without a colon is a field without a name: it is passed on where the
//! whole header is, and means nothing. RFC 5322 3.6 wants no space before the colon; some mail has
//! it, so it is ignored.

use memchr::{memchr, memchr2};

use super::crlf::ToCrlf;

/// One field of a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// What is before the colon, without white space after it; empty for a line that is no field.
    pub name: &'a [u8],
    /// What is after the colon and the white space that follows it, folds and all, without the last
    /// line end.
    pub value: &'a [u8],
    /// All of it with its line end, as in the block.
    pub raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// Takes a field apart; `raw` is one line and those that continue it.
    pub fn new(raw: &'a [u8]) -> Field<'a> {
        let text = trim_line_end(raw);
        // The name is on the first line; a line that continues nothing has none.
        let line = memchr(b'\n', text).map_or(text, |lf| text.get(..lf).unwrap_or_default());
        let starts_field = !line.first().is_some_and(|b| is_wsp(*b));
        match memchr(b':', line).filter(|_| starts_field) {
            Some(colon) => Field {
                name: trim_wsp_end(text.get(..colon).unwrap_or_default()),
                value: trim_wsp_start(text.get(colon + 1..).unwrap_or_default()),
                raw,
            },
            None => Field {
                name: b"",
                value: b"",
                raw,
            },
        }
    }

    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The fields of a block, up to the empty line or the block's end.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { rest: block }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = self.rest;
        if rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            self.rest = b"";
            return None;
        }
        let mut end = 0;
        loop {
            let line = rest.get(end..).unwrap_or_default();
            end += memchr(b'\n', line).map_or(line.len(), |lf| lf + 1);
            if !rest.get(end).is_some_and(|b| is_wsp(*b)) {
                break;
            }
        }
        let (raw, after) = rest.split_at_checked(end)?;
        self.rest = after;
        Some(Field::new(raw))
    }
}

/// The values of all fields with that name, compared without case.
pub fn values<'a>(block: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    fields(block)
        .filter(move |field| field.is(name))
        .map(|field| field.value)
}

/// A value in one line: its line ends are left out, the white space that follows them stays (RFC
/// 5322 2.2.3). A CR that ends no line becomes a space.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(end) = memchr2(b'\r', b'\n', rest) {
        let (line, after) = rest.split_at_checked(end).unwrap_or((rest, b""));
        out.extend_from_slice(line);
        if !matches!(after, [b'\n', ..] | [b'\r', b'\n', ..]) {
            out.push(b' ');
        }
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// A value as ENVELOPE and BODYSTRUCTURE show it: in one line, without white space at its ends. A
/// fold, a tab and a stray CR become one space together with the white space around them; other
/// spaces stay as they are.
pub(super) fn shown(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.trim_ascii();
    while let Some(start) = rest.iter().position(u8::is_ascii_whitespace) {
        let (word, from) = rest.split_at_checked(start).unwrap_or((rest, b""));
        let after = from.trim_ascii_start();
        let space = from.get(..from.len() - after.len()).unwrap_or_default();
        out.extend_from_slice(word);
        if space.iter().all(|b| *b == b' ') {
            out.extend_from_slice(space);
        } else {
            out.push(b' ');
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// Each stretch of white space as one space, none at the ends.
pub(super) fn one_spaced(text: &[u8]) -> Vec<u8> {
    let words: Vec<&[u8]> = text
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(&b' ')
}

/// White space inside a line (RFC 5234).
pub(super) fn is_wsp(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

pub(super) fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

pub(super) fn trim_wsp_start(mut text: &[u8]) -> &[u8] {
    while let Some((_, rest)) = text.split_first().filter(|(first, _)| is_wsp(**first)) {
        text = rest;
    }
    text
}

pub(super) fn trim_wsp_end(mut text: &[u8]) -> &[u8] {
    while let Some((_, rest)) = text.split_last().filter(|(last, _)| is_wsp(**last)) {
        text = rest;
    }
    text
}

/// Finds the end of a header block in chunks cut anywhere.
#[derive(Clone, Debug, Default)]
pub struct HeaderEnd {
    line: Line,
}

/// Where in a line the octet to come stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Start,
    /// After a CR that began the line.
    Cr,
    Within,
}

impl HeaderEnd {
    /// How many octets of this chunk belong to the header, its empty line with them, once that is
    /// known; until then the whole chunk does.
    pub fn push(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            match (self.line, byte) {
                (Line::Start | Line::Cr, b'\n') => return Some(at + 1),
                (Line::Start, b'\r') => {
                    self.line = Line::Cr;
                    at += 1;
                }
                _ => {
                    self.line = Line::Within;
                    let lf = memchr(b'\n', chunk.get(at..).unwrap_or_default())?;
                    self.line = Line::Start;
                    at += lf + 1;
                }
            }
        }
        None
    }
}

/// BODY[HEADER.FIELDS (..)] and BODY[HEADER.FIELDS.NOT (..)], the block in chunks cut anywhere;
/// writes CRLF.
///
/// The empty line at the end is always there for HEADER.FIELDS; for HEADER.FIELDS.NOT it is where
/// the message has it (RFC 3501 6.4.5).
#[derive(Clone, Debug)]
pub struct FieldFilter {
    names: Vec<Vec<u8>>,
    not: bool,
    state: Filter,
    /// The start of a line: what may still be a name, or the empty line, or white space.
    head: Vec<u8>,
    /// Whether the field that a continuation line belongs to is wanted; before any it is nameless.
    wanted: bool,
    convert: ToCrlf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    Head,
    /// In a line whose field is known to be wanted or not.
    Line,
    Done,
}

/// A name is looked for in that much of a line, so that a line without a colon is not held as a
/// whole.
const NAME_MAX: usize = 1000;

impl FieldFilter {
    pub fn new<N: AsRef<[u8]>>(names: &[N], not: bool) -> FieldFilter {
        let names: Vec<Vec<u8>> = names.iter().map(|n| n.as_ref().to_vec()).collect();
        let mut filter = FieldFilter {
            names,
            not,
            state: Filter::Head,
            head: Vec::new(),
            wanted: false,
            convert: ToCrlf::new(0, u64::MAX),
        };
        filter.wanted = filter.wants(b"");
        filter
    }

    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while !rest.is_empty() && self.state != Filter::Done {
            rest = match self.state {
                Filter::Head => self.push_head(rest, out),
                _ => self.push_line(rest, out),
            };
        }
    }

    /// What the end of the block calls for.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let complete = self.state == Filter::Done;
        let mut within_line = self.state == Filter::Line;
        if self.state == Filter::Head && !self.head.is_empty() {
            self.decide(out);
            within_line = true;
        }
        if !self.not && within_line && self.wanted {
            out.extend_from_slice(b"\r\n");
        }
        if !self.not || complete {
            out.extend_from_slice(b"\r\n");
        }
        self.state = Filter::Done;
    }

    /// Collects a line's start until it shows which field it belongs to.
    fn push_head<'i>(&mut self, input: &'i [u8], out: &mut Vec<u8>) -> &'i [u8] {
        let Some((&byte, rest)) = input.split_first() else {
            return input;
        };
        if self.head.is_empty() && is_wsp(byte) {
            self.state = Filter::Line;
            return input;
        }
        if byte == b'\n' {
            if self.head.is_empty() || self.head == b"\r" {
                self.state = Filter::Done;
                return rest;
            }
            self.decide(out);
            return input;
        }
        self.head.push(byte);
        if byte == b':' || self.head.len() == NAME_MAX {
            self.decide(out);
        }
        rest
    }

    fn decide(&mut self, out: &mut Vec<u8>) {
        let head = std::mem::take(&mut self.head);
        let name = head.strip_suffix(b":").map_or(&b""[..], trim_wsp_end);
        self.wanted = self.wants(name);
        self.state = Filter::Line;
        self.emit(&head, out);
        self.head = head;
        self.head.clear();
    }

    fn push_line<'i>(&mut self, input: &'i [u8], out: &mut Vec<u8>) -> &'i [u8] {
        let (line, rest) = match memchr(b'\n', input) {
            Some(lf) => {
                self.state = Filter::Head;
                input.split_at_checked(lf + 1).unwrap_or((input, b""))
            }
            None => (input, &b""[..]),
        };
        self.emit(line, out);
        rest
    }

    fn emit(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.wanted {
            self.convert.push(text, usize::MAX, out);
        }
    }

    fn wants(&self, name: &[u8]) -> bool {
        self.names.iter().any(|n| n.eq_ignore_ascii_case(name)) != self.not
    }
}

/// [`FieldFilter`] over a block in memory.
pub fn select_fields<N: AsRef<[u8]>>(block: &[u8], names: &[N], not: bool, out: &mut Vec<u8>) {
    let mut filter = FieldFilter::new(names, not);
    filter.push(block, out);
    filter.finish(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(block: &[u8]) -> Vec<(&[u8], &[u8])> {
        fields(block).map(|f| (f.name, f.value)).collect()
    }

    fn selected(block: &[u8], names: &[&str], not: bool) -> String {
        let mut out = Vec::new();
        select_fields(block, names, not, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_block_ends_at_the_empty_line() {
        let expected: Vec<(&[u8], &[u8])> = vec![(b"a", b"1\n 2"), (b"b", b"3")];
        assert_eq!(names(b"a: 1\n 2\r\nb \t:3\r\n\r\nc: 4\n"), expected);
        assert_eq!(names(b"a: 1\n 2\nb:3"), expected);
    }

    #[test]
    fn a_line_without_a_colon_is_a_field_without_a_name() {
        let expected: Vec<(&[u8], &[u8])> =
            vec![(b"", b""), (b"", b""), (b"", b"x"), (b"s", b": y")];
        assert_eq!(names(b" lead: 1\njunk\n f: 2\n: x\ns:: y\n"), expected);
    }

    #[test]
    fn unfolding_takes_line_ends_only() {
        assert_eq!(unfold(b"a\r\n b\n\tc\rd\r\r\n e"), b"a b\tc d  e");
    }

    #[test]
    fn values_are_shown_in_one_line_without_space_around_them() {
        for (value, expected) in [
            (&b"\r\n <a@b> "[..], &b"<a@b>"[..]),
            (b"\t<a@b>\r\n\t <c@d>\r\r", b"<a@b> <c@d>"),
            (b"Tue,  3 Feb\t2026\r\r\n 10:00 ", b"Tue,  3 Feb 2026 10:00"),
            (b"a\0b\rc", b"a\0b c"),
            (b" \r\n\t", b""),
        ] {
            assert_eq!(shown(value), expected);
        }
    }

    #[test]
    fn selected_fields_keep_their_folds_and_get_crlf() {
        let block = b"junk\nTo: a\n b\r\n\tc\nSubject : s\ncc:x\n\nbody";
        assert_eq!(
            selected(block, &["TO", "subject"], false),
            "To: a\r\n b\r\n\tc\r\nSubject : s\r\n\r\n"
        );
        assert_eq!(
            selected(block, &["to", "cc"], true),
            "junk\r\nSubject : s\r\n\r\n"
        );
    }

    #[test]
    fn a_header_without_an_empty_line_gets_it_only_in_a_selection() {
        assert_eq!(selected(b"a: b", &["a"], false), "a: b\r\n\r\n");
        assert_eq!(selected(b"a: b", &["b"], false), "\r\n");
        assert_eq!(selected(b"a: b", &["b"], true), "a: b");
        assert_eq!(selected(b"a: b\nc", &["a"], true), "c");
        assert_eq!(selected(b"", &["a"], true), "");
    }

    fn block() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("a: x"),
            Just("b: y"),
            Just("\n"),
            Just("\r\n"),
            Just(" "),
            Just("\r"),
            Just(":"),
            Just("junk"),
            Just("\n\n"),
        ];
        proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(block in block(), cut in 0usize..60, not: bool) {
            let (one, two) = block.split_at(cut.min(block.len()));
            let mut filter = FieldFilter::new(&["a"], not);
            let mut out = Vec::new();
            filter.push(one, &mut out);
            filter.push(two, &mut out);
            filter.finish(&mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), selected(&block, &["a"], not));

            let mut end = HeaderEnd::default();
            let cut_end = match end.push(one) {
                Some(at) => Some(at),
                None => end.push(two).map(|at| one.len() + at),
            };
            prop_assert_eq!(cut_end, HeaderEnd::default().push(&block));
        }

        #[test]
        fn fields_and_empty_line_make_up_the_block(block in block()) {
            let header = HeaderEnd::default().push(&block).map_or(&block[..], |end| &block[..end]);
            let raw: Vec<u8> = fields(&block).flat_map(|f| f.raw.to_vec()).collect();
            let rest = header.strip_prefix(&raw[..]);
            prop_assert!(matches!(rest, Some(b"" | b"\n" | b"\r\n")), "{:?}", rest);
        }
    }
}
