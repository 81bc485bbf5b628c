//! What is found beside what the package managers themselves say, and the documents beside the official validators.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use stoke_release::sbom::{self, About, Inventory, Kind};
use stoke_testkit::{Tier, program, python, spark, trial};

/// The validators, which are the packages that are looked for, too.
const PACKAGES: [&str; 2] = ["cyclonedx-python-lib[json-validation]==11.12.0", "spdx-tools==0.8.5"];

const VALIDATE: &str = r#"
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
if wrong: sys.exit(f"CycloneDX: {str(wrong)[:2000]}")
found = validate_full_spdx_document(parse_file(sys.argv[2]))
if found: sys.exit("SPDX: " + "\n".join(m.validation_message for m in found[:20]))
"#;

fn environment() -> Result<PathBuf, String> {
    python::environment("sbom", &PACKAGES)
}

pub fn trials() -> Vec<Trial> {
    vec![
        trial(
            "sbom: a Python environment beside pip",
            Tier::Default,
            || environment().map(drop),
            beside_pip,
        ),
        trial(
            "sbom: packages of Debian beside dpkg-query",
            Tier::Default,
            || program("dpkg-query", "a Debian"),
            beside_dpkg,
        ),
        trial(
            "sbom: packages of RPM beside rpm, a database of SQLite",
            Tier::Default,
            || rpm_with("sqlite"),
            || beside_rpm("sqlite"),
        ),
        trial(
            "sbom: packages of RPM beside rpm, a database of its own kind (ndb)",
            Tier::Default,
            || rpm_with("ndb"),
            || beside_rpm("ndb"),
        ),
        trial(
            "sbom: the jars of a Spark",
            Tier::Full,
            || environment().and_then(|_| spark::spark("4.1.4").map(drop)),
            jars_of_spark,
        ),
    ]
}

fn output(command: &mut Command) -> Result<String, Failed> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {text}{}", String::from_utf8_lossy(&output.stdout)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Both documents, held against the official validators; the same inventory gives the same bytes.
fn validate(inventory: &Inventory) -> Result<(), Failed> {
    let about = About {
        name: "trial".to_owned(),
        digest: Some(format!("sha256:{}", "ab".repeat(32))),
        timestamp: Some(jiff::Timestamp::UNIX_EPOCH),
    };
    let directory = tempfile::tempdir()?;
    let write = |name: &str, document: Value| {
        let path = directory.path().join(name);
        std::fs::write(&path, document.to_string()).map(|()| path)
    };
    let cyclonedx = write("bom.json", sbom::cyclonedx::document(inventory, &about))?;
    let spdx = write("bom.spdx.json", sbom::spdx_document::document(inventory, &about))?;
    let python = environment()?;
    output(Command::new(python).args(["-c", VALIDATE]).arg(&cyclonedx).arg(&spdx))?;
    let again = sbom::cyclonedx::document(&inventory.clone(), &about).to_string();
    if again != std::fs::read_to_string(cyclonedx)? {
        return Err("the same inventory gave other bytes".into());
    }
    Ok(())
}

type Names = BTreeSet<(String, String)>;

/// Names and versions of a kind, of those whose place passes.
fn names(inventory: &Inventory, kind: Kind, wanted: impl Fn(&str) -> bool) -> Names {
    let packages = inventory.packages.iter().filter(|package| package.kind == kind);
    let here = packages.filter(|package| package.places.iter().any(|place| wanted(place)));
    here.map(|package| (package.name.clone(), package.version.clone()))
        .collect()
}

fn same(ours: &Names, theirs: &Names) -> Result<(), Failed> {
    let missing: Vec<_> = theirs.difference(ours).collect();
    let more: Vec<_> = ours.difference(theirs).collect();
    match missing.is_empty() && more.is_empty() && !ours.is_empty() {
        true => Ok(()),
        false => Err(format!("{} found; missing {missing:?}, too many {more:?}", ours.len()).into()),
    }
}

fn beside_pip() -> Result<(), Failed> {
    let python = environment()?;
    let root = python.ancestors().nth(2).unwrap_or(Path::new("/")).to_owned();
    let text = output(Command::new(&python).args(["-m", "pip", "inspect", "--local"]))?;
    let inspected: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let installed = inspected["installed"].as_array().cloned().unwrap_or_default();
    let field = |package: &Value, name: &str| package["metadata"][name].as_str().unwrap_or_default().to_owned();
    let theirs: Names = installed
        .iter()
        .map(|package| (field(package, "name"), field(package, "version")))
        .collect();
    let inventory = sbom::directory(&root).map_err(|error| error.to_string())?;
    // What packages carry inside themselves is no installed package to pip.
    let top = |place: &str| {
        let parts: Vec<&str> = place.split("site-packages/").collect();
        parts.len() == 2 && parts[1].matches('/').count() == 1
    };
    same(&names(&inventory, Kind::Pypi, top), &theirs)?;
    validate(&inventory)
}

