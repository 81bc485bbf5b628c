package org.apache.spark.examples;

import java.util.Arrays;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.sql.SparkSession;
import scala.Tuple2;

/** {@code JavaWordCount <file>}: how often each word is in a text. */
public final class JavaWordCount {
  private JavaWordCount() {}

  public static void main(String[] arguments) {
    Usage.check(arguments.length == 1, "JavaWordCount <file>");
    SparkSession spark = SparkSession.builder().appName("JavaWordCount").getOrCreate();
    JavaPairRDD<String, Integer> counts =
        spark
            .read()
            .textFile(arguments[0])
            .javaRDD()
            .flatMap(line -> Arrays.asList(line.split(" ")).iterator())
            .mapToPair(word -> new Tuple2<>(word, 1))
            .reduceByKey((a, b) -> a + b);
    for (Tuple2<String, Integer> count : counts.collect()) {
      System.out.println(count._1() + ": " + count._2());
    }
    spark.stop();
  }
}
