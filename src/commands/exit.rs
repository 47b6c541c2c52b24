//! How the program ends: the codes of sysexits.h.

pub const SUCCESS: u8 = 0;
/// An import that cannot keep everything.
pub const LOSS: u8 = 1;
/// EX_USAGE
pub const USAGE: u8 = 64;
/// EX_NOINPUT
pub const NO_INPUT: u8 = 66;
/// EX_NOUSER
pub const NO_USER: u8 = 67;
/// EX_UNAVAILABLE
pub const UNAVAILABLE: u8 = 69;
/// EX_OSERR
pub const SYSTEM: u8 = 71;
/// EX_CANTCREAT
pub const CANNOT_CREATE: u8 = 73;
/// EX_IOERR
pub const CANNOT_TALK: u8 = 74;
/// EX_NOPERM
pub const NO_PERMISSION: u8 = 77;
/// EX_CONFIG
pub const CONFIGURATION: u8 = 78;
