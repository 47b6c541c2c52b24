//! The fields that describe a part: Content-Type, Content-Disposition and their kin (RFC 2045, 2183, 3282,
//! 2557), as BODYSTRUCTURE shows them.
//!
//! Of several fields with one name the first counts. What cannot be read is left out and the rest still counts; a
//! part without a readable Content-Type is text/plain (RFC 2045 5.2), or application/octet-stream if it claims
//! to be something else.

use super::header::{Field, fields, unfold};
use super::lexer::Lexer;
use super::transfer::Encoding;

/// A parameter as written, but for continuations: those are joined (RFC 2231 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// What a part's header says about its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub media_type: Vec<u8>,
    pub subtype: Vec<u8>,
    pub parameters: Vec<Parameter>,
    pub id: Option<Vec<u8>>,
    pub description: Option<Vec<u8>>,
    pub transfer_encoding: Option<Vec<u8>>,
    pub md5: Option<Vec<u8>>,
    pub disposition: Option<(Vec<u8>, Vec<Parameter>)>,
    pub languages: Vec<Vec<u8>>,
    pub location: Option<Vec<u8>>,
}

impl Content {
    /// From a header block, or some fields of it. In a digest the default is message/rfc822 (RFC 2046 5.1.5).
    pub fn read(header: &[u8], in_digest: bool) -> Content {
        let mut content = Content::default();
        let mut has_type = false;
        for field in fields(header) {
            if field.is(b"Content-Type") && !has_type {
                has_type = true;
                content.read_type(&field);
            } else {
                content.read_other(&field);
            }
        }
        if !has_type && in_digest {
            content.media_type = b"message".to_vec();
            content.subtype = b"rfc822".to_vec();
        }
        content
    }

    /// Whether a field is one that [`Content::read`] looks at.
    pub fn is_about(name: &[u8]) -> bool {
        let (start, rest) = name.split_at_checked(PREFIX.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(PREFIX) && FIELDS.iter().any(|f| f.eq_ignore_ascii_case(rest))
    }

    pub fn is(&self, media_type: &str, subtype: &str) -> bool {
        self.is_type(media_type) && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    pub fn is_type(&self, media_type: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type.as_bytes())
    }

    /// The value of a parameter of Content-Type.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        let is_it = |p: &&Parameter| p.name.eq_ignore_ascii_case(name.as_bytes());
        self.parameters
            .iter()
            .find(is_it)
            .map(|p| p.value.as_slice())
    }

    pub fn encoding(&self) -> Encoding {
        Encoding::from_field(self.transfer_encoding.as_deref())
    }

    /// `content := type "/" subtype *(";" parameter)`
    fn read_type(&mut self, field: &Field) {
        let body = unfold(field.value);
        let mut lexer = Lexer::new(&body);
        let media_type = token(&mut lexer);
        lexer.skip_cfws();
        let subtype = if lexer.take(b'/') {
            token(&mut lexer)
        } else {
            Vec::new()
        };
        if media_type.is_empty() {
            return;
        }
        if !subtype.is_empty() {
            self.media_type = media_type;
            self.subtype = subtype;
            self.parameters = parameters(&mut lexer);
        } else if !media_type.eq_ignore_ascii_case(b"text") {
            self.media_type = b"application".to_vec();
            self.subtype = b"octet-stream".to_vec();
        }
    }

    fn read_other(&mut self, field: &Field) {
        let Some(what) = Content::is_about(field.name)
            .then(|| field.name.get(8..))
            .flatten()
        else {
            return;
        };
        let body = unfold(field.value);
        match what.to_ascii_lowercase().as_slice() {
            b"id" if self.id.is_none() => self.id = Some(body),
            b"description" if self.description.is_none() => self.description = Some(body),
            b"md5" if self.md5.is_none() => self.md5 = Some(body),
            b"location" if self.location.is_none() => self.location = Some(body),
            b"transfer-encoding" if self.transfer_encoding.is_none() => {
                self.transfer_encoding = mechanism(&body);
            }
            b"disposition" if self.disposition.is_none() => self.disposition = disposition(&body),
            b"language" if self.languages.is_empty() => self.languages = languages(&body),
            _ => {}
        }
    }
}

const PREFIX: &[u8] = b"Content-";

const FIELDS: [&[u8]; 8] = [
    b"Type",
    b"ID",
    b"Description",
    b"Transfer-Encoding",
    b"MD5",
    b"Disposition",
    b"Language",
    b"Location",
];

