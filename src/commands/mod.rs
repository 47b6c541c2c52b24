//! The command line: the arguments of the program, and the commands that end soon.
//!
//! | file | what |
//! |---|---|
//! | `table` | the commands, a row each: options, help, exit codes, an example |
//! | `arguments` | arguments to what is to be done; what is said of a mistyped one |
//! | `help` | `roost help` |
//! | `exit` | how the program ends |
//! | `check` | `roost check`: the configuration, and the files it names |
//! | `import` | `roost import-dovecot`, `roost import-courier` |
//! | `certificates`, `host` | what it says of certificates; of the host's addresses and users |

mod arguments;
mod certificates;
mod check;
pub mod exit;
mod help;
mod host;
mod import;
mod table;

pub use crate::monitor::configuration::{BadConfiguration, FILE, read};
pub use arguments::{Role, UsageError, parse};
pub use check::check;
pub use import::{import_courier, import_dovecot};
pub use table::{COMMANDS, CommandOption, PROGRAM, SUCCESS_AND_USAGE, Subcommand};
