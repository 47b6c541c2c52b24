//! The collation i;unicode-casemap (RFC 5051).

/// Appends the form in which strings are compared: titlecase of each character, fully decomposed.
pub fn fold(text: &str, out: &mut String) {
    let _ = (text, out);
    todo!()
}
