//! The log: from the `log` facade to standard error, to syslog, or to a process that passes it on.
//!
//! Under systemd each line on standard error begins with its priority (sd-daemon(3)).  Control
//! characters never get into the log, so that a client cannot forge a line.  Secrets cannot be
//! formatted (`imap::command::Secret`, `ipc::Secret`), so they cannot be logged.
//!
//! Lines about a user begin with the words that Dovecot uses: see [`on_behalf`].  A line that each
//! command would repeat is written once an hour: see [`ONCE`].
//!
//! The way to syslog is a socket.  A process that closes descriptors by number must call [`close`]
//! first, or a line would go into what gets the number next.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Record};

use crate::config::LogTarget;
use crate::sys::{standard, syslog};

/// Takes a line.  The front and the sessions send it to the monitor.
pub type Hook = Box<dyn Fn(Level, &str)>;

/// Sets up the log of this process, to standard error.  Later calls change nothing.
pub fn init(level: LevelFilter) {
    let stream = std::env::var("JOURNAL_STREAM");
    let journal = stream.is_ok_and(|stream| standard::error_is_journal(&stream));
    start(Destination::Stderr { journal }, level);
}

/// Sets up the log to where `log.target` says.  From inetd, standard error may be the client.
pub fn init_as(target: LogTarget, level: LevelFilter, from_inetd: bool) {
    match (target, from_inetd) {
        (LogTarget::Syslog, _) | (_, true) => {
            start(Destination::Syslog, level);
        }
        (LogTarget::Auto | LogTarget::Stderr, false) => init(level),
    }
}

/// Sets up the log of a process below the monitor, which has the log: `hook` passes each line on to
/// the monitor.  The hook is called in this thread only, and not for what it logs itself.  Until
/// [`set_level`] is called, lines from `info` on are let through.
pub fn init_below(hook: Hook) {
    set_hook(hook);
    start(Destination::Hook, LevelFilter::Info);
    // Standard error leads nowhere.
    std::panic::set_hook(Box::new(|info| log::error!("{info}")));
}

/// Changes the level, after a reload.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// Closes the socket, before all descriptors are closed.  The next line opens the log anew.
pub fn close() {
    syslog::close();
}

/// While this lives, all lines of the process are about one user or one client.
#[must_use]
pub struct OnBehalf {
    before: Option<Arc<str>>,
}

/// Begins the lines of all threads with `whose`, such as `imap(USER)<PID><SESSION>: `, but for
/// lines that say themselves whose they are.
pub fn on_behalf(whose: &Arc<str>) -> OnBehalf {
    let before = whose_lines().replace(Arc::clone(whose));
    OnBehalf { before }
}

impl Drop for OnBehalf {
    fn drop(&mut self) {
        *whose_lines() = self.before.take();
    }
}

/// A line with this target is written once an hour, however often it comes and whoever it is about,
/// because a fault of the host meets each command of each client.
pub const ONCE: &str = "roost::once";

#[derive(Clone, Copy)]
enum Destination {
    Stderr { journal: bool },
    Syslog,
    Hook,
}

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    static HAS_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// What other threads logged, until the hook's own thread logs something.
static ELSEWHERE: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

static WHOSE: Mutex<Option<Arc<str>>> = Mutex::new(None);

/// Lines with the target [`ONCE`], by their hash, and when they were written.
static WRITTEN: Mutex<Option<HashMap<u64, Instant>>> = Mutex::new(None);

fn set_hook(hook: Hook) {
    HOOK.set(Some(hook));
    HAS_HOOK.set(true);
}

fn start(destination: Destination, level: LevelFilter) {
    let result = env_logger::Builder::new()
        .filter_level(LevelFilter::Error)
        // The facade drops lines below `level`, so that `set_level` can change it.
        .filter_module("roost", LevelFilter::Debug)
        .format(move |out, record| write(out, destination, record))
        .try_init();
    // An error means that there is a log already, in a test for instance.
    if result.is_ok() {
        set_level(level);
    }
}

fn write(
    out: &mut impl Write,
    destination: Destination,
    record: &Record<'_>,
) -> std::io::Result<()> {
    let level = record.level();
    let text = record.args().to_string();
    if record.target() == ONCE && is_repeated(&text, Instant::now()) {
        return Ok(());
    }
    let text = printable(&with_whose(text));
    match destination {
        Destination::Stderr { journal: true } => writeln!(out, "<{}>{text}", priority(level)),
        Destination::Stderr { journal: false } => writeln!(out, "roost: {}{text}", prefix(level)),
        Destination::Syslog => {
            syslog::write(priority(level), &format!("{}{text}", prefix(level)));
            Ok(())
        }
        Destination::Hook => {
            pass_on(level, &text);
            Ok(())
        }
    }
}

