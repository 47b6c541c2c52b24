//! Responses as values: split into tokens, and compared by what they mean.
//!
//! An expectation is written as the response without `* `, tag and CRLF: `2 FETCH (FLAGS (\Seen))`.
//! It matches if the tokens do, where
//!
//! - flags, capabilities, SEARCH results, FETCH and STATUS items, LIST attributes may come in any
//!   order;
//! - a set may be written in any way (`1:3` is `1,2,3`);
//! - an atom, a quoted string and a literal with the same bytes are the same;
//! - `\Recent` counts only where the expectation has it;
//! - the text for humans counts only where the expectation has it, and so does a response code;
//! - `?` stands for any one token, `<name>` for any one token that is then remembered as `name`,
//!   `...` for whatever else the list holds.

mod compare;
mod tokenizer;

use std::collections::BTreeMap;
use std::fmt;

pub use compare::is_capture;
use compare::match_response;
use tokenizer::Tokenizer;

/// One response as it came, with its literals.
#[derive(Clone)]
pub struct Response {
    /// All its bytes, CRLF included.
    pub raw: Vec<u8>,
    /// `*`, `+`, or the tag of a command.
    pub tag: String,
    pub tokens: Vec<Token>,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// A run of characters without special meaning: `FETCH`, `\Seen`, `BODY[1.MIME]<0>`, `1:3`.
    Atom(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    List(Vec<Token>),
    /// `[READ-WRITE]`
    Code(Vec<Token>),
    /// The human-readable rest of a status response.
    Human(String),
}

/// What the `<name>`s of expectations stood for.
pub type Captures = BTreeMap<String, String>;

impl Response {
    /// The response in these bytes; an error says why they are none.
    pub fn parse(raw: Vec<u8>) -> Result<Response, String> {
        let line = raw.strip_suffix(b"\r\n").ok_or("no CRLF at the end")?;
        let (tag, rest) = match line.iter().position(|&b| b == b' ') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => return Err("nothing after the tag".into()),
        };
        let tag = String::from_utf8_lossy(tag).into_owned();
        let tokens = match tag.as_str() {
            "+" => vec![Token::Human(String::from_utf8_lossy(rest).into_owned())],
            _ => Tokenizer::new(rest).response()?,
        };
        Ok(Response { raw, tag, tokens })
    }

    pub fn is_untagged(&self) -> bool {
        self.tag == "*"
    }

    /// The word that says what it is: the first, or for `2 FETCH (..)` the second.
    pub fn word(&self) -> &str {
        let atom = |token: Option<&Token>| match token {
            Some(Token::Atom(atom)) => Some(atom.len()),
            _ => None,
        };
        let number = matches!(self.tokens.first(),
            Some(Token::Atom(atom)) if atom.bytes().all(|b| b.is_ascii_digit()));
        let at = usize::from(number && atom(self.tokens.get(1)).is_some());
        self.tokens.get(at).and_then(Token::as_atom).unwrap_or("")
    }

    /// The number in `n EXPUNGE`.
    pub fn expunged(&self) -> Option<u32> {
        match self.tokens.as_slice() {
            [Token::Atom(number), Token::Atom(word)] if word == "EXPUNGE" => number.parse().ok(),
            _ => None,
        }
    }

    /// What a server may say at any time without being asked: `n RECENT`, `OK [HIGHESTMODSEQ n]`.
    /// Tests pass it over where they do not expect it.
    pub fn is_incidental(&self) -> bool {
        let code = self
            .code()
            .and_then(|code| code.first())
            .and_then(Token::as_atom);
        self.is_untagged()
            && (self.word() == "RECENT"
                || (self.word() == "OK"
                    && matches!(code, Some("HIGHESTMODSEQ" | "MAILBOXID" | "CLOSED"))))
    }

    /// The response code's tokens, if it has one.
    pub fn code(&self) -> Option<&[Token]> {
        self.tokens.iter().find_map(|token| match token {
            Token::Code(code) => Some(code.as_slice()),
            _ => None,
        })
    }

    /// Whether the expectation describes this response. See the module's head.
    pub fn matches(&self, expected: &str) -> bool {
        self.matches_with(expected, &mut Captures::new())
    }

    pub fn matches_with(&self, expected: &str, captures: &mut Captures) -> bool {
        let expected = expectation(expected);
        let mut attempt = captures.clone();
        let same = match_response(&expected, &self.tokens, &mut attempt);
        if same {
            *captures = attempt;
        }
        same
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 2_000;
        let shown = &self.raw[..self.raw.len().min(SHOWN)];
        write!(f, "{}", String::from_utf8_lossy(shown).trim_end())?;
        if self.raw.len() > SHOWN {
            write!(f, "... ({} bytes)", self.raw.len())?;
        }
        Ok(())
    }
}

impl Token {
    pub fn as_atom(&self) -> Option<&str> {
        match self {
            Token::Atom(atom) => Some(atom),
            _ => None,
        }
    }

    /// The bytes of an atom or a string.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Token::Atom(atom) => Some(atom.as_bytes()),
            Token::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Token]> {
        match self {
            Token::List(list) | Token::Code(list) => Some(list),
            _ => None,
        }
    }

    /// The number in an atom, or in a list of one atom, as in `MODSEQ (17)`.
    pub fn number(&self) -> Option<u64> {
        match self {
            Token::Atom(atom) => atom.parse().ok(),
            Token::List(list) => list.first().and_then(Token::number),
            _ => None,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Atom(atom) => write!(f, "{atom}"),
            Token::Text(text) => write!(f, "{:?}", String::from_utf8_lossy(text)),
            Token::List(list) => f.debug_list().entries(list).finish(),
            Token::Code(list) => write!(f, "code{list:?}"),
            Token::Human(text) => write!(f, "human{text:?}"),
        }
    }
}

/// The tokens of an expectation; a bad one is the test's mistake.
fn expectation(text: &str) -> Vec<Token> {
    let mut tokenizer = Tokenizer::new(text.as_bytes());
    tokenizer
        .response()
        .unwrap_or_else(|why| panic!("bad expectation {text:?}: {why}"))
}
