//! What the gate says of requirements and packages.

use stoke_diagnostics::Diagnostic;

use super::super::found;
use super::*;

fn said(files: &[(&str, &str)]) -> Vec<(String, usize)> {
    let found = found(files, look).into_iter();
    found.map(|finding| (finding.code.to_string(), finding.line)).collect()
}

fn app(spark: &str, packages: &[&str]) -> String {
    format!(
        "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: a}}\nspec:\n  sparkVersion: {spark}\n  deps:\n    packages: {packages:?}\n"
    )
}

#[test]
fn requirements_are_pinned_once_and_for_this_spark() {
    let cases: [(&str, &[&str]); 20] = [
        ("requests==2.32.3", &[]),
        ("requests==2.32.3 --hash=sha256:00", &[]),
        ("requests[socks]==2.32.3; python_version >= '3.10'  # why", &[]),
        ("requests @ https://example.com/requests-1.whl", &[]),
        ("-r other.txt\n", &["dependency-absent"]),
        ("--index-url https://example.com\n# nothing\n./local", &[]),
        ("requests", &["dependency-unpinned"]),
        ("requests>=2,<3", &["dependency-unpinned"]),
        ("requests==2.*", &["dependency-unpinned"]),
        ("requests>=3,<2", &["dependency-unmet"]),
        ("requests>2,<=2", &["dependency-unmet"]),
        ("requests~=2.1,<2", &["dependency-unmet"]),
        ("requests==2.1,<2", &["dependency-unmet"]),
        ("requests>=2,<=2", &["dependency-unpinned"]),
        ("requests==2.1\nRequests==2.2", &["dependency-twice"]),
        (
            "requests==2.1; sys_platform == 'linux'\nrequests==2.2; sys_platform == 'win32'",
            &[],
        ),
        ("requests=2.1", &["dependency-syntax"]),
        ("requests==2.1 \\\n  --hash=sha256:00", &[]),
        ("pyspark==3.5.9", &["dependency-other-spark"]),
        ("pyspark==4.1.2", &[]),
    ];
    let manifest = app("4.1.4", &[]);
    for (text, codes) in cases {
        let found: Vec<String> = said(&[("a.yaml", &manifest), ("requirements.txt", text)])
            .into_iter()
            .map(|(code, _)| code)
            .collect();
        assert_eq!(found, codes, "{text}");
    }
    assert_eq!(said(&[("requirements.in", "requests")]), []);
}

#[test]
fn packages_fit_the_spark_they_run_on() {
    let cases: [(&str, &[&str], &[&str]); 24] = [
        ("4.1.4", &["org.apache.spark:spark-avro_2.13:4.1.4"], &[]),
        (
            "4.1.4",
            &["org.apache.spark:spark-avro_2.12:4.1.4"],
            &["dependency-other-scala"],
        ),
        (
            "4.1.4",
            &["org.apache.spark:spark-avro_2.13:3.5.9"],
            &["dependency-other-spark"],
        ),
        (
            "4.1.4",
            &["org.apache.spark:spark-sql_2.13:4.1.4"],
            &["dependency-shipped"],
        ),
        (
            "3.5.9",
            &["org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.9.0"],
            &[],
        ),
        (
            "4.1.4",
            &["org.apache.iceberg:iceberg-spark-runtime-3.5_2.13:1.9.0"],
            &["dependency-other-spark"],
        ),
        (
            "3.5.9",
            &["org.apache.iceberg:iceberg-spark-runtime-3.3_2.12:1.6.1"],
            &["dependency-other-spark"],
        ),
        (
            "3.5.9",
            &["org.apache.hudi:hudi-spark3.4-bundle_2.12:0.15.0"],
            &["dependency-other-spark"],
        ),
        ("3.5.9", &["org.apache.hudi:hudi-spark3.5-bundle_2.12:0.15.0"], &[]),
        (
            "4.1.4",
            &["io.delta:delta-spark_4.0_2.13:4.1.0"],
            &["dependency-other-spark"],
        ),
        (
            "3.5.9",
            &["org.apache.celeborn:celeborn-client-spark-3-shaded_2.12:0.5.1"],
            &[],
        ),
        (
            "3.5.9",
            &["org.apache.iceberg:iceberg-spark-runtime-3.5_2.13:1.9.0"],
            &["dependency-other-scala"],
        ),
        (
            "4.1.4",
            &["org.apache.hadoop:hadoop-aws:3.3.4"],
            &["dependency-other-hadoop"],
        ),
        ("4.1.4", &["org.apache.hadoop:hadoop-aws:3.4.2"], &[]),
        ("4.1.4", &["org.postgresql:postgresql"], &["dependency-syntax"]),
        ("4.1.4", &["org.postgresql:postgresql:latest"], &["dependency-unpinned"]),
        (
            "4.1.4",
            &["org.postgresql:postgresql:42.7.4", "org.postgresql:postgresql:42.7.3"],
            &["dependency-twice"],
        ),
        ("3.5.9", &["io.delta:delta-core_2.12:3.2.0"], &["dependency-renamed"]),
        ("9.9.9", &["io.delta:delta-core_2.12:4.0.0"], &["dependency-renamed"]),
        ("4.1.4", &["io.delta:delta-core_2.12:3.2.0"], &["dependency-renamed"]),
        ("3.4.4", &["io.delta:delta-core_2.12:2.4.0"], &[]),
        ("3.5.9", &["io.delta:delta-spark_2.12:3.2.0"], &[]),
        ("9.9.9", &["a:b_2.11:1"], &[]),
        ("4.1.4", &["a:b::"], &["dependency-syntax"]),
    ];
    for (spark, packages, codes) in cases {
        let found: Vec<String> = said(&[("a.yaml", &app(spark, packages))])
            .into_iter()
            .map(|(code, _)| code)
            .collect();
        assert_eq!(found, codes, "{spark} {packages:?}");
    }
}

