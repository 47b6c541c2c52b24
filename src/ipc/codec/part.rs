//! What messages are made of, as octets: numbers, text, octets, what may be missing.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::mail::Secret;

/// Something that can be in a message.
pub(in crate::ipc) trait Part: Sized {
    fn write(self, writer: &mut Writer);
    fn read(reader: &mut Reader<'_>) -> Result<Self, Wrong>;
}

/// What is wrong with octets.
pub(in crate::ipc) type Wrong = &'static str;

/// A message that is being written.
#[derive(Default)]
pub(in crate::ipc) struct Writer {
    pub octets: Zeroizing<Vec<u8>>,
    pub descriptor: Option<OwnedFd>,
}

/// What has not been read yet of a message.
pub(in crate::ipc) struct Reader<'a> {
    pub octets: &'a [u8],
    pub descriptor: Option<OwnedFd>,
}

impl Writer {
    /// Like `Vec::extend`, but wipes the memory that it leaves when it grows.
    fn extend(&mut self, octets: &[u8]) {
        let needed = self.octets.len() + octets.len();
        if needed > self.octets.capacity() {
            let mut larger = Vec::with_capacity(needed.next_power_of_two().max(256));
            larger.extend_from_slice(&self.octets);
            self.octets = Zeroizing::new(larger);
        }
        self.octets.extend_from_slice(octets);
    }

    /// With the length before them.  More than 4 GiB is cut here, and is too large in the end.
    fn measured(&mut self, octets: &[u8]) {
        u32::try_from(octets.len()).unwrap_or(u32::MAX).write(self);
        self.extend(octets);
    }
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let (taken, rest) = self.octets.split_first_chunk::<N>().ok_or(TOO_SHORT)?;
        self.octets = rest;
        Ok(*taken)
    }

    /// With the length before them.
    fn measured(&mut self) -> Result<&'a [u8], Wrong> {
        let length = usize::try_from(u32::read(self)?).unwrap_or(usize::MAX);
        let (taken, rest) = self.octets.split_at_checked(length).ok_or(TOO_SHORT)?;
        self.octets = rest;
        Ok(taken)
    }
}

macro_rules! number {
    ($($type:ty),*) => {
        $(impl Part for $type {
            fn write(self, writer: &mut Writer) {
                writer.extend(&self.to_be_bytes());
            }

            fn read(reader: &mut Reader<'_>) -> Result<$type, Wrong> {
                reader.array().map(<$type>::from_be_bytes)
            }
        })*
    };
}

number!(u8, u16, u32, u64);

impl Part for bool {
    fn write(self, writer: &mut Writer) {
        u8::from(self).write(writer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<bool, Wrong> {
        match u8::read(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(NO_SUCH),
        }
    }
}

impl<T: Part> Part for Option<T> {
    fn write(self, writer: &mut Writer) {
        self.is_some().write(writer);
        if let Some(part) = self {
            part.write(writer);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Option<T>, Wrong> {
        match bool::read(reader)? {
            true => T::read(reader).map(Some),
            false => Ok(None),
        }
    }
}

impl Part for Vec<u8> {
    fn write(self, writer: &mut Writer) {
        writer.measured(&self);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Vec<u8>, Wrong> {
        reader.measured().map(<[u8]>::to_vec)
    }
}

impl Part for Secret {
    fn write(self, writer: &mut Writer) {
        writer.measured(self.expose());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Secret, Wrong> {
        Part::read(reader).map(Secret::new)
    }
}

impl Part for String {
    fn write(self, writer: &mut Writer) {
        writer.measured(self.as_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<String, Wrong> {
        let text = std::str::from_utf8(reader.measured()?);
        text.map(str::to_owned).map_err(|_| "it is not UTF-8")
    }
}

impl Part for PathBuf {
    fn write(self, writer: &mut Writer) {
        self.into_os_string().into_vec().write(writer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<PathBuf, Wrong> {
        Part::read(reader).map(|octets| PathBuf::from(OsString::from_vec(octets)))
    }
}

impl Part for SocketAddr {
    fn write(self, writer: &mut Writer) {
        match self.ip() {
            IpAddr::V4(ip) => {
                4_u8.write(writer);
                writer.extend(&ip.octets());
            }
            IpAddr::V6(ip) => {
                6_u8.write(writer);
                writer.extend(&ip.octets());
            }
        }
        self.port().write(writer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<SocketAddr, Wrong> {
        let ip = match u8::read(reader)? {
            4 => IpAddr::from(reader.array::<4>()?),
            6 => IpAddr::from(reader.array::<16>()?),
            _ => return Err(NO_SUCH),
        };
        Ok(SocketAddr::new(ip, u16::read(reader)?))
    }
}

/// The name of a mechanism that shows a password.  Both ends have the same list, so only its place
/// is sent.
impl Part for &'static str {
    fn write(self, writer: &mut Writer) {
        let place = MECHANISMS.iter().position(|&known| known == self);
        let place = place.and_then(|place| u8::try_from(place).ok());
        place.unwrap_or(0).write(writer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<&'static str, Wrong> {
        let place = usize::from(u8::read(reader)?);
        MECHANISMS.get(place).copied().ok_or(NO_SUCH)
    }
}

/// Goes beside the octets.  No message has two.
impl Part for OwnedFd {
    fn write(self, writer: &mut Writer) {
        writer.descriptor = Some(self);
    }

    fn read(reader: &mut Reader<'_>) -> Result<OwnedFd, Wrong> {
        reader.descriptor.take().ok_or("its descriptor is missing")
    }
}

const MECHANISMS: &[&str] = &["PLAIN", "LOGIN"];

pub(in crate::ipc) const NO_SUCH: Wrong = "it has a choice in it that does not exist";

const TOO_SHORT: Wrong = "it ends before its end";
