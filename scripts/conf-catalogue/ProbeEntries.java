import java.lang.reflect.Method;
import java.util.TreeMap;

/**
 * Prints the configuration entries that Scala objects declare: key, type, default. Arguments: names of objects.
 *
 * The type is found by asking the entry's own converter what it takes.
 */
public final class ProbeEntries {
    public static void main(String[] names) throws Exception {
        TreeMap<String, String> lines = new TreeMap<>();
        for (String name : names) {
            Object module = Class.forName(name + "$").getField("MODULE$").get(null);
            for (Method method : module.getClass().getMethods()) {
                String result = method.getReturnType().getSimpleName();
                boolean entry = result.endsWith("ConfigEntry") || result.startsWith("ConfigEntry") || result.equals("DeltaConfig");
                if (method.getParameterCount() != 0 || !entry) {
                    continue;
                }
                Object found = method.invoke(module);
                String key = (String) call(found, "key");
                boolean table = result.equals("DeltaConfig");
                String given = String.valueOf(call(found, table ? "defaultValue" : "defaultValueString"));
                Object converter = call(found, table ? "fromString" : "valueConverter");
                String type = type(converter);
                if (given.equals("null") || given.startsWith("<") || given.matches("(?s).*[\\t\\n].*")) {
                    given = "";
                }
                lines.put(key, (table ? "table " : "") + type + "\t" + given);
            }
        }
        lines.forEach((key, line) -> System.out.println("ENTRY\t" + key + "\t" + line));
    }

    static String type(Object converter) {
        if (takes(converter, "zebra")) {
            return "string";
        }
        if (takes(converter, "true")) {
            return takes(converter, "7") ? "other" : "bool";
        }
        boolean whole = takes(converter, "7");
        if (whole && takes(converter, "1g")) {
            return "bytes:b";
        }
        if (whole && takes(converter, "5min")) {
            return "time:ms";
        }
        if (takes(converter, "0.5")) {
            return takes(converter, "7.5") || takes(converter, "1e-1") ? "double" : "other";
        }
        return whole ? (takes(converter, "3000000000") ? "long" : "int") : "other";
    }

    static boolean takes(Object converter, String text) {
        try {
            Method apply = converter.getClass().getMethod("apply", Object.class);
            apply.setAccessible(true);
            apply.invoke(converter, text);
            return true;
        } catch (ReflectiveOperationException | RuntimeException refused) {
            return false;
        }
    }

    static Object call(Object target, String name) throws Exception {
        for (Class<?> type = target.getClass(); type != null; type = type.getSuperclass()) {
            for (Method method : type.getDeclaredMethods()) {
                if (method.getName().equals(name) && method.getParameterCount() == 0) {
                    method.setAccessible(true);
                    return method.invoke(target);
                }
            }
        }
        throw new NoSuchMethodException(name + " of " + target.getClass());
    }
}
