//! Addresses (RFC 5322 3.4), read leniently, as ENVELOPE and SEARCH want them.
//!
//! What is broken yields the best guess, and never costs the addresses after it: a missing comma,
//! an unquoted `@` in a name, a semicolon for a comma, an angle bracket that is not closed. Where
//! there is no mailbox or no domain, ENVELOPE says `MISSING_MAILBOX` and `MISSING_DOMAIN` as
//! Dovecot does, because NIL there marks groups.

use super::encoded_word;
use super::header::{one_spaced, unfold};
use super::lexer::{Lexer, unescape};

/// One `address` of ENVELOPE, or one of the two marks of a group (RFC 3501 7.4.2): a start has only
/// a mailbox, which is the group's name, an end has nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub name: Option<Vec<u8>>,
    pub route: Option<Vec<u8>>,
    pub mailbox: Option<Vec<u8>>,
    pub host: Option<Vec<u8>>,
}

/// Reads an `address-list`, at most `max` addresses of it. Strings are as written, not decoded.
pub fn parse_addresses(value: &[u8], max: usize) -> Vec<Address> {
    let body = unfold(value);
    let mut parser = Parser {
        lexer: Lexer::new(&body),
        addresses: Vec::new(),
        max,
        in_group: false,
    };
    while parser.lexer.peek().is_some() && !parser.is_full() {
        parser.element();
    }
    if parser.in_group {
        parser.addresses.push(Address::default());
    }
    parser.addresses
}

/// The addresses of a field as one line of text, decoded: `Name <mailbox@host>, ...`.
pub fn address_text(value: &[u8]) -> String {
    let mut out = String::new();
    for address in parse_addresses(value, ADDRESSES_MAX) {
        let (Some(mailbox), Some(host)) = (&address.mailbox, &address.host) else {
            if let Some(group) = &address.mailbox {
                out.push_str(&encoded_word::decode(group));
                out.push_str(": ");
            }
            continue;
        };
        if let Some(name) = &address.name {
            out.push_str(&encoded_word::decode(name));
            out.push_str(" <");
        } else {
            out.push('<');
        }
        out.push_str(&encoded_word::decode(mailbox));
        out.push('@');
        out.push_str(&encoded_word::decode(host));
        out.push_str(">, ");
    }
    out
}

/// How many addresses are looked at. Each costs ten times its text when it is written out.
pub const ADDRESSES_MAX: usize = 20_000;

struct Parser<'a> {
    lexer: Lexer<'a>,
    addresses: Vec<Address>,
    max: usize,
    in_group: bool,
}

impl Parser<'_> {
    fn is_full(&self) -> bool {
        self.addresses.len() >= self.max
    }

    /// Reads from one separator to the next: an address, a group's start or end, several addresses
    /// that lack their commas, or nothing.
    fn element(&mut self) {
        let mut found = false; // an address since the last separator: lone words after it are left out
        self.lexer.skip_cfws();
        self.lexer.take_comment();
        let mut phrase = Phrase::default();
        loop {
            phrase.read(&mut self.lexer);
            let special = self.lexer.peek();
            match special {
                _ if self.is_full() => return,
                Some(b'<') => {
                    self.angle_address(std::mem::take(&mut phrase));
                    found = true;
                }
                Some(b'@') => {
                    phrase = self.bare_address(std::mem::take(&mut phrase), found);
                    found = true;
                }
                Some(b':') if !self.in_group && !found => {
                    self.lexer.skip();
                    self.in_group = true;
                    self.addresses.push(Address {
                        mailbox: Some(phrase.text),
                        ..Address::default()
                    });
                    return;
                }
                // A closing bracket that nothing opened.
                Some(b'>' | b')') => self.lexer.skip(),
                _ => {
                    self.lexer.skip(); // "," or ";" or ":", or the end
                    if !found {
                        self.words(phrase);
                    }
                    if special == Some(b';') && std::mem::take(&mut self.in_group) {
                        self.addresses.push(Address::default());
                    }
                    return;
                }
            }
        }
    }

    /// `name-addr = [display-name] angle-addr`
    fn angle_address(&mut self, name: Phrase) {
        while self.lexer.take(b'<') {
            self.lexer.skip_cfws();
        }
        let route = self.route();
        let mut local = Phrase::default();
        let mut host = None;
        loop {
            local.read(&mut self.lexer);
            match self.lexer.peek() {
                // The last "@" counts, so that an unquoted one may be in the mailbox.
                Some(b'@') => {
                    if let Some(host) = host.replace(self.domain()) {
                        local.add(&[b"@", host.as_slice()].concat(), false);
                    }
                }
                Some(b':') => {
                    local.add(b":", false);
                    self.lexer.skip();
                }
                Some(b'>') => {
                    self.lexer.skip();
                    break;
                }
                _ => break,
            }
        }
        self.lexer.skip_cfws();
        self.lexer.take_comment();
        self.push(name.text, route, local.text, host.unwrap_or_default());
    }

    /// `obs-route = obs-domain-list ":"`
    fn route(&mut self) -> Option<Vec<u8>> {
        let mut ahead = self.lexer.clone();
        let mut route = Vec::new();
        while ahead.take(b'@') {
            ahead.skip_cfws();
            route.push(b'@');
            route.extend_from_slice(&dot_atom(&mut ahead));
            if ahead.take(b':') {
                ahead.skip_cfws();
                self.lexer = ahead;
                return Some(route);
            }
            if ahead.take(b',') {
                route.push(b',');
            }
            ahead.skip_cfws();
        }
        None
    }

    /// `addr-spec` without brackets, at its "@"; what precedes the mailbox, or a comment, is the
    /// name. Returns what was read if it turns out to be the name of an angle address.
    fn bare_address(&mut self, before: Phrase, found: bool) -> Phrase {
        let mut whole = before.clone();
        let (name, local) = before.split_mailbox();
        let host = self.domain();
        whole.add(b"@", false);
        whole.add(&host, false);
        self.lexer.skip_cfws();
        let comment = self.lexer.take_comment().map(unescape);
        if self.lexer.peek() == Some(b'<') {
            return whole;
        }
        let name = comment.or((!found).then_some(name)).unwrap_or_default();
        self.push(name, None, local, host);
        Phrase::default()
    }

    /// Words without an address: one word is a mailbox, a quoted one or several are a name.
    fn words(&mut self, phrase: Phrase) {
        let comment = self.lexer.take_comment().map(unescape);
        match comment {
            _ if phrase.text.is_empty() => {}
            Some(comment) if !phrase.has_space => {
                self.push(comment, None, phrase.text, Vec::new());
            }
            _ if phrase.is_mailbox() => self.push(Vec::new(), None, phrase.text, Vec::new()),
            _ => self.push(phrase.text, None, Vec::new(), Vec::new()),
        }
    }

    /// `domain`, after its "@".
    fn domain(&mut self) -> Vec<u8> {
        self.lexer.skip();
        self.lexer.skip_cfws();
        if self.lexer.peek() == Some(b'[') {
            // domain-literal; its "]" is no end of it where other octets follow.
            let mut literal = self.lexer.run(|b| !b"]<>,;".contains(&b)).to_vec();
            if self.lexer.take(b']') {
                literal.push(b']');
            }
            self.lexer.skip_cfws();
            return literal.trim_ascii().to_vec();
        }
        dot_atom(&mut self.lexer)
    }

    fn push(&mut self, name: Vec<u8>, route: Option<Vec<u8>>, mailbox: Vec<u8>, host: Vec<u8>) {
        let or = |text: Vec<u8>, missing: &[u8]| {
            if text.is_empty() {
                missing.to_vec()
            } else {
                text
            }
        };
        let name = one_spaced(&name);
        self.addresses.push(Address {
            name: (!name.is_empty()).then_some(name),
            route,
            mailbox: Some(or(mailbox, b"MISSING_MAILBOX")),
            host: Some(or(host, b"MISSING_DOMAIN")),
        });
    }
}

