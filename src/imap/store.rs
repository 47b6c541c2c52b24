//! STORE: its arguments (RFC 3501 6.4.6, RFC 7162 3.1.3).

use super::flag::Flag;
use super::sequence::Set;
use super::syntax::{Parsed, Reader, fail};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    pub uid: bool,
    pub set: Set,
    pub unchanged_since: Option<u64>,
    pub how: How,
    pub silent: bool,
    pub flags: Vec<Flag>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Replace,
    Add,
    Remove,
}

impl Reader<'_> {
    /// store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags (RFC 4466 2.5)
    pub fn store_arguments(&mut self, uid: bool) -> Parsed<Store> {
        let set = self.set()?;
        self.space()?;
        let mut unchanged_since = None;
        if self.peek() == Some(b'(') {
            self.list(|reader| {
                if reader.word().as_str() != "UNCHANGEDSINCE" {
                    return fail("Unknown STORE modifier");
                }
                reader.space()?;
                unchanged_since = Some(reader.number64()?);
                Ok(())
            })?;
            self.space()?;
        }
        // store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
        let how = match self.peek() {
            Some(b'+') => How::Add,
            Some(b'-') => How::Remove,
            _ => How::Replace,
        };
        if how != How::Replace {
            self.take(1);
        }
        let silent = match self.word().as_str() {
            "FLAGS" => false,
            "FLAGS.SILENT" => true,
            _ => return fail("Invalid STORE item"),
        };
        self.space()?;
        let flags = match self.peek() {
            Some(b'(') => self.flag_list()?,
            _ => self.bare_flags()?,
        };
        Ok(Store {
            uid,
            set,
            unchanged_since,
            how,
            silent,
            flags,
        })
    }
}
