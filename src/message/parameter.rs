//! Parameters of Content-Type and Content-Disposition in the forms of RFC 2231: in numbered
//! sections, percent-encoded with a charset and a language, or both, section by section.
//!
//! BODYSTRUCTURE shows sections joined and otherwise as they are (RFC 2231 6). What we act on
//! ourselves, boundary and charset, is decoded.

use std::borrow::Cow;

use super::transfer::hex;

/// A parameter as written, but for continuations: those are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// The value of the parameter with this name; the plain one if it is given in both forms.
pub(super) fn find<'p>(parameters: &'p [Parameter], name: &[u8]) -> Option<Cow<'p, [u8]>> {
    let is = |p: &&Parameter| p.name.eq_ignore_ascii_case(name);
    if let Some(plain) = parameters.iter().find(is) {
        return Some(Cow::Borrowed(&plain.value));
    }
    let is_extended = |p: &&Parameter| {
        let base = p.name.strip_suffix(b"*");
        base.is_some_and(|base| base.eq_ignore_ascii_case(name))
    };
    let extended = parameters.iter().find(is_extended)?;
    Some(Cow::Owned(decode(&extended.value)))
}

/// `extended-initial-value := [charset] "'" [language] "'" extended-other-values` (RFC 2231 7), as
/// octets: values we act on are ASCII. A value without the two apostrophes is all text.
fn decode(value: &[u8]) -> Vec<u8> {
    let text = after_language(value).unwrap_or(value);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match (octet, after) {
            (b'%', [high, low, tail @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = tail;
                }
                _ => out.push(octet),
            },
            _ => out.push(octet),
        }
    }
    out
}

/// What follows charset and language, if the value begins with what can be these.
fn after_language(value: &[u8]) -> Option<&[u8]> {
    let mut pieces = value.splitn(3, |b| *b == b'\'');
    let (charset, language, text) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let is_label = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:+".contains(b);
    let fits = charset.len() + language.len() <= LABELS_MAX;
    (fits && charset.iter().chain(language).all(is_label)).then_some(text)
}

const LABELS_MAX: usize = 100;

/// Makes `name` of `name*0`, `name*1` ..., and `name*` if one of them is encoded (`name*0*`): RFC
/// 2231 6 wants IMAP servers to. Joined parameters come last.
pub(super) fn join_continuations(parameters: Vec<Parameter>) -> Vec<Parameter> {
    let is_section = |p: &Parameter| section(&p.name).is_some();
    if !parameters.iter().any(is_section) {
        return parameters;
    }
    let (mut sections, mut joined): (Vec<_>, Vec<_>) = parameters.into_iter().partition(is_section);
    // Stable: of two sections with one number the first counts.
    sections
        .sort_by_cached_key(|p| section(&p.name).map(|s| (s.name.to_ascii_lowercase(), s.number)));
    let mut open: Option<(Vec<u8>, u32, usize)> = None; // name, number of the last section, place in `joined`
    for parameter in sections {
        let Some(part) = section(&parameter.name) else {
            continue;
        };
        match &mut open {
            Some((name, last, place)) if name.eq_ignore_ascii_case(part.name) => {
                if part.number == last.saturating_add(1) {
                    *last = part.number;
                    if let Some(whole) = joined.get_mut(*place) {
                        append_section(whole, &parameter.value, part.encoded);
                    }
                    continue;
                }
                if part.number == *last {
                    continue;
                }
            }
            _ if part.number == 0 => {
                open = Some((part.name.to_vec(), 0, joined.len()));
                let suffix: &[u8] = if part.encoded { b"*" } else { b"" };
                joined.push(Parameter {
                    name: [part.name, suffix].concat(),
                    value: parameter.value,
                });
                continue;
            }
            _ => {}
        }
        joined.push(parameter); // nothing comes before it: stays as it is
    }
    joined
}

fn append_section(whole: &mut Parameter, value: &[u8], encoded: bool) {
    if encoded && !whole.name.ends_with(b"*") {
        whole.name.push(b'*');
        if after_language(&whole.value).is_none() {
            // Only the first section could say which charset.
            whole.value = [b"''", escape_percent(&whole.value).as_slice()].concat();
        }
    }
    if !encoded && whole.name.ends_with(b"*") {
        whole.value.extend_from_slice(&escape_percent(value));
    } else {
        whole.value.extend_from_slice(value);
    }
}

/// Plain text among encoded sections must not look encoded.
fn escape_percent(text: &[u8]) -> Vec<u8> {
    let pieces: Vec<&[u8]> = text.split(|b| *b == b'%').collect();
    pieces.join(&b"%25"[..])
}

struct Section<'a> {
    name: &'a [u8],
    number: u32,
    encoded: bool,
}

/// `section := initial-section / other-sections`, with or without the `*` of an encoded one (RFC
/// 2231 7).
fn section(parameter: &[u8]) -> Option<Section<'_>> {
    let star = parameter
        .iter()
        .position(|b| *b == b'*')
        .filter(|at| *at > 0)?;
    let (name, number) = parameter.split_at_checked(star)?;
    let number = number.strip_prefix(b"*")?;
    let (digits, encoded) = match number.strip_suffix(b"*") {
        Some(digits) => (digits, true),
        None => (number, false),
    };
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(Section {
        name,
        number: std::str::from_utf8(digits).ok()?.parse().ok()?,
        encoded,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value that is found for `x` among these, after sections are joined.
    fn found(parameters: &[(&str, &str)]) -> Option<String> {
        let own = |(name, value): &(&str, &str)| Parameter {
            name: name.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
        };
        let parameters = join_continuations(parameters.iter().map(own).collect());
        let value = find(&parameters, b"x")?;
        Some(String::from_utf8(value.into_owned()).unwrap())
    }

    #[test]
    fn a_value_is_found_in_every_form() {
        for parameters in [
            &[("x", "a b=c")][..],
            &[("X*", "us-ascii''a%20b%3Dc")],
            &[("x*", "US-ASCII'en-us'a%20b%3dc")],
            &[("x*", "''a%20b=c")],
            &[("x*", "a%20b=c")],
            &[("x*0", "a b"), ("x*1", "=c")],
            &[("x*1", "=c"), ("X*0", "a b")],
            &[("x*0*", "utf-8''a%20"), ("x*1*", "b%3Dc")],
            &[("x*2*", "%3Dc"), ("x*0*", "utf-8'de'a"), ("x*1", " b")],
            &[("x*0", "a b"), ("x*1*", "%3Dc")],
            &[("x", "a b=c"), ("x*", "us-ascii''other")],
            &[("y", "z"), ("x*00", "a b"), ("x*01", "=c")],
        ] {
            assert_eq!(
                found(parameters).as_deref(),
                Some("a b=c"),
                "{parameters:?}"
            );
        }
    }

    #[test]
    fn what_only_looks_encoded_stays() {
        assert_eq!(found(&[("x", "a%20b")]).as_deref(), Some("a%20b"));
        assert_eq!(
            found(&[("x*0", "a%20"), ("x*1", "b")]).as_deref(),
            Some("a%20b")
        );
        assert_eq!(
            found(&[("x*0*", "''a%2"), ("x*1", "%20")]).as_deref(),
            Some("a%2%20")
        );
        assert_eq!(
            found(&[("x*", "it's a 'b'")]).as_deref(),
            Some("it's a 'b'")
        );
        assert_eq!(found(&[("x*1", "a")]), None);
        assert_eq!(found(&[("xx", "a"), ("x y*", "b")]), None);
    }
}
