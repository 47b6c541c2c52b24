//! SEARCH BODY and TEXT: substrings of decoded headers and decoded text parts (RFC 9051 6.4.4), in
//! one pass over a message for all keys, in memory that does not depend on it.
//!
//! Bodies of text/* and message/* are looked at, decoded; others are not, nor is what stands
//! between the parts of a multipart. A multipart in which there are no parts is shown as a text as
//! it stands, and looked at as such. TEXT looks at all fields too, those of parts and of messages
//! within; BODY at none. A match lies in one field or one body. All this is as in Dovecot.

use std::rc::Rc;

use super::casemap::fold;
use super::charset;
use super::content::Content;
use super::crlf::Mark;
use super::needle::Matcher;
pub use super::needle::Needle;
use super::transfer::{self, Encoding};
use super::walk::{Head, Holds, LineWalk, Visitor};

/// Which part of a message a needle is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// SEARCH BODY.
    Body,
    /// SEARCH TEXT: header and body.
    Text,
}

/// Looks for all strings of a SEARCH in one pass over a message. One is made for each message.
pub struct Searcher {
    walk: LineWalk<Reader>,
}

impl Searcher {
    pub fn new(keys: &[(Rc<Needle>, Scope)]) -> Searcher {
        let keys = keys.iter().map(|(needle, scope)| Key {
            matcher: Matcher::new(Rc::clone(needle)),
            needle: Rc::clone(needle),
            scope: *scope,
            found: needle.is_empty(),
        });
        Searcher {
            walk: LineWalk::new(Reader {
                keys: keys.collect(),
                open: Vec::new(),
                found_before: None,
                decoded: Vec::new(),
            }),
        }
    }

    /// Returns whether more input can change anything.
    pub fn push(&mut self, chunk: &[u8]) -> bool {
        self.walk.push(chunk);
        let reader = &self.walk.visitor;
        reader.found_before.is_some() || !reader.keys.iter().all(Key::is_found)
    }

    /// Which keys were found, in their order.
    pub fn finish(self) -> Vec<bool> {
        let reader = self.walk.finish();
        reader.keys.iter().map(Key::is_found).collect()
    }
}

struct Key {
    needle: Rc<Needle>,
    scope: Scope,
    /// For the body being read.
    matcher: Matcher,
    found: bool,
}

impl Key {
    fn is_found(&self) -> bool {
        self.found || self.matcher.found()
    }
}

struct Reader {
    keys: Vec<Key>,
    /// For each open part how its body is read, if it is.
    open: Vec<Option<Body>>,
    /// The text being read is that of a multipart in which no part has begun: which keys were found
    /// before it. When a part begins, what was found since does not count.
    found_before: Option<Vec<bool>>,
    /// Octets out of their transfer encoding.
    decoded: Vec<u8>,
}

impl Visitor for Reader {
    const MEASURES: bool = false;

    fn begin(&mut self, _at: Mark, _is_message: bool) {
        if let Some(found_before) = self.found_before.take() {
            for (key, found) in self.keys.iter_mut().zip(found_before) {
                if !found {
                    key.matcher = Matcher::new(Rc::clone(&key.needle));
                }
            }
            if let Some(multipart) = self.open.last_mut() {
                *multipart = None;
            }
        }
        self.open.push(None);
    }

    fn field(&mut self, raw: &[u8]) {
        for key in &mut self.keys {
            if key.scope == Scope::Text && !key.is_found() {
                key.found = key.needle.is_in_raw_field(raw);
            }
        }
    }

    fn header_end(&mut self, _at: Mark, head: Head) {
        if head.holds == Holds::Parts {
            self.found_before = Some(self.keys.iter().map(Key::is_found).collect());
        }
        if let Some(part) = self.open.last_mut() {
            *part = Body::of(&head);
        }
    }

    fn body(&mut self, octets: &[u8]) {
        if let Some(Some(body)) = self.open.last_mut() {
            if self.keys.iter().all(Key::is_found) {
                return;
            }
            match &mut body.transfer {
                None => body.text.push(octets, &mut self.keys),
                Some(transfer) => {
                    self.decoded.clear();
                    transfer.push(octets, &mut self.decoded);
                    body.text.push(&self.decoded, &mut self.keys);
                }
            }
        }
    }

