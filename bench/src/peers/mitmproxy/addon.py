"""Places one header in every request; resolves the bench's names to this machine."""

import socket

from mitmproxy import ctx

resolve = socket.getaddrinfo


def getaddrinfo(host, *rest, **options):
    name = host.decode() if isinstance(host, bytes) else host
    if name and name.endswith(".bench.test"):
        host = "127.0.0.1"
    return resolve(host, *rest, **options)


socket.getaddrinfo = getaddrinfo


class Inject:
    def load(self, loader):
        loader.add_option("bench_credential", str, "", "value of the header")

    def requestheaders(self, flow):
        flow.request.headers["authorization"] = ctx.options.bench_credential


addons = [Inject()]
