"""Loaded into Python (3.6 and later) before the agent's own code, by `authsome run` through PYTHONPATH.

Most Python clients read proxy and CA variables. This is for those that do not: connections made with plain
sockets (http.client, urllib3.PoolManager, aiohttp, requests with trust_env=False) are led through CONNECT;
our CA is added to lists of CAs that a program brings along; children that are started with an environment of
their own get the wiring back. Each part is put in when the module that it concerns is imported.

Reads AUTHSOME_PROXY, AUTHSOME_CA, AUTHSOME_CA_BUNDLE, AUTHSOME_ENV_KEYS, AUTHSOME_PORTS and NO_PROXY. Without
AUTHSOME_PROXY it does nothing; if it cannot do its work it says so in one line and lets the program run. In
the end it runs the sitecustomize that it shadows.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def say(text):
    try:
        sys.stderr.write("authsome: %s\n" % text)
    except Exception:
        pass


# --- Which connections go through the proxy


class Destinations:
    """Tells hosts and ports that are reached through the proxy from those that are not."""

    def __init__(self, environment):
        more = environment.get("AUTHSOME_PORTS", "")
        self.ports = {443, 80} | {int(port) for port in more.split(",") if port.strip().isdigit()}
        exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        self.exempt = [self.entry(text) for text in exempt.lower().replace(" ", ",").split(",") if text]

    @staticmethod
    def entry(text):
        host, colon, port = text.rpartition(":")
        if colon and port.isdigit() and (":" not in host or host.endswith("]")):
            return host.strip("[]").lstrip("*").lstrip("."), int(port)
        return text.strip("[]").lstrip("*").lstrip("."), None

    def through_proxy(self, host, port):
        host = host.lower().rstrip(".")
        return port in self.ports and not self.is_loopback(host) and not self.is_exempt(host, port)

    @staticmethod
    def is_loopback(host):
        return (
            host in ("", "localhost", "::", "::1", "0.0.0.0")
            or host.endswith(".localhost")
            or host.startswith(("127.", "::ffff:127."))
        )

    def is_exempt(self, host, port):
        for name, only_port in self.exempt:
            if name and only_port in (None, port) and (host == name or host.endswith("." + name)):
                return True
        return False


# --- socket: CONNECT


def wire_socket(socket):
    import base64
    import errno
    from urllib.parse import unquote, urlsplit

    url = urlsplit(os.environ["AUTHSOME_PROXY"])
    proxy = (url.hostname, url.port or 80)
    authorization = ""
    if url.username:
        pair = "%s:%s" % (unquote(url.username), unquote(url.password or ""))
        encoded = base64.b64encode(pair.encode()).decode()
        authorization = "Proxy-Authorization: Basic %s\r\n" % encoded
    destinations = Destinations(os.environ)
    # The methods of the C class: those of a subclass, such as SSLSocket, may do something else.
    plain = socket.socket.__mro__[1]
    # Before Python 3.7 a socket's type holds these flags, too.
    flags = getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0)
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def is_meant(sock, address):
        return (
            sock.family in (socket.AF_INET, socket.AF_INET6)
            and sock.type & ~flags == socket.SOCK_STREAM
            and isinstance(address, tuple)
            and len(address) >= 2
            and isinstance(address[0], str)
            and isinstance(address[1], int)
            and destinations.through_proxy(address[0], address[1])
        )

    def open_tunnel(sock, host, port):
        """Connects to the proxy and has it open the way, in blocking mode: the proxy answers at once."""
        timeout = plain.gettimeout(sock)
        plain.settimeout(sock, timeout or 30)
        try:
            mapped = sock.family == socket.AF_INET6 and ":" not in proxy[0]
            connect(sock, ("::ffff:" + proxy[0], proxy[1]) if mapped else proxy)
            authority = authority_of(host, port)
            request = "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (authority, authority, authorization)
            plain.sendall(sock, request.encode("ascii"))
            check(read_head(sock, authority), authority)
        finally:
            plain.settimeout(sock, timeout)

    def authority_of(host, port):
        try:
            host.encode("ascii")
        except UnicodeError:
            host = host.encode("idna").decode("ascii")
        return "%s:%d" % ("[%s]" % host if ":" in host else host, port)

    def read_head(sock, authority):
        """Reads the answer up to its empty line and not a byte further."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            peeked = plain.recv(sock, 4096, socket.MSG_PEEK)
            if not peeked or len(head) > 65536:
                text = "authsome proxy closed the connection while opening " + authority
                raise ConnectionResetError(errno.ECONNRESET, text)
            end = (head + peeked).find(b"\r\n\r\n")
            head += plain.recv(sock, len(peeked) if end < 0 else end + 4 - len(head))
        return head.decode("latin-1")

    def check(head, authority):
        lines = head.split("\r\n")
        if lines[0][9:10] == "2":
            return
        reasons = [line.split(":", 1)[1].strip() for line in lines if line.lower().startswith("authsome-error:")]
        text = "authsome proxy refused %s: %s" % (authority, ", ".join(lines[:1] + reasons))
        raise ConnectionRefusedError(errno.ECONNREFUSED, text)

    def tunnelled_connect(self, address):
        if not is_meant(self, address):
            return connect(self, address)
        return open_tunnel(self, address[0], address[1])

    def tunnelled_connect_ex(self, address):
        if not is_meant(self, address):
            return connect_ex(self, address)
        try:
            open_tunnel(self, address[0], address[1])
        except OSError as error:
            return error.errno or errno.ECONNREFUSED
        return 0

    socket.socket.connect = tunnelled_connect
    socket.socket.connect_ex = tunnelled_connect_ex


