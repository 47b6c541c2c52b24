//! One run of a plan, and the comparison of what everybody was told with what is there.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::client::Client;
use crate::disk::{self, Disk};
use crate::outside::{self, Outsider};
use crate::picture::Picture;
use crate::plan::{self, Kind, Plan};
use crate::server::Server;
use crate::world::{EPOCH, Failure, Here, World};

pub struct Outcome {
    pub failure: Option<Failure>,
    pub trace: Vec<String>,
}

pub fn run(plan: &Plan, traced: bool) -> Outcome {
    let directory = Directory::new();
    let mut actors: Vec<String> = (0..plan.servers.len()).map(plan::server_name).collect();
    actors.extend((0..plan.outsiders.len()).map(plan::outsider_name));
    actors.push("director".to_owned());
    let disk = Disk::new(directory.0.clone());
    let world = Arc::new(World::new(actors, &plan.turns, disk, traced));
    let snapshots = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (me, server) in plan.servers.iter().enumerate() {
            let (world, snapshots) = (&world, &snapshots);
            scope.spawn(move || {
                guarded(world, me, |here| serve(here, server, snapshots));
            });
        }
        for (me, deeds) in (plan.servers.len()..).zip(&plan.outsiders) {
            let world = &world;
            scope.spawn(move || {
                guarded(world, me, |here| {
                    here.begin();
                    Outsider::new(Rc::clone(&here)).act(deeds);
                    here.end();
                });
            });
        }
        let director = plan.servers.len() + plan.outsiders.len();
        guarded(&world, director, |here| direct(here, plan, &snapshots));
        // Whoever still waits may go.
        world.release();
    });
    let mut inner = world.inner();
    Outcome {
        failure: inner.failure.clone(),
        trace: inner.take_trace(),
    }
}

/// A panic in an actor is a failure of the run.
fn guarded(world: &Arc<World>, me: usize, act: impl FnOnce(Rc<Here>)) {
    let here = Rc::new(Here {
        world: Arc::clone(world),
        me,
    });
    let acted = catch_unwind(AssertUnwindSafe(|| act(Rc::clone(&here))));
    roost::maildir::disk::dir::world::leave();
    if let Err(panic) = acted {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        here.fail("panic", text.unwrap_or_default());
    }
}

fn serve(here: Rc<Here>, plan: &plan::Server, snapshots: &Mutex<Vec<Picture>>) {
    here.begin();
    let mut server = Server::new(Rc::clone(&here), plan.clone());
    server.act();
    here.arrive();
    // Nobody dies any more.
    here.set_life(None, Duration::ZERO);
    server.settle();
    here.arrive();
    server.settle();
    if !here.failed() {
        for client in &server.clients {
            compare(&here, client, 0);
        }
    }
    here.arrive();
    server.stop();
    let pictures = server.clients.iter().flat_map(|client| &client.snapshots);
    snapshots.lock().unwrap().extend(pictures.cloned());
    here.end();
}

fn direct(here: Rc<Here>, plan: &Plan, snapshots: &Mutex<Vec<Picture>>) {
    roost::maildir::disk::dir::world::enter(
        Rc::clone(&here) as Rc<dyn roost::maildir::disk::dir::world::World>
    );
    prepare(&here, plan);
    let world = Arc::clone(&here.world);
    let everybody: Vec<usize> = (0..plan.servers.len() + plan.outsiders.len()).collect();
    world.run(&everybody);
    here.note("everybody is done; there is room, and time passes");
    world.inner().disk.set_room(None);
    here.pass(Duration::from_secs(200));
    // Twice, as what one of them finds is news to those who were asked before.
    for _ in 0..2 {
        for server in 0..plan.servers.len() {
            world.run(&[server]);
        }
        here.pass(Duration::from_secs(5));
    }
    for server in 0..plan.servers.len() {
        world.run(&[server]);
    }
    here.pass(Duration::from_secs(200));
    if !here.failed() {
        let snapshots = std::mem::take(&mut *snapshots.lock().unwrap());
        come_back(&here, snapshots);
    }
}

