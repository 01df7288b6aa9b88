"""An authorization server for the tests: Authlib, which agrees to everything at once, and counts.

    server.py --cert server.pem --key server.key --issuer https://authlib.test

Prints {"port": …} when it listens on 127.0.0.1, and ends with its standard input.
"""

import argparse
import json
import os
import secrets
import socket
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict
from authlib.oauth2.rfc9207 import IssuerParameter
from flask import Flask, Response, jsonify, request
from werkzeug.serving import WSGIRequestHandler, make_server

flags = argparse.ArgumentParser()
for name in ("cert", "key", "issuer"):
    flags.add_argument(f"--{name}", required=True)
flags = flags.parse_args()

LIFETIME = 3600
METHODS = {"public": "none", "basic": "client_secret_basic", "post": "client_secret_post"}
GRANTS = ["authorization_code", "refresh_token", "client_credentials", DeviceCodeGrant.GRANT_TYPE]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

counts = {"refreshed": 0, "refused": 0, "registered": 0}
faults, decisions, devices, codes, tokens = [], {}, {}, {}, []
deny = threading.Event()


class Client(ClientMixin):
    def __init__(self, client_id, method, redirect_uris=None):
        self.client_id, self.method, self.redirect_uris = client_id, method, redirect_uris
        self.secret = "" if method == "none" else f"secret of {client_id}:+%"

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope or ""

    def check_redirect_uri(self, uri):
        if self.redirect_uris is not None:
            return uri in self.redirect_uris
        # RFC 8252 7.3: any port of the loopback interface.
        asked = urlsplit(uri)
        return (asked.scheme, asked.hostname, asked.path) == ("http", "127.0.0.1", "/callback") and not asked.query

    def check_client_secret(self, secret):
        return bool(self.secret) and secrets.compare_digest(secret, self.secret)

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.method

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in GRANTS or grant_type == EXCHANGE


clients = {name: Client(name, method) for name, method in METHODS.items()}


class Token(dict, TokenMixin):
    def check_client(self, client):
        return self["client_id"] == client.client_id

    def get_scope(self):
        return self.get("scope", "")

    def get_expires_in(self):
        return LIFETIME

    def is_expired(self):
        return time.time() > self["issued_at"] + LIFETIME

    def is_revoked(self):
        return self["revoked"]

    def get_user(self):
        return "ann"

    def get_client(self):
        return clients[self["client_id"]]


class Code(AuthorizationCodeMixin):
    def __init__(self, code, asked):
        payload = asked.payload
        self.code, self.client_id, self.redirect_uri = code, asked.client.client_id, payload.redirect_uri
        self.scope = payload.scope
        self.code_challenge = payload.data.get("code_challenge")
        self.code_challenge_method = payload.data.get("code_challenge_method")

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope or ""


class CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = list(METHODS.values())

    def save_authorization_code(self, code, request):
        codes[code] = Code(code, request)

    def query_authorization_code(self, code, client):
        found = codes.get(code)
        return found if found and found.client_id == client.client_id else None

    def delete_authorization_code(self, authorization_code):
        codes.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code):
        return "ann"


def find(name, value):
    return next((token for token in tokens if token.get(name) == value), None)


class RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = list(METHODS.values())
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        found = find("refresh_token", refresh_token)
        if found and found["spent"]:
            # RFC 9700 4.14.2: a second use ends the whole family, which is all that this client has.
            for token in tokens:
                token["revoked"] |= token["client_id"] == found["client_id"]
        good = found and not found["revoked"] and not found["spent"]
        counts["refused"] += not good
        return found if good else None

    def authenticate_user(self, refresh_token):
        return "ann"

    def revoke_old_credential(self, refresh_token):
        refresh_token["spent"] = True
        counts["refreshed"] += 1


class ClientGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class ExchangeGrant(grants.ClientCredentialsGrant):
    """RFC 8693, as far as one access token for another."""

    GRANT_TYPE = EXCHANGE
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    def create_token_response(self):
        form = self.request.form
        if form.get("subject_token_type") != "urn:ietf:params:oauth:token-type:access_token":
            raise InvalidRequestError("subject_token_type")
        found = find("access_token", form.get("subject_token"))
        if not found or found["revoked"]:
            raise InvalidGrantError("subject_token")
        status, body, headers = super().create_token_response()
        body["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
        return status, body, headers


class DeviceGrant(DeviceCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = list(METHODS.values())

    def query_device_credential(self, device_code):
        found = devices.get(device_code)
        return found and DeviceCredentialDict(found)

    def query_user_grant(self, user_code):
        decision = decisions.get(user_code)
        return None if decision is None else ("ann", decision)

    def should_slow_down(self, credential):
        return False


class DeviceEndpoint(DeviceAuthorizationEndpoint):
    CLIENT_AUTH_METHODS = list(METHODS.values())

    def get_verification_uri(self):
        return f"{flags.issuer}/activate"

    def save_device_credential(self, client_id, scope, data):
        devices[data["device_code"]] = {
            "client_id": client_id, "scope": scope, "expires_at": int(time.time()) + data["expires_in"], **data}


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = list(METHODS.values())

    def query_token(self, token_string, token_type_hint):
        return find("access_token", token_string) or find("refresh_token", token_string)

    def revoke_token(self, token, request):
        token["revoked"] = True


class Introspection(IntrospectionEndpoint):
    CLIENT_AUTH_METHODS = list(METHODS.values())

    def check_permission(self, token, client, request):
        return True

    def query_token(self, token_string, token_type_hint):
        return find("access_token", token_string)

    def introspect_token(self, token):
        return {"active": not token["revoked"], "client_id": token["client_id"], "sub": "ann", "username": "Ann"}


app = Flask(__name__)
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
app.config["OAUTH2_TOKEN_EXPIRES_IN"] = dict.fromkeys([*GRANTS, EXCHANGE], LIFETIME)


def save(token, asked):
    tokens.append(Token(
        token, client_id=asked.client.client_id, issued_at=time.time(), revoked=False, spent=False))


class Challenge(CodeChallenge):
    """Authlib asks public clients alone for a challenge, and takes a plain one."""

    def validate_code_challenge(self, grant, redirect_uri):
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("'code_challenge_method' must be S256")
        super().validate_code_challenge(grant, redirect_uri)


class Issuer(IssuerParameter):
    def get_issuer(self):
        return flags.issuer


server = AuthorizationServer(app, query_client=clients.get, save_token=save)
server.register_extension(Issuer())
server.register_grant(CodeGrant, [Challenge(required=True)])
for grant in (RefreshGrant, ClientGrant, ExchangeGrant, DeviceGrant):
    server.register_grant(grant)
for endpoint in (DeviceEndpoint, Revocation, Introspection):
    server.register_endpoint(endpoint)


@app.get("/authorize")
def authorize():
    grant = server.get_consent_grant(end_user="ann")
    agrees = not deny.is_set()
    deny.clear()
    return server.create_authorization_response(grant_user="ann" if agrees else None, grant=grant)


@app.post("/token")
def token():
    kind = faults.pop(0) if faults else None
    if kind == "slow_down":
        return jsonify(error="slow_down"), 400
    if kind == "unavailable":
        return Response("", 503, {"retry-after": "2"})
    if kind == "html":
        return Response("<html>sign in</html>", 200, {"content-type": "text/html"})
    if kind == "redirect":
        return Response("", 302, {"location": "https://evil.test/"})
    answer = server.create_token_response()
    if kind:
        # The grant was carried out; its answer is lost, or cut short.
        raw = request.environ["werkzeug.socket"]
        if kind == "truncate":
            raw.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{")
        raw.shutdown(socket.SHUT_RDWR)
    return answer


@app.post("/device")
def device():
    return server.create_endpoint_response(DeviceEndpoint.ENDPOINT_NAME)


@app.post("/revoke")
def revoke():
    return server.create_endpoint_response(Revocation.ENDPOINT_NAME)


@app.post("/introspect")
def introspect():
    return server.create_endpoint_response(Introspection.ENDPOINT_NAME)


@app.post("/register")
def register():
    wanted = request.get_json()
    client = Client(f"dcr-{secrets.token_hex(8)}", wanted["token_endpoint_auth_method"], wanted["redirect_uris"])
    if not all(uri.startswith("http://127.0.0.1:") for uri in client.redirect_uris):
        return jsonify(error="invalid_redirect_uri"), 400
    clients[client.client_id] = client
    counts["registered"] += 1
    answer = {**wanted, "client_id": client.client_id, "client_id_issued_at": int(time.time())}
    if client.secret:
        answer.update(client_secret=client.secret, client_secret_expires_at=0)
    return jsonify(answer), 201


@app.get("/.well-known/oauth-authorization-server")
def metadata():
    url = flags.issuer
    return jsonify(
        issuer=url, authorization_endpoint=f"{url}/authorize", token_endpoint=f"{url}/token",
        revocation_endpoint=f"{url}/revoke", introspection_endpoint=f"{url}/introspect",
        device_authorization_endpoint=f"{url}/device", registration_endpoint=f"{url}/register",
        authorization_response_iss_parameter_supported=True, response_types_supported=["code"], grant_types_supported=[*GRANTS, EXCHANGE],
        token_endpoint_auth_methods_supported=list(METHODS.values()), code_challenge_methods_supported=["S256"])


@app.get("/.well-known/oauth-protected-resource/mcp")
def protected():
    return jsonify(resource=f"{flags.issuer}/mcp", authorization_servers=[flags.issuer])


@app.get("/mcp")
def resource():
    _, _, bearer = request.headers.get("authorization", "").partition(" ")
    found = find("access_token", bearer)
    if found and not found["revoked"] and not found.is_expired():
        return "hello"
    pointer = f'{flags.issuer}/.well-known/oauth-protected-resource/mcp'
    return Response("", 401, {"www-authenticate": f'Bearer resource_metadata="{pointer}"'})


@app.get("/_test/<what>")
def control(what):
    if what == "counts":
        return jsonify(counts)
    if what == "fault":
        faults.extend([request.args["kind"]] * int(request.args.get("times", 1)))
    elif what == "deny-next":
        deny.set()
    elif what in ("approve", "deny"):
        decisions[request.args["user_code"]] = what == "approve"
    return jsonify({})


def end_with_input():
    sys.stdin.read()
    os._exit(0)


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(flags.cert, flags.key)
listening = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet, ssl_context=tls)
print(json.dumps({"port": listening.server_port}), flush=True)
threading.Thread(target=end_with_input, daemon=True).start()
listening.serve_forever()
