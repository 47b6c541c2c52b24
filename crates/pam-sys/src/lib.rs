//! The C interface of Linux-PAM, as far as the crate `pam` and Roost name it.
//!
//! It stands in for the crate of the same name, which has libclang read the header whenever it is
//! built.  Linux-PAM has kept these declarations through all of its releases, on every
//! architecture; `tests/pam_header.rs` has the C compiler compare them with the header that is
//! installed.
//!
//! The test reads this file as text, so declarations are written as those that are here.

#![no_std]
#![allow(non_camel_case_types)]

use core::ffi::{c_char, c_int, c_void};

// What functions return.
pub const PAM_SUCCESS: c_int = 0;
pub const PAM_OPEN_ERR: c_int = 1;
pub const PAM_SYMBOL_ERR: c_int = 2;
pub const PAM_SERVICE_ERR: c_int = 3;
pub const PAM_SYSTEM_ERR: c_int = 4;
pub const PAM_BUF_ERR: c_int = 5;
pub const PAM_PERM_DENIED: c_int = 6;
pub const PAM_AUTH_ERR: c_int = 7;
pub const PAM_CRED_INSUFFICIENT: c_int = 8;
pub const PAM_AUTHINFO_UNAVAIL: c_int = 9;
pub const PAM_USER_UNKNOWN: c_int = 10;
pub const PAM_MAXTRIES: c_int = 11;
pub const PAM_NEW_AUTHTOK_REQD: c_int = 12;
pub const PAM_ACCT_EXPIRED: c_int = 13;
pub const PAM_SESSION_ERR: c_int = 14;
pub const PAM_CRED_UNAVAIL: c_int = 15;
pub const PAM_CRED_EXPIRED: c_int = 16;
pub const PAM_CRED_ERR: c_int = 17;
pub const PAM_NO_MODULE_DATA: c_int = 18;
pub const PAM_CONV_ERR: c_int = 19;
pub const PAM_AUTHTOK_ERR: c_int = 20;
pub const PAM_AUTHTOK_RECOVERY_ERR: c_int = 21;
pub const PAM_AUTHTOK_LOCK_BUSY: c_int = 22;
pub const PAM_AUTHTOK_DISABLE_AGING: c_int = 23;
pub const PAM_TRY_AGAIN: c_int = 24;
pub const PAM_IGNORE: c_int = 25;
pub const PAM_ABORT: c_int = 26;
pub const PAM_AUTHTOK_EXPIRED: c_int = 27;
pub const PAM_MODULE_UNKNOWN: c_int = 28;
pub const PAM_BAD_ITEM: c_int = 29;
pub const PAM_CONV_AGAIN: c_int = 30;
pub const PAM_INCOMPLETE: c_int = 31;

// Flags of functions.  The last two are for modules.
pub const PAM_SILENT: c_int = 0x8000;
pub const PAM_DISALLOW_NULL_AUTHTOK: c_int = 0x0001;
pub const PAM_ESTABLISH_CRED: c_int = 0x0002;
pub const PAM_DELETE_CRED: c_int = 0x0004;
pub const PAM_REINITIALIZE_CRED: c_int = 0x0008;
pub const PAM_REFRESH_CRED: c_int = 0x0010;
pub const PAM_CHANGE_EXPIRED_AUTHTOK: c_int = 0x0020;
pub const PAM_UPDATE_AUTHTOK: c_int = 0x2000;
pub const PAM_PRELIM_CHECK: c_int = 0x4000;

// Items of a login.
pub const PAM_SERVICE: c_int = 1;
pub const PAM_USER: c_int = 2;
pub const PAM_TTY: c_int = 3;
pub const PAM_RHOST: c_int = 4;
pub const PAM_CONV: c_int = 5;
pub const PAM_AUTHTOK: c_int = 6;
pub const PAM_OLDAUTHTOK: c_int = 7;
pub const PAM_RUSER: c_int = 8;
pub const PAM_USER_PROMPT: c_int = 9;
pub const PAM_FAIL_DELAY: c_int = 10;
pub const PAM_XDISPLAY: c_int = 11;
pub const PAM_XAUTHDATA: c_int = 12;
pub const PAM_AUTHTOK_TYPE: c_int = 13;

// How a message wants to be answered.
pub const PAM_PROMPT_ECHO_OFF: c_int = 1;
pub const PAM_PROMPT_ECHO_ON: c_int = 2;
pub const PAM_ERROR_MSG: c_int = 3;
pub const PAM_TEXT_INFO: c_int = 4;
pub const PAM_BINARY_PROMPT: c_int = 7;

// What modules count on.
pub const PAM_MAX_NUM_MSG: c_int = 32;
pub const PAM_MAX_RESP_SIZE: c_int = 512;

/// A login.  Only the library looks inside.
#[repr(C)]
#[derive(Debug)]
pub struct pam_handle_t {
    _inside: [u8; 0],
}

/// What a module asks or tells.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pam_message {
    pub msg_style: c_int,
    pub msg: *const c_char,
}

/// The answer: from malloc, freed by the module.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pam_response {
    pub resp: *mut c_char,
    pub resp_retcode: c_int,
}

/// Who answers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct pam_conv {
    pub conv: Option<conversation>,
    pub appdata_ptr: *mut c_void,
}

pub type conversation = unsafe extern "C" fn(
    num_msg: c_int,
    msg: *mut *const pam_message,
    resp: *mut *mut pam_response,
    appdata_ptr: *mut c_void,
) -> c_int;

// pam_appl.h
unsafe extern "C" {
    pub fn pam_start(
        service_name: *const c_char,
        user: *const c_char,
        pam_conversation: *const pam_conv,
        pamh: *mut *mut pam_handle_t,
    ) -> c_int;
    pub fn pam_end(pamh: *mut pam_handle_t, pam_status: c_int) -> c_int;
    pub fn pam_authenticate(pamh: *mut pam_handle_t, flags: c_int) -> c_int;
    pub fn pam_setcred(pamh: *mut pam_handle_t, flags: c_int) -> c_int;
    pub fn pam_acct_mgmt(pamh: *mut pam_handle_t, flags: c_int) -> c_int;
    pub fn pam_open_session(pamh: *mut pam_handle_t, flags: c_int) -> c_int;
    pub fn pam_close_session(pamh: *mut pam_handle_t, flags: c_int) -> c_int;
}

// _pam_types.h
unsafe extern "C" {
    pub fn pam_set_item(pamh: *mut pam_handle_t, item_type: c_int, item: *const c_void) -> c_int;
    pub fn pam_get_item(
        pamh: *const pam_handle_t,
        item_type: c_int,
        item: *mut *const c_void,
    ) -> c_int;
    pub fn pam_strerror(pamh: *mut pam_handle_t, errnum: c_int) -> *const c_char;
    pub fn pam_putenv(pamh: *mut pam_handle_t, name_value: *const c_char) -> c_int;
    pub fn pam_getenv(pamh: *mut pam_handle_t, name: *const c_char) -> *const c_char;
    pub fn pam_getenvlist(pamh: *mut pam_handle_t) -> *mut *mut c_char;
}

// pam_misc.h
unsafe extern "C" {
    pub fn pam_misc_paste_env(pamh: *mut pam_handle_t, user_env: *const *const c_char) -> c_int;
    pub fn pam_misc_drop_env(env: *mut *mut c_char) -> *mut *mut c_char;
    pub fn pam_misc_setenv(
        pamh: *mut pam_handle_t,
        name: *const c_char,
        value: *const c_char,
        readonly: c_int,
    ) -> c_int;
}
