package org.apache.spark.examples;

/** What an example says when it is called wrongly. */
final class Usage {
  private Usage() {}

  static void check(boolean right, String usage) {
    if (!right) {
      System.err.println("Usage: " + usage);
      System.exit(1);
    }
  }
}
