mod support;
use support::*;

#[test]
fn smoke() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let mut a = mail.connect();
    println!("{}", a.ok("SELECT INBOX"));
    println!("{}", a.ok("FETCH 1:* (FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY BODY[HEADER.FIELDS (SUBJECT)] BODY[TEXT]<2.5> BINARY[1])"));
    a.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    println!("{}", a.ok("EXPUNGE"));
    println!("{}", a.ok("LIST \"\" *"));
    println!(
        "{}",
        a.ok(
            "LIST \"\" (INBOX \"%\") RETURN (CHILDREN STATUS (MESSAGES UNSEEN SIZE HIGHESTMODSEQ))"
        )
    );
    println!("{}", a.ok("SEARCH RETURN (ALL COUNT) ALL"));
    println!("{}", a.ok("NAMESPACE"));
    println!("{}", a.ok("ID NIL"));
    println!("{}", a.ok("ENABLE QRESYNC"));
    println!("{}", a.append("INBOX (\\Seen)", &text("four.eml")));
    println!("{}", a.ok("STATUS INBOX (MESSAGES HIGHESTMODSEQ)"));
    println!(
        "{}",
        a.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)")
    );
    a.logout();
}

#[test]
fn smoke_tcp() {
    let mail = Mail::with(["one.eml", "two.eml", "three.eml"]);
    let s = Server::try_(&mail);
    let mut a = s.connect();
    println!("{}", a.ok("SELECT INBOX"));
    let mut b = s.dial_tls();
    println!("{}", b.ok("CAPABILITY"));
    println!(
        "{}",
        b.ok(&format!("LOGIN {} {}", Server::USER, Server::PASSWORD))
    );
    b.logout();
    let mut b = s.dial();
    println!("{}", b.ok("STARTTLS"));
    b.start_tls(&s.certificate());
    println!(
        "{}",
        b.ok(&format!("LOGIN {} {}", Server::USER, Server::PASSWORD))
    );
    println!("{}", b.ok("SELECT INBOX"));
    mail.inbox().deliver_file("four.eml");
    let mut i = b.idle();
    i.expect("4 EXISTS");
    println!("{}", i.done());
}
