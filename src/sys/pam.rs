//! PAM over its C interface.  One handle, one login.
//!
//! Of the `pam` crate only the declarations are used (`pam::ffi`), which are those in
//! `crates/pam-sys`.  The modules behind it are other people's code in our process; what is
//! promised here is that they get what the interface promises them, and that whatever they give us
//! is looked at before it is used:
//!
//! - the conversation keeps to its rules (`conversation`);
//! - the password is there for `authenticate` only;
//! - a module that wants to sleep after a failure is told that this has been seen to
//!   (`PAM_FAIL_DELAY`): the front delays the answer, and no process of ours waits.

mod conversation;

use std::ffi::{CStr, CString, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fmt, ptr};

use nix::libc;
use pam::ffi;
use zeroize::Zeroizing;

use conversation::{MAX_ANSWER, Talk, converse};

/// A login through PAM.  Dropping it closes what was opened, deletes what was established, and ends
/// it.
#[derive(Debug)]
pub struct Pam {
    /// From `pam_start`; null when it has been left.
    handle: *mut ffi::pam_handle_t,
    /// From `Box::into_raw`; the handle knows the same pointer, so there is never a reference to it
    /// while a function of PAM runs but that of the conversation.
    talk: *mut Talk,
    /// What the last function said: `pam_end` passes it on to the modules.
    status: c_int,
    established: bool,
    open: bool,
}

/// What a function of PAM said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PamError {
    code: c_int,
    /// PAM's own words for it.
    text: String,
}

/// What it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PamFailure {
    Mismatch,
    UnknownUser,
    /// The account or the password.
    Expired,
    /// By a rule, whatever the password.
    Denied,
    /// PAM or one of its modules does not work.
    Unavailable,
}

impl Pam {
    /// Begins a login at `service`, which names a file in `/etc/pam.d`.
    pub fn start(service: &str, user: &str) -> Result<Pam, PamError> {
        let bad_item = |_| PamError::without_handle(ffi::PAM_BAD_ITEM);
        let service = CString::new(service).map_err(bad_item)?;
        let user = CString::new(user).map_err(bad_item)?;
        let talk = Box::into_raw(Box::new(Talk {
            user: user.clone(),
            password: None,
            messages: Vec::new(),
        }));
        // PAM copies the structure, the service and the user.
        let conversation = ffi::pam_conv {
            conv: Some(converse),
            appdata_ptr: talk.cast(),
        };
        let mut handle = ptr::null_mut();
        // SAFETY: the strings end in NUL, and all four pointers are to live values for the call;
        // `talk` lives until `pam_end`.
        let status = unsafe {
            ffi::pam_start(
                service.as_ptr(),
                user.as_ptr(),
                &raw const conversation,
                &raw mut handle,
            )
        };
        let pam = Pam {
            handle,
            talk,
            status,
            established: false,
            open: false,
        };
        match status {
            ffi::PAM_SUCCESS if !handle.is_null() => {
                let delay: DelayFunction = no_delay;
                // A function pointer is what this item is, though its type says `void *`.
                pam.set(ffi::PAM_FAIL_DELAY, delay as *const c_void)?;
                Ok(pam)
            }
            _ => Err(PamError::without_handle(status)),
        }
    }

    /// From which host the user comes.
    pub fn set_remote_host(&mut self, host: &str) -> Result<(), PamError> {
        self.set_text(ffi::PAM_RHOST, host)
    }

    /// The name that the user has on that host.
    pub fn set_remote_user(&mut self, user: &str) -> Result<(), PamError> {
        self.set_text(ffi::PAM_RUSER, user)
    }

    pub fn set_terminal(&mut self, terminal: &str) -> Result<(), PamError> {
        self.set_text(ffi::PAM_TTY, terminal)
    }

