//! imapflow, the IMAP client for node that webmail programs are built on, from npm.
//!
//! `tests/run` puts it into `target/npm`; without that the test is skipped.

use std::path::Path;

use crate::support::*;
use crate::{command, missing, run};

#[test]
fn imapflow_holds_a_whole_session() {
    if let Some(why) = missing("node") {
        skip!("{why}");
    }
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm/node_modules");
    if !modules.join("imapflow").exists() {
        skip!(
            "imapflow is not in {} (tests/run installs it)",
            modules.display()
        );
    }
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let server = Server::try_(&mail);
    let certificate = server.certificate_file();
    let (port, tls_port) = (server.port.to_string(), server.tls_port.to_string());
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/clients/imapflow_session.cjs"
    );
    let printed = run(command(&mail, "node")
        .args([script, &port, &tls_port, Server::USER, Server::PASSWORD])
        .arg(certificate)
        .arg(mail.root())
        .env("NODE_PATH", modules));
    assert!(printed.ends_with("all done\n"), "{printed}");
}
