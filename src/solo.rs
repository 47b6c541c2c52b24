//! One process for one user, with no root, PAM or configuration file: `roost --preauth`, and
//! `roost try`, which is `front` and `session` behind one event loop.
//!
//! | file | what |
//! |---|---|
//! | `trial` | the role `roost try`: which Maildir, as whom, where |
//! | `place` | where the mail is |
//! | `password` | who is let in by it |
//! | `sample` | the small Maildir that it makes if there is none |
//! | `welcome` | what it prints: how to connect |

mod password;
mod place;
mod sample;
mod trial;
mod welcome;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::config::{Config, Location, LocationError};
use crate::front::{Ask, Entry, Front, Question, Step};
use crate::imap;
use crate::imap::connection::State;
use crate::ipc::{Protocol, Refusal};
use crate::net::stream::{Peer, Stream};
use crate::net::{Buffer, Change, ConnectionId, Loop, Now, Run, Secured, Service};
use crate::session::confine::Confinement;
use crate::session::place::{Place, Root};
use crate::session::{Greeting, Session};
use crate::sys::credentials::{Account, BecomeError};
use crate::sys::path::PathError;
use crate::sys::sandbox::{SandboxError, SandboxRole};
use crate::sys::{self, process};
use password::Password;

pub use trial::{LISTEN, LISTEN_TLS, Trial, run as run_trial};

/// Why a role cannot begin.
#[derive(Debug)]
pub enum SoloError {
    /// The directory does not exist, or cannot be read.
    NoMaildir(PathBuf, io::Error),
    /// It is a directory, but holds something else.
    NotMaildir(PathBuf),
    /// Root will not serve its own mail on the network.
    RootsMaildir(PathBuf),
    /// Somebody other than root and the owner could change the path, and lead root elsewhere.
    Changeable(PathBuf, PathBuf),
    /// Neither `--maildir` nor a home directory.
    NoHome,
    /// `mail.location` or `mail.index_dir` gives this user no place.
    Location(LocationError),
    Become(String, BecomeError),
    NoPassword(PathBuf, Option<io::Error>),
    NotLoopback(String),
    Listen(String, io::Error),
    Sample(PathBuf, io::Error),
    /// The process cannot give up what it does not need.
    Sandbox(SandboxError),
    System(&'static str, io::Error),
}

impl From<SandboxError> for SoloError {
    fn from(error: SandboxError) -> SoloError {
        SoloError::Sandbox(error)
    }
}

/// `roost --preauth`: serves the invoking user's mail on standard input and output.  `maildir` is
/// what was asked for.  The list of what happens:
pub fn preauth(maildir: Option<PathBuf>, config: Config) -> Result<(), SoloError> {
    process::set_private_umask();
    let is_named = maildir.is_some();
    let (location, owner) = match maildir {
        Some(maildir) => {
            let maildir = absolute(&maildir)?;
            let owner = decided_owner_of(&maildir)?;
            (place::named(&config, &maildir, &owner)?, owner)
        }
        None => {
            let location = place::own(&config)?;
            let maildir = &location.maildir;
            let owner = match (decided_owner_of(maildir), maildir.parent()) {
                // It will be made, and will belong to the owner of the place.
                (Err(SoloError::NoMaildir(_, error)), Some(above))
                    if error.kind() == io::ErrorKind::NotFound =>
                {
                    decided_owner_of(above)?
                }
                (owner, _) => owner?,
            };
            (location, owner)
        }
    };
    // This is done as the user who starts us, because another user may not open these streams.
    let stream = Stream::standard().map_err(standard_error)?;
    if process::is_root() && !owner.is_root() {
        become_owner(&owner)?;
    }
    if !is_named {
        make_if_missing(&location.maildir)?;
    }
    let mut event_loop = Loop::new().map_err(|error| SoloError::System("event loop", error))?;
    let (session, root) = confine(
        owner.name(),
        SandboxRole::Session,
        location,
        &config,
        &event_loop,
    )?;
    let mut solo = Solo {
        door: Door::Open,
        session,
        root,
        config,
        ending: false,
        stop: None,
    };
    event_loop
        .add(stream, Peer::default(), &mut solo)
        .map_err(standard_error)?;
    event_loop
        .run(&mut solo)
        .map_err(|error| SoloError::System("event loop", error))?;
    solo.session.finish(Now::read());
    Ok(())
}

/// The session over this Maildir.  From now on the process can do nothing else.
fn confine(
    user: &str,
    role: SandboxRole,
    location: Location,
    config: &Config,
    event_loop: &Loop,
) -> Result<(Session, Root), SoloError> {
    let confinement = Confinement::begin(user, role, config)?;
    let place = Place::at(location)
        .map_err(|error| SoloError::NoMaildir(error.path().to_owned(), error.into()))?;
    confinement.to_files(place.directories())?;
    let root = place.root();
    let wake = event_loop.wake_function();
    let session = Session::new(user, config, place.location.clone(), wake)
        .map_err(|error| SoloError::NoMaildir(place.location.maildir, error))?;
    confinement.to_calls()?;
    Ok((session, root))
}

fn standard_error(error: io::Error) -> SoloError {
    SoloError::System("standard input and output", error)
}

/// The service of the loop: clients come in at the door and go on to the session.
struct Solo {
    door: Door,
    session: Session,
    /// The directory that the process is confined to.
    root: Root,
    config: Config,
    ending: bool,
    /// For the loop.
    stop: Option<Change>,
}

enum Door {
    /// The client has been let in by another program.
    Open,
    /// A client that knows the password is let in.
    Guarded(Box<Front>, Password),
}

impl Door {
    /// The front has the clients that are not let in yet.
    fn front(&mut self, id: ConnectionId) -> Option<&mut Front> {
        match self {
            Door::Guarded(front, _) if front.contains(id) => Some(front),
            _ => None,
        }
    }
}

impl Solo {
    /// Another Maildir is where ours was, and we may not look into it.
    fn check_root(&mut self) {
        if !self.ending
            && let Some(what) = self.root.replaced()
        {
            log::warn!("{what}");
            self.ending = true;
            self.stop = Some(Change::Stop);
        }
    }
}

impl Service for Solo {
    fn handle_connect(&mut self, id: ConnectionId, peer: Peer, now: Now) {
        match &mut self.door {
            Door::Open => {
                let separator = self.session.separator();
                let connection = imap::Connection::new(State::Authenticated, separator);
                let greeting = Greeting::PreAuth;
                let name = format!("{:x}-{:x}", process::id(), id.0);
                self.session
                    .attach(id, &name, greeting, connection, Buffer::new(), now);
            }
            Door::Guarded(front, _) => front.handle_connect(Protocol::Imap, id, peer, now),
        }
    }

