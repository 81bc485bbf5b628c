"""A table that real Spark writes, published through Iceberg's own REST server. Between them and it stands a proxy that wants a token and a prefix, and that lets a
change of the table come late, get lost, meet another one, or be refused."""
import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.parse

from pyspark.sql import SparkSession

TABLE = "lake.shop.eu.items"
SERVER = os.environ["CATALOG_SERVER"]
PORT = int(os.environ["CATALOG_PROXY"])
TOKEN, WAREHOUSE, PREFIX = "let-me-in", "shops", "of/shops"
# What happens to the next change of the table that stoke asks for.
rules = []
answers = []


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, kind, message):
        self.answer(status, json.dumps({"error": {"message": message, "type": kind, "code": status}}).encode())

    def forward(self, path, body):
        connection = http.client.HTTPConnection(SERVER, timeout=60)
        headers = {"Content-Type": self.headers.get("Content-Type", "application/json"), "Accept": "application/json"}
        connection.request(self.command, path, body=body, headers=headers)
        response = connection.getresponse()
        found = response.status, response.read()
        connection.close()
        return found

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        url = urllib.parse.urlsplit(self.path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.error(401, "NotAuthorizedException", "who are you")
        if url.path == "/v1/config":
            if urllib.parse.parse_qs(url.query).get("warehouse") != [WAREHOUSE]:
                return self.error(400, "BadRequestException", "no such warehouse")
            status, found = self.forward(self.path, body)
            config = json.loads(found)
            config["overrides"]["prefix"] = PREFIX
            return self.answer(status, json.dumps(config).encode())
        if not url.path.startswith(f"/v1/{PREFIX}/"):
            return self.error(404, "NoSuchNamespaceException", f"{url.path} is not below the prefix")
        path = self.path.replace(f"/v1/{PREFIX}/", "/v1/", 1)
        by_stoke = self.command == "POST" and url.path.endswith("/tables/items") and b"stoke-before" in (body or b"")
        if not (by_stoke and rules):
            status, found = self.forward(path, body)
            if by_stoke:
                answers.append(status)
            return self.answer(status, found)
        rule = rules.pop(0)
        found = rule(lambda: self.forward(path, body))
        if found is None:
            # No answer: whoever asked hears that the connection ended.
            self.close_connection = True
            return None
        answers.append(found[0])
        return self.answer(*found)

    do_GET = do_POST = do_DELETE = do_HEAD = serve


proxy = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Proxy)
proxy.daemon_threads = True
threading.Thread(target=proxy.serve_forever, daemon=True).start()

