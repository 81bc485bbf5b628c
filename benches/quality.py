#!/usr/bin/env python3
"""Seven checks over ten million rows: ours beside DuckDB, Polars, Great Expectations and pandera, in one run.

    cargo build --release -p stoke-quality --features examples --example check
    benches/quality.py --work DIRECTORY [--check target/release/examples/check] [--rows 10000000] [--rounds 3] [--slow-rounds 1] [--cases NAME ...]

Needs duckdb, polars, great_expectations, pandera, pandas and pyarrow in the Python that runs it. Makes the data under --work (kept, and used again): an
integer id, an e-mail address that is unique, a double, a country of 20, a timestamp; snappy Parquet in row groups of a million.

Checked are the number of rows, nulls of all columns, uniqueness of the id, the addresses by a regular expression, the countries by a set, the double
by a range, and the age of the latest timestamp. DuckDB and Polars do it by one query written by hand. Each runs in a process of its own, reads the file
itself, and must find the same: nothing wrong; then, in a copy with faults, so many faults. The cases:

    sequential   ids that count up, in ten row groups
    faults       the same with faults
    one-group    ids that count up, all in one row group
    random       ids all over 64 bits
    ids          five columns of such ids, each of which must be unique
    csv          as `sequential`, in CSV whose types are given to all

Great Expectations and pandera hold the whole table as a frame of pandas; they run in `sequential`, `faults` and `ids`, --slow-rounds times each.

Printed are the medians of wall time, processor time and peak memory, and the medians of their ratios to ours round by round. No test depends on them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

COLUMNS = ["id", "email", "amount", "country", "at"]
IDS = ["a", "b", "c", "d", "e"]
COUNTRIES = ["DE", "FR", "US", "GB", "IT", "ES", "NL", "BE", "AT", "CH", "SE", "NO", "FI", "DK", "PL", "CZ", "PT", "IE", "GR", "HU"]
EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"

CONTRACT = """
name: benchmark
rows: {min: 1}
columns:
  id: {type: bigint, required: true, unique: true}
  email: {type: string, required: true, pattern: '%s'}
  amount: {type: double, required: true, min: 0, max: 1000}
  country: {type: string, required: true, in: [%s]}
  at: {type: timestamp_ntz, required: true, maxAge: 87600h, timezone: UTC}
