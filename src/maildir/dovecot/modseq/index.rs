//! The header of `dovecot.index`.

use super::log::{LITTLE_ENDIAN, NEXT_UID_OFFSET, UID_VALIDITY_OFFSET, u16_at, u32_at, u64_at};

/// What the header says; the messages' records are not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DovecotIndex {
    pub id: u32,
    pub uid_validity: u32,
    pub next_uid: u32,
    pub log_seq: u32,
    /// Everything in log `log_seq` before this is in the index.
    pub log_head_offset: u32,
    pub modseq: Option<Modseq>,
    pub keywords: Vec<String>,
}

/// The `modseq` extension's header: HIGHESTMODSEQ as of a place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modseq {
    pub highest: u64,
    pub log_seq: u32,
    pub log_offset: u32,
}

/// How much to read, from the first `SIZES` bytes of the file.
pub(super) fn header_size(start: &[u8; SIZES]) -> u32 {
    u32_at(start, 4).unwrap_or(0).min(HEADER_MAX)
}

impl DovecotIndex {
    /// `bytes` is the header, as long as it says itself.  None: not an index, marked broken by
    /// Dovecot, or of a kind that is not understood here.
    pub fn parse(bytes: &[u8]) -> Option<DovecotIndex> {
        let base = usize::from(u16_at(bytes, 2)?);
        let known = *bytes.first()? == MAJOR_VERSION
            && *bytes.get(12)? == LITTLE_ENDIAN
            && u32_at(bytes, 16)? != 0
            && u32_at(bytes, 20)? & CORRUPTED == 0
            && base >= BASE_MIN
            && u32_at(bytes, 4)? as usize <= bytes.len();
        if !known {
            return None;
        }
        let mut index = DovecotIndex {
            id: u32_at(bytes, 16)?,
            uid_validity: u32_at(bytes, usize::from(UID_VALIDITY_OFFSET))?,
            next_uid: u32_at(bytes, usize::from(NEXT_UID_OFFSET))?,
            log_seq: u32_at(bytes, 60)?,
            log_head_offset: u32_at(bytes, 68)?,
            modseq: None,
            keywords: Vec::new(),
        };
        let mut at = base;
        while let Some((name, data, next)) = extension(bytes, at) {
            match name {
                b"modseq" => {
                    index.modseq = Some(Modseq {
                        highest: u64_at(data, 0)?,
                        log_seq: u32_at(data, 8)?,
                        log_offset: u32_at(data, 12)?,
                    });
                }
                b"keywords" => index.keywords = keywords(data),
                _ => {}
            }
            at = next;
        }
        Some(index)
    }
}

/// The extension header at `at`: its name, its data, and where the next one begins.
fn extension(bytes: &[u8], at: usize) -> Option<(&[u8], &[u8], usize)> {
    let at = at.checked_next_multiple_of(8)?;
    let data_size = u32_at(bytes, at)? as usize;
    let name_size = usize::from(u16_at(bytes, at + 14)?);
    let name_at = at + 16;
    let name = bytes.get(name_at..name_at + name_size)?;
    let data_at = (name_at + name_size).next_multiple_of(8);
    let next = data_at.checked_add(data_size)?;
    Some((name, bytes.get(data_at..next)?, next))
}

/// u32 count, count x (u32 nothing, u32 offset of the name), names ended by NUL.
fn keywords(data: &[u8]) -> Vec<String> {
    let count = u32_at(data, 0).unwrap_or(0) as usize;
    let Some((entries, names)) = count
        .checked_mul(8)
        .and_then(|size| data.get(4..)?.split_at_checked(size))
    else {
        return Vec::new();
    };
    entries
        .chunks_exact(8)
        .filter_map(|entry| {
            let name = names.get(u32_at(entry, 4)? as usize..)?;
            let end = name.iter().position(|&byte| byte == 0)?;
            Some(std::str::from_utf8(name.get(..end)?).ok()?.to_owned())
        })
        .collect()
}

pub(super) const SIZES: usize = 8;
const MAJOR_VERSION: u8 = 7;
/// MAIL_INDEX_HDR_FLAG_CORRUPTED
const CORRUPTED: u32 = 1;
const BASE_MIN: usize = 72;
const HEADER_MAX: u32 = 1 << 20;
