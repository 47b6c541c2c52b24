//! The configuration file, if there is one, and what the command line changes.

use std::io;
use std::path::{Path, PathBuf};

use super::role::MonitorStart;
use crate::config::{Config, Problem};

/// The path of the file, which need not exist.
pub const FILE: &str = "/etc/roost/roost.toml";

/// Why there is no configuration, in lines for people.
#[derive(Debug)]
pub enum BadConfiguration {
    NotRead(PathBuf, io::Error),
    Wrong(Vec<String>),
}

/// What is in force, and warnings, a line each.
pub fn read(start: &MonitorStart) -> Result<(Config, Vec<String>), BadConfiguration> {
    let path = path(start);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && start.config.is_none() => {
            String::new()
        }
        Err(error) => return Err(BadConfiguration::NotRead(path.to_owned(), error)),
    };
    let show = |problems: Vec<Problem>| {
        let file = path.display().to_string();
        problems.iter().map(|problem| problem.show(&file)).collect()
    };
    match Config::load(&text, &start.set) {
        Ok((config, warnings)) => Ok((config, show(warnings))),
        Err(problems) => Err(BadConfiguration::Wrong(show(problems))),
    }
}

pub fn path(start: &MonitorStart) -> &Path {
    start.config.as_deref().unwrap_or(Path::new(FILE))
}

impl std::fmt::Display for BadConfiguration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadConfiguration::NotRead(path, error) => write!(f, "{}: {error}", path.display()),
            BadConfiguration::Wrong(lines) => f.write_str(&lines.join("\n")),
        }
    }
}

impl std::error::Error for BadConfiguration {}
