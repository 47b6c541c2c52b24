"""A session with Python's imaplib: PORT TLS_PORT USER PASSWORD CERTIFICATE.

INBOX holds three messages; whatever is not as expected ends the script with a traceback.
"""

import email
import imaplib
import ssl
import sys
import time

port, tls_port, user, password, certificate = sys.argv[1:6]
context = ssl.create_default_context(cafile=certificate)


def ok(answer):
    status, data = answer
    assert status == "OK", answer
    return data


def a_session(imap):
    ok(imap.login(user, password))
    assert "IMAP4REV1" in imap.capabilities
    ok(imap.enable("CONDSTORE"))
    assert ok(imap.select("INBOX")) == [b"3"]
    assert imap.response("UIDVALIDITY")[1][0].isdigit()

    data = ok(imap.fetch("1:3", "(FLAGS BODY.PEEK[])"))
    subjects = [email.message_from_bytes(part[1])["Subject"] for part in data if isinstance(part, tuple)]
    assert subjects[0] == "one" and len(subjects) == 3, subjects

    assert ok(imap.search(None, "SUBJECT", "two")) == [b"2"]
    imap.literal = "café".encode()
    assert ok(imap.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT")) == [b"2"]

    ok(imap.store("1", "+FLAGS", r"(\Flagged)"))
    flags = imaplib.ParseFlags(ok(imap.fetch("1", "(FLAGS)"))[0])
    assert rb"\Flagged" in flags, flags

    ok(imap.create("Python"))
    ok(imap.subscribe("Python"))
    when = imaplib.Time2Internaldate(time.time())
    ok(imap.append("Python", r"(\Seen)", when, b"Subject: appended\r\n\r\nBody.\r\n"))
    ok(imap.copy("1:2", "Python"))
    assert b"MESSAGES 3" in ok(imap.status("Python", "(MESSAGES UNSEEN)"))[0]
    assert any(b"Python" in line for line in ok(imap.list()))
    assert any(b"Python" in line for line in ok(imap.lsub()))

    ok(imap.append("INBOX", None, None, b"Subject: to be expunged\r\n\r\n.\r\n"))
    ok(imap.noop())
    ok(imap.store("4", "+FLAGS.SILENT", r"(\Deleted)"))
    assert ok(imap.expunge()) == [b"4"]
    ok(imap.unselect())
    ok(imap.unsubscribe("Python"))
    ok(imap.rename("Python", "Snake"))
    ok(imap.delete("Snake"))
    status, _ = imap.select("Snake")
    assert status == "NO"
    ok(imap.select("INBOX", readonly=True))
    ok(imap.close())
    assert imap.logout()[0] == "BYE"


plain = imaplib.IMAP4("127.0.0.1", int(port))
a_session(plain)

secured = imaplib.IMAP4("localhost", int(port))
ok(secured.starttls(context))
a_session(secured)

a_session(imaplib.IMAP4_SSL("localhost", int(tls_port), ssl_context=context))

wrong = imaplib.IMAP4("127.0.0.1", int(port))
try:
    wrong.login(user, "wrong")
    raise SystemExit("logged in with a wrong password")
except imaplib.IMAP4.error:
    pass
ok(wrong.login(user, password))
wrong.logout()

sasl = imaplib.IMAP4("127.0.0.1", int(port))
ok(sasl.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode()))
sasl.logout()
print("all done")
