"""Logs in as alice at 143 with STARTTLS and at 993: roost|dovecot TREE [wrong|stay].

wrong: with a wrong password, which is refused. stay: adds a message, says so, waits until the server
says goodbye, and looks for the message when it is back. What is not as expected ends it with a traceback.
"""

import imaplib
import os
import socket
import ssl
import sys
import time

USER, PASSWORD = "alice", "wonderland"
TEXT = b"Subject: while it was upgraded\r\n\r\nText.\r\n"

server, tree = sys.argv[1:3]
how = sys.argv[3] if len(sys.argv) > 3 else ""
# For a server that never answers, not for a slow one.
PATIENCE = 120
socket.setdefaulttimeout(PATIENCE)
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE


def main():
    for connect in (with_starttls, with_tls):
        imap = connect()
        assert (b"Dovecot" in imap.welcome) == (server == "dovecot"), imap.welcome
        if server == "roost":
            assert imap.sock.getpeercert(binary_form=True) == certificate_of_the_host()
        if how == "wrong":
            refused(imap)
        elif how == "stay":
            stay(imap)
            return
        else:
            read(imap)
            imap.logout()


def with_starttls():
    imap = imaplib.IMAP4("127.0.0.1", 143)
    assert imap.starttls(context)[0] == "OK"
    return imap


def with_tls():
    return imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=context)


def read(imap):
    assert imap.login(USER, PASSWORD)[0] == "OK"
    assert imap.select("INBOX")[0] == "OK"
    assert "one" in subjects(imap), subjects(imap)


def refused(imap):
    try:
        imap.login(USER, "not " + PASSWORD)
    except imaplib.IMAP4.error as error:
        assert "AUTHENTICATIONFAILED" in str(error), error
    else:
        raise AssertionError("logged in")


def stay(imap):
    read(imap)
    assert imap.append("INBOX", None, None, TEXT)[0] == "OK"
    print("ready", flush=True)
    last = b""
    while line := line_or_end(imap):
        last = line
    assert last.startswith(b"* BYE"), last
    imap = again(with_tls)
    read(imap)
    assert "while it was upgraded" in subjects(imap)


def again(connect):
    """The port may refuse for a while."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return connect()
        except (ConnectionError, imaplib.IMAP4.abort):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def line_or_end(imap):
    try:
        return imap.readline()
    except (imaplib.IMAP4.abort, OSError):
        return b""


def subjects(imap):
    status, data = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert status == "OK", data
    return [part[1].decode().split(":", 1)[1].strip() for part in data if isinstance(part, tuple)]


def certificate_of_the_host():
    """ssl-cert's, else the one that Roost has made."""
    paths = ["etc/ssl/certs/ssl-cert-snakeoil.pem", "var/lib/roost/self-signed.pem"]
    path = next(path for path in paths if os.path.exists(os.path.join(tree, path)))
    with open(os.path.join(tree, path), encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


main()
