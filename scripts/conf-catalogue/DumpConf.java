import java.io.DataInputStream;
import java.io.File;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.*;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

import org.apache.spark.internal.config.ConfigEntry;
import org.apache.spark.internal.config.ConfigEntry$;
import org.apache.spark.internal.config.TypedConfigBuilder;
import org.apache.spark.network.util.ConfigProvider;
import org.apache.spark.network.util.TransportConf;

/**
 * Prints, as JSON lines, everything a Spark installation knows about its configuration.
 *
 * <p>Run with SPARK_HOME/jars/* on the class path; the only argument is that jars directory. Nothing is started: Scala objects
 * that declare configuration entries are initialised, and the registry they fill is read. Lines:
 * entry (a ConfigEntry), deprecated, alternative, removed (the tables of SparkConf and SQLConf), transport (keys that
 * TransportConf asks for), ssl (keys that SSLOptions asks for), string (a constant in a class file that looks like a key).
 */
public final class DumpConf {
  private static final PrintStream OUT = System.out;
  private static final Set<String> failures = new TreeSet<>();

  public static void main(String[] args) throws Exception {
    System.setOut(System.err);
    File jars = new File(args[0]);
    Map<String, Set<String>> strings = new TreeMap<>();
    Set<String> declaring = new TreeSet<>();
    scanJars(jars, strings, declaring);
    Map<String, String> owners = new HashMap<>();
    initialise(declaring, owners);

    Set<String> sqlKeys = new HashSet<>();
    Object sqlConf = module("org.apache.spark.sql.internal.SQLConf$");
    for (Object e : (Collection<?>) call(sqlConf, "getConfigEntries")) {
      sqlKeys.add(((ConfigEntry<?>) e).key());
    }
    Method isStatic = sqlConf.getClass().getMethod("isStaticConfigKey", String.class);
    Map<String, ConfigEntry<?>> known = new TreeMap<>(ConfigEntry$.MODULE$.knownConfigs());
    for (ConfigEntry<?> entry : known.values()) {
      boolean fixed = (Boolean) isStatic.invoke(sqlConf, entry.key());
      dumpEntry(entry, owners.get(entry.key()), sqlKeys.contains(entry.key()), fixed);
    }
    dumpTables(sqlConf);
    dumpTransport();
    dumpSsl();
    for (Map.Entry<String, Set<String>> s : strings.entrySet()) {
      line("t", "string", "s", s.getKey(), "in", new ArrayList<>(s.getValue()));
    }
    for (String f : failures) {
      System.err.println("not initialised: " + f);
    }
    OUT.flush();
    System.exit(0);
  }

  // ---- entries ----------------------------------------------------------------------------------------------------

  static void initialise(Set<String> declaring, Map<String, String> owners) {
    for (String name : declaring) {
      try {
        Class<?> c = Class.forName(name, true, DumpConf.class.getClassLoader());
        Field f;
        try {
          f = c.getField("MODULE$");
        } catch (NoSuchFieldException e) {
          continue;
        }
        Object m = f.get(null);
        for (Method method : c.getDeclaredMethods()) {
          boolean entry = ConfigEntry.class.isAssignableFrom(method.getReturnType()) && method.getParameterCount() == 0;
          if (!entry || Modifier.isStatic(method.getModifiers())) continue;
          method.setAccessible(true);
          ConfigEntry<?> e = (ConfigEntry<?>) method.invoke(m);
          if (e != null) owners.putIfAbsent(e.key(), name);
        }
        for (Field field : c.getDeclaredFields()) {
          if (!ConfigEntry.class.isAssignableFrom(field.getType())) continue;
          field.setAccessible(true);
          ConfigEntry<?> e = (ConfigEntry<?>) field.get(Modifier.isStatic(field.getModifiers()) ? null : m);
          if (e != null) owners.putIfAbsent(e.key(), name);
        }
      } catch (Throwable t) {
        failures.add(name + ": " + t);
      }
    }
  }

