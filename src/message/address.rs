//! Addresses (RFC 5322 3.4), read leniently, as ENVELOPE and SEARCH want them.

/// One `address` of ENVELOPE, or one of the two marks of a group (RFC 3501 7.4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub name: Option<Vec<u8>>,
    pub route: Option<Vec<u8>>,
    pub mailbox: Option<Vec<u8>>,
    pub host: Option<Vec<u8>>,
}

/// Reads an `address-list`; what is broken yields the best guess.
pub fn parse_addresses(value: &[u8]) -> Vec<Address> {
    let _ = value;
    todo!()
}

/// The addresses of a field as one line of text, decoded: what SEARCH FROM, TO, CC and BCC look at.
pub fn address_text(value: &[u8]) -> String {
    let _ = value;
    todo!()
}
