"""Measures whole processes: a function is started against a local runtime API and a local AWS over TLS.

Servers are raw sockets with answers made beforehand, so that little of what is measured is theirs.
"""

import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs

TOPIC = "arn:aws:sns:eu-central-1:111122223333:alerts"
REGION = "eu-central-1"
SYSTEM_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


class Authority:
    """A certificate authority for localhost, trusted beside the system's own roots: reading those is part
    of every real cold start."""

    def __init__(self, folder):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=Imagewarden figures", "-keyout", "ca.key",
                "-out", "ca.pem", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", *curve, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem")
        Path(folder, "ext").write_text(
            "subjectAltName=DNS:localhost,DNS:*.localhost,IP:127.0.0.1\n"
            "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n")
        openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                "-extfile", "ext", "-out", "certificate.pem")
        roots = next((Path(path).read_text() for path in SYSTEM_ROOTS if Path(path).exists()), "")
        self.bundle = Path(folder, "bundle.pem")
        self.bundle.write_text(roots + Path(folder, "ca.pem").read_text())
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(Path(folder, "certificate.pem"), Path(folder, "key.pem"))
        self.context.set_alpn_protocols(["http/1.1"])


class Server:
    """HTTP/1.1 with keep-alive, one thread a connection."""

    def __init__(self, answer, context=None):
        self.answer = answer
        self.context = context
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = connection.recv(65536)
                    if not more:
                        return
                    data += more
                head, data = data.split(b"\r\n\r\n", 1)
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                length = int(length[1]) if length else 0
                if length > len(data) and b"100-continue" in head:
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                while len(data) < length:
                    data += connection.recv(65536)
                body, data = data[:length], data[length:]
                connection.sendall(self.answer(head, body))
        except (ConnectionError, ssl.SSLError, OSError):
            pass
        finally:
            connection.close()


