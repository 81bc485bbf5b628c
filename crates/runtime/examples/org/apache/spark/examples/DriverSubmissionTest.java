package org.apache.spark.examples;

import java.util.Map;
import java.util.TreeMap;

/** {@code DriverSubmissionTest <seconds>}: a driver that shows its settings and lives for a while. */
public final class DriverSubmissionTest {
  private DriverSubmissionTest() {}

  public static void main(String[] arguments) throws InterruptedException {
    Usage.check(arguments.length == 1, "DriverSubmissionTest <seconds>");
    int seconds = Integer.parseInt(arguments[0]);
    System.out.println("Environment variables containing SPARK_TEST:");
    show(System.getenv(), "SPARK_TEST");
    System.out.println("System properties containing spark.test:");
    Map<String, String> properties = new TreeMap<>();
    System.getProperties().stringPropertyNames().forEach(name -> properties.put(name, System.getProperty(name)));
    show(properties, "spark.test");
    for (int second = 1; second <= seconds; second++) {
      System.out.println("Alive for " + second + " out of " + seconds + " seconds");
      Thread.sleep(1000);
    }
  }

  private static void show(Map<String, String> all, String word) {
    all.forEach(
        (name, value) -> {
          if (name.contains(word)) {
            System.out.println(name + "=" + value);
          }
        });
  }
}
