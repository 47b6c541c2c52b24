//! The cache alone, shared, and damaged in every way.

use proptest::prelude::*;

use super::*;
use crate::maildir::disk::dir::scratch::Scratch;

fn text(uid: u32) -> Vec<u8> {
    format!("ENVELOPE of {uid} ")
        .repeat(uid as usize % 30 + 1)
        .into_bytes()
}

fn filled(scratch: &Scratch, uids: impl IntoIterator<Item = u32>) -> Cache {
    let mut cache = Cache::open(&scratch.dir, 7);
    for uid in uids {
        cache.put(Uid(uid), &text(uid));
    }
    cache.flush();
    cache
}

fn size(scratch: &Scratch) -> u64 {
    std::fs::metadata(scratch.path().join("roost.cache"))
        .unwrap()
        .len()
}

fn holds(cache: &mut Cache, uid: u32) -> bool {
    match cache.get(Uid(uid)) {
        Some(bytes) => {
            assert_eq!(bytes, text(uid));
            true
        }
        None => false,
    }
}

#[test]
fn what_is_put_is_there_before_and_after_it_is_written_and_opened_again() {
    let scratch = Scratch::new();
    let mut cache = Cache::open(&scratch.dir, 7);
    assert_eq!(cache.get(Uid(1)), None);
    cache.put(Uid(1), b"one");
    cache.put(Uid(2), b"");
    cache.put(Uid(1), b"one again");
    assert_eq!(cache.get(Uid(1)), Some(b"one again".as_slice()));
    assert!(scratch.names().is_empty());
    cache.flush();
    cache.put(Uid(3), b"three");
    for mut cache in [cache, Cache::open(&scratch.dir, 7)] {
        assert_eq!(cache.get(Uid(1)), Some(b"one again".as_slice()));
        assert_eq!(cache.get(Uid(2)), Some(b"".as_slice()));
        assert!(cache.contains(Uid(3)) && !cache.contains(Uid(4)));
    }
    assert_eq!(
        Cache::open(&scratch.dir, 7).get(Uid(3)),
        Some(b"three".as_slice())
    );
    let mut cache = Cache::open(&scratch.dir, 7);
    assert!(cache.contains(Uid(3)));
    cache.forget(Uid(3));
    assert_eq!(cache.get(Uid(3)), None);
}

#[test]
fn another_uidvalidity_is_another_cache() {
    let scratch = Scratch::new();
    filled(&scratch, [1]);
    let mut other = Cache::open(&scratch.dir, 8);
    assert_eq!(other.get(Uid(1)), None);
    other.put(Uid(2), b"two");
    other.flush();
    let mut first = Cache::open(&scratch.dir, 7);
    assert!(!holds(&mut first, 1) && !holds(&mut first, 2));
    assert_eq!(scratch.names(), ["roost.cache"]);
}

#[test]
fn two_processes_see_what_the_other_puts() {
    let scratch = Scratch::new();
    let mut one = filled(&scratch, 1..=3);
    let mut two = Cache::open(&scratch.dir, 7);
    assert!(holds(&mut two, 2));
    two.put(Uid(4), &text(4));
    one.put(Uid(5), &text(5));
    two.flush();
    one.flush();
    for uid in 1..=5 {
        assert!(holds(&mut one, uid) && holds(&mut two, uid));
    }
    two.put(Uid(6), &text(6));
    two.flush();
    assert!(holds(&mut one, 6));
}

#[test]
fn a_file_deleted_replaced_or_cut_is_never_believed() {
    let scratch = Scratch::new();
    let path = scratch.path().join("roost.cache");
    let mut cache = filled(&scratch, 1..=100);
    std::fs::remove_file(&path).unwrap();
    cache.put(Uid(200), &text(200));
    cache.flush();
    assert!(holds(&mut Cache::open(&scratch.dir, 7), 200));
    assert!(!holds(&mut Cache::open(&scratch.dir, 7), 1));

    let mut cache = filled(&scratch, 1..=100);
    std::fs::write(&path, "something else").unwrap();
    cache.put(Uid(300), &text(300));
    cache.flush();
    let mut cache = filled(&scratch, 1..=100);
    assert!(holds(&mut cache, 300));
    let whole = size(&scratch);
    for cut in (0..whole).rev().step_by(61) {
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(cut).unwrap();
        for uid in [1, 50, 100, 300] {
            holds(&mut cache, uid);
            holds(&mut Cache::open(&scratch.dir, 7), uid);
        }
    }
}

#[test]
fn a_torn_batch_is_stepped_over() {
    let scratch = Scratch::new();
    let path = scratch.path().join("roost.cache");
    filled(&scratch, 1..=10);
    let first = size(&scratch);
    filled(&scratch, 11..=20);
    let second = size(&scratch);
    for cut in (first..second).step_by(13) {
        std::fs::remove_file(&path).unwrap();
        filled(&scratch, 1..=10);
        filled(&scratch, 11..=20);
        std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(cut)
            .unwrap();
        // One who appends without having looked, as a write that was under way.
        let [batch, next] = [30, 40].map(|uid| {
            let mut batch = CacheBatch::default();
            batch.push(uid, &text(uid));
            batch.encode()
        });
        let missing = (second - cut) as usize;
        if missing == batch.len() || missing == batch.len() + next.len() {
            continue; // just what is missing: taken for it, found wrong, and lost
        }
        let mut file = scratch.dir.open_append(NAME).unwrap();
        file.write_all(&batch).unwrap();
        let mut cache = Cache::open(&scratch.dir, 7);
        assert!((1..=10).all(|uid| holds(&mut cache, uid)), "{cut}");
        assert!(holds(&mut cache, 30), "{cut}");
        for uid in 11..=20 {
            holds(&mut cache, uid);
        }
        cache.put(Uid(40), &text(40));
        cache.flush();
        let mut cache = Cache::open(&scratch.dir, 7);
        assert!(holds(&mut cache, 40) && holds(&mut cache, 30), "{cut}");
        assert!(cache.compact(&|_| true, &|| false));
        assert!(holds(&mut cache, 40) && holds(&mut cache, 30) && holds(&mut cache, 1));
        let mut cache = Cache::open(&scratch.dir, 7);
        assert!(holds(&mut cache, 40) && !cache.open.as_ref().unwrap().damaged);
    }
}