  private static void dumpEntry(ConfigEntry<?> e, String owner, boolean sql, boolean fixed) throws Exception {
    List<Object> checks = new ArrayList<>();
    String kind = e.getClass().getSimpleName();
    @SuppressWarnings("unchecked")
    scala.Function1<String, ?> converter = (scala.Function1<String, ?>) converter(e);
    Map<String, Object> type = describe(converter, kind.equals("ProtoBackedConfigEntry"), checks, e.doc());
    String fallback = null;
    String def = null;
    if (kind.equals("FallbackConfigEntry")) {
      fallback = ((ConfigEntry<?>) field(e, "fallback")).key();
    } else {
      try {
        def = e.defaultValueString();
      } catch (Throwable t) {
        def = null;
      }
      if ("<undefined>".equals(def)) def = null;
    }
    String binding = null;
    try {
      Object b = call(e, "bindingPolicy");
      if (b instanceof scala.Some) binding = String.valueOf(((scala.Some<?>) b).get());
    } catch (NoSuchMethodException ignored) {
      // before 4.2
    }
    String prepended = e.prependedKey().isDefined() ? e.prependedKey().get() : null;
    line("t", "entry", "key", e.key(), "kind", kind, "owner", owner, "type", type, "checks", checks, "default", def,
        "fallback", fallback, "since", e.version(), "doc", e.doc(), "public", e.isPublic(), "sql", sql, "static", fixed,
        "alternatives", strings(e.alternatives()), "prepended", prepended, "binding", binding);
  }

  /** The converter of the value itself: optional entries wrap it in Some, fallback entries borrow that of their target. */
  static Object converter(ConfigEntry<?> e) throws Exception {
    ConfigEntry<?> target = e;
    while (target.getClass().getSimpleName().equals("FallbackConfigEntry")) target = (ConfigEntry<?>) field(target, "fallback");
    return target.getClass().getSimpleName().equals("OptionalConfigEntry") ? field(target, "rawValueConverter") : target.valueConverter();
  }

  /** Peels the layers a TypedConfigBuilder puts around the converter, then identifies the innermost one by its behaviour. */
  private static Map<String, Object> describe(scala.Function1<String, ?> whole, boolean protoBacked, List<Object> checks, String doc)
      throws Exception {
    Map<String, Object> type = new LinkedHashMap<>();
    scala.Function1<String, ?> inner = whole;
    boolean sequence = false;
    boolean opaque = false;
    List<String> values = new ArrayList<>();
    List<String> messages = new ArrayList<>();
    while (true) {
      TypedConfigBuilder<?> parent = null;
      Object fn = null;
      for (Object captured : captured(inner)) {
        if (captured instanceof TypedConfigBuilder) parent = (TypedConfigBuilder<?>) captured;
        else if (captured instanceof scala.Function1) fn = captured;
      }
      if (parent == null) break;
      @SuppressWarnings("unchecked")
      scala.Function1<String, ?> next = (scala.Function1<String, ?>) (Object) parent.converter();
      if (fn == null) {
        sequence = true;
      } else {
        boolean found = false;
        for (Object captured : captured(fn)) {
          if (captured instanceof scala.collection.Set) {
            values.addAll(strings((scala.collection.Iterable<?>) captured));
            found = true;
          } else if (captured instanceof String) {
            messages.add((String) captured);
            found = true;
          }
        }
        if (!found) opaque = true;
      }
      inner = next;
    }
    type.put("base", base(inner, values));
    if (sequence) type.put("seq", true);
    if (opaque) type.put("transformed", true);
    for (String m : messages) checks.add(m);
    String b = (String) type.get("base");
    if (!sequence && values.isEmpty() && (!messages.isEmpty() || protoBacked)) {
      if (b.equals("string") || b.startsWith("seq")) {
        probeWords(whole, messages, doc, type);
      } else if (!b.equals("bool") && !b.equals("regex")) {
        range(whole, b, type);
      }
    }
    if (!values.isEmpty()) {
      Collections.sort(values);
      type.put("values", values);
      boolean fold = b.equals("string") || b.equals("enum");
      for (String v : values) fold = fold && accepts(whole, swapCase(v)) && accepts(whole, v);
      type.put("fold", fold);
    }
    return type;
  }

  private static String swapCase(String s) {
    String upper = s.toUpperCase(Locale.ROOT);
    return upper.equals(s) ? s.toLowerCase(Locale.ROOT) : upper;
  }

