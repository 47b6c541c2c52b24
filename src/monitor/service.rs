//! The service of the monitor's loop: does with files, sockets and processes what [`Monitor`]
//! decides.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::auth;
use crate::auth::cache::PasswordCache;
use crate::config::Config;
use crate::ipc::{ListenerKind, Message};
use crate::net::stream::{ListenerId, Peer};
use crate::net::{Buffer, Change, ConnectionId, Now, Run, Service, SourceId};
use crate::sys::spawn::ChildRole;
use crate::sys::{process, spawn};

use super::certificates::{self, CertificateFiles, CertificateSource};
use super::configuration;
use super::control::{Control, ControlCommand};
use super::listeners::{self, Bound};
use super::role::{MonitorError, MonitorStart, adapt};
use super::state::{Action, Monitor};

pub(super) struct Daemon {
    start: MonitorStart,
    monitor: Monitor,
    control: Control,
    listeners: Vec<Bound>,
    certificates: CertificateFiles,
    /// When to look whether they have changed.
    check_at: Option<Instant>,
    /// It has been said that there is another version now.
    is_outdated: bool,
    /// From inetd: not given to the front yet.
    client: Option<(ListenerKind, OwnedFd)>,
    is_inetd: bool,
    changes: VecDeque<Change>,
    /// Connections of the control socket that can go on.
    ready: VecDeque<ConnectionId>,
}

impl Daemon {
    pub fn new(
        start: MonitorStart,
        config: Config,
        certificates: CertificateFiles,
    ) -> Result<Daemon, MonitorError> {
        let key = process::random().map_err(|error| MonitorError::System("randomness", error))?;
        let cache = PasswordCache::new(&key, config.auth_cache_time);
        let now = Now::read().instant;
        Ok(Daemon {
            start,
            monitor: Monitor::new(Rc::new(config), false, cache, now),
            control: Control::default(),
            listeners: Vec::new(),
            certificates,
            check_at: now.checked_add(CHECK),
            is_outdated: false,
            client: None,
            is_inetd: false,
            changes: VecDeque::new(),
            ready: VecDeque::new(),
        })
    }

    /// All sockets.
    pub fn open(&mut self) -> Result<(), MonitorError> {
        let config = Rc::clone(&self.monitor.config);
        let inherited = listeners::inherit(&config)
            .map_err(|error| MonitorError::System("inherited sockets", error))?;
        // First: where another daemon listens, nothing else is touched.
        let control =
            listeners::bind_control(&config.control_socket).map_err(MonitorError::Listen)?;
        self.listeners = listeners::open_all(&config, &inherited)
            .inspect_err(|_| listeners::remove(&config.control_socket))
            .map_err(MonitorError::Listen)?;
        self.changes.push_back(Change::Listen {
            socket: control.into(),
            listener: ListenerId(0),
            tls: false,
            proxy: None,
        });
        Ok(())
    }

    /// No sockets, but one client.
    pub fn serve_one(&mut self, kind: ListenerKind, client: OwnedFd) {
        self.is_inetd = true;
        self.monitor.is_inetd = true;
        self.client = Some((kind, client));
    }

    pub fn begin(&mut self) {
        self.monitor.start_front();
        self.perform();
        if !self.is_inetd {
            log::info!("Roost {VERSION} starts; {}", self.describe());
            notify(&[NotifyState::Ready]);
        }
    }

    /// Where it listens, and what it shows there.
    fn describe(&self) -> String {
        let listeners: Vec<String> = self.listeners.iter().map(Bound::describe).collect();
        let chains = self.certificates.chains.iter();
        let chains: Vec<String> = chains.map(|path| path.display().to_string()).collect();
        let listeners = match listeners.is_empty() {
            true => "on no socket".to_owned(),
            false => format!("listening on {}", listeners.join(", ")),
        };
        match chains.is_empty() {
            true => format!("{listeners}; without TLS"),
            false => format!("{listeners}; certificate {}", chains.join(", ")),
        }
    }

    /// When the loop has ended, well or not: nobody stays behind.
    pub fn close(&mut self) {
        self.monitor.kill_all();
        self.perform();
        if !self.is_inetd {
            listeners::remove(&self.monitor.config.control_socket);
            for path in self.listeners.iter().filter_map(Bound::path) {
                listeners::remove(path);
            }
        }
    }

    /// Does what was decided, until nothing is left to do.
    fn perform(&mut self) {
        while let Some(action) = self.monitor.poll_action() {
            match action {
                Action::Watch(source, fd) => self.changes.push_back(Change::Watch(source, fd)),
                Action::Unwatch(source) => self.changes.push_back(Change::Unwatch(source)),
                Action::Kill(pid) => spawn::kill_child(pid),
                Action::Terminate(pid) => spawn::terminate_child(pid),
                Action::StartFront(channel) => {
                    let started = execute(ChildRole::Front, channel, spawn::environment());
                    self.monitor.front_started(started);
                    self.equip_front();
                }
                Action::StartLogin(source, channel) => {
                    let started = execute(ChildRole::Login, channel, spawn::whole_environment());
                    self.monitor.login_started(source, started);
                }
            }
        }
    }

