#!/usr/bin/env python3
"""Seven checks over ten million rows: ours beside DuckDB, Polars, Great Expectations and pandera, in one run.

    cargo build --release -p stoke-quality --example check
    benches/quality.py --work DIRECTORY [--check target/release/examples/check] [--rows 10000000] [--rounds 3] [--ids sequential|random]

Needs duckdb, polars, great_expectations, pandera, pandas and pyarrow in the Python that runs it. Makes the data under --work (kept, and used again): an
integer id, an e-mail address that is unique, a double, a country of 20, a timestamp; snappy Parquet in row groups of a million.

Checked are the number of rows, nulls of all columns, uniqueness of the id, the addresses by a regular expression, the countries by a set, the double
by a range, and the age of the latest timestamp. DuckDB and Polars do it by one query written by hand. Each runs in a process of its own, reads the file
itself, and must find the same: nothing wrong; then, in a copy with faults, so many faults.

Printed are the medians of wall time, processor time and peak memory, and their ratios to ours. No test depends on them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

COUNTRIES = ["DE", "FR", "US", "GB", "IT", "ES", "NL", "BE", "AT", "CH", "SE", "NO", "FI", "DK", "PL", "CZ", "PT", "IE", "GR", "HU"]
EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"

CONTRACT = """
name: benchmark
rows: {min: 1}
columns:
  id: {required: true, unique: true}
  email: {required: true, pattern: '%s'}
  amount: {required: true, min: 0, max: 1000}
  country: {required: true, in: [%s]}
  at: {required: true, maxAge: 87600h, timezone: UTC}
