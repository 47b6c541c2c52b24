//! A folder's end of the watch: what has happened in the folder, until the folder takes it.

use std::sync::{Arc, Mutex};

use super::{Event, lock};

/// The folder has one, the watcher's thread the other that belongs to it.
#[derive(Clone, Debug, Default)]
pub struct WatchEnd {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    events: Vec<Event>,
    /// How many are worth keeping.
    room: usize,
    /// Only a look at the whole folder says what else happened: no event is kept until it is taken.
    whole: Option<Event>,
    lost: bool,
}

impl WatchEnd {
    /// Puts an event in.
    pub fn tell(&self, event: Event) {
        let mut queue = lock(&self.queue);
        match event {
            _ if queue.lost => (),
            Event::Lost => {
                queue.lost = true;
                queue.whole = None;
                queue.events = vec![Event::Lost];
            }
            Event::Watched => queue.look(Event::Watched),
            Event::Rescan => queue.look(Event::Rescan),
            _ if queue.whole.is_some() => (),
            _ if queue.events.len() == queue.room.max(ROOM) => queue.look(Event::Rescan),
            event => queue.events.push(event),
        }
    }

    /// Takes what has happened, in order.  From now on more events than `room` are one
    /// [`Event::Rescan`].
    pub fn take(&self, room: usize) -> Vec<Event> {
        let mut queue = lock(&self.queue);
        queue.room = room;
        let whole = queue.whole.take();
        let events = std::mem::take(&mut queue.events);
        whole.into_iter().chain(events).collect()
    }
}

impl Queue {
    fn look(&mut self, event: Event) {
        self.events = Vec::new();
        if self.whole != Some(Event::Watched) {
            self.whole = Some(event);
        }
    }
}

/// There is room for so many in any folder.
const ROOM: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maildir::disk::watch::Place;

    fn appeared(number: usize) -> Event {
        Event::Appeared {
            place: Place::Cur,
            name: number.to_string().into(),
        }
    }

    #[test]
    fn what_does_not_fit_is_one_look_and_what_comes_after_it_counts_again() {
        let end = WatchEnd::default();
        assert_eq!(end.take(100), []);
        (0..100).for_each(|n| end.tell(appeared(n)));
        assert_eq!(end.take(100).len(), 100);
        (0..1000).for_each(|n| end.tell(appeared(n)));
        assert_eq!(end.take(0), [Event::Rescan]);
        end.tell(appeared(1));
        assert_eq!(end.take(0), [appeared(1)]);
    }

    #[test]
    fn a_folder_that_was_lost_is_so_once_and_nothing_else() {
        let end = WatchEnd::default();
        end.tell(appeared(1));
        end.tell(Event::Rescan);
        end.tell(Event::Lost);
        end.tell(Event::Lost);
        end.tell(appeared(2));
        assert_eq!(end.take(100), [Event::Lost]);
        end.tell(appeared(3));
        assert_eq!(end.take(100), []);
    }

    #[test]
    fn a_folder_is_told_that_it_is_watched_whatever_else_happens() {
        let end = WatchEnd::default();
        end.tell(Event::Watched);
        end.tell(Event::Rescan);
        end.tell(appeared(1));
        assert_eq!(end.take(100), [Event::Watched]);
    }
}
