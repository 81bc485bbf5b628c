package org.apache.spark.examples;

/** {@code JavaPageRank <file> [iterations]} */
public final class JavaPageRank {
  private JavaPageRank() {}

  public static void main(String[] arguments) {
    PageRank.run("JavaPageRank", arguments);
  }
}
