package org.apache.spark.examples.sql.streaming;

/** {@code StructuredNetworkWordCount <host> <port>} */
public final class StructuredNetworkWordCount {
  private StructuredNetworkWordCount() {}

  public static void main(String[] arguments) throws Exception {
    NetworkWordCount.run("StructuredNetworkWordCount", arguments);
  }
}