spark = (
    SparkSession.builder.config("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
    .config("spark.sql.catalog.lake.type", "rest")
    .config("spark.sql.catalog.lake.uri", f"http://127.0.0.1:{PORT}")
    .config("spark.sql.catalog.lake.warehouse", WAREHOUSE)
    .config("spark.sql.catalog.lake.token", TOKEN)
    .config("spark.sql.catalog.lake.cache-enabled", "false")
    .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)

PUBLISH = ["publish", "items", "--in", "prod"]
BACK = ["rollback", "--in", "prod", "--data", "items"]


def start(arguments, token):
    environment = {name: value for name, value in os.environ.items() if name != "STOKE_CATALOG_TOKEN"}
    if token:
        environment["STOKE_CATALOG_TOKEN"] = token
    command = [os.environ["STOKE"], "release", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stoke(code, arguments, *parts, token=TOKEN):
    running = start(arguments, token)
    out, error = running.communicate(timeout=120)
    if running.returncode != code or any(part not in out + error for part in parts):
        sys.exit(f"stoke {arguments} ended with {running.returncode} instead of {code}, or {parts} is not there:\n{out}{error}")
    return out


def killed(arguments, where):
    """Ends stoke while its change is on the way: before the server has it, or after. What was on the way, to be let through later."""
    arrived, let = threading.Event(), threading.Event()
    came = []

    def hold(forward):
        if where == "after":
            came.append(forward()[0])
        arrived.set()
        let.wait(120)
        if where == "late":
            came.append(forward()[0])
        return None

    rules.append(hold)
    running = start(arguments, TOKEN)
    if not arrived.wait(60):
        sys.exit(f"no change came: {running.communicate()}")
    running.kill()
    running.communicate()
    if where == "after" and came != [200]:
        sys.exit(f"the server answered {came}")
    return let, came


def write(value, amount=1.5, apart=True):
    if apart:
        spark.conf.set("spark.wap.branch", "stoke")
    try:
        spark.sql(f"INSERT INTO {TABLE} VALUES ({value}, {amount})")
    finally:
        spark.conf.unset("spark.wap.branch")


def see(*wanted):
    found = sorted(row.id for row in spark.table(TABLE).collect())
    if found != sorted(wanted):
        sys.exit(f"readers see {found} instead of {wanted}")


def drop():
    spark.sql(f"ALTER TABLE {TABLE} DROP BRANCH stoke")


def entries(event):
    found = json.loads(stoke(0, ["history", "--output", "json"]))
    return len([entry for entry in found if entry["event"] == event])


def moves(begun, done):
    """How many changes were begun and done so far, by the ledger."""
    found = entries("data-moving"), entries("data-moved")
    if found != (begun, done):
        sys.exit(f"{found} of the ledger instead of {(begun, done)}")


# Nothing is there yet; without the right token nothing is said.
stoke(3, PUBLISH, "release-data-place", "404")
spark.sql("CREATE NAMESPACE lake.shop")
spark.sql("CREATE NAMESPACE lake.shop.eu")
spark.sql(f"CREATE TABLE {TABLE} (id BIGINT, amount DOUBLE) USING iceberg TBLPROPERTIES ('write.wap.enabled'='true')")
write(0, apart=False)
write(1)
for token in (None, "wrong"):
    stoke(3, PUBLISH, "release-data-place", "401", "who are you", "STOKE_CATALOG_TOKEN", token=token)
stoke(0, [*PUBLISH, "--plan"], "would be audited")
moves(0, 0)
stoke(0, PUBLISH)
see(0, 1)
moves(1, 1)

# Another writer changes `main` after it was looked at: the server refuses the change, and stoke says why.
write(2)


def meanwhile(forward):
    write(3, apart=False)
    return forward()


rules.append(meanwhile)
answers.clear()
stoke(1, PUBLISH, "release-data-overtaken", "someone else published in between")
if answers != [409]:
    sys.exit(f"the server answered {answers}")
see(0, 1, 3)
stoke(1, PUBLISH, "release-data-behind")
drop()
write(4)
stoke(0, PUBLISH)
see(0, 1, 3, 4)
moves(3, 2)

# The answer gets lost: what happened is found out by the next command, and happens once.
write(5)
answers.clear()


def lost(forward):
    answers.append(forward()[0])
    return None


rules.append(lost)
stoke(3, PUBLISH, "release-data-place")
see(0, 1, 3, 4, 5)
stoke(0, PUBLISH)
if answers != [200]:
    sys.exit(f"the server answered {answers}")
moves(4, 3)

# A server that is busy, and one that wants nothing of it.
write(6)
busy = json.dumps({"error": {"message": "not now", "type": "ServiceUnavailableException", "code": 503}}).encode()
rules.append(lambda _: (503, busy))
stoke(3, PUBLISH, "release-data-place", "503", "not now")
moves(5, 3)
stoke(0, PUBLISH)
see(0, 1, 3, 4, 5, 6)
moves(5, 4)
write(7)
denied = json.dumps({"error": {"message": "read only", "type": "ForbiddenException", "code": 403}}).encode()
rules.append(lambda _: (403, denied))
stoke(1, PUBLISH, "release-data-place", "403", "read only", "check rights")
moves(6, 4)
see(0, 1, 3, 4, 5, 6)
stoke(0, PUBLISH)
see(0, 1, 3, 4, 5, 6, 7)
moves(7, 5)

# Killed before the server has the change, and after: given again it goes on, and happens once.
write(8)
killed(PUBLISH, "before")[0].set()
see(0, 1, 3, 4, 5, 6, 7)
stoke(0, PUBLISH)
see(0, 1, 3, 4, 5, 6, 7, 8)
moves(8, 6)
write(9)
answers.clear()
killed(PUBLISH, "after")[0].set()
see(0, 1, 3, 4, 5, 6, 7, 8, 9)
stoke(0, PUBLISH)
moves(9, 7)
killed(BACK, "before")[0].set()
see(0, 1, 3, 4, 5, 6, 7, 8, 9)
stoke(0, BACK)
see(0, 1, 3, 4, 5, 6, 7, 8)
killed(BACK, "after")[0].set()
see(0, 1, 3, 4, 5, 6, 7)
stoke(0, BACK)
see(0, 1, 3, 4, 5, 6, 7)
moves(11, 9)
if answers != [200]:
    sys.exit(f"the server answered {answers}")

# A change of a command that was killed comes when it was done and undone already: `main` is as that one expects it, and the server refuses it.
write(10)
let, came = killed(PUBLISH, "late")
stoke(0, PUBLISH)
stoke(0, BACK)
see(0, 1, 3, 4, 5, 6, 7)
let.set()
for _ in range(300):
    if came:
        break
    threading.Event().wait(0.1)
if came != [409]:
    sys.exit(f"the server answered {came} to a change that came late")
see(0, 1, 3, 4, 5, 6, 7)
stoke(0, ["verify"])
print("all as it must be")
