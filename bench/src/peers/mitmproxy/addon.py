"""Places one header in every request, streams events; resolves the bench's names to this machine."""

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

    def responseheaders(self, flow):
        # It would hold a body without a length back until its end.
        if flow.response.headers.get("content-type") == "text/event-stream":
            flow.response.stream = True


addons = [Inject()]
