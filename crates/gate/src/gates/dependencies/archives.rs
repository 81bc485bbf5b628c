//! Jars and wheels that lie in the job: what they are, what they hold, and for which Java, Python and machine they are made.
//!
//! Of a jar the coordinates in `META-INF/maven` are read (several in one that holds its libraries) and the format of its classes; of a wheel the tags of its
//! name and its `METADATA`. Sources: the Java Virtual Machine Specification, table 4.1-A; PEP 425 and 427; the Java versions in Spark's own overview.

use std::collections::BTreeSet;
use std::fs::File as Handle;
use std::io::{BufReader, Read};
use std::sync::Arc;

use stoke_advisories::Ecosystem;
use stoke_diagnostics::{Diagnostic, Place, Severity};
use stoke_model::distribution::minor;
use zip::ZipArchive;

use super::{Dependency, Found, fits, packages};
use crate::job::File;

/// Classes of a jar whose format is read; a jar is made for one Java as a whole.
const MOST_CLASSES: usize = 100;
/// Most bytes of a text in an archive.
const MOST_TEXT: u64 = 1 << 20;

/// Reads a jar or a wheel; other archives are not looked into.
pub(super) fn read(file: &File, sparks: &[String], found: &mut Found) {
    let wheel = file.name.ends_with(".whl");
    if !wheel && !file.name.ends_with(".jar") {
        return;
    }
    let handle = match Handle::open(&file.path) {
        Ok(handle) => handle,
        Err(error) => {
            let finding =
                Diagnostic::cannot_tell("dependency-archive", &file.name, format!("it cannot be read: {error}"));
            found
                .findings
                .push(finding.with_fix("let it be read, or take it out of the job"));
            return;
        }
    };
    let mut archive = match ZipArchive::new(BufReader::new(handle)) {
        Ok(archive) => archive,
        Err(error) => {
            let message = format!("it is damaged: {error}");
            damaged(file, found, message);
            return;
        }
    };
    match wheel {
        true => read_wheel(file, &mut archive, sparks, found),
        false => read_jar(file, &mut archive, sparks, found),
    }
}

fn say(
    file: &File,
    found: &mut Found,
    severity: Severity,
    code: &'static str,
    message: String,
    fix: impl Into<String>,
) {
    let finding = Diagnostic::of_file(severity, code, &file.name, message);
    found.findings.push(finding.with_fix(fix));
}

/// An archive that nothing can be made of.
fn damaged(file: &File, found: &mut Found, message: String) {
    let fix = "build or fetch it again";
    say(file, found, Severity::Error, "dependency-archive", message, fix);
}