    fn handle_input(&mut self, id: ConnectionId, bytes: &[u8], now: Now) {
        self.check_root();
        match self.door.front(id) {
            Some(front) => front.handle_input(id, bytes),
            None => self.session.handle_input(id, bytes, now),
        }
    }

    fn handle_end(&mut self, id: ConnectionId, now: Now) {
        match self.door.front(id) {
            Some(front) => front.handle_end(id),
            None => self.session.handle_end(id, now),
        }
    }

    fn handle_secured(&mut self, id: ConnectionId, secured: Secured) {
        if let Some(front) = self.door.front(id) {
            front.handle_secured(id, secured);
        }
    }

    fn handle_tls_failure(&mut self, id: ConnectionId, reason: &str) {
        if let Some(front) = self.door.front(id) {
            front.handle_tls_failure(id, reason);
        }
    }

    fn handle_close(&mut self, id: ConnectionId, now: Now) {
        match self.door.front(id) {
            Some(front) => front.handle_close(id, now),
            None => drop(self.session.handle_close(id, now)),
        }
    }

    fn handle_wake(&mut self, now: Now) {
        self.session.handle_wake(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        if let Door::Guarded(front, _) = &mut self.door {
            front.handle_timeout(now);
        }
        self.session.handle_timeout(now);
    }

    fn handle_stop(&mut self, now: Now) {
        if let Door::Guarded(front, _) = &mut self.door {
            front.handle_stop();
        }
        self.session.handle_stop(now);
    }

    fn run(&mut self, id: ConnectionId, now: Now, over: &dyn Fn() -> bool) -> Run {
        let Door::Guarded(front, password) = &mut self.door else {
            return self.session.run(id, now, over);
        };
        if !front.contains(id) {
            return self.session.run(id, now, over);
        }
        match front.run(id, now, over) {
            Step::Idle => Run::Idle,
            Step::Again => Run::Again,
            Step::Wait(time) => Run::Wait(time),
            Step::StartTls => Run::StartTls,
            Step::Close => Run::Close,
            Step::Ask(Ask {
                request,
                question: Question::Login(login),
                ..
            }) if password.admits(&login.proof) => {
                let (protocol, pid) = (login.protocol, process::id());
                let entry = front.admit(id, request, password.user(), pid, now);
                if let Entry::Session(admitted) = entry {
                    let hand_over = admitted.hand_over();
                    self.session.take_over(id, protocol, &hand_over, now);
                }
                self.session.run(id, now, over)
            }
            Step::Ask(Ask { request, .. }) => {
                let time = now.instant.checked_add(self.config.failure_delay);
                let time = time.unwrap_or(now.instant);
                front.refuse(id, request, Refusal::Mismatch, time);
                Run::Idle
            }
        }
    }

    fn poll_change(&mut self) -> Option<Change> {
        self.stop.take()
    }

    fn poll_ready(&mut self) -> Option<ConnectionId> {
        let waiting = match &mut self.door {
            Door::Open => None,
            Door::Guarded(front, _) => front.poll_ready(),
        };
        waiting.or_else(|| self.session.poll_ready())
    }

    fn next_timeout(&self) -> Option<Instant> {
        let front = match &self.door {
            Door::Open => None,
            Door::Guarded(front, _) => front.next_timeout(),
        };
        let times = [front, self.session.next_timeout()];
        times.into_iter().flatten().min()
    }

    fn wants_input(&self, id: ConnectionId) -> bool {
        match &self.door {
            Door::Guarded(front, _) if front.contains(id) => front.wants_input(id),
            _ => self.session.wants_input(id),
        }
    }

    fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        match self.door.front(id) {
            Some(front) => front.output(id),
            None => self.session.output(id),
        }
    }
}

/// A user who has no mail yet can connect all the same.
fn make_if_missing(maildir: &Path) -> Result<(), SoloError> {
    match std::fs::create_dir(maildir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(SoloError::NoMaildir(maildir.to_owned(), error))
        }
        _ => Ok(()),
    }
}

