package org.apache.spark.examples.sql;

/** {@code JavaSparkSQLExample}: a table asked by methods and by SQL. */
public final class JavaSparkSQLExample {
  private JavaSparkSQLExample() {}

  public static void main(String[] arguments) {
    SqlExample.run("JavaSparkSQLExample");
  }
}
