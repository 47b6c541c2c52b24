//! The answer to one command, and what a test says about it.

use super::response::{Captures, Response, Token};

/// All that a command brought: the untagged responses, then the tagged one.
#[derive(Clone)]
pub struct Reply {
    pub tagged: Response,
    pub untagged: Vec<Response>,
    pub(super) command: String,
}

impl Reply {
    /// The untagged responses are exactly these, in this order; removals told together may be told
    /// in another order that removes the same. See [`super::response`] for what
    /// "are" means; incidental ones count only where expected.
    #[track_caller]
    pub fn untagged<const N: usize>(&self, expected: [&str; N]) -> &Reply {
        let wanted = |response: &Response| expected.iter().any(|want| response.matches(want));
        let got: Vec<&Response> = self
            .untagged
            .iter()
            .filter(|response| !response.is_incidental() || wanted(response))
            .collect();
        let mut captures = Captures::new();
        let mut same = got.len() == expected.len();
        let mut at = 0;
        while same && at < expected.len() {
            let run: Vec<u32> = expected[at..]
                .iter()
                .map_while(|text| expunge(text))
                .collect();
            if run.is_empty() {
                same = got[at].matches_with(expected[at], &mut captures);
                at += 1;
            } else {
                let end = at + run.len();
                let heard: Vec<u32> = got[at..end].iter().filter_map(|r| r.expunged()).collect();
                same = numbers_before(&run) == numbers_before(&heard);
                at = end;
            }
        }
        assert!(same, "expected {expected:#?}, got{self}");
        self
    }

    /// Among the untagged responses is one like this.
    #[track_caller]
    pub fn contains(&self, expected: &str) -> &Reply {
        assert!(self.has(expected), "expected {expected:?}, got{self}");
        self
    }

    /// None of the untagged responses is like this.
    #[track_caller]
    pub fn lacks(&self, unwanted: &str) -> &Reply {
        assert!(!self.has(unwanted), "unwanted: {unwanted:?}, got{self}");
        self
    }

    /// The tagged response is like this: `OK [APPENDUID ? 3]`.
    #[track_caller]
    pub fn tagged(&self, expected: &str) -> &Reply {
        assert!(
            self.tagged.matches(expected),
            "expected {expected:?}, got{self}"
        );
        self
    }

    /// The tagged response has this code: `TRYCREATE`, `COPYUID ? 1:2 4:5`.
    #[track_caller]
    pub fn code(&self, expected: &str) -> &Reply {
        let word = self.tagged.word();
        self.tagged(&format!("{word} [{expected}]"))
    }

    pub fn has(&self, expected: &str) -> bool {
        self.untagged
            .iter()
            .any(|response| response.matches(expected))
    }

    /// The number after `name` in a response code, tagged or untagged: `UIDVALIDITY`, `UIDNEXT`.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        self.find_number(name)
            .unwrap_or_else(|| panic!("no {name} in{self}"))
    }

    pub fn find_number(&self, name: &str) -> Option<u64> {
        self.untagged
            .iter()
            .chain([&self.tagged])
            .find_map(|response| {
                let code = response.code()?;
                let at = code.iter().position(|t| t.as_atom() == Some(name))?;
                code.get(at + 1)?.number()
            })
    }

    /// The value of a FETCH item of message `number`: `BODY[TEXT]`, `FLAGS`, `MODSEQ`.
    #[track_caller]
    pub fn item(&self, number: u32, name: &str) -> &Token {
        self.find_item(number, name)
            .unwrap_or_else(|| panic!("no {name} of {number} in{self}"))
    }

    pub fn find_item(&self, number: u32, name: &str) -> Option<&Token> {
        self.untagged
            .iter()
            .find_map(|response| match response.tokens.as_slice() {
                [Token::Atom(n), Token::Atom(fetch), Token::List(items)]
                    if fetch == "FETCH" && n.parse() == Ok(number) =>
                {
                    let at = items.chunks(2).position(|pair| {
                        pair[0]
                            .as_atom()
                            .is_some_and(|atom| atom.eq_ignore_ascii_case(name))
                    })?;
                    items.get(at * 2 + 1)
                }
                _ => None,
            })
    }

    /// The bytes of a FETCH item that is a string.
    #[track_caller]
    pub fn bytes(&self, number: u32, name: &str) -> Vec<u8> {
        match self.item(number, name) {
            Token::Text(text) => text.clone(),
            other => panic!("{name} is no string: {other:?}"),
        }
    }

    /// The numbers of a SEARCH or of an ESEARCH's ALL, ascending.
    #[track_caller]
    pub fn found(&self) -> Vec<u32> {
        let mut found = Vec::new();
        for response in &self.untagged {
            match response.word() {
                "SEARCH" => found.extend(
                    response.tokens[1..]
                        .iter()
                        .filter_map(Token::number)
                        .map(|n| u32::try_from(n).expect("a message number")),
                ),
                "ESEARCH" => {
                    let all = response
                        .tokens
                        .iter()
                        .position(|t| t.as_atom() == Some("ALL"));
                    let set = all
                        .and_then(|at| response.tokens.get(at + 1))
                        .and_then(Token::as_atom);
                    found.extend(set.map(numbers).unwrap_or_default());
                }
                _ => {}
            }
        }
        found.sort_unstable();
        found
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, " for {}:", self.command)?;
        for response in self.untagged.iter().chain([&self.tagged]) {
            writeln!(f, "    {response}")?;
        }
        Ok(())
    }
}

/// The numbers that messages had before a run of EXPUNGE responses, ascending. A server may tell
/// the same removals in any order: `1, 1, 2` and `4, 2, 1` both remove 1, 2 and 4.
pub fn numbers_before(told: &[u32]) -> Vec<u32> {
    let mut before: Vec<u32> = Vec::new();
    for &number in told {
        let mut original = number;
        for &gone in &before {
            original += u32::from(gone <= original);
        }
        let at = before.partition_point(|&gone| gone < original);
        before.insert(at, original);
    }
    before
}

/// The number in `n EXPUNGE`.
pub fn expunge(response: &str) -> Option<u32> {
    response.strip_suffix(" EXPUNGE")?.parse().ok()
}

/// `1:3,7` as numbers.
fn numbers(set: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for element in set.split(',') {
        let (first, last) = element.split_once(':').unwrap_or((element, element));
        let first: u32 = first.parse().expect("a number");
        let last: u32 = last.parse().expect("a number");
        numbers.extend(first.min(last)..=first.max(last));
    }
    numbers
}
