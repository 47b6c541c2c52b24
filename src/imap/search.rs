//! SEARCH: its arguments (RFC 3501 6.4.4, RFC 4731, RFC 5032, RFC 5182, RFC 7162, RFC 8474, RFC
//! 8514).

use super::sequence::Set;
use super::syntax::{Date, Parsed, Reader, fail};
use crate::mail::{self, Keyword};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    pub uid: bool,
    /// `RETURN (..)` (RFC 4731, RFC 5182); `RETURN ()` is `RETURN (ALL)`.
    pub returns: Option<SearchReturn>,
    /// As the client wrote it; strings in keys are octets in that charset.
    pub charset: Option<String>,
    pub key: SearchKey,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchReturn {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    pub save: bool,
}

/// search-key, in its simplest form: UNSEEN is `Not(System(SEEN))`, NEW is `And([Recent,
/// Not(..)])`, SUBJECT and the like are `Header`.  It is nested no deeper than 100, however the
/// client wrote it: an `And` in an `And` is one, and so are `Or`s (in which the order may be
/// another) and `Not`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    All,
    And(Vec<SearchKey>),
    Or(Vec<SearchKey>),
    Not(Box<SearchKey>),
    Numbers(Set),
    Uid(Set),
    System(mail::System),
    Recent,
    /// `None`: what no message can have as a keyword.
    Keyword(Option<Keyword>),
    Larger(u64),
    Smaller(u64),
    Before(Date),
    On(Date),
    Since(Date),
    SentBefore(Date),
    SentOn(Date),
    SentSince(Date),
    SavedBefore(Date),
    SavedOn(Date),
    SavedSince(Date),
    SaveDateSupported,
    /// INTERNALDATE at most so many seconds ago (RFC 5032).
    Younger(u32),
    Older(u32),
    /// Entry name and type do not matter: all flags of a message share one modseq (RFC 7162 3.1.5).
    ModSeq(u64),
    EmailId(String),
    ThreadId(String),
    /// An empty value: the field exists.
    Header {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    Body(Vec<u8>),
    Text(Vec<u8>),
}

impl SearchKey {
    /// Whether MODSEQ occurs: then the response ends with the highest modseq (RFC 7162 3.1.5).
    pub fn has_modseq(&self) -> bool {
        match self {
            SearchKey::ModSeq(_) => true,
            SearchKey::Not(key) => key.has_modseq(),
            SearchKey::And(keys) | SearchKey::Or(keys) => keys.iter().any(SearchKey::has_modseq),
            _ => false,
        }
    }
}

