"""What the tests of blob stores share: the program `blob`, a MinIO, and an S3 server that can be told to misbehave."""
import datetime
import hashlib
import hmac
import http.server
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("CAIRN_SOURCE", os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(HERE, "..", "process"))
from cairnproc import Skip, check, equal  # noqa: E402

PROGRAM = os.path.join(os.environ.get("CAIRN_BUILD", "build"), "blob")
KEY_ID, SECRET, TOKEN = "testkeyid", "testsecret/with+signs", "a/session+token=="
BUCKET = "bucket-1"
# Few tries, quickly, so that what fails forever fails soon.
OPTIONS = "tries=3,pause_ms=10,pause_ms_max=40,total_ms=20000,connect_ms=2000,stall_ms=1000"


class Ran:
    def __init__(self, status, output, error, seconds):
        self.status, self.output, self.error, self.seconds = status, output, error, seconds
        self.text = error.decode(errors="replace").strip().split("\n")[-1]

    @property
    def code(self):
        return self.text.split(":")[0] if self.status == 1 else self.status or "ok"


def environment(options=OPTIONS, **changes):
    env = dict(os.environ, AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY=SECRET, CAIRN_BLOB_S3=options,
               no_proxy="127.0.0.1")
    env.pop("AWS_SESSION_TOKEN", None)
    for name, value in changes.items():
        env.pop(name, None)
        if value is not None:
            env[name] = value
    return env


def start(url, *words, options=OPTIONS, **changes):
    return subprocess.Popen([PROGRAM, url, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment(options, **changes))


def run(url, *words, options=OPTIONS, seconds=60, **changes):
    """Runs it to its end, which must come in time."""
    begin = time.monotonic()
    process = start(url, *words, options=options, **changes)
    try:
        output, error = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"blob {' '.join(map(str, words))} did not end within {seconds} s") from None
    return Ran(process.returncode, output, error, time.monotonic() - begin)


def ok(url, *words, **more):
    ran = run(url, *words, **more)
    check(ran.status == 0, f"blob {' '.join(map(str, words))[:200]} ended with {ran.status}: {ran.text}")
    return ran


def fails(code, url, *words, says="", seconds=60, **more):
    """It must fail with that code, and say that, in time."""
    ran = run(url, *words, seconds=seconds, **more)
    what = f"blob {' '.join(map(str, words))[:200]}"
    check(ran.status == 1, f"{what} ended with {ran.status} instead of failing: {ran.text}")
    equal(ran.code, code, f"{what}, which said '{ran.text}'")
    check(says in ran.text, f"{what} did not say '{says}' but '{ran.text}'")
    return ran


def listed(url, folder, **more):
    """{name: (bytes, age in ms)}"""
    found = {}
    for line in ok(url, "list", folder, **more).output.decode().splitlines():
        name, size, age = line.split()
        check(name not in found, f"{name} is listed twice")
        found[name] = int(size), int(age)
    return found


def made(folder, name, size):
    """A file of random bytes."""
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        left = size
        while left:
            left -= file.write(os.urandom(min(left, 1 << 20)))
    return path


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# --- MinIO ---

class Minio:
    """A MinIO on a folder; a context manager."""

    def __init__(self, folder):
        found = subprocess.run([os.path.join(SOURCE, "tools", "minio"), "--cached"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, check=False)
        if found.returncode:
            raise Skip(f"no MinIO to test with: run tools/minio once, which builds it ({found.stderr.strip()})")
        self.program = found.stdout.strip()
        self.folder, self.data = folder, os.path.join(folder, "minio")
        self.output_path = os.path.join(folder, "minio.output")
        self.port, self.process = free_port(), None
        os.makedirs(os.path.join(self.data, BUCKET))

    @property
    def url(self):
        return f"s3://{BUCKET}/a/prefix?endpoint=http://127.0.0.1:{self.port}"

    def start(self):
        with open(self.output_path, "ab") as output:
            self.process = subprocess.Popen(
                [self.program, "server", "--quiet", "--address", f"127.0.0.1:{self.port}", self.data],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=dict(os.environ, MINIO_ROOT_USER=KEY_ID, MINIO_ROOT_PASSWORD=SECRET, MINIO_BROWSER="off",
                         MINIO_UPDATE="off", HOME=self.folder))
        end = time.monotonic() + 60
        while run(self.url, "list", "", options="tries=1,connect_ms=500").status:
            check(self.process.poll() is None, f"MinIO ended with {self.process.returncode}")
            check(time.monotonic() < end, "MinIO does not serve after 60 s")
            time.sleep(.1)
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_):
        self.kill()


# --- an S3 server of our own ---

class Request:
    def __init__(self, handler):
        path, _, query = handler.path.partition("?")
        self.method, self.path, self.raw_query = handler.command, path, query
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = handler.rfile.read(int(self.headers.get("content-length", 0)))
        _, self.bucket, *rest = urllib.parse.unquote(path).split("/", 2)
        self.key = rest[0] if rest else ""

    @property
    def kind(self):
        """What S3 calls it."""
        if not self.key:
            return "list"
        if "uploads" in self.query:
            return "begin"
        if "uploadId" in self.query:
            return {"PUT": "part", "POST": "complete", "DELETE": "abort"}[self.method]
        return {"PUT": "create" if "if-none-match" in self.headers else "put"}.get(self.method, self.method.lower())