  private static void probeWords(scala.Function1<String, ?> whole, List<String> messages, String doc, Map<String, Object> type) {
    if (accepts(whole, "stoke-no-such-value")) return;
    Set<String> words = new TreeSet<>();
    Matcher m = Pattern.compile("[A-Za-z0-9_.-]+").matcher(String.join(" ", messages) + " " + doc);
    while (m.find()) {
      String w = m.group().replaceAll("\\.+$", "");
      if (!w.isEmpty() && accepts(whole, w)) words.add(w);
    }
    type.put("probed", new ArrayList<>(words));
  }

  /** Smallest and largest accepted whole number, or the accepted interval of fractions, found by trying values. */
  private static void range(scala.Function1<String, ?> whole, String base, Map<String, Object> type) {
    if (base.equals("double") || base.equals("decimal")) {
      String[] probes = {"-1000000", "-1", "-0.5", "0", "0.0001", "0.5", "0.9999", "1", "1.0001", "2", "100", "1000000"};
      List<String> ok = new ArrayList<>();
      for (String p : probes) if (accepts(whole, p)) ok.add(p);
      if (ok.size() < probes.length) type.put("accepted", ok);
      return;
    }
    long low = base.equals("int") ? Integer.MIN_VALUE : Long.MIN_VALUE;
    long high = base.equals("int") ? Integer.MAX_VALUE : Long.MAX_VALUE;
    Long inside = null;
    for (long candidate : new long[] {1, 2, 4, 8, 10, 16, 64, 100, 1024, 1 << 20, 64L << 20, 0, -1}) {
      if (accepts(whole, Long.toString(candidate))) {
        inside = candidate;
        break;
      }
    }
    if (inside == null) return;
    if (!accepts(whole, Long.toString(low))) {
      long bad = low;
      long good = inside;
      while (good - bad > 1 || good - bad < 0) {
        long middle = bad / 2 + good / 2 + (bad % 2 + good % 2) / 2;
        if (accepts(whole, Long.toString(middle))) good = middle; else bad = middle;
      }
      type.put("min", good);
    }
    if (!accepts(whole, Long.toString(high))) {
      long bad = high;
      long good = inside;
      while (bad - good > 1 || bad - good < 0) {
        long middle = bad / 2 + good / 2 + (bad % 2 + good % 2) / 2;
        if (accepts(whole, Long.toString(middle))) good = middle; else bad = middle;
      }
      type.put("max", good);
    }
    // The search above assumes one interval. Values that Spark documents as exceptions (-1 for "off") are listed; anything
    // less regular drops the range, because a rule that is not certain must not reject a value.
    long from = type.containsKey("min") ? (Long) type.get("min") : low;
    long to = type.containsKey("max") ? (Long) type.get("max") : high;
    List<Long> extra = new ArrayList<>();
    for (long v = -16; v <= 2048; v++) {
      boolean within = v >= from && v <= to;
      boolean ok = accepts(whole, Long.toString(v));
      if (ok && !within) extra.add(v);
      if (!ok && within) type.put("irregular", true);
    }
    for (int bit = 11; bit < (base.equals("int") ? 31 : 62); bit++) {
      for (long v : new long[] {(1L << bit) - 1, 1L << bit, -(1L << bit)}) {
        if (accepts(whole, Long.toString(v)) != (v >= from && v <= to)) type.put("irregular", true);
      }
    }
    if (extra.size() > 3) type.put("irregular", true);
    else if (!extra.isEmpty()) type.put("extra", extra);
  }

  static boolean accepts(scala.Function1<String, ?> f, String value) {
    try {
      f.apply(value);
      return true;
    } catch (Throwable t) {
      return false;
    }
  }

  private static Object attempt(scala.Function1<String, ?> f, String value) {
    try {
      return f.apply(value);
    } catch (Throwable t) {
      return null;
    }
  }

