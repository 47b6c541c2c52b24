//! The fields that describe a part: Content-Type, Content-Disposition and their kin (RFC 2045, 2183, 3282,
//! 2557), as BODYSTRUCTURE shows them.

/// A parameter as written: RFC 2231 names (`name*0*`) are the client's to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// What a part's header says about its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Media type and subtype; None where the field is absent or unreadable.
    pub media: Option<(Vec<u8>, Vec<u8>)>,
    pub parameters: Vec<Parameter>,
    pub id: Option<Vec<u8>>,
    pub description: Option<Vec<u8>>,
    pub transfer_encoding: Option<Vec<u8>>,
    pub md5: Option<Vec<u8>>,
    pub disposition: Option<(Vec<u8>, Vec<Parameter>)>,
    pub languages: Vec<Vec<u8>>,
    pub location: Option<Vec<u8>>,
}
