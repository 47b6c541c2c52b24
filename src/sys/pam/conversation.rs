//! The conversation (pam_conv(3)): what modules ask, and what they are answered.
//!
//! It takes 1 to 32 messages, a null pointer for any of them or for the answers, and hands out
//! answers from malloc, which the caller frees; if it fails half-way, those made are wiped and
//! freed.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::{ptr, slice};

use nix::libc;
use pam::ffi;
use zeroize::{Zeroize, Zeroizing};

/// What the conversation needs.
#[derive(Debug)]
pub(super) struct Talk {
    pub user: CString,
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// What the modules wanted the user to read.
    pub messages: Vec<String>,
}

/// Answers the modules (pam_conv(3)).
///
/// # Safety
///
/// `messages` is an array of `count` messages, as Linux-PAM has it, `responses` a place for the
/// answers or null, and `talk` a [`Talk`] that nobody else has a reference to.
pub(super) unsafe extern "C" fn converse(
    count: c_int,
    messages: *mut *const ffi::pam_message,
    responses: *mut *mut ffi::pam_response,
    talk: *mut c_void,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if !(1..=MAX_MESSAGES).contains(&count) || messages.is_null() || talk.is_null() {
        return ffi::PAM_CONV_ERR;
    }
    // SAFETY: it is what `start` gave to PAM, which hands it back unchanged, and while PAM runs
    // nobody else has a reference to it.
    let talk = unsafe { &mut *talk.cast::<Talk>() };
    // SAFETY: in Linux-PAM this is an array of so many pointers.
    let messages = unsafe { slice::from_raw_parts(messages, count) };
    let Some(mut answers) = Answers::new(count) else {
        return ffi::PAM_BUF_ERR;
    };
    for (index, &message) in messages.iter().enumerate() {
        if message.is_null() {
            return ffi::PAM_CONV_ERR;
        }
        // SAFETY: the caller's, for the call.
        let message = unsafe { &*message };
        let answer = match message.msg_style {
            ffi::PAM_PROMPT_ECHO_OFF => match &talk.password {
                Some(password) => password.as_slice(),
                None => return ffi::PAM_CONV_ERR,
            },
            ffi::PAM_PROMPT_ECHO_ON => talk.user.to_bytes(),
            ffi::PAM_ERROR_MSG | ffi::PAM_TEXT_INFO => {
                if !message.msg.is_null() && talk.messages.len() < MAX_MESSAGES {
                    // SAFETY: a string of the caller's, for the call.
                    let text = unsafe { CStr::from_ptr(message.msg) };
                    let text = text.to_bytes().get(..MAX_ANSWER).unwrap_or(text.to_bytes());
                    talk.messages
                        .push(String::from_utf8_lossy(text).into_owned());
                }
                continue;
            }
            _ => return ffi::PAM_CONV_ERR,
        };
        // Nowhere to put an answer to a question.
        if responses.is_null() {
            return ffi::PAM_CONV_ERR;
        }
        if !answers.set(index, answer) {
            return ffi::PAM_BUF_ERR;
        }
    }
    if !responses.is_null() {
        // SAFETY: the caller's, to be written.
        unsafe { *responses = answers.hand_over() };
    }
    ffi::PAM_SUCCESS
}

/// Answers in the making: from malloc, wiped and freed on drop.
struct Answers {
    array: *mut ffi::pam_response,
    count: usize,
}

impl Answers {
    fn new(count: usize) -> Option<Answers> {
        // SAFETY: any numbers will do.
        let array = unsafe { libc::calloc(count, size_of::<ffi::pam_response>()) };
        // All zeros is an answer that has no text.
        (!array.is_null()).then_some(Answers {
            array: array.cast(),
            count,
        })
    }

    fn all(&mut self) -> &mut [ffi::pam_response] {
        // SAFETY: so many were allocated, and they are ours until they are handed over.
        unsafe { slice::from_raw_parts_mut(self.array, self.count) }
    }

    /// False if there is no memory.  `text` has no NUL in it.
    fn set(&mut self, index: usize, text: &[u8]) -> bool {
        let Some(answer) = self.all().get_mut(index) else {
            return false;
        };
        // SAFETY: any number will do.
        let copy = unsafe { libc::calloc(text.len() + 1, 1) }.cast::<c_char>();
        if copy.is_null() {
            return false;
        }
        // SAFETY: the copy has room for one more than that, which stays NUL, and is new.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), copy.cast(), text.len()) };
        answer.resp = copy;
        true
    }

    fn hand_over(mut self) -> *mut ffi::pam_response {
        std::mem::replace(&mut self.array, ptr::null_mut())
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        if self.array.is_null() {
            return;
        }
        for answer in self.all() {
            if answer.resp.is_null() {
                continue;
            }
            // SAFETY: made by `set`: ends in NUL.
            let length = unsafe { libc::strlen(answer.resp) };
            // SAFETY: so long, and ours.
            let text = unsafe { slice::from_raw_parts_mut(answer.resp.cast::<u8>(), length) };
            text.zeroize();
            // SAFETY: from malloc, and not used again.
            unsafe { libc::free(answer.resp.cast()) };
        }
        // SAFETY: as above.
        unsafe { libc::free(self.array.cast()) };
    }
}

