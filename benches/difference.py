#!/usr/bin/env python3
"""Ten million rows against ten million: ours beside DuckDB's EXCEPT ALL, datacompy and reladiff, in one run.

    cargo build --release
    benches/difference.py --work DIRECTORY [--ours target/release/stoke] [--rows 1000000 10000000] [--rounds 3] [--slow-rounds 1] [--cases NAME ...]

Needs duckdb, pyarrow, pandas, datacompy and reladiff in the Python that runs it; of those that are missing the rows are left out and named. Makes the data under --work (kept, and used again): an id, a country of 20, an amount as a
decimal, a score as a double, a timestamp, a text of some 20 characters; snappy Parquet. The right side has the same rows in another order, in other files and row groups. Row groups have 100,000 rows whatever the number of rows, since a reader holds some of them. The cases:

    equal        the same rows
    few          100 rows with another amount, 50 lost, 50 added
    key          the same, rows found by their id
    noise        every score is off by up to 1e-12 of itself; rows found by their id

DuckDB answers both directions of EXCEPT ALL by count, which is less than we say; it and reladiff have no tolerance, so neither runs in `noise`. datacompy holds both sides as frames of pandas; reladiff compares two tables of one DuckDB file, which are loaded before its
clock starts. Each runs in a process of its own. Every answer is checked.

Printed are the medians of wall time, processor time and peak memory, and their ratios to ours; and with several numbers of rows, how much the memory of each grows from the first to the last. No test
depends on them. The command is `stoke quality diff`, with what it writes as JSON; --ours may name the example `difference` of stoke-quality too, which is quicker to build.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time

CHANGED, LOST, ADDED = 100, 50, 50

ROWS = """
select i::bigint as id, 'C' || lpad((hash(i) %% 20)::varchar, 2, '0') as country, ((hash(i, 1) %% 100000000) / 100.0)::decimal(14,2) as amount,
  (hash(i, 2) %% 1000000007) / 7.0 as score, make_timestamp((1700000000000000 + (hash(i, 3) %% 10000000000) * 1000)::bigint) as seen_at, 'note of the row ' || (hash(i, 4) %% 1000000)::varchar as note
from range(%d) t(i)
"""


def make(work, rows):
    import duckdb
    done = os.path.join(work, "made-%d" % rows)
    if os.path.exists(done):
        return
    connection = duckdb.connect()
    connection.execute("set temp_directory='%s'" % work)
    left = os.path.join(work, "left")
    os.makedirs(left, exist_ok=True)
    for part in range(4):
        where = "where id %% 4 = %d" % part
        connection.execute("copy (select * from (%s) %s) to '%s/part-%d.parquet' (row_group_size 100000)" % (ROWS % rows, where, left, part))
    changed = "case when id % {0} = 7 and id < {0} * {1} then amount + 0.01 else amount end".format(rows // CHANGED // 2, CHANGED)
    noise = "score * (1 + ((hash(id, 9) % 2001)::double - 1000) * 1e-15)"
    sides = {
        "equal": "select * from read_parquet('{0}/*.parquet')",
        "few": "select id, country, (%s)::decimal(14,2) as amount, score, seen_at, note from read_parquet('{0}/*.parquet') where id %% %d <> 11 or id >= %d union all select id + %d, country, amount, score, seen_at, note from read_parquet('{0}/*.parquet') where id < %d"
        % (changed, rows // LOST // 2, rows // LOST // 2 * LOST, rows, ADDED),
        "noise": "select id, country, amount, %s as score, seen_at, note from read_parquet('{0}/*.parquet')" % noise,
    }
    for name, query in sides.items():
        directory = os.path.join(work, name)
        os.makedirs(directory, exist_ok=True)
        for part in range(6):
            query_part = "select * from (%s) where hash(id) %% 6 = %d order by hash(id, 5)" % (query.format(left), part)
            connection.execute("copy (%s) to '%s/part-%d.parquet' (row_group_size 100000, compression zstd)" % (query_part, directory, part))
    open(done, "w").close()


DUCKDB = """
import duckdb, json, sys
left, right = ("select * from read_parquet('%s/*.parquet')" % side for side in sys.argv[1:3])
c = duckdb.connect()
c.execute("set memory_limit='16GB'; set enable_progress_bar=false")
lost = c.execute("select count(*) from (%s except all %s)" % (left, right)).fetchall()[0][0]
added = c.execute("select count(*) from (%s except all %s)" % (right, left)).fetchall()[0][0]
print(json.dumps([lost, added]))
"""

DATACOMPY = """
import json, sys, pandas, datacompy
left, right = (pandas.read_parquet(side) for side in sys.argv[1:3])
compared = datacompy.Compare(left, right, join_columns="id", rel_tol=float(sys.argv[3]))
print(json.dumps([len(compared.df1_unq_rows), len(compared.df2_unq_rows), int(len(compared.intersect_rows) - compared.count_matching_rows())]))
"""

RELADIFF = """
import json, sys, reladiff
columns = ("country", "amount", "score", "seen_at", "note")
tables = [reladiff.connect_to_table({"driver": "duckdb", "filepath": sys.argv[1]}, name, "id", extra_columns=columns) for name in ("l", "r")]
rows = list(reladiff.diff_tables(*tables, extra_columns=columns))
signs = {"-": set(), "+": set()}
for sign, row in rows:
    signs[sign].add(row[0])
