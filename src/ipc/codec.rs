//! Messages to octets and back.
