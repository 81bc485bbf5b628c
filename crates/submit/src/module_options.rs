//! Options Spark itself gives the JVM of drivers and executors, in front of the user's `extraJavaOptions`.

use crate::version::SparkVersion;

/// Packages Spark opens to itself, `MODULE/PACKAGE`.
const OPENED: [&str; 15] = [
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
    "java.security.jgss/sun.security.krb5",
];

/// The options of `version`, in order, as the running driver sets them before it asks for executors. The address family is that of a JVM
/// without settings of its own.
pub(crate) fn defaults(version: &SparkVersion) -> Vec<String> {
    let mut options = vec![
        "-Djava.net.preferIPv6Addresses=false".to_owned(),
        "-XX:+IgnoreUnrecognizedVMOptions".to_owned(),
    ];
    if version.since(4, 0) {
        options.push("--add-modules=jdk.incubator.vector".to_owned());
    }
    options.extend(
        OPENED
            .iter()
            .map(|package| format!("--add-opens={package}=ALL-UNNAMED")),
    );
    let later: [(bool, &str); 6] = [
        (!version.since(4, 2), "-Djdk.reflect.useDirectMethodHandle=false"),
        (version.since(4, 0), "-Dio.netty.tryReflectionSetAccessible=true"),
        (version.since(4, 1), "-Dio.netty.allocator.type=pooled"),
        (
            version.since(4, 1),
            "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE",
        ),
        (version.since(4, 2), "--sun-misc-unsafe-memory-access=allow"),
        (version.since(4, 1), "--enable-native-access=ALL-UNNAMED"),
    ];
    options.extend(
        later
            .iter()
            .filter(|(given, _)| *given)
            .map(|(_, option)| (*option).to_owned()),
    );
    options
}