fn owner_of(maildir: &Path) -> Result<Account, SoloError> {
    Account::owner_of(maildir).map_err(|error| SoloError::NoMaildir(maildir.to_path_buf(), error))
}

fn absolute(maildir: &Path) -> Result<PathBuf, SoloError> {
    std::path::absolute(maildir).map_err(|error| SoloError::NoMaildir(maildir.to_path_buf(), error))
}

/// The owner of what the path leads to.  If root runs us, nobody else may be able to change the
/// path.
fn decided_owner_of(maildir: &Path) -> Result<Account, SoloError> {
    let fail = |error| SoloError::NoMaildir(maildir.to_path_buf(), error);
    if !process::is_root() {
        return owner_of(maildir);
    }
    match sys::path::owner(maildir) {
        Ok(owner) => Account::of_uid(owner.uid, owner.gid).map_err(fail),
        Err(PathError::Io(error)) => Err(fail(error)),
        Err(PathError::Changeable(component)) => {
            Err(SoloError::Changeable(maildir.to_path_buf(), component))
        }
    }
}

fn become_owner(owner: &Account) -> Result<(), SoloError> {
    owner
        .become_for_good()
        .map_err(|error| SoloError::Become(owner.name().to_owned(), error))
}

impl std::fmt::Display for SoloError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SoloError::NoMaildir(path, error) => write!(f, "{}: {error}", path.display()),
            SoloError::NotMaildir(path) => write!(
                f,
                "{0} is not a Maildir, because it has no directory cur (mkdir {0}/cur {0}/new \
                 {0}/tmp makes it one)",
                path.display()
            ),
            SoloError::RootsMaildir(path) => write!(
                f,
                "{} belongs to root, and root does not serve mail; give it to the user whose mail it \
                 is, or run roost as another user on a Maildir of that user",
                path.display()
            ),
            SoloError::Changeable(path, component) => write!(
                f,
                "{}: root does not serve it, because {} can be changed by somebody else than root and \
                 the owner of this Maildir; run roost as the user whose mail it is (setpriv, runuser)",
                path.display(),
                component.display()
            ),
            SoloError::NoHome => write!(f, "no home directory; say where the Maildir is"),
            SoloError::Location(error) => error.fmt(f),
            SoloError::Become(name, error) => write!(f, "cannot become user {name}: {error}"),
            SoloError::NoPassword(path, Some(error)) => write!(f, "{}: {error}", path.display()),
            SoloError::NoPassword(path, None) => {
                write!(f, "{}: its first line must be the password", path.display())
            }
            SoloError::NotLoopback(text) => write!(
                f,
                "{text} is not a local address and port (127.0.0.1:1143, [::1]:1143, localhost:1143), and \
                 roost try serves only this host"
            ),
            SoloError::Listen(address, error) => write!(
                f,
                "cannot listen on {address}: {error}; --listen and --listen-tls choose another"
            ),
            SoloError::Sample(path, error) => {
                write!(f, "cannot make a Maildir in {}: {error}", path.display())
            }
            SoloError::Sandbox(error) => write!(f, "cannot be confined: {error}"),
            SoloError::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for SoloError {}