both = signs["-"] & signs["+"]
print(json.dumps([len(signs["-"] - both), len(signs["+"] - both), len(both)]))
"""


def measured(command, differs=False):
    """Runs a command to its end. Ours ends with 1 where data differ, the example with 0."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    if process.returncode not in ([0, 1] if differs else [0]):
        raise RuntimeError((errors.strip().splitlines() or ["no message"])[-1])
    return output, (wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def load(work, case):
    import duckdb
    path = os.path.join(work, "reladiff.duckdb")
    if os.path.exists(path):
        os.remove(path)
    connection = duckdb.connect(path)
    for table, side in (("l", "left"), ("r", case)):
        connection.execute("create table %s as select * from read_parquet('%s/%s/*.parquet')" % (table, work, side))
    connection.close()
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--ours", default="target/release/stoke")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-rounds", type=int, default=1)
    parser.add_argument("--cases", nargs="+", default=["equal", "few", "key", "noise"])
    parser.add_argument("--tools", nargs="+", default=["duckdb", "datacompy", "reladiff"])
    arguments = parser.parse_args()
    grown = {}
    for rows in arguments.rows:
        work = os.path.join(arguments.work, str(rows))
        os.makedirs(work, exist_ok=True)
        # In a process of its own: what this one holds counts as the peak of those it starts.
        maker = multiprocessing.get_context("spawn").Process(target=make, args=(work, rows))
        maker.start()
        maker.join()
        if maker.exitcode != 0:
            sys.exit("the data could not be made")
        print("%d rows against %d" % (rows, rows), flush=True)
        for case in arguments.cases:
            for name, memory in measure(arguments, work, case).items():
                grown.setdefault((case, name), []).append(memory)
    if len(arguments.rows) > 1:
        print("peak memory, %s rows" % " and ".join(map(str, arguments.rows)))
        for (case, name), memory in grown.items():
            if len(memory) == len(arguments.rows):
                print("%-6s %-10s %s MiB, %.2f times" % (case, name, " ".join("%.0f" % one for one in memory), memory[-1] / memory[0]))


def command_of_ours(ours, left, right, key, tolerance):
    if not os.path.basename(ours).startswith("stoke"):
        return [ours, left, right, key or "-", tolerance or "-"]
    more = (["--key", key] if key else []) + (["--tolerance", tolerance] if tolerance else [])
    return [ours, "quality", "diff", left, right, "--output", "json"] + more


def measure(arguments, work, case):
    """Runs the tools on one case; the peak memory of each."""
    python = [sys.executable, "-W", "ignore", "-c"]
    side = {"key": "few"}.get(case, case)
    left, right = (os.path.join(work, name) for name in ("left", side))
    key = "id" if case in ("key", "noise") else None
    expected = {"equal": [0, 0, 0], "noise": [0, 0, 0]}.get(case, [LOST, ADDED, CHANGED])

    def ours(output):
        rows = json.loads(output)["rows"]
        return [rows["lost"], rows["added"], rows["changed"]]

    def both_ways(counts):
        return counts if case in ("key", "noise") else [counts[0] + counts[2], counts[1] + counts[2]]

    command = command_of_ours(arguments.ours, left, right, key, "relative=1e-11" if case == "noise" else None)
    tools = {"ours": (command, lambda out: ours(out) if key else ours(out)[:2])}
    if case in ("equal", "few") and "duckdb" in arguments.tools:
        tools["duckdb"] = (python + [DUCKDB, left, right], lambda out: json.loads(out.splitlines()[-1]))
    if case in ("key", "noise") and "datacompy" in arguments.tools:
        tools["datacompy"] = (python + [DATACOMPY, left, right, "1e-11" if case == "noise" else "0"], json.loads)
    if case == "key" and "reladiff" in arguments.tools:
        tools["reladiff"] = (python + [RELADIFF, load(work, side)], json.loads)
    figures = {}
    rounds = {name: arguments.slow_rounds if name in ("datacompy", "reladiff") else arguments.rounds for name in tools}
    # In turn, so that what else the machine does meets all of them.
    for round_ in range(max(rounds.values())):
        for name, (command, read) in list(tools.items()):
            if round_ >= rounds[name]:
                continue
            try:
                output, figure = measured(command, expected != [0, 0, 0] and name == "ours")
            except RuntimeError as error:
                print("%-6s %-10s left out: %s" % (case, name, error))
                del tools[name]
                continue
            found = read(output)
            if found != both_ways(expected):
                sys.exit("%s in %s: found %s, expected %s" % (name, case, found, both_ways(expected)))
            figures.setdefault(name, []).append(figure)
    medians = {name: [statistics.median(column) for column in zip(*rounds)] for name, rounds in figures.items()}
    for name, (wall, cpu, memory) in medians.items():
        ratios = ""
        if name != "ours" and "ours" in medians:
            ratios = "   to ours: time %.2f, processor %.2f, memory %.2f" % tuple(a / b for a, b in zip(medians[name], medians["ours"]))
        print("%-6s %-10s %7.2f s %8.2f s of processors %7.0f MiB%s" % (case, name, wall, cpu, memory, ratios), flush=True)
    return {name: memory for name, (_, _, memory) in medians.items()}


if __name__ == "__main__":
    main()
