#!/usr/bin/env python3
"""The pages of the console and those of Spark's History Server beside each other, on the same logs, in one run.

    benches/console.py --spark-home SPARK_HOME --python PYTHON_WITH_PYSPARK [--serve target/release/examples/web_serve] [--skip-spark]

Two places with logs are made under --work (kept, and used again), of lines that this Spark wrote: an application with one stage of
1,000,000 tasks, and 10,000 small applications. Both servers keep all tasks (spark.ui.retainedTasks).

A page of ours is one request. A page of Spark's is what its browser asks for before it can show the same: for the list `/` and
`/api/v1/applications`; for a stage its HTML, the stage, the summary of its tasks and the first rows of its table. Styles and scripts,
which a browser keeps, count for neither. Both are asked with `Accept-Encoding: gzip`, and sizes are what comes over the wire.

Measured, from the start of a process with nothing kept: until the list has every application; then until the page is there, cold; then
the same page again, the median of --again requests; and the peak of the server's resident memory when it is asked to end.
"""

import argparse
import gzip
import http.client
import json
import os
import statistics
import sys
import time

import history

STAGE = "/history/%s/stages/stage/?id=0&attempt=0"


def many_logs(lines, directory, count):
    """`count` small applications: each the real one with its first job of a few tasks, under an id and at a time of its own."""
    if os.path.exists(directory):
        return
    os.makedirs(directory + ".new")
    wanted = ("SparkListenerLogStart", "SparkListenerResourceProfileAdded", "SparkListenerBlockManagerAdded", "SparkListenerEnvironmentUpdate",
              "SparkListenerApplicationStart", "SparkListenerExecutorAdded", "SparkListenerApplicationEnd")
    kept = [line for line in lines if history.name_of(line) in wanted]
    start = json.loads(next(line for line in lines if history.name_of(line) == "SparkListenerApplicationStart"))
    text = "".join(kept)
    for place in range(count):
        begin = start["Timestamp"] + place * 60000
        one = text.replace(start["App ID"], "local-%013d" % begin).replace(str(start["Timestamp"]), str(begin))
        one = one.replace('"App Name":"%s"' % start["App Name"], '"App Name":"etl %d"' % (place % 40))
        with open(os.path.join(directory + ".new", "local-%013d" % begin), "w") as out:
            out.write(one)
    os.rename(directory + ".new", directory)


