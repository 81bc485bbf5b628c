package org.apache.spark.examples;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/** {@code DFSReadWriteTest <local file> <directory>}: counts the words of a file here and after writing it to a file system. */
public final class DFSReadWriteTest {
  private DFSReadWriteTest() {}

  public static void main(String[] arguments) throws IOException {
    Usage.check(arguments.length == 2, "DFSReadWriteTest <local file> <directory>");
    List<String> lines = Files.readAllLines(Paths.get(arguments[0]));
    long here = lines.stream().mapToLong(DFSReadWriteTest::words).sum();
    SparkSession spark = SparkSession.builder().appName("DFS Read Write Test").getOrCreate();
    JavaSparkContext context = new JavaSparkContext(spark.sparkContext());
    String directory = arguments[1] + "/dfs_read_write_test";
    context.parallelize(lines).saveAsTextFile(directory);
    JavaRDD<String> read = context.textFile(directory);
    long there = read.map(DFSReadWriteTest::words).fold(0L, (a, b) -> a + b);
    spark.stop();
    if (here == there) {
      System.out.println("Success! Local Word Count " + here + " and DFS Word Count " + there + " agree.");
    } else {
      System.out.println("Failure! Local Word Count " + here + " and DFS Word Count " + there + " disagree.");
      System.exit(1);
    }
  }

  private static long words(String line) {
    return Arrays.stream(line.split("\\s+")).filter(word -> !word.isEmpty()).count();
  }
}
