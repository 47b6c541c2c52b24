//! What is typed: the arguments of the program, and the commands that are done with quickly.
//!
//! | file | what |
//! |---|---|
//! | `arguments` | arguments to what is to be done; `roost --help` |
//! | `check` | `roost check`: the configuration, and the files it names |

mod arguments;
mod check;

pub use crate::monitor::configuration::{BadConfiguration, FILE, read};
pub use arguments::{Role, UsageError, help, parse};
pub use check::check;