    /// Everything that a new front needs.
    fn equip_front(&mut self) {
        let settings = self.monitor.config.lines();
        self.monitor.tell_front(Message::Settings(settings));
        // Keys are not kept here: for a further front they are read once more.
        if self.certificates.are_given
            && let Ok(files) = read_certificates(&self.monitor.config)
        {
            self.certificates = files;
        }
        self.send_certificates();
        match self.client.take() {
            Some((kind, client)) => {
                self.monitor.tell_front(Message::Client(kind, client));
            }
            None => self.send_listeners(),
        }
        self.monitor.tell_front(Message::Serve);
        self.monitor.sync_stop();
    }

    fn send_certificates(&mut self) {
        for message in self.certificates.take_messages() {
            self.monitor.tell_front(message);
        }
    }

    fn send_listeners(&mut self) {
        for bound in &self.listeners {
            match bound.message() {
                Ok(message) => drop(self.monitor.tell_front(message)),
                Err(error) => log::error!("A listening socket is lost to the front: {error}"),
            }
        }
    }

    /// Puts a changed configuration into force, if nothing is wrong with it.  Otherwise nothing
    /// changes.
    fn reload(&mut self) -> Result<(), String> {
        let result = self.try_reload();
        if let Err(text) = &result {
            for line in text.lines() {
                log::error!("{line}");
            }
            log::error!("The configuration stays as it was");
        }
        result
    }

    fn try_reload(&mut self) -> Result<(), String> {
        let (config, warnings) =
            configuration::read(&self.start).map_err(|error| error.to_string())?;
        for warning in warnings.into_iter().chain(auth::check(&config)) {
            log::warn!("{warning}");
        }
        let mut config = adapt(config, self.is_inetd);
        let before = Rc::clone(&self.monitor.config);
        if config.control_socket != before.control_socket {
            log::warn!("listen.control is changed by a restart only");
            config.control_socket.clone_from(&before.control_socket);
        }
        let certificates = read_certificates(&config).map_err(|error| error.to_string())?;
        let listeners = match self.is_inetd {
            true => Vec::new(),
            false => {
                listeners::open_all(&config, &self.listeners).map_err(|error| error.to_string())?
            }
        };

        crate::log::set_level(config.log_level);
        if let Ok(key) = process::random() {
            self.monitor.cache = PasswordCache::new(&key, config.auth_cache_time);
        }
        self.monitor.reconfigure(config);
        self.certificates = certificates;
        self.send_certificates();
        self.replace_listeners(listeners);
        log::info!("The configuration has been read again; {}", self.describe());
        Ok(())
    }

    fn replace_listeners(&mut self, listeners: Vec<Bound>) {
        let is_in =
            |bound: &Bound, others: &[Bound]| others.iter().any(|other| other.is_same(bound));
        for gone in self.listeners.iter().filter(|old| !is_in(old, &listeners)) {
            // A socket of the same name may have taken its place.
            let stays = |path| listeners.iter().any(|new| new.path() == Some(path));
            if let Some(path) = gone.path()
                && !stays(path)
            {
                listeners::remove(path);
            }
        }
        self.listeners = listeners;
        // The settings say what a listener asks of PROXY headers; so they are all told anew.
        self.monitor.tell_front(Message::Unlisten);
        self.send_listeners();
    }

    /// Certificate files that have changed by themselves, as they do when they are renewed.
    fn check_certificates(&mut self, now: Instant) {
        self.check_at = now.checked_add(CHECK);
        if !self.certificates.have_changed() {
            return;
        }
        match read_certificates(&self.monitor.config) {
            Ok(files) => {
                log::info!("The certificates have changed");
                self.certificates = files;
                self.send_certificates();
            }
            // They may be just being written.
            Err(error) => log::warn!("The certificates stay as they were: {error}"),
        }
    }

    /// Roles are executed from `/proc/self/exe`, which is this very file though its name may be
    /// another's now: so never do two versions speak with each other.
    fn check_program(&mut self) {
        if !self.is_outdated && process::is_replaced() {
            self.is_outdated = true;
            log::warn!(
                "The program has been replaced on the disk: Roost {VERSION} goes on in memory until it \
                 is restarted (systemctl restart roost)"
            );
        }
    }

    fn answer(&mut self, id: ConnectionId, command: &ControlCommand) {
        let answer = match command {
            ControlCommand::Who => Ok(self.monitor.who()),
            ControlCommand::Metrics => {
                let present = self.monitor.present();
                Ok(self.monitor.counters.open_metrics(present))
            }
            ControlCommand::Kick(whom) => match self.monitor.kick(whom) {
                0 => Err("there is no such connection".to_owned()),
                1 => Ok("1 connection\n".to_owned()),
                count => Ok(format!("{count} connections\n")),
            },
            ControlCommand::Reload => self.reload().map(|()| String::new()),
        };
        self.control.answer(id, answer);
        self.ready.push_back(id);
    }