#[test]
fn a_mostly_dead_file_is_rewritten_in_slices_while_in_use() {
    let scratch = Scratch::new();
    let mut cache = filled(&scratch, 1..=3000);
    let before = size(&scratch);
    assert!(cache.compact(&|_| true, &|| false));
    assert_eq!(size(&scratch), before, "all alive");

    let mut other = Cache::open(&scratch.dir, 7);
    assert!(holds(&mut other, 1));
    let live = |uid: Uid| uid.0.is_multiple_of(10);
    assert!(!cache.compact(&live, &|| true));
    cache.put(Uid(4000), &text(4000));
    cache.put(Uid(20), b"new");
    let mut slices = 1;
    while !cache.compact(&live, &|| true) {
        slices += 1;
    }
    assert!(slices > 10);
    assert!(size(&scratch) < before / 5);
    for mut cache in [cache, Cache::open(&scratch.dir, 7)] {
        assert!(holds(&mut cache, 10) && holds(&mut cache, 3000) && holds(&mut cache, 4000));
        assert_eq!(cache.get(Uid(20)), Some(b"new".as_slice()));
        assert!(!holds(&mut cache, 11));
    }
    assert!(
        holds(&mut other, 11),
        "the old file is still good for who has it"
    );
    other.put(Uid(5000), &text(5000));
    other.flush();
    assert!(holds(&mut Cache::open(&scratch.dir, 7), 5000));
    assert_eq!(scratch.names(), ["roost.cache"]);
}

#[test]
fn many_small_batches_are_made_few() {
    let scratch = Scratch::new();
    let mut cache = Cache::open(&scratch.dir, 7);
    for uid in 1..=600 {
        cache.put(Uid(uid), &text(uid));
        cache.flush();
    }
    assert!(cache.compact(&|_| true, &|| false));
    let mut cache = Cache::open(&scratch.dir, 7);
    assert!((1..=600).all(|uid| holds(&mut cache, uid)));
    assert!(cache.open.as_ref().unwrap().batches < 5);
}

#[test]
fn reading_in_order_takes_few_reads() {
    let scratch = Scratch::new();
    filled(&scratch, 1..=10_000);
    let bytes = size(&scratch);
    let reads = || {
        let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        let line = io
            .lines()
            .find(|line| line.starts_with("syscr"))
            .unwrap()
            .to_owned();
        line.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
    };
    let mut cache = Cache::open(&scratch.dir, 7);
    let before = reads();
    assert!((1..=10_000).all(|uid| holds(&mut cache, uid)));
    let taken = reads() - before;
    assert!(
        taken < 30 + 3 * bytes / (BATCH_SIZE as u64),
        "{taken} reads of {bytes} bytes"
    );
}

#[test]
fn a_full_disk_ends_the_writing_and_nothing_else() {
    let scratch = Scratch::new();
    let mut cache = filled(&scratch, 1..=5);
    let path = scratch.path().to_owned();
    std::fs::remove_dir_all(&path).unwrap();
    cache.put(Uid(6), &text(6));
    cache.flush();
    cache.put(Uid(7), &text(7));
    assert!(cache.compact(&|_| true, &|| false));
    assert!(!holds(&mut cache, 7));
}

proptest! {
    #[test]
    fn arbitrary_changes_to_the_file_never_give_wrong_bytes(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..20)), 1..6),
        after in any::<bool>(),
    ) {
        let scratch = Scratch::new();
        let mut cache = filled(&scratch, 1..=8);
        filled(&scratch, 9..=12);
        let mut bytes = std::fs::read(scratch.path().join("roost.cache")).unwrap();
        for (at, new) in changes {
            let at = at.index(bytes.len());
            let end = (at + new.len()).min(bytes.len());
            bytes.splice(at..end, new);
        }
        scratch.write("roost.cache", &bytes);
        let mut again = Cache::open(&scratch.dir, 7);
        for uid in 1..=13 {
            holds(&mut cache, uid);
            holds(&mut again, uid);
        }
        if after {
            again.put(Uid(13), &text(13));
            again.flush();
            prop_assert!(holds(&mut again, 13));
            prop_assert!(holds(&mut Cache::open(&scratch.dir, 7), 13));
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_batch(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = [format::file_header(7), format::MARKER.to_vec(), bytes].concat();
        let scratch = Scratch::new();
        scratch.write("roost.cache", &file);
        let mut cache = Cache::open(&scratch.dir, 7);
        prop_assert!(!cache.contains(Uid(1)));
    }
}