  private static String base(scala.Function1<String, ?> f, List<String> values) throws Exception {
    for (Object captured : captured(f)) {
      if (captured instanceof scala.Enumeration) {
        values.addAll(strings((scala.collection.Iterable<?>) (Object) ((scala.Enumeration) captured).values()));
        return "enum";
      }
      if (captured instanceof Class && ((Class<?>) captured).isEnum()) {
        for (Object c : ((Class<?>) captured).getEnumConstants()) values.add(((Enum<?>) c).name());
        return "enum";
      }
    }
    if (attempt(f, "true") instanceof Boolean) return "bool";
    Object one = attempt(f, "1");
    if (one instanceof Integer) return "int";
    if (one instanceof Double) return "double";
    if (one instanceof Long) {
      Object gib = attempt(f, "1g");
      if (gib instanceof Long) {
        long n = (Long) gib;
        String unit = n == 1L << 30 ? "b" : n == 1L << 20 ? "k" : n == 1L << 10 ? "m" : n == 1 ? "g" : "?";
        // Later versions also take kib, mib and so on.
        return "bytes:" + unit + (attempt(f, "1gib") != null ? "i" : "");
      }
      Object hour = attempt(f, "1h");
      if (hour instanceof Long) {
        long n = (Long) hour;
        return n == 3600000000L ? "time:us" : n == 3600000L ? "time:ms" : n == 3600L ? "time:s" : n == 60L ? "time:m"
            : n == 1L ? "time:h" : n == 3600000000000L ? "time:ns" : "time:?";
      }
      return "long";
    }
    Object word = attempt(f, "a");
    Object pick = word != null ? word : one;
    if (pick instanceof String) return "string";
    if (pick instanceof scala.collection.Seq) {
      return "seq";
    }
    if (pick == null) return "opaque";
    String n = pick.getClass().getName();
    if (n.equals("scala.util.matching.Regex")) return "regex";
    if (n.equals("scala.math.BigDecimal")) return "decimal";
    return "object:" + n;
  }

  private static List<Object> captured(Object lambda) throws Exception {
    List<Object> out = new ArrayList<>();
    for (Field f : lambda.getClass().getDeclaredFields()) {
      if (Modifier.isStatic(f.getModifiers())) continue;
      f.setAccessible(true);
      Object v = f.get(lambda);
      if (v != null) out.add(v);
    }
    return out;
  }

  // ---- tables of deprecated and removed keys ----------------------------------------------------------------------

  private static void dumpTables(Object sqlConf) throws Exception {
    Object sparkConf = module("org.apache.spark.SparkConf$");
    for (Map.Entry<String, Object> e : scalaMap(member(sparkConf, "deprecatedConfigs")).entrySet()) {
      Object d = e.getValue();
      line("t", "deprecated", "key", e.getKey(), "version", call(d, "version"), "message", call(d, "deprecationMessage"), "table", "core");
    }
    for (Map.Entry<String, Object> e : scalaMap(member(sparkConf, "configsWithAlternatives")).entrySet()) {
      for (Object a : list((scala.collection.Iterable<?>) e.getValue())) {
        boolean translated = field(a, "translation") != null;
        line("t", "alternative", "key", e.getKey(), "old", call(a, "key"), "version", call(a, "version"), "translated", translated);
      }
    }
    for (Map.Entry<String, Object> e : scalaMap(member(sqlConf, "deprecatedSQLConfigs")).entrySet()) {
      Object d = e.getValue();
      line("t", "deprecated", "key", e.getKey(), "version", call(d, "version"), "message", call(d, "comment"), "table", "sql");
    }
    for (Map.Entry<String, Object> e : scalaMap(member(sqlConf, "removedSQLConfigs")).entrySet()) {
      Object d = e.getValue();
      line("t", "removed", "key", e.getKey(), "version", call(d, "version"), "default", call(d, "defaultValue"), "message", call(d, "comment"));
    }
  }

  // ---- keys that Java modules ask for by name ---------------------------------------------------------------------

  private static void dumpTransport() {
    for (String module : new String[] {"shuffle", "rpc", "files", "network"}) {
      Map<String, String[]> asked = new TreeMap<>();
      ConfigProvider recorder = new ConfigProvider() {
        @Override public String get(String name) {
          asked.putIfAbsent(name, new String[] {"string", null});
          throw new NoSuchElementException(name);
        }
        @Override public String get(String name, String def) {
          asked.putIfAbsent(name, new String[] {"string", def});
          return def;
        }
        @Override public int getInt(String name, int def) {
          asked.put(name, new String[] {"int", Integer.toString(def)});
          return def;
        }
        @Override public long getLong(String name, long def) {
          asked.put(name, new String[] {"long", Long.toString(def)});
          return def;
        }
        @Override public double getDouble(String name, double def) {
          asked.put(name, new String[] {"double", Double.toString(def)});
          return def;
        }
        @Override public boolean getBoolean(String name, boolean def) {
          asked.put(name, new String[] {"bool", Boolean.toString(def)});
          return def;
        }
        @Override public Iterable<Map.Entry<String, String>> getAll() {
          return Collections.emptyList();
        }
      };
      TransportConf conf = new TransportConf(module, recorder);
      for (Method m : TransportConf.class.getDeclaredMethods()) {
        if (!Modifier.isPublic(m.getModifiers()) || m.getParameterCount() != 0) continue;
        try {
          m.invoke(conf);
        } catch (Throwable ignored) {
          // the keys asked for before the failure are recorded
        }
      }
      for (Map.Entry<String, String[]> e : asked.entrySet()) {
        line("t", "transport", "key", e.getKey(), "type", e.getValue()[0], "default", e.getValue()[1], "module", module);
      }
    }
  }