def fetch(port, path, accept="text/html", left=5):
    """The answer and the bytes that came for it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    connection.request("GET", path, headers={"Accept-Encoding": "gzip", "Accept": accept})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    size = len(body)
    # Spark's server answers so when it has loaded an application for the first time.
    if answer.status == 302 and left > 0:
        more, sizes = fetch(port, answer.getheader("Location").split("127.0.0.1:%d" % port)[-1], accept, left - 1)
        return more, size + sizes
    if answer.getheader("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    if answer.status != 200:
        raise SystemExit("%s: %d %s" % (path, answer.status, body[:300]))
    return body, size


class Spark:
    def __init__(self, given, directory):
        self.port = history.free_port()
        options = ("-Dspark.history.ui.port=%d -Dspark.history.ui.host=127.0.0.1 -Dspark.history.fs.logDirectory=file://%s -Dspark.ui.retainedTasks=%d"
                   % (self.port, directory, given.tasks))
        self.server = history.Server([os.path.join(given.spark_home, "bin/spark-class"), "org.apache.spark.deploy.history.HistoryServer"], self.port,
                                     {"SPARK_HOME": given.spark_home, "SPARK_HISTORY_OPTS": options, "SPARK_DAEMON_MEMORY": given.heap,
                                      "SPARK_LOCAL_IP": "127.0.0.1"})

    def applications(self):
        return len(history.get(self.port, "applications?limit=2147483647"))

    def list(self):
        return [fetch(self.port, "/")[1], fetch(self.port, "/api/v1/applications?limit=2147483647", "application/json")[1]]

    def stage(self, application, tasks):
        base = "/api/v1/applications/%s/stages/0/0" % application
        table = ("/taskTable?draw=1&order[0][column]=0&order[0][dir]=asc&start=0&length=20&search[value]=&search[regex]=false&numTasks=%d"
                 "&columnIndexToSort=0&columnNameToSort=Index" % tasks).replace("[", "%5B").replace("]", "%5D")
        sizes = [fetch(self.port, STAGE % application)[1]]
        for path in ("?details=false&withSummaries=true&quantiles=0,0.25,0.5,0.75,1.0", table):
            sizes.append(fetch(self.port, base + path, "application/json")[1])
        return sizes


class Ours:
    def __init__(self, given, directory):
        self.port = history.free_port()
        command = given.serve.format(dir=directory, port=self.port, tasks=given.tasks).split() if "{dir}" in given.serve else \
            [given.serve, directory, "127.0.0.1:%d" % self.port, str(given.tasks)]
        self.server = history.Server(command, self.port, {})

    def applications(self):
        return json.loads(fetch(self.port, "/?output=json")[0])["applications"]["total"]

    def list(self):
        return [fetch(self.port, "/")[1]]

    def stage(self, application, tasks):
        body, size = fetch(self.port, STAGE % application)
        assert b'id="tasks"' in body
        return [size]


def listed(server, count):
    """Seconds from the start of the process until `count` applications are listed."""
    while True:
        try:
            if server.applications() >= count:
                return time.monotonic() - server.server.begin
        except (OSError, http.client.HTTPException, ValueError):
            # Not there yet; while it begins, Spark's server answers with a page that says so.
            pass
        if server.server.process.poll() is not None:
            raise SystemExit("the server ended")
        time.sleep(0.01)


def timed(ask):
    begin = time.monotonic()
    sizes = ask()
    return time.monotonic() - begin, sum(sizes)


def measure(server, count, again, page):
    result = {"to_list_s": listed(server, count)}
    result["page_cold_s"], result["page_bytes"] = timed(page)
    result["start_to_page_s"] = time.monotonic() - server.server.begin
    result["page_again_ms"] = 1000 * statistics.median(timed(page)[0] for _ in range(again))
    result["cpu_s"], result["peak_mib"] = server.server.end()
    return {key: round(value, 3) for key, value in result.items()}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--spark-home", required=True)
    arguments.add_argument("--python", default="python3", help="the Python that has this Spark's pyspark")
    arguments.add_argument("--serve", default="target/release/examples/web_serve",
                           help="what serves our pages: given DIRECTORY ADDRESS TASKS; with {dir}, {port} and {tasks} in it a whole command")
    arguments.add_argument("--work", default="/tmp/stoke-console-bench")
    arguments.add_argument("--tasks", type=int, default=1000000)
    arguments.add_argument("--applications", type=int, default=10000)
    arguments.add_argument("--again", type=int, default=20)
    arguments.add_argument("--heap", default="6g", help="heap of Spark's server")
    arguments.add_argument("--skip-spark", action="store_true", help="measure ours alone")
    arguments.add_argument("--skip-list", action="store_true", help="measure the stage alone")
    arguments.add_argument("--only-logs", action="store_true", help="make the logs and end")
    given = arguments.parse_args()
    given.work = os.path.abspath(given.work)
    os.makedirs(given.work, exist_ok=True)
    lines = history.small_log(given.spark_home, given.python, given.work)
    wide, many = os.path.join(given.work, "wide-%d" % given.tasks), os.path.join(given.work, "many-%d" % given.applications)
    os.makedirs(wide, exist_ok=True)
    history.big_log(lines, given.tasks, 1, os.path.join(wide, "app-bench.zstd"), ["zstd", "-1", "-q"])
    many_logs(lines, many, given.applications)
    if given.only_logs:
        return 0
    application = json.loads(next(line for line in lines if history.name_of(line) == "SparkListenerApplicationStart"))["App ID"]
    report = {}
    places = [("%d applications" % given.applications, many, given.applications), ("%d tasks" % given.tasks, wide, 1)]
    for name, directory, count in places[given.skip_list:]:
        for who, kind in (("stoke", Ours),) + ((("spark", Spark),) if not given.skip_spark else ()):
            server = kind(given, directory)
            page = (lambda: server.stage(application, given.tasks)) if directory == wide else server.list
            again = given.again if who == "stoke" or directory == many else max(1, given.again // 7)
            try:
                report.setdefault(name, {})[who] = measure(server, count, again, page)
            finally:
                if server.server.process.poll() is None:
                    server.server.end()
            print(json.dumps({name: {who: report[name][who]}}), flush=True)
        if "spark" in report[name]:
            ours, theirs = report[name]["stoke"], report[name]["spark"]
            report[name]["ratio"] = {key: round(theirs[key] / max(ours[key], 1e-6), 1) for key in theirs}
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
