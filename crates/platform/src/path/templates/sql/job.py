"""Runs the statements of a file of SQL, one after the other."""

import sys

from pyspark import SparkFiles
from pyspark.sql import DataFrame, SparkSession


def statements(text: str) -> list:
    """The statements of a text. A `;` ends one unless it is in quotes or in a comment."""
    found, current, quote, at = [], [], None, 0
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\" and quote != "`":
                current.append(character)
                at += 1
                character = text[at : at + 1]
            elif character == quote:
                quote = None
        elif character in "'\"`":
            quote = character
        elif text.startswith("--", at):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
            continue
        elif text.startswith("/*", at):
            end = text.find("*/", at)
            at = len(text) if end < 0 else end + 2
            continue
        elif character == ";":
            found.append("".join(current).strip())
            current, at = [], at + 1
            continue
        current.append(character)
        at += 1
    found.append("".join(current).strip())
    return [statement for statement in found if statement]


def run(spark: SparkSession, text: str) -> DataFrame:
    """Runs them all; gives what the last one selects."""
    last = None
    for statement in statements(text):
        last = spark.sql(statement)
    if last is None:
        raise SystemExit("there is no statement in the file")
    return last


def main() -> None:
    spark = SparkSession.builder.getOrCreate()
    with open(SparkFiles.get(sys.argv[1]), encoding="utf-8") as file:
        result = run(spark, file.read())
    result.show(100, truncate=False)
    spark.stop()


if __name__ == "__main__":
    main()
