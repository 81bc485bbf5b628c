package org.apache.spark.examples;

import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.SparkSession;

/** {@code HdfsTest <file>}: reads a text ten times, and says how long each took. */
public final class HdfsTest {
  private HdfsTest() {}

  public static void main(String[] arguments) {
    Usage.check(arguments.length == 1, "HdfsTest <file>");
    SparkSession spark = SparkSession.builder().appName("HdfsTest").getOrCreate();
    JavaRDD<Integer> lengths = spark.read().textFile(arguments[0]).javaRDD().map(String::length).cache();
    for (int iteration = 1; iteration <= 10; iteration++) {
      long begun = System.nanoTime();
      long characters = lengths.map(length -> (long) length + 1).fold(0L, (a, b) -> a + b);
      long milliseconds = (System.nanoTime() - begun) / 1_000_000;
      System.out.println("Iteration " + iteration + " took " + milliseconds + " ms");
      if (iteration == 10) {
        System.out.println("File contents: " + characters + " characters in " + lengths.count() + " lines");
      }
    }
    spark.stop();
  }
}