  /** A configuration that notes every key it is asked for. */
  private static final class Recorder extends org.apache.spark.SparkConf {
    final Map<String, String> asked = new TreeMap<>();
    private final String enabled;

    Recorder(String enabled) {
      super(false);
      this.enabled = enabled;
    }

    @Override public scala.Option<String> getOption(String key) {
      if (asked != null) asked.putIfAbsent(key, "string");
      return key.equals(enabled) ? scala.Option.apply("true") : scala.Option.empty();
    }

    @Override public boolean getBoolean(String key, boolean def) {
      asked.put(key, "bool");
      return key.equals(enabled) || def;
    }

    @Override public int getInt(String key, int def) {
      asked.put(key, "int");
      return def;
    }
  }

  private static void dumpSsl() throws Exception {
    Object ssl = module("org.apache.spark.SSLOptions$");
    for (String space : new String[] {"spark.ssl", "spark.ssl.ui", "spark.ssl.standalone", "spark.ssl.historyServer", "spark.ssl.rpc"}) {
      Recorder conf = new Recorder(space + ".enabled");
      for (Method m : ssl.getClass().getMethods()) {
        if (!m.getName().equals("parse")) continue;
        try {
          m.invoke(ssl, conf, new org.apache.hadoop.conf.Configuration(false), space, scala.Option.empty());
        } catch (Throwable ignored) {
          // the keys asked for before the failure are recorded
        }
      }
      for (Map.Entry<String, String> e : conf.asked.entrySet()) {
        line("t", "ssl", "key", e.getKey(), "type", e.getValue(), "space", space);
      }
    }
  }

  // ---- class files ------------------------------------------------------------------------------------------------

  /** Collects from Spark's own jars the constants that begin as keys do, and the Scala objects that declare entries. */
  static void scanJars(File jars, Map<String, Set<String>> strings, Set<String> declaring) throws Exception {
    File[] files = jars.listFiles((d, n) -> n.startsWith("spark-") && n.endsWith(".jar"));
    Arrays.sort(files);
    for (File jar : files) {
      scanJar(jar, strings, declaring);
    }
  }

  private static void scanJar(File jar, Map<String, Set<String>> strings, Set<String> declaring) throws Exception {
    String module = jar.getName().replaceAll("^spark-", "").replaceAll("(_2\\.1[0-9])?-[0-9.]+\\.jar$", "");
    try (ZipFile zip = new ZipFile(jar)) {
      Enumeration<? extends ZipEntry> entries = zip.entries();
      while (entries.hasMoreElements()) {
        ZipEntry e = entries.nextElement();
        if (!e.getName().endsWith(".class") || !e.getName().startsWith("org/apache/spark/")) continue;
        try (InputStream in = zip.getInputStream(e)) {
          scanClass(new DataInputStream(new java.io.BufferedInputStream(in, 1 << 16)), module, e.getName(), strings, declaring);
        }
      }
    }
  }

