#!/usr/bin/env python3
"""Cost of one submission: `stoke submit` against `spark-submit`, both in cluster mode, against the same API server.

    cargo build --release && python3 benches/submission.py [--runs 5] [--version 4.1.4]

The API server is a recorder in this script that accepts whatever is posted, so that only the submission itself is measured; neither waits
for the application. The process start of `stoke` is in its figures; what the operator spends on one submission is less (see
`cargo bench -p stoke-submit`).
"""

import argparse
import http.server
import json
import os
import threading
import uuid

import measure


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/version":
            value = {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
        elif self.command == "GET" and self.path in ("/api", "/api/v1", "/apis"):
            names = ("pods", "Pod"), ("services", "Service"), ("configmaps", "ConfigMap"), ("secrets", "Secret")
            resources = [{"name": n, "singularName": "", "namespaced": True, "kind": k, "verbs": ["create", "patch", "get"]} for n, k in names]
            value = {
                "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
                "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": resources},
                "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            }[self.path]
        else:
            value = json.loads(body) if body else {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}}
            value.setdefault("metadata", {}).update(uid=str(uuid.uuid4()), namespace="default", resourceVersion="1")
        text = json.dumps(value).encode()
        self.send_response(200 if self.command == "GET" else 201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_PUT = answer

    def log_message(self, *_):
        pass


parser = argparse.ArgumentParser()
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--version", default="4.1.4")
options = parser.parse_args()

home = measure.spark_home(options.version)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
kubeconfig = f"""apiVersion: v1
kind: Config
current-context: recorder
contexts: [{{name: recorder, context: {{cluster: recorder, user: nobody}}}}]
clusters: [{{name: recorder, cluster: {{server: "{url}"}}}}]
users: [{{name: nobody, user: {{}}}}]
"""
path = f"/tmp/stoke-bench-{os.getpid()}.kubeconfig"
open(path, "w").write(kubeconfig)
line = ["--master", f"k8s://{url}", "--deploy-mode", "cluster", "--name", "pi"]
for conf in (f"spark.kubernetes.container.image=apache/spark:{options.version}", "spark.kubernetes.submission.waitAppCompletion=false"):
    line += ["--conf", conf]
line += ["local:///opt/spark/examples/src/main/python/pi.py", "10"]
env = dict(os.environ, SPARK_HOME=home, KUBECONFIG=path, STOKE_SPARK_VERSION=options.version)
try:
    print(f"one submission by the rules of Spark {options.version}, {options.runs} runs each, in turn")
    measure.compare(
        ("stoke submit", lambda: measure.once([measure.stoke(), "submit", *line], env)),
        ("spark-submit", lambda: measure.once([os.path.join(home, "bin/spark-submit"), *line], env)),
        options.runs,
    )
finally:
    os.unlink(path)