def signature(request, secret):
    """What AWS documents as Signature Version 4, of a request as it arrived."""
    fields = dict(part.strip().split("=", 1)
                  for part in request.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(","))
    scope = fields["Credential"].split("/", 1)[1]
    names = fields["SignedHeaders"].split(";")
    pairs = sorted((urllib.parse.quote(name, safe="-_.~"), urllib.parse.quote(value, safe="-_.~"))
                   for name, value in urllib.parse.parse_qsl(request.raw_query, keep_blank_values=True))
    canonical = "\n".join([request.method, urllib.parse.quote(urllib.parse.unquote(request.path), safe="/-_.~"),
                           "&".join(f"{name}={value}" for name, value in pairs),
                           *(f"{name}:{' '.join(request.headers[name].split())}" for name in names), "",
                           ";".join(names), request.headers["x-amz-content-sha256"]])
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for word in [*scope.split("/"), text]:
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    unsigned = [name for name in request.headers if name not in names and (
        name.startswith("x-amz-") or name in ("host", "content-type"))]
    return key.hex(), fields["Signature"], unsigned


def error(status, code, message=""):
    return status, {}, f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def log_message(self, *_):
        pass

    def handle_expect_100(self):
        if int(self.headers.get("Content-Length", 0)) > self.server.store.refused_bytes:
            self.reply(error(403, "AccessDenied"), cut=1000)
            return False
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def any(self):
        request = Request(self)
        store = self.server.store
        store.log.append(request)
        answer = store.refusal(request)
        if not answer:
            for rule in store.rules:
                if rule.applies(request):
                    return rule.action(self, request)
            answer = store.serve(request)
        return self.reply(answer)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = any

    def reply(self, answer, cut=None):
        """cut: only so many bytes of the body, and the connection's end."""
        status, headers, body = answer
        self.send_response(status)
        if "Content-Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.drop()

    def drop(self):
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, OSError)):  # a client may give up
            super().handle_error(request, client_address)


class Rule:
    """Of the requests of some kinds, the first `times` (after `skip` of them) meet an action instead of an answer."""

    def __init__(self, kinds, action, times, skip):
        self.kinds, self.action, self.left, self.skip = kinds.split(), action, times, skip
        self.lock = threading.Lock()

    def applies(self, request):
        if request.kind not in self.kinds or request.key.startswith("cairn-probe/"):
            return False
        with self.lock:
            if self.skip:
                self.skip -= 1
                return False
            self.left -= 1
            return self.left >= 0


