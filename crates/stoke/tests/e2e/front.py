"""Stands before an API server that takes no tokens of an identity provider, and does what one does that is configured for it.

    front.py ISSUER CLIENT API_SERVER

A request with a token of the issuer for the client goes on as the user `oidc:SUBJECT`; others are refused with 401. The signature is checked with the
issuer's own keys. The port is printed.
"""

import http.client
import json
import sys
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jwt
from joserfc.jwk import KeySet

issuer, client, behind = sys.argv[1:]
behind = urllib.parse.urlsplit(behind).netloc


def get(address):
    with urllib.request.urlopen(address) as answer:
        return json.load(answer)


keys = KeySet.import_key_set(get(get(f"{issuer}/.well-known/openid-configuration")["jwks_uri"]))
claims = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer}, aud={"essential": True, "value": client}, exp={"essential": True}, sub={"essential": True}
)


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            token = jwt.decode(self.headers.get("authorization", "").removeprefix("Bearer "), keys, algorithms=["RS256"])
            claims.validate(token.claims)
        except Exception as error:
            print("refused:", error, file=sys.stderr)
            refusal = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Unauthorized", "code": 401, "message": "Unauthorized"}
            return self.give(401, "application/json", json.dumps(refusal).encode())
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "authorization", "connection")}
        headers["Impersonate-User"] = "oidc:" + token.claims["sub"]
        connection = http.client.HTTPConnection(behind)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        self.send_response(answer.status)
        self.send_header("content-type", answer.getheader("content-type", "application/json"))
        self.send_header("connection", "close")
        self.end_headers()
        # Watches and logs come in parts.
        while part := answer.read1(65536):
            self.wfile.write(part)
            self.wfile.flush()
        self.close_connection = True

    def give(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
print(server.server_port, flush=True)
server.serve_forever()
