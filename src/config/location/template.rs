//! Paths with variables in them, in the languages of Dovecot 2.3 and 2.4.
//!
//! 2.3 has `%[[OFFSET.]WIDTH][MODIFIERS]LETTER`, as in `%n`, `%Ld`, `%2.1n`, `%2.256Hu`; a name
//! in braces can stand for the letter, as in `%L{user}`.  2.4 has `%{user | domain | lower}`.  Both
//! mean octets, and letters are those of ASCII.
//!
//! What is put in for the user comes from the client.  It can only become part of one name in the
//! directory that the template means: it has no slash and no NUL in it, is not empty, and does not
//! begin with a dot, whatever was cut out of it.  So it can be neither `..` nor a folder of another
//! user's Maildir.

use aws_lc_rs::digest::{self, digest};
use md5::{Digest, Md5};

use super::LocationError;

/// A path that begins at the root or at home.
pub(super) struct Template<'a>(Vec<Piece<'a>>);

enum Piece<'a> {
    Text(&'a str),
    Variable(Variable, Vec<Filter>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    /// `%u`
    User,
    /// `%n`: the part before the `@`.
    Name,
    /// `%d`: the part after the `@`.
    Domain,
    /// `%h`, `~`
    Home,
}

/// What is done with a value.
#[derive(Clone, Copy)]
enum Filter {
    Lower,
    Upper,
    Reverse,
    /// Without blanks at the end.
    Trim,
    /// With a backslash before quotes and backslashes.
    Escape,
    /// A number in hexadecimal digits; what is no number is 0.
    Hexadecimal,
    /// `example,dc=org`
    DomainComponents,
    Md5,
    Sha(&'static digest::Algorithm),
    /// Two numbers that are made of the value, with this modulus, in at least so many digits.
    Hash(u64, usize),
    Md5Hash(u64, usize),
    /// The part before the `@`, and the one after it.
    Name,
    Domain,
    /// The part that begins here, from the end if that is negative, and is so long, or leaves so
    /// many octets if that is negative; 0: to the end.
    Cut(i64, i64),
    /// With zeros before it, so long.
    Pad(usize),
}

impl<'a> Template<'a> {
    pub fn parse(template: &'a str) -> Result<Template<'a>, &'static str> {
        let mut pieces = Vec::new();
        let mut rest = template;
        if let Some(below) = rest.strip_prefix('~') {
            if !below.is_empty() && !below.starts_with('/') {
                return Err("~ must stand alone or before a slash");
            }
            pieces.push(Piece::Variable(Variable::Home, Vec::new()));
            rest = below;
        }
        while let Some((text, after)) = rest.split_once('%') {
            pieces.push(Piece::Text(text));
            let (piece, after) = variable(after)?;
            let is_home = matches!(piece, Piece::Variable(Variable::Home, _));
            if is_home && pieces.iter().any(|piece| !piece.is_empty()) {
                return Err("the home directory must stand at the beginning");
            }
            pieces.push(piece);
            rest = after;
        }
        pieces.push(Piece::Text(rest));
        match pieces.iter().find(|piece| !piece.is_empty()) {
            Some(Piece::Text(text)) if text.starts_with('/') => Ok(Template(pieces)),
            Some(Piece::Variable(Variable::Home, _)) => Ok(Template(pieces)),
            _ => Err("the path must begin with /, ~/ or %h"),
        }
    }

    pub fn has(&self, variable: Variable) -> bool {
        self.0.iter().any(|piece| match piece {
            Piece::Variable(found, filters) => {
                let cuts_domain = filters
                    .iter()
                    .any(|filter| matches!(filter, Filter::Domain));
                *found == variable || variable == Variable::Domain && cuts_domain
            }
            Piece::Text(_) => false,
        })
    }

    /// The path for this user; without slashes at its end.
    pub fn fill(&self, user: &str, home: &str) -> Result<String, LocationError> {
        let mut path = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Variable(Variable::Home, filters) => {
                    let home = filters
                        .iter()
                        .try_fold(String::from(home), |home, filter| filter.apply(&home))?;
                    path.push_str(directory(&home)?);
                }
                Piece::Variable(variable, filters) => {
                    path.push_str(&part(user, *variable, filters)?);
                }
            }
        }
        let bare = path.trim_end_matches('/');
        Ok(String::from(if bare.is_empty() { "/" } else { bare }))
    }
}

impl Piece<'_> {
    fn is_empty(&self) -> bool {
        matches!(self, Piece::Text(""))
    }
}

