//! The small words of the grammar, read and written: atom, quoted, literal, astring, number.
//!
//! A `Reader` walks over one whole command as framing delivers it: the line without its end, and
//! where literals were announced, their octets after the line end of the announcement.

use std::borrow::Cow;

pub use super::date::{Date, write_date_time};
pub use crate::mail::DateTime;

/// Why a command could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The text for the BAD response.
    Syntax(&'static str),
    /// The text stops where a literal's octets should be: right as far as it goes.
    LiteralAwaited,
}

pub type Parsed<T> = Result<T, ParseError>;

/// Shorthand for a syntax error with its text.
pub fn fail<T>(text: &'static str) -> Parsed<T> {
    Err(ParseError::Syntax(text))
}

/// A place in a command's text.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// What is still to be read.
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { rest: text }
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// What is still to be read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes `byte` if it comes next.
    pub fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    pub fn expect(&mut self, byte: u8, otherwise: &'static str) -> Parsed<()> {
        if self.eat(byte) {
            return Ok(());
        }
        fail(otherwise)
    }

    /// SP between arguments; more than one is forgiven.
    pub fn space(&mut self) -> Parsed<()> {
        if self.skip_spaces() {
            return Ok(());
        }
        fail("Missing argument")
    }

    /// The end of the command.
    pub fn end(&self) -> Parsed<()> {
        if self.is_at_end() {
            return Ok(());
        }
        fail("Too many arguments")
    }

    /// Whether nothing follows; spaces are forgiven.
    pub fn is_at_end(&self) -> bool {
        self.rest.iter().all(|&byte| byte == b' ')
    }

    /// A keyword of the grammar, in upper case; empty if there is none.
    pub fn word(&mut self) -> Word {
        Word::new(self.take_while(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)))
    }

    /// atom = 1*ATOM-CHAR
    pub fn atom(&mut self) -> Parsed<&'a [u8]> {
        match self.take_while(is_atom_char) {
            [] => fail("Missing atom"),
            atom => Ok(atom),
        }
    }

    /// astring = 1*ASTRING-CHAR / string; octets above 127 are let through.
    pub fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.take_while(|byte| is_astring_char(byte) || byte >= 0x80) {
            [] => self.string(),
            atom => Ok(Cow::Borrowed(atom)),
        }
    }

    /// list-mailbox = 1*list-char / string
    pub fn list_mailbox(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.take_while(|byte| {
            is_astring_char(byte) || byte == b'*' || byte == b'%' || byte >= 0x80
        }) {
            [] => self.string(),
            pattern => Ok(Cow::Borrowed(pattern)),
        }
    }

    /// nstring = string / nil
    pub fn nstring(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string().map(Some);
        }
        match self.word().as_str() {
            "NIL" => Ok(None),
            _ => fail("Missing string or NIL"),
        }
    }

    /// string = quoted / literal
    pub fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => fail("Missing string"),
        }
    }

    /// quoted = DQUOTE *QUOTED-CHAR DQUOTE; a backslash is taken off whatever it precedes.
    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        const OPEN: ParseError = ParseError::Syntax("Missing '\"'");
        self.expect(b'"', "Missing '\"'")?;
        let mut unescaped: Option<Vec<u8>> = None;
        loop {
            let stop = memchr::memchr2(b'"', b'\\', self.rest).ok_or(OPEN)?;
            let (piece, tail) = self.rest.split_at(stop);
            if piece
                .iter()
                .any(|byte| matches!(byte, b'\0' | b'\r' | b'\n'))
            {
                return fail("Control character in quoted string");
            }
            let (&special, tail) = tail.split_first().ok_or(OPEN)?;
            self.rest = tail;
            if special == b'"' {
                return Ok(match unescaped {
                    None => Cow::Borrowed(piece),
                    Some(mut text) => {
                        text.extend_from_slice(piece);
                        Cow::Owned(text)
                    }
                });
            }
            let (&escaped, tail) = self.rest.split_first().ok_or(OPEN)?;
            if matches!(escaped, b'\0' | b'\r' | b'\n') {
                return fail("Control character in quoted string");
            }
            let text = unescaped.get_or_insert_default();
            text.extend_from_slice(piece);
            text.push(escaped);
            self.rest = tail;
        }
    }

    /// literal = "{" number64 ["+" / "-"] "}" CRLF *CHAR8
    fn literal(&mut self) -> Parsed<&'a [u8]> {
        let size = self.literal_header()?.size;
        if self.rest.is_empty() {
            return Err(ParseError::LiteralAwaited);
        }
        self.eat(b'\r');
        self.expect(b'\n', "Octets after literal size")?;
        let octets = usize::try_from(size)
            .ok()
            .and_then(|size| self.rest.split_at_checked(size));
        let Some((octets, rest)) = octets else {
            return Err(ParseError::LiteralAwaited);
        };
        self.rest = rest;
        if memchr::memchr(0, octets).is_some() {
            return fail("NUL in literal");
        }
        Ok(octets)
    }

    /// `["~"] "{" number64 ["+" / "-"] "}"` (RFC 7888 8, RFC 3516 7)
    pub fn literal_header(&mut self) -> Parsed<Literal> {
        let literal8 = self.eat(b'~');
        self.expect(b'{', "Missing literal")?;
        let size = self.number64()?;
        let synchronising = !(self.eat(b'+') || self.eat(b'-'));
        self.expect(b'}', "Missing '}'")?;
        Ok(Literal {
            size,
            literal8,
            synchronising,
        })
    }

    /// number = 1*DIGIT, below 2^32
    pub fn number(&mut self) -> Parsed<u32> {
        match u32::try_from(self.number64()?) {
            Ok(n) => Ok(n),
            Err(_) => fail("Number out of range"),
        }
    }

    /// nz-number
    pub fn nz_number(&mut self) -> Parsed<u32> {
        match self.number()? {
            0 => fail("Number out of range"),
            n => Ok(n),
        }
    }

    /// number64 = 1*DIGIT, below 2^63
    pub fn number64(&mut self) -> Parsed<u64> {
        let mut value = 0u64;
        let mut length = 0;
        for byte in self.rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value.saturating_mul(10).saturating_add(digit.into());
            length += 1;
        }
        if length == 0 {
            return fail("Missing number");
        }
        self.take(length);
        if i64::try_from(value).is_err() {
            return fail("Number out of range");
        }
        Ok(value)
    }

    /// `"(" item *(SP item) ")"`, where `()` is allowed as well; spaces inside the parentheses are
    /// forgiven.
    pub fn list(&mut self, mut item: impl FnMut(&mut Reader<'a>) -> Parsed<()>) -> Parsed<()> {
        self.expect(b'(', "Missing '('")?;
        self.skip_spaces();
        while !self.eat(b')') {
            item(self)?;
            let spaced = self.skip_spaces();
            if !spaced && self.peek() != Some(b')') {
                return fail("Missing ')'");
            }
        }
        Ok(())
    }

    /// Whether there were any.
    pub fn skip_spaces(&mut self) -> bool {
        !self.take_while(|byte| byte == b' ').is_empty()
    }

    /// Takes octets as long as `matches`.
    pub fn take_while(&mut self, matches: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !matches(byte));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Takes `n` octets if they are there.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }
}

