//! Other programs at work in the same folder, one file-system call at a time.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use crate::disk::{self, Disk, Spot};
use crate::plan::{self, Cache, Deed, Timed};
use crate::world::Here;

pub struct Outsider {
    here: Rc<Here>,
    root: PathBuf,
}

impl Outsider {
    pub fn new(here: Rc<Here>) -> Outsider {
        let root = here.world.inner().disk.root.clone();
        Outsider { here, root }
    }

    pub fn act(&self, deeds: &[Timed<Deed>]) {
        for deed in deeds {
            if self.here.failed() {
                return;
            }
            if deed.after > 0 {
                self.here.pass(Duration::from_millis(deed.after.into()));
            }
            self.do_one(deed.what);
        }
    }

    fn do_one(&self, deed: Deed) {
        match deed {
            Deed::Deliver => self.deliver("new", ""),
            Deed::Place(flags) => self.deliver("cur", &plan::info(flags)),
            Deed::Flag { pick, set, clear } => self.flag(pick, set, clear),
            Deed::Delete(pick) => self.delete(pick),
            Deed::Storm(pick) => {
                for turn in 0..STORM {
                    let (set, clear) = if turn % 2 == 0 { (2, 0) } else { (0, 2) };
                    self.flag(pick, set, clear);
                }
            }
            Deed::Restore {
                pick,
                renamed,
                flags,
            } => self.restore(pick, renamed, flags),
            Deed::Dovecot {
                rewrite,
                expunge,
                keyword,
            } => {
                self.dovecot(rewrite, expunge, keyword);
            }
            Deed::Fill { files, octets } => {
                let room = Some((files.into(), octets.into()));
                self.step("the disk is nearly full", |disk| disk.set_room(room));
            }
            Deed::Drain => self.step("there is room on the disk", |disk| disk.set_room(None)),
            Deed::Clock(by) => self.here.set_clock(by),
            Deed::Lose(cache) => {
                let name = match cache {
                    Cache::Index => "roost.index",
                    Cache::Texts => "roost.cache",
                };
                let path = self.root.join(name);
                self.step(&format!("unlink {name}"), |_| drop(fs::remove_file(path)));
            }
            Deed::Overflow => {
                let what = "the kernel's queues overflow";
                self.here.act(what, |inner| inner.overflow());
            }
        }
    }

    fn step(&self, what: &str, deed: impl FnOnce(&mut Disk)) {
        self.here.act(what, |inner| deed(&mut inner.disk));
    }

    /// A new message, unless the disk is full.
    fn deliver(&self, place: &str, info: &str) {
        let now = self.here.now().time;
        let mut serial = None;
        let tmp = self.root.join("tmp");
        self.step("deliver into tmp/", |disk| {
            if disk.is_full() {
                return;
            }
            let number = disk.next_serial();
            let name = name(now, number, "P7.host");
            fs::write(tmp.join(&name), disk::text(number)).unwrap();
            serial = Some(name);
        });
        let Some(name) = serial else { return };
        let to = self.root.join(place).join(format!("{name}{info}"));
        self.step(&format!("rename tmp/{name} {place}/{name}{info}"), |_| {
            fs::rename(tmp.join(&name), to).unwrap();
        });
    }

    /// One of the messages that are there.
    fn pick(&self, pick: u8) -> Option<Spot> {
        let mut spot = None;
        self.step("list", |disk| {
            let spots: Vec<&Spot> = disk.mail(0).map(|(spot, _)| spot).collect();
            let index = usize::from(pick).checked_rem(spots.len());
            spot = index.map(|index| spots[index].clone());
        });
        spot
    }

    fn flag(&self, pick: u8, set: u8, clear: u8) {
        let Some(spot) = self.pick(pick) else { return };
        let mut letters = spot.letters();
        letters.extend(plan::letters(set).map(|(letter, _)| letter));
        plan::letters(clear & !set).for_each(|(letter, _)| {
            letters.remove(&letter);
        });
        let info: String = letters.into_iter().collect();
        let new = Spot {
            place: 1,
            name: format!("{}:2,{info}", spot.base()),
            ..spot.clone()
        };
        self.rename(&spot, &new);
    }

