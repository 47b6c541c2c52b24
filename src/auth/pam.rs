//! PAM as a source of logins.

use std::ffi::OsString;

use crate::ipc::Refusal;

/// A PAM handle after authentication, whose credentials are established.  Dropping it closes its session if
/// one is open, deletes the credentials and ends PAM.
pub struct PamSession {}

impl PamSession {
    /// Opens the session.  As root, in the process that becomes the user's session or stays to close it.
    pub fn open(&mut self) -> Result<(), Refusal> {
        todo!()
    }

    /// Closes the session, deletes the credentials and ends PAM.
    pub fn close(self) {
        todo!()
    }

    /// Forgets the handle without a word to the modules: in the fork that becomes the user, while its
    /// parent keeps the handle; and before exec if nobody is to close anything.
    pub fn leave(self) {
        todo!()
    }

    /// What the modules want in the environment of the session.
    pub fn environment(&mut self) -> Vec<(OsString, OsString)> {
        todo!()
    }
}