    fn end(&mut self, _at: Mark) {
        let Some(Some(mut body)) = self.open.pop() else {
            return;
        };
        self.found_before = None;
        if let Some(transfer) = &mut body.transfer {
            self.decoded.clear();
            transfer.finish(&mut self.decoded);
            body.text.push(&self.decoded, &mut self.keys);
        }
        body.text.finish(&mut self.keys);
    }
}

/// How a body becomes text.
struct Body {
    /// None where octets stand for themselves.
    transfer: Option<transfer::TransferDecoder>,
    text: Text,
}

impl Body {
    fn of(head: &Head) -> Option<Body> {
        let content = &head.content;
        if content.is_type("multipart") {
            let as_it_stands = Body {
                transfer: None,
                text: Text::new(&Content::default()),
            };
            return matches!(head.holds, Holds::Text | Holds::Parts).then_some(as_it_stands);
        }
        let is_text = content.is_type("text") || content.is_type("message");
        if head.holds != Holds::Text || !is_text {
            return None;
        }
        let transfer = match content.encoding() {
            Encoding::Identity | Encoding::Unknown => None,
            encoding => Some(transfer::TransferDecoder::new(encoding, false)),
        };
        Some(Body {
            transfer,
            text: Text::new(content),
        })
    }
}

/// Text in a charset on its way to the matchers. What is ASCII in charsets that leave it alone is
/// passed by.
struct Text {
    charset: charset::CharsetDecoder,
    skips_ascii: bool,
    /// Whether the decoder may hold the beginning of a character.
    within: bool,
    unicode: String,
    folded: Vec<u8>,
}

/// Text is taken to be ASCII or not by stretches of this size.
const STRETCH: usize = 512;

/// No character of a charset that leaves ASCII alone is longer.
const CHARACTER_MAX: usize = 4;

impl Text {
    fn new(content: &Content) -> Text {
        let label = content.parameter("charset");
        let label = label.as_deref().unwrap_or(b"us-ascii");
        Text {
            charset: charset::CharsetDecoder::new(label),
            skips_ascii: charset::is_ascii_compatible(label),
            within: false,
            unicode: String::new(),
            folded: Vec::new(),
        }
    }

    fn push(&mut self, octets: &[u8], keys: &mut [Key]) {
        let mut rest = octets;
        while !rest.is_empty() {
            let ascii = if self.skips_ascii && !self.within {
                ascii_start(rest)
            } else {
                0
            };
            let (plain, other) = rest.split_at_checked(ascii).unwrap_or((rest, b""));
            if !plain.is_empty() {
                for key in &mut *keys {
                    key.matcher.push_ascii(plain);
                }
            }
            let stretch = other.get(..STRETCH).unwrap_or(other);
            self.decode(stretch, keys);
            rest = other.get(stretch.len()..).unwrap_or_default();
        }
    }

    fn decode(&mut self, octets: &[u8], keys: &mut [Key]) {
        if octets.is_empty() {
            return;
        }
        self.unicode.clear();
        self.charset.push(octets, &mut self.unicode);
        self.match_unicode(keys);
        let tail_start = octets.len().saturating_sub(CHARACTER_MAX);
        let tail = octets.get(tail_start..).unwrap_or(octets);
        self.within = !tail.is_ascii() || (self.within && octets.len() < CHARACTER_MAX);
    }

    fn finish(&mut self, keys: &mut [Key]) {
        self.unicode.clear();
        self.charset.finish(&mut self.unicode);
        self.match_unicode(keys);
        for key in keys {
            key.matcher.end();
        }
    }

    fn match_unicode(&mut self, keys: &mut [Key]) {
        self.folded.clear();
        fold(&self.unicode, &mut self.folded);
        for key in keys {
            key.matcher.push_folded(&self.folded);
        }
    }
}

/// How much of a text is ASCII, by whole stretches.
fn ascii_start(octets: &[u8]) -> usize {
    if octets.is_ascii() {
        return octets.len();
    }
    let stretches = octets.chunks(STRETCH);
    STRETCH * stretches.take_while(|stretch| stretch.is_ascii()).count()
}

#[cfg(test)]
mod tests;
