//! SEARCH: its arguments.

use super::flag::{Keyword, System};
use super::sequence::Set;
use super::syntax::Date;

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

/// search-key, in its simplest form: UNSEEN is `Not(System(SEEN))`, NEW is `And([Recent, Not(..)])`,
/// SUBJECT and the like are `Header`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    All,
    And(Vec<SearchKey>),
    Or(Box<SearchKey>, Box<SearchKey>),
    Not(Box<SearchKey>),
    Numbers(Set),
    Uid(Set),
    System(System),
    Recent,
    /// `None`: an atom that no message can have as a keyword.
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
        todo!()
    }
}
