"""Verdicts of Great Expectations itself, of 0.18 or 1.x, on its pandas engine, for a matrix of expectations over generated data.

    oracle.py DIRECTORY SEED

Writes Parquet files and `cases.jsonl` there: one case a line, with the expectation as a suite writes it and what the library says.
"""

import copy
import json
import logging
import os
import random
import sys
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"
os.environ["TQDM_DISABLE"] = "1"
warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

import great_expectations as gx
import pyarrow as pa
import pyarrow.parquet as pq
from great_expectations.expectations import core as _
from great_expectations.expectations.registry import get_expectation_impl, list_registered_expectation_implementations

LEGACY = gx.__version__.startswith("0.")
directory, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)


def maybe(value, share):
    return None if rng.random() < share else value


def table(rows):
    words = ["DE", "FR", "US", "", "a rather long text of a country", "straße", "x\n"]
    hosts = ["example.com", "example.org", "mail.example.net", "nowhere", "exämple.com"]
    start = 1_767_225_600
    columns = {
        "id": pa.array(range(rows), pa.int64()),
        "twice": pa.array([rng.randrange(max(rows, 1)) for _ in range(rows)], pa.int64()),
        "small": pa.array([rng.randrange(5) for _ in range(rows)], pa.int32()),
        "number": pa.array([round(rng.uniform(-10, 110), 2) for _ in range(rows)], pa.float64()),
        "holes": pa.array([maybe(rng.uniform(0, 1), 0.2) for _ in range(rows)], pa.float64()),
        "nans": pa.array([float("nan") if rng.random() < 0.2 else float(rng.randrange(4)) for _ in range(rows)], pa.float64()),
        "sparse": pa.array([maybe(rng.randrange(3), 0.4) for _ in range(rows)], pa.int64()),
        "word": pa.array([maybe(rng.choice(words), 0.1) for _ in range(rows)], pa.string()),
        "mail": pa.array(["u%d@%s" % (i, rng.choice(hosts)) for i in range(rows)], pa.string()),
        "flag": pa.array([rng.random() < 0.9 for _ in range(rows)], pa.bool_()),
        "at": pa.array([(start + 3600 * i - 3601 * (i % 7 == 3)) * 1_000_000 for i in range(rows)], pa.timestamp("us")),
        "zoned": pa.array([(start + 60 * i) * 1_000_000 for i in range(rows)], pa.timestamp("us", "UTC")),
        "empty": pa.array([None] * rows, pa.string()),
        "json": pa.array([rng.choice(["{}", "[1, 2]", "{a: 1}", "null", "7", "\"x\""]) for _ in range(rows)], pa.string()),
        "day": pa.array([rng.choice(["2026-01-31", "2026-02-28", "2026-02-30", "31.01.2026"]) for _ in range(rows)], pa.string()),
        "rising": pa.array([i // 2 for i in range(rows)], pa.int64()),
    }
    return pa.table(columns)


def matrix(rows):
    """Expectations of every kind, with arguments on both sides of what holds."""
    def of(kind, **kwargs):
        return kind, kwargs

    shares = [0.5, 0.8, 0.9, 1.0] + [1 - rng.randrange(1, 12) / rows if rows else 0.7 for _ in range(3)]
    value = "expect_column_values_to_"
    cases = [
        of("expect_table_row_count_to_be_between", min_value=1),
        of("expect_table_row_count_to_be_between", min_value=rows, max_value=rows),
        of("expect_table_row_count_to_be_between", min_value=rows, strict_min=True),
        of("expect_table_row_count_to_be_between"),
        of("expect_table_row_count_to_equal", value=rows),
        of("expect_table_row_count_to_equal", value=rows + 1),
        of("expect_table_column_count_to_equal", value=16),
        of("expect_table_column_count_to_be_between", min_value=3, max_value=10),
        of("expect_table_columns_to_match_set", column_set=["id", "word"]),
        of("expect_table_columns_to_match_set", column_set=["id", "word"], exact_match=False),
        of("expect_table_columns_to_match_ordered_list", column_list=["id", "twice"]),
        of("expect_table_columns_to_match_ordered_list", column_list=table(0).column_names),
        of("expect_column_to_exist", column="id"),
        of("expect_column_to_exist", column="no"),
        of("expect_column_to_exist", column="twice", column_index=1),
        of("expect_column_to_exist", column="twice", column_index=2),
        of("expect_column_to_exist", column="twice", column_index=0),
        of("expect_column_to_exist", column="rising", column_index=-1),
        of(value + "not_be_null", column="no"),
    ]
    for column in table(0).column_names:
        for mostly in [1.0, rng.choice(shares), rng.choice(shares)]:
            cases.append(of(value + "not_be_null", column=column, mostly=mostly))
            cases.append(of(value + "be_null", column=column, mostly=mostly))
            cases.append(of(value + "be_unique", column=column, mostly=mostly))
        cases.append(of("expect_column_unique_value_count_to_be_between", column=column, min_value=2, max_value=7))
        cases.append(of("expect_column_proportion_of_unique_values_to_be_between", column=column, min_value=0.1, max_value=0.9))
        cases.append(of("expect_column_proportion_of_non_null_values_to_be_between", column=column, min_value=0.7))
    for column, low, high in [("id", 0, rows - 1), ("id", 1, rows), ("small", 0, 3), ("small", 1.5, 3.5), ("number", 0, 100),
                              ("holes", 0.1, 0.95), ("nans", 1, 2), ("sparse", 0, 1), ("word", "A", "Z"), ("word", 1, 2), ("id", "a", "b"),
                              ("at", "2026-01-01", "2026-01-03T12:00:00"), ("at", "2026-01-01T00:00:00", None)]:
        for strict_min, strict_max in [(False, False), (True, False), (False, True), (True, True)]:
            mostly = rng.choice(shares)
            arguments = {"column": column, "min_value": low, "strict_min": strict_min, "strict_max": strict_max, "mostly": mostly}
            if high is not None:
                arguments["max_value"] = high
            cases.append((value + "be_between", arguments))
            cases.append((value + "be_between", {k: v for k, v in arguments.items() if k != "min_value"} if high is not None else arguments))
    for column in ["id", "small", "number", "holes", "nans", "sparse", "empty"]:
        for metric in ["min", "max", "mean", "median", "stdev", "sum"]:
            low = rng.choice([None, -20, 0, 0.3, 1])
            high = rng.choice([None, 0.4, 2.5, 60, 10 ** 9])
            if low is None and high is None:
                high = 50
            if low is not None and high is not None and low > high:
                low, high = high, low
            arguments = {"column": column, "strict_min": rng.random() < 0.5, "strict_max": rng.random() < 0.5}
            if low is not None:
                arguments["min_value"] = low
            if high is not None:
                arguments["max_value"] = high
            cases.append(("expect_column_%s_to_be_between" % metric, arguments))
        if column != "empty":
            cases.append(of("expect_column_quantile_values_to_be_between", column=column, quantile_ranges={
                "quantiles": [0.0, 0.25, 0.5, 1.0], "value_ranges": [[None, 1], [-20, rows], [0, rows / 2], [None, 10 ** 6]]}))
            cases.append(of("expect_column_quantile_values_to_be_between", column=column, quantile_ranges={
                "quantiles": [0.1, 0.9], "value_ranges": [[0, 0.2], [0.8, 4]]}))
    # Arguments that are parameters, with their values beside their names. The library takes those out of what it is given.
    for low, high in [(0, rows - 1), (1, rows), (rows, rows)]:
        cases.append(of(value + "be_between", column="id", min_value={"$PARAMETER": "low", "$PARAMETER.low": low}, max_value=high))
        cases.append(of(value + "be_between", column="id", min_value=low, max_value={"$PARAMETER": "high_2", "$PARAMETER.high_2": high}))
        cases.append(of("expect_table_row_count_to_equal", value={"$PARAMETER": "rows", "$PARAMETER.rows": high}))
    cases.append(of("expect_column_min_to_be_between", column="word", min_value="", max_value="E"))
    cases.append(of("expect_column_max_to_be_between", column="at", min_value="2026-01-01T00:00:00"))
    for column, values in [("small", [0, 1, 2, 3, 4]), ("small", [0, 1]), ("small", ["0", "1"]), ("small", [0.0, 1.0, 2.0, 3.0, 4.0]),
                           ("sparse", [0, 1, 2]), ("nans", [0, 1, 2]), ("word", ["DE", "FR", "US", ""]), ("word", [1, 2]),
                           ("word", ["DE", "FR", "US", "", "a rather long text of a country", "straße", "x\n"]), ("flag", [True]),
                           ("empty", ["x"]), ("number", [1.5])]:
        for mostly in [1.0, rng.choice(shares)]:
            cases.append(of(value + "be_in_set", column=column, value_set=values, mostly=mostly))
            cases.append(of(value + "not_be_in_set", column=column, value_set=values, mostly=mostly))
        for rule in ["be_in_set", "contain_set", "equal_set"]:
            cases.append(of("expect_column_distinct_values_to_" + rule, column=column, value_set=values))
        for ties in [True, False]:
            cases.append(of("expect_column_most_common_value_to_be_in_set", column=column, value_set=values, ties_okay=ties))
    patterns = ["^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", "e", "^$", "^.{0,8}$", "\\d+@", "(?i)EXAMPLE", "^[A-Z]{2}$", "ß", "\\bexample\\b", "^u\\d+@(?!nowhere)"]
    for column in ["word", "mail", "empty"]:
        for pattern in patterns:
            mostly = rng.choice(shares)
            cases.append(of(value + "match_regex", column=column, regex=pattern, mostly=mostly))
            cases.append(of(value + "not_match_regex", column=column, regex=pattern, mostly=mostly))
        for match in ["any", "all"]:
            cases.append(of(value + "match_regex_list", column=column, regex_list=["e", "x"], match_on=match, mostly=rng.choice(shares)))
        cases.append(of(value + "not_match_regex_list", column=column, regex_list=["^$", "@nowhere"], mostly=rng.choice(shares)))
        cases.append(of("expect_column_value_lengths_to_equal", column=column, value=2, mostly=rng.choice(shares)))
        for low, high in [(0, 10), (2, 31), (3, None), (None, 6)]:
            arguments = {"column": column, "mostly": rng.choice(shares), "strict_min": rng.random() < 0.3, "strict_max": rng.random() < 0.3}
            if low is not None:
                arguments["min_value"] = low
            if high is not None:
                arguments["max_value"] = high
            cases.append(("expect_column_value_lengths_to_be_between", arguments))
    for mostly in shares:
        cases.append(of(value + "match_regex", column="small", regex="^[0-3]$", mostly=mostly))
        cases.append(of(value + "be_json_parseable", column="json", mostly=mostly))
        cases.append(of(value + "match_strftime_format", column="day", strftime_format="%Y-%m-%d", mostly=mostly))
        cases.append(of(value + "match_strftime_format", column="day", strftime_format="%d.%m.%Y", mostly=mostly))
    for column in ["id", "rising", "twice", "number", "nans", "holes", "at", "zoned", "sparse"]:
        for strictly in [True, False]:
            mostly = rng.choice(shares)
            cases.append(of(value + "be_increasing", column=column, strictly=strictly, mostly=mostly))
            cases.append(of(value + "be_decreasing", column=column, strictly=strictly, mostly=mostly))
    pairs = [("id", "rising"), ("twice", "id"), ("sparse", "nans"), ("sparse", "small"), ("word", "empty"), ("number", "holes"), ("word", "mail")]
    for one, other in pairs:
        for ignore in ["both_values_are_missing", "either_value_is_missing", "neither"]:
            mostly = rng.choice(shares)
            if (one, other) != ("word", "mail"):
                cases.append(of("expect_column_pair_values_to_be_equal", column_A=one, column_B=other, ignore_row_if=ignore, mostly=mostly))
            if one not in ("word",):
                for equal in [True, False]:
                    cases.append(of("expect_column_pair_values_a_to_be_greater_than_b", column_A=one, column_B=other, ignore_row_if=ignore,
                                    or_equal=equal, mostly=mostly))
    for ignore in ["both_values_are_missing", "either_value_is_missing", "neither"]:
        cases.append(of("expect_column_pair_values_to_be_in_set", column_A="sparse", column_B="small", ignore_row_if=ignore,
                        value_pairs_set=[[0, 0], [1, 1], [2, 2], [0, 1], [None, 1], [1, 3]], mostly=rng.choice(shares)))
    for ignore in ["all_values_are_missing", "any_value_is_missing", "never"]:
        for columns in [["small", "sparse"], ["small", "sparse", "nans"], ["id", "word"], ["sparse", "nans"]]:
            mostly = rng.choice(shares)
            cases.append(of("expect_compound_columns_to_be_unique", column_list=columns, ignore_row_if=ignore, mostly=mostly))
        for columns in [["small", "sparse"], ["small", "sparse", "nans"]]:
            mostly = rng.choice(shares)
            cases.append(of("expect_select_column_values_to_be_unique_within_record", column_list=columns, ignore_row_if=ignore, mostly=mostly))
            cases.append(of("expect_multicolumn_sum_to_equal", column_list=columns, sum_total=4, ignore_row_if=ignore, mostly=mostly))
            cases.append(of("expect_multicolumn_values_to_be_equal", column_list=columns, ignore_row_if=ignore, mostly=mostly))
    for column in ["id", "small", "number", "holes", "nans", "sparse"]:
        for threshold in [0.5, 1, 2, -1]:
            for double in [True, False]:
                cases.append(of("expect_column_value_z_scores_to_be_less_than", column=column, threshold=threshold, double_sided=double,
                                mostly=rng.choice(shares)))
        for method in ["iqr", "std"]:
            cases.append(of(value + "not_be_outliers", column=column, method=method, multiplier=rng.choice([0.25, 0.5, 1.5]), mostly=rng.choice(shares)))
        for between in ["linear", "lower", "higher", "midpoint", "nearest"]:
            cases.append(of("expect_column_quantile_values_to_be_between", column=column, allow_relative_error=between, quantile_ranges={
                "quantiles": [0.1, 0.33, 0.9], "value_ranges": [[None, 1], [0, 1.5], [0.5, None]]}))
    conditions = [
        ("pandas", text) for text in [
            "id > 3", "small == 2", 'word == "DE"', 'word != "DE"', 'small > 1 and word == "DE"', "small > 3 or holes < 0.5", "not (small > 3)",
            "sparse.notnull()", "word.isnull()", "(small >= 1) & (small <= 3)", "flag", 'word in ["DE", ""]', "`sparse` != 1", "2 < small", "no == 1",
        ]
    ] + [
        ("great_expectations__experimental__" if LEGACY else "great_expectations", text) for text in [
            'col("id") > 3', 'col("word") == "DE"', 'col("word") != "DE"', 'col("sparse").notNull()', 'col("holes") <= 0.5', 'col("id") < -1',
        ]
    ]
    for parser, condition in conditions:
        for kind, kwargs in [
            (value + "be_in_set", {"column": "word", "value_set": ["DE"], "mostly": rng.choice(shares)}),
            (value + "not_be_null", {"column": "sparse", "mostly": rng.choice(shares)}),
            (value + "be_unique", {"column": "twice", "mostly": rng.choice(shares)}),
            (value + "be_increasing", {"column": "at"}),
            ("expect_column_mean_to_be_between", {"column": "small", "min_value": 1, "max_value": 2}),
            ("expect_column_unique_value_count_to_be_between", {"column": "small", "max_value": 3}),
            ("expect_compound_columns_to_be_unique", {"column_list": ["small", "word"]}),
            ("expect_column_distinct_values_to_equal_set", {"column": "small", "value_set": [2]}),
            ("expect_table_row_count_to_be_between", {"min_value": 2, "max_value": 100}),
        ]:
            cases.append((kind, {**kwargs, "row_condition": condition, "condition_parser": parser}))
    # Arguments of types that are not those of the documentation: some are taken for what they could mean, the others refused. The older
    # library takes a sum of text for what it says, a range without ends for one, and half a row for half a row.
    for written in [] if LEGACY else ["1000", " 2 ", "1.5", "1e1", "quack", True, 1.5, [1], None, "$x", "2026-01-01"]:
        # A number of things, or a position, that has something behind the point is refused when a suite is read here.
        if not isinstance(written, (bool, float)) and written not in ["1.5", "1e1"]:
            cases += [
                of("expect_table_row_count_to_equal", value=written),
                of("expect_table_column_count_to_equal", value=written),
                of("expect_column_value_lengths_to_equal", column="word", value=written),
                of("expect_column_to_exist", column="twice", column_index=written),
                of(value + "match_regex", column="mail", regex=written),
            ]
        cases += [
            of("expect_table_row_count_to_be_between", min_value=written),
            of("expect_table_row_count_to_be_between", min_value=0, max_value=written),
            of("expect_table_column_count_to_be_between", min_value=written),
            of("expect_column_value_lengths_to_be_between", column="mail", min_value=written),
            of("expect_column_value_lengths_to_be_between", column="mail", min_value=1, max_value=written),
            of(value + "be_between", column="small", min_value=written),
            of(value + "be_between", column="small", min_value=-1, max_value=written, mostly=0.3),
            of(value + "be_in_set", column="small", value_set=written),
            of(value + "not_be_null", column="sparse", mostly=written),
            of("expect_multicolumn_sum_to_equal", column_list=["small", "id"], sum_total=written),
            of("expect_column_value_z_scores_to_be_less_than", column="number", threshold=written, double_sided=True),
        ]
        for metric in ["min", "max", "mean", "median", "stdev", "sum", "unique_value_count", "proportion_of_unique_values",
                       "proportion_of_non_null_values"]:
            cases.append(of("expect_column_%s_to_be_between" % metric, column="small", min_value=written))
    for column, name in [("id", "int64"), ("id", "int32"), ("small", "int32"), ("number", "float64"), ("number", "int"), ("flag", "bool"), ("id", "int")]:
        cases.append(of("expect_column_values_to_be_of_type", column=column, type_=name))
        cases.append(of("expect_column_values_to_be_in_type_list", column=column, type_list=[name, "float64"]))
    return cases


def of_suite_legacy(name, frame, cases):
    """Results by case, and the cases whose arguments are refused; as 0.18 has it."""
    from great_expectations.core import ExpectationConfiguration
    # What pandas had for times when this library was written.
    for column in ["at", "zoned"]:
        frame[column] = frame[column].dt.as_unit("ns")
    asset = context.sources.add_pandas(name).add_dataframe_asset(name)
    suite = context.add_expectation_suite(name)
    validator = context.get_validator(batch_request=asset.build_batch_request(dataframe=frame), expectation_suite=suite)
    found, refused = {}, set()
    # One by one: there a suite gives several expectations of a column each other's arguments.
    for number, (kind, kwargs) in enumerate(cases):
        configuration = ExpectationConfiguration(kind, copy.deepcopy(kwargs), meta={"case": number})
        try:
            get_expectation_impl(kind)(configuration).validate_configuration(configuration)
        except Exception:
            refused.add(number)
            continue
        found[number] = validator.graph_validate([configuration], runtime_configuration={"result_format": "BASIC", "catch_exceptions": True})[0]
    return found, refused


def of_suite(name, frame, cases):
    """The same as 1.x has it."""
    asset = source.add_dataframe_asset(name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    made, refused = [], set()
    for number, (kind, kwargs) in enumerate(cases):
        try:
            made.append(get_expectation_impl(kind)(**copy.deepcopy(kwargs), meta={"case": number}))
        except Exception:
            refused.add(number)
    # In one suite, several expectations of the quantiles of a column are given the quantiles of one of them.
    alone = [one for one in made if "Quantile" in type(one).__name__]
    suite = gx.ExpectationSuite(name=name, expectations=[])
    suite.expectations = [one for one in made if "Quantile" not in type(one).__name__]
    results = list(batch.validate(suite, result_format="BASIC").results) + [batch.validate(one, result_format="BASIC") for one in alone]
    return {result.expectation_config.meta["case"]: result for result in results}, refused


known = set(list_registered_expectation_implementations())
context = gx.get_context() if LEGACY else gx.get_context(mode="ephemeral")
source = None if LEGACY else context.data_sources.add_pandas("pandas")
with open(os.path.join(directory, "cases.jsonl"), "w") as out:
    for name, rows in [("some", 240), ("few", 3), ("one", 1), ("none", 0)]:
        made = table(rows)
        path = os.path.join(directory, name + ".parquet")
        # Several row groups, so that what is put together of them is compared, too.
        pq.write_table(made, path, row_group_size=max(rows // 3, 1), use_dictionary=rng.random() < 0.5)
        frame = pq.read_table(path).to_pandas()
        cases = [case for case in matrix(rows) if case[0] in known]
        found, refused = (of_suite_legacy if LEGACY else of_suite)(name, frame, cases)
        for number, (kind, kwargs) in enumerate(cases):
            case = {"data": name, "type": kind, "kwargs": kwargs, "refused": number in refused, "success": False, "older": LEGACY}
            if number in found:
                result = found[number]
                info = result.exception_info or {}
                raised = [one for one in ([info] if "raised_exception" in info else list(info.values())) if one.get("raised_exception")]
                case["success"] = bool(result.success)
                case["exception"] = str(raised[0].get("exception_message", "?"))[:200] if raised else None
                for key in ["element_count", "unexpected_count", "missing_count"]:
                    if key in (result.result or {}):
                        case[key] = result.result[key]
            elif number not in refused:
                raise SystemExit("no result of %s %s" % (kind, kwargs))
            out.write(json.dumps(case, default=str) + "\n")
