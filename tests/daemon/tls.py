"""TLS from Python's side.  tls.py WAY PORT CAFILE [ARGUMENTS] prints what came of it."""
import base64, socket, ssl, sys

way, port, cafile, *rest = sys.argv[1:]


def context():
    made = ssl.create_default_context(cafile=cafile)
    made.check_hostname = False
    return made


def dial(context, session=None):
    tcp = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
    tls = context.wrap_socket(tcp, server_hostname="localhost", session=session)
    return tls, tls.makefile("rwb")


def command(stream, tag, text):
    """The untagged lines and the answer."""
    stream.write(f"{tag} {text}\r\n".encode())
    stream.flush()
    lines = []
    while True:
        line = stream.readline().decode().rstrip("\r\n")
        if not line:
            return lines + ["closed"]
        lines.append(line)
        if line.startswith((tag, "+")):
            return lines


def external():
    """EXTERNAL with the certificate in rest[0], its key in rest[1]; rest[2] is who to be."""
    made = context()
    if rest[0]:
        made.load_cert_chain(rest[0], rest[1])
    try:
        tls, stream = dial(made)
        greeting = stream.readline().decode()
    except (ssl.SSLError, ConnectionError) as error:
        print("no TLS:", error)
        return
    if not greeting:
        print("no TLS: closed")
        return
    offered = command(stream, "a1", "CAPABILITY")[0]
    print("offered" if "AUTH=EXTERNAL" in offered else "not offered")
    response = base64.b64encode(rest[2].encode()).decode() or "="
    print(command(stream, "a2", f"AUTHENTICATE EXTERNAL {response}")[-1])
    print(command(stream, "a3", "SELECT INBOX")[-1])


def resumed():
    """Two connections with one context; whether the second went on with the first's session."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        made = context()
        made.minimum_version = made.maximum_version = version
        tls, stream = dial(made)
        # Tickets of TLS 1.3 come after the handshake.
        stream.readline()
        command(stream, "a1", "LOGOUT")
        session = tls.session
        tls, stream = dial(made, session)
        stream.readline()
        answer = command(stream, "a1", "NOOP")[-1].split()[1]
        print(version.name, "resumed" if tls.session_reused else "anew", answer)


def starttls():
    """STARTTLS, then LOGIN of rest[0] with rest[1]."""
    tcp = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
    stream = tcp.makefile("rwb", buffering=0)
    stream.readline()
    print(command(stream, "a1", "STARTTLS")[-1].split()[1])
    tls = context().wrap_socket(tcp, server_hostname="localhost")
    stream = tls.makefile("rwb")
    print(tls.version(), command(stream, "a2", f"LOGIN {rest[0]} {rest[1]}")[-1].split()[1])
    print(command(stream, "a3", "SELECT INBOX")[-1].split()[1])


{"external": external, "resumed": resumed, "starttls": starttls}[way]()
