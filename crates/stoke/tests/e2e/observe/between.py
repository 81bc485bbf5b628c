"""Stands between a program and a server, and makes the server slow or failing.

    between.py SERVER CONTROL

CONTROL is a file with JSON, read before each request: `{"seconds": 1.5}` waits before each, `{"fail": true}` answers every second one with 500.
Watches go through as they are. The port is printed.
"""

import http.client
import itertools
import json
import ssl
import sys
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

server, control = urllib.parse.urlsplit(sys.argv[1]), sys.argv[2]
# The server's certificate is its own; nothing leaves this machine.
unchecked = ssl.create_default_context()
unchecked.check_hostname = False
unchecked.verify_mode = ssl.CERT_NONE
count = itertools.count()


class Between(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with open(control) as file:
            wanted = json.load(file)
        if "watch=" not in self.path:
            time.sleep(wanted.get("seconds", 0))
            if wanted.get("fail") and next(count) % 2 == 0:
                return self.give(500, b'{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","code":500,"message":"planted"}')
        if server.scheme == "https":
            behind = http.client.HTTPSConnection(server.netloc, context=unchecked)
        else:
            behind = http.client.HTTPConnection(server.netloc)
        # The name of this place stays: a signature may be over it.
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        behind.request(self.command, self.path, body, headers)
        answer = behind.getresponse()
        if self.command == "HEAD" or "watch=" not in self.path:
            return self.give(answer.status, answer.read(), answer.getheaders())
        self.send_response(answer.status)
        self.send_header("content-type", answer.getheader("content-type", "application/json"))
        self.send_header("connection", "close")
        self.end_headers()
        while part := answer.read1(65536):
            self.wfile.write(part)
            self.wfile.flush()
        self.close_connection = True

    def give(self, status, body, headers=(("content-type", "application/json"),)):
        self.send_response(status)
        length = len(body)
        for name, value in headers:
            if name.lower() == "content-length":
                length = int(value)
            elif name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("content-length", str(length))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


listening = Server(("127.0.0.1", 0), Between)
print(listening.server_address[1], flush=True)
listening.serve_forever()
