//! The pieces structured fields are made of (RFC 5322 3.2): comments, quoted strings, and what stands between.
//!
//! A parenthesis or quote that is opened and never closed is taken for white space, so that the rest of the
//! field still counts. Each kind is looked for to the field's end once only: all steps together are linear.

use super::header::is_wsp;

/// Reads an unfolded field body from left to right.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    rest: &'a [u8],
    comment: Option<&'a [u8]>,
    no_comments: bool,
    no_quotes: bool,
}

impl<'a> Lexer<'a> {
    pub fn new(body: &'a [u8]) -> Lexer<'a> {
        Lexer {
            rest: body,
            comment: None,
            no_comments: false,
            no_quotes: false,
        }
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

    /// `quoted-string` without its quotes and escapes. None where there is none, or only an open quote, which
    /// has then become white space.
    pub fn quoted_string(&mut self) -> Option<Vec<u8>> {
        if self.no_quotes || self.peek() != Some(b'"') {
            return None;
        }
        match closing(self.rest, b'"', b'"') {
            Some((inside, after)) => {
                self.rest = after;
                Some(unescape(inside))
            }
            None => {
                self.no_quotes = true;
                None
            }
        }
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
            if let Some((inside, after)) = closing(self.rest, b'(', b')') {
                self.comment = Some(inside);
                self.rest = after;
                return;
            }
            self.no_comments = true;
        }
        self.skip();
    }
}

/// What is between the `open` octet that `text` starts with and the `close` that belongs to it, and what is after.
fn closing(text: &[u8], open: u8, close: u8) -> Option<(&[u8], &[u8])> {
    let (mut depth, mut escaped) = (0u64, false);
    for (index, &octet) in text.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if octet == b'\\' {
            escaped = true;
        } else if octet == close && depth == 1 {
            return Some((text.get(1..index)?, text.get(index + 1..)?));
        } else if octet == close {
            depth = if index == 0 {
                1
            } else {
                depth.saturating_sub(1)
            };
        } else if octet == open {
            depth += 1;
        }
    }
    None
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
    fn quoted_strings_lose_their_escapes() {
        let mut lexer = Lexer::new(br#""a\"b\\c"d"#);
        assert_eq!(lexer.quoted_string().as_deref(), Some(&br#"a"b\c"#[..]));
        assert_eq!(lexer.peek(), Some(b'd'));
    }
}