const MAX_MESSAGES: usize = ffi::PAM_MAX_NUM_MSG as usize;

/// Modules have buffers of this size.
pub(super) const MAX_ANSWER: usize = ffi::PAM_MAX_RESP_SIZE as usize - 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls the conversation as a module would; the texts of the answers.
    fn ask(talk: &mut Talk, questions: &[(c_int, Option<&CStr>)]) -> Result<Vec<String>, c_int> {
        let messages: Vec<ffi::pam_message> = questions
            .iter()
            .map(|(style, text)| ffi::pam_message {
                msg_style: *style,
                msg: text.map_or(ptr::null(), CStr::as_ptr),
            })
            .collect();
        let mut pointers: Vec<*const ffi::pam_message> =
            messages.iter().map(ptr::from_ref).collect();
        let mut answers = ptr::null_mut();
        let talk: *mut Talk = talk;
        // SAFETY: as a module would.
        let status = unsafe {
            converse(
                c_int::try_from(pointers.len()).unwrap(),
                pointers.as_mut_ptr(),
                &raw mut answers,
                talk.cast(),
            )
        };
        if status != ffi::PAM_SUCCESS {
            assert!(answers.is_null(), "answers with an error are leaked");
            return Err(status);
        }
        let mut answers = Answers {
            array: answers,
            count: questions.len(),
        };
        let text = |answer: &ffi::pam_response| match answer.resp.is_null() {
            true => String::from("-"),
            // SAFETY: a string that `converse` made.
            false => unsafe { CStr::from_ptr(answer.resp) }
                .to_string_lossy()
                .into_owned(),
        };
        Ok(answers.all().iter().map(text).collect())
    }

    fn talk() -> Talk {
        Talk {
            user: c"bob".into(),
            password: Some(Zeroizing::new(b"secret".to_vec())),
            messages: Vec::new(),
        }
    }

    const OFF: c_int = ffi::PAM_PROMPT_ECHO_OFF;
    const ON: c_int = ffi::PAM_PROMPT_ECHO_ON;
    const INFO: c_int = ffi::PAM_TEXT_INFO;

    #[test]
    fn questions_are_answered_and_messages_kept() {
        let mut talk = talk();
        let questions = [
            (ON, Some(c"login:")),
            (INFO, Some(c"Hello")),
            (ffi::PAM_ERROR_MSG, None),
            (OFF, Some(c"Password:")),
        ];
        let answers = ask(&mut talk, &questions).unwrap();
        assert_eq!(answers, ["bob", "-", "-", "secret"]);
        assert_eq!(talk.messages, ["Hello"]);
    }

    #[test]
    fn without_a_password_no_password_is_given() {
        let mut talk = talk();
        talk.password = None;
        let questions = [(ON, None), (OFF, None)];
        assert_eq!(ask(&mut talk, &questions), Err(ffi::PAM_CONV_ERR));
    }

    #[test]
    fn what_is_not_known_ends_the_conversation() {
        let questions = [(OFF, None), (ffi::PAM_BINARY_PROMPT, None)];
        assert_eq!(ask(&mut talk(), &questions), Err(ffi::PAM_CONV_ERR));
        assert_eq!(ask(&mut talk(), &[]), Err(ffi::PAM_CONV_ERR));
        assert_eq!(
            ask(&mut talk(), &[(INFO, None); 33]),
            Err(ffi::PAM_CONV_ERR)
        );
        assert!(ask(&mut talk(), &[(OFF, None); 32]).is_ok());
    }

    #[test]
    fn messages_without_a_place_for_answers_are_taken_but_questions_are_not() {
        let mut talk = talk();
        let mut call = |style: c_int, count: c_int| {
            let message = ffi::pam_message {
                msg_style: style,
                msg: c"text".as_ptr(),
            };
            let mut pointer = ptr::from_ref(&message);
            let data = (&raw mut talk).cast();
            // SAFETY: as a careless module would.
            unsafe { converse(count, &raw mut pointer, ptr::null_mut(), data) }
        };
        assert_eq!(call(INFO, 1), ffi::PAM_SUCCESS);
        assert_eq!(call(OFF, 1), ffi::PAM_CONV_ERR);
        assert_eq!(call(INFO, -1), ffi::PAM_CONV_ERR);
        assert_eq!(talk.messages, ["text"]);
    }

    #[test]
    fn a_null_message_is_not_followed() {
        let mut talk = talk();
        let mut pointer: *const ffi::pam_message = ptr::null();
        let mut answers = ptr::null_mut();
        let data = (&raw mut talk).cast();
        // SAFETY: as a broken module would.
        let status = unsafe { converse(1, &raw mut pointer, &raw mut answers, data) };
        assert_eq!(status, ffi::PAM_CONV_ERR);
        assert!(answers.is_null());
    }

    #[test]
    fn messages_are_bounded_in_number_and_length() {
        let mut talk = talk();
        let long = CString::new(vec![b'x'; 5000]).unwrap();
        for _ in 0..3 {
            ask(&mut talk, &[(INFO, Some(long.as_c_str())); 20]).unwrap();
        }
        assert_eq!(talk.messages.len(), MAX_MESSAGES);
        assert!(talk.messages.iter().all(|text| text.len() == MAX_ANSWER));
    }
}
