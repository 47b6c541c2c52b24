//! The small rules everything is made of: atoms, strings, numbers, lists.

use super::{Input, Outcome};

impl Input<'_> {
    /// `flag = "\" atom / atom`; `also` are characters that may follow the backslash by themselves.
    pub(super) fn flag(&mut self, also: &[u8]) -> Outcome {
        if self.accept(b"\\") && self.peek().is_some_and(|b| also.contains(&b)) {
            self.at += 1;
            return Ok(());
        }
        self.atom().map(drop)
    }

    /// `objectid = 1*255(ALPHA / DIGIT / "_" / "-")`
    pub(super) fn objectid(&mut self) -> Outcome {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        {
            self.at += 1;
        }
        if (1..=255).contains(&(self.at - start)) {
            Ok(())
        } else {
            Err("no objectid".into())
        }
    }

    /// `mailbox = "INBOX" / astring`: 7-bit (modified UTF-7) unless UTF-8 is enabled.
    pub(super) fn mailbox(&mut self) -> Outcome {
        let start = self.at;
        self.astring()?;
        let name = &self.all[start..self.at];
        if !self.utf8 && !name.is_ascii() {
            return Err("an 8-bit mailbox name".into());
        }
        Ok(())
    }

    /// `uid-set`, without `*`: a server names what is there.
    pub(super) fn uid_set(&mut self) -> Outcome {
        loop {
            self.nz_number()?;
            if self.accept(b":") {
                self.nz_number()?;
            }
            if !self.accept(b",") {
                return Ok(());
            }
        }
    }

    /// `astring = 1*ASTRING-CHAR / string`
    pub(super) fn astring(&mut self) -> Outcome {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self.run(|b| is_atom_char(b) || b == b']').map(drop),
        }
    }

    pub(super) fn nstring(&mut self) -> Outcome {
        self.nil_or(|input| input.string())
    }

    pub(super) fn string(&mut self) -> Outcome {
        self.string_value().map(drop)
    }

    pub(super) fn string_value(&mut self) -> Outcome<Vec<u8>> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                self.quoted()?;
                Ok(self.all[start + 1..self.at - 1].to_vec())
            }
            Some(b'{') => {
                let text = self.literal()?;
                if text.contains(&0) {
                    Err("NUL in a literal".into())
                } else {
                    Ok(text)
                }
            }
            _ => Err("no string".into()),
        }
    }

    /// RFC 3516: `nstring / literal8`
    pub(super) fn string_or_literal8(&mut self) -> Outcome {
        if self.accept(b"~") {
            self.literal().map(drop)
        } else {
            self.string()
        }
    }

    /// `quoted = DQUOTE *QUOTED-CHAR DQUOTE`
    pub(super) fn quoted(&mut self) -> Outcome {
        self.expect(b"\"")?;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => match self.all.get(self.at + 1) {
                    Some(b'"' | b'\\') => self.at += 2,
                    _ => return Err("a backslash before neither \" nor \\".into()),
                },
                Some(0 | b'\r' | b'\n') | None => return Err("a quoted string broken off".into()),
                Some(0x80..) if !self.utf8 => return Err("8 bits in a quoted string".into()),
                Some(_) => self.at += 1,
            }
        }
    }

    /// `literal = "{" number "}" CRLF *CHAR8`
    pub(super) fn literal(&mut self) -> Outcome<Vec<u8>> {
        self.expect(b"{")?;
        let size = usize::try_from(self.number()?).map_err(|e| e.to_string())?;
        self.expect(b"}\r\n")?;
        let end = self
            .at
            .checked_add(size)
            .filter(|end| *end <= self.all.len());
        let end = end.ok_or("a literal cut short")?;
        let text = self.all[self.at..end].to_vec();
        self.at = end;
        Ok(text)
    }

    pub(super) fn tag(&mut self) -> Outcome {
        self.run(|b| (is_atom_char(b) || b == b']') && b != b'+')
            .map(drop)
    }

    pub(super) fn atom(&mut self) -> Outcome<String> {
        self.run(is_atom_char)
    }

    /// An atom of letters, digits, dots and hyphens, in capitals.
    pub(super) fn word(&mut self) -> Outcome<String> {
        let word = self.run(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))?;
        Ok(word.to_ascii_uppercase())
    }

    pub(super) fn run(&mut self, belongs: impl Fn(u8) -> bool) -> Outcome<String> {
        let start = self.at;
        while self.peek().is_some_and(&belongs) {
            self.at += 1;
        }
        if self.at == start {
            return Err("no atom".into());
        }
        Ok(String::from_utf8_lossy(&self.all[start..self.at]).into_owned())
    }

    /// `number64`, without leading zeros.
    pub(super) fn number(&mut self) -> Outcome<u64> {
        let digits = self.run(|b| b.is_ascii_digit())?;
        if digits.len() > 1 && digits.starts_with('0') {
            return Err("a number with a leading zero".into());
        }
        let number: u64 = digits.parse().map_err(|e| format!("{digits}: {e}"))?;
        if number > u64::MAX / 2 {
            Err("a number over 63 bits".into())
        } else {
            Ok(number)
        }
    }

    pub(super) fn nz_number(&mut self) -> Outcome {
        if self.number()? == 0 {
            Err("0 where none may be".into())
        } else {
            Ok(())
        }
    }

    /// `"(" [element *(SP element)] ")"`
    pub(super) fn list(&mut self, mut element: impl FnMut(&mut Self) -> Outcome) -> Outcome {
        self.expect(b"(")?;
        if self.accept(b")") {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.accept(b")") {
                return Ok(());
            }
            self.sp()?;
        }
    }

    pub(super) fn list_of_pairs(
        &mut self,
        name: impl Fn(&mut Self) -> Outcome,
        value: impl Fn(&mut Self) -> Outcome,
    ) -> Outcome {
        self.list(|input| {
            name(input)?;
            input.sp()?;
            value(input)
        })
    }

    /// `*(SP element)`
    pub(super) fn while_sp(&mut self, mut element: impl FnMut(&mut Self) -> Outcome) -> Outcome {
        while self.accept(b" ") {
            element(self)?;
        }
        Ok(())
    }

    pub(super) fn nil_or(&mut self, other: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        if self.accept_nil() {
            Ok(())
        } else {
            other(self)
        }
    }

    pub(super) fn accept_nil(&mut self) -> bool {
        let nil = self.all[self.at..]
            .get(..3)
            .is_some_and(|text| text.eq_ignore_ascii_case(b"NIL"));
        let alone = !self.all.get(self.at + 3).copied().is_some_and(is_atom_char);
        if nil && alone {
            self.at += 3;
        }
        nil && alone
    }

    pub(super) fn accept(&mut self, bytes: &[u8]) -> bool {
        let there = self.all[self.at..].starts_with(bytes);
        if there {
            self.at += bytes.len();
        }
        there
    }

    pub(super) fn expect(&mut self, bytes: &[u8]) -> Outcome {
        if self.accept(bytes) {
            return Ok(());
        }
        Err(format!("{:?} was expected", String::from_utf8_lossy(bytes)))
    }

    pub(super) fn sp(&mut self) -> Outcome {
        self.expect(b" ")
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.all.get(self.at).copied()
    }

    pub(super) fn end(&self) -> Outcome {
        if self.at == self.all.len() {
            Ok(())
        } else {
            Err("something after the end".into())
        }
    }
}

/// `ATOM-CHAR = <any CHAR except atom-specials>`
fn is_atom_char(byte: u8) -> bool {
    (0x21..0x7f).contains(&byte)
        && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}
