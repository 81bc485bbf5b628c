//! Command lines as tables: what `spark-submit` of the versions does with them was observed on the real one.

use super::*;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn read(line: &[String], files: &dyn Files, version: &str) -> Result<Arguments, ArgvError> {
    read_arguments(line, files, &version.parse().unwrap(), Identity::derive("test", 1))
}

fn conf(line: &str, files: &dyn Files) -> BTreeMap<String, String> {
    read(&words(&format!("{MASTER} {line}")), files, "4.3.0")
        .unwrap()
        .request
        .conf
}

fn error(line: &str) -> ArgvError {
    read(&words(line), &MemoryFiles::default(), "4.3.0").unwrap_err()
}

use std::collections::BTreeMap;

const MASTER: &str = "--master k8s://https://h:6443 --deploy-mode cluster";

#[test]
fn every_option_that_sets_a_key_sets_it_in_both_forms() {
    for option in options::OPTIONS {
        let Some(key) = option.key else { continue };
        let value = if key.contains("memory") { "3g" } else { "7" };
        for given in [format!("{} {value}", option.name), format!("{}={value}", option.name)] {
            let files = MemoryFiles::default().file("/7", "keytab");
            let conf = conf(&format!("{given} a.py"), &files);
            assert_eq!(conf.get(key).map(String::as_str), Some(value), "{given}");
        }
    }
}

/// As recorded from spark-submit of the three versions.
#[test]
fn the_proxy_user_is_the_user_unless_the_environment_names_one() {
    let cases = [
        ("", &[][..], "4.1.4", "somebody"),
        ("", &[("HADOOP_USER_NAME", "carol")], "4.1.4", "carol"),
        ("--proxy-user bob", &[], "3.5.9", "bob"),
        ("--proxy-user bob", &[], "4.1.4", "bob"),
        ("--proxy-user bob", &[], "4.3.0", "bob"),
        ("--proxy-user bob", &[("HADOOP_USER_NAME", "carol")], "3.5.9", "bob"),
        ("--proxy-user bob", &[("SPARK_USER", "alice")], "3.5.9", "alice"),
        ("--proxy-user bob", &[("SPARK_USER", "alice")], "4.1.4", "alice"),
        ("--proxy-user bob", &[("SPARK_USER", "alice")], "4.3.0", "bob"),
    ];
    for (option, environment, version, user) in cases {
        let files = environment.iter().fold(MemoryFiles::default(), |files, (name, value)| {
            files.variable(name, value)
        });
        let line = words(&format!(
            "{MASTER} --conf spark.kubernetes.container.image=i {option} local:///a.py"
        ));
        let request = read(&line, &files, version).unwrap().request;
        let pod = crate::plan(&request).unwrap().driver_pod;
        let env = pod["spec"]["containers"][0]["env"].as_array().unwrap();
        let found = env.iter().find(|variable| variable["name"] == "SPARK_USER").unwrap();
        let expected = if user == "somebody" {
            files.user_name()
        } else {
            user.to_owned()
        };
        assert_eq!(found["value"], expected, "{option} {environment:?} {version}");
    }
}