""" % (EMAIL.replace("'", "''"), ", ".join("'%s'" % c for c in COUNTRIES))


def make(path, rows, faults, ids):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    if os.path.exists(path):
        return
    rng = np.random.default_rng(1)
    step = 1_000_000
    all_ids = np.arange(rows, dtype=np.int64)
    if ids == "random":
        # Different numbers all over 64 bits: an odd factor maps them one to one.
        all_ids = (all_ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(np.int64)
    writer = None
    for first in range(0, rows, step):
        n = min(step, rows - first)
        number = np.arange(first, first + n)
        mail = pa.array(["user%d@mail%d.example.com" % (i, i % 100) for i in number])
        one = all_ids[first:first + n].copy()
        amount = rng.uniform(0, 1000, n)
        country = np.array(COUNTRIES)[rng.integers(0, 20, n)]
        if faults:
            bad = number % 1000 == 7
            mail = pa.array(["nobody" if b else m for b, m in zip(bad, mail.to_pylist())])
            amount[number % 2000 == 3] = -1.0
            country[number % 5000 == 11] = "XX"
            one[number % 10000 == 13] = all_ids[0]
        at = pa.array((1_767_225_600_000_000 + number * 1000), pa.timestamp("us"))
        made = pa.table({"id": one, "email": mail, "amount": amount, "country": pa.array(country), "at": at})
        writer = writer or pq.ParquetWriter(path + ".new", made.schema, compression="snappy")
        writer.write_table(made, row_group_size=step)
    writer.close()
    os.rename(path + ".new", path)


def duckdb_(path):
    import duckdb
    countries = ",".join("'%s'" % c for c in COUNTRIES)
    row = duckdb.sql("""select count(*), count(*) filter (id is null or email is null or amount is null or country is null or "at" is null),
        count(id) - count(distinct id), count(*) filter (not regexp_matches(email, '%s')), count(*) filter (country not in (%s)),
        count(*) filter (not (amount between 0 and 1000)), max("at") from '%s'""" % (EMAIL, countries, path)).fetchall()[0]
    return list(row[:6])


def polars_(path):
    import polars as pl
    c = pl.col
    row = pl.scan_parquet(path).select(
        pl.len().alias("rows"), pl.sum_horizontal(pl.all().null_count()).alias("nulls"), (c("id").count() - c("id").n_unique()).alias("twice"),
        (~c("email").str.contains(EMAIL)).sum().alias("mail"), (~c("country").is_in(COUNTRIES)).sum().alias("set"),
        (~c("amount").is_between(0, 1000)).sum().alias("range"), c("at").max().alias("at")).collect(engine="streaming").row(0)
    return list(row[:6])


def gx_(path):
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import logging
    import warnings
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd
    frame = pd.read_parquet(path)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="s", expectations=[
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        *[gxe.ExpectColumnValuesToNotBeNull(column=c) for c in ["id", "email", "amount", "country", "at"]],
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        gxe.ExpectColumnValuesToMatchRegex(column="email", regex=EMAIL),
        gxe.ExpectColumnValuesToBeInSet(column="country", value_set=COUNTRIES),
        gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0, max_value=1000),
        gxe.ExpectColumnMaxToBeBetween(column="at", min_value="2017-01-01T00:00:00"),
    ])
    results = batch.validate(suite, result_format="BASIC").results
    found = {r.expectation_config.type + str(r.expectation_config.kwargs.get("column")): r for r in results}
    count = lambda name: found[name].result["unexpected_count"]
    nulls = sum(count("expect_column_values_to_not_be_null" + c) for c in ["id", "email", "amount", "country", "at"])
    # Of a repeated value all rows count there.
    twice = max(count("expect_column_values_to_be_uniqueid") - 1, 0)
    return [len(frame), nulls, twice, count("expect_column_values_to_match_regexemail"), count("expect_column_values_to_be_in_setcountry"),
            count("expect_column_values_to_be_betweenamount")]


def pandera_(path):
    import pandas as pd
    import pandera.pandas as pa
    frame = pd.read_parquet(path)
    schema = pa.DataFrameSchema({
        "id": pa.Column("int64", unique=True), "email": pa.Column(checks=pa.Check.str_matches(EMAIL)),
        "amount": pa.Column("float64", pa.Check.in_range(0, 1000)), "country": pa.Column(checks=pa.Check.isin(COUNTRIES)),
        "at": pa.Column(checks=pa.Check(lambda s: s.max() > pd.Timestamp("2017-01-01"))),
    })
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        count = lambda column: int((cases["column"] == column).sum())
        return [len(frame), 0, max(count("id") - 1, 0), count("email"), count("country"), count("amount")]
    return [len(frame), 0, 0, 0, 0, 0]


def ours(check, contract, path):
    done = subprocess.run([check, contract, path], check=True, stdout=subprocess.PIPE)
    report = json.loads(done.stdout)
    by_id = {one["id"]: one for one in report["checks"]}
    assert all(one["verdict"] != "cannotTell" for one in report["checks"]), report
    nulls = sum(by_id[c + ".required"]["unexpected"] for c in ["id", "email", "amount", "country", "at"])
    return [report["data"]["rows"], nulls, by_id["id.unique"]["observed"]["duplicates"], by_id["email.pattern"]["unexpected"],
            by_id["country.in"]["unexpected"], by_id["amount.min"]["unexpected"]]


def measured(command):
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit("%s failed" % command)
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--work", required=True)
    arguments.add_argument("--check", default="target/release/examples/check")
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--ids", choices=["sequential", "random"], default="sequential")
    arguments.add_argument("--only", nargs="*")
    arguments.add_argument("--one", nargs=2)
    given = arguments.parse_args()
    engines = {"duckdb": duckdb_, "polars": polars_, "great_expectations": gx_, "pandera": pandera_}
    contract = os.path.join(given.work, "contract.yaml")
    if given.one:
        name, path = given.one
        print(json.dumps(engines[name](path)))
        return
    os.makedirs(given.work, exist_ok=True)
    with open(contract, "w") as out:
        out.write(CONTRACT)
    names = [name for name in engines if not given.only or name in given.only]
    for faults in [False, True]:
        path = os.path.join(given.work, "%s-%d-%s.parquet" % ("faults" if faults else "clean", given.rows, given.ids))
        make(path, given.rows, faults, given.ids)
        everyone = ["ours"] + names
        runs = {name: [] for name in everyone}
        answers = {}
        for _ in range(given.rounds):
            for name in everyone:
                command = [given.check, contract, path] if name == "ours" else [
                    sys.executable, os.path.abspath(__file__), "--work", given.work, "--one", name, path]
                wall, cpu, peak, out = measured(command)
                runs[name].append((wall, cpu, peak))
                if name != "ours":
                    answers[name] = json.loads(out.splitlines()[-1])
        answers["ours"] = ours(given.check, contract, path)
        for name, answer in answers.items():
            if answer != answers["ours"]:
                raise SystemExit("%s found %s, ours %s" % (name, answer, answers["ours"]))
        print("%s, %d rows, %d MB: %s" % (os.path.basename(path), given.rows, os.path.getsize(path) / 1e6, answers["ours"]))
        base = [statistics.median(run[i] for run in runs["ours"]) for i in range(3)]
        for name in everyone:
            medians = [statistics.median(run[i] for run in runs[name]) for i in range(3)]
            ratios = [statistics.median(theirs[i] / mine[i] for theirs, mine in zip(runs[name], runs["ours"])) for i in range(3)]
            print("  %-20s wall %6.2f s (%5.2fx)  cpu %6.2f s (%5.2fx)  peak %6.0f MiB (%5.2fx)" % (
                name, medians[0], ratios[0], medians[1], ratios[1], medians[2], ratios[2]))


if __name__ == "__main__":
    main()