/// Clients that went away at some time come back, each to a process of its own.
fn come_back(here: &Rc<Here>, snapshots: Vec<Picture>) {
    here.note("all processes have ended; clients come back");
    let mut clients: Vec<Client> = Vec::new();
    for (number, picture) in snapshots.into_iter().enumerate() {
        let name = format!("Back{number}.");
        clients.push(Client::with(picture, number, name));
    }
    let new = Client::new(Kind::Plain, clients.len(), "New".to_owned());
    clients.push(new);
    let mut copies = Client::new(Kind::Plain, clients.len(), "Box".to_owned());
    copies.is_for_copies = true;
    clients.push(copies);
    let mut server = Server::with(Rc::clone(here), clients);
    server.settle();
    if here.failed() {
        return;
    }
    for client in &server.clients {
        compare(here, client, usize::from(client.is_for_copies));
    }
    server.finish();
}

/// What the client knows is what is there.
fn compare(here: &Here, client: &Client, folder: usize) {
    let inner = here.world.inner();
    let keywords = fs::read_to_string(inner.disk.root.join("dovecot-keywords"));
    let keywords = if folder == 0 {
        keywords.unwrap_or_default()
    } else {
        String::new()
    };
    let mut there: Vec<(u32, BTreeSet<String>)> = inner
        .disk
        .mail(folder)
        .map(|(spot, serial)| {
            let letters = spot.letters();
            let names = letters.iter().filter_map(|letter| flag(*letter, &keywords));
            (serial, names.collect())
        })
        .collect();
    there.sort();
    let mut known = client.picture.content();
    if folder != 0 {
        // Its keywords have letters of their own.
        for (_, flags) in &mut known {
            flags.retain(|flag| flag.starts_with('\\'));
        }
        known.sort();
    }
    drop(inner);
    if known != there {
        let text = format!(
            "client {} knows {known:?}, there is {there:?}",
            client.name()
        );
        here.fail("picture", text);
    }
}

fn flag(letter: char, keywords: &str) -> Option<String> {
    let system = plan::LETTERS.iter().find(|(known, _)| *known == letter);
    if let Some((_, name)) = system {
        return Some((*name).to_owned());
    }
    let number = u32::from(letter).checked_sub(u32::from('a'))?;
    let lines = keywords.lines().filter_map(|line| line.split_once(' '));
    let mut names = lines.filter(|(digits, _)| digits.parse() == Ok(number));
    names.next().map(|(_, name)| name.to_owned())
}

/// The folder as it is at first, after Roost has been there once.
fn prepare(here: &Rc<Here>, plan: &Plan) {
    let mut inner = here.world.inner();
    let root = inner.disk.root.clone();
    let time = SystemTime::UNIX_EPOCH + EPOCH - Duration::from_secs(60);
    let mut records = String::new();
    for number in 0..u32::from(plan.dead_records) {
        records.push_str(&format!("{} :{}\n", number + 1, 1_000_000 + number));
    }
    for (number, &flags) in (u32::from(plan.dead_records)..).zip(&plan.messages) {
        let serial = inner.disk.next_serial();
        let base = outside::name(time, serial, "P6.host");
        records.push_str(&format!("{} :{base}\n", number + 1));
        let path = root.join("cur").join(base + &plan::info(flags));
        fs::write(path, disk::text(serial)).unwrap();
    }
    let next = usize::from(plan.dead_records) + plan.messages.len() + 1;
    let header = format!("3 V1577836000 N{next} Gd1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1\n");
    fs::write(root.join("dovecot-uidlist"), header + &records).unwrap();
    let header = "3 V1577836001 N1 Gd2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2\n";
    fs::write(root.join(".Box/dovecot-uidlist"), header).unwrap();
    fs::write(root.join(".Box/maildirfolder"), "").unwrap();
    inner.begin();
    drop(inner);
    let client = Client::new(Kind::Plain, 0, "First".to_owned());
    let mut server = Server::with(Rc::clone(here), vec![client]);
    server.settle();
    server.finish();
    here.pass(Duration::from_secs(60));
}

/// Where the mail is; in memory if there is such a place.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("roost-simulator-{}-{number}", std::process::id());
        let memory = Path::new("/dev/shm");
        let path = match memory.is_dir() {
            true => memory.join(name),
            false => std::env::temp_dir().join(name),
        };
        fs::create_dir(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