#[test]
fn options_beat_conf_beats_extra_files_beat_the_file_beats_defaults_beat_environment() {
    let files = MemoryFiles::default()
        .file(
            "/conf/spark-defaults.conf",
            "spark.a defaults\nspark.b defaults\nspark.executor.memory 6g\n",
        )
        .file("/p.conf", "spark.a=file\nspark.b=file\nspark.c=file\nspark.d=file\n")
        .file("/x1.conf", "spark.b x1\nspark.c x1\nspark.d x1\n")
        .file("/x2.conf", "spark.c x2\nspark.d x2\n")
        .variable("SPARK_CONF_DIR", "/conf")
        .variable("SPARK_EXECUTOR_MEMORY", "1g")
        .variable("SPARK_DRIVER_MEMORY", "2g")
        .variable("SPARK_EXECUTOR_CORES", "3");
    let files_given = "--properties-file p.conf --extra-properties-file x1.conf --extra-properties-file x2.conf";
    let merged = conf(
        &format!("{files_given} --conf spark.d=conf --driver-memory 5g a.py"),
        &files,
    );
    let value = |key: &str| merged.get(key).map_or("", String::as_str);
    assert_eq!(
        [value("spark.a"), value("spark.b"), value("spark.c"), value("spark.d")],
        ["file", "x1", "x2", "conf"]
    );
    assert_eq!(
        [
            value("spark.driver.memory"),
            value("spark.executor.memory"),
            value("spark.executor.cores")
        ],
        ["5g", "1g", "3"],
        "defaults are not read beside a properties file"
    );
    let with_defaults = conf(&format!("{files_given} --load-spark-defaults a.py"), &files);
    assert_eq!(with_defaults["spark.executor.memory"], "6g");
    assert_eq!(with_defaults["spark.a"], "file");
    let only_defaults = conf("--extra-properties-file x1.conf a.py", &files);
    assert_eq!(
        [&only_defaults["spark.a"], &only_defaults["spark.b"]],
        ["defaults", "x1"]
    );
    let flag = conf("--executor-memory 9g --conf spark.executor.memory=8g a.py", &files);
    assert_eq!(flag["spark.executor.memory"], "9g");
}

#[test]
fn a_copied_command_line_works_and_the_rest_belongs_to_the_application() {
    for program in [
        "",
        "spark-submit ",
        "$SPARK_HOME/bin/spark-submit ",
        "./bin/spark-submit ",
    ] {
        let line = words(&format!(
            "{program}{MASTER} --name x local:///main.py --date 2024-01-01 -v"
        ));
        let arguments = read(&line, &MemoryFiles::default(), "3.5.9").unwrap();
        assert_eq!(
            arguments.request.resource,
            MainResource::Python("local:///main.py".into())
        );
        assert_eq!(arguments.request.args, ["--date", "2024-01-01", "-v"]);
        assert!(!arguments.verbose);
        assert_eq!(arguments.warnings, Vec::<String>::new());
    }
}

#[test]
fn the_kind_of_application_is_told_by_its_name() {
    let kind = |resource: &str| {
        let line = words(&format!("{MASTER} --class a.B {resource}"));
        read(&line, &MemoryFiles::default(), "4.1.4").unwrap().request.resource
    };
    assert_eq!(kind("s3a://b/m.py"), MainResource::Python("s3a://b/m.py".into()));
    assert_eq!(kind("m.R"), MainResource::R("m.R".into()));
    assert_eq!(kind("m.r"), MainResource::R("m.r".into()));
    assert_eq!(kind("m.jar"), MainResource::Java(Some("m.jar".into())));
    assert_eq!(kind("spark-internal"), MainResource::Java(None));
}