impl Default for Content {
    /// A part whose header says nothing.
    fn default() -> Content {
        Content {
            media_type: b"text".to_vec(),
            subtype: b"plain".to_vec(),
            parameters: Vec::new(),
            id: None,
            description: None,
            transfer_encoding: None,
            md5: None,
            disposition: None,
            languages: Vec::new(),
            location: None,
        }
    }
}

/// `mechanism` of Content-Transfer-Encoding. Words that nobody knows with others after them say nothing.
fn mechanism(body: &[u8]) -> Option<Vec<u8>> {
    let mut lexer = Lexer::new(body);
    let name = token(&mut lexer);
    lexer.skip_cfws();
    let is_clear = lexer.peek().is_none() || Encoding::from_field(Some(&name)) != Encoding::Unknown;
    (is_clear && !name.is_empty()).then_some(name)
}

/// `disposition-type *(";" disposition-parm)`; one without a type is an attachment (RFC 2183 2.8).
fn disposition(body: &[u8]) -> Option<(Vec<u8>, Vec<Parameter>)> {
    let mut lexer = Lexer::new(body);
    let mut kind = token(&mut lexer);
    lexer.skip_cfws();
    if lexer.peek() == Some(b'=') {
        // It was a parameter's name.
        kind.clear();
        lexer = Lexer::new(body);
    }
    let parameters = if kind.is_empty() {
        lexer.take(b';');
        parameters_from(&mut lexer)
    } else {
        parameters(&mut lexer)
    };
    if kind.is_empty() && parameters.is_empty() {
        return None;
    }
    if kind.is_empty() {
        kind = b"attachment".to_vec();
    }
    Some((kind, parameters))
}

fn languages(body: &[u8]) -> Vec<Vec<u8>> {
    let mut lexer = Lexer::new(body);
    let mut tags = Vec::new();
    while lexer.peek().is_some() && tags.len() < LIST_MAX {
        let tag = token(&mut lexer);
        if tag.is_empty() {
            lexer.skip();
        } else {
            tags.push(tag);
        }
    }
    tags
}

/// So many parameters or languages of a field are looked at.
const LIST_MAX: usize = 1000;

/// `token`, leniently: what is no tspecial (RFC 2045 5.1), or a quoted string.
fn token(lexer: &mut Lexer) -> Vec<u8> {
    lexer.skip_cfws();
    match lexer.quoted_string() {
        Some(text) => text,
        None => {
            lexer.skip_cfws();
            lexer.run(|b| b > b' ' && !TSPECIALS.contains(&b)).to_vec()
        }
    }
}

const TSPECIALS: &[u8] = b"()<>@,;:\\\"/[]?=";

/// `*(";" parameter)`
fn parameters(lexer: &mut Lexer) -> Vec<Parameter> {
    lexer.skip_to(b";");
    lexer.skip();
    parameters_from(lexer)
}

fn parameters_from(lexer: &mut Lexer) -> Vec<Parameter> {
    let mut found = Vec::new();
    while lexer.peek().is_some() && found.len() < LIST_MAX {
        lexer.skip_cfws();
        let name = lexer.run(|b| b > b' ' && !b"()<>@,;:\\\"/[]=".contains(&b));
        lexer.skip_cfws();
        if !name.is_empty() && lexer.take(b'=') {
            let name = name.to_vec();
            let value = value(lexer, is_file_name(&name));
            found.push(Parameter { name, value });
        }
        lexer.skip_to(b";");
        lexer.skip();
    }
    join_continuations(found)
}

/// `value := token / quoted-string`. Tspecials in a token are taken as they are meant; and a file name
/// that should have been quoted goes on over its spaces and parentheses.
fn value(lexer: &mut Lexer, file_name: bool) -> Vec<u8> {
    lexer.skip_cfws();
    if let Some(text) = lexer.quoted_string() {
        return text;
    }
    lexer.skip_cfws();
    let is_end = |b: u8| b"\";\r\n".contains(&b) || (!file_name && b" \t(".contains(&b));
    lexer.run(|b| !is_end(b)).trim_ascii_end().to_vec()
}

fn is_file_name(parameter: &[u8]) -> bool {
    parameter.eq_ignore_ascii_case(b"name") || parameter.eq_ignore_ascii_case(b"filename")
}