/// What stands behind a `%`, and what follows.
fn variable(text: &str) -> Result<(Piece<'_>, &str), &'static str> {
    if let Some(rest) = text.strip_prefix('%') {
        return Ok((Piece::Text("%"), rest));
    }
    let mut octets = Cursor(text);
    let (offset, width, pads) = octets.cut();
    let mut modifiers = Vec::new();
    while let Some(modifier) = octets.0.chars().next().filter(|c| MODIFIERS.contains(*c)) {
        modifiers.push(modifier);
        octets.0 = octets.0.get(1..).unwrap_or_default();
    }
    let mut filters = filters_of(&modifiers, offset, width, pads);
    let (variable, mut named, rest) = match octets.0.strip_prefix('{') {
        Some(long) => {
            let (inside, rest) = long.split_once('}').ok_or("a { behind a % is not closed")?;
            let (variable, named) = long_variable(inside)?;
            (variable, named, rest)
        }
        None => {
            let (letter, rest) = octets.0.split_at_checked(1).ok_or(NO_VARIABLE)?;
            let known = LETTERS.iter().find(|(known, _)| *known == letter);
            let (_, variable) = known.ok_or(NO_VARIABLE)?;
            (*variable, Vec::new(), rest)
        }
    };
    named.append(&mut filters);
    Ok((Piece::Variable(variable, named), rest))
}

/// `user`, `md5:user`, `user | domain | lower`
fn long_variable(inside: &str) -> Result<(Variable, Vec<Filter>), &'static str> {
    let mut parts = inside.split('|').map(str::trim);
    let name = parts.next().unwrap_or("");
    let mut filters = Vec::new();
    let name = match name.split_once(':') {
        None => name,
        Some((function, name)) => {
            let known = FUNCTIONS.iter().find(|(known, _)| *known == function);
            let (_, filter) = known.ok_or(NO_FUNCTION)?;
            filters.push(*filter);
            name
        }
    };
    let known = NAMES.iter().find(|(known, _)| *known == name);
    let (_, variable) = known.ok_or(NO_VARIABLE)?;
    for part in parts {
        filters.push(filter(part)?);
    }
    Ok((*variable, filters))
}

/// `lower`, `substr(0, 1)`
fn filter(text: &str) -> Result<Filter, &'static str> {
    if let Some(arguments) = text.strip_prefix("substr") {
        let inside = arguments.trim().strip_prefix('(');
        let inside = inside.and_then(|inside| inside.strip_suffix(')'));
        let numbers = inside.ok_or(NO_FILTER)?.split(',');
        let numbers: Result<Vec<i64>, _> = numbers.map(|number| number.trim().parse()).collect();
        return match numbers.as_deref() {
            Ok([offset]) => Ok(Filter::Cut(*offset, 0)),
            Ok([offset, width]) if *width != 0 => Ok(Filter::Cut(*offset, *width)),
            _ => Err(NO_FILTER),
        };
    }
    match text {
        "lower" => Ok(Filter::Lower),
        "upper" => Ok(Filter::Upper),
        "reverse" => Ok(Filter::Reverse),
        "username" => Ok(Filter::Name),
        "domain" => Ok(Filter::Domain),
        _ => Err(NO_FILTER),
    }
}

/// The modifiers of 2.3 from left to right, and then the cut.  A hash takes the cut for itself.
fn filters_of(modifiers: &[char], mut offset: i64, mut width: i64, pads: bool) -> Vec<Filter> {
    let mut filters = Vec::new();
    for modifier in modifiers {
        filters.push(match modifier {
            'L' => Filter::Lower,
            'U' => Filter::Upper,
            'R' => Filter::Reverse,
            'T' => Filter::Trim,
            'E' => Filter::Escape,
            'X' => Filter::Hexadecimal,
            'D' => Filter::DomainComponents,
            'M' => Filter::Md5,
            hash => {
                let modulus = u64::try_from(std::mem::take(&mut width)).unwrap_or(0);
                let digits = usize::try_from(std::mem::take(&mut offset)).unwrap_or(0);
                match hash {
                    'H' => Filter::Hash(modulus, digits),
                    _ => Filter::Md5Hash(modulus, digits),
                }
            }
        });
    }
    if offset != 0 || width != 0 && !pads {
        filters.push(Filter::Cut(offset, if pads { 0 } else { width }));
    }
    if pads && let Ok(width @ 1..) = usize::try_from(width) {
        filters.push(Filter::Pad(width));
    }
    filters
}

struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    /// `[[OFFSET.]WIDTH]`, and whether a zero before the width asks for zeros.
    fn cut(&mut self) -> (i64, i64, bool) {
        let negative = self.take('-');
        let pads = self.take('0');
        let width = self.number();
        if !self.take('.') {
            // As in Dovecot, the sign means nothing here.
            return (0, width, pads);
        }
        let offset = if negative { -width } else { width };
        let pads = self.take('0');
        let negative = self.take('-');
        let width = self.number();
        (offset, if negative { -width } else { width }, pads)
    }

    fn take(&mut self, c: char) -> bool {
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn number(&mut self) -> i64 {
        let end = self.0.find(|c: char| !c.is_ascii_digit());
        let (digits, rest) = self
            .0
            .split_at_checked(end.unwrap_or(self.0.len()))
            .unwrap_or_default();
        self.0 = rest;
        // More than any name is long.
        digits
            .parse()
            .unwrap_or(i64::from(i32::MAX))
            .min(i64::from(i32::MAX))
            * i64::from(!digits.is_empty())
    }
}

fn directory(home: &str) -> Result<&str, LocationError> {
    match home.starts_with('/') && !home.contains('\0') {
        true => Ok(home.trim_end_matches('/')),
        false => Err(LocationError::NoHome),
    }
}

