#!/usr/bin/env python3
"""The pages of the console and those of Spark's History Server beside each other, on the same logs, in one run.

    benches/console.py --spark-home SPARK_HOME --python PYTHON_WITH_PYSPARK [--serve target/release/examples/web_serve] [--skip-spark]
    benches/console.py ... --skip-spark --beside ANOTHER/web_serve --rounds 5

Places with logs are made under --work (kept, and used again), of lines that this Spark wrote: an application with one stage of 1,000,000
tasks; 10,000 small applications; an execution whose plan has 5,000 nodes; and an application of 10,000 executors that runs 10,000
executions, each with a job of one stage of five tasks. Both servers keep all tasks (spark.ui.retainedTasks).

A page of ours is one request. A page of Spark's is what its browser asks for before it can show the same: for the list `/` and
`/api/v1/applications`; for a stage its HTML, the stage, the summary of its tasks and the first rows of its table. Styles and scripts,
which a browser keeps, count for neither. Both are asked with `Accept-Encoding: gzip`, and sizes are what comes over the wire.

Measured, from the start of a process with nothing kept: until the list has every application; then until the page is there, cold; then
the same page again, the median of --again requests; and the peak of the server's resident memory when it is asked to end. Of ours also what
Spark's server does not have: an order of the tasks that was not asked for before, a page of it, a text that is searched in them, findings,
what-if and cost; then the peak again. With --beside two builds of ours are measured in turn, --rounds times, and medians are told.
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
from history import name_of

STAGE = "/history/%s/stages/stage/?id=0&attempt=0"


def many_logs(lines, directory, count):
    """`count` small applications: each the real one with its first job of a few tasks, under an id and at a time of its own."""
    if os.path.exists(directory):
        return
    os.makedirs(directory + ".new")
    wanted = ("SparkListenerLogStart", "SparkListenerResourceProfileAdded", "SparkListenerBlockManagerAdded", "SparkListenerEnvironmentUpdate",
              "SparkListenerApplicationStart", "SparkListenerExecutorAdded", "SparkListenerApplicationEnd")
    kept = [line for line in lines if name_of(line) in wanted]
    start = json.loads(next(line for line in lines if name_of(line) == "SparkListenerApplicationStart"))
    text = "".join(kept)
    for place in range(count):
        begin = start["Timestamp"] + place * 60000
        one = text.replace(start["App ID"], "local-%013d" % begin).replace(str(start["Timestamp"]), str(begin))
        one = one.replace('"App Name":"%s"' % start["App Name"], '"App Name":"etl %d"' % (place % 40))
        with open(os.path.join(directory + ".new", "local-%013d" % begin), "w") as out:
            out.write(one)
    os.rename(directory + ".new", directory)


def plan_log(lines, target, nodes):
    """One execution whose plan is the real one's, as often as it takes, under unions of two."""
    if os.path.exists(target):
        return
    event = json.loads(next(line for line in lines if "SparkListenerSQLExecutionStart" in line[:120]))

    def copy(node, shift):
        metrics = [dict(metric, accumulatorId=metric["accumulatorId"] + shift) for metric in node["metrics"]]
        return dict(node, children=[copy(child, shift) for child in node["children"]], metrics=metrics)

    def size(node):
        return 1 + sum(map(size, node["children"]))

    plans = [copy(event["sparkPlanInfo"], 1000 * place) for place in range(max(1, nodes // (size(event["sparkPlanInfo"]) + 1)))]
    while len(plans) > 1:
        pairs = [plans[place:place + 2] for place in range(0, len(plans), 2)]
        plans = [{"nodeName": "Union", "simpleString": "Union", "children": pair, "metadata": {}, "metrics": []} if len(pair) > 1 else pair[0]
                 for pair in pairs]
    event["sparkPlanInfo"] = plans[0]
    wanted = ("SparkListenerLogStart", "SparkListenerEnvironmentUpdate", "SparkListenerApplicationStart", "SparkListenerExecutorAdded")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target + ".new", "w") as out:
        out.writelines(line for line in lines if name_of(line) in wanted)
        out.write(json.dumps(event, separators=(",", ":")) + "\n")
        out.write('{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionEnd","executionId":%d,"time":%d,"errorMessage":""}\n'
                  % (event["executionId"], event["time"] + 1000))
        out.write(next(line for line in lines if name_of(line) == "SparkListenerApplicationEnd"))
    os.rename(target + ".new", target)
    return size(plans[0])


def many_log(lines, target, count):
    """So many executors, executions, jobs and stages: each execution is the real one, with one stage of five tasks of its own."""
    if os.path.exists(target):
        return
    events = [(name_of(line), json.loads(line)) for line in lines]
    of = lambda name: [event for known, event in events if known == name]
    start = next(event for event in of("SparkListenerJobStart"))
    stage = start["Stage Infos"][0]["Stage ID"]
    submitted, completed = (next(event for event in of(name) if event["Stage Info"]["Stage ID"] == stage)
                            for name in ("SparkListenerStageSubmitted", "SparkListenerStageCompleted"))
    tasks = [[event for event in of(name) if event["Stage ID"] == stage][:5] for name in ("SparkListenerTaskStart", "SparkListenerTaskEnd")]
    job_end = next(event for event in of("SparkListenerJobEnd") if event["Job ID"] == start["Job ID"])
    execution = next(event for known, event in events if known.endswith("SQLExecutionStart"))
    begin = of("SparkListenerApplicationStart")[0]["Timestamp"]
    wanted = ("SparkListenerLogStart", "SparkListenerEnvironmentUpdate", "SparkListenerApplicationStart")

    def copy(node, shift):
        metrics = [dict(metric, accumulatorId=metric["accumulatorId"] + shift) for metric in node["metrics"]]
        return dict(node, children=[copy(child, shift) for child in node["children"]], metrics=metrics)

    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target + ".new", "w") as out:
        say = lambda event: out.write(json.dumps(event, separators=(",", ":")) + "\n")
        out.writelines(line for line in lines if name_of(line) in wanted)
        added = of("SparkListenerExecutorAdded")[0]
        for place in range(count):
            now = begin + 20000 + 1000 * place
            info = dict(added["Executor Info"], Host="host-%d" % (place % 1000))
            say(dict(added, **{"Timestamp": now - 10000, "Executor ID": str(place + 1), "Executor Info": info}))
            say(dict(execution, executionId=place, rootExecutionId=place, sparkPlanInfo=copy(execution["sparkPlanInfo"], 100 * place), time=now))
            one = dict(submitted["Stage Info"], **{"Stage ID": place, "Number of Tasks": 5, "Submission Time": now, "Accumulables": []})
            one.pop("Completion Time", None)
            properties = dict(start["Properties"], **{"spark.sql.execution.id": str(place)})
            say(dict(start, **{"Job ID": place, "Submission Time": now, "Stage IDs": [place], "Stage Infos": [one], "Properties": properties}))
            say(dict(submitted, **{"Stage Info": one, "Properties": properties}))
            for all_tasks, moment in zip(tasks, (0, 1)):
                for index, task in enumerate(all_tasks):
                    info = dict(task["Task Info"], **{"Task ID": 5 * place + index, "Index": index, "Partition ID": index, "Launch Time": now + 100,
                                                      "Executor ID": str(place + 1), "Host": "host-%d" % (place % 1000)})
                    info["Finish Time"] = moment * (now + 500 + 13 * index)
                    say(dict(task, **{"Stage ID": place, "Task Info": info}))
            say(dict(completed, **{"Stage Info": dict(one, **{"Completion Time": now + 600})}))
            say(dict(job_end, **{"Job ID": place, "Completion Time": now + 610}))
            out.write('{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionEnd","executionId":%d,"time":%d,"errorMessage":""}\n'
                      % (place, now + 620))
        say(dict(of("SparkListenerApplicationEnd")[0], Timestamp=begin + 40000 + 1000 * count))
    os.rename(target + ".new", target)


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
    def __init__(self, given, directory, serve=None):
        self.port = history.free_port()
        serve = serve or given.serve
        command = serve.format(dir=directory, port=self.port, tasks=given.tasks).split() if "{dir}" in serve else \
            [serve, directory, "127.0.0.1:%d" % self.port, str(given.tasks)]
        self.server = history.Server(command, self.port, {})

    def applications(self):
        return json.loads(fetch(self.port, "/?output=json")[0])["applications"]["total"]

    def list(self):
        return [fetch(self.port, "/")[1]]

    def stage(self, application, tasks):
        body, size = fetch(self.port, STAGE % application)
        assert b'id="tasks"' in body
        return [size]

    def more(self, application):
        """What is asked of the stage's tasks besides, and of the run."""
        stage, result = STAGE % application, {}
        for name, path in (("order", stage + "&sort=duration&desc=1"), ("order_page", stage + "&sort=duration&desc=1&page=7"),
                           ("search", stage + "&q=0.5+s"), ("search_none", stage + "&q=no+such+text"),
                           ("findings", "/history/%s/findings/" % application), ("what_if", "/history/%s/what-if/" % application),
                           ("what_if_again", "/history/%s/what-if/?executors=3&cores=2" % application), ("cost", "/history/%s/cost/" % application)):
            result[name + "_s"] = timed(lambda: [fetch(self.port, path)[1]])[0]
        result["peak_of_all_mib"] = self.server.peak()
        return result

    def pages(self, application):
        return [fetch(self.port, "/history/%s/%s/" % (application, page))[1] for page in ("jobs", "stages", "SQL", "executors")]

    def reasons(self, application):
        result = {}
        for name in ("findings", "what-if", "cost"):
            result[name.replace("-", "_") + "_s"] = timed(lambda: [fetch(self.port, "/history/%s/%s/" % (application, name))[1]])[0]
        result["peak_of_all_mib"] = self.server.peak()
        return result

    def plan(self, application):
        body, size = fetch(self.port, "/history/%s/SQL/execution/?id=0" % application)
        assert b"<svg" in body
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


def measure(server, count, again, page, more=dict):
    result = {"to_list_s": listed(server, count)}
    result["page_cold_s"], result["page_bytes"] = timed(page)
    result["start_to_page_s"] = time.monotonic() - server.server.begin
    result["page_again_ms"] = 1000 * statistics.median(timed(page)[0] for _ in range(again))
    result["peak_of_pages_mib"] = server.server.peak()
    result.update(more())
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
    arguments.add_argument("--plan", type=int, default=5000, help="nodes of the plan")
    arguments.add_argument("--everything", type=int, default=10000, help="executors, executions, jobs and stages of one application")
    arguments.add_argument("--beside", help="another build of ours, measured in turn")
    arguments.add_argument("--rounds", type=int, default=1, help="with --beside: how often each is measured")
    arguments.add_argument("--only-logs", action="store_true", help="make the logs and end")
    given = arguments.parse_args()
    given.work = os.path.abspath(given.work)
    os.makedirs(given.work, exist_ok=True)
    lines = history.small_log(given.spark_home, given.python, given.work)
    wide, many = os.path.join(given.work, "wide-%d" % given.tasks), os.path.join(given.work, "many-%d" % given.applications)
    os.makedirs(wide, exist_ok=True)
    history.big_log(lines, given.tasks, 1, os.path.join(wide, "app-bench.zstd"), ["zstd", "-1", "-q"])
    many_logs(lines, many, given.applications)
    planned = os.path.join(given.work, "plan-%d" % given.plan)
    plan_log(lines, os.path.join(planned, "app-plan"), given.plan)
    everything = os.path.join(given.work, "everything-%d" % given.everything)
    many_log(lines, os.path.join(everything, "app-everything"), given.everything)
    if given.only_logs:
        return 0
    application = json.loads(next(line for line in lines if name_of(line) == "SparkListenerApplicationStart"))["App ID"]
    places = [("%d applications" % given.applications, many, given.applications), ("%d tasks" % given.tasks, wide, 1),
              ("a plan of %d nodes" % given.plan, planned, 1), ("%d of everything" % given.everything, everything, 1)]

    def measured(who, directory, count):
        server = Spark(given, directory) if who == "spark" else Ours(given, directory, given.beside if who == "beside" else None)
        page, more = {wide: (lambda: server.stage(application, given.tasks), lambda: server.more(application)), many: (server.list, dict),
                      planned: (lambda: server.plan(application), dict),
                      everything: (lambda: server.pages(application), lambda: server.reasons(application))}[directory]
        try:
            return measure(server, count, max(1, given.again // 7) if who == "spark" and directory == wide else given.again, page,
                           dict if who == "spark" else more)
        finally:
            if server.server.process.poll() is None:
                server.server.end()

    report = {}
    for name, directory, count in places[given.skip_list:]:
        runs = {"stoke": []}
        runs.update({"beside": []} if given.beside else {})
        # Spark's page of a plan is laid out by the browser.
        runs.update({"spark": []} if not given.skip_spark and directory in (many, wide) else {})
        for _ in range(given.rounds if given.beside else 1):
            for who in runs:
                runs[who].append(measured(who, directory, count))
                print(json.dumps({name: {who: runs[who][-1]}}), flush=True)
        report[name] = {who: {key: round(statistics.median(run[key] for run in all_runs), 3) for key in all_runs[0]} for who, all_runs in runs.items()}
        for other in ("spark", "beside"):
            if other in runs:
                ours, theirs = report[name]["stoke"], report[name][other]
                report[name]["%s to stoke" % other] = {key: round(theirs[key] / max(ours[key], 1e-6), 1) for key in theirs}
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
