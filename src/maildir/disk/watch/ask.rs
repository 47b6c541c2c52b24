//! Questions to notify, with an end to the wait for its answer.
//!
//! notify's thread answers no question before it has read the kernel's queue to its end.  While a
//! program renames files faster than the thread reads, there is no end.  So a thread of our own
//! asks, which may wait as long as it takes; the caller waits a moment and goes on.  It does not
//! wait at all while there is an older question that has no answer yet.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

use notify::{INotifyWatcher, PathOp, RecursiveMode, Watcher as _};

use super::WatchError;

/// The questions are numbered from 1 on.
pub type Number = u64;

pub type Answer = Result<(), WatchError>;

pub enum Question {
    Watch(Vec<PathBuf>),
    Unwatch(Vec<PathBuf>),
    /// Hand on everything that happened before the question.
    CatchUp,
}

/// What came of a question.
pub enum Answered {
    InTime(Answer),
    /// The answer is [`Asker::late`].
    NotYet(Number),
}

pub struct Asker {
    questions: Sender<(Number, Question)>,
    answers: Receiver<(Number, Answer)>,
    asked: Number,
    answered: Number,
    /// The caller does not wait any more for the answers up to this number.
    given_up: Arc<AtomicU64>,
    late: Vec<(Number, Answer)>,
}

impl Asker {
    /// `wake` is called when there is a late answer.
    pub fn new(notify: INotifyWatcher, wake: impl Fn() + Send + 'static) -> io::Result<Asker> {
        let (questions, asked) = channel();
        let (answer, answers) = channel();
        let given_up = Arc::new(AtomicU64::new(0));
        let asking = Asking {
            notify,
            given_up: Arc::clone(&given_up),
        };
        let run = move || asking.run(&asked, &answer, &wake);
        Builder::new()
            .name("watch-asker".to_owned())
            .stack_size(STACK)
            .spawn(run)?;
        Ok(Asker {
            questions,
            answers,
            asked: 0,
            answered: 0,
            given_up,
            late: Vec::new(),
        })
    }

    /// Whether everything that happened before the call has been handed on.
    pub fn catch_up(&mut self) -> bool {
        // A thread that does not answer is not asked more.
        !self.is_behind() && matches!(self.ask(Question::CatchUp), Answered::InTime(Ok(())))
    }

    pub fn ask(&mut self, question: Question) -> Answered {
        let is_behind = self.is_behind();
        self.asked += 1;
        let number = self.asked;
        if is_behind {
            self.give_up(number);
        }
        // If the thread has died of a panic in notify, nothing is answered any more.
        let _ = self.questions.send((number, question));
        if is_behind {
            return Answered::NotYet(number);
        }
        let answered = self.answers.recv_timeout(PATIENCE).or_else(|_| {
            self.give_up(number);
            self.answers.try_recv()
        });
        match answered {
            Ok((_, answer)) => {
                self.answered = number;
                Answered::InTime(answer)
            }
            Err(_) => Answered::NotYet(number),
        }
    }

    /// Answers that came when nobody waited for them any more.
    pub fn late(&mut self) -> Vec<(Number, Answer)> {
        self.take_late();
        std::mem::take(&mut self.late)
    }

    /// There are questions without an answer.
    fn is_behind(&mut self) -> bool {
        self.take_late();
        self.answered < self.asked
    }

    /// Either the thread sees this and wakes us after it has answered, or we see the answer.
    fn give_up(&self, number: Number) {
        self.given_up.store(number, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn take_late(&mut self) {
        for (number, answer) in self.answers.try_iter() {
            self.answered = number;
            self.late.push((number, answer));
        }
    }
}

/// What the thread has.
struct Asking {
    notify: INotifyWatcher,
    given_up: Arc<AtomicU64>,
}

impl Asking {
    fn run(
        mut self,
        questions: &Receiver<(Number, Question)>,
        answers: &Sender<(Number, Answer)>,
        wake: &dyn Fn(),
    ) {
        for (number, question) in questions {
            let answer = match question {
                Question::Watch(directories) => self.watch(&directories),
                Question::Unwatch(directories) => self.unwatch(&directories),
                Question::CatchUp => self.catch_up(number),
            };
            if answers.send((number, answer)).is_err() {
                return;
            }
            fence(Ordering::SeqCst);
            if self.is_given_up(number) {
                wake();
            }
        }
    }

    /// One by one: at the end of a batch notify reads the kernel's queue and keeps what it finds in
    /// memory, all of it, until the queue is empty.
    fn watch(&mut self, directories: &[PathBuf]) -> Answer {
        for directory in directories {
            self.notify.watch(directory, RecursiveMode::NonRecursive)?;
        }
        Ok(())
    }

    /// notify has already forgotten a directory that was removed, and returns an error for it.
    fn unwatch(&mut self, directories: &[PathBuf]) -> Answer {
        for directory in directories {
            let _ = self.notify.unwatch(directory);
        }
        Ok(())
    }

    /// For a change of paths, be it of none, notify's thread reads the kernel's queue to its end,
    /// answers, and hands on what it has read.  It does so before it looks at the next question.
    /// As it keeps all of that in memory, it is asked something harmless first: if that takes long,
    /// the queue has no end.
    fn catch_up(&mut self, number: Number) -> Answer {
        self.pause()?;
        if !self.is_given_up(number) {
            let no_change: Vec<PathOp> = Vec::new();
            let read = self.notify.update_paths(no_change);
            read.map_err(|e| e.source)?;
            self.pause()?;
        }
        Ok(())
    }

    /// notify's thread has nothing to do, or turns to something else.
    fn pause(&mut self) -> Answer {
        self.notify.configure(notify::Config::default())?;
        Ok(())
    }

    fn is_given_up(&self, number: Number) -> bool {
        number <= self.given_up.load(Ordering::Relaxed)
    }
}

/// An answer takes some microseconds; on a busy machine the threads have to get their turn.
const PATIENCE: Duration = Duration::from_millis(200);
const STACK: usize = 64 * 1024;
