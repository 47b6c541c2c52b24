//! The pieces structured fields are made of (RFC 5322 3.2): comments, quoted strings, and what
//! stands between.
//!
//! A parenthesis or quote that is opened and never closed is taken for white space, so that the
//! rest of the field still counts. Each kind is looked for to the field's end once only: all steps
//! together are linear.

use memchr::memchr2;

use super::encoded_word;
use super::header::is_wsp;

/// Reads an unfolded field body from left to right.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    rest: &'a [u8],
    comment: Option<&'a [u8]>,
    no_comments: bool,
    no_quotes: bool,
    /// No encoded word ends before only so many octets are left.
    no_word_until: usize,
}

impl<'a> Lexer<'a> {
    pub fn new(body: &'a [u8]) -> Lexer<'a> {
        Lexer {
            rest: body,
            comment: None,
            no_comments: false,
            no_quotes: false,
            no_word_until: usize::MAX,
        }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Takes the octet that comes if it is that one.
    pub fn take(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        if found {
            self.skip();
        }
        found
    }

    /// `CFWS`; returns whether there was any.
    pub fn skip_cfws(&mut self) -> bool {
        let before = self.rest.len();
        while let Some(octet) = self.peek() {
            match octet {
                b'(' => self.skip_comment(),
                b'"' if self.no_quotes => self.skip(),
                _ if is_wsp(octet) || octet == b'\r' || octet == b'\n' => self.skip(),
                _ => break,
            }
        }
        self.rest.len() != before
    }

    /// The text of the comment read last, escapes and all.
    pub fn take_comment(&mut self) -> Option<&'a [u8]> {
        self.comment.take()
    }

    /// `quoted-string` without its quotes and escapes. None if there is none, or only an open
    /// quote, which then counts as white space.
    pub fn quoted_string(&mut self) -> Option<Vec<u8>> {
        self.quoted().map(unescape)
    }

    /// `quoted-string` without its quotes, but with its escapes.
    pub fn quoted(&mut self) -> Option<&'a [u8]> {
        if self.no_quotes || self.peek() != Some(b'"') {
            return None;
        }
        let Some(end) = closing_quote(self.rest) else {
            self.no_quotes = true;
            return None;
        };
        self.take_between(end)
    }

    /// Octets as long as they are wanted, and encoded words whatever they hold.
    pub fn words(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let text = self.rest;
        let mut end = 0;
        while let Some(&octet) = text.get(end) {
            end += match self.encoded_word(text.get(end..).unwrap_or_default()) {
                Some(length) => length,
                None if wanted(octet) => 1,
                None => break,
            };
        }
        let (words, after) = text.split_at_checked(end).unwrap_or_default();
        self.rest = after;
        words
    }

    /// The length of the encoded word that `text`, the field from some place on, begins with.
    fn encoded_word(&mut self, text: &[u8]) -> Option<usize> {
        if !text.starts_with(b"=?") || text.len() > self.no_word_until {
            return None;
        }
        encoded_word::token(text)
            .inspect_err(|nothing| {
                if *nothing > 0 {
                    self.no_word_until = text.len().saturating_sub(*nothing);
                }
            })
            .ok()
    }

    /// Octets as long as they are wanted.
    pub fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|b| !wanted(*b));
        let (run, after) = self
            .rest
            .split_at_checked(end.unwrap_or(self.rest.len()))
            .unwrap_or_default();
        self.rest = after;
        run
    }

    /// Leaves out what is before the next of these octets, or before the end.
    pub fn skip_to(&mut self, stops: &[u8]) {
        while let Some(octet) = self.peek() {
            if stops.contains(&octet) {
                return;
            }
            if !self.skip_cfws() && self.quoted_string().is_none() {
                self.skip();
            }
        }
    }

    fn skip_comment(&mut self) {
        if !self.no_comments {
            if let Some(end) = self.closing_parenthesis() {
                self.comment = self.take_between(end);
                return;
            }
            self.no_comments = true;
        }
        self.skip();
    }

    /// Where the comment ends that comes.
    fn closing_parenthesis(&mut self) -> Option<usize> {
        let text = self.rest;
        let (mut depth, mut index) = (0u64, 0);
        while let Some(&octet) = text.get(index) {
            let after = text.get(index..).unwrap_or_default();
            match octet {
                b'\\' => index += 1,
                b'(' => depth += 1,
                b')' if depth <= 1 => return Some(index),
                b')' => depth -= 1,
                b'=' => index += self.encoded_word(after).map_or(0, |length| length - 1),
                _ => {}
            }
            index += 1;
        }
        None
    }

    /// What is between the octet that comes and the one at `end`; goes on after that.
    fn take_between(&mut self, end: usize) -> Option<&'a [u8]> {
        let inside = self.rest.get(1..end)?;
        self.rest = self.rest.get(end + 1..)?;
        Some(inside)
    }
}

/// Where the quote is that closes the one `text` starts with.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut index = 1;
    loop {
        index += memchr2(b'"', b'\\', text.get(index..)?)?;
        match text.get(index) {
            Some(b'"') => return Some(index),
            _ => index += 2,
        }
    }
}

/// Without the backslashes of `quoted-pair`.
pub fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.iter();
    while let Some(&octet) = octets.next() {
        match octet {
            b'\\' => out.extend(octets.next()),
            _ => out.push(octet),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_nest_and_the_last_is_kept() {
        let mut lexer = Lexer::new(br#" (a) (b (c\)) d) x"#);
        assert!(lexer.skip_cfws());
        assert_eq!(lexer.take_comment(), Some(&br"b (c\)) d"[..]));
        assert_eq!(lexer.peek(), Some(b'x'));
    }

    #[test]
    fn what_is_never_closed_is_white_space() {
        let mut lexer = Lexer::new(b"((a");
        assert!(lexer.skip_cfws());
        assert_eq!(lexer.run(|b| b != b' '), b"a");
        let mut lexer = Lexer::new(br#""a\""#);
        assert_eq!(lexer.quoted_string(), None);
        assert!(lexer.skip_cfws());
        assert_eq!(lexer.peek(), Some(b'a'));
    }

    #[test]
    fn an_encoded_word_is_one_token_outside_and_inside_comments() {
        let mut lexer = Lexer::new(b"x=?utf-8?q?a(b,c?==?q?d (=?utf-8?q?e)f?=) g");
        assert_eq!(lexer.words(|b| b > b' '), b"x=?utf-8?q?a(b,c?==?q?d");
        assert!(lexer.skip_cfws());
        assert_eq!(lexer.take_comment(), Some(&b"=?utf-8?q?e)f?="[..]));
        assert_eq!(lexer.peek(), Some(b'g'));
    }

    #[test]
    fn words_that_never_end_are_looked_at_once() {
        let text = b"=?a?q?x,".repeat(100_000);
        let mut lexer = Lexer::new(&text);
        while lexer.peek().is_some() {
            assert_eq!(lexer.words(|b| b != b','), b"=?a?q?x");
            lexer.skip();
        }
        assert_eq!(lexer.no_word_until, 0);
    }

    #[test]
    fn quoted_strings_lose_their_escapes() {
        let mut lexer = Lexer::new(br#""a\"b\\c"d"#);
        assert_eq!(lexer.quoted_string().as_deref(), Some(&br#"a"b\c"#[..]));
        assert_eq!(lexer.peek(), Some(b'd'));
    }
}
