//! The patterns of `!include`: `*`, `?` and `[..]` in the names of files and directories.

use super::super::Files;

pub(super) fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// The paths that are there, in the order of their octets, as glob(3) in the C locale has them.
pub(super) fn matches(pattern: &str, files: &dyn Files) -> Vec<String> {
    let mut paths = vec![String::new()];
    let names: Vec<&str> = pattern.split('/').filter(|name| !name.is_empty()).collect();
    for (at, name) in names.iter().enumerate() {
        let is_last = at + 1 == names.len();
        paths = match has_wildcards(name) {
            true => paths
                .iter()
                .flat_map(|path| below(path, name, files))
                .collect(),
            false => paths.iter().map(|path| format!("{path}/{name}")).collect(),
        };
        if is_last {
            paths.retain(|path| files.exists(path));
        }
        paths.truncate(PATHS_MAX);
    }
    paths.sort();
    paths
}

fn below(directory: &str, pattern: &str, files: &dyn Files) -> Vec<String> {
    let names = files.list(directory);
    let fits = |name: &&String| {
        let hidden = name.starts_with('.') && !pattern.starts_with('.');
        !hidden && fits(pattern.as_bytes(), name.as_bytes())
    };
    let names = names.iter().filter(fits);
    names.map(|name| format!("{directory}/{name}")).collect()
}

fn fits(pattern: &[u8], name: &[u8]) -> bool {
    // Where the last `*` stands, and how much of the name it has taken.
    let (mut star, mut at, mut name_at) = (None, 0, 0);
    loop {
        match (pattern.get(at), name.get(name_at)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((at, name_at));
                at += 1;
                continue;
            }
            (Some(b'?'), Some(_)) => {
                (at, name_at) = (at + 1, name_at + 1);
                continue;
            }
            (Some(b'['), Some(octet)) => {
                let set = pattern.get(at + 1..).unwrap_or_default();
                match set.iter().skip(1).position(|octet| *octet == b']') {
                    Some(end) if is_in(set.get(..end + 1).unwrap_or_default(), *octet) => {
                        (at, name_at) = (at + end + 3, name_at + 1);
                        continue;
                    }
                    // One that is not closed is a character like others.
                    None if *octet == b'[' => {
                        (at, name_at) = (at + 1, name_at + 1);
                        continue;
                    }
                    _ => {}
                }
            }
            (Some(same), Some(octet)) if same == octet => {
                (at, name_at) = (at + 1, name_at + 1);
                continue;
            }
            _ => {}
        }
        match star {
            Some((star_at, taken)) if taken < name.len() => {
                star = Some((star_at, taken + 1));
                (at, name_at) = (star_at + 1, taken + 1);
            }
            _ => return false,
        }
    }
}

/// `a-z`, `!0-9`
fn is_in(set: &[u8], octet: u8) -> bool {
    let (set, wanted) = match set {
        [b'!' | b'^', rest @ ..] => (rest, false),
        set => (set, true),
    };
    let mut left = set;
    let mut found = false;
    while let [first, rest @ ..] = left {
        match rest {
            [b'-', last, rest @ ..] => {
                found |= (*first..=*last).contains(&octet);
                left = rest;
            }
            rest => {
                found |= *first == octet;
                left = rest;
            }
        }
    }
    found == wanted
}

const PATHS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, name, expected) in [
            ("*.conf", "10-mail.conf", true),
            ("*.conf", "10-mail.conf.ucf-dist", false),
            ("*", "", true),
            ("1?-*", "10-x", true),
            ("1?-*", "1-x", false),
            ("[0-9][!x]*b", "1abcb", true),
            ("[0-9][!x]*b", "1xb", false),
            ("a[", "a[", true),
            ("**a", "aaa", true),
        ] {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
