package org.apache.spark.examples;

/** {@code SparkPageRank <file> [iterations]} */
public final class SparkPageRank {
  private SparkPageRank() {}

  public static void main(String[] arguments) {
    PageRank.run("SparkPageRank", arguments);
  }
}
