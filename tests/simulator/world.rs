//! The scheduler: actors are threads that hand over a baton, so only one of them runs at a time.
//! Before each file-system call an actor comes here, and the plan says who makes the next one.
//!
//! Time is a number that grows with each call, and leaps when nobody has anything to do.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use roost::maildir::disk::dir::Time;
use roost::maildir::disk::dir::world::{Happened, Told, World as Seam};
use roost::net::Now;

use crate::disk::Disk;
use crate::registry::Registry;

pub struct World {
    inner: Mutex<Inner>,
    /// One for each actor, and one for the director.
    turns: Vec<Condvar>,
    begun: Instant,
    root: PathBuf,
}

pub struct Inner {
    current: usize,
    pub actors: Vec<Actor>,
    schedule: VecDeque<(u8, u8)>,
    /// How many calls more the current actor makes.
    left: u8,
    clock: Duration,
    /// What the clock on the wall shows besides.
    offset: i64,
    pub disk: Disk,
    pub registry: Registry,
    /// The last actor made a call that may have changed something.
    unseen: Option<usize>,
    calls: usize,
    next_process: u32,
    trace: Option<Vec<String>>,
    pub failure: Option<Failure>,
    over: bool,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The same for what is probably the same fault.
    pub kind: &'static str,
    pub text: String,
}

pub struct Actor {
    name: String,
    process: u32,
    state: State,
    dead: bool,
    calls: usize,
    dies_at: Option<usize>,
    /// Where it gets its events from.
    watched: BTreeSet<PathBuf>,
    events: VecDeque<(Duration, PathBuf, Happened)>,
    overflown: bool,
    lag: Duration,
    pub intents: Vec<Intent>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// It waits for that time,
    Until(Duration),
    /// or for the director.
    Arrived,
    Ended,
}

/// What clients have asked a server to do, for as long as it is at it.
#[derive(Clone, Debug)]
pub struct Intent {
    pub client: usize,
    pub what: Wish,
    /// The step at which it began.
    pub since: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Add(String),
    Remove(String),
    Replace,
    Read,
    Expunge,
    /// This message and no other.
    ExpungeOnly(u32),
    Copy,
    Move,
}

/// One actor's place in the world.
pub struct Here {
    pub world: Arc<World>,
    pub me: usize,
}

impl World {
    /// `actors` are their names; the last is the director's, who runs when nobody else does.
    pub fn new(actors: Vec<String>, turns: &[(u8, u8)], disk: Disk, traced: bool) -> World {
        let count = actors.len();
        let actors = actors.into_iter().zip(0..).map(|(name, number)| Actor {
            name,
            process: FIRST_PROCESS + number,
            state: State::Arrived,
            dead: false,
            calls: 0,
            dies_at: None,
            watched: BTreeSet::new(),
            events: VecDeque::new(),
            overflown: false,
            lag: Duration::ZERO,
            intents: Vec::new(),
        });
        World {
            root: disk.root.clone(),
            inner: Mutex::new(Inner {
                current: count - 1,
                actors: actors.collect(),
                schedule: turns.iter().copied().collect(),
                left: 0,
                clock: Duration::ZERO,
                offset: 0,
                disk,
                registry: Registry::default(),
                unseen: None,
                calls: 0,
                next_process: FIRST_PROCESS + 100,
                trace: traced.then(Vec::new),
                failure: None,
                over: false,
            }),
            turns: (0..count).map(|_| Condvar::new()).collect(),
            begun: Instant::now(),
        }
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn director(&self) -> usize {
        self.turns.len() - 1
    }

    /// Lets these actors run until each has arrived or ended.
    pub fn run(&self, actors: &[usize]) {
        let mut inner = self.inner();
        inner.look();
        for &actor in actors {
            if inner.actors[actor].state == State::Arrived {
                inner.actors[actor].state = State::Ready;
            }
        }
        drop(self.hand_over(inner, self.director()));
    }

    /// Gives the baton to whoever is next, and comes back when it is this actor's turn again.
    fn hand_over<'w>(
        &'w self,
        mut inner: MutexGuard<'w, Inner>,
        me: usize,
    ) -> MutexGuard<'w, Inner> {
        let next = inner.choose(me, self.director());
        inner.current = next;
        if next != me {
            self.turns[next].notify_one();
            while inner.current != me && !inner.is_over() {
                let waited = self.turns[me].wait(inner);
                inner = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
        inner
    }

    /// Lets go of everybody, at the end.
    pub fn release(&self) {
        let mut inner = self.inner();
        inner.over = true;
        drop(inner);
        self.wake_all();
    }

    fn wake_all(&self) {
        self.turns.iter().for_each(Condvar::notify_all);
    }
}

impl Inner {
    fn is_ready(&self, actor: usize) -> bool {
        match self.actors[actor].state {
            State::Ready => true,
            State::Until(time) => time <= self.clock,
            State::Arrived | State::Ended => false,
        }
    }