/// Words and dots, as they stand: a display name, a group's name or a mailbox.
#[derive(Clone, Debug, Default)]
struct Phrase {
    text: Vec<u8>,
    /// Where in the text the dot-atom at its end begins: the mailbox, if "@" follows.
    last: usize,
    has_space: bool,
    quoted: bool,
    after: Piece,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Piece {
    #[default]
    Nothing,
    Word,
    Dot,
}

impl Phrase {
    /// `phrase`, or a dot-atom with white space anywhere, up to a special that is neither.
    fn read(&mut self, lexer: &mut Lexer) {
        loop {
            let spaced = lexer.skip_cfws();
            if lexer.take(b'.') {
                self.piece(b".", Piece::Dot, spaced);
            } else if let Some(text) = lexer.quoted_string() {
                self.quoted = true;
                self.piece(&text, Piece::Word, spaced);
            } else {
                let atom = lexer.words(is_atom);
                if !atom.is_empty() {
                    self.piece(atom, Piece::Word, spaced);
                } else if lexer.peek().is_none_or(|b| b != b'"') {
                    return;
                }
            }
        }
    }

    fn piece(&mut self, text: &[u8], piece: Piece, spaced: bool) {
        let words = self.after == Piece::Word && piece == Piece::Word;
        if words {
            // Dots bind: "a . b" is one mailbox though it is three pieces of a name.
            self.last = self.text.len() + 1;
        }
        self.add(text, spaced || words);
        self.after = piece;
    }

    fn add(&mut self, text: &[u8], spaced: bool) {
        if spaced && !self.text.is_empty() {
            self.text.push(b' ');
            self.has_space = true;
        }
        self.text.extend_from_slice(text);
    }

    /// The name before a mailbox, and the mailbox.
    fn split_mailbox(self) -> (Vec<u8>, Vec<u8>) {
        let (name, mailbox) = self
            .text
            .split_at_checked(self.last)
            .unwrap_or((b"", &self.text));
        let mailbox = if self.quoted {
            mailbox.to_vec()
        } else {
            mailbox.iter().copied().filter(|b| *b != b' ').collect()
        };
        (name.to_vec(), mailbox)
    }

    fn is_mailbox(&self) -> bool {
        !self.quoted && !self.has_space
    }
}

/// `dot-atom` with white space around the dots, which is left out.
fn dot_atom(lexer: &mut Lexer) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        lexer.skip_cfws();
        let atom = lexer.run(is_atom);
        out.extend_from_slice(atom);
        lexer.skip_cfws();
        if !lexer.take(b'.') {
            return out;
        }
        out.push(b'.');
    }
}

/// `atext`, and whatever else has no meaning here.
fn is_atom(octet: u8) -> bool {
    !b" \t\r\n\"(),.:;<>@".contains(&octet)
}

#[cfg(test)]
mod tests;
