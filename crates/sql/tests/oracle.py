"""What a Spark's own parser says: statements as a JSON list on the command line's file, out a list of null or the condition of the error."""

import json
import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("OFF")
parser = spark._jsparkSession.sessionState().sqlParser()


def said(statement):
    try:
        parser.parsePlan(statement)
    except Exception as error:
        for ask in ("getCondition", "getErrorClass"):
            try:
                condition = getattr(error, ask)()
            except Exception:
                continue
            if condition:
                return condition
        return type(error).__name__
    return None


with open(sys.argv[1]) as statements:
    answers = [said(statement) for statement in json.load(statements)]
with open(sys.argv[2], "w") as out:
    json.dump(answers, out)
spark.stop()
