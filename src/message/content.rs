//! The fields that describe a part: Content-Type, Content-Disposition and their kin (RFC 2045,
//! 2183, 3282, 2557), as BODYSTRUCTURE shows them.
//!
//! Of several fields with one name the first counts. What cannot be read is left out and the rest
//! still counts; a part without a readable Content-Type is text/plain (RFC 2045 5.2), or
//! application/octet-stream if it claims to be something else.

use std::borrow::Cow;

use super::header::{Field, fields, shown, unfold};
use super::lexer::{Lexer, unescape};
use super::parameter::{Parameter, find, join_continuations};
use super::transfer::Encoding;

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
    /// From a header block, or some fields of it. In a digest the default is message/rfc822 (RFC
    /// 2046 5.1.5).
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

    /// The value of a parameter of Content-Type, in whichever form of RFC 2231 it is given.
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        find(&self.parameters, name.as_bytes())
    }

    /// Whether the part is a message, or has to be told as one. `message/global` (RFC 6532 3.7) is
    /// known to IMAP4rev2 only.
    pub fn is_message(&self) -> bool {
        self.is("message", "rfc822") || self.is_global()
    }

    pub fn is_global(&self) -> bool {
        self.is("message", "global")
    }

    /// A `message/global` may be in a transfer encoding, which `message/rfc822` may not (RFC 6532
    /// 3.7). Then no part of it has a place in the file.
    pub fn is_encoded_global(&self) -> bool {
        self.is_global() && self.encoding() != Encoding::Identity
    }

    pub fn encoding(&self) -> Encoding {
        Encoding::from_field(self.transfer_encoding.as_deref())
    }

    /// `content := type "/" subtype *(";" parameter)`
    fn read_type(&mut self, field: &Field) {
        let body = out_of_quotes(unfold(field.value), b"/");
        let mut lexer = Lexer::new(&body);
        let media_type = token(&mut lexer);
        lexer.skip_cfws();
        let subtype = if lexer.take(b'/') {
            token(&mut lexer)
        } else {
            Vec::new()
        };
        // Apostrophes are no part of any type.
        let [media_type, subtype] = [media_type, subtype].map(|mut name| {
            name.retain(|b| *b != b'\'');
            name
        });
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
        let (text, body) = (shown(field.value), unfold(field.value));
        match what.to_ascii_lowercase().as_slice() {
            b"id" if self.id.is_none() => self.id = Some(text),
            b"description" if self.description.is_none() => self.description = Some(text),
            b"md5" if self.md5.is_none() => self.md5 = Some(text),
            b"location" if self.location.is_none() => self.location = Some(text),
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

/// `mechanism` of Content-Transfer-Encoding. Unknown words with others after them are ignored.
fn mechanism(body: &[u8]) -> Option<Vec<u8>> {
    let mut lexer = Lexer::new(body);
    let name = token(&mut lexer);
    lexer.skip_cfws();
    let is_clear = lexer.peek().is_none() || Encoding::from_field(Some(&name)) != Encoding::Unknown;
    (is_clear && !name.is_empty()).then_some(name)
}

/// What is in the quoted string that the body begins with, and what follows it, if there is one of
/// `specials` inside: then more was quoted than one word.
fn out_of_quotes(body: Vec<u8>, specials: &[u8]) -> Vec<u8> {
    let mut lexer = Lexer::new(&body);
    lexer.skip_cfws();
    match lexer.quoted_string() {
        Some(inside) if inside.iter().any(|b| specials.contains(b)) => {
            [&inside, lexer.rest()].concat()
        }
        _ => body,
    }
}

/// `disposition-type *(";" disposition-parm)`; one without a type is an attachment (RFC 2183 2.8).
fn disposition(body: &[u8]) -> Option<(Vec<u8>, Vec<Parameter>)> {
    let body = out_of_quotes(body.to_vec(), b";=");
    let mut lexer = Lexer::new(&body);
    let mut kind = token(&mut lexer);
    lexer.skip_cfws();
    if lexer.peek() == Some(b'=') {
        // It was a parameter's name.
        kind.clear();
        lexer = Lexer::new(&body);
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

/// How many parameters or languages of a field are looked at.
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
            let value = value(lexer, Kind::of(&name));
            found.push(Parameter { name, value });
        }
        lexer.skip_to(b";");
        lexer.skip();
    }
    join_continuations(found)
}

/// What is known of how values of a parameter are written in the field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Should have been quoted and was not: it may hold spaces. A path of DOS: its backslashes
    /// escape quotes only.
    FileName,
    /// Holds no parenthesis: one begins a comment.
    Charset,
    Other,
}