fn text(archive: &mut ZipArchive<BufReader<Handle>>, name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    archive
        .by_name(name)
        .ok()?
        .take(MOST_TEXT)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn push(
    file: &File,
    (ecosystem, name, version): (Ecosystem, String, &str),
    licence: Option<String>,
    sparks: &[String],
    found: &mut Found,
) {
    found.count += 1;
    found.dependencies.push(Dependency {
        ecosystem,
        name,
        version: Some(version.to_owned()),
        sparks: sparks.to_vec(),
        source: Arc::clone(&file.source),
        place: Place {
            start: 0,
            end: 0,
            line: 0,
            column: 0,
        },
        path: String::new(),
        licence,
    });
}

/// The newest Java that images of a Spark have, and its class format.
fn java(spark: &str) -> Option<(u16, u16)> {
    match minor(spark).split('.').next()? {
        "3" => Some((17, 61)),
        "4" => Some((21, 65)),
        _ => None,
    }
}

fn read_jar(file: &File, archive: &mut ZipArchive<BufReader<Handle>>, sparks: &[String], found: &mut Found) {
    let names: Vec<String> = archive.file_names().map(str::to_owned).collect();
    let mut coordinates = BTreeSet::new();
    for name in names
        .iter()
        .filter(|name| name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties"))
    {
        let text = text(archive, name).unwrap_or_default();
        let value = |key: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| {
                Some(
                    line.strip_prefix(key)?
                        .trim_start()
                        .strip_prefix('=')?
                        .trim()
                        .to_owned(),
                )
            })
        };
        if let (Some(group), Some(artifact), Some(version)) = (value("groupId"), value("artifactId"), value("version"))
        {
            coordinates.insert((group, artifact, version));
        }
    }
    // One that holds several hides them from the class path of Spark, or has moved them; it is looked up, and not held against what Spark ships.
    let of_itself = coordinates.len() == 1;
    for (group, artifact, version) in &coordinates {
        for (severity, code, message, fix) in sparks
            .iter()
            .flat_map(|spark| packages::fits(group, artifact, version, spark))
        {
            if of_itself {
                say(file, found, severity, code, message, fix);
            }
        }
        let sparks = if of_itself { sparks } else { &[] };
        let licence = jar_licence(archive, group, artifact, of_itself);
        let coordinates = (Ecosystem::Maven, format!("{group}:{artifact}"), version.as_str());
        push(file, coordinates, licence, sparks, found);
    }
    if coordinates.is_empty() {
        found.count += 1;
        // Its name still tells its Scala; whose it is, no one knows.
        let base = file.name.rsplit('/').next().unwrap_or(&file.name);
        let (artifact, version) = base.trim_end_matches(".jar").rsplit_once('-').unwrap_or((base, ""));
        for (severity, code, message, fix) in sparks
            .iter()
            .flat_map(|spark| packages::fits("", artifact, version, spark))
        {
            say(file, found, severity, code, message, fix);
        }
    }
    let Some(major) = newest_class(archive, &names) else {
        return;
    };
    for spark in sparks {
        if let Some((newest, format)) = java(spark).filter(|(_, format)| major > *format) {
            let message = format!(
                "its classes are made for Java {}, and Spark {spark} runs on Java {newest} at most (class format {format}): UnsupportedClassVersionError",
                major - 44
            );
            let fix = format!("build it with `--release {newest}` or lower");
            say(file, found, Severity::Error, "dependency-other-java", message, fix);
        }
    }
}

/// The newest class format among the classes every Java reads.
fn newest_class(archive: &mut ZipArchive<BufReader<Handle>>, names: &[String]) -> Option<u16> {
    let classes = names.iter().filter(|name| {
        name.ends_with(".class") && !name.starts_with("META-INF/") && !name.ends_with("module-info.class")
    });
    let mut newest = None;
    for name in classes.take(MOST_CLASSES) {
        let mut head = [0; 8];
        let Ok(mut entry) = archive.by_name(name) else { continue };
        if entry.read_exact(&mut head).is_ok() && head[..4] == [0xca, 0xfe, 0xba, 0xbe] {
            newest = newest.max(Some(u16::from_be_bytes([head[6], head[7]])));
        }
    }
    newest
}

fn read_wheel(file: &File, archive: &mut ZipArchive<BufReader<Handle>>, sparks: &[String], found: &mut Found) {
    let base = file.name.rsplit('/').next().unwrap_or(&file.name);
    let parts: Vec<&str> = base.trim_end_matches(".whl").split('-').collect();
    let ([name, version, python, abi, platform] | [name, version, _, python, abi, platform]) = parts.as_slice() else {
        let message = "its name is not that of a wheel: pip refuses it".to_owned();
        say(
            file,
            found,
            Severity::Error,
            "dependency-archive",
            message,
            "keep the name it was built with: `name-version-python-abi-platform.whl`",
        );
        return;
    };
    let (name, version) = (*name, *version);
    let on_linux = |platform: &str| platform == "any" || platform.contains("linux");
    if !platform.split('.').any(on_linux) {
        let message = format!("it is made for `{platform}`, and Spark's images are Linux");
        say(
            file,
            found,
            Severity::Error,
            "dependency-other-platform",
            message,
            "take the wheel for `manylinux`",
        );
    }
    let pythons = fits::pythons(sparks);
    let runs = |python: &&str| {
        let digits = python.replace('.', "");
        let stable = |tag: &str| {
            tag.strip_prefix("cp3")
                .is_some_and(|at_least| *abi == "abi3" && number(at_least) <= number(&digits[1..]))
        };
        tags(parts[parts.len() - 3])
            .any(|tag| tag == "py3" || tag == format!("py{digits}") || tag == format!("cp{digits}") || stable(tag))
    };
    if !pythons.is_empty() && !pythons.iter().any(runs) {
        let message = format!(
            "it is made for `{python}`, and the application's Spark for Python {} to {}",
            pythons.first().unwrap_or(&""),
            pythons.last().unwrap_or(&"")
        );
        say(
            file,
            found,
            Severity::Error,
            "dependency-other-python",
            message,
            "take the wheel of a Python the image has",
        );
    }
    let metadata = archive
        .file_names()
        .find(|name| name.ends_with(".dist-info/METADATA") && name.matches('/').count() == 1)
        .map(str::to_owned);
    let metadata = metadata.and_then(|name| text(archive, &name));
    let licence = metadata.as_deref().and_then(wheel_licence);
    let coordinates = (Ecosystem::PyPI, Ecosystem::PyPI.normal(name), version);
    push(file, coordinates, licence, sparks, found);
    let Some(metadata) = metadata else {
        let message = "it has no METADATA: pip refuses it".to_owned();
        damaged(file, found, message);
        return;
    };
    let wanted = metadata
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix("Requires-Python:"));
    if let Some((message, fix)) = wanted.and_then(|wanted| fits::python(wanted.trim(), sparks)) {
        say(file, found, Severity::Error, "dependency-other-python", message, fix);
    }
}