    fn rename(&self, from: &Spot, to: &Spot) {
        self.step(&format!("rename {} {}", from.name, to.name), |disk| {
            if !disk.path(to).exists() {
                let _ = fs::rename(disk.path(from), disk.path(to));
            }
        });
    }

    fn delete(&self, pick: u8) {
        let Some(spot) = self.pick(pick) else { return };
        self.step(&format!("unlink {}", spot.name), |disk| {
            let _ = fs::remove_file(disk.path(&spot));
        });
    }

    fn restore(&self, pick: u8, renamed: bool, flags: u8) {
        let now = self.here.now().time;
        self.step("restore a message", |disk| {
            let graves = &disk.graveyard;
            let Some(index) = usize::from(pick).checked_rem(graves.len()) else {
                return;
            };
            let (serial, last) = graves[index].clone();
            let base = last.split(':').next().unwrap_or_default();
            let is_there = disk
                .mail(0)
                .any(|(spot, other)| other == serial || spot.base() == base);
            if is_there || disk.is_full() {
                return;
            }
            let name = match renamed {
                true => format!("{}{}", name(now, serial, "P8.host"), plan::info(flags)),
                false if flags & 1 == 0 => last,
                false => format!("{base}{}", plan::info(flags)),
            };
            let name = match name.contains(':') {
                true => name,
                false => format!("{name}:2,"),
            };
            let tmp = disk.root.join("tmp/restored");
            fs::write(&tmp, disk::text(serial)).unwrap();
            fs::rename(tmp, disk.root.join("cur").join(name)).unwrap();
        });
    }

    /// What Dovecot does when it is asked what is in the folder.
    fn dovecot(&self, rewrite: bool, expunge: bool, keyword: bool) {
        if !self.lock() {
            return;
        }
        let list = Uidlist::read(&self.root);
        if let Some(mut list) = list
            && !self.here.world.inner().disk.is_full()
        {
            for (spot, _) in self.mail() {
                if spot.place == 0 {
                    let new = Spot {
                        place: 1,
                        name: format!("{}:2,", spot.base()),
                        ..spot.clone()
                    };
                    self.rename(&spot, &new);
                }
            }
            if expunge {
                for (spot, _) in self.mail() {
                    if spot.letters().contains(&'T') {
                        self.step(&format!("unlink {}", spot.name), |disk| {
                            let _ = fs::remove_file(disk.path(&spot));
                        });
                    }
                }
            }
            self.give_uids(&mut list, rewrite);
            if keyword {
                self.give_keyword();
            }
        }
        self.step("unlink dovecot-uidlist.lock", |disk| {
            let _ = fs::remove_file(disk.root.join("dovecot-uidlist.lock"));
        });
    }

    fn lock(&self) -> bool {
        let mut locked = false;
        for _ in 0..40 {
            self.step("create dovecot-uidlist.lock", |disk| {
                let mut options = fs::File::options();
                let lock = disk.root.join("dovecot-uidlist.lock");
                let created = options.write(true).create_new(true).open(lock);
                if let (Ok(mut file), false) = (created, disk.is_full()) {
                    // A process that surely exists.
                    let host = roost::maildir::disk::dir::host_name();
                    file.write_all(b"1:").unwrap();
                    file.write_all(&host).unwrap();
                    locked = true;
                }
            });
            if locked || self.here.failed() {
                break;
            }
            self.here.sleep(Duration::from_millis(50));
        }
        locked
    }

    fn mail(&self) -> Vec<(Spot, u32)> {
        let mut mail = Vec::new();
        self.step("list", |disk| {
            mail = disk
                .mail(0)
                .map(|(spot, serial)| (spot.clone(), serial))
                .collect();
        });
        mail
    }

