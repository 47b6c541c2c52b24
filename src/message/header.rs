//! Header blocks: fields with their raw text, unfolding, and the filter of BODY[HEADER.FIELDS].

/// One field of a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// What is before the colon, without white space around; empty for a line that is no field.
    pub name: &'a [u8],
    /// What is after the colon up to the last line end, folds and all, without white space at its ends.
    pub value: &'a [u8],
    /// All of it with its line end, as in the block.
    pub raw: &'a [u8],
}

/// The fields of a block, up to the empty line or the block's end.
pub struct Fields<'a> {
    rest: &'a [u8],
}

pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { rest: block }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;
    fn next(&mut self) -> Option<Field<'a>> {
        let _ = self.rest;
        todo!()
    }
}

/// The values of all fields with that name, compared without case.
pub fn values<'a>(block: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    fields(block)
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

/// A value without its line ends.
pub fn unfold(value: &[u8], out: &mut Vec<u8>) {
    let _ = (value, out);
    todo!()
}

/// Finds the end of a header block in chunks cut anywhere.
#[derive(Clone, Debug, Default)]
pub struct HeaderEnd {}

impl HeaderEnd {
    /// How many octets of this chunk belong to the header, its empty line with them, once that is known;
    /// until then the whole chunk does.
    pub fn push(&mut self, chunk: &[u8]) -> Option<usize> {
        let _ = chunk;
        todo!()
    }
}

/// BODY[HEADER.FIELDS (..)] and BODY[HEADER.FIELDS.NOT (..)], the block in chunks cut anywhere; writes CRLF.
pub struct FieldFilter {}

impl FieldFilter {
    pub fn new<N: AsRef<[u8]>>(names: &[N], not: bool) -> FieldFilter {
        let _ = (names, not);
        todo!()
    }

    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let _ = (chunk, out);
        todo!()
    }

    /// The empty line.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }
}

/// [`FieldFilter`] over a block in memory.
pub fn select_fields<N: AsRef<[u8]>>(block: &[u8], names: &[N], not: bool, out: &mut Vec<u8>) {
    let mut filter = FieldFilter::new(names, not);
    filter.push(block, out);
    filter.finish(out);
}
