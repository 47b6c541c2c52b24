//! Listening sockets: bound here, or inherited from systemd; accepted from by the front.
//!
//! The monitor keeps them, so that connections wait while a front is started anew.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::socket::sockopt::{Ipv6V6Only, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, UnixAddr, bind, connect, listen,
    setsockopt, socket,
};
use nix::sys::stat::{Mode, SFlag, fstat, umask};
use nix::unistd::{Gid, Uid, fchownat};

use crate::config::{Config, Endpoint};
use crate::ipc::{ListenerKind, Message, Protocol};
use crate::sys::bind_options;
use crate::sys::inherited::{self, Inherited};
use crate::sys::users;

pub(super) struct Bound {
    kind: ListenerKind,
    place: Place,
    socket: OwnedFd,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Endpoint(Endpoint),
    Path(PathBuf, u32, String),
    /// The program that started us has bound it, to this port if it is a TCP socket.
    Inherited(Option<u16>),
}

/// What cannot be listened on, and why.
#[derive(Debug)]
pub struct ListenError {
    place: String,
    error: io::Error,
}

/// What `config` asks for; what is in `before` already is taken from there.
pub(super) fn open_all(config: &Config, before: &[Bound]) -> Result<Vec<Bound>, ListenError> {
    let mut bound = Vec::new();
    for old in before
        .iter()
        .filter(|old| matches!(old.place, Place::Inherited(_)))
    {
        bound.push(old.share()?);
    }
    let inherited_port = |kind: ListenerKind, port: u16| {
        before.iter().any(|old| {
            old.kind == kind
                && matches!(old.place, Place::Inherited(Some(theirs)) if theirs == port)
        })
    };
    for (kind, endpoint) in endpoints(config) {
        if inherited_port(kind, endpoint.port) {
            continue;
        }
        let place = Place::Endpoint(endpoint);
        let old = before
            .iter()
            .find(|old| old.kind == kind && old.place == place);
        bound.push(match old {
            Some(old) => old.share()?,
            None => Bound {
                kind,
                socket: bind_tcp(endpoint).map_err(|error| ListenError {
                    place: show(endpoint),
                    error,
                })?,
                place,
            },
        });
    }
    let has_sasl = bound.iter().any(|bound| bound.kind == SASL);
    if let Some(path) = &config.listen_sasl
        && !has_sasl
    {
        let place = Place::Path(path.clone(), config.sasl_mode, config.sasl_owner.clone());
        match before.iter().find(|old| old.place == place) {
            Some(old) => bound.push(old.share()?),
            None => match bind_sasl(path, config) {
                Ok(socket) => bound.push(Bound {
                    kind: SASL,
                    place,
                    socket,
                }),
                // Postfix may be installed later; mail is to be read all the same.
                Err(error) => {
                    log::warn!("Cannot listen on {} for Postfix: {error}", path.display())
                }
            },
        }
    }
    Ok(bound)
}

/// What systemd has given to us (sd_listen_fds(3)).
pub(super) fn inherit(config: &Config) -> io::Result<Vec<Bound>> {
    let mut bound = Vec::new();
    for Inherited { socket, name } in inherited::listeners()? {
        let port = inherited::port(&socket);
        let by_port = || {
            let port = port?;
            let known = endpoints(config).find(|(_, endpoint)| endpoint.port == port);
            known.map(|(kind, _)| kind)
        };
        match ListenerKind::named(&name).or_else(by_port) {
            Some(kind) => bound.push(Bound {
                kind,
                place: Place::Inherited(port),
                socket,
            }),
            None => log::warn!(
                "A socket that systemd has passed is not used: nothing in the configuration says what it \
                 is for; its unit can say so with FileDescriptorName=imap, imaps or sasl"
            ),
        }
    }
    Ok(bound)
}

impl Bound {
    /// For the front.
    pub fn message(&self) -> io::Result<Message> {
        Ok(Message::Listener(self.kind, self.socket.try_clone()?))
    }

    fn share(&self) -> Result<Bound, ListenError> {
        let socket = self.socket.try_clone().map_err(|error| ListenError {
            place: "a socket".to_owned(),
            error,
        })?;
        Ok(Bound {
            kind: self.kind,
            place: self.place.clone(),
            socket,
        })
    }

    /// For the log: `imap *:143`.
    pub fn describe(&self) -> String {
        let what = self.kind.name();
        match &self.place {
            Place::Endpoint(endpoint) => format!("{what} {}", show(*endpoint)),
            Place::Path(path, ..) => format!("{what} {}", path.display()),
            Place::Inherited(Some(port)) => format!("{what} port {port} of the service manager's"),
            Place::Inherited(None) => format!("{what} socket of the service manager's"),
        }
    }

    /// Whether both listen on the same, for the same.
    pub fn is_same(&self, other: &Bound) -> bool {
        self.kind == other.kind && self.place == other.place
    }

    /// Its name in the file system, if it is ours to remove.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Path(path, ..) => Some(path),
            _ => None,
        }
    }
}

fn endpoints(config: &Config) -> impl Iterator<Item = (ListenerKind, Endpoint)> {
    [
        (IMAP, &config.listen_imap),
        (IMAP.under_tls(), &config.listen_imaps),
        (IMAP.behind_proxy(), &config.listen_imap_proxy),
        (IMAP.under_tls().behind_proxy(), &config.listen_imaps_proxy),
    ]
    .into_iter()
    .flat_map(|(kind, endpoints)| endpoints.iter().map(move |endpoint| (kind, *endpoint)))
}