""" % (EMAIL.replace("'", "''"), ", ".join("'%s'" % c for c in COUNTRIES))

IDS_CONTRACT = "name: ids\ncolumns:\n" + "".join("  %s: {unique: true}\n" % name for name in IDS)

# Odd factors map the numbers of rows one to one to numbers all over 64 bits.
FACTORS = [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F]


def make_ids(path, rows):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    step = 1_000_000
    writer = None
    for first in range(0, rows, step):
        number = np.arange(first, min(first + step, rows)).astype(np.uint64)
        made = pa.table({name: (number * np.uint64(factor)).astype(np.int64) for name, factor in zip(IDS, FACTORS)})
        writer = writer or pq.ParquetWriter(path, made.schema, compression="snappy")
        writer.write_table(made, row_group_size=step)
    writer.close()


def make(path, rows, case):
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq
    rng = np.random.default_rng(1)
    step = 1_000_000
    all_ids = np.arange(rows, dtype=np.int64)
    if case == "random":
        all_ids = (all_ids.astype(np.uint64) * np.uint64(FACTORS[0])).astype(np.int64)
    writer, kept = None, []
    for first in range(0, rows, step):
        n = min(step, rows - first)
        number = np.arange(first, first + n)
        mail = pa.array(["user%d@mail%d.example.com" % (i, i % 100) for i in number])
        one = all_ids[first:first + n].copy()
        amount = rng.uniform(0, 1000, n)
        country = np.array(COUNTRIES)[rng.integers(0, 20, n)]
        if case == "faults":
            bad = number % 1000 == 7
            mail = pa.array(["nobody" if b else m for b, m in zip(bad, mail.to_pylist())])
            amount[number % 2000 == 3] = -1.0
            country[number % 5000 == 11] = "XX"
            one[number % 10000 == 13] = all_ids[0]
        at = pa.array((1_767_225_600_000_000 + number * 1000), pa.timestamp("us"))
        made = pa.table({"id": one, "email": mail, "amount": amount, "country": pa.array(country), "at": at})
        if case == "one-group":
            kept.append(made)
        elif case == "csv":
            writer = writer or pyarrow.csv.CSVWriter(path, made.schema, write_options=pyarrow.csv.WriteOptions(quoting_style="none"))
            writer.write_table(made)
        else:
            writer = writer or pq.ParquetWriter(path, made.schema, compression="snappy")
            writer.write_table(made, row_group_size=step)
    if kept:
        pq.write_table(pa.concat_tables(kept), path, compression="snappy", row_group_size=rows)
    else:
        writer.close()


def duckdb_(path, case):
    import duckdb
    if case == "ids":
        return list(duckdb.sql("select count(*), %s from '%s'" % (
            ", ".join("count({0}) - count(distinct {0})".format(name) for name in IDS), path)).fetchall()[0])
    types = dict(zip(COLUMNS, ["bigint", "varchar", "double", "varchar", "timestamp"]))
    source = "read_csv('%s', header = true, columns = %s)" % (path, types) if case == "csv" else "'%s'" % path
    countries = ",".join("'%s'" % c for c in COUNTRIES)
    row = duckdb.sql("""select count(*), count(*) filter (id is null or email is null or amount is null or country is null or "at" is null),
        count(id) - count(distinct id), count(*) filter (not regexp_matches(email, '%s')), count(*) filter (country not in (%s)),
        count(*) filter (not (amount between 0 and 1000)), max("at") from %s""" % (EMAIL, countries, source)).fetchall()[0]
    return list(row[:6])


def polars_(path, case):
    import polars as pl
    c = pl.col
    if case == "ids":
        return list(pl.scan_parquet(path).select(
            pl.len().alias("rows"), *[(c(name).count() - c(name).n_unique()).alias(name) for name in IDS]).collect(engine="streaming").row(0))
    types = dict(zip(COLUMNS, [pl.Int64, pl.String, pl.Float64, pl.String, pl.Datetime("us")]))
    frame = pl.scan_csv(path, schema=types) if case == "csv" else pl.scan_parquet(path)
    row = frame.select(
        pl.len().alias("rows"), pl.sum_horizontal(pl.all().null_count()).alias("nulls"), (c("id").count() - c("id").n_unique()).alias("twice"),
        (~c("email").str.contains(EMAIL)).sum().alias("mail"), (~c("country").is_in(COUNTRIES)).sum().alias("set"),
        (~c("amount").is_between(0, 1000)).sum().alias("range"), c("at").max().alias("at")).collect(engine="streaming").row(0)
    return list(row[:6])


def gx_(path, case):
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
    if case == "ids":
        suite = gx.ExpectationSuite(name="s", expectations=[gxe.ExpectColumnValuesToBeUnique(column=name) for name in IDS])
        found = {r.expectation_config.kwargs["column"]: r.result["unexpected_count"] for r in batch.validate(suite, result_format="BASIC").results}
        return [len(frame)] + [max(found[name] - 1, 0) for name in IDS]
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


def pandera_(path, case):
    import pandas as pd
    import pandera.pandas as pa
    frame = pd.read_parquet(path)
    if case == "ids":
        pa.DataFrameSchema({name: pa.Column("int64", unique=True) for name in IDS}).validate(frame, lazy=True)
        return [len(frame)] + [0] * len(IDS)
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


def ours(out, case):
    report = json.loads(out)
    by_id = {one["id"]: one for one in report["checks"]}
    assert all(one["verdict"] != "cannotTell" for one in report["checks"]), report
    twice = lambda name: by_id[name + ".unique"]["observed"]["duplicates"]
    if case == "ids":
        return [report["data"]["rows"]] + [twice(name) for name in IDS]
    nulls = sum(by_id[c + ".required"]["unexpected"] for c in COLUMNS)
    return [report["data"]["rows"], nulls, twice("id"), by_id["email.pattern"]["unexpected"],
            by_id["country.in"]["unexpected"], by_id["amount.min"]["unexpected"]]


def measured(command):
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit("%s failed" % command)
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out


def compare(given, case, engines):
    """One case: all engines in turn, round by round."""
    path = os.path.join(given.work, "%s-%d.%s" % (case, given.rows, "csv" if case == "csv" else "parquet"))
    if not os.path.exists(path):
        new = os.path.join(given.work, "new." + path.rsplit(".", 1)[1])
        make_ids(new, given.rows) if case == "ids" else make(new, given.rows, case)
        os.rename(new, path)
    contract = os.path.join(given.work, "%s.yaml" % case)
    with open(contract, "w") as out:
        out.write(IDS_CONTRACT if case == "ids" else CONTRACT)
    runs = {name: [] for name in ["ours"] + engines}
    answers = {}
    for round in range(given.rounds):
        for name in runs:
            if name in SLOW and round >= given.slow_rounds:
                continue
            command = [given.check, contract, path] if name == "ours" else [
                sys.executable, os.path.abspath(__file__), "--work", given.work, "--one", name, path, case]
            wall, cpu, peak, out = measured(command)
            runs[name].append((wall, cpu, peak))
            answers[name] = ours(out, case) if name == "ours" else json.loads(out.splitlines()[-1])
            if answers[name] != answers["ours"]:
                raise SystemExit("%s found %s, ours %s" % (name, answers[name], answers["ours"]))
    print("%s, %d rows, %d MB: %s" % (case, given.rows, os.path.getsize(path) / 1e6, answers["ours"]))
    for name, own in runs.items():
        medians = [statistics.median(run[i] for run in own) for i in range(3)]
        ratios = [statistics.median(theirs[i] / mine[i] for theirs, mine in zip(own, runs["ours"])) for i in range(3)]
        print("  %-20s wall %6.2f s (%5.2fx)  cpu %6.2f s (%5.2fx)  peak %6.0f MiB (%5.2fx)" % (
            name, medians[0], ratios[0], medians[1], ratios[1], medians[2], ratios[2]), flush=True)


CASES = ["sequential", "faults", "one-group", "random", "ids", "csv"]
SLOW = ["great_expectations", "pandera"]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--work", required=True)
    arguments.add_argument("--check", default="target/release/examples/check")
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--slow-rounds", type=int, default=1)
    arguments.add_argument("--cases", nargs="*", choices=CASES, default=CASES)
    arguments.add_argument("--only", nargs="*")
    arguments.add_argument("--one", nargs=3)
    given = arguments.parse_args()
    engines = {"duckdb": duckdb_, "polars": polars_, "great_expectations": gx_, "pandera": pandera_}
    if given.one:
        name, path, case = given.one
        print(json.dumps(engines[name](path, case)))
        return
    os.makedirs(given.work, exist_ok=True)
    for case in given.cases:
        slow = case in ["sequential", "faults", "ids"]
        names = [name for name in engines if (slow or name not in SLOW) and (given.only is None or name in given.only)]
        compare(given, case, names)


if __name__ == "__main__":
    main()
