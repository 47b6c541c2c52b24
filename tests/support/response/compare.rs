//! Whether a response is what an expectation describes: the rules in the head of [`super`].

use super::{Captures, Token};

pub(super) fn match_response(expected: &[Token], got: &[Token], captures: &mut Captures) -> bool {
    let word = |tokens: &[Token], at: usize| {
        tokens
            .get(at)
            .and_then(Token::as_atom)
            .map(str::to_ascii_uppercase)
            .unwrap_or_default()
    };
    let head = word(got, 0);
    if word(got, 1) == "FETCH" {
        return match (expected.get(2), got.get(2)) {
            (Some(rest), Some(_)) if is_rest(rest) => match_ordered(expected, got, captures),
            (Some(Token::List(want)), Some(Token::List(have))) => {
                match_ordered(&expected[..2], &got[..2], captures)
                    && match_pairs(want, have, captures)
            }
            _ => false,
        };
    }
    if !head.is_empty() && head.bytes().all(|b| b.is_ascii_digit()) {
        return match_ordered(expected, got, captures);
    }
    if head != word(expected, 0) {
        return expected == [Token::Atom("...".into())];
    }
    let (want, have) = (&expected[1..], &got[1..]);
    match head.as_str() {
        "OK" | "NO" | "BAD" | "BYE" | "PREAUTH" => match_status(want, have, captures),
        "CAPABILITY" | "ENABLED" | "SEARCH" => match_set(want, have, captures),
        "STATUS" | "ID" => match_each(want, have, captures, match_pairs),
        "LIST" | "LSUB" | "FLAGS" => match_each(want, have, captures, match_set),
        "ESEARCH" => match_esearch(want, have, captures),
        _ => match_ordered(want, have, captures),
    }
}

fn match_status(expected: &[Token], got: &[Token], captures: &mut Captures) -> bool {
    expected.iter().all(|want| match want {
        Token::Code(want) => got.iter().any(|have| match have {
            Token::Code(have) => match_code(want, have, captures),
            _ => false,
        }),
        // "OK ..." says nothing about the text.
        Token::Human(text) if text == "..." => true,
        want => got.contains(want),
    })
}

fn match_code(expected: &[Token], got: &[Token], captures: &mut Captures) -> bool {
    match got.first().and_then(Token::as_atom) {
        Some(name) if name.eq_ignore_ascii_case("CAPABILITY") => match_set(expected, got, captures),
        Some(name) if name.eq_ignore_ascii_case("COPYUID") => {
            expected.len() == got.len()
                && expected
                    .iter()
                    .zip(got)
                    .all(|(want, have)| match (ranges(want), ranges(have)) {
                        // The n-th UID of one set belongs to the n-th of the other: order counts.
                        (Some(want), Some(have)) => want == have,
                        _ => match_token(want, have, captures),
                    })
        }
        _ => match_each(expected, got, captures, match_set),
    }
}

/// `(TAG "a1") UID ALL 1:3 COUNT 3`. A client has already compared the tag, so it may be left out.
fn match_esearch(expected: &[Token], got: &[Token], captures: &mut Captures) -> bool {
    let split = |tokens: &[Token]| {
        let tag = usize::from(matches!(tokens.first(), Some(Token::List(_))));
        let uid =
            matches!(tokens.get(tag), Some(Token::Atom(atom)) if atom.eq_ignore_ascii_case("UID"));
        (tag, uid, tag + usize::from(uid))
    };
    let ((tagged, want_uid, want), (_, have_uid, have)) = (split(expected), split(got));
    let same_tag = tagged == 0
        || matches!((expected.first(), got.first()),
            (Some(want), Some(have)) if match_token(want, have, captures));
    same_tag && want_uid == have_uid && match_pairs(&expected[want..], &got[have..], captures)
}

type ListMatch = fn(&[Token], &[Token], &mut Captures) -> bool;

/// Token by token, with `lists` deciding about lists.
fn match_each(
    expected: &[Token],
    got: &[Token],
    captures: &mut Captures,
    lists: ListMatch,
) -> bool {
    for (at, want) in expected.iter().enumerate() {
        if is_rest(want) {
            return true;
        }
        let same = match (want, got.get(at)) {
            (_, None) => false,
            (Token::List(want), Some(Token::List(have))) => lists(want, have, captures),
            (want, Some(have)) => match_token(want, have, captures),
        };
        if !same {
            return false;
        }
    }
    expected.len() == got.len()
}

