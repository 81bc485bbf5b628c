use std::io::Cursor;

use zip::write::SimpleFileOptions;

use super::*;

fn jar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn properties(group: &str, artifact: &str, version: &str) -> String {
    format!("#Generated\nversion={version}\ngroupId={group}\nartifactId={artifact}\n")
}

fn found(place: &str, bytes: &[u8]) -> Vec<String> {
    let content = read(&mut &bytes[..], place);
    assert_eq!(content.unread, []);
    content.packages.iter().map(Package::reference).collect()
}

#[test]
fn a_jar_is_known_by_its_coordinates() {
    let own = properties("org.example", "etl", "1.0");
    let guava = properties("com.google.guava", "guava", "33.0.0-jre");
    let of = |name: &'static str| format!("META-INF/maven/{name}/pom.properties");
    let (first, second) = (of("org.example/etl"), of("com.google.guava/guava"));
    let shaded = jar(&[(&first, own.as_bytes()), (&second, guava.as_bytes())]);
    let both = [
        "pkg:maven/com.google.guava/guava@33.0.0-jre",
        "pkg:maven/org.example/etl@1.0",
    ];
    assert_eq!(found("opt/etl-1.0.jar", &shaded), both);
    // Named otherwise, it is still known that it holds both.
    assert_eq!(found("opt/app.jar", &shaded), both);
    // It says of itself what it is, by its name.
    let named = found("opt/assembly-2.0.jar", &shaded);
    assert_eq!(named[0], "jar:opt%2Fassembly-2.0.jar:assembly@2.0");
    assert_eq!(
        found("app.jar", &jar(&[(&first, own.as_bytes())])),
        ["pkg:maven/org.example/etl@1.0"]
    );
    let content = read(&mut &shaded[..], "opt/etl-1.0.jar");
    let places: Vec<&String> = content.packages.iter().flat_map(|package| &package.places).collect();
    assert_eq!(places, [&format!("opt/etl-1.0.jar!{second}"), "opt/etl-1.0.jar"]);
}

#[test]
fn a_jar_without_coordinates_is_known_by_its_name_and_manifest() {
    let plain = jar(&[("a.class", b"x")]);
    for (stem, name, version) in [
        ("log4j-1.2-api-2.24.3", "log4j-1.2-api", "2.24.3"),
        ("guava-33.0.0-jre", "guava", "33.0.0-jre"),
        ("spark-core_2.13-4.1.4", "spark-core_2.13", "4.1.4"),
        ("app", "app", ""),
    ] {
        assert_eq!(by_name(stem), (name, version));
        let packages = read(&mut &plain[..], &format!("opt/{stem}.jar")).packages;
        assert_eq!(
            (packages[0].name.as_str(), packages[0].version.as_str()),
            (name, version)
        );
        assert_eq!(packages[0].purl(), None);
    }
    let manifest = b"Manifest-Version: 1.0\r\nImplementation-Version: 7.\r\n 1\r\nBundle-License: Apache-2.0;link=x\r\n\r\nName: a\r\nImplementation-Version: 9\r\n";
    let packages = read(&mut &jar(&[("META-INF/MANIFEST.MF", manifest)])[..], "app.jar").packages;
    assert_eq!(packages[0].version, "7.1");
    assert_eq!(packages[0].licence.as_deref(), Some("Apache-2.0"));
}

#[test]
fn jars_inside_jars_are_found_up_to_the_limits() {
    let own = properties("org.example", "deep", "1.0");
    let mut bytes = jar(&[("META-INF/maven/org.example/deep/pom.properties", own.as_bytes())]);
    bytes = jar(&[("BOOT-INF/lib/deep-1.0.jar", &bytes)]);
    let packages = found("app-1.jar", &bytes);
    assert_eq!(packages, ["jar:app-1.jar:app@1", "pkg:maven/org.example/deep@1.0"]);
    for depth in 0..DEEPEST {
        bytes = jar(&[(&format!("a{depth}.jar"), &bytes)]);
    }
    let content = read(&mut &bytes[..], "x.jar");
    assert!(content.unread.iter().any(|unread| unread.too_large), "{content:?}");
    // A bomb: zeroes that fit into little, and unpack to more than is allowed.
    let bomb = jar(&[("b.jar", &vec![0; 4 << 20])]);
    assert!(bomb.len() < 20_000);
    let content = read_within(&mut &bomb[..], "x.jar", 1 << 20);
    assert!(content.unread[0].too_large, "{content:?}");
}

#[test]
fn what_is_not_a_jar_is_said() {
    let good = jar(&[("a.txt", b"x")]);
    for bytes in [&b""[..], b"garbage", &good[..good.len() / 2]] {
        let content = read(&mut &bytes[..], "x.jar");
        assert!(content.packages.is_empty() && content.unread.len() == 1, "{content:?}");
    }
    assert!(is_archive("a.JAR") && is_archive("x/y.war") && !is_archive("jar") && !is_archive("a.jar.md5"));
}

#[test]
fn licences_of_poms_are_read_in_any_name_space() {
    let pom = |head: &str| format!("<project{head}><licenses><license><name>MIT</name></license></licenses></project>");
    for head in ["", " xmlns=\"http://maven.apache.org/POM/4.0.0\""] {
        assert_eq!(pom_licence(&pom(head)).as_deref(), Some("MIT"));
    }
    assert_eq!(pom_licence("<project/>"), None);
    assert_eq!(pom_licence("<"), None);
}
