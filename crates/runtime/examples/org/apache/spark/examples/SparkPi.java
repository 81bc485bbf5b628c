package org.apache.spark.examples;

/** {@code SparkPi [slices]} */
public final class SparkPi {
  private SparkPi() {}

  public static void main(String[] arguments) {
    Pi.run("Spark Pi", arguments);
  }
}
