//! `dovecot-keywords`: names for the letters a-z (`maildir-formats.md 4`).

use std::io;
use std::time::SystemTime;

use super::dir::{Access, Dir};
use super::lock::Lock;
use crate::imap::flag::Keyword;

#[derive(Clone, Debug, Default)]
pub struct Keywords {}

impl Keywords {
    /// No file: no keywords.
    pub fn read(dir: &Dir) -> io::Result<Keywords> {
        let _ = dir;
        todo!()
    }
    /// Reads again if the file on disk has changed; says whether a name did.
    pub fn refresh(&mut self, dir: &Dir) -> io::Result<bool> {
        let _ = dir;
        todo!()
    }
    /// The number (0 = `a`) of a keyword's letter.
    pub fn letter(&self, keyword: &Keyword) -> Option<u32> {
        let _ = keyword;
        todo!()
    }
    pub fn name(&self, letter: u32) -> Option<&Keyword> {
        let _ = letter;
        todo!()
    }
    /// Numbers and names in order of the letters.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Keyword)> {
        std::iter::empty()
    }
    /// All 26 letters are taken.
    pub fn is_full(&self) -> bool {
        todo!()
    }
    /// Gives `keyword` a letter (reading the file again first) and writes the file; the folder's
    /// uidlist lock proves that nobody else is about it.
    pub fn add(
        &mut self,
        dir: &Dir,
        lock: &Lock,
        keyword: &Keyword,
        access: &Access,
        now: SystemTime,
    ) -> Result<u32, KeywordsError> {
        let _ = (dir, lock, keyword, access, now);
        todo!()
    }
    /// Names letters seen in file names (bit 0 = `a`) that have no name yet `unknown-<n>`.
    pub fn name_unknown(
        &mut self,
        dir: &Dir,
        lock: &Lock,
        letters: u32,
        access: &Access,
        now: SystemTime,
    ) -> Result<bool, KeywordsError> {
        let _ = (dir, lock, letters, access, now);
        todo!()
    }
}

#[derive(Debug)]
pub enum KeywordsError {
    /// No letter is free.
    Full,
    /// `dovecot-keywords.lock` is held by another program: try again.
    Locked,
    Io(io::Error),
}
