"""SCRAM-SHA-256 and -PLUS (RFC 5802, 7677) over IMAP, with nothing but Python's own library.

scram.py WAY USER PASSWORD PORT TLS_PORT prints "admitted: N messages" or "refused: THE SERVER'S WORDS".
"""
import base64, hashlib, hmac, os, re, socket, ssl, sys

way, user, password, port, tls_port = sys.argv[1:]
tls = way.startswith("tls")
plus = way in ("tls-plus", "tls-wrong-binding", "tls-ir")

tcp = socket.create_connection(("127.0.0.1", int(tls_port if tls else port)), timeout=60)
if tls:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tcp = context.wrap_socket(tcp, server_hostname="localhost")
stream = tcp.makefile("rwb")


def send(text):
    stream.write(text.encode() + b"\r\n")
    stream.flush()


def receive():
    line = stream.readline().decode().rstrip("\r\n")
    if not line:
        sys.exit("the server closed the connection")
    return line


def encode(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def refused(line):
    print("refused:", line)
    sys.exit(0)


def challenge():
    line = receive()
    while line.startswith("* "):
        line = receive()
    if not line.startswith("+ "):
        refused(line)
    return base64.b64decode(line[2:]).decode()


assert receive().startswith("* OK")
if plus:
    header = "p=tls-server-end-point,,"
elif way == "tls-stripped":
    header = "y,,"
else:
    header = "n,,"
binding = header.encode()
if plus:
    binding += hashlib.sha256(tcp.getpeercert(True)).digest()
if way == "tls-wrong-binding":
    binding += b"?"

nonce = encode(os.urandom(18))
first_bare = f"n={user},r={nonce}"
mechanism = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
if way == "tls-ir":
    send(f"a1 AUTHENTICATE {mechanism} {encode(header + first_bare)}")
else:
    send(f"a1 AUTHENTICATE {mechanism}")
    assert challenge() == "", "an empty challenge first"
    send(encode(header + first_bare))

server_first = challenge()
if server_first.startswith("e="):
    send("")
    refused(server_first + " " + receive())
fields = dict(field.split("=", 1) for field in server_first.split(","))
assert fields["r"].startswith(nonce) and len(fields["r"]) > len(nonce), server_first
if way == "nonce-changed":
    fields["r"] += "x"
salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
client_key = hmac.digest(salted, b"Client Key", "sha256")
stored_key = hashlib.sha256(client_key).digest()
without_proof = f"c={encode(binding)},r={fields['r']}"
auth_message = f"{first_bare},{server_first},{without_proof}".encode()
signature = hmac.digest(stored_key, auth_message, "sha256")
proof = bytes(a ^ b for a, b in zip(client_key, signature))
send(encode(f"{without_proof},p={encode(proof)}"))

final = challenge()
if final.startswith("e="):
    send("")
    refused(final + " " + receive())
server_key = hmac.digest(salted, b"Server Key", "sha256")
expected = encode(hmac.digest(server_key, auth_message, "sha256"))
assert final == f"v={expected}", final
send("")
line = receive()
while line.startswith("* "):
    line = receive()
if not line.startswith("a1 OK"):
    refused(line)
send("a2 SELECT INBOX")
count = None
while not line.startswith("a2 "):
    line = receive()
    exists = re.match(r"\* (\d+) EXISTS", line)
    count = exists.group(1) if exists else count
assert line.startswith("a2 OK"), line
print(f"admitted: {count} messages")