impl Reader<'_> {
    /// search = "SEARCH" [search-return-opts] SP search-program
    pub fn search_arguments(&mut self, uid: bool) -> Parsed<Search> {
        let returns = self.search_return_opts()?;
        let charset = self.charset()?;
        Ok(Search {
            uid,
            returns,
            charset,
            key: self.search_keys()?,
        })
    }

    /// search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
    fn search_return_opts(&mut self) -> Parsed<Option<SearchReturn>> {
        let mut ahead = self.clone();
        if ahead.word().as_str() != "RETURN" {
            return Ok(None);
        }
        *self = ahead;
        self.space()?;
        let mut returns = SearchReturn::default();
        self.list(|reader| {
            match reader.word().as_str() {
                "MIN" => returns.min = true,
                "MAX" => returns.max = true,
                "ALL" => returns.all = true,
                "COUNT" => returns.count = true,
                "SAVE" => returns.save = true,
                _ => return fail("Unknown SEARCH return option"),
            }
            Ok(())
        })?;
        if returns == SearchReturn::default() {
            returns.all = true;
        }
        self.space()?;
        Ok(Some(returns))
    }

    /// search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)
    fn charset(&mut self) -> Parsed<Option<String>> {
        let mut ahead = self.clone();
        if ahead.word().as_str() != "CHARSET" {
            return Ok(None);
        }
        *self = ahead;
        self.space()?;
        let charset = String::from_utf8_lossy(&self.astring()?).into_owned();
        self.space()?;
        Ok(Some(charset))
    }

    /// search-key *(SP search-key) up to the end of the command.
    ///
    /// Clients write hundreds of keys as `OR a OR b OR c ..`, which nests as deep: so the nesting
    /// is kept in a stack of our own, and what was read is put together as flat as it can be.
    fn search_keys(&mut self) -> Parsed<SearchKey> {
        let mut open = Vec::new();
        let mut together = Group::default();
        loop {
            let mut key = loop {
                match self.search_key()? {
                    Token::Key(key) => break Nested { key, depth: 1 },
                    Token::Not => open.push(Open::Not),
                    Token::Or => open.push(Open::Or(None)),
                    Token::Parenthesis => {
                        open.push(Open::Parenthesis(std::mem::take(&mut together)));
                    }
                }
            };
            // `key` is complete: so may be what it belongs to. No space is needed after `)`.
            let mut in_parentheses = false;
            loop {
                match open.pop() {
                    Some(Open::Not) => key = key.negated()?,
                    Some(Open::Or(None)) => {
                        open.push(Open::Or(Some(key)));
                        self.space()?;
                        break;
                    }
                    Some(Open::Or(Some(first))) => {
                        let mut both = Group::default();
                        both.add(first, is_or);
                        both.add(key, is_or);
                        key = both.joined(SearchKey::Or)?;
                    }
                    Some(Open::Parenthesis(outer)) => {
                        together.add(key, is_and);
                        let spaced = self.skip_spaces();
                        if !self.eat(b')') {
                            if !spaced && !in_parentheses {
                                return fail("Missing ')'");
                            }
                            open.push(Open::Parenthesis(outer));
                            break;
                        }
                        in_parentheses = true;
                        key = std::mem::replace(&mut together, outer).joined(SearchKey::And)?;
                    }
                    None => {
                        together.add(key, is_and);
                        if self.is_at_end() {
                            return Ok(together.joined(SearchKey::And)?.key);
                        }
                        if !self.skip_spaces() && !in_parentheses {
                            return fail("Missing argument");
                        }
                        break;
                    }
                }
            }
        }
    }

    /// search-key, or what begins one that holds others
    fn search_key(&mut self) -> Parsed<Token> {
        match self.peek() {
            Some(b'(') => {
                self.eat(b'(');
                self.skip_spaces();
                return Ok(Token::Parenthesis);
            }
            Some(b'0'..=b'9' | b'*' | b'$') => {
                return Ok(Token::Key(SearchKey::Numbers(self.set()?)));
            }
            _ => {}
        }
        let word = self.word();
        let token = match word.as_str() {
            "NOT" => Token::Not,
            "OR" => Token::Or,
            "" => return fail("Missing search key"),
            word => return self.simple_key(word).map(Token::Key),
        };
        self.space()?;
        Ok(token)
    }

    /// search-key without others in it, whose first word has been read
    fn simple_key(&mut self, word: &str) -> Parsed<SearchKey> {
        use SearchKey::*;
        Ok(match word {
            "ALL" => All,
            "ANSWERED" => System(mail::System::ANSWERED),
            "DELETED" => System(mail::System::DELETED),
            "DRAFT" => System(mail::System::DRAFT),
            "FLAGGED" => System(mail::System::FLAGGED),
            "SEEN" => System(mail::System::SEEN),
            "UNANSWERED" | "UNDELETED" | "UNDRAFT" | "UNFLAGGED" | "UNSEEN" => {
                let positive = word.strip_prefix("UN").unwrap_or(word);
                not(self.simple_key(positive)?)
            }
            "RECENT" => Recent,
            "OLD" => not(Recent),
            "NEW" => And(vec![Recent, not(self.simple_key("SEEN")?)]),
            "KEYWORD" => Keyword(self.flag_keyword()?),
            "UNKEYWORD" => not(Keyword(self.flag_keyword()?)),
            "UID" => Uid(self.argument(Reader::set)?),
            "LARGER" => Larger(self.argument(Reader::number64)?),
            "SMALLER" => Smaller(self.argument(Reader::number64)?),
            "BEFORE" => Before(self.argument(Reader::date)?),
            "ON" => On(self.argument(Reader::date)?),
            "SINCE" => Since(self.argument(Reader::date)?),
            "SENTBEFORE" => SentBefore(self.argument(Reader::date)?),
            "SENTON" => SentOn(self.argument(Reader::date)?),
            "SENTSINCE" => SentSince(self.argument(Reader::date)?),
            "SAVEDBEFORE" => SavedBefore(self.argument(Reader::date)?),
            "SAVEDON" => SavedOn(self.argument(Reader::date)?),
            "SAVEDSINCE" => SavedSince(self.argument(Reader::date)?),
            "SAVEDATESUPPORTED" => SaveDateSupported,
            "YOUNGER" => Younger(self.argument(Reader::nz_number)?),
            "OLDER" => Older(self.argument(Reader::nz_number)?),
            "MODSEQ" => ModSeq(self.argument(Reader::search_modsequence)?),
            "EMAILID" => EmailId(self.objectid()?),
            "THREADID" => ThreadId(self.objectid()?),
            "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => Header {
                name: word.as_bytes().to_vec(),
                value: self.octets()?,
            },
            "HEADER" => Header {
                name: self.octets()?,
                value: self.octets()?,
            },
            "BODY" => Body(self.octets()?),
            "TEXT" => Text(self.octets()?),
            _ => return fail("Unknown search key"),
        })
    }

    /// SP and an argument
    fn argument<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.space()?;
        read(self)
    }

    /// SP astring
    fn octets(&mut self) -> Parsed<Vec<u8>> {
        self.argument(|reader| Ok(reader.astring()?.into_owned()))
    }

    /// SP flag-keyword; a string is let through as well, and so is a system flag, which is no
    /// message's keyword
    fn flag_keyword(&mut self) -> Parsed<Option<Keyword>> {
        self.space()?;
        if self.eat(b'\\') {
            return self.atom().map(|_| None);
        }
        let name = self.astring()?;
        Ok(std::str::from_utf8(&name).ok().and_then(Keyword::new))
    }

    /// SP objectid (RFC 8474 7); one with strange characters is no message's
    fn objectid(&mut self) -> Parsed<String> {
        let id = self.octets()?;
        Ok(String::from_utf8_lossy(&id).into_owned())
    }

    /// search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer (RFC 7162 7)
    fn search_modsequence(&mut self) -> Parsed<u64> {
        if self.peek() == Some(b'"') {
            self.string()?;
            self.space()?;
            if !["ALL", "PRIV", "SHARED"].contains(&self.word().as_str()) {
                return fail("Invalid MODSEQ entry type");
            }
            self.space()?;
        }
        self.number64()
    }
}