def http(status, body=b"", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Aws:
    """As much of EC2 and SNS as a launch of a foreign image asks for. Anything else is denied."""

    def __init__(self, authority):
        self.calls = []
        self.published = threading.Event()
        self.published_at = 0
        self.server = Server(self.answer, authority.context)
        self.url = f"https://localhost:{self.server.port}"

    def answer(self, head, body):
        now = time.monotonic_ns()
        form = parse_qs(body.decode(errors="replace"))
        action = form.get("Action", ["?"])[0]
        self.calls.append(action)
        xml = "Content-Type: text/xml"
        if action == "Publish":
            self.published_at = now
            self.published.set()
            return http("200 OK", PUBLISHED, xml)
        if action == "DescribeImages":
            image = form.get("ImageId.1", ["ami-0"])[0]
            return http("200 OK", IMAGE.replace(b"IMAGE", image.encode()), xml)
        if action == "GetAllowedImagesSettings":
            return http("200 OK", ALLOWED, xml)
        return http("403 Forbidden", DENIED, xml)


class Runtime:
    """The Lambda runtime API. `next` waits until an event is offered."""

    def __init__(self):
        self.lock = threading.Condition()
        self.server = Server(self.answer)
        self.reset()

    def reset(self):
        with self.lock:
            self.queue = []
            self.asked_at = None
            self.replies = []
            self.epoch = getattr(self, "epoch", 0) + 1
            self.lock.notify_all()

    def offer(self, event):
        with self.lock:
            self.queue.append(event)
            self.lock.notify_all()

    def answer(self, head, body):
        now = time.monotonic_ns()
        path = head.split(b" ", 2)[1]
        with self.lock:
            if path.endswith(b"/next"):
                if self.asked_at is None:
                    self.asked_at = now
                    self.lock.notify_all()
                epoch = self.epoch
                self.lock.wait_for(lambda: self.queue or self.epoch != epoch)
                if self.epoch != epoch:
                    raise ConnectionError("the process is gone")
                event = self.queue.pop(0)
                return http(
                    "200 OK", event, "Content-Type: application/json",
                    "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                    f"Lambda-Runtime-Deadline-Ms: {int(time.time() * 1000) + 45000}",
                    "Lambda-Runtime-Invoked-Function-Arn: "
                    "arn:aws:lambda:eu-central-1:111122223333:function:imagewarden",
                )
            self.replies.append((path, body))
            self.lock.notify_all()
            return http("202 Accepted", b'{"status":"OK"}', "Content-Type: application/json")

    def wait(self, what, seconds=20):
        with self.lock:
            if not self.lock.wait_for(what, timeout=seconds):
                raise TimeoutError("the function did not get that far")


class Bench:
    """Starts functions and takes their measure."""

    def __init__(self, folder, sample):
        self.authority = Authority(folder)
        self.aws = Aws(self.authority)
        self.runtime = Runtime()
        self.sample = Path(sample).read_bytes()
        self.image = re.search(rb"ami-[0-9a-f]{17}", self.sample)[0]
        self.serial = 0

    def event(self):
        """Another launch of another image, so that no cache answers for AWS."""
        self.serial += 1
        text = self.sample.replace(self.image, b"ami-%017x" % (0xabc0000 + self.serial))
        return re.sub(rb'("eventID": *")[^"]+', b"\\g<1>00000000-0000-4000-8000-%012x" % self.serial, text)

    def environment(self):
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": "/tmp",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.runtime.server.port}",
            "AWS_LAMBDA_FUNCTION_NAME": "imagewarden",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/imagewarden",
            "AWS_LAMBDA_LOG_STREAM_NAME": "figures",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "figures",
            "AWS_SECRET_ACCESS_KEY": "figures",
            "AWS_SESSION_TOKEN": "figures",
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_CA_BUNDLE": str(self.authority.bundle),
            "TOPIC_ARN": TOPIC,
        }

    def start(self, command):
        self.runtime.reset()
        self.aws.calls.clear()
        self.aws.published.clear()
        quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                 (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
        began = time.monotonic_ns()
        pid = os.posix_spawn(command[0], command, self.environment(), file_actions=quiet)
        return pid, began

    def stop(self, pid):
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        self.runtime.reset()

    def handle(self):
        """Lets the function handle one event, and sees to it that an alert came of it."""
        self.aws.published.clear()
        replies = len(self.runtime.replies)
        self.runtime.offer(self.event())
        self.runtime.wait(lambda: len(self.runtime.replies) > replies)
        path, body = self.runtime.replies[-1]
        if not path.endswith(b"/response") or not self.aws.published.is_set():
            raise RuntimeError(f"no alert was published, but {path.decode()}: {body[:500].decode()}")

    def cold(self, command, publishes):
        """One fresh process: milliseconds to its first `next` and to its alert, and MiB at most."""
        pid, began = self.start(command)
        try:
            self.runtime.wait(lambda: self.runtime.asked_at is not None)
            figures = {"next": (self.runtime.asked_at - began) / 1e6}
            if publishes:
                self.handle()
                figures["alert"] = (self.aws.published_at - began) / 1e6
                figures["calls"] = ", ".join(self.aws.calls)
            status = Path(f"/proc/{pid}/status").read_text()
            figures["memory"] = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
            return figures
        finally:
            self.stop(pid)

    def warm(self, command, events):
        """Milliseconds of processor time for each event after the first ten."""
        pid, _ = self.start(command)
        # The process's own clock of processor time (clock_getcpuclockid).
        clock = (~pid << 3) | 2
        try:
            for _ in range(10):
                self.handle()
            before = time.clock_gettime(clock)
            for _ in range(events):
                self.handle()
            return (time.clock_gettime(clock) - before) * 1e3 / events
        finally:
            self.stop(pid)


PUBLISHED = b"""<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>\
<MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult><ResponseMetadata>\
<RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata></PublishResponse>"""

IMAGE = b"""<?xml version="1.0" encoding="UTF-8"?>
<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>59dbff89-35bd-4eac-99ed-be587ed81825\
</requestId><imagesSet><item><imageId>IMAGE</imageId><imageLocation>444455556666/linux-build-tools</imageLocation>\
<imageState>available</imageState><imageOwnerId>444455556666</imageOwnerId><isPublic>true</isPublic>\
<architecture>x86_64</architecture><imageType>machine</imageType><name>linux-build-tools</name>\
<creationDate>2026-09-01T08:00:00.000Z</creationDate><rootDeviceType>ebs</rootDeviceType>\
<rootDeviceName>/dev/sda1</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/sda1</deviceName><ebs>\
<snapshotId>snap-0123456789abcdef0</snapshotId><volumeSize>8</volumeSize><deleteOnTermination>true</deleteOnTermination>\
<volumeType>gp3</volumeType><encrypted>false</encrypted></ebs></item></blockDeviceMapping>\
<virtualizationType>hvm</virtualizationType><hypervisor>xen</hypervisor></item></imagesSet></DescribeImagesResponse>"""

ALLOWED = b"""<?xml version="1.0" encoding="UTF-8"?>
<GetAllowedImagesSettingsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">\
<requestId>59dbff89-35bd-4eac-99ed-be587ed81826</requestId><state>disabled</state><managedBy>account</managedBy>\
</GetAllowedImagesSettingsResponse>"""

DENIED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized.</Message></Error></Errors>\
<RequestID>59dbff89-35bd-4eac-99ed-be587ed81827</RequestID></Response>"""
