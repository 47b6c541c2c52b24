use super::*;
use proptest::prelude::*;

fn set(text: &str) -> Option<SequenceSet> {
    let mut reader = Reader::new(text.as_bytes());
    let set = reader.sequence_set().ok()?;
    reader.end().ok().map(|()| set)
}

fn resolved(text: &str, max: u32) -> String {
    let mut out = Vec::new();
    set(text).unwrap().resolve(max).write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn sets_are_sorted_and_merged() {
    for (text, max, expected) in [
        ("1", 9, "1"),
        ("2,4:7,9,12:*", 15, "2,4:7,9,12:15"),
        ("*:4,5:7", 10, "4:10"),
        ("3,1,2", 9, "1:3"),
        ("5:1,3:8", 9, "1:8"),
        ("1,1,1", 9, "1"),
        ("*", 7, "7"),
        ("*:*", 7, "7"),
        ("9:*", 7, "7:9"),
        ("4294967295", 7, "4294967295"),
        ("4294967294,4294967295", 7, "4294967294:4294967295"),
        ("1:4294967295", 7, "1:4294967295"),
        ("*", 0, ""),
        ("1:*", 0, ""),
        ("2,5:*", 0, "2"),
    ] {
        assert_eq!(resolved(text, max), expected, "{text} of {max}");
    }
}

#[test]
fn wrong_sets_are_refused() {
    for text in [
        "",
        ",",
        "1,",
        ",1",
        "1:",
        ":1",
        "1::2",
        "0",
        "1:0",
        "a",
        "1,a",
        "4294967296",
        "-1",
        "1 ,2",
        "1,$",
    ] {
        assert_eq!(set(text), None, "{text}");
    }
}

#[test]
fn a_dollar_is_the_saved_result() {
    assert_eq!(Reader::new(b"$").set(), Ok(Set::Saved));
    assert_eq!(
        Reader::new(b"7").set(),
        Ok(Set::Numbers(SequenceSet(vec![(7, 7)])))
    );
    assert!(Reader::new(b"1:*").known_uids().is_err());
    assert_eq!(
        Reader::new(b"3,1:2").known_uids(),
        Ok(Ranges::between(1, 3))
    );
}

#[test]
fn ten_thousand_elements_in_any_order_are_one_set() {
    let odd: Vec<u32> = (0..10_000).map(|n| n * 2 + 1).collect();
    let backwards: Vec<String> = odd.iter().rev().map(u32::to_string).collect();
    let ranges = set(&backwards.join(",")).unwrap().resolve(1);
    assert_eq!(ranges.count(), 10_000);
    assert!(ranges.iter().eq(odd));
}

fn some_ranges() -> impl Strategy<Value = Ranges> {
    proptest::collection::vec((1u32..60, 1u32..60), 0..8).prop_map(Ranges::from_unsorted)
}

proptest! {
    #[test]
    fn a_written_set_comes_back(ranges in some_ranges()) {
        let mut out = Vec::new();
        ranges.write(&mut out);
        if !ranges.is_empty() {
            prop_assert_eq!(Reader::new(&out).known_uids(), Ok(ranges));
        }
    }
}
