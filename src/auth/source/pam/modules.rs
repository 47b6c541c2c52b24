//! The modules that a PAM service is made of, and which of them cannot be loaded.
//!
//! PAM skips a module that it cannot load.  With the rules of distributions, `[success=1
//! default=ignore] pam_unix.so` before `pam_deny.so`, the answer is then the same as for a wrong
//! password.  So after such an answer, this module finds out whether anything has been asked at
//! all.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sys::pam::can_load;

/// A module of the service that a login depends on, and why it cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::auth) struct Missing {
    pub module: String,
    pub why: String,
}

/// What a module is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Facility {
    Auth,
    Account,
}

/// How closely modules are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum ModuleLook {
    /// Whether there is such a file.
    Exists,
    /// They are loaded.  Only a process that serves one login does so, since it has PAM's modules
    /// anyway.
    Loads,
}

/// The modules of a service that are missing.
pub(in crate::auth) fn missing(
    service: &str,
    facility: Facility,
    look: ModuleLook,
) -> Vec<Missing> {
    let directories: Vec<PathBuf> = directories().filter(|path| has_modules(path)).collect();
    if directories.is_empty() {
        // The modules are in a place that is not known here, so nothing can be said of them.
        return Vec::new();
    }
    let mut rules = Vec::new();
    gather(service, facility, &mut rules, 0);
    let mut found: Vec<Missing> = Vec::new();
    for rule in rules.iter().filter(|rule| rule.counts) {
        let is_new = found.iter().all(|other| other.module != rule.module);
        if is_new && let Some(why) = problem(rule, &directories, look) {
            found.push(Missing {
                module: rule.module.clone(),
                why,
            });
        }
    }
    found
}

fn problem(rule: &Rule, directories: &[PathBuf], look: ModuleLook) -> Option<String> {
    let path = Path::new(&rule.module);
    let places: Vec<PathBuf> = match path.is_absolute() {
        true => vec![path.to_path_buf()],
        // `$ISA/` may stand before the name.
        false => {
            let name = path.file_name()?;
            directories.iter().map(|place| place.join(name)).collect()
        }
    };
    let mut there = places.iter().filter(|place| place.exists()).peekable();
    if there.peek().is_none() {
        let absent = String::from("there is no such file");
        return (!rule.may_be_missing).then_some(absent);
    }
    if look == ModuleLook::Exists {
        return None;
    }
    // Modules of another architecture may lie beside ours.
    let mut why = None;
    for place in there {
        match can_load(place) {
            Ok(()) => return None,
            Err(text) => why = why.or(Some(text)),
        }
    }
    why
}

/// A line of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    module: String,
    /// Whether a login may depend on what it says.
    counts: bool,
    /// `-auth`
    may_be_missing: bool,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Rule(Rule),
    /// The lines of another service stand here.
    Include(String),
}

fn gather(service: &str, facility: Facility, rules: &mut Vec<Rule>, depth: usize) {
    let Some(text) = read(service) else {
        return;
    };
    for line in lines(&text, facility) {
        match line {
            Line::Rule(rule) => rules.push(rule),
            Line::Include(other) if depth < MAX_DEPTH => gather(&other, facility, rules, depth + 1),
            Line::Include(_) => {}
        }
    }
}

fn read(service: &str) -> Option<String> {
    let read = |folder: &&str| fs::read_to_string(Path::new(folder).join(service)).ok();
    // A service without rules of its own has the rules of `other`.
    let other = |folder: &&str| fs::read_to_string(Path::new(folder).join("other")).ok();
    let mut folders = FOLDERS.iter();
    folders
        .find_map(read)
        .or_else(|| FOLDERS.iter().find_map(other))
}

/// The lines for this facility (pam.d(5)).
fn lines(text: &str, facility: Facility) -> Vec<Line> {
    let joined = text.replace("\\\n", " ");
    let parsed = joined.lines().filter_map(|line| parse(line, facility));
    parsed.collect()
}