/// What a jar says of the licence of one of its artifacts: in its `pom.xml`, or, when it holds one only, in its manifest.
fn jar_licence(
    archive: &mut ZipArchive<BufReader<Handle>>,
    group: &str,
    artifact: &str,
    of_itself: bool,
) -> Option<String> {
    let of_pom = text(archive, &format!("META-INF/maven/{group}/{artifact}/pom.xml")).and_then(|pom| {
        let document = roxmltree::Document::parse(&pom).ok()?;
        let licences = document
            .root_element()
            .children()
            .find(|node| node.has_tag_name("licenses"))?;
        let names = licences.descendants().filter(|node| node.has_tag_name("name"));
        let names: Vec<String> = names.filter_map(|node| Some(node.text()?.trim().to_owned())).collect();
        // Maven means a choice when several are named.
        (!names.is_empty()).then(|| names.join(" OR "))
    });
    let of_manifest = |archive: &mut ZipArchive<BufReader<Handle>>| {
        // Lines of a manifest go on where the next begins with a blank.
        let manifest = text(archive, "META-INF/MANIFEST.MF")?
            .replace("\r\n", "\n")
            .replace("\n ", "");
        let licence = manifest.lines().find_map(|line| line.strip_prefix("Bundle-License:"))?;
        let first = licence.split([';', ',']).next().unwrap_or_default().trim();
        // Some write the address of the text.
        Some(
            if first.contains("apache.org/licenses/LICENSE-2.0") {
                "Apache-2.0"
            } else {
                first
            }
            .to_owned(),
        )
    };
    of_pom.or_else(|| of_itself.then(|| of_manifest(archive)).flatten())
}

/// What the METADATA of a wheel say of its licence: an expression, a classifier, or a short text.
fn wheel_licence(metadata: &str) -> Option<String> {
    let head = || metadata.lines().take_while(|line| !line.is_empty());
    let value = |key: &str| head().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()));
    let classified = head().filter_map(|line| {
        let name = line.strip_prefix("Classifier: License :: ")?.rsplit(" :: ").next()?;
        (name != "OSI Approved").then(|| name.to_owned())
    });
    let classified: Vec<String> = classified.collect();
    let stated = value("License-Expression:");
    let classified = || (classified.len() == 1).then(|| classified[0].clone());
    stated
        .or_else(classified)
        .or_else(|| value("License:").filter(|text| !text.is_empty()))
}

fn tags(written: &str) -> impl Iterator<Item = &str> {
    written.split('.')
}

