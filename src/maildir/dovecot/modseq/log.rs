//! The records of `dovecot.index.log`.

use super::LogSummary;

/// What the first 40 bytes of a log say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogHeader {
    pub header_size: u32,
    pub index_id: u32,
    pub file_seq: u32,
    pub initial_modseq: u64,
    minor_version: u8,
}

impl LogHeader {
    /// None: not a log, marked broken by Dovecot, or of a kind that is not understood here.
    pub fn parse(bytes: &[u8]) -> Option<LogHeader> {
        let header = LogHeader {
            header_size: u32::from(u16_at(bytes, 2)?),
            index_id: u32_at(bytes, 4)?,
            file_seq: u32_at(bytes, 8)?,
            initial_modseq: u64_at(bytes, 24)?,
            minor_version: *bytes.get(1)?,
        };
        let known = *bytes.first()? == MAJOR_VERSION
            && header.minor_version >= 2
            && *bytes.get(32)? == LITTLE_ENDIAN
            && header.header_size as usize >= HEADER_SIZE
            && header.index_id != 0;
        known.then_some(header)
    }
}

/// A log that starts at `modseq`, with nothing in it.
pub(super) fn new_header(modseq: u64, seconds: u32) -> Vec<u8> {
    let mut bytes = vec![MAJOR_VERSION, MINOR_VERSION];
    bytes.extend((HEADER_SIZE as u16).to_le_bytes());
    // Index id, file sequence, previous file's sequence and size, creation time.  Dovecot takes the
    // time as the id of a new index, too.
    for number in [seconds.max(1), 1, 0, 0, seconds] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(modseq.to_le_bytes());
    bytes.push(LITTLE_ENDIAN);
    bytes.resize(HEADER_SIZE, 0);
    bytes
}

/// The records that lift HIGHESTMODSEQ to `modseq`.  Where modseqs were never counted (`first`) the
/// extension is introduced before, and all of it bound together so that no reader sees a part.
pub(super) fn raising_records(modseq: u64, first: bool) -> Vec<u8> {
    let mut records = Vec::new();
    if first {
        let mut intro = Vec::new();
        for number in [u32::MAX, 0, 16] {
            intro.extend(u32::to_le_bytes(number)); // a new one; reset id; header size
        }
        for number in [8, 8, 1, MODSEQ_NAME.len() as u16] {
            intro.extend(u16::to_le_bytes(number)); // record size, its alignment; never shrink
        }
        intro.extend(MODSEQ_NAME);
        intro.resize(intro.len().next_multiple_of(4), 0);
        push_record(&mut records, EXT_INTRO, &intro);

        let mut data = vec![0, 0, 16, 0]; // at offset 0, 16 bytes
        data.extend(1u64.to_le_bytes());
        data.extend([0; 8]);
        push_record(&mut records, EXT_HEADER_UPDATE, &data);
    }
    let mut update = vec![0; 4]; // UID 0: the mailbox itself
    update.extend(modseq.to_le_bytes());
    push_record(&mut records, EXTERNAL | MODSEQ_UPDATE, &update);

    if first {
        let size = (records.len() + RECORD_HEADER + 4) as u32;
        let mut bound = Vec::new();
        push_record(&mut bound, EXTERNAL | BOUNDARY, &size.to_le_bytes());
        bound.extend(records);
        return bound;
    }
    records
}

pub(super) fn push_record(records: &mut Vec<u8>, kind: u32, body: &[u8]) {
    records.extend(encode_size((RECORD_HEADER + body.len()) as u32));
    records.extend(kind.to_le_bytes());
    records.extend(body);
}

/// A walk along the records of one log.
#[derive(Clone, Debug)]
pub(super) struct LogWalk {
    /// Where the next record begins.
    pub offset: u64,
    pub summary: LogSummary,
    /// Modseqs of records that begin before this are already in `summary`.
    count_from: u64,
}

impl LogWalk {
    pub fn start(header: &LogHeader) -> LogWalk {
        LogWalk {
            offset: u64::from(header.header_size),
            summary: LogSummary {
                highest_modseq: header.initial_modseq,
                ..LogSummary::default()
            },
            count_from: 0,
        }
    }

    pub fn count_from(&mut self, offset: u32, highest: u64) {
        self.count_from = u64::from(offset);
        self.summary.highest_modseq = highest;
    }

    /// Takes in the whole records among `bytes`, which begin at `offset` of the file.
    pub fn feed(&mut self, header: &LogHeader, mut bytes: &[u8]) {
        while let Some(size) = bytes.first_chunk().and_then(|&size| decode_size(size)) {
            let Some((record, rest)) = bytes.split_at_checked(size as usize) else {
                break;
            };
            let (Some(kind), Some(body)) = (u32_at(record, 4), record.get(RECORD_HEADER..)) else {
                break;
            };
            if kind & TYPE_MASK == BOUNDARY
                && u32_at(body, 0).is_some_and(|whole| whole as usize > bytes.len())
            {
                break; // the end of the transaction is not written yet
            }
            self.take(header, kind, body);
            self.offset += u64::from(size);
            bytes = rest;
        }
    }

