package org.apache.spark.examples.sql;

/** {@code SparkSQLExample}: a table asked by methods and by SQL. */
public final class SparkSQLExample {
  private SparkSQLExample() {}

  public static void main(String[] arguments) {
    SqlExample.run("SparkSQLExample");
  }
}