fn match_ordered(expected: &[Token], got: &[Token], captures: &mut Captures) -> bool {
    match_each(expected, got, captures, match_ordered)
}

/// The same elements in any order.
fn match_set(expected: &[Token], got: &[Token], captures: &mut Captures) -> bool {
    let mut have: Vec<&Token> = got.iter().collect();
    let wants_recent = expected.iter().any(is_recent);
    have.retain(|token| wants_recent || !is_recent(token));
    for want in expected.iter().filter(|want| !is_rest(want)) {
        match have
            .iter()
            .position(|have| match_token(want, have, captures))
        {
            Some(at) => have.remove(at),
            None => return false,
        };
    }
    have.is_empty() || expected.iter().any(is_rest)
}

/// The same `name value` pairs in any order: FETCH items, STATUS items.
fn match_pairs(expected: &[Token], got: &[Token], captures: &mut Captures) -> bool {
    let rest = expected.iter().any(is_rest);
    let expected: Vec<&Token> = expected.iter().filter(|want| !is_rest(want)).collect();
    if !expected.len().is_multiple_of(2)
        || !got.len().is_multiple_of(2)
        || (expected.len() != got.len() && !rest)
    {
        return false;
    }
    expected.chunks(2).all(|want| {
        got.chunks(2).any(|have| {
            match_token(want[0], &have[0], captures)
                && match (want[0].as_atom(), want[1], &have[1]) {
                    (Some("FLAGS"), Token::List(want), Token::List(have)) => {
                        match_set(want, have, captures)
                    }
                    (_, want, have) => match_token(want, have, captures),
                }
        })
    })
}

fn match_token(expected: &Token, got: &Token, captures: &mut Captures) -> bool {
    match (expected, got) {
        (Token::Atom(wild), _) if wild == "?" => true,
        (Token::Atom(name), _) if is_capture(name) => {
            let value = match got.bytes() {
                Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                None => match got.list() {
                    Some([one]) => String::from_utf8_lossy(one.bytes().unwrap_or(b"")).into_owned(),
                    _ => return false,
                },
            };
            let known = captures
                .entry(name[1..name.len() - 1].to_owned())
                .or_insert(value.clone());
            *known == value
        }
        (Token::List(want), Token::List(have)) => match_ordered(want, have, captures),
        (Token::Atom(want), Token::Atom(have)) => {
            want.eq_ignore_ascii_case(have)
                || match (ranges(expected), ranges(got)) {
                    (Some(want), Some(have)) => sorted(want) == sorted(have),
                    _ => false,
                }
        }
        (Token::Atom(want), Token::Text(have)) | (Token::Text(have), Token::Atom(want)) => {
            want.as_bytes() == have && !want.eq_ignore_ascii_case("NIL")
        }
        _ => expected == got,
    }
}

fn is_rest(token: &Token) -> bool {
    matches!(token, Token::Atom(atom) if atom == "...")
}

fn is_recent(token: &Token) -> bool {
    matches!(token, Token::Atom(atom) if atom.eq_ignore_ascii_case("\\Recent"))
}

/// `<name>`
pub fn is_capture(atom: &str) -> bool {
    atom.len() > 2
        && atom.starts_with('<')
        && atom.ends_with('>')
        && atom[1..atom.len() - 1]
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The ranges of a set, neighbours joined, in the order they stand.
fn ranges(token: &Token) -> Option<Vec<(u32, u32)>> {
    let atom = token.as_atom()?;
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for element in atom.split(',') {
        let (first, last) = element.split_once(':').unwrap_or((element, element));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        match ranges.last_mut() {
            Some(before) if before.1.checked_add(1) == Some(first) => before.1 = last,
            _ => ranges.push((first, last)),
        }
    }
    Some(ranges)
}

fn sorted(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges
        .iter_mut()
        .for_each(|r| *r = (r.0.min(r.1), r.0.max(r.1)));
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(before) if range.0 <= before.1.saturating_add(1) => {
                before.1 = before.1.max(range.1)
            }
            _ => joined.push(range),
        }
    }
    joined
}