#[test]
fn what_spark_submit_refuses_is_refused_with_the_fix() {
    let table = [
        (format!("{MASTER} --foo 1 a.py"), "UnknownOption", "--foo"),
        (
            format!("{MASTER} --executer-memory 1g a.py"),
            "UnknownOption",
            "did you mean `--executor-memory`",
        ),
        (
            format!("{MASTER} --executor_cores 1 a.py"),
            "UnknownOption",
            "did you mean `--executor-cores`",
        ),
        (
            format!("{MASTER} --namespace x a.py"),
            "UnknownOption",
            "--conf spark.kubernetes.namespace=",
        ),
        (
            format!("{MASTER} --spark.executor.memory 1g a.py"),
            "UnknownOption",
            "--conf spark.executor.memory=",
        ),
        (format!("{MASTER} --name"), "MissingValue", "--name"),
        (format!("{MASTER} --name= a.py"), "EmptyValue", "--name ''"),
        (format!("{MASTER} --conf abc a.py"), "ConfWithoutEquals", "key=value"),
        (MASTER.to_owned(), "MissingResource", "no application"),
        (String::new(), "ClientMode", "cluster"),
        (
            format!("{MASTER} --deploy-mode foo a.py"),
            "InvalidDeployMode",
            "cluster",
        ),
        (
            format!("{MASTER} --deploy-mode client a.py"),
            "ClientMode",
            "--deploy-mode cluster",
        ),
        ("--master k8s://h a.py".to_owned(), "ClientMode", "default"),
        ("--deploy-mode cluster a.py".to_owned(), "InvalidMaster", "no master"),
        (
            "--master yarn --deploy-mode cluster a.py".to_owned(),
            "InvalidMaster",
            "`yarn`",
        ),
        (
            "--master local[*] --deploy-mode cluster a.py".to_owned(),
            "InvalidMaster",
            "local[*]",
        ),
        (
            format!("{MASTER} --total-executor-cores 0 a.py"),
            "NotPositive",
            "spark.cores.max",
        ),
        (
            format!("{MASTER} --proxy-user a --principal b a.py"),
            "Conflict",
            "--principal",
        ),
        (format!("{MASTER} --remote sc://x a.py"), "Conflict", "--remote"),
        (
            format!("{MASTER} --properties-file nope a.py"),
            "UnreadableFile",
            "nope",
        ),
        (
            format!("{MASTER} --keytab nope --principal p a.py"),
            "UnreadableFile",
            "keytab",
        ),
        (format!("{MASTER} pyspark-shell"), "Shell", "interactive"),
        (format!("{MASTER} local:///a.jar"), "MissingMainClass", "--class"),
        (
            format!("{MASTER} run-example SparkPi"),
            "MissingMainClass",
            "run-example",
        ),
        (
            "--kill ns:pod --master k8s://h".to_owned(),
            "NotASubmission",
            "kubectl delete pod pod -n ns",
        ),
        (
            "--status ns:pod --master k8s://h".to_owned(),
            "NotASubmission",
            "kubectl get pod pod -n ns",
        ),
        ("--version".to_owned(), "NotASubmission", "--version"),
        ("--help".to_owned(), "NotASubmission", "--help"),
    ];
    for (line, code, words) in table {
        let error = error(&line);
        assert_eq!(error.code(), code, "{line}: {error}");
        assert!(error.to_string().contains(words), "{line}: {error}");
    }
    let mut blank = super::tests::words(MASTER);
    blank.extend([" ".to_owned(), "a.py".to_owned()]);
    assert_eq!(
        read(&blank, &MemoryFiles::default(), "4.3.0").unwrap_err().code(),
        "BlankArgument"
    );
}

#[test]
fn options_of_a_later_version_are_unknown_to_an_earlier_one() {
    for (option, version, known) in [
        ("--load-spark-defaults", "3.5.9", false),
        ("--load-spark-defaults", "4.0.5", true),
        ("--driver-default-class-path=x", "3.5.9", false),
        ("--driver-default-class-path=x", "4.1.4", true),
        ("--extra-properties-file=/x", "4.1.4", false),
        ("--extra-properties-file=/x", "4.3.0", true),
    ] {
        let files = MemoryFiles::default().file("/x", "");
        let read = read(&words(&format!("{MASTER} {option} a.py")), &files, version);
        assert_eq!(read.is_ok(), known, "{option} {version}");
        if let Err(error) = read {
            assert_eq!(error.code(), "OptionOfLaterVersion");
        }
    }
}

#[test]
fn what_has_no_effect_is_said() {
    let line = words(&format!(
        "{MASTER} --queue q --supervise --total-executor-cores 4 a.py --executor-memory 4g"
    ));
    let files = MemoryFiles {
        env: [("SPARK_CONF_DIR".to_owned(), "/c".to_owned())].into(),
        ..Default::default()
    }
    .file("/c/spark-defaults.conf", "hello world\n");
    let warnings = read(&line, &files, "4.3.0").unwrap().warnings.join("\n");
    for word in [
        "--queue",
        "--supervise",
        "--total-executor-cores",
        "`hello`",
        "comes after `a.py`",
    ] {
        assert!(warnings.contains(word), "{word} in {warnings}");
    }
}