class Store:
    """S3 as far as it is needed, in memory.  It checks signatures and hashes, and does what its rules say."""

    def __init__(self, certificate=None):
        """certificate: a file with one, and its key, to speak TLS."""
        self.objects = {}  # key: (bytes, metadata, ETag, modified)
        self.uploads = {}  # id: (key, metadata, {number: bytes})
        self.rules, self.log = [], []
        self.conditional = True
        self.page_keys = 1000
        self.refused_bytes = 1 << 40  # of bodies that are refused before they are sent
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.store = self
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self):
        return f"s3://{BUCKET}?endpoint={self.scheme}://127.0.0.1:{self.server.server_address[1]}&region=eu-test-1"

    def rule(self, kinds, action, times=1, skip=0):
        self.rules.append(Rule(kinds, action, times, skip))

    def count(self, kind):
        """How many such requests came since the last time that this was asked, and forgets all."""
        number = sum(request.kind == kind and not request.key.startswith("cairn-probe/") for request in self.log)
        self.log.clear()
        return number

    # What rules can do.

    @staticmethod
    def says(status, code, message="", **headers):
        def action(handler, request):
            answer = error(status, code, message)
            handler.reply((status, headers, answer[2] if code else b"<html>Not S3 at all</html>"))
        return action

    @staticmethod
    def body(text, status=200, **headers):
        data = text if isinstance(text, bytes) else text.encode()
        return lambda handler, request: handler.reply((status, headers, data))

    def lose(self, handler, request):
        """Does what is asked, and nobody hears of it."""
        self.serve(request)
        handler.drop()

    @staticmethod
    def drop_early(handler, request):
        handler.drop()

    def cut(self, handler, request):
        answer = self.serve(request)
        handler.reply(answer, cut=len(answer[2]) // 2)

    def stall(self, handler, request):
        self.ended.wait(30)
        handler.drop()

    def stall_inside(self, handler, request):
        """Half of the body, and silence."""
        status, headers, body = self.serve(request)
        handler.reply((status, dict(headers, **{"Content-Length": str(len(body))}), body[:len(body) // 2]))
        handler.wfile.flush()
        self.stall(handler, request)

    # What S3 does.

    def refusal(self, request):
        if "authorization" not in request.headers:
            return error(403, "AccessDenied", "no signature")
        want, got, unsigned = signature(request, SECRET)
        if want != got:
            return error(403, "SignatureDoesNotMatch", "the request was signed in another way")
        if unsigned:
            return error(403, "AccessDenied", f"not signed: {unsigned}")
        if request.headers["x-amz-content-sha256"] != hashlib.sha256(request.body).hexdigest():
            return error(400, "XAmzContentSHA256Mismatch")
        if request.bucket != BUCKET:
            return error(404, "NoSuchBucket")
        return None

    def put_object(self, key, body, metadata, parts=None):
        etag = f'"{hashlib.md5(body).hexdigest()}{f"-{parts}" if parts else ""}"'
        self.objects[key] = body, metadata, etag, time.time()
        return etag

    def serve(self, request):
        with self.lock:
            return getattr(self, "do_" + request.kind)(request)

    @staticmethod
    def metadata(request):
        return {name: value for name, value in request.headers.items() if name.startswith("x-amz-meta-")}

    def do_put(self, request):
        return 200, {"ETag": self.put_object(request.key, request.body, self.metadata(request))}, b""

    def do_create(self, request):
        if self.conditional and request.key in self.objects:
            return error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        return self.do_put(request)

    def do_head(self, request):
        return self.do_get(request)

    def do_get(self, request):
        if request.key not in self.objects:
            return error(404, "NoSuchKey", "The specified key does not exist.")
        body, metadata, etag, _ = self.objects[request.key]
        if request.headers.get("if-match", etag) != etag:
            return error(412, "PreconditionFailed")
        headers = {"ETag": etag, **metadata}
        if "range" in request.headers:
            first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
            if first >= len(body):
                return error(416, "InvalidRange")
            part = body[first:last + 1]
            headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(body)}"
            return 206, headers, part
        return 200, headers, body

    def do_delete(self, request):
        self.objects.pop(request.key, None)
        return 204, {}, b""

    def do_begin(self, request):
        name = f"id/{len(self.uploads)}+{'x' * 20}=="
        self.uploads[name] = request.key, self.metadata(request), {}
        return 200, {}, (f"<InitiateMultipartUploadResult><Key>{request.key}</Key><UploadId>{name}</UploadId>"
                         "</InitiateMultipartUploadResult>").encode()

    def do_part(self, request):
        if request.query["uploadId"] not in self.uploads:
            return error(404, "NoSuchUpload")
        self.uploads[request.query["uploadId"]][2][int(request.query["partNumber"])] = request.body
        return 200, {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'}, b""

    def do_complete(self, request):
        if request.query["uploadId"] not in self.uploads:
            return error(404, "NoSuchUpload")
        key, metadata, parts = self.uploads.pop(request.query["uploadId"])
        want = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{hashlib.md5(parts[number]).hexdigest()}"
                       "&quot;</ETag></Part>" for number in sorted(parts))
        if want not in request.body.decode():
            return error(400, "InvalidPart")
        etag = self.put_object(key, b"".join(parts[number] for number in sorted(parts)), metadata, len(parts))
        return 200, {}, ('\n \n<?xml version="1.0"?>\n<CompleteMultipartUploadResult xmlns="http://s3/doc">'
                         f"<ETag>{escape(etag)}</ETag></CompleteMultipartUploadResult>").encode()

    def do_abort(self, request):
        if not self.uploads.pop(request.query["uploadId"], None):
            return error(404, "NoSuchUpload")
        return 204, {}, b""

    def do_list(self, request):
        prefix, after = request.query["prefix"], request.query.get("continuation-token", "")
        check(request.query["delimiter"] == "/" and request.query["list-type"] == "2", "an odd list")
        after = after.removeprefix("after ")
        items = sorted({key if "/" not in key[len(prefix):] else prefix + key[len(prefix):].split("/")[0] + "/"
                        for key in self.objects if key.startswith(prefix)})
        items = [item for item in items if item > after]
        page, rest = items[:self.page_keys], items[self.page_keys:]
        text = [f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3/doc"><Name>{BUCKET}</Name>'
                f"<Prefix>{prefix}</Prefix><KeyCount>{len(page)}</KeyCount><IsTruncated>{str(bool(rest)).lower()}"
                "</IsTruncated>"]
        if rest:
            text.append(f"<NextContinuationToken>after {escape(page[-1])}</NextContinuationToken>")
        for item in page:
            if item.endswith("/") and item != prefix:
                text.append(f"<CommonPrefixes><Prefix>{escape(item)}</Prefix></CommonPrefixes>")
                continue
            body, _, etag, modified = self.objects[item]
            when = datetime.datetime.fromtimestamp(modified, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
            text.append(f"<Contents><Key>{escape(item)}</Key><LastModified>{when[:-3]}Z</LastModified><ETag>"
                        f"{escape(etag, {chr(34): '&quot;'})}</ETag><Size>{len(body)}</Size><Owner/></Contents>")
        return 200, {}, "".join([*text, "</ListBucketResult>\n"]).encode()
