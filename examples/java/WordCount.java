import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Tuple2;

/** Counts words and checks the counts; the words are its arguments. */
public final class WordCount {
  public static void main(String[] args) {
    try (JavaSparkContext sc = new JavaSparkContext(new SparkConf().setAppName("word-count"))) {
      List<String> words = Arrays.asList(args);
      Map<String, Integer> counts =
          new TreeMap<>(sc.parallelize(words, 2).mapToPair(w -> new Tuple2<>(w, 1)).reduceByKey(Integer::sum).collectAsMap());
      int total = counts.values().stream().mapToInt(Integer::intValue).sum();
      if (total != words.size()) {
        throw new IllegalStateException("counted " + total + " of " + words.size() + " words");
      }
      System.out.println("Words counted: " + counts);
    }
  }
}
