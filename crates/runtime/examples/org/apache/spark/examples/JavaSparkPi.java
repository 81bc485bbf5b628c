package org.apache.spark.examples;

/** {@code JavaSparkPi [slices]} */
public final class JavaSparkPi {
  private JavaSparkPi() {}

  public static void main(String[] arguments) {
    Pi.run("JavaSparkPi", arguments);
  }
}