fn pass_on(level: Level, text: &str) {
    // The hook is taken out while it runs, so that what it logs itself finds none.
    let hook = HOOK.take();
    match &hook {
        Some(hook) => {
            let waiting = std::mem::take(&mut *elsewhere());
            for (level, text) in &waiting {
                hook(*level, text);
            }
            hook(level, text);
        }
        None if HAS_HOOK.get() => {}
        None => {
            let mut waiting = elsewhere();
            if waiting.len() < MAX_ELSEWHERE {
                waiting.push((level, text.to_owned()));
            }
        }
    }
    if hook.is_some() {
        HOOK.set(hook);
    }
}

fn with_whose(text: String) -> String {
    match &*whose_lines() {
        Some(whose) if !SAYS_WHOSE.iter().any(|start| text.starts_with(start)) => {
            format!("{whose}{text}")
        }
        _ => text,
    }
}

fn whose_lines() -> MutexGuard<'static, Option<Arc<str>>> {
    WHOSE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the line was written in the hour before `now`.  If not, it counts as written now.
fn is_repeated(text: &str, now: Instant) -> bool {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let written = written.get_or_insert_with(HashMap::new);
    let is_recent = |time: &Instant| now.saturating_duration_since(*time) < REPEATED_AFTER;
    if written.get(&hasher.finish()).is_some_and(is_recent) {
        return true;
    }
    if written.len() >= WRITTEN_MAX {
        written.retain(|_, time| is_recent(time));
        if written.len() >= WRITTEN_MAX {
            written.clear();
        }
    }
    written.insert(hasher.finish(), now);
    false
}

fn elsewhere() -> MutexGuard<'static, Vec<(Level, String)>> {
    // The lines are whole whatever happened to a thread that held the lock.
    ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// syslog(3)
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

fn prefix(level: Level) -> &'static str {
    match level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info => "",
        Level::Debug | Level::Trace => "debug: ",
    }
}

fn printable(text: &str) -> String {
    let replace = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(replace).collect()
}

const SAYS_WHOSE: [&str; 2] = ["imap(", "imap-login: "];
const REPEATED_AFTER: Duration = Duration::from_secs(3600);
/// How many lines are remembered at most.
const WRITTEN_MAX: usize = 4096;
/// How many lines of other threads wait at most.  A thread that logs more repeats itself.
const MAX_ELSEWHERE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(
            printable("user=<a\r\nLogin: b\u{1b}[2J>"),
            "user=<a??Login: b?[2J>"
        );
    }

    #[test]
    fn a_line_is_repeated_after_an_hour_and_not_before() {
        let (text, now) = ("a line of this test's own", Instant::now());
        assert!(!is_repeated(text, now));
        assert!(is_repeated(text, now + REPEATED_AFTER / 2));
        assert!(!is_repeated("another line of this test's own", now));
        assert!(!is_repeated(text, now + REPEATED_AFTER));
    }

    #[test]
    fn lines_say_for_whom_the_process_works() {
        let user: Arc<str> = Arc::from("imap(alice): ");
        let client: Arc<str> = Arc::from("imap(alice)<7><s>: ");
        let _of_user = on_behalf(&user);
        {
            let _of_client = on_behalf(&client);
            assert_eq!(with_whose("x".to_owned()), "imap(alice)<7><s>: x");
            assert_eq!(with_whose("imap(bob): x".to_owned()), "imap(bob): x");
        }
        assert_eq!(with_whose("x".to_owned()), "imap(alice): x");
    }

    #[test]
    fn a_hook_hears_of_all_threads_and_not_of_itself() {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let lines = Rc::clone(&heard);
        set_hook(Box::new(move |level, text| {
            lines.borrow_mut().push(format!("{level} {text}"));
            pass_on(Level::Error, "cannot pass it on");
        }));
        let other = std::thread::spawn(|| pass_on(Level::Warn, "elsewhere"));
        other.join().unwrap();
        pass_on(Level::Info, "here");
        pass_on(Level::Debug, "again");
        assert_eq!(
            *heard.borrow(),
            ["WARN elsewhere", "INFO here", "DEBUG again"]
        );
    }
}