/// The announcement of a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    pub size: u64,
    pub literal8: bool,
    pub synchronising: bool,
}

/// A keyword of the grammar in upper case.  One too long to be any is empty.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    text: [u8; WORD_MAX],
    length: usize,
}

impl Word {
    pub fn new(text: &[u8]) -> Word {
        let mut word = Word {
            text: [0; WORD_MAX],
            length: 0,
        };
        if let Some(room) = word.text.get_mut(..text.len()) {
            room.copy_from_slice(text);
            room.make_ascii_uppercase();
            word.length = text.len();
        }
        word
    }

    pub fn as_str(&self) -> &str {
        let text = self.text.get(..self.length).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

/// ATOM-CHAR = any CHAR but "(" ")" "{" SP CTL "%" "*" DQUOTE "\" "]"
pub fn is_atom_char(byte: u8) -> bool {
    is_astring_char(byte) && byte != b']'
}

/// ASTRING-CHAR = ATOM-CHAR / resp-specials
pub fn is_astring_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

/// Writes a number in decimal.
pub fn write_number(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; U64_DIGITS];
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        // n % 10 is below 10.
        *place = b'0' + (n % 10) as u8;
        n /= 10;
        used += 1;
        if n == 0 {
            break;
        }
    }
    out.extend(digits.iter().skip(U64_DIGITS - used));
}

/// string: quoted if it can be, else a literal.  8-bit octets need `utf8` (and to be UTF-8) to
/// be quoted (RFC 9051 4.3).
pub fn write_string(out: &mut Vec<u8>, text: &[u8], utf8: bool) {
    let plain = text
        .iter()
        .all(|&byte| byte < 0x80 && !matches!(byte, b'\0' | b'\r' | b'\n'));
    let quotable = plain || (utf8 && is_quotable_utf8(text));
    if !quotable || text.len() > QUOTED_MAX {
        out.push(b'{');
        write_number(out, text.len() as u64);
        out.extend_from_slice(b"}\r\n");
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// astring: an atom if it can be, else a string.
pub fn write_astring(out: &mut Vec<u8>, text: &[u8], utf8: bool) {
    let atom = !text.is_empty() && text.iter().all(|&byte| is_atom_char(byte));
    if atom && !text.eq_ignore_ascii_case(b"NIL") {
        out.extend_from_slice(text);
    } else {
        write_string(out, text, utf8);
    }
}

fn is_quotable_utf8(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok() && !text.iter().any(|b| matches!(b, b'\0' | b'\r' | b'\n'))
}

/// Some clients take only so much between quotes (RFC 2683 3.4.2 speaks of lines of 1,000 octets).
const QUOTED_MAX: usize = 4096;

const WORD_MAX: usize = 24;

const U64_DIGITS: usize = 20;

#[cfg(test)]
mod tests;