/// The beginning of a search key.
enum Token {
    Key(SearchKey),
    Not,
    Or,
    Parenthesis,
}

/// What has begun and waits for keys.
enum Open {
    Not,
    /// The first of the two if it has been read.
    Or(Option<Nested>),
    /// The keys read before the parenthesis, at its level.
    Parenthesis(Group),
}

/// A key and how deep it is nested; a simple one has depth 1.
struct Nested {
    key: SearchKey,
    depth: usize,
}

impl Nested {
    fn negated(self) -> Parsed<Nested> {
        if let SearchKey::Not(key) = self.key {
            return Ok(Nested {
                key: *key,
                depth: self.depth - 1,
            });
        }
        deepened(not(self.key), self.depth)
    }
}

/// Keys that are all AND or all OR.
#[derive(Default)]
struct Group {
    keys: Vec<SearchKey>,
    /// The depth of the deepest.
    depth: usize,
}

impl Group {
    /// Adds a key, or the keys in it if it is a group of the same kind (`inner` tells).  The
    /// shorter list goes into the longer, so that any nesting is put together in n log n.
    fn add(&mut self, nested: Nested, inner: fn(SearchKey) -> Result<Vec<SearchKey>, SearchKey>) {
        match inner(nested.key) {
            Ok(mut keys) => {
                if self.keys.len() < keys.len() {
                    std::mem::swap(&mut self.keys, &mut keys);
                }
                self.keys.append(&mut keys);
                self.depth = self.depth.max(nested.depth - 1);
            }
            Err(key) => {
                self.keys.push(key);
                self.depth = self.depth.max(nested.depth);
            }
        }
    }

    fn joined(mut self, join: fn(Vec<SearchKey>) -> SearchKey) -> Parsed<Nested> {
        match self.keys.pop() {
            Some(key) if self.keys.is_empty() => Ok(Nested {
                key,
                depth: self.depth,
            }),
            Some(last) => {
                self.keys.push(last);
                deepened(join(self.keys), self.depth)
            }
            None => fail("Missing search key"),
        }
    }
}

fn is_and(key: SearchKey) -> Result<Vec<SearchKey>, SearchKey> {
    match key {
        SearchKey::And(keys) => Ok(keys),
        key => Err(key),
    }
}

fn is_or(key: SearchKey) -> Result<Vec<SearchKey>, SearchKey> {
    match key {
        SearchKey::Or(keys) => Ok(keys),
        key => Err(key),
    }
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

/// `key`, which is around others of that depth.
fn deepened(key: SearchKey, depth: usize) -> Parsed<Nested> {
    if depth >= DEPTH_MAX {
        return fail("Search is nested too deeply");
    }
    Ok(Nested {
        key,
        depth: depth + 1,
    })
}

/// Whoever evaluates a key recurses as deep.
const DEPTH_MAX: usize = 100;

#[cfg(test)]
mod tests;