    fn take(&mut self, header: &LogHeader, kind: u32, body: &[u8]) {
        if self.offset >= self.count_from {
            count(
                &mut self.summary.highest_modseq,
                header.minor_version,
                kind,
                body,
            );
        }
        match kind & TYPE_MASK {
            APPEND => {
                for uid in body.chunks_exact(8).filter_map(|entry| u32_at(entry, 0)) {
                    self.summary.next_uid = self.summary.next_uid.max(uid.saturating_add(1));
                }
            }
            HEADER_UPDATE => self.update_header(body),
            KEYWORD_UPDATE => self.add_keyword(body),
            _ => {}
        }
    }

    /// Entries of u16 offset in the header of dovecot.index, u16 size, data.
    fn update_header(&mut self, mut body: &[u8]) {
        while let (Some(offset), Some(size)) = (u16_at(body, 0), u16_at(body, 2)) {
            let Some((data, rest)) = body
                .get(4..)
                .and_then(|data| data.split_at_checked(usize::from(size)))
            else {
                return;
            };
            let field = |at: u16| u32_at(data, usize::from(at.checked_sub(offset)?));
            if let Some(uid_validity) = field(UID_VALIDITY_OFFSET) {
                self.summary.uid_validity = uid_validity;
            }
            if let Some(next_uid) = field(NEXT_UID_OFFSET) {
                self.summary.next_uid = self.summary.next_uid.max(next_uid);
            }
            body = rest;
        }
    }

    /// u8 add or remove, u8 nothing, u16 size of the name, name, UID ranges.
    fn add_keyword(&mut self, body: &[u8]) {
        let name = u16_at(body, 2)
            .and_then(|size| body.get(4..4 + usize::from(size)))
            .and_then(|name| std::str::from_utf8(name).ok());
        if let Some(name) = name
            && !name.is_empty()
            && self.summary.keywords.len() < KEYWORDS_MAX
            && !self
                .summary
                .keywords
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
        {
            self.summary.keywords.push(name.to_owned());
        }
    }
}

/// What one record does to HIGHESTMODSEQ.
fn count(highest: &mut u64, minor_version: u8, kind: u32, body: &[u8]) {
    if *highest == 0 {
        let introduced = kind & TYPE_MASK == EXT_INTRO
            && u16_at(body, 18).map(usize::from) == Some(MODSEQ_NAME.len())
            && body.get(20..20 + MODSEQ_NAME.len()) == Some(MODSEQ_NAME);
        *highest = u64::from(introduced);
        return;
    }
    let by_one = match kind & TYPE_MASK {
        EXPUNGE | EXPUNGE_GUID => kind & EXTERNAL != 0,
        APPEND | KEYWORD_UPDATE | KEYWORD_RESET | ATTRIBUTE_UPDATE => true,
        FLAG_UPDATE => {
            minor_version < 3
                || body.chunks_exact(12).any(|entry| {
                    matches!(entry, [_, _, _, _, _, _, _, _, add, remove, inc, _]
                        if (add | remove) & REAL_FLAGS != 0 || *inc != 0)
                })
        }
        MODSEQ_UPDATE => {
            let given = body.chunks_exact(12).filter_map(|entry| u64_at(entry, 4));
            *highest = given.fold(*highest, u64::max);
            false
        }
        _ => false,
    };
    *highest = highest.saturating_add(u64::from(by_one));
}

/// Sizes are written with the top bit of each byte set, so that a record whose size has not
/// reached the disk whole is seen not to be there.  None: not (yet) a size.
fn decode_size(bytes: [u8; 4]) -> Option<u32> {
    let seven_bits_each = bytes.iter().all(|byte| byte & 0x80 != 0);
    let size = bytes
        .iter()
        .fold(0, |size, byte| size << 7 | u32::from(byte & 0x7f))
        << 2;
    (seven_bits_each && size as usize >= RECORD_HEADER).then_some(size)
}

fn encode_size(size: u32) -> [u8; 4] {
    let words = size / 4;
    [21, 14, 7, 0].map(|shift| (words >> shift) as u8 | 0x80)
}

pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

pub(super) const HEADER_SIZE: usize = 40;
const RECORD_HEADER: usize = 8;
const MAJOR_VERSION: u8 = 1;
const MINOR_VERSION: u8 = 3;
pub(super) const LITTLE_ENDIAN: u8 = 1;
const MODSEQ_NAME: &[u8] = b"modseq";

/// In the header of dovecot.index.
pub(super) const UID_VALIDITY_OFFSET: u16 = 24;
pub(super) const NEXT_UID_OFFSET: u16 = 28;

const TYPE_MASK: u32 = 0x0fff_ffff;
const EXTERNAL: u32 = 0x1000_0000;
const EXPUNGE: u32 = 0x1 | 0xcd90;
const APPEND: u32 = 0x2;
const FLAG_UPDATE: u32 = 0x4;
const HEADER_UPDATE: u32 = 0x20;
const EXT_INTRO: u32 = 0x40;
const EXT_HEADER_UPDATE: u32 = 0x100;
const KEYWORD_UPDATE: u32 = 0x400;
const KEYWORD_RESET: u32 = 0x800;
const EXPUNGE_GUID: u32 = 0x2000 | 0xcd90;
const MODSEQ_UPDATE: u32 = 0x8000;
const BOUNDARY: u32 = 0x8_0000;
const ATTRIBUTE_UPDATE: u32 = 0x10_0000;
/// More than anybody uses.
const KEYWORDS_MAX: usize = 1024;
/// answered, flagged, deleted, seen, draft
const REAL_FLAGS: u8 = 0x1f;
