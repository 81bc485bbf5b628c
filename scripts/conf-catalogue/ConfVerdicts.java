import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

import org.apache.spark.internal.config.ConfigEntry;
import org.apache.spark.internal.config.ConfigEntry$;

/**
 * Prints Spark's verdict on values: for every entry of its registry, one line with the key, a tab and one digit per candidate value (1: the
 * converter accepts it). Arguments: the jars directory, and a file with one candidate per line in Java's escapes.
 */
public final class ConfVerdicts {
  public static void main(String[] args) throws Exception {
    java.io.PrintStream out = System.out;
    System.setOut(System.err);
    List<String> candidates = Files.readAllLines(Paths.get(args[1]), StandardCharsets.UTF_8);
    Map<String, Set<String>> strings = new TreeMap<>();
    Set<String> declaring = new TreeSet<>();
    DumpConf.scanJars(new File(args[0]), strings, declaring);
    DumpConf.initialise(declaring, new HashMap<>());
    for (Map.Entry<String, ConfigEntry<?>> e : new TreeMap<>(ConfigEntry$.MODULE$.knownConfigs()).entrySet()) {
      @SuppressWarnings("unchecked")
      scala.Function1<String, ?> converter = (scala.Function1<String, ?>) DumpConf.converter(e.getValue());
      StringBuilder line = new StringBuilder(e.getKey()).append('\t');
      for (String candidate : candidates) {
        line.append(DumpConf.accepts(converter, candidate.translateEscapes()) ? '1' : '0');
      }
      out.println(line);
    }
    out.flush();
    System.exit(0);
  }
}
