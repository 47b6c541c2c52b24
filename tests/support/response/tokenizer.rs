//! From a response's bytes to tokens.

use super::Token;

/// Reads tokens off a response's text.
pub(super) struct Tokenizer<'a> {
    rest: &'a [u8],
}

impl<'a> Tokenizer<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Tokenizer { rest }
    }

    pub(super) fn response(&mut self) -> Result<Vec<Token>, String> {
        let word = self.rest.split(|&b| b == b' ').next().unwrap_or(b"");
        let word = String::from_utf8_lossy(word).to_ascii_uppercase();
        if matches!(word.as_str(), "OK" | "NO" | "BAD" | "BYE" | "PREAUTH") {
            return self.status();
        }
        self.sequence(None)
    }

    /// `OK [CODE args] text`
    fn status(&mut self) -> Result<Vec<Token>, String> {
        let mut tokens = vec![self.atom(b"")?];
        if self.rest.first() == Some(&b' ') {
            self.rest = &self.rest[1..];
        }
        if self.rest.first() == Some(&b'[') {
            self.rest = &self.rest[1..];
            tokens.push(Token::Code(self.sequence(Some(b']'))?));
            if self.rest.first() == Some(&b' ') {
                self.rest = &self.rest[1..];
            }
        }
        if !self.rest.is_empty() {
            tokens.push(Token::Human(
                String::from_utf8_lossy(self.rest).into_owned(),
            ));
            self.rest = b"";
        }
        Ok(tokens)
    }

    /// Tokens with single spaces between, up to `end` or the end of input.
    fn sequence(&mut self, end: Option<u8>) -> Result<Vec<Token>, String> {
        let mut tokens = Vec::new();
        loop {
            match (self.rest.first(), end) {
                (None, None) => return Ok(tokens),
                (None, Some(end)) => return Err(format!("no {:?}", char::from(end))),
                (Some(&b), Some(end)) if b == end => {
                    self.rest = &self.rest[1..];
                    return Ok(tokens);
                }
                (Some(b' '), _) if !tokens.is_empty() => self.rest = &self.rest[1..],
                // Adjacent lists, as between the addresses of an ENVELOPE, need no space.
                _ => tokens.push(self.token(end)?),
            }
        }
    }

    fn token(&mut self, end: Option<u8>) -> Result<Token, String> {
        match self.rest {
            [b'(', rest @ ..] => {
                self.rest = rest;
                Ok(Token::List(self.sequence(Some(b')'))?))
            }
            [b'"', rest @ ..] => {
                self.rest = rest;
                self.quoted()
            }
            [b'{', ..] | [b'~', b'{', ..] => self.literal(),
            _ => self.atom(if end == Some(b']') { b"]" } else { b"" }),
        }
    }

    fn quoted(&mut self) -> Result<Token, String> {
        let mut text = Vec::new();
        loop {
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Ok(Token::Text(text));
                }
                [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                    text.push(*byte);
                    self.rest = rest;
                }
                [] => return Err("a quoted string without an end".into()),
            }
        }
    }

    fn literal(&mut self) -> Result<Token, String> {
        let start = self.rest.iter().position(|&b| b == b'{').ok_or("no {")?;
        let end = self
            .rest
            .iter()
            .position(|&b| b == b'}')
            .ok_or("{ without }")?;
        let size: usize = std::str::from_utf8(&self.rest[start + 1..end])
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or("a literal without a size")?;
        let text = self.rest[end + 1..]
            .strip_prefix(b"\r\n")
            .ok_or("no CRLF after }")?;
        if text.len() < size {
            return Err("a literal cut short".into());
        }
        self.rest = &text[size..];
        Ok(Token::Text(text[..size].to_vec()))
    }

    /// Characters up to a space, a parenthesis, a quote or one of `ends`. What is in `[]` belongs
    /// to it.
    fn atom(&mut self, ends: &[u8]) -> Result<Token, String> {
        let mut depth = 0;
        let mut quoted = false;
        let mut length = 0;
        for &byte in self.rest {
            match byte {
                b'"' if depth > 0 => quoted = !quoted,
                _ if quoted => {}
                b'[' => depth += 1,
                b']' if depth > 0 => depth -= 1,
                _ if depth > 0 => {}
                b' ' | b'(' | b')' | b'"' => break,
                _ if ends.contains(&byte) => break,
                _ => {}
            }
            length += 1;
        }
        if length == 0 {
            return Err(format!(
                "no token at {:?}",
                String::from_utf8_lossy(self.rest)
            ));
        }
        let (atom, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(Token::Atom(String::from_utf8_lossy(atom).into_owned()))
    }
}