/// Makes `name` of `name*0`, `name*1` ..., and `name*` if one of them is encoded (`name*0*`): RFC 2231 6 wants
/// IMAP servers to. Joined parameters come last.
fn join_continuations(parameters: Vec<Parameter>) -> Vec<Parameter> {
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
        whole.value = escape_percent(&whole.value);
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

/// `section := initial-section / other-sections`, with or without the `*` of an encoded one (RFC 2231 7).
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

    fn typed(body: &str) -> (String, Vec<(String, String)>) {
        let content = Content::read(format!("Content-Type: {body}\n").as_bytes(), false);
        let kind = [&content.media_type[..], b"/", &content.subtype].concat();
        (string(&kind), pairs(&content.parameters))
    }

    fn disposed(body: &str) -> Option<(String, Vec<(String, String)>)> {
        let (kind, parameters) = disposition(body.as_bytes())?;
        Some((string(&kind), pairs(&parameters)))
    }

    fn pairs(parameters: &[Parameter]) -> Vec<(String, String)> {
        let pair = |p: &Parameter| (string(&p.name), string(&p.value));
        parameters.iter().map(pair).collect()
    }

    fn string(text: &[u8]) -> String {
        String::from_utf8(text.to_vec()).unwrap()
    }

    fn expect(kind: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        (kind.to_owned(), parameters.iter().map(own).collect())
    }

    #[test]
    fn types_are_read_with_comments_and_quotes() {
        assert_eq!(
            typed("(a) TEXT (b) / Plain (c); (d) Charset (e) = (f) UTF-8 (g); foo=\"a b\\\"c\""),
            expect("TEXT/Plain", &[("Charset", "UTF-8"), ("foo", "a b\"c")])
        );
    }

    #[test]
    fn broken_types_become_what_they_may_be_shown_as() {
        assert_eq!(typed(""), expect("text/plain", &[]));
        assert_eq!(typed("text; charset=x"), expect("text/plain", &[]));
        assert_eq!(typed("/html"), expect("text/plain", &[]));
        assert_eq!(typed("image"), expect("application/octet-stream", &[]));
        assert_eq!(
            typed("text/html charset=a; b=c"),
            expect("text/html", &[("b", "c")])
        );
    }

    #[test]
    fn broken_parameters_cost_themselves_only() {
        assert_eq!(
            typed("a/b; ; c; =d; e f=g; h=i j=k; l=\"m\"n; o=; p=\"q; r=s"),
            expect(
                "a/b",
                &[("h", "i"), ("l", "m"), ("o", ""), ("p", "q"), ("r", "s")]
            )
        );
        assert_eq!(
            typed("a/b; name=my file (1).pdf; charset=a/b:c@d"),
            expect(
                "a/b",
                &[("name", "my file (1).pdf"), ("charset", "a/b:c@d")]
            )
        );
    }

    #[test]
    fn continuations_are_joined() {
        assert_eq!(
            typed("a/b; n*1*=%20c; n*0*=utf-8''x; m*0=\"d\"; m*1=e; z=y; n*2=5%; o*=u''v; q*1=r"),
            expect(
                "a/b",
                &[
                    ("z", "y"),
                    ("o*", "u''v"),
                    ("m", "de"),
                    ("n*", "utf-8''x%20c5%25"),
                    ("q*1", "r"),
                ]
            )
        );
    }

    #[test]
    fn a_disposition_without_a_type_is_an_attachment() {
        let expected = Some(expect("attachment", &[("filename", "x")]));
        assert_eq!(disposed("attachment; filename=x"), expected);
        assert_eq!(disposed("\"attachment\" ; filename=\"x\""), expected);
        assert_eq!(disposed("; filename=x"), expected);
        assert_eq!(disposed("filename=x"), expected);
        assert_eq!(disposed(" (c) "), None);
    }

    #[test]
    fn mechanisms_and_languages_are_read() {
        assert_eq!(
            mechanism(b"(x) BASE64 (y);").as_deref(),
            Some(&b"BASE64"[..])
        );
        assert_eq!(mechanism(b"x-foo").as_deref(), Some(&b"x-foo"[..]));
        assert_eq!(mechanism(b"8 bit"), None);
        assert_eq!(mechanism(b""), None);
        assert_eq!(
            languages(b"en, fr (c),,\"de-DE\""),
            [&b"en"[..], b"fr", b"de-DE"]
        );
    }
}
