//! crypt(3): the password hashes of this system.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use zeroize::Zeroizing;

// SAFETY: as crypt(3) declares it.
#[link(name = "crypt")]
unsafe extern "C" {
    /// Returns null if it fails, unlike `crypt_r`, which returns a string that is no hash.
    fn crypt_rn(
        phrase: *const c_char,
        setting: *const c_char,
        data: *mut c_void,
        size: c_int,
    ) -> *mut c_char;
}

/// The hash of a password by the method, cost and salt of `setting`, which may be a hash; `None` if
/// that is not one that this system knows, or the password is not one that can be hashed.
pub fn crypt(password: &[u8], setting: &str) -> Option<Zeroizing<String>> {
    let mut phrase = Zeroizing::new(Vec::with_capacity(password.len() + 1));
    phrase.extend_from_slice(password);
    phrase.push(0);
    let phrase = CStr::from_bytes_with_nul(&phrase).ok()?;
    let setting = CString::new(setting).ok()?;
    // Of a type that is aligned as strictly as the structure.
    let mut data = Zeroizing::new(vec![0_u64; DATA_SIZE / size_of::<u64>()]);
    // SAFETY: both strings end in NUL; `data` is ours, zeroed as is asked for, and as large as is
    // said.
    let hash = unsafe {
        crypt_rn(
            phrase.as_ptr(),
            setting.as_ptr(),
            data.as_mut_ptr().cast(),
            DATA_SIZE as c_int,
        )
    };
    if hash.is_null() {
        return None;
    }
    // SAFETY: a string within `data`, which is still there.
    let hash = unsafe { CStr::from_ptr(hash) }.to_str().ok()?;
    // "*0" and "*1" stand for failures.
    (!hash.starts_with('*')).then(|| Zeroizing::new(hash.to_owned()))
}

/// Of `struct crypt_data` (crypt(3)): "32768 bytes".
const DATA_SIZE: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(password: &[u8], setting: &str) -> Option<String> {
        crypt(password, setting).map(|hash| hash.as_str().to_owned())
    }

    #[test]
    fn hashes_are_those_of_other_programs() {
        for hash_of_other in [
            // openssl passwd
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        ] {
            let hash = hash(b"Hello world!", hash_of_other);
            assert_eq!(hash.as_deref().map(str::len), Some(hash_of_other.len()));
            assert_eq!(hash.as_deref(), Some(hash_of_other));
        }
        let yescrypt = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$rRF.D9G8EheNrIkcOH0ViLc7/EArSDCi/nFGFUZtoF9";
        assert_eq!(hash(b"tanstaaf", yescrypt).as_deref(), Some(yescrypt));
    }

    #[test]
    fn what_cannot_be_hashed_gives_nothing() {
        for setting in ["", "*", "*0", "*1", "!", "x", "$9$what$is", "$y$", "\0"] {
            assert_eq!(hash(b"secret", setting), None, "{setting:?}");
        }
        assert_eq!(hash(b"a\0b", "$6$saltstring$"), None);
        assert_eq!(hash(&[b'x'; 5000], "$6$saltstring$"), None);
    }
}