#[test]
fn the_renamed_artifact_is_named_as_it_fits() {
    for (spark, package, fix) in [
        (
            "3.5.9",
            "delta-core_2.12:3.2.0",
            "write `io.delta:delta-spark_2.12:3.3.2`",
        ),
        (
            "4.0.1",
            "delta-core_2.13:4.0.0",
            "write `io.delta:delta-spark_2.13:4.0.0`",
        ),
        (
            "9.9.9",
            "delta-core_2.13:4.0.0",
            "write `io.delta:delta-spark_2.13:4.0.0`",
        ),
    ] {
        let (artifact, version) = package.split_once(':').unwrap();
        let found = packages::fits("io.delta", artifact, version, spark);
        let fixes: Vec<&str> = found.iter().map(|(_, _, _, fix)| fix.as_str()).collect();
        assert_eq!(fixes, [fix], "{spark}");
    }
}

const APP: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a}\nspec:\n  sparkVersion: 4.1.4\n";

/// What is found, and what would be looked up.
fn read(name: &str, text: &str) -> (Vec<String>, Vec<String>) {
    let files = [("a.yaml", APP), (name, text)];
    let files = files.map(|(name, text)| crate::job::of_bytes(name, text.as_bytes()));
    let job = Job {
        files: files.to_vec(),
        ..Job::default()
    };
    let found = gather(&job, &Settings::default());
    let codes = found
        .findings
        .iter()
        .map(|finding| format!("{}:{}", finding.code, finding.line));
    let shown = found
        .dependencies
        .iter()
        .map(|dependency| format!("{} {}", dependency.shown(), dependency.place.line));
    (codes.collect(), shown.collect())
}

#[test]
fn requirements_include_others_and_are_constrained() {
    let files = [
        ("a.yaml", APP),
        (
            "requirements.txt",
            "requests\n-r more/base.list\n-c limits.list\nold==1; python_version < '3.8'\n",
        ),
        ("more/base.list", "pandas==2.2.3\n-r base.list\nnumpy\n"),
        ("limits.list", "requests==2.32.3\n"),
    ];
    let job = Job {
        files: files
            .map(|(name, text)| crate::job::of_bytes(name, text.as_bytes()))
            .to_vec(),
        ..Job::default()
    };
    let found = gather(&job, &Settings::default());
    let shown: Vec<_> = found.dependencies.iter().map(Dependency::shown).collect();
    assert_eq!(shown, ["requests==2.32.3", "pandas==2.2.3", "numpy=="]);
    let said: Vec<_> = found
        .findings
        .iter()
        .map(|finding| (&*finding.code, finding.file.as_str(), finding.line))
        .collect();
    // A file that includes itself is read once.
    assert_eq!(said, [("dependency-unpinned", "more/base.list", 3)]);
}

