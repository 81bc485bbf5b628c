package org.apache.spark.examples.sql.streaming;

/** {@code JavaStructuredNetworkWordCount <host> <port>} */
public final class JavaStructuredNetworkWordCount {
  private JavaStructuredNetworkWordCount() {}

  public static void main(String[] arguments) throws Exception {
    NetworkWordCount.run("JavaStructuredNetworkWordCount", arguments);
  }
}