    fn reap(&mut self, now: Instant) {
        while let Some((pid, exit)) = spawn::reap() {
            self.monitor.handle_exit(pid, exit, now);
        }
    }
}

/// Starts a role of this program; gives its process.
fn execute(
    role: ChildRole,
    channel: OwnedFd,
    environment: Vec<(OsString, OsString)>,
) -> io::Result<u32> {
    spawn::fork_child(move || {
        crate::log::close();
        let error = spawn::become_role(role, channel, &environment);
        log::error!("Cannot start the role {}: {error}", role.word());
        FAILED
    })
}

/// The certificates that the configuration names.  If there are none, one is made.
pub(super) fn read_certificates(config: &Config) -> Result<CertificateFiles, MonitorError> {
    let authority = config.tls_client_ca.as_deref();
    let files: Vec<(PathBuf, PathBuf)> = match CertificateSource::find(config) {
        CertificateSource::None => return Ok(CertificateFiles::default()),
        CertificateSource::Files(files) => files,
        CertificateSource::SelfSigned { chain, key } => make_certificate(chain, key),
    };
    CertificateFiles::read(&files, authority)
        .map_err(|(path, error)| MonitorError::Certificate(path, error))
}

/// What clients get who would get nothing else.
fn make_certificate(chain: PathBuf, key: PathBuf) -> Vec<(PathBuf, PathBuf)> {
    let path = chain.display();
    match certificates::make_files(&chain, &key) {
        Ok(()) => {
            log::warn!(
                "There is no certificate, so one has been made that no client can verify: {path}; \
                 name a better one in tls.certificate and tls.key"
            );
            vec![(chain, key)]
        }
        Err(error) => {
            log::error!(
                "TLS is not offered, and nobody can log in from another host: there is no \
                 certificate, and none can be made at {path}: {error}; make that possible, or name one \
                 in tls.certificate and tls.key"
            );
            Vec::new()
        }
    }
}

/// Where there is no systemd, nobody hears it.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("The service manager cannot be told: {error}");
    }
}

impl Service for Daemon {
    // Connections are those of the control socket.

    fn handle_connect(&mut self, id: ConnectionId, peer: Peer, now: Now) {
        self.control.handle_connect(id, now);
        // The mode of the socket says so already; it can be changed by mistake.
        if peer.user != Some(0) {
            let refusal = "this takes root".to_owned();
            self.control.answer(id, Err(refusal));
        }
    }

    fn handle_input(&mut self, id: ConnectionId, bytes: &[u8], _now: Now) {
        self.control.handle_input(id, bytes);
    }

    fn handle_end(&mut self, id: ConnectionId, _now: Now) {
        self.control.handle_end(id);
    }

    fn handle_close(&mut self, id: ConnectionId, _now: Now) {
        self.control.handle_close(id);
    }

    fn handle_source(&mut self, source: SourceId, now: Now) {
        self.monitor.handle_source(source, now.instant);
        self.perform();
    }

    fn handle_reload(&mut self, _now: Now) {
        if let Ok(time) = NotifyState::monotonic_usec_now() {
            notify(&[NotifyState::Reloading, time]);
        }
        // What is wrong is in the log.
        let _ = self.reload();
        self.perform();
        notify(&[NotifyState::Ready]);
    }

    fn handle_child(&mut self, now: Now) {
        self.reap(now.instant);
        self.perform();
    }

    fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    fn is_done(&self) -> bool {
        self.monitor.is_finished()
    }

    fn handle_wake(&mut self, _now: Now) {}

    fn handle_timeout(&mut self, now: Now) {
        self.monitor.handle_timeout(now.instant);
        if self.check_at.is_some_and(|time| time <= now.instant) {
            self.check_certificates(now.instant);
            self.check_program();
        }
        self.perform();
    }

    fn handle_stop(&mut self, now: Now) {
        if !self.is_inetd {
            notify(&[NotifyState::Stopping]);
        }
        self.monitor.stop(now.instant);
        self.perform();
    }

    fn run(&mut self, id: ConnectionId, now: Now, _over: &dyn Fn() -> bool) -> Run {
        if let Some(command) = self.control.poll_command(id) {
            self.answer(id, &command);
            self.perform();
        }
        self.control.run(id, now)
    }

    fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.ready.pop_front()
    }

    fn next_timeout(&self) -> Option<Instant> {
        [self.monitor.next_timeout(), self.check_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn wants_input(&self, id: ConnectionId) -> bool {
        self.control.wants_input(id)
    }

    fn output(&mut self, id: ConnectionId) -> &mut Buffer {
        self.control.output(id)
    }
}

/// How often it is looked whether certificate files have changed.
const CHECK: Duration = Duration::from_secs(5);

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// sysexits.h: EX_OSERR
const FAILED: u8 = 71;