/// `*` is one socket for both families, where there is IPv6.
fn bind_tcp(endpoint: Endpoint) -> io::Result<OwnedFd> {
    let Some(address) = endpoint.address else {
        let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        return match bind_to(SocketAddr::new(any, endpoint.port), false) {
            Err(Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => {
                let any = IpAddr::from([0, 0, 0, 0]);
                Ok(bind_to(SocketAddr::new(any, endpoint.port), false)?)
            }
            result => Ok(result?),
        };
    };
    Ok(bind_to(SocketAddr::new(address, endpoint.port), true)?)
}

fn bind_to(address: SocketAddr, only_v6: bool) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    if address.is_ipv6() {
        setsockopt(&socket, Ipv6V6Only, &only_v6)?;
    }
    match bind(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
        // The network may come up later than we do.
        Err(Errno::EADDRNOTAVAIL) if !address.ip().is_unspecified() => {
            bind_ahead(&socket, address)?;
        }
        bound => bound?,
    }
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket)
}

/// To an address that this host does not have yet: clients are served from the moment on when it
/// has it.
fn bind_ahead(socket: &OwnedFd, address: SocketAddr) -> Result<(), Errno> {
    let permitted = bind_options::permit_absent_address(socket, address.is_ipv6());
    permitted.map_err(|_| Errno::EADDRNOTAVAIL)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    log::warn!(
        "Listening on {address}, which is no address of this host yet: nobody can connect there \
         until it is (if it never will be, listen.* in the configuration has a wrong address)"
    );
    Ok(())
}

/// The directory must be there, and may be somebody else's, Postfix's: what is ours is looked at by
/// its descriptor before it is given to anybody, for a name can be made to mean something else
/// meanwhile.
fn bind_sasl(path: &Path, config: &Config) -> io::Result<OwnedFd> {
    let (uid, gid) = owner(&config.sasl_owner)?;
    remove_stale(path)?;
    let mode = Mode::from_bits_truncate(config.sasl_mode);
    // A socket is made with all rights but those in the mask.
    let before = umask(Mode::from_bits_truncate(0o777) & !mode);
    let bound = UnixListener::bind(path);
    umask(before);
    let listener = bound?;
    listener.set_nonblocking(true)?;
    let made = open(
        path,
        OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let facts = fstat(&made)?;
    let is_socket = SFlag::from_bits_truncate(facts.st_mode) & SFlag::S_IFMT == SFlag::S_IFSOCK;
    if !is_socket || facts.st_uid != 0 || facts.st_nlink != 1 {
        return Err(io::Error::other("somebody has replaced it"));
    }
    fchownat(&made, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?;
    Ok(listener.into())
}

/// `user:group`
fn owner(text: &str) -> io::Result<(Uid, Gid)> {
    let missing = |what: &str| io::Error::other(format!("there is no {what}"));
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let user = users::named(user)?.ok_or_else(|| missing(&format!("user {user}")))?;
    let gid = match group {
        "" => user.gid,
        group => users::group_named(group)?.ok_or_else(|| missing(&format!("group {group}")))?,
    };
    Ok((Uid::from_raw(user.uid), Gid::from_raw(gid)))
}

/// The socket that only root may connect to, at which `roost who` asks.
pub(super) fn bind_control(path: &Path) -> Result<UnixListener, ListenError> {
    let bound = bind_private(path);
    bound.map_err(|error| ListenError {
        place: path.display().to_string(),
        error,
    })
}

fn bind_private(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent()
        && !directory.exists()
    {
        use std::os::unix::fs::DirBuilderExt;
        // Everybody may see that the daemon is there.
        let before = umask(Mode::from_bits_truncate(0o022));
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory);
        umask(before);
        made?;
    }
    remove_stale(path)?;
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    bound
}

/// What a daemon left that was killed.  One that is there and listens stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(facts) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !facts.file_type().is_socket() {
        return Err(io::Error::other("there is something else of that name"));
    }
    match is_listened_on(path)? {
        true => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "somebody listens there already",
        )),
        false => std::fs::remove_file(path),
    }
}

/// It does not wait, because the listener may not accept.
fn is_listened_on(path: &Path) -> io::Result<bool> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    Ok(match connect(socket.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) | Err(Errno::EAGAIN) => true,
        Err(_) => false,
    })
}

/// Removes the name of a socket of ours, if it is still that.
pub(super) fn remove(path: &Path) {
    let is_ours = std::fs::symlink_metadata(path)
        .is_ok_and(|facts| facts.file_type().is_socket() && facts.nlink() == 1);
    if is_ours {
        // If that fails, the next start finds it stale.
        let _ = std::fs::remove_file(path);
    }
}

fn show(endpoint: Endpoint) -> String {
    match endpoint.address {
        None => format!("*:{}", endpoint.port),
        Some(address) => SocketAddr::new(address, endpoint.port).to_string(),
    }
}

impl std::fmt::Display for ListenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot listen on {}: {}", self.place, self.error)
    }
}

impl std::error::Error for ListenError {}

const IMAP: ListenerKind = ListenerKind::plain(Protocol::Imap);

const SASL: ListenerKind = ListenerKind::plain(Protocol::Sasl);

/// The kernel cuts it to net.core.somaxconn.
const BACKLOG: i32 = 4096;