fn parse(line: &str, facility: Facility) -> Option<Line> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let (first, rest) = line.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let word = |text: &str| text.split_whitespace().next().map(str::to_owned);
    if first == "@include" {
        return word(rest).map(Line::Include);
    }
    let (may_be_missing, kind) = match first.strip_prefix('-') {
        Some(kind) => (true, kind),
        None => (false, first),
    };
    let wanted = match facility {
        Facility::Auth => "auth",
        Facility::Account => "account",
    };
    if !kind.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let (control, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => rest.split_once(char::is_whitespace)?,
    };
    let module = word(rest)?;
    match control {
        "include" | "substack" => Some(Line::Include(module)),
        control => Some(Line::Rule(Rule {
            module,
            counts: counts(control),
            may_be_missing,
        })),
    }
}

/// Whether a login may depend on a module under this control: the module can make it succeed or
/// fail.
fn counts(control: &str) -> bool {
    match control {
        "required" | "requisite" | "sufficient" => true,
        "optional" => false,
        actions => actions
            .split_whitespace()
            .filter_map(|action| action.split_once('='))
            .any(|(value, action)| value == "success" && action != "ignore"),
    }
}

/// Where modules are if a rule does not say: the places of the known distributions.
fn directories() -> impl Iterator<Item = PathBuf> {
    // Debian has a directory for each architecture.
    let of_architectures = ["/lib", "/usr/lib"]
        .into_iter()
        .filter_map(|top| fs::read_dir(top).ok())
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains("-linux-"))
        .map(|entry| entry.path().join("security"));
    of_architectures.chain(DIRECTORIES.iter().map(PathBuf::from))
}

/// There is no PAM without these.
fn has_modules(directory: &Path) -> bool {
    ["pam_deny.so", "pam_permit.so", "pam_unix.so"]
        .iter()
        .any(|name| directory.join(name).exists())
}

const DIRECTORIES: &[&str] = &[
    "/lib/security",
    "/lib64/security",
    "/usr/lib/security",
    "/usr/lib64/security",
];

pub(in crate::auth) const FOLDERS: &[&str] = &["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d"];

/// As deep as Linux-PAM follows.
const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(module: &str, counts: bool, may_be_missing: bool) -> Line {
        Line::Rule(Rule {
            module: module.to_owned(),
            counts,
            may_be_missing,
        })
    }

    #[test]
    fn the_lines_of_a_service_are_read_as_pam_reads_them() {
        let text = "# comment\n\
                    auth\t[success=1 default=ignore]\tpam_unix.so nullok # more\n\
                    auth requisite pam_deny.so\n\
                    Auth  optional   \\\n  pam_cap.so\n\
                    -auth sufficient pam_ldap.so\n\
                    auth [default=ignore] pam_echo.so\n\
                    auth substack system-auth\n\
                    account required pam_unix.so\n\
                    @include common-account\n\
                    auth\n\
                    session required pam_limits.so\n";
        assert_eq!(
            lines(text, Facility::Auth),
            [
                rule("pam_unix.so", true, false),
                rule("pam_deny.so", true, false),
                rule("pam_cap.so", false, false),
                rule("pam_ldap.so", true, true),
                rule("pam_echo.so", false, false),
                Line::Include("system-auth".to_owned()),
                Line::Include("common-account".to_owned()),
            ]
        );
        assert_eq!(
            lines(text, Facility::Account),
            [
                rule("pam_unix.so", true, false),
                Line::Include("common-account".to_owned())
            ]
        );
    }

    #[test]
    fn a_module_that_is_no_library_cannot_be_loaded_and_one_that_is_not_there_may_be_allowed() {
        let place = std::env::temp_dir().join(format!("roost-modules-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let (broken, absent) = (place.join("pam_broken.so"), place.join("pam_absent.so"));
        fs::write(&broken, "no library").unwrap();
        let of = |path: &Path, may_be_missing| Rule {
            module: path.display().to_string(),
            counts: true,
            may_be_missing,
        };
        let found = |rule: &Rule, look| problem(rule, &[], look);
        assert!(found(&of(&broken, false), ModuleLook::Loads).is_some());
        assert!(found(&of(&broken, true), ModuleLook::Loads).is_some());
        assert_eq!(found(&of(&broken, false), ModuleLook::Exists), None);
        assert!(found(&of(&absent, false), ModuleLook::Exists).is_some());
        assert_eq!(found(&of(&absent, true), ModuleLook::Loads), None);
        fs::remove_dir_all(&place).unwrap();
    }
}