    /// Whether this is the user's password.  An empty one never is.
    pub fn authenticate(&mut self, password: &[u8]) -> Result<(), PamError> {
        if password.is_empty() || password.len() > MAX_ANSWER || password.contains(&0) {
            return Err(self.error(ffi::PAM_AUTH_ERR));
        }
        self.set_password(Some(Zeroizing::new(password.to_vec())));
        // SAFETY: the handle is live, and `converse` keeps to what modules expect of it.
        let status = unsafe { ffi::pam_authenticate(self.handle, AUTHENTICATE_FLAGS) };
        self.set_password(None);
        self.result(status)
    }

    /// Whether the account may be used now.
    pub fn check_account(&mut self) -> Result<(), PamError> {
        // SAFETY: the handle is live.
        let status = unsafe { ffi::pam_acct_mgmt(self.handle, ACCOUNT_FLAGS) };
        self.result(status)
    }

    /// Who it is: modules may change the name.
    pub fn user(&mut self) -> Result<String, PamError> {
        let mut item = ptr::null();
        // SAFETY: the handle is live, and `item` is ours to be written.
        let status = unsafe { ffi::pam_get_item(self.handle, ffi::PAM_USER, &raw mut item) };
        self.result(status)?;
        if item.is_null() {
            return Err(self.error(ffi::PAM_BAD_ITEM));
        }
        // SAFETY: PAM_USER is a string that lives until it is set anew, and we copy it at once.
        let user = unsafe { CStr::from_ptr(item.cast()) };
        let user = user.to_str().map(str::to_owned);
        user.map_err(|_| self.error(ffi::PAM_BAD_ITEM))
    }

    /// Makes the user's credentials: tickets, keys and the like.
    pub fn establish(&mut self) -> Result<(), PamError> {
        // SAFETY: the handle is live.
        let status = unsafe { ffi::pam_setcred(self.handle, ffi::PAM_ESTABLISH_CRED) };
        self.result(status)?;
        self.established = true;
        Ok(())
    }

    pub fn open_session(&mut self) -> Result<(), PamError> {
        // SAFETY: the handle is live.
        let status = unsafe { ffi::pam_open_session(self.handle, 0) };
        self.result(status)?;
        self.open = true;
        Ok(())
    }

    pub fn close_session(&mut self) -> Result<(), PamError> {
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        // SAFETY: the handle is live.
        let status = unsafe { ffi::pam_close_session(self.handle, 0) };
        self.result(status)
    }

    pub fn delete_credentials(&mut self) -> Result<(), PamError> {
        if !std::mem::take(&mut self.established) {
            return Ok(());
        }
        // SAFETY: the handle is live.
        let status = unsafe { ffi::pam_setcred(self.handle, ffi::PAM_DELETE_CRED) };
        self.result(status)
    }

    /// What the modules wanted the user to read since this was last asked.
    pub fn take_messages(&mut self) -> Vec<String> {
        // SAFETY: no function of PAM runs, so nobody else has a reference.
        let talk = unsafe { &mut *self.talk };
        std::mem::take(&mut talk.messages)
    }

    /// Forgets the handle without a word to the modules: for a fork, whose parent keeps it.
    pub fn leave(mut self) {
        self.handle = ptr::null_mut();
    }

    fn set_password(&mut self, password: Option<Zeroizing<Vec<u8>>>) {
        // SAFETY: no function of PAM runs, so nobody else has a reference.
        let talk = unsafe { &mut *self.talk };
        talk.password = password;
    }

    fn set_text(&mut self, item: c_int, text: &str) -> Result<(), PamError> {
        let text = CString::new(text).map_err(|_| self.error(ffi::PAM_BAD_ITEM))?;
        self.set(item, text.as_ptr().cast())
    }

    /// `value` is what the item is documented to be: a string, which is copied, or a function.
    fn set(&self, item: c_int, value: *const c_void) -> Result<(), PamError> {
        // SAFETY: the handle is live, and this is private: `value` is right for each item it is
        // called with.
        match unsafe { ffi::pam_set_item(self.handle, item, value) } {
            ffi::PAM_SUCCESS => Ok(()),
            code => Err(self.error(code)),
        }
    }

    fn result(&mut self, status: c_int) -> Result<(), PamError> {
        self.status = status;
        match status {
            ffi::PAM_SUCCESS => Ok(()),
            code => Err(self.error(code)),
        }
    }

