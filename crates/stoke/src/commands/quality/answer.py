# Run by spark-submit: the data of a contract as a view, and the one number of each query, a line of JSON for each.
import decimal
import json
import re
import sys

from pyspark.sql import SparkSession

plan = json.load(open(sys.argv[1]))
answers = open(plan["answers"], "w")
table = plan["table"]


def tell(**answer):
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def cause(error):
    """The condition of an error and its first sentence, in one line."""
    text = getattr(error, "_desc", None) or getattr(error, "desc", None) or str(error)
    # What broke in a task is told after the trace of the driver's own failure.
    inner = re.findall(r"\[[A-Z][A-Z0-9_.]+\][^\n]*", str(text))
    name = None
    for method in ("getCondition", "getErrorClass"):
        try:
            name = name or getattr(error, method)()
        except Exception:
            pass
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    said = next((line for line in inner if name and line.startswith("[%s]" % name)), None)
    said = said or (inner[-1] if inner else lines[0] if lines else type(error).__name__)
    if name and not said.startswith("["):
        said = "[%s] %s" % (name, said)
    return " ".join(said.split())[:500]


def quoted(name):
    return "`%s`" % name.replace("`", "``")


def text(value):
    return "'%s'" % value.replace("\\", "\\\\").replace("'", "\\'")


def column(name, of):
    """A column of text as its type; a text that is not of it breaks the queries that use the column."""
    value = quoted(name)
    if table["format"] == "csv" and table["nulls"]:
        nulls = ", ".join(text(null) for null in table["nulls"])
        value = "CASE WHEN %s IN (%s) THEN NULL ELSE %s END" % (value, nulls, value)
    return "CAST(%s AS %s) AS %s" % (value, of, quoted(name))


def view():
    reader = session.read
    if table["base"]:
        reader = reader.option("basePath", table["base"])
    if table["format"] == "parquet":
        return reader.option("mergeSchema", "true").parquet(*table["files"])
    strings = ", ".join("%s STRING" % quoted(name) for name, _ in table["columns"])
    reader = reader.schema(strings).option("mode", "FAILFAST")
    if table["format"] == "json":
        frame = reader.json(table["files"])
    else:
        reader = reader.option("sep", table["delimiter"]).option("header", table["header"])
        reader = reader.option("quote", '"').option("escape", '"').option("multiLine", "true")
        frame = reader.option("enforceSchema", not table["header"]).csv(table["files"])
    known = dict(table["columns"])
    return frame.selectExpr(*[column(name, known[name]) if name in known else quoted(name) for name in frame.columns])


def number(query):
    # Only what is a query: nothing that writes or defines.
    session._jsparkSession.sessionState().sqlParser().parseQuery(query)
    frame = session.sql(query)
    if len(frame.columns) != 1:
        return dict(problem="the query gives %d columns; one number is wanted" % len(frame.columns))
    rows = frame.take(2)
    if len(rows) != 1:
        return dict(problem="the query gives %s; one number is wanted" % ("more rows than one" if rows else "no row"))
    value = rows[0][0]
    if value is None:
        return dict(problem="the query gives null; one number is wanted")
    if isinstance(value, bool) or not isinstance(value, (int, float, decimal.Decimal)):
        return dict(problem="the query gives a %s; one number is wanted" % frame.schema[0].dataType.simpleString())
    return dict(number=str(value))


session = SparkSession.builder.getOrCreate()
session.sparkContext.setLogLevel("ERROR")
try:
    frame = view()
    for name in plan["names"]:
        frame.createOrReplaceTempView(quoted(name))
    problem = None
except Exception as error:
    problem = "Spark cannot read the data: " + cause(error)
for query in plan["queries"]:
    if problem:
        tell(problem=problem)
        continue
    try:
        tell(**number(query))
    except Exception as error:
        tell(problem="Spark refuses the query: " + cause(error))
session.stop()