  private static void scanClass(DataInputStream in, String jar, String name, Map<String, Set<String>> strings, Set<String> declaring)
      throws Exception {
    in.readInt();
    in.readInt();
    int count = in.readUnsignedShort();
    String[] utf = new String[count];
    List<Integer> constants = new ArrayList<>();
    for (int i = 1; i < count; i++) {
      int tag = in.readUnsignedByte();
      switch (tag) {
        case 1: utf[i] = in.readUTF(); break;
        case 3: case 4: in.readInt(); break;
        case 5: case 6: in.readLong(); i++; break;
        case 8: constants.add(in.readUnsignedShort()); break;
        case 7: case 16: case 19: case 20: in.readUnsignedShort(); break;
        case 9: case 10: case 11: case 12: case 17: case 18: in.readInt(); break;
        case 15: in.readUnsignedByte(); in.readUnsignedShort(); break;
        default: throw new IllegalStateException("constant tag " + tag + " in " + name);
      }
    }
    boolean declares = false;
    for (String s : utf) {
      if (s == null) continue;
      declares |= s.equals("org/apache/spark/internal/config/ConfigBuilder") || s.equals("buildConf") || s.equals("buildStaticConf");
    }
    String dotted = name.substring(0, name.length() - ".class".length()).replace('/', '.');
    if (declares && dotted.endsWith("$")) declaring.add(dotted);
    for (int index : constants) {
      String s = utf[index];
      if (s.startsWith("spark.") && s.length() > 6 && s.length() < 160) {
        Set<String> where = strings.computeIfAbsent(s, k -> new TreeSet<>());
        if (where.size() < 4) where.add(jar + ":" + dotted);
      }
    }
  }

  // ---- reflection and JSON ----------------------------------------------------------------------------------------

  private static Object module(String name) throws Exception {
    return Class.forName(name).getField("MODULE$").get(null);
  }

  private static Object call(Object target, String method) throws Exception {
    Method m = target.getClass().getMethod(method);
    m.setAccessible(true);
    return m.invoke(target);
  }

  private static Object member(Object target, String name) throws Exception {
    for (Field f : target.getClass().getDeclaredFields()) {
      if (f.getName().equals(name) || f.getName().endsWith("$$" + name)) {
        f.setAccessible(true);
        return f.get(Modifier.isStatic(f.getModifiers()) ? null : target);
      }
    }
    throw new NoSuchFieldException(name + " in " + target.getClass());
  }

  private static Object field(Object target, String name) throws Exception {
    for (Class<?> c = target.getClass(); c != null; c = c.getSuperclass()) {
      for (Field f : c.getDeclaredFields()) {
        if (f.getName().equals(name) || f.getName().endsWith("$$" + name)) {
          f.setAccessible(true);
          Object v = f.get(target);
          return v instanceof scala.Option && name.equals("translation") && ((scala.Option<?>) v).isEmpty() ? null : v;
        }
      }
    }
    throw new NoSuchFieldException(name + " in " + target.getClass());
  }

  private static Map<String, Object> scalaMap(Object map) {
    Map<String, Object> out = new TreeMap<>();
    for (Object pair : list((scala.collection.Iterable<?>) map)) {
      scala.Tuple2<?, ?> t = (scala.Tuple2<?, ?>) pair;
      out.put(String.valueOf(t._1()), t._2());
    }
    return out;
  }

  private static List<Object> list(scala.collection.Iterable<?> items) {
    List<Object> out = new ArrayList<>();
    scala.collection.Iterator<?> it = items.iterator();
    while (it.hasNext()) out.add(it.next());
    return out;
  }

  private static List<String> strings(scala.collection.Iterable<?> items) {
    List<String> out = new ArrayList<>();
    for (Object o : list(items)) out.add(String.valueOf(o));
    return out;
  }

  private static void line(Object... pairs) {
    Map<String, Object> m = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) m.put((String) pairs[i], pairs[i + 1]);
    StringBuilder b = new StringBuilder();
    json(b, m);
    OUT.println(b);
  }

  private static void json(StringBuilder b, Object v) {
    if (v == null || v instanceof Boolean || v instanceof Number) {
      b.append(v);
    } else if (v instanceof Map) {
      b.append('{');
      String sep = "";
      for (Map.Entry<?, ?> e : ((Map<?, ?>) v).entrySet()) {
        b.append(sep);
        json(b, e.getKey().toString());
        b.append(':');
        json(b, e.getValue());
        sep = ",";
      }
      b.append('}');
    } else if (v instanceof Collection) {
      b.append('[');
      String sep = "";
      for (Object o : (Collection<?>) v) {
        b.append(sep);
        json(b, o);
        sep = ",";
      }
      b.append(']');
    } else {
      b.append('"');
      for (char c : v.toString().toCharArray()) {
        if (c == '"' || c == '\\') b.append('\\').append(c);
        else if (c < 32 || c > 126) b.append(String.format("\\u%04x", (int) c));
        else b.append(c);
      }
      b.append('"');
    }
  }
}