#[test]
fn locks_name_one_version_of_everything() {
    let cases: [(&str, &str, &[&str], &[&str]); 9] = [
        (
            "poetry.lock",
            "[[package]]\nname = \"Requests\"\nversion = \"2.32.3\"\ngroups = [\"main\"]\n\n[[package]]\nname = \"pytest\"\nversion = \"8.0\"\ngroups = [\"dev\"]\n\n[metadata]\nlock-version = \"2.1\"\npython-versions = \">=3.10\"\n",
            &[],
            &["requests==2.32.3 2"],
        ),
        (
            "poetry.lock",
            "[[package]]\nname = \"pytest\"\nversion = \"8.0\"\ncategory = \"dev\"\n\n[metadata]\npython-versions = \"<3.9\"\n",
            &["dependency-other-python:7"],
            &[],
        ),
        (
            "uv.lock",
            "version = 1\nrequires-python = \">=3.11\"\n\n[[package]]\nname = \"job\"\nversion = \"0.1.0\"\nsource = { virtual = \".\" }\n\n[[package]]\nname = \"pandas\"\nversion = \"2.1.0\"\nsource = { registry = \"https://pypi.org/simple\" }\n",
            &["dependency-not-with-spark:10"],
            &["pandas==2.1.0 10"],
        ),
        (
            "pdm.lock",
            "[metadata]\ngroups = [\"default\", \"dev\"]\n\n[[package]]\nname = \"idna\"\nversion = \"3.7\"\ngroups = [\"default\"]\n\n[[package]]\nname = \"ruff\"\nversion = \"0.5\"\ngroups = [\"dev\"]\n",
            &[],
            &["idna==3.7 5"],
        ),
        (
            "pylock.toml",
            "lock-version = \"1.0\"\nrequires-python = \"==3.9.*\"\n[[packages]]\nname = \"idna\"\nversion = \"3.7\"\n[[packages]]\nname = \"colorama\"\nversion = \"0.4\"\nmarker = \"sys_platform == 'win32'\"\n",
            &["dependency-other-python:2"],
            &["idna==3.7 4"],
        ),
        (
            "Pipfile.lock",
            "{\"_meta\": {\"requires\": {\"python_version\": \"3.12\"}},\n\"default\": {\n\"idna\": {\"version\": \"==3.7\"},\n\"tomli\": {\"version\": \"==2\", \"markers\": \"python_version < '3.9'\"}},\n\"develop\": {\"pytest\": {\"version\": \"==8\"}}}",
            &[],
            &["idna==3.7 3"],
        ),
        ("Pipfile.lock", "{\n  \"default\": [\n", &["dependency-syntax:2"], &[]),
        ("uv.lock", "version = 1\n[[package]\n", &["dependency-syntax:2"], &[]),
        (
            "uv.lock",
            "[[package]]\nversion = \"1\"\n",
            &["dependency-syntax:1"],
            &[],
        ),
    ];
    for (name, text, codes, dependencies) in cases {
        let (said, shown) = read(name, text);
        assert_eq!(
            (
                said.iter().map(String::as_str).collect::<Vec<_>>(),
                shown.iter().map(String::as_str).collect::<Vec<_>>()
            ),
            (codes.to_vec(), dependencies.to_vec()),
            "{name}: {text}"
        );
    }
}