fn part(user: &str, variable: Variable, filters: &[Filter]) -> Result<String, LocationError> {
    let mut part = String::from(match variable {
        Variable::Name => name_of(user),
        Variable::Domain => domain_of(user)?,
        Variable::User | Variable::Home => user,
    });
    checked(&part)?;
    for filter in filters {
        part = filter.apply(&part)?;
    }
    checked(&part)?;
    Ok(part)
}

fn checked(part: &str) -> Result<(), LocationError> {
    match part.is_empty() || part.starts_with('.') || part.contains(['/', '\0']) {
        true => Err(LocationError::Name),
        false => Ok(()),
    }
}

fn name_of(user: &str) -> &str {
    user.split_once('@').map_or(user, |(name, _)| name)
}

fn domain_of(user: &str) -> Result<&str, LocationError> {
    let domain = user.split_once('@').map(|(_, domain)| domain);
    domain.ok_or(LocationError::NoDomain)
}

impl Filter {
    fn apply(self, value: &str) -> Result<String, LocationError> {
        Ok(match self {
            Filter::Lower => value.to_ascii_lowercase(),
            Filter::Upper => value.to_ascii_uppercase(),
            Filter::Reverse => value.chars().rev().collect(),
            Filter::Trim => String::from(value.trim_end_matches([' ', '\t', '\r', '\n'])),
            Filter::Escape => value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\'', "\\'"),
            Filter::Hexadecimal => format!("{:x}", value.parse::<u64>().unwrap_or(0)),
            Filter::DomainComponents => value.replace('.', ",dc="),
            Filter::Md5 => hexadecimal(&Md5::digest(value.as_bytes())),
            Filter::Sha(algorithm) => hexadecimal(digest(algorithm, value.as_bytes()).as_ref()),
            Filter::Hash(modulus, digits) => {
                let hash = u64::from(hash(value.as_bytes()));
                let hash = hash.checked_rem(modulus).unwrap_or(hash);
                format!("{hash:0>digits$x}")
            }
            Filter::Md5Hash(modulus, digits) => {
                let first = Md5::digest(value.as_bytes());
                let first = first.iter().take(8);
                let hash = first.fold(0, |number: u64, octet| number << 8 | u64::from(*octet));
                let hash = hash.checked_rem(modulus).unwrap_or(hash);
                // Dovecot prints it as an `unsigned int`.
                format!("{:0>digits$x}", hash & u64::from(u32::MAX))
            }
            Filter::Name => String::from(name_of(value)),
            Filter::Domain => String::from(domain_of(value)?),
            Filter::Cut(offset, width) => String::from(cut(value, offset, width)?),
            Filter::Pad(width) => format!("{value:0>width$}"),
        })
    }
}

fn cut(value: &str, offset: i64, width: i64) -> Result<&str, LocationError> {
    let length = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let start = match offset {
        // A value that is shorter than that is taken whole.
        ..0 if length > -offset => length + offset,
        ..0 => 0,
        _ => offset.min(length),
    };
    let left = length - start;
    let taken = match width {
        0 => left,
        ..0 => (left + width).max(0),
        _ => width.min(left),
    };
    let at = |place: i64| usize::try_from(place).unwrap_or(0);
    // The cut can go through a character.
    let part = value.get(at(start)..at(start + taken));
    part.ok_or(LocationError::Name)
}

/// The hash of strings by P. J. Weinberger.
fn hash(octets: &[u8]) -> u32 {
    let mut hash: u32 = 0;
    for octet in octets {
        hash = (hash << 4).wrapping_add(u32::from(*octet));
        let high = hash & 0xf000_0000;
        hash = (hash ^ high >> 24) ^ high;
    }
    hash
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

const LETTERS: &[(&str, Variable)] = &[
    ("u", Variable::User),
    ("n", Variable::Name),
    ("d", Variable::Domain),
    ("h", Variable::Home),
];

const NAMES: &[(&str, Variable)] = &[
    ("user", Variable::User),
    ("username", Variable::Name),
    ("domain", Variable::Domain),
    ("home", Variable::Home),
];

const MODIFIERS: &str = "LURTEXDMHN";

const FUNCTIONS: &[(&str, Filter)] = &[
    ("md5", Filter::Md5),
    ("sha1", Filter::Sha(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
    ("sha256", Filter::Sha(&digest::SHA256)),
    ("sha384", Filter::Sha(&digest::SHA384)),
    ("sha512", Filter::Sha(&digest::SHA512)),
];

const NO_VARIABLE: &str = "the variables are %u, %n, %d, %h, or %{user}, %{username}, %{domain}, %{home}; a width and \
     Dovecot's modifiers L U R T E X D M H N may stand before the letter";

const NO_FUNCTION: &str =
    "before the name of a variable only md5:, sha1:, sha256:, sha384: and sha512: may stand";

const NO_FILTER: &str = "behind a variable only | lower, upper, reverse, username, domain and substr(OFFSET, LENGTH) may stand";
