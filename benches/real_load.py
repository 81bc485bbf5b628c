#!/usr/bin/env python3
"""Many applications at once on a real Kubernetes, their drivers left pending: how fast the operator makes driver pods, and whose time it is.

    scripts/real-kubernetes/real-kubernetes up && stoke operator install …      (as root, on this machine: processor times are read from /proc)
    KUBECONFIG=… python3 benches/real_load.py [--applications 300 1000] [--a-minute 600] [--namespace load]

No node has the label that the drivers ask for, so that nothing but the control plane is measured. Needs the operator to serve the namespace, which
gets the label stoke.dev/test=real. The user is this program, with 16 connections. Prints a table, a column a load.
"""

import argparse
import base64
import http.client
import json
import os
import queue
import re
import ssl
import subprocess
import tempfile
import threading
import time

GROUP = "/apis/sparkoperator.k8s.io/v1beta2/namespaces/{}/sparkapplications"


class Server:
    """The API server of a kubeconfig, by its client certificate."""

    def __init__(self):
        view = json.loads(subprocess.check_output(["kubectl", "config", "view", "--raw", "--minify", "-o", "json"]))
        cluster, user = view["clusters"][0]["cluster"], view["users"][0]["user"]
        self.address = re.sub(r"^https://", "", cluster["server"])
        self.context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile("wb") as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pem.flush()
            self.context.load_cert_chain(pem.name)

    def connect(self):
        return http.client.HTTPSConnection(self.address, context=self.context)


def ask(connection, method, path, body=None):
    connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    if answer.status >= 400:
        raise SystemExit(f"{method} {path}: {answer.status} {data[:300]}")
    return data


def application(name):
    return {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": name},
        "spec": {
            "type": "Python", "mode": "cluster", "image": "apache/spark:4.1.4", "sparkVersion": "4.1.4",
            "mainApplicationFile": "local:///opt/spark/examples/src/main/python/pi.py", "nodeSelector": {"nobody": "has-this"},
            "driver": {"cores": 1, "memory": "512m", "serviceAccount": "default"}, "executor": {"instances": 1, "cores": 1, "memory": "512m"},
        },
    }


def pid_of(pattern):
    found = subprocess.run(["pgrep", "-f", pattern], stdout=subprocess.PIPE, text=True).stdout.split()
    return [int(pid) for pid in found if pid != str(os.getpid())]


def processor_seconds(pids):
    total = 0
    for pid in pids:
        try:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


WHO = {"operator": r"^/usr/local/bin/stoke operator run", "API server": r"kube-apiserver ", "etcd": r"etcd --name"}


def requests_of_operator(server):
    """Requests so far, by the API server's count of its clients' is not to be had; the operator's own metrics tell."""
    pods = json.loads(ask(server.connect(), "GET", "/api/v1/pods?labelSelector=app.kubernetes.io/name%3Dspark-operator"))["items"]
    total = 0
    for pod in pods:
        meta = pod["metadata"]
        text = ask(server.connect(), "GET", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}:8080/proxy/metrics").decode()
        total += sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("rest_client_requests_total{"))
    return total


def load(server, namespace, count, a_minute):
    created, made, stop = {}, {}, threading.Event()
    path = GROUP.format(namespace)

    def watch():
        connection = server.connect()
        version = json.loads(ask(connection, "GET", f"/api/v1/namespaces/{namespace}/pods"))["metadata"]["resourceVersion"]
        connection.request("GET", f"/api/v1/namespaces/{namespace}/pods?watch=true&resourceVersion={version}&timeoutSeconds=1800")
        answer = connection.getresponse()
        ready.set()
        while not stop.is_set():
            line = answer.readline()
            if not line:
                return
            event = json.loads(line)
            if event["type"] == "ADDED":
                made[event["object"]["metadata"]["labels"].get("sparkoperator.k8s.io/app-name")] = time.monotonic()

    ready = threading.Event()
    threading.Thread(target=watch, daemon=True).start()
    ready.wait(30)
    work = queue.Queue()
    for number in range(count):
        work.put(number)

    def user():
        connection = server.connect()
        while True:
            try:
                number = work.get_nowait()
            except queue.Empty:
                return
            if a_minute:
                time.sleep(max(0, begun + number * 60 / a_minute - time.monotonic()))
            name = f"load-{number}"
            created[name] = time.monotonic()
            ask(connection, "POST", path, application(name))

    before = {who: processor_seconds(pid_of(pattern)) for who, pattern in WHO.items()}
    requests = requests_of_operator(server)
    begun = time.monotonic()
    users = [threading.Thread(target=user) for _ in range(16)]
    for thread in users:
        thread.start()
    for thread in users:
        thread.join()
    all_created = time.monotonic() - begun
    while len(made) < count and time.monotonic() - begun < 900:
        time.sleep(0.1)
    seconds = max(made.values()) - begun if made else float("nan")
    # What follows the pods: status, services, events.
    time.sleep(2)
    used = {who: (processor_seconds(pid_of(pattern)) - before[who]) * 1000 / count for who, pattern in WHO.items()}
    requests = (requests_of_operator(server) - requests) / count
    stop.set()
    times = sorted((made[name] - created[name]) * 1000 for name in created if name in made)
    at = lambda part: times[min(len(times) - 1, int(part * len(times)))]
    ask(server.connect(), "DELETE", path)
    while json.loads(ask(server.connect(), "GET", f"/api/v1/namespaces/{namespace}/pods?limit=1"))["items"]:
        time.sleep(0.5)
    return {
        "driver pods": f"{len(made)} of {count}",
        "all created within, s": f"{all_created:.1f}",
        "applications a minute": f"{len(made) / seconds * 60:.0f}",
        "create to driver pod, p50 / p99 / most, ms": f"{at(0.5):.0f} / {at(0.99):.0f} / {times[-1]:.0f}",
        "CPU an application, ms: operator": f"{used['operator']:.1f}",
        "API server": f"{used['API server']:.1f}",
        "etcd": f"{used['etcd']:.1f}",
        "API server and etcd to operator, CPU": f"{(used['API server'] + used['etcd']) / max(used['operator'], 0.01):.1f}x",
        "operator's requests an application": f"{requests:.1f}",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--applications", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--a-minute", type=int, help="create so many a minute, not all at once")
    parser.add_argument("--namespace", default="load")
    arguments = parser.parse_args()
    server = Server()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": arguments.namespace, "labels": {"stoke.dev/test": "real"}}}
    subprocess.run(["kubectl", "apply", "-f", "-"], input=json.dumps(namespace), text=True, check=True, stdout=subprocess.DEVNULL)
    time.sleep(2)
    columns = [load(server, arguments.namespace, count, arguments.a_minute) for count in arguments.applications]
    print(f"{'':52}" + "".join(f"{count:>24}" for count in arguments.applications))
    for label in columns[0]:
        print(f"{label:52}" + "".join(f"{column[label]:>24}" for column in columns))
    subprocess.run(["kubectl", "delete", "namespace", arguments.namespace, "--wait=false"], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
