//! The pieces of the file, as bytes.

/// The start of the file.
pub(super) fn file_header(uid_validity: u32) -> Vec<u8> {
    let mut header = FILE_MAGIC.to_vec();
    header.extend(uid_validity.to_le_bytes());
    header.resize(FILE_HEADER, 0);
    header
}

pub(super) fn is_file_header(bytes: &[u8], uid_validity: u32) -> bool {
    bytes == file_header(uid_validity)
}

/// Records to be written together.
#[derive(Default)]
pub(super) struct CacheBatch {
    table: Vec<u8>,
    records: Vec<u8>,
}

impl CacheBatch {
    /// Adds a record; returns where it begins among the records.  `bytes` is no longer than
    /// `BYTES_MAX`.
    pub fn push(&mut self, uid: u32, bytes: &[u8]) -> u32 {
        let at = self.records.len() as u32;
        let size = (bytes.len() as u32).to_le_bytes();
        self.table.extend(uid.to_le_bytes());
        self.table.extend(size);
        self.records.extend(uid.to_le_bytes());
        self.records.extend(size);
        self.records.extend(record_crc(uid, bytes).to_le_bytes());
        self.records.extend(bytes);
        at
    }

    /// The bytes of the record at `at`.
    pub fn bytes(&self, uid: u32, at: u32) -> Option<&[u8]> {
        let rest = self.records.get(at as usize..)?;
        record(rest.get(..record_size(rest)?)?, uid)
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.table.len() / ENTRY
    }

    pub fn size(&self) -> usize {
        self.records.len()
    }

    /// How far into the encoded batch the records begin.
    pub fn records_start(&self) -> u64 {
        (BATCH_HEADER + self.table.len()) as u64
    }

    pub fn encode(&self) -> Vec<u8> {
        let header = BatchHeader {
            count: self.len() as u32,
            records_size: self.records.len() as u32,
            crc: 0,
        };
        let mut bytes = MARKER.to_vec();
        bytes.extend(header.count.to_le_bytes());
        bytes.extend(header.records_size.to_le_bytes());
        bytes.extend(header.table_crc(&self.table).to_le_bytes());
        bytes.resize(BATCH_HEADER, 0);
        bytes.extend(&self.table);
        bytes.extend(&self.records);
        bytes
    }
}

/// The start of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchHeader {
    pub records_size: u32,
    count: u32,
    crc: u32,
}

impl BatchHeader {
    /// None: it is not one.
    pub fn parse(bytes: &[u8]) -> Option<BatchHeader> {
        let header = BatchHeader {
            count: u32_at(bytes, 8)?,
            records_size: u32_at(bytes, 12)?,
            crc: u32_at(bytes, 16)?,
        };
        let records_min = u64::from(header.count) * RECORD_HEADER as u64;
        let possible = bytes.starts_with(&MARKER)
            && header.count as usize <= COUNT_MAX
            && records_min <= header.records_size.into();
        possible.then_some(header)
    }

    pub fn table_size(&self) -> usize {
        self.count as usize * ENTRY
    }

    /// Whether this is the batch's table, and it accounts for all of the records.
    pub fn fits(&self, table: &[u8]) -> bool {
        let size: u64 = entries(table)
            .map(|(_, size)| (RECORD_HEADER + size) as u64)
            .sum();
        self.crc == self.table_crc(table) && size == self.records_size.into()
    }

    fn table_crc(&self, table: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.count.to_le_bytes());
        crc.update(&self.records_size.to_le_bytes());
        crc.update(table);
        crc.finalize()
    }
}

/// UID and number of bytes of each record.
pub(super) fn entries(table: &[u8]) -> impl Iterator<Item = (u32, usize)> {
    table
        .chunks_exact(ENTRY)
        .filter_map(|entry| Some((u32_at(entry, 0)?, u32_at(entry, 4)? as usize)))
}

/// The size of the record that begins `bytes`, header included.  None: there is none.
pub(super) fn record_size(bytes: &[u8]) -> Option<usize> {
    let size = u32_at(bytes, 4)? as usize;
    (size <= BYTES_MAX).then_some(RECORD_HEADER + size)
}

/// The bytes in a whole record, if it is that of `uid` and undamaged.
pub(super) fn record(record: &[u8], uid: u32) -> Option<&[u8]> {
    let bytes = record.get(RECORD_HEADER..)?;
    let good = u32_at(record, 0)? == uid
        && u32_at(record, 4)? as usize == bytes.len()
        && u32_at(record, 8)? == record_crc(uid, bytes);
    good.then_some(bytes)
}

fn record_crc(uid: u32, bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&uid.to_le_bytes());
    crc.update(&(bytes.len() as u32).to_le_bytes());
    crc.update(bytes);
    crc.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) const FILE_HEADER: usize = 24;
pub(super) const BATCH_HEADER: usize = 24;
pub(super) const RECORD_HEADER: usize = 12;
/// One message's.
pub(super) const BYTES_MAX: usize = 16 << 20;
const FILE_MAGIC: &[u8; 16] = b"roost.cache 1\n\0\0";
/// Not to be met in text.
pub(super) const MARKER: [u8; 8] = *b"\xffB\0\xc4\x17\n\x80\xfe";
const ENTRY: usize = 8;
const COUNT_MAX: usize = 1 << 20;