#[test]
fn projects_say_what_they_want() {
    let cases: [(&str, &str, &[&str], &[&str]); 10] = [
        (
            "pyproject.toml",
            "[project]\nname = \"a\"\nrequires-python = \"<3.10\"\ndependencies = [\n  \"requests==2.32.3\",\n  \"idna>=3\",\n  \"tomli==1; python_version < '3.10'\",\n  \"a b\",\n]\n",
            &[
                "dependency-other-python:3",
                "dependency-unpinned:6",
                "dependency-syntax:8",
            ],
            &["requests==2.32.3 5", "idna== 6"],
        ),
        (
            "pyproject.toml",
            "[tool.poetry.dependencies]\nidna = \"^3.7\"\npython = \">=3.10\"\nrequests = {version = \"2.32.3\", extras = [\"socks\"]}\n",
            &["dependency-unpinned:2"],
            &["idna== 2", "requests==2.32.3 4"],
        ),
        ("pyproject.toml", "[project\n", &["dependency-syntax:1"], &[]),
        (
            "environment.yml",
            "name: a\ndependencies:\n- python=3.9\n- conda-forge::pandas=2.2.3=py310\n- openssl\n- pip\n- pip:\n  - requests==2.32.3\n",
            &[
                "dependency-other-python:3",
                "dependency-unpinned:5",
                "dependency-unpinned:6",
            ],
            &["pandas==2.2.3 4", "requests==2.32.3 8"],
        ),
        (
            "pom.xml",
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<properties><pg>42.7.4</pg><again>${pg}</again></properties>\n<dependencyManagement><dependencies><dependency><groupId>a</groupId><artifactId>m</artifactId><version>1.5</version></dependency></dependencies></dependencyManagement>\n<dependencies>\n<dependency><groupId>org.postgresql</groupId><artifactId>postgresql</artifactId><version>${again}</version></dependency>\n<dependency><groupId>a</groupId><artifactId>m</artifactId></dependency>\n<dependency><groupId>a</groupId><artifactId>t</artifactId><version>1</version><scope>test</scope></dependency>\n<dependency><groupId>org.apache.spark</groupId><artifactId>spark-sql_2.13</artifactId><version>4.1.4</version><scope>provided</scope></dependency>\n<dependency><groupId>a</groupId><artifactId>u</artifactId><version>${parent.v}</version></dependency>\n</dependencies></project>",
            &[],
            &["org.postgresql:postgresql:42.7.4 5", "a:m:1.5 6", "a:u: 9"],
        ),
        (
            "pom.xml",
            "<project><dependencies>\n<dependency><groupId>org.apache.spark</groupId><artifactId>spark-sql_2.12</artifactId><version>3.5.9</version><scope>provided</scope></dependency>\n<dependency><groupId>org.apache.spark</groupId><artifactId>spark-core_2.13</artifactId><version>4.1.4</version></dependency>\n<dependency><groupId>a</groupId><artifactId>s</artifactId><version>1-SNAPSHOT</version></dependency></dependencies></project>",
            &[
                "dependency-other-scala:2",
                "dependency-other-spark:2",
                "dependency-shipped:3",
                "dependency-unpinned:4",
            ],
            &["org.apache.spark:spark-core_2.13:4.1.4 3", "a:s: 4"],
        ),
        ("pom.xml", "<project>\n<a></project>", &["dependency-syntax:2"], &[]),
        (
            "build.sbt",
            "scalaVersion := \"2.13.17\"\nval v = \"4.1.4\"\nlibraryDependencies ++= Seq(\n  \"org.apache.spark\" %% \"spark-sql\" % v % \"provided\",\n  // \"a\" % \"old\" % \"1\",\n  \"com.lihaoyi\" %% \"upickle\" % \"4.0.0\",\n  \"org.scalatest\" %% \"scalatest\" % \"3.2.19\" % Test\n)\n",
            &[],
            &["com.lihaoyi:upickle_2.13:4.0.0 6"],
        ),
        (
            "build.gradle",
            "dependencies {\n  implementation 'org.postgresql:postgresql:42.7.4'\n  compileOnly(\"org.apache.spark:spark-sql_2.13:3.5.9\")\n  testImplementation 'a:b:1'\n  implementation \"a:c:$v\"\n}\n",
            &["dependency-other-spark:3"],
            &["org.postgresql:postgresql:42.7.4 2"],
        ),
        (
            "gradle.lockfile",
            "# comment\na:b:1.0=compileClasspath,runtimeClasspath\na:c:1.0=testRuntimeClasspath\nempty=annotationProcessor\n",
            &[],
            &["a:b:1.0 2"],
        ),
    ];
    for (name, text, codes, dependencies) in cases {
        let (said, shown) = read(name, text);
        assert_eq!(
            (
                said.iter().map(String::as_str).collect::<Vec<_>>(),
                shown.iter().map(String::as_str).collect::<Vec<_>>()
            ),
            (codes.to_vec(), dependencies.to_vec()),
            "{name}: {text}"
        );
    }
}