impl Kind {
    /// By a parameter's name, with or without the number and the asterisk of RFC 2231.
    fn of(parameter: &[u8]) -> Kind {
        let name = parameter.split(|b| *b == b'*').next().unwrap_or_default();
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("name") || is("filename") {
            Kind::FileName
        } else if is("charset") {
            Kind::Charset
        } else {
            Kind::Other
        }
    }
}

/// `value := token / quoted-string`. Tspecials in a token are taken as they are meant: a comment
/// begins after white space only, and an encoded word is one token.
fn value(lexer: &mut Lexer, kind: Kind) -> Vec<u8> {
    lexer.skip_cfws();
    if let Some(text) = lexer.quoted() {
        return match kind {
            Kind::FileName => unescape_path(text),
            _ => unescape(text),
        };
    }
    lexer.skip_cfws();
    let ends_token: &[u8] = match kind {
        Kind::FileName => b"",
        Kind::Charset => b" \t(",
        Kind::Other => b" \t",
    };
    let is_end = |b: u8| b"\";\r\n".contains(&b) || ends_token.contains(&b);
    lexer.words(|b| !is_end(b)).trim_ascii_end().to_vec()
}

/// Without the backslashes before quotes and backslashes; others separate the directories of a
/// path.
fn unescape_path(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match (octet, after) {
            (b'\\', [escaped @ (b'"' | b'\\'), after @ ..]) => {
                out.push(*escaped);
                rest = after;
            }
            _ => out.push(octet),
        }
    }
    out
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
    fn a_type_may_stand_in_quotes() {
        let expected = expect("text/html", &[("charset", "utf-8")]);
        for body in [
            "\"text/html\"; charset=utf-8",
            "\"text/html; charset=utf-8\"",
            "\"text\"/\"html\"; charset=\"utf-8\"",
            "text/\"html\" ;charset=utf-8",
            "\"text/html; charset=utf-8",
            "(c) \"text/html; charset=\\\"utf-8\\\"\"",
            "'text/html'; charset=utf-8",
        ] {
            assert_eq!(typed(body), expected, "{body}");
        }
        assert_eq!(
            disposed("\"attachment; filename=x\""),
            Some(expect("attachment", &[("filename", "x")]))
        );
    }

    #[test]
    fn a_parenthesis_within_a_value_begins_no_comment() {
        for (body, value) in [
            ("a/b; x=1(2)3 (c)", "1(2)3"),
            ("a/b; x=1 (2)3; y", "1"),
            ("a/b; x=1(2", "1(2"),
            ("a/b; x==?utf-8?q?1;(2)?=3", "=?utf-8?q?1;(2)?=3"),
        ] {
            assert_eq!(typed(body), expect("a/b", &[("x", value)]), "{body}");
        }
        let charset = expect("text/plain", &[("charset", "us-ascii")]);
        assert_eq!(typed("text/plain; charset=us-ascii(Plain text)"), charset);
        assert_eq!(
            disposed("attachment; filename*0*=utf-8''a%20(P%204)%20r.p; filename*1=df"),
            Some(expect(
                "attachment",
                &[("filename*", "utf-8''a%20(P%204)%20r.pdf")]
            ))
        );
        assert_eq!(
            disposed("attachment; filename*0=a (1).p; filename*1=df"),
            Some(expect("attachment", &[("filename", "a (1).pdf")]))
        );
    }

    #[test]
    fn backslashes_of_a_path_stay() {
        for (written, meant) in [
            (r"C:\temp\new.pdf", r"C:\temp\new.pdf"),
            (r"C:\\temp\\new.pdf", r"C:\temp\new.pdf"),
            (r#"say \"a\".txt"#, r#"say "a".txt"#),
            (r"C:\", r"C:\"),
        ] {
            let body = format!("a/b; name=\"{written}\"");
            assert_eq!(typed(&body), expect("a/b", &[("name", meant)]), "{body}");
        }
        assert_eq!(
            typed(r#"a/b; boundary="a\b\"c""#),
            expect("a/b", &[("boundary", "ab\"c")])
        );
    }

    #[test]
    fn identifiers_and_descriptions_are_unfolded_and_trimmed() {
        let header = b"Content-ID:\r\n <a@b>\r\r\nContent-Description: a\n\t b \n\
            Content-Location:\n http://a/\n\tb\nContent-MD5: abc==\t\r\r\nContent-Language: en,\n\tde\r\r\n";
        let content = Content::read(header, false);
        assert_eq!(content.id.as_deref(), Some(&b"<a@b>"[..]));
        assert_eq!(content.description.as_deref(), Some(&b"a b"[..]));
        assert_eq!(content.location.as_deref(), Some(&b"http://a/ b"[..]));
        assert_eq!(content.md5.as_deref(), Some(&b"abc=="[..]));
        assert_eq!(content.languages, [b"en", b"de"]);
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
