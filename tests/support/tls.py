"""A server behind TLS that SNS and EC2 calls reach, its certificate made by an authority of its own.

Usage: tls.py FOLDER. Writes FOLDER/ca.pem, then FOLDER/port; every request's action goes to standard output.
"""
import datetime, http.server, ipaddress, pathlib, ssl, sys, urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

folder = pathlib.Path(sys.argv[1])


def certificate(name, issuer, issuer_key, key, ca):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def private(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
(folder / "ca.pem").write_bytes(certificate("test authority", "test authority", ca_key, ca_key, True))
(folder / "server.pem").write_bytes(private(key) + certificate("server", "test authority", ca_key, key, False))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        action = urllib.parse.parse_qs(body).get("Action", ["?"])[0]
        print(action, flush=True)
        answer = b"<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>"
        if action != "Publish":
            answer = b"<Response><Errors><Error><Code>InvalidAMIID.NotFound</Code></Error></Errors></Response>"
        self.send_response(200 if action == "Publish" else 400)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "server.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
(folder / "port.new").write_text(str(server.server_port))
(folder / "port.new").rename(folder / "port")
server.serve_forever()