    fn choose(&mut self, me: usize, director: usize) -> usize {
        if self.left > 0 && me != director && self.is_ready(me) {
            self.left -= 1;
            return me;
        }
        loop {
            while let Some((actor, calls)) = self.schedule.pop_front() {
                let actor = usize::from(actor) % director.max(1);
                if actor < director && self.is_ready(actor) {
                    self.left = calls;
                    return actor;
                }
            }
            // Whoever is at it goes on, then the next one.
            let after = (0..director).map(|step| (me + step) % director);
            if let Some(ready) = after.into_iter().find(|&actor| self.is_ready(actor)) {
                return ready;
            }
            let waiting = self.actors[..director].iter();
            let next = waiting.filter_map(|actor| match actor.state {
                State::Until(time) => Some(time),
                _ => None,
            });
            match next.min() {
                Some(time) => self.clock = time,
                None => return director,
            }
        }
    }

    /// What is there at first has been there before.
    pub fn begin(&mut self) {
        self.unseen = Some(self.actors.len() - 1);
        self.look();
    }

    /// Nobody waits any more.
    fn is_over(&self) -> bool {
        self.over || self.failure.is_some()
    }

    /// What the last call did.
    fn look(&mut self) {
        let Some(by) = self.unseen.take() else { return };
        let now = self.time();
        let intents = self.actors[by].intents.clone();
        let is_server = self.actors[by].name.len() == 1;
        let seen = self
            .disk
            .look(now, self.calls, is_server.then_some(&intents));
        for (directory, happened) in seen.happened {
            for actor in &mut self.actors {
                if actor.watched.contains(&directory) {
                    let event = (self.clock, directory.clone(), happened.clone());
                    actor.events.push_back(event);
                }
            }
        }
        if let Some((kind, text)) = seen.broken {
            let text = format!("{}: {text}", self.actors[by].name);
            self.fail(kind, text);
        }
    }

    pub fn fail(&mut self, kind: &'static str, text: String) {
        self.note(&format!("!! {kind}: {text}"));
        self.failure.get_or_insert(Failure { kind, text });
    }

    pub fn note(&mut self, line: &str) {
        if let (Some(trace), None) = (&mut self.trace, &self.failure) {
            trace.push(line.to_owned());
        }
    }

    pub fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    pub fn step(&self) -> usize {
        self.calls
    }

    pub fn time(&self) -> SystemTime {
        let since = EPOCH + self.clock;
        let shifted = i64::try_from(since.as_micros()).unwrap() + self.offset * 1000;
        SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(shifted).unwrap())
    }
}

impl Here {
    pub fn now(&self) -> Now {
        let inner = self.world.inner();
        Now {
            instant: self.world.begun + inner.clock,
            time: inner.time(),
        }
    }