#[test]
fn files_that_end_up_in_objects_are_read() {
    let files = MemoryFiles {
        working_dir: "/work dir".to_owned(),
        ..Default::default()
    }
    .file("/c/log4j2.properties", "x=1")
    .file("/c/binary", [0xff, 0xfe])
    .file("/c/sub/nested", "n")
    .file("/hadoop/core-site.xml", "<configuration/>")
    .file("/work dir/t.yaml", "kind: Pod\nspec: {priorityClassName: high}\n")
    .file("/etc/krb5.conf", "[libdefaults]")
    .file("/ca", "CA")
    .file("/work dir/libs/b.jar", "")
    .file("/work dir/libs/a.jar", "")
    .file("/work dir/libs/readme", "")
    .variable("SPARK_CONF_DIR", "/c")
    .variable("HADOOP_CONF_DIR", "/hadoop");
    let line = words(&format!(
        "{MASTER} --jars libs/*.jar,other.jar --conf spark.kubernetes.driver.podTemplateFile=t.yaml \
         --conf spark.kubernetes.executor.podTemplateFile=file:///work%20dir/t.yaml \
         --conf spark.kubernetes.kerberos.krb5.path=/etc/krb5.conf \
         --conf spark.kubernetes.authenticate.driver.caCertFile=/ca a.py"
    ));
    let line: Vec<String> = line.iter().map(|word| word.replace("%20", " ")).collect();
    let request = read(&line, &files, "4.1.4").unwrap().request;
    let contents = request.files;
    assert_eq!(
        contents.spark_conf_dir,
        BTreeMap::from([("log4j2.properties".to_owned(), "x=1".to_owned())])
    );
    assert_eq!(
        contents.hadoop_conf_dir.unwrap().keys().collect::<Vec<_>>(),
        ["core-site.xml"]
    );
    assert_eq!(
        contents.driver_template.unwrap().pod["spec"]["priorityClassName"],
        "high"
    );
    assert!(contents.executor_template.unwrap().text.starts_with("kind: Pod"));
    assert_eq!(contents.krb5_conf.unwrap().name, "krb5.conf");
    assert_eq!(contents.credentials["/ca"], b"CA");
    assert_eq!(
        contents.globs["libs/*.jar"],
        ["/work dir/libs/a.jar", "/work dir/libs/b.jar"]
    );
    assert_eq!(contents.globs.len(), 1);
}

#[test]
fn a_properties_file_that_java_refuses_is_refused() {
    let files = MemoryFiles::default().file("/c.conf", "spark.a 1\nspark.bad=\\uZZ\n");
    let line = [
        "--properties-file",
        "/c.conf",
        "--master",
        "k8s://h",
        "--deploy-mode",
        "cluster",
        "local:///a.py",
    ];
    let line: Vec<String> = line.iter().map(ToString::to_string).collect();
    let error = read(&line, &files, "4.1.4").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("/c.conf") && text.contains("line 2"), "{text}");
}

#[test]
fn images_tell_their_version_by_their_tag() {
    for (image, version) in [
        ("apache/spark:4.1.4", Some("4.1.4")),
        ("apache/spark:4.1.4-python3", Some("4.1.4")),
        ("spark:3.5.9-scala2.12-java17-python3-ubuntu", Some("3.5.9")),
        ("docker.io/library/spark:v4.0.1", Some("4.0.1")),
        ("registry:5000/team/spark-py:3.5.9@sha256:abc", Some("3.5.9")),
        ("apache/spark:4.2.0-preview3-scala", Some("4.2.0-preview3")),
        ("apache/spark-py:v3.4", Some("3.4")),
        ("registry:5000/apache/spark", None),
        ("apache/spark", None),
        ("apache/spark:latest", None),
        ("apache/spark@sha256:abc", None),
        ("team/etl:1.2.3", None),
        ("spark:3", None),
        ("", None),
        (":::@@//", None),
    ] {
        assert_eq!(
            spark_version_of_image(image).map(|v| v.to_string()).as_deref(),
            version,
            "{image}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_command_line_panics(args in proptest::collection::vec(".{0,20}|--[a-z-]{1,20}(=.{0,5})?|-c|--conf|spark\\.[a-z]{1,5}=.{0,8}", 0..12)) {
        let _ = read(&args, &MemoryFiles::default(), "4.3.0");
    }
}
