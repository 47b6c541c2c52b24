//! What is typed: the arguments of the program, and the commands that are done with quickly.
//!
//! | file | what |
//! |---|---|
//! | `arguments` | arguments to what is to be done; `roost --help` |
//! | `check` | `roost check`: the configuration, and the files it names |
//! | `certificates`, `host` | what it says of certificates; of the host's addresses and users |

mod arguments;
mod certificates;
mod check;
mod host;

pub use crate::monitor::configuration::{BadConfiguration, FILE, read};
pub use arguments::{Role, UsageError, help, parse};
pub use check::check;
