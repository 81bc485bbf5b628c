package org.apache.spark.examples;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/** An estimate of pi: the share of random points of a square that fall into its circle. One task a slice. */
final class Pi {
  private static final int POINTS = 100_000;

  private Pi() {}

  static void run(String name, String[] arguments) {
    int slices = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2;
    SparkSession spark = SparkSession.builder().appName(name).getOrCreate();
    JavaSparkContext context = new JavaSparkContext(spark.sparkContext());
    List<Integer> numbers = new ArrayList<>();
    for (int slice = 0; slice < slices; slice++) {
      numbers.add(slice);
    }
    long inside = context.parallelize(numbers, slices).map(slice -> inside(POINTS)).reduce((a, b) -> a + b);
    System.out.println("Pi is roughly " + 4.0 * inside / ((double) POINTS * slices));
    spark.stop();
  }

  private static long inside(int points) {
    ThreadLocalRandom random = ThreadLocalRandom.current();
    long inside = 0;
    for (int point = 0; point < points; point++) {
      double x = random.nextDouble();
      double y = random.nextDouble();
      if (x * x + y * y <= 1) {
        inside++;
      }
    }
    return inside;
  }
}
