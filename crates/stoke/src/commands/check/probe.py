# Run by spark-submit in place of an application: what of a configuration cannot work, one line of JSON for each thing that is tried.
import json
import sys

plan = json.load(open(sys.argv[1]))
answers = open(plan["answers"], "w")


def tell(what, **more):
    answers.write(json.dumps(dict(what=what, **more)) + "\n")
    answers.flush()


def cause(error):
    """The innermost reason of what the JVM threw, in one line; anything else as it says itself."""
    thrown = getattr(error, "java_exception", None)
    if thrown is None:
        return " ".join(str(error).split())[:500] or type(error).__name__
    while thrown.getCause() is not None:
        thrown = thrown.getCause()
    return " ".join(thrown.toString().split())[:500]


for name in plan["python"]:
    try:
        with open(name, "rb") as file:
            compile(file.read(), name, "exec", dont_inherit=True)
        tell("python", file=name, line=None, problem=None)
    except (SyntaxError, ValueError) as error:
        tell("python", file=name, line=getattr(error, "lineno", None), problem=getattr(error, "msg", None) or str(error))
    except OSError as error:
        tell("python", file=name, line=None, problem=str(error))

from pyspark import SparkContext  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402

SparkContext._ensure_initialized()
jvm = SparkContext._jvm
loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()


def load(name):
    return jvm.java.lang.Class.forName(name, False, loader)


for key, name in plan["classes"]:
    try:
        load(name)
        tell("class", key=key, name=name, problem=None)
    except Exception as error:
        tell("class", key=key, name=name, problem=cause(error))

if plan["main"]:
    try:
        main = load(plan["main"])
        # Spark runs a `main`, or a class of its own kind.
        if not load("org.apache.spark.deploy.SparkApplication").isAssignableFrom(main):
            texts = SparkContext._gateway.new_array(jvm.java.lang.String, 0).getClass()
            types = SparkContext._gateway.new_array(jvm.java.lang.Class, 1)
            types[0] = texts
            method = main.getMethod("main", types)
            if not jvm.java.lang.reflect.Modifier.isStatic(method.getModifiers()):
                raise ValueError("its main is not static: write an object, or a static method")
        tell("main", name=plan["main"], problem=None)
    except Exception as error:
        tell("main", name=plan["main"], problem=cause(error))

try:
    session = SparkSession.builder.getOrCreate()
    # Extensions, the catalog and the rest of the session are made when they are first needed.
    session._jsparkSession.sessionState()
    tell("start", problem=None)
    session.stop()
except Exception as error:
    tell("start", problem=cause(error))
