#!/usr/bin/env python3
"""The embedded API server, with durable writes, against a real kube-apiserver with etcd; the same client for both, in turn.

    cargo build --release -p stoke && cargo build --release -p stoke-cluster --features examples --example api_load && python3 benches/apiserver.py [--runs 3]

The real one is measured when KUBE_APISERVER and ETCD name the two programs; both fsync. Memory is the resident set after the load, of
etcd and kube-apiserver together. "ready" is from the start of the process until a list with credentials is answered.
"""

import argparse
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import measure

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD = os.environ.get("API_LOAD", os.path.join(HERE, "..", "target", "release", "examples", "api_load"))


def resident(processes):
    """MiB in memory now, of all processes together."""
    total = 0
    for process in processes:
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
            total += int(next(line for line in status if line.startswith("VmRSS")).split()[1])
    return total / 1024


def until(check, seconds=60):
    """Waits until `check` holds; gives its value."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = check()
            if value:
                return value
        except OSError:
            pass
        if time.monotonic() > deadline:
            sys.exit("the server did not become ready")
        time.sleep(0.002)


def answers(url, token):
    context = ssl._create_unverified_context()
    request = urllib.request.Request(url + "/api/v1/namespaces/default", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, context=context, timeout=5) as response:
        return response.status == 200


def load(kubeconfig):
    output = subprocess.run([LOAD, kubeconfig], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(output)


def end(processes):
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.wait()


def ours():
    with tempfile.TemporaryDirectory() as home:
        start = time.monotonic()
        up = subprocess.Popen([measure.stoke(), "up"], env=dict(os.environ, STOKE_HOME=home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kubeconfig = os.path.join(home, "clusters/default/kubeconfig")
        until(lambda: os.path.exists(kubeconfig))
        text = open(kubeconfig, encoding="utf-8").read()
        word = lambda key: next(line.split(":", 1)[1].strip().strip("\"'") for line in text.splitlines() if line.strip().startswith(key + ":"))
        until(lambda: answers(word("server"), word("token")))
        ready = time.monotonic() - start
        figures = load(kubeconfig)
        figures["memoryMiB"] = resident([up])
        figures["readyMs"] = ready * 1000
        end([up])
        return figures


def theirs():
    with tempfile.TemporaryDirectory() as home:
        path = lambda name: os.path.join(home, name)
        open(path("tokens.csv"), "w").write("secret,admin,1,system:masters\n")
        subprocess.run(["openssl", "genrsa", "-out", path("key"), "2048"], check=True, stderr=subprocess.DEVNULL)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        start = time.monotonic()
        etcd = subprocess.Popen([os.environ["ETCD"], "--data-dir", path("etcd"), "--listen-client-urls", "http://127.0.0.1:12379",
                                 "--advertise-client-urls", "http://127.0.0.1:12379", "--listen-peer-urls", "http://127.0.0.1:12380"], **quiet)
        server = subprocess.Popen([os.environ["KUBE_APISERVER"], "--etcd-servers", "http://127.0.0.1:12379", "--secure-port", "16443",
                                   "--bind-address", "127.0.0.1", "--cert-dir", path("certs"), "--token-auth-file", path("tokens.csv"),
                                   "--authorization-mode", "RBAC", "--disable-admission-plugins", "ServiceAccount", "--service-cluster-ip-range", "10.0.0.0/24", "--service-account-issuer", "https://stoke",
                                   "--service-account-key-file", path("key"), "--service-account-signing-key-file", path("key")], **quiet)
        url = "https://127.0.0.1:16443"
        until(lambda: answers(url, "secret"))
        ready = time.monotonic() - start
        kubeconfig = path("kubeconfig")
        open(kubeconfig, "w").write(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": url, "insecure-skip-tls-verify": True}}], "users": [{"name": "u", "user": {"token": "secret"}}]}))
        figures = load(kubeconfig)
        figures["memoryMiB"] = resident([etcd, server])
        figures["readyMs"] = ready * 1000
        end([server, etcd])
        return figures


parser = argparse.ArgumentParser()
parser.add_argument("--runs", type=int, default=3)
options = parser.parse_args()
if not os.path.exists(LOAD):
    sys.exit("build the client first: cargo build --release -p stoke-cluster --features examples --example api_load")
real = "ETCD" in os.environ and "KUBE_APISERVER" in os.environ
if not real:
    print("KUBE_APISERVER and ETCD are not set: the real one is not measured")
rows = [(ours(), theirs() if real else None) for _ in range(options.runs)]
print(f"{'':24}{'stoke':>12}" + (f"{'kube-apiserver':>16}{'ratio':>10}" if real else ""))
for key in rows[0][0]:
    mine = statistics.median(row[0][key] for row in rows)
    line = f"{key:24}{mine:>12.1f}"
    if real:
        their = statistics.median(row[1][key] for row in rows)
        line += f"{their:>16.1f}{statistics.median(row[0][key] / row[1][key] for row in rows):>10.3f}"
    print(line)