    fn error(&self, code: c_int) -> PamError {
        PamError::new(self.handle, code)
    }
}

impl Drop for Pam {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // Nothing more can be done if it cannot be closed.
            let _ = self.close_session();
            let _ = self.delete_credentials();
            // SAFETY: the handle is live, and not used again.
            unsafe { ffi::pam_end(self.handle, self.status) };
        }
        // SAFETY: from `Box::into_raw`; the handle that knew it has ended, or will never be used.
        drop(unsafe { Box::from_raw(self.talk) });
    }
}

impl PamError {
    pub fn failure(&self) -> PamFailure {
        match self.code {
            ffi::PAM_AUTH_ERR | ffi::PAM_MAXTRIES | ffi::PAM_CRED_INSUFFICIENT => {
                PamFailure::Mismatch
            }
            ffi::PAM_USER_UNKNOWN => PamFailure::UnknownUser,
            ffi::PAM_ACCT_EXPIRED
            | ffi::PAM_NEW_AUTHTOK_REQD
            | ffi::PAM_CRED_EXPIRED
            | ffi::PAM_AUTHTOK_EXPIRED => PamFailure::Expired,
            ffi::PAM_PERM_DENIED => PamFailure::Denied,
            _ => PamFailure::Unavailable,
        }
    }

    fn without_handle(code: c_int) -> PamError {
        PamError::new(ptr::null_mut(), code)
    }

    fn new(handle: *mut ffi::pam_handle_t, code: c_int) -> PamError {
        // SAFETY: Linux-PAM does not look at the handle, which may be null.
        let text = unsafe { ffi::pam_strerror(handle, code) };
        let text = match text.is_null() {
            true => format!("error {code}"),
            // SAFETY: a string of its own, which nobody changes.
            false => unsafe { CStr::from_ptr(text) }
                .to_string_lossy()
                .into_owned(),
        };
        PamError { code, text }
    }
}

impl fmt::Display for PamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for PamError {}

/// Whether this module can be loaded; the error is the linker's text.  The module's code may run,
/// so only a process in which PAM would load it may call this.  It stays loaded, because it may be
/// PAM's already.
pub fn can_load(module: &Path) -> Result<(), String> {
    let Ok(path) = CString::new(module.as_os_str().as_bytes()) else {
        return Err(String::from("its name has a NUL in it"));
    };
    // SAFETY: the path ends in NUL; what runs is the module's own start, which PAM runs in the same
    // way.
    if !unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) }.is_null() {
        return Ok(());
    }
    // SAFETY: it gives null, or a string that lives until the next call of these functions, and is
    // copied at once.
    let text = unsafe { libc::dlerror() };
    Err(match text.is_null() {
        true => String::from("it cannot be loaded"),
        // SAFETY: as above.
        false => unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned(),
    })
}

/// Of `PAM_FAIL_DELAY`: what a failed login is followed by, here nothing.
unsafe extern "C" fn no_delay(_status: c_int, _microseconds: c_uint, _talk: *mut c_void) {}

type DelayFunction = unsafe extern "C" fn(c_int, c_uint, *mut c_void);

/// Nobody can log in to an account without a password.  Modules say nothing to the user, who would
/// not see it.
const AUTHENTICATE_FLAGS: c_int = ffi::PAM_DISALLOW_NULL_AUTHTOK;

const ACCOUNT_FLAGS: c_int = ffi::PAM_DISALLOW_NULL_AUTHTOK;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_nul_is_refused() {
        assert!(Pam::start("other", "bob\0root").is_err());
    }

    #[test]
    fn empty_endless_and_odd_passwords_do_not_reach_the_modules() {
        let mut pam = Pam::start("other", "bob").unwrap();
        for password in [&b""[..], &[b'x'; 512], b"a\0b"] {
            let error = pam.authenticate(password).unwrap_err();
            assert_eq!(error.failure(), PamFailure::Mismatch);
        }
    }
}