fn number(digits: &str) -> u32 {
    digits.parse().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn said(name: &str, files: &[(&str, &[u8])], spark: &str) -> (Vec<String>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        let mut zip = zip::ZipWriter::new(Handle::create(&path).unwrap());
        for (name, bytes) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        let mut file = crate::job::of_bytes(name, b"");
        file.path = path;
        let mut found = Found::default();
        read(&file, &[spark.to_owned()], &mut found);
        let codes = found.findings.iter().map(|finding| finding.code.to_string()).collect();
        (codes, found.dependencies.iter().map(Dependency::shown).collect())
    }

    #[test]
    fn jars_tell_what_they_are_and_for_which_java() {
        let class = |major: u8| [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, major, 0];
        let one =
            |name: &str, version: &str| format!("#made\ngroupId=org.example\nartifactId={name}\nversion={version}\n");
        let lib = one("lib_2.13", "1.0");
        let old = one("lib_2.12", "1.0");
        let other = one("other", "2.0");
        let at = |name: &str| format!("META-INF/maven/org.example/{name}/pom.properties");
        let (codes, shown) = said(
            "lib.jar",
            &[(&at("lib_2.13"), lib.as_bytes()), ("a/A.class", &class(61))],
            "4.1.4",
        );
        assert_eq!((codes, shown), (vec![], vec!["org.example:lib_2.13:1.0".to_owned()]));
        let (codes, shown) = said(
            "fat.jar",
            &[(&at("lib_2.12"), old.as_bytes()), (&at("other"), other.as_bytes())],
            "4.1.4",
        );
        assert_eq!((codes.len(), shown.len()), (0, 2));
        let cases: [(&str, u8, &[&str]); 4] = [
            ("3.5.9", 61, &[]),
            ("3.5.9", 65, &["dependency-other-java"]),
            ("4.1.4", 65, &[]),
            ("4.1.4", 69, &["dependency-other-java"]),
        ];
        for (spark, major, expected) in cases {
            let files: [(&str, &[u8]); 3] = [
                ("META-INF/versions/25/a/A.class", &class(69)),
                ("module-info.class", &class(69)),
                ("a/A.class", &class(major)),
            ];
            assert_eq!(said("a.jar", &files, spark).0, expected, "{spark} {major}");
        }
        let class = class(52);
        assert_eq!(
            said("lib_2.12-1.0.jar", &[("a/A.class", &class)], "4.1.4").0,
            ["dependency-other-scala"]
        );
        assert_eq!(
            said("lib.jar", &[(&at("lib_2.12"), old.as_bytes())], "4.1.4").0,
            ["dependency-other-scala"]
        );
    }

    #[test]
    fn wheels_are_for_a_python_and_a_machine() {
        let metadata = |python: &str| {
            format!("Metadata-Version: 2.4\nName: a\nVersion: 1.0\nRequires-Python: {python}\n\nRequires-Python: <3\n")
        };
        let good = metadata(">=3.8");
        let old = metadata("<3.10");
        let cases: [(&str, &str, &[&str]); 9] = [
            ("a-1.0-py3-none-any.whl", &good, &[]),
            (
                "a-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                &good,
                &[],
            ),
            ("a-1.0-cp39-abi3-manylinux_2_17_x86_64.whl", &good, &[]),
            ("a-1.0-1-py2.py3-none-any.whl", &good, &[]),
            (
                "a-1.0-cp38-cp38-manylinux2014_x86_64.whl",
                &good,
                &["dependency-other-python"],
            ),
            ("a-1.0-py2-none-any.whl", &good, &["dependency-other-python"]),
            ("a-1.0-cp311-cp311-win_amd64.whl", &good, &["dependency-other-platform"]),
            ("a-1.0-py3-none-any.whl", &old, &["dependency-other-python"]),
            ("a.whl", &good, &["dependency-archive"]),
        ];
        for (name, metadata, expected) in cases {
            let (codes, _) = said(name, &[("a-1.0.dist-info/METADATA", metadata.as_bytes())], "4.1.4");
            assert_eq!(codes, expected, "{name} {metadata}");
        }
        assert_eq!(
            said("a-1.0-py3-none-any.whl", &[("a.py", b"")], "4.1.4").0,
            ["dependency-archive"]
        );
    }

    #[test]
    fn what_is_no_archive_or_is_not_there_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = crate::job::of_bytes("a.jar", b"");
        let mut found = Found::default();
        file.path = directory.path().join("a.jar");
        read(&file, &[], &mut found);
        std::fs::write(&file.path, "PK no more").unwrap();
        read(&file, &[], &mut found);
        let said: Vec<_> = found
            .findings
            .iter()
            .map(|finding| (&*finding.code, finding.cannot_tell))
            .collect();
        assert_eq!(said, [("dependency-archive", true), ("dependency-archive", false)]);
    }
}