    fn give_uids(&self, list: &mut Uidlist, rewrite: bool) {
        let mail = self.mail();
        let known = list.records.len();
        for (spot, _) in &mail {
            let base = spot.base();
            if !list.records.iter().any(|(_, other)| other == base) {
                list.records.push((list.next, base.to_owned()));
                list.next += 1;
            }
        }
        if rewrite {
            list.records
                .retain(|(_, base)| mail.iter().any(|(spot, _)| spot.base() == base));
            self.step("write dovecot-uidlist.tmp", |disk| {
                fs::write(disk.root.join("dovecot-uidlist.tmp"), list.text()).unwrap();
            });
            self.step("rename dovecot-uidlist.tmp dovecot-uidlist", |disk| {
                let root = &disk.root;
                fs::rename(
                    root.join("dovecot-uidlist.tmp"),
                    root.join("dovecot-uidlist"),
                )
                .unwrap();
            });
        } else if known < list.records.len() {
            let added = &list.records[known..];
            let lines: String = added
                .iter()
                .map(|(uid, base)| format!("{uid} :{base}\n"))
                .collect();
            self.step(&format!("append {lines:?} to dovecot-uidlist"), |disk| {
                let path = disk.root.join("dovecot-uidlist");
                let mut file = fs::File::options().append(true).open(path).unwrap();
                file.write_all(lines.as_bytes()).unwrap();
            });
        }
    }

    /// A message gets a keyword that the folder may not have had before.
    fn give_keyword(&self) {
        let path = self.root.join("dovecot-keywords");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let found = text.lines().find(|line| line.ends_with(" $Theirs"));
        let number = match found {
            Some(line) => line.split(' ').next().unwrap().parse().unwrap(),
            None => {
                let number = u8::try_from(text.lines().count()).unwrap();
                let text = format!("{text}{number} $Theirs\n");
                self.step("write dovecot-keywords", |disk| {
                    let tmp = disk.root.join("dovecot-keywords.tmp");
                    fs::write(&tmp, text).unwrap();
                    fs::rename(tmp, &path).unwrap();
                });
                number
            }
        };
        let Some((spot, _)) = self.mail().into_iter().find(|(spot, _)| spot.place == 1) else {
            return;
        };
        let mut letters = spot.letters();
        letters.insert(char::from(b'a' + number));
        let info: String = letters.into_iter().collect();
        let name = format!("{}:2,{info}", spot.base());
        self.rename(
            &spot,
            &Spot {
                name,
                ..spot.clone()
            },
        );
    }
}

/// How often in one go.
const STORM: usize = 12;

struct Uidlist {
    header: String,
    next: u32,
    records: Vec<(u32, String)>,
}

impl Uidlist {
    fn read(root: &std::path::Path) -> Option<Uidlist> {
        let text = fs::read_to_string(root.join("dovecot-uidlist")).ok()?;
        let mut lines = text.lines();
        let header = lines.next()?.to_owned();
        let next = header
            .split(' ')
            .find_map(|field| field.strip_prefix('N'))?;
        let records: Vec<(u32, String)> = lines
            .filter_map(|line| {
                let (fields, base) = line.split_once(" :")?;
                Some((fields.split(' ').next()?.parse().ok()?, base.to_owned()))
            })
            .collect();
        let last = records.iter().map(|(uid, _)| uid + 1).max().unwrap_or(1);
        Some(Uidlist {
            next: next.parse::<u32>().ok()?.max(last),
            header,
            records,
        })
    }

    fn text(&self) -> String {
        let fields: Vec<String> = self
            .header
            .split(' ')
            .map(|field| match field.starts_with('N') {
                true => format!("N{}", self.next),
                false => field.to_owned(),
            })
            .collect();
        let records = self.records.iter();
        let lines: String = records
            .map(|(uid, base)| format!("{uid} :{base}\n"))
            .collect();
        format!("{}\n{lines}", fields.join(" "))
    }
}

/// A file name as deliverers make them.
pub fn name(now: SystemTime, serial: u32, suffix: &str) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    format!("{}.M{serial}{suffix}", since.as_secs())
}
