//! A password that a user types at a terminal.

use std::io::{self, BufRead, Read, Write};
use std::os::fd::AsFd;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The first line of standard input without its end.  If that is a terminal, `prompt` is shown on
/// it and nothing of what is typed.
pub fn read_password(prompt: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let input = io::stdin().lock();
    let silence = Silence::begin(prompt)?;
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    input.take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    drop(silence);

    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

/// While this lives, the terminal on standard input echoes nothing.
struct Silence(Option<Termios>);

impl Silence {
    fn begin(prompt: &str) -> io::Result<Silence> {
        let Ok(before) = tcgetattr(io::stdin().as_fd()) else {
            return Ok(Silence(None)); // not a terminal
        };
        let mut error = io::stderr();
        write!(error, "{prompt}")?;
        error.flush()?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        quiet.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(io::stdin().as_fd(), SetArg::TCSAFLUSH, &quiet)?;
        Ok(Silence(Some(before)))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // If the terminal has gone there is nobody left to see.
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSAFLUSH, before);
        }
    }
}

/// Enough for any password, and little enough to be reserved at once: no copy is left behind by
/// growing.
const MAX_LINE: usize = 4096;