/// Advisories, today, requirements, packages, and what is found.
type Case<'a> = (&'a Advisories, jiff::civil::Date, &'a str, &'a [&'a str], &'a [&'a str]);

#[test]
fn without_what_it_needs_the_gate_cannot_tell() {
    let directory = tempfile::tempdir().unwrap();
    let advisory = |id: &str, severity: &str, fixed: &str| {
        let json = format!(
            r#"{{"id": "{id}", "modified": "2026-09-01T00:00:00Z", "database_specific": {{"severity": "{severity}"}}, "affected": [{{"package": {{"ecosystem": "PyPI", "name": "{}"}}, "ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}, {{"fixed": "{fixed}"}}]}}]}}]}}"#,
            id.to_lowercase()
        );
        std::fs::write(directory.path().join(format!("{id}.json")), json).unwrap();
    };
    for (id, severity, fixed) in [
        ("LOW", "LOW", "2"),
        ("HIGH", "HIGH", "2"),
        ("UNSAID", "", "2"),
        ("ODD", "LOW", "no version"),
    ] {
        advisory(id, severity, fixed);
    }
    let mut gathered = stoke_advisories::Gathered::default();
    gathered.add("own", directory.path(), &mut |_| {}).unwrap();
    stoke_advisories::database::write(directory.path(), &gathered, jiff::Timestamp::UNIX_EPOCH).unwrap();
    let database = std::sync::Arc::new(stoke_advisories::Database::open(directory.path()).unwrap());
    let says = |advisories: &Advisories, today: jiff::civil::Date, text: &str, packages: &[&str]| {
        let files = [
            ("a.yaml", app("4.1.4", packages)),
            ("requirements.txt", text.to_owned()),
        ];
        let job = Job {
            files: files
                .map(|(name, text)| crate::job::of_bytes(name, text.as_bytes()))
                .to_vec(),
            ..Job::default()
        };
        let settings = Settings {
            advisories: advisories.clone(),
            today,
            ..Settings::default()
        };
        let looked = look(&job, &settings);
        let one = |finding: &Diagnostic| format!("{} {:?} {}", finding.code, finding.severity, finding.cannot_tell);
        (looked.findings.iter().map(one).collect::<Vec<_>>(), looked.what)
    };
    let (soon, late) = (jiff::civil::date(2026, 9, 20), jiff::civil::date(2026, 11, 22));
    let ready = Advisories::Database(database);
    let cases: [Case<'_>; 10] = [
        (&ready, soon, "other==1", &[], &[]),
        (&ready, soon, "low==1", &[], &["dependency-vulnerable Warning false"]),
        (&ready, soon, "low==2", &[], &[]),
        (&ready, soon, "high==1", &[], &["dependency-vulnerable Error false"]),
        (&ready, soon, "unsaid==1", &[], &["dependency-vulnerable Error false"]),
        (&ready, soon, "odd==1", &[], &["dependency-undecided Error true"]),
        (
            &ready,
            soon,
            "",
            &["org.postgresql:postgresql:42.7.4"],
            &["dependency-no-advisories Error true"],
        ),
        (
            &ready,
            late,
            "other==1",
            &[],
            &["dependency-advisories-stale Warning false"],
        ),
        (
            &Advisories::Missing("none".into()),
            soon,
            "other==1",
            &[],
            &["dependency-no-advisories Error true"],
        ),
        (&Advisories::Missing("none".into()), soon, "", &[], &[]),
    ];
    for (advisories, today, text, packages, expected) in cases {
        assert_eq!(
            says(advisories, today, text, packages).0,
            expected,
            "{text} {packages:?}"
        );
    }
    let (found, what) = says(&Advisories::NotAsked, soon, "low==1", &[]);
    assert_eq!(
        (found.len(), what.as_str()),
        (0, "1 dependency; known vulnerabilities were not looked up")
    );
}

/// A list may name anything of the machine; what is not of the repository is neither read nor shown.
#[test]
fn requirements_stay_within_the_repository() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    put("outside.txt", "hunter22==1\n");
    put("repository/.git/HEAD", "");
    put("repository/base.txt", "pandas==2.2.3\n");
    let mut job = Job::default();
    for name in [
        "/etc/passwd",
        "/proc/kmsg",
        "/dev/zero",
        "../../outside.txt",
        "../base.txt",
    ] {
        for option in ["-r", "-c"] {
            let list = put("repository/jobs/requirements.txt", &format!("{option} {name}\n"));
            job = crate::job::read(&[list]).unwrap();
            let found = gather(&job, &Settings::default());
            let unread: Vec<_> = found.findings.iter().filter(|one| one.code == "file-unread").collect();
            assert_eq!(unread.len(), usize::from(name != "../base.txt"), "{option} {name}");
            assert!(unread.iter().all(|one| one.cannot_tell));
            let shown = format!("{:?} {:?}", found.findings, found.dependencies);
            assert!(!shown.contains("root:x") && !shown.contains("hunter22"), "{shown}");
        }
    }
    assert_eq!(job.files.len(), 1);
}
