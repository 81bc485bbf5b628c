"""What the connectors of Google's and Azure's stores make of the configuration that wiring writes, asked of them in a real Spark."""
import base64
import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.parse

from pyspark.sql import SparkSession

WHAT, PORT = sys.argv[1], int(sys.argv[2])
asked = []


class Tokens(http.server.BaseHTTPRequestHandler):
    """Gives tokens, and keeps what it was asked with."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked.append((self.path, {key: values[0] for key, values in urllib.parse.parse_qs(text).items()}))
        answer = json.dumps({"access_token": "a-token", "token_type": "Bearer", "expires_in": 3600}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def must(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: {found} instead of {wanted}")


def google(spark):
    place = "gs://shop-data/tables/one"
    frame = spark.range(1000).selectExpr("id", "id % 7 AS part")
    frame.write.partitionBy("part").parquet(place)
    must(spark.read.parquet(place).count(), 1000, "rows")
    must(spark.read.parquet(place).where("part = 3").count(), 143, "rows of a partition")
    frame.coalesce(2).write.mode("overwrite").parquet(place)
    must(spark.read.parquet(place).selectExpr("sum(id)").first()[0], 499500, "a sum after an overwrite")
    frame.limit(10).selectExpr("id", "CAST(id AS DOUBLE) AS amount").write.parquet("gs://shop-data/report/v1")
    # The token was asked for with the key of the file: signed by it, in the name of its account.
    if not asked:
        sys.exit("no token was asked for")
    head, claims, signature = asked[0][1]["assertion"].split(".")

    def plain(text):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    must(json.loads(plain(claims))["iss"], "spark@acme-data.iam.gserviceaccount.com", "who asks")
    with open("signature", "wb") as file:
        file.write(plain(signature))
    checked = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature"], input=f"{head}.{claims}".encode(), capture_output=True
    )
    must(checked.returncode, 0, checked.stderr)


HOST = "shopdata.dfs.core.windows.net"


def of_account(spark):
    conf = spark._jsc.hadoopConfiguration()
    return spark._jvm.org.apache.hadoop.fs.azurebfs.AbfsConfiguration(conf, HOST)


def azure_key(spark):
    abfs = of_account(spark)
    must(abfs.getAuthType(HOST).toString(), "SharedKey", "how it asks")
    must(abfs.getStorageAccountKey(), os.environ["AZURE_STORAGE_ACCOUNT_KEY"], "the key")


def azure_identity(spark):
    abfs = of_account(spark)
    must(abfs.getAuthType(HOST).toString(), "OAuth", "how it asks")
    provider = abfs.getTokenProvider()
    must(provider.getClass().getName(), "org.apache.hadoop.fs.azurebfs.oauth2.WorkloadIdentityTokenProvider", "who gives tokens")
    must(provider.getToken().getAccessToken(), "a-token", "the token")
    path, form = asked[0]
    must(path, "/11111111-2222-3333-4444-666666666666/oauth2/v2.0/token", "the tenant")
    with open("token") as file:
        must(form["client_assertion"], file.read().strip(), "the token of the pod")
    must(form["client_id"], "11111111-2222-3333-4444-555555555555", "the client")
    must(form["grant_type"], "client_credentials", "the grant")


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Tokens)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
session = SparkSession.builder.config("spark.ui.enabled", "false").getOrCreate()
{"google": google, "azure-key": azure_key, "azure-identity": azure_identity}[WHAT](session)
print("all as it must be")
