//! The word that was meant by a mistyped one.

/// The word most like `typed`, if it is so like it that a slip of the keys explains the difference.
pub fn closest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<char> = typed.chars().take(LONGEST).collect();
    let measured = words.into_iter().map(|word| {
        let letters: Vec<char> = word.chars().collect();
        let longer = letters.len().max(typed.len());
        (distance(&typed, &letters), longer, word)
    });
    measured
        .filter(|&(slips, longer, _)| slips <= MAX_SLIPS && slips * 2 < longer)
        .min_by_key(|&(slips, ..)| slips)
        .map(|(.., word)| word)
}

/// How many letters have to be put in, left out or changed, or change places with the next one.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, &letter) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, &other) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let change = at(&row, j) + usize::from(letter != other);
            let one_more = at(&row, j + 1).min(at(&next, j)) + 1;
            let mut slips = change.min(one_more);
            let have_changed_places =
                i > 0 && j > 0 && a.get(i - 1) == Some(&other) && b.get(j - 1) == Some(&letter);
            if have_changed_places {
                slips = slips.min(at(&before, j - 1) + 1);
            }
            next.push(slips);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(usize::MAX)
}

const MAX_SLIPS: usize = 2;

/// Longer than any word of ours.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_a_letter_more_or_less_or_another_or_two_that_changed_places() {
        let slips = |a: &str, b: &str| {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            assert_eq!(distance(&a, &b), distance(&b, &a));
            distance(&a, &b)
        };
        assert_eq!(slips("", ""), 0);
        assert_eq!(slips("", "abc"), 3);
        assert_eq!(slips("check", "check"), 0);
        assert_eq!(slips("chek", "check"), 1);
        assert_eq!(slips("checkk", "check"), 1);
        assert_eq!(slips("chack", "check"), 1);
        assert_eq!(slips("chekc", "check"), 1);
        assert_eq!(slips("kcik", "kick"), 1);
        assert_eq!(slips("ma\u{e4}l", "mail"), 1);
    }

    #[test]
    fn a_word_that_shares_little_with_all_others_was_not_one_of_them() {
        let words = ["check", "config", "who", "kick"];
        for (typed, meant) in [
            ("chek", Some("check")),
            ("cofnig", Some("config")),
            ("wh", Some("who")),
            ("kcik", Some("kick")),
            ("foo", None),
            ("k", None),
            ("", None),
            ("start", None),
        ] {
            assert_eq!(closest(typed, words), meant, "{typed}");
        }
    }
}
