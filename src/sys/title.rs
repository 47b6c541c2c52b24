//! What ps(1) shows of this process.
//!
//! The kernel gives the arguments and the environment one after the other at the top of the stack,
//! and `/proc/PID/cmdline` shows what is there now.  A title is written over the arguments, and
//! over the environment if that has been copied away before: so the environment is moved first,
//! once.  The shorter of the two that `ps -c` and top(1) show is set with prctl(2).

use std::sync::Mutex;

use nix::libc;
use nix::sys::prctl;

use super::spawn::ROOM;

/// Shows `roost: TITLE`.  Where that is not possible nothing happens.  The first call must come
/// while the process has one thread, for it moves the environment, and before it is confined; later
/// ones only write.
pub fn set(title: &str) {
    let mut area = match AREA.lock() {
        Ok(area) => area,
        Err(_) => return,
    };
    let found = area.get_or_insert_with(Area::find);
    if let Some(found) = found {
        found.write(format!("roost: {title}").as_bytes());
    }
}

/// Where arguments and environment were when the program began.
struct Area {
    start: usize,
    length: usize,
}

impl Area {
    fn find() -> Option<Area> {
        // After an exec of /proc/self/exe it would be "exe".
        let _ = prctl::set_name(c"roost");
        let bounds = Bounds::read()?;
        let length = match move_environment(&bounds) {
            true => bounds.environment_end.checked_sub(bounds.start)?,
            false => bounds.arguments_end.checked_sub(bounds.start)?,
        };
        (length > 1).then_some(Area {
            start: bounds.start,
            length,
        })
    }

    /// The title, and zeros up to the end.  Without a zero right at the end of what were the
    /// arguments the kernel goes on into the environment, up to the first zero (`get_mm_cmdline`).
    fn write(&self, title: &[u8]) {
        let shown = title.len().min(self.length - 1);
        let target = self.start as *mut u8;
        // SAFETY: the kernel has put arguments and environment there, on our stack, writable and
        // for the life of the process; nobody reads them any more: the standard library copies
        // arguments when they are asked for from `argv`, whose strings stay inside of this area and
        // end in a zero; the environment has been moved.
        let area = unsafe { std::slice::from_raw_parts_mut(target, self.length) };
        area.fill(0);
        for (octet, &new) in area.iter_mut().zip(title.iter().take(shown)) {
            *octet = new;
        }
    }
}

/// From `/proc/self/stat`: fields 48 to 51 (proc_pid_stat(5)).
struct Bounds {
    start: usize,
    arguments_end: usize,
    environment_start: usize,
    environment_end: usize,
}

impl Bounds {
    fn read() -> Option<Bounds> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program is in brackets and may have anything in it.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace().skip(45);
        let mut next = || fields.next()?.parse::<usize>().ok();
        let bounds = Bounds {
            start: next()?,
            arguments_end: next()?,
            environment_start: next()?,
            environment_end: next()?,
        };
        let is_plausible = bounds.start > 0
            && bounds.start < bounds.arguments_end
            && bounds.arguments_end <= bounds.environment_start
            && bounds.environment_start <= bounds.environment_end
            && bounds.environment_end - bounds.start < MAX_AREA;
        is_plausible.then_some(bounds)
    }
}

/// Copies the variables that lie in the area to the heap, for good.  Says whether none is left
/// there.
fn move_environment(bounds: &Bounds) -> bool {
    // SAFETY: one thread (the contract of `set`), so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(ROOM) };
    for (name, value) in std::env::vars_os() {
        // SAFETY: one thread (the contract of `set`), so nobody reads the environment meanwhile.
        unsafe { std::env::set_var(&name, &value) };
    }
    // SAFETY: as environ(7) declares it.
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: the C library's own variable; one thread, so it does not change.
    let mut entry = unsafe { environ };
    if entry.is_null() {
        return true;
    }
    loop {
        // SAFETY: `environ` is an array of pointers that ends with a null pointer (environ(7)).
        let variable = unsafe { *entry };
        if variable.is_null() {
            return true;
        }
        let at = variable as usize;
        if at >= bounds.start && at < bounds.environment_end {
            return false;
        }
        // SAFETY: the null pointer has not been reached.
        entry = unsafe { entry.add(1) };
    }
}

static AREA: Mutex<Option<Option<Area>>> = Mutex::new(None);

/// More than the kernel takes (execve(2)).
const MAX_AREA: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::super::child::{holds, in_child};
    use super::*;

    fn shown() -> Vec<u8> {
        std::fs::read("/proc/self/cmdline").unwrap()
    }

    #[test]
    fn titles_are_shown_and_the_environment_stays() {
        in_child(|| {
            // In a process where another test has set one, the short title is its thread's.
            let is_first = AREA.lock().is_ok_and(|area| area.is_none());
            let before = std::env::vars_os().collect::<Vec<_>>();
            let long = "x".repeat(100_000);
            for title in ["front", "session [bob 203.0.113.5]", "login", &long, ""] {
                set(title);
                let shown = shown();
                let end = shown.iter().position(|&octet| octet == 0);
                let expected = format!("roost: {title}");
                let is_cut = title.len() > 1000;
                let shown = &shown[..end.unwrap_or(shown.len())];
                holds(1, expected.as_bytes().starts_with(shown))?;
                holds(2, is_cut || shown == expected.as_bytes())?;
                holds(3, shown.len() > 7 || title.is_empty())?;
            }
            holds(4, std::env::vars_os().collect::<Vec<_>>() == before)?;
            let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
            holds(5, comm == "roost\n" || !is_first)
        })
        .unwrap();
    }

    #[test]
    fn the_bounds_are_those_of_our_arguments() {
        let bounds = Bounds::read().unwrap();
        let length = bounds.arguments_end - bounds.start;
        assert_eq!(shown().len(), length);
    }
}
