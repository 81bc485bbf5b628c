package org.apache.spark.examples.sql.streaming;

import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Counts the words of lines that come from a socket. */
final class NetworkWordCount {
  private NetworkWordCount() {}

  static void run(String name, String[] arguments) throws Exception {
    if (arguments.length < 2) {
      System.err.println("Usage: " + name + " <host> <port>");
      System.exit(1);
    }
    SparkSession spark = SparkSession.builder().appName(name).getOrCreate();
    Dataset<Row> lines =
        spark.readStream().format("socket").option("host", arguments[0]).option("port", arguments[1]).load();
    Dataset<Row> words = lines.selectExpr("explode(split(value, ' ')) AS value");
    words.groupBy("value").count().writeStream().outputMode("complete").format("console").start().awaitTermination();
  }
}
