package org.apache.spark.examples;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;
import scala.Tuple2;

/** {@code GroupByTest [mappers] [pairs] [bytes] [reducers]}: groups random pairs, the simplest shuffle. */
public final class GroupByTest {
  private GroupByTest() {}

  public static void main(String[] arguments) {
    int mappers = number(arguments, 0, 2);
    int pairs = number(arguments, 1, 1000);
    int bytes = number(arguments, 2, 1000);
    int reducers = number(arguments, 3, mappers);
    SparkSession spark = SparkSession.builder().appName("GroupBy Test").getOrCreate();
    JavaSparkContext context = new JavaSparkContext(spark.sparkContext());
    List<Integer> numbers = new ArrayList<>();
    for (int mapper = 0; mapper < mappers; mapper++) {
      numbers.add(mapper);
    }
    JavaPairRDD<Integer, byte[]> made =
        context.parallelize(numbers, mappers).flatMapToPair(mapper -> random(pairs, bytes)).cache();
    made.count();
    System.out.println(made.groupByKey(reducers).count());
    spark.stop();
  }

  private static Iterator<Tuple2<Integer, byte[]>> random(int pairs, int bytes) {
    ThreadLocalRandom random = ThreadLocalRandom.current();
    List<Tuple2<Integer, byte[]>> made = new ArrayList<>();
    for (int pair = 0; pair < pairs; pair++) {
      byte[] value = new byte[bytes];
      random.nextBytes(value);
      made.add(new Tuple2<>(random.nextInt(Integer.MAX_VALUE), value));
    }
    return made.iterator();
  }

  private static int number(String[] arguments, int at, int otherwise) {
    return arguments.length > at ? Integer.parseInt(arguments[at]) : otherwise;
  }
}
