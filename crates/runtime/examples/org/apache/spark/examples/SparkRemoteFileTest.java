package org.apache.spark.examples;

import java.io.File;
import java.util.Collections;
import org.apache.spark.SparkFiles;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/** {@code SparkRemoteFileTest <file>}: whether a file of {@code --files} has come to the executors. */
public final class SparkRemoteFileTest {
  private SparkRemoteFileTest() {}

  public static void main(String[] arguments) {
    Usage.check(arguments.length >= 1, "SparkRemoteFileTest <file>");
    String name = arguments[0];
    SparkSession spark = SparkSession.builder().appName("SparkRemoteFileTest").getOrCreate();
    JavaSparkContext context = new JavaSparkContext(spark.sparkContext());
    boolean is = context.parallelize(Collections.singletonList(name)).map(file -> new File(SparkFiles.get(file)).isFile()).first();
    System.out.println("Mounting of " + name + " was " + is);
    spark.stop();
  }
}
