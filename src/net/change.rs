//! Does what a service wants of the loop.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::listener::{Listener, ListenerOpening};
use super::stream::Stream;
use super::{Change, Loop, Now, Service, SourceId, token};

impl Loop {
    pub(super) fn apply_changes(&mut self, service: &mut dyn Service) {
        while let Some(change) = service.poll_change() {
            self.apply(change, service);
        }
    }

    fn apply(&mut self, change: Change, service: &mut dyn Service) {
        match change {
            Change::Add {
                stream, context, ..
            } => self.add_for(stream, context, service),
            Change::Listen {
                socket,
                listener,
                tls,
                proxy,
            } => {
                let kind = ListenerOpening {
                    id: listener,
                    tls,
                    proxy: proxy.map(Rc::from),
                };
                let added =
                    Listener::adopt(socket, kind).and_then(|listener| self.add_listener(listener));
                if let Err(error) = added {
                    log::error!("Cannot listen on a socket: {error}");
                }
            }
            Change::Unlisten => self.unlisten(),
            Change::UseCertificates(certificates) => self.certificates = Some(certificates),
            Change::Watch(source, descriptor) => self.watch(source, descriptor),
            Change::Unwatch(source) => self.unwatch(source),
            Change::Cut(id) => self.remove(id, service, None),
            Change::Stop => self.stop(service),
        }
    }

    /// If the connection cannot be served, the service that added it is told so at once.
    fn add_for(&mut self, stream: Stream, context: u64, service: &mut dyn Service) {
        let now = Now::read();
        match self.insert(stream) {
            Ok(id) => {
                service.handle_added(id, context, now);
                self.enqueue(id);
            }
            Err(error) => {
                log::warn!("Cannot serve a connection: {error}");
                let id = self.take_id();
                service.handle_added(id, context, now);
                service.handle_close(id, now);
            }
        }
    }

    fn watch(&mut self, source: SourceId, descriptor: Rc<OwnedFd>) {
        self.unwatch(source);
        let registered = token::of_source(source)
            .and_then(|token| register(self.poll.registry(), token, &descriptor));
        match registered {
            Ok(()) => drop(self.sources.insert(source, descriptor)),
            Err(error) => log::error!("Cannot watch a descriptor: {error}"),
        }
    }

    fn unwatch(&mut self, source: SourceId) {
        if let Some(descriptor) = self.sources.remove(&source) {
            // Closing does it too, unless the description is shared with another process.
            let _ = self
                .poll
                .registry()
                .deregister(&mut SourceFd(&descriptor.as_raw_fd()));
        }
    }
}

fn register(registry: &Registry, token: Token, descriptor: &OwnedFd) -> io::Result<()> {
    let both = Interest::READABLE | Interest::WRITABLE;
    registry.register(&mut SourceFd(&descriptor.as_raw_fd()), token, both)
}