fn beside_dpkg() -> Result<(), Failed> {
    let text = output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}\t${Package}\t${Version}\n"]))?;
    let theirs: Names = text
        .lines()
        .filter_map(|line| line.strip_prefix("installed\t")?.split_once('\t'))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect();
    let root = tempfile::tempdir()?;
    for path in ["var/lib/dpkg/status", "etc/os-release"] {
        let to = root.path().join(path);
        std::fs::create_dir_all(to.parent().unwrap_or(Path::new("/")))?;
        std::fs::copy(Path::new("/").join(path), to)?;
    }
    let inventory = sbom::directory(root.path()).map_err(|error| error.to_string())?;
    same(&names(&inventory, Kind::Deb, |_| true), &theirs)?;
    let all_named = inventory
        .packages
        .iter()
        .all(|package| package.purl().is_some_and(|purl| purl.contains("distro=")));
    match all_named {
        true => Ok(()),
        false => Err("a package does not name its distribution".into()),
    }
}

const SPEC: &str = "Name: NAME\nVersion: 1.2\nRelease: 3\nEpoch: 4\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n%files\n";

/// Whether this machine's rpm writes this kind of database: some are built without `ndb`.
fn rpm_with(backend: &str) -> Result<(), String> {
    program("rpmbuild", "apt-get install rpm")?;
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut made = Command::new("rpm");
    made.args(["--define", &format!("_db_backend {backend}"), "--initdb", "--dbpath"]);
    let made = made.arg(place.path()).output().map_err(|error| error.to_string())?;
    match String::from_utf8_lossy(&made.stderr).contains("invalid %_db_backend") {
        true => Err(format!("this rpm is built without {backend}")),
        false => Ok(()),
    }
}

fn beside_rpm(backend: &str) -> Result<(), Failed> {
    let root = tempfile::tempdir()?;
    let place = root.path().join("usr/lib/sysimage/rpm");
    std::fs::create_dir_all(&place)?;
    let define = |command: &mut Command| {
        command
            .args(["--define", &format!("_db_backend {backend}")])
            .args(["--define", &format!("_topdir {}", root.path().join("build").display())])
            .args(["--dbpath"])
            .arg(&place);
    };
    for name in ["first", "second"] {
        let spec = root.path().join(format!("{name}.spec"));
        std::fs::write(&spec, SPEC.replace("NAME", name))?;
        let topdir = format!("_topdir {}", root.path().join("build").display());
        output(Command::new("rpmbuild").args(["-bb", "--define", &topdir]).arg(&spec))?;
        let made = root.path().join(format!("build/RPMS/noarch/{name}-1.2-3.noarch.rpm"));
        let mut install = Command::new("rpm");
        define(&mut install);
        output(install.args(["-i", "--justdb", "--nodeps", "--force-debian"]).arg(made))?;
    }
    let mut query = Command::new("rpm");
    define(&mut query);
    let text = output(query.args(["-qa", "--qf", "%{NAME}\t%{VERSION}-%{RELEASE}\n"]))?;
    let theirs: Names = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect();
    let inventory = sbom::directory(root.path()).map_err(|error| error.to_string())?;
    if !inventory.unread.is_empty() {
        return Err(format!("{backend}: {:?}", inventory.unread).into());
    }
    same(&names(&inventory, Kind::Rpm, |_| true), &theirs)?;
    let epochs = inventory
        .packages
        .iter()
        .all(|package| package.purl().is_some_and(|purl| purl.contains("epoch=4")));
    if !epochs {
        return Err(format!("{backend}: an epoch is missing").into());
    }
    Ok(())
}

fn jars_of_spark() -> Result<(), Failed> {
    let home = spark::spark("4.1.4")?.spark_home;
    let inventory = sbom::directory(&home).map_err(|error| error.to_string())?;
    let found: BTreeSet<&str> = inventory
        .packages
        .iter()
        .flat_map(|package| package.places.iter().map(String::as_str))
        .collect();
    let mut missing = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(home.join("jars"))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".jar") {
            count += 1;
            if !found.contains(format!("jars/{name}").as_str()) {
                missing.push(name);
            }
        }
    }
    if !missing.is_empty() || count < 200 {
        return Err(format!("{count} jars; not found: {missing:?}").into());
    }
    validate(&inventory)
}
