//! Python's imaplib, in a script beside this file.

use crate::support::*;
use crate::{command, missing, run};

#[test]
fn imaplib_holds_a_whole_session() {
    if let Some(why) = missing("python3") {
        skip!("{why}");
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let server = Server::try_(&mail);
    let certificate = server.certificate_file();
    let (port, tls_port) = (server.port.to_string(), server.tls_port.to_string());
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/clients/imaplib_session.py"
    );
    let printed = run(command(&mail, "python3")
        .args([script, &port, &tls_port, Server::USER, Server::PASSWORD])
        .arg(certificate));
    assert!(printed.ends_with("all done\n"), "{printed}");
}