    /// Waits for the baton for the first time.
    pub fn begin(&self) {
        let mut inner = self.world.inner();
        while inner.current != self.me && !inner.is_over() {
            let waited = self.world.turns[self.me].wait(inner);
            inner = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What one does that is no process of Roost, in one step: true if the world goes on.
    pub fn act(&self, what: &str, deed: impl FnOnce(&mut Inner)) -> bool {
        if self.turn(what, true).is_err() {
            return false;
        }
        deed(&mut self.world.inner());
        true
    }

    pub fn sleep(&self, span: Duration) {
        let mut inner = self.world.inner();
        if inner.is_over() {
            return;
        }
        inner.look();
        if self.me == self.world.director() {
            inner.clock += span;
            return;
        }
        inner.actors[self.me].state = State::Until(inner.clock + span);
        let mut inner = self.world.hand_over(inner, self.me);
        inner.actors[self.me].state = State::Ready;
    }

    /// How much time goes by for everybody.
    pub fn pass(&self, span: Duration) {
        let mut inner = self.world.inner();
        inner.look();
        inner.clock += span;
    }

    pub fn set_clock(&self, by: i16) {
        let mut inner = self.world.inner();
        inner.offset += i64::from(by);
        inner.note(&format!("the clock is set by {by} ms"));
    }

    /// Waits for the director.
    pub fn arrive(&self) {
        self.stop(State::Arrived);
    }

    pub fn end(&self) {
        self.stop(State::Ended);
    }

    fn stop(&self, state: State) {
        let mut inner = self.world.inner();
        inner.look();
        inner.actors[self.me].state = state;
        let broken = inner.is_over();
        if broken {
            drop(inner);
            return self.world.wake_all();
        }
        if state == State::Ended {
            let next = inner.choose(self.me, self.world.director());
            inner.current = next;
            drop(inner);
            self.world.turns[next].notify_one();
        } else {
            drop(self.world.hand_over(inner, self.me));
        }
    }

    pub fn fail(&self, kind: &'static str, text: String) {
        let text = format!("{}: {text}", self.name());
        self.world.inner().fail(kind, text);
        self.world.wake_all();
    }

    pub fn failed(&self) -> bool {
        self.world.inner().is_over()
    }

    pub fn name(&self) -> String {
        self.world.inner().actors[self.me].name.clone()
    }

    pub fn note(&self, line: &str) {
        self.world.inner().note(line);
    }

    pub fn is_dead(&self) -> bool {
        self.world.inner().actors[self.me].dead
    }

    /// What that client asked for is done.
    pub fn forget(&self, client: usize) {
        let mut inner = self.world.inner();
        inner.look();
        let intents = &mut inner.actors[self.me].intents;
        intents.retain(|intent| intent.client != client);
    }

    pub fn set_life(&self, dies_at: Option<usize>, lag: Duration) {
        let mut inner = self.world.inner();
        let actor = &mut inner.actors[self.me];
        actor.dies_at = dies_at;
        actor.lag = lag;
    }

    pub fn kill(&self) {
        let mut inner = self.world.inner();
        inner.look();
        let name = inner.actors[self.me].name.clone();
        inner.note(&format!("{name} is killed"));
        inner.actors[self.me].dead = true;
    }

    /// Another process takes the place of one that ended.
    pub fn be_born(&self) {
        let mut inner = self.world.inner();
        inner.next_process += 1;
        let process = inner.next_process;
        let actor = &mut inner.actors[self.me];
        actor.process = process;
        actor.dead = false;
        actor.watched.clear();
        actor.events.clear();
        actor.overflown = false;
        actor.intents.clear();
    }

    fn turn(&self, what: &str, changes: bool) -> io::Result<()> {
        let dead = || Err(io::Error::other("dead"));
        let mut inner = self.world.inner();
        if inner.is_over() || inner.actors[self.me].dead {
            return dead();
        }
        inner.look();
        inner.clock += CALL;
        inner.calls += 1;
        if inner.calls > CALLS_MAX {
            inner.fail("stall", "there is no end to it".to_owned());
        }
        if self.me != self.world.director() {
            inner = self.world.hand_over(inner, self.me);
        }
        if inner.is_over() {
            drop(inner);
            self.world.wake_all();
            return dead();
        }
        let actor = &mut inner.actors[self.me];
        actor.calls += 1;
        let name = actor.name.clone();
        if actor.dies_at.is_some_and(|at| actor.calls >= at) {
            actor.dies_at = None;
            actor.dead = true;
            inner.note(&format!("{name} is killed before {what}"));
            return dead();
        }
        inner.note(&format!("{name}   {what}"));
        if changes {
            inner.unseen = Some(self.me);
        }
        Ok(())
    }
}

impl Seam for Here {
    fn call(&self, call: &str, name: &[u8]) -> io::Result<()> {
        let root = self.world.root.as_os_str().as_encoded_bytes();
        let name = String::from_utf8_lossy(name.strip_prefix(root).unwrap_or(name));
        let what = format!("{call} {name}");
        self.turn(&what, CHANGES.contains(&call))?;
        let mut inner = self.world.inner();
        match inner.disk.has_room(call) {
            true => Ok(()),
            false => {
                inner.note("        the disk is full");
                Err(Errno::ENOSPC.into())
            }
        }
    }

    fn process(&self) -> u32 {
        self.world.inner().actors[self.me].process
    }

    fn exists(&self, process: u32) -> bool {
        let inner = self.world.inner();
        let mut actors = inner.actors.iter();
        actors.any(|actor| actor.process == process && !actor.dead)
    }

    fn changed(&self, inode: u64) -> Option<Time> {
        self.world.inner().disk.changed(inode)
    }

    fn watch(&self, directory: &Path) {
        let mut inner = self.world.inner();
        inner.look();
        inner.actors[self.me].watched.insert(directory.to_owned());
    }

    fn unwatch(&self, directory: &Path) {
        let mut inner = self.world.inner();
        inner.actors[self.me].watched.remove(directory);
    }

    fn told(&self, all: bool) -> Told {
        let mut inner = self.world.inner();
        inner.look();
        let clock = inner.clock;
        let actor = &mut inner.actors[self.me];
        let mut told = Told {
            overflown: std::mem::take(&mut actor.overflown),
            ..Told::default()
        };
        let lag = actor.lag;
        while let Some((at, directory, happened)) = actor.events.pop_front() {
            if !all && at + lag > clock {
                actor.events.push_front((at, directory, happened));
                break;
            }
            told.names.push((directory, happened));
        }
        told
    }
}

impl Inner {
    /// The kernel's queues are full.
    pub fn overflow(&mut self) {
        for actor in &mut self.actors {
            actor.overflown = !actor.watched.is_empty();
            actor.events.clear();
        }
    }
}

/// What may change a directory or a file.
const CHANGES: [&str; 11] = [
    "create",
    "rename",
    "link",
    "unlink",
    "mkdir",
    "rmdir",
    "write",
    "ftruncate",
    "utimens",
    "futimens",
    "fchmod",
];

/// Larger than any number of a process of the host.
const FIRST_PROCESS: u32 = 5_000_000;

/// 2020-01-01, long before any time that the kernel leaves on a file.
pub const EPOCH: Duration = Duration::from_secs(1_577_836_800);

/// A call takes so long.
const CALL: Duration = Duration::from_micros(100);

const CALLS_MAX: usize = 60_000;