# --- ssl, certifi, aiohttp: trust


def wire_ssl(ssl):
    ca = os.environ.get("AUTHSOME_CA")
    load = ssl.SSLContext.load_verify_locations

    def load_verify_locations(self, cafile=None, capath=None, cadata=None):
        """Loads what the program names, and our CA."""
        load(self, cafile, capath, cadata)
        try:
            load(self, ca)
        except (OSError, ValueError):
            pass

    if ca:
        ssl.SSLContext.load_verify_locations = load_verify_locations


def wire_certifi(certifi):
    bundle = os.environ.get("AUTHSOME_CA_BUNDLE")
    if not bundle:
        return

    def where():
        return bundle

    def contents():
        with open(bundle, encoding="ascii", errors="ignore") as file:
            return file.read()

    for module in (certifi, sys.modules.get("certifi.core")):
        if module is not None:
            module.where, module.contents = where, contents


def wire_aiohttp(client):
    init = client.ClientSession.__init__

    def __init__(self, *args, **options):
        options.setdefault("trust_env", True)
        init(self, *args, **options)

    client.ClientSession.__init__ = __init__


# --- subprocess, os: children


class Wiring:
    """The variables that a child needs, as they were at the start."""

    def __init__(self, environment):
        keys = environment.get("AUTHSOME_ENV_KEYS", "").split(",")
        self.values = {key: environment[key] for key in keys if key in environment}

    def repaired(self, given):
        """The environment with what it lacks, of the same type of strings; untouched if anything is odd."""
        try:
            result = dict(given)
            for key, value in self.values.items():
                name = os.fsencode(key) if os.fsencode(key) in result else key
                if name in result:
                    result[name] = self.with_preload(key, result[name], value)
                else:
                    result[key] = value
            return result
        except Exception:
            return given

    @staticmethod
    def with_preload(key, own, value):
        """A child's own value, with our preload where the variable carries one."""
        text = os.fsdecode(own)
        if key == "PYTHONPATH" and HERE not in text.split(os.pathsep):
            return os.pathsep.join([HERE] + ([text] if text else []))
        option = value.split(" ")[-1]
        if key == "NODE_OPTIONS" and option not in text.split(" "):
            return (text + " " + option).strip()
        return own


def wire_subprocess(subprocess):
    import functools

    wiring = Wiring(os.environ)
    init = subprocess.Popen.__init__
    # Popen(args, bufsize, ..., env): its place, not counting self.
    names = init.__code__.co_varnames[1 : init.__code__.co_argcount]
    place = names.index("env")

    @functools.wraps(init)
    def __init__(self, *args, **options):
        if options.get("env") is not None:
            options["env"] = wiring.repaired(options["env"])
        elif len(args) > place and args[place] is not None:
            args = args[:place] + (wiring.repaired(args[place]),) + args[place + 1 :]
        init(self, *args, **options)

    subprocess.Popen.__init__ = __init__


def wire_os():
    """Programs started without subprocess: (path, arguments, environment, ...)."""
    wiring = Wiring(os.environ)

    def wired(start):
        def call(*args, **options):
            if "env" in options:
                options["env"] = wiring.repaired(options["env"])
            elif len(args) > 2:
                args = args[:2] + (wiring.repaired(args[2]),) + args[3:]
            return start(*args, **options)

        return call

    for name in ("execve", "posix_spawn", "posix_spawnp"):
        if hasattr(os, name):
            setattr(os, name, wired(getattr(os, name)))


# --- Putting each part in when its module is imported


class Importer:
    """A finder that finds nothing itself: it has a module of interest changed once it was executed."""

    def __init__(self, parts):
        self.parts = parts

    def find_spec(self, name, path=None, target=None):
        part = self.parts.get(name)
        if part is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find and finder is not self else None
            if spec is not None:
                self.hook(spec.loader, name)
                return spec
        return None

    def hook(self, loader, name):
        execute = getattr(loader, "exec_module", None)
        # A loader that is a class (for frozen modules) serves others, too.
        if execute is None or isinstance(loader, type):
            return

        def exec_module(module):
            del loader.exec_module
            execute(module)
            self.apply(name, module)

        loader.exec_module = exec_module

    def apply(self, name, module):
        part = self.parts.pop(name, None)
        try:
            if part:
                part(module)
        except Exception as error:
            say("the Python preload could not wire %s: %r" % (name, error))


def wire():
    parts = {
        "socket": wire_socket,
        "ssl": wire_ssl,
        "certifi": wire_certifi,
        "aiohttp.client": wire_aiohttp,
        "subprocess": wire_subprocess,
    }
    importer = Importer(parts)
    for name in [name for name in parts if name in sys.modules]:
        importer.apply(name, sys.modules[name])
    sys.meta_path.insert(0, importer)
    wire_os()


def run_shadowed():
    """Runs the sitecustomize that Python would have found without this one, under its own name."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    others = [path for path in sys.path if os.path.abspath(path or os.curdir) != HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if os.environ.get("AUTHSOME_PROXY") and sys.version_info >= (3, 6):
    try:
        wire()
    except Exception as error:
        say("the Python preload is not active: %r" % error)
run_shadowed()
