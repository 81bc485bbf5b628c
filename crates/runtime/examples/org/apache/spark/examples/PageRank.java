package org.apache.spark.examples;

import java.util.ArrayList;
import java.util.List;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.sql.SparkSession;
import scala.Tuple2;

/** The rank of pages that link to each other, from lines {@code page page}. */
final class PageRank {
  private static final double DAMPING = 0.85;

  private PageRank() {}

  static void run(String name, String[] arguments) {
    Usage.check(arguments.length >= 1, name + " <file> [iterations]");
    int iterations = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 10;
    SparkSession spark = SparkSession.builder().appName(name).getOrCreate();
    JavaPairRDD<String, Iterable<String>> links =
        spark
            .read()
            .textFile(arguments[0])
            .javaRDD()
            .filter(line -> line.trim().split("\\s+").length >= 2)
            .mapToPair(
                line -> {
                  String[] pages = line.trim().split("\\s+");
                  return new Tuple2<>(pages[0], pages[1]);
                })
            .distinct()
            .groupByKey()
            .cache();
    JavaPairRDD<String, Double> ranks = links.mapValues(targets -> 1.0);
    for (int iteration = 0; iteration < iterations; iteration++) {
      ranks =
          links
              .join(ranks)
              .values()
              .flatMapToPair(page -> shares(page._1(), page._2()).iterator())
              .reduceByKey((a, b) -> a + b)
              .mapValues(sum -> 1 - DAMPING + DAMPING * sum);
    }
    for (Tuple2<String, Double> rank : ranks.collect()) {
      System.out.println(rank._1() + " has rank: " + rank._2() + ".");
    }
    spark.stop();
  }

  private static List<Tuple2<String, Double>> shares(Iterable<String> targets, double rank) {
    List<String> pages = new ArrayList<>();
    targets.forEach(pages::add);
    List<Tuple2<String, Double>> shares = new ArrayList<>();
    for (String page : pages) {
      shares.add(new Tuple2<>(page, rank / pages.size()));
    }
    return shares;
  }
}
