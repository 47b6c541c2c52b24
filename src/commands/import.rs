//! `roost import-dovecot` and `roost import-courier`: the files of the other server.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::import::{self, Files, ImportError, Imported};

/// The text on standard input is meant by `-`.
pub fn import_dovecot(file: Option<&str>) -> Result<Imported, ImportError> {
    match file {
        Some("-") => {
            let mut text = Vec::new();
            let read = io::stdin().take(MAX_FILE).read_to_end(&mut text);
            let text = match read {
                Ok(_) => String::from_utf8_lossy(&text),
                Err(error) => return Err(ImportError::input(error.to_string())),
            };
            import::dovecot_text(&text, &Disk)
        }
        file => import::dovecot(&absolute(file.unwrap_or(DOVECOT))?, &Disk),
    }
}

pub fn import_courier(directory: Option<&str>) -> Result<Imported, ImportError> {
    import::courier(&absolute(directory.unwrap_or(COURIER))?, &Disk)
}

/// What is included is beside the file, wherever this process is.
fn absolute(path: &str) -> Result<String, ImportError> {
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|error| ImportError::input(format!("{path}: {error}")))?;
    let text = absolute.into_os_string().into_string();
    text.map_err(|_| ImportError::input(format!("{path}: this path is not UTF-8")))
}

/// The files of this host.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        let read = || {
            let mut octets = Vec::new();
            // A pipe or a device has no end.
            if !fs::metadata(path)?.is_file() {
                return Err(io::Error::other("it is no file"));
            }
            File::open(path)?.take(MAX_FILE).read_to_end(&mut octets)?;
            Ok(octets)
        };
        // Old comments may be in another character set.
        let text = read().map(|octets| String::from_utf8_lossy(&octets).into_owned());
        text.map_err(|error: io::Error| error.to_string())
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn list(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }
}

const DOVECOT: &str = "/etc/dovecot/dovecot.conf";
const COURIER: &str = "/etc/courier";

/// More than any configuration has.
const MAX_FILE: u64 = 16 << 20;
