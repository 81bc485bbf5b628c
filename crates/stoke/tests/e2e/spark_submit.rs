//! `stoke submit` against real `spark-submit`: the same command line, the same objects, field by field.
//!
//! Real `spark-submit` talks to [`Recorder`]; `stoke submit --dry-run` prints what it would create. What is drawn at random and the time are
//! masked on both sides; owners are left out, because only the API server knows the UID. Tier `full`: each case is two seconds of a JVM. By default the
//! records of the room `submit` (`tests/golden`) are replayed.

use std::path::Path;
use std::process::{Command, Stdio};

mod compare;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use compare::{by_name, differences};

use crate::common::{self, Context, full};
use crate::recorder::Recorder;

/// A command line, without master, deploy mode, image and "do not wait", which all share.
struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    /// `spark-submit` refuses it, and so must we.
    refused: bool,
    /// The release line that knows it.
    since: (u32, u32),
}

const fn case(name: &'static str, arguments: &'static [&'static str]) -> Case {
    Case {
        name,
        arguments,
        env: &[],
        refused: false,
        since: (3, 5),
    }
}

impl Case {
    const fn env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }

    const fn refused(self) -> Self {
        Self { refused: true, ..self }
    }

    const fn since(self, major: u32, minor: u32) -> Self {
        Self {
            since: (major, minor),
            ..self
        }
    }
}

const PY: &str = "local:///opt/spark/examples/src/main/python/pi.py";
const JAR: &str = "local:///opt/spark/examples/jars/app.jar";

const CASES: &[Case] = &[
    case("python", &["--name", "pi", PY, "10", "--flag", "a b"]),
    case(
        "java",
        &[
            "--class",
            "org.example.Main",
            "--conf",
            "spark.executor.instances=3",
            JAR,
            "1000",
        ],
    ),
    case("r", &["local:///opt/app/main.R", "x"]),
    case("internal", &["--class", "org.example.Main", "spark-internal"]),
    case("name-from-class", &["--class", "org.example.Main", JAR]),
    case("name-of-many-signs", &["--name", "2024 Report: Ünï_code/№1", PY]),
    case(
        "name-too-long",
        &[
            "--name",
            "a-very-long-application-name-that-is-longer-than-the-sixty-three-characters-of-a-dns-label",
            PY,
        ],
    ),
    case(
        "options",
        &[
            "--driver-memory",
            "2g",
            "--driver-cores",
            "2",
            "--executor-memory=4g",
            "--executor-cores=3",
            "--num-executors",
            "5",
            "--driver-java-options",
            "-Da=\"b c\" -XX:+UseG1GC",
            "--driver-class-path",
            "/cp/*",
            "--driver-library-path",
            "/lib",
            "--total-executor-cores",
            "4",
            "--queue",
            "q",
            "--supervise",
            "-c",
            "spark.x=y=z",
            "--conf=spark.z=1",
            PY,
        ],
    ),
    case(
        "memory",
        &[
            "--driver-memory",
            "512m",
            "--conf",
            "spark.driver.memoryOverhead=700m",
            "--conf",
            "spark.executor.memoryOverheadFactor=0.3",
            "--conf",
            "spark.memory.offHeap.enabled=true",
            "--conf",
            "spark.memory.offHeap.size=1g",
            "--conf",
            "spark.executor.pyspark.memory=1g",
            "--conf",
            "spark.kubernetes.driver.request.cores=500m",
            "--conf",
            "spark.kubernetes.driver.limit.cores=2",
            PY,
        ],
    ),
    case(
        "properties-file",
        &["--properties-file", "job.conf", "--conf", "spark.a=command-line", PY],
    )
    .env(&[("SPARK_CONF_DIR", "conf")]),
    case("defaults", &[PY]).env(&[
        ("SPARK_CONF_DIR", "conf"),
        ("SPARK_EXECUTOR_MEMORY", "3g"),
        ("SPARK_DRIVER_MEMORY", "2g"),
    ]),
    case(
        "load-spark-defaults",
        &["--load-spark-defaults", "--properties-file", "job.conf", PY],
    )
    .env(&[("SPARK_CONF_DIR", "conf")])
    .since(4, 0),
    case(
        "extra-properties-files",
        &[
            "--properties-file",
            "job.conf",
            "--extra-properties-file",
            "more.conf",
            PY,
        ],
    )
    .since(4, 2),
    case(
        "dependencies",
        &[
            "--jars",
            "local:///a.jar,https://repo.example.com/b.jar",
            "--files",
            "https://example.com/f.txt#g.txt",
            "--py-files",
            "local:///x.zip,local:///y.py",
            "--archives",
            "https://example.com/env.tgz#env",
            "--conf",
            "spark.jars.ivy=/tmp/ivy",
            PY,
        ],
    ),
    case(
        "uploads",
        &[
            "--conf",
            "spark.kubernetes.file.upload.path=file:///tmp/stoke-e2e-uploads",
            "--files",
            "job.conf",
            "--py-files",
            "lib.py",
            "main.py",
            "1",
        ],
    ),
    case(
        "labels",
        &[
            "--conf",
            "spark.kubernetes.driver.label.team=a",
            "--conf",
            "spark.kubernetes.driver.annotation.note={{APP_ID}}-x",
            "--conf",
            "spark.kubernetes.driver.service.label.svc=l",
            "--conf",
            "spark.kubernetes.driver.service.annotation.svc=a-{{APP_ID}}",
            PY,
        ],
    ),
    case(
        "env-and-secrets",
        &[
            "--conf",
            "spark.kubernetes.driverEnv.FOO=bar",
            "--conf",
            "spark.kubernetes.driverEnv.EMPTY=",
            "--conf",
            "spark.executorEnv.BAZ=q",
            "--conf",
            "spark.kubernetes.driverEnv.SPARK_USER=alice",
            "--conf",
            "spark.kubernetes.driver.secrets.one=/etc/one",
            "--conf",
            "spark.kubernetes.driver.secretKeyRef.PASSWORD=db:password",
            "--conf",
            "spark.redaction.regex=(?i)nothing",
            PY,
        ],
    ),
    case(
        "volumes",
        &[
            "--conf",
            "spark.kubernetes.driver.volumes.emptyDir.tmp.mount.path=/scratch",
            "--conf",
            "spark.kubernetes.driver.volumes.emptyDir.tmp.options.sizeLimit=1Gi",
            "--conf",
            "spark.kubernetes.driver.volumes.hostPath.h.mount.path=/h",
            "--conf",
            "spark.kubernetes.driver.volumes.hostPath.h.mount.readOnly=true",
            "--conf",
            "spark.kubernetes.driver.volumes.hostPath.h.options.path=/mnt",
            "--conf",
            "spark.kubernetes.driver.volumes.nfs.n.mount.path=/n",
            "--conf",
            "spark.kubernetes.driver.volumes.nfs.n.mount.subPath=sub",
            "--conf",
            "spark.kubernetes.driver.volumes.nfs.n.options.path=/exports",
            "--conf",
            "spark.kubernetes.driver.volumes.nfs.n.options.server=nfs.example.com",
            "--conf",
            "spark.kubernetes.driver.volumes.persistentVolumeClaim.d.mount.path=/d",
            "--conf",
            "spark.kubernetes.driver.volumes.persistentVolumeClaim.d.options.claimName=OnDemand",
            "--conf",
            "spark.kubernetes.driver.volumes.persistentVolumeClaim.d.options.storageClass=fast",
            "--conf",
            "spark.kubernetes.driver.volumes.persistentVolumeClaim.d.options.sizeLimit=5Gi",
            PY,
        ],
    ),
    case(
        "local-directories",
        &[
            "--conf",
            "spark.kubernetes.driver.volumes.hostPath.spark-local-dir-1.mount.path=/local1",
            "--conf",
            "spark.kubernetes.driver.volumes.hostPath.spark-local-dir-1.options.path=/mnt/nvme1",
            PY,
        ],
    ),
    case(
        "local-directories-in-memory",
        &["--conf", "spark.kubernetes.local.dirs.tmpfs=true", PY],
    ),
    case(
        "templates",
        &[
            "--conf",
            "spark.kubernetes.driver.podTemplateFile=driver.yaml",
            "--conf",
            "spark.kubernetes.driver.podTemplateContainerName=main",
            "--conf",
            "spark.kubernetes.executor.podTemplateFile=executor.yaml",
            PY,
        ],
    ),
    case(
        "placement",
        &[
            "--conf",
            "spark.kubernetes.node.selector.zone=a",
            "--conf",
            "spark.kubernetes.driver.node.selector.disk=ssd",
            "--conf",
            "spark.kubernetes.driver.scheduler.name=mine",
            "--conf",
            "spark.kubernetes.container.image.pullSecrets=one,two",
            "--conf",
            "spark.kubernetes.container.image.pullPolicy=Always",
            "--conf",
            "spark.kubernetes.authenticate.driver.serviceAccountName=spark",
            PY,
        ],
    ),
    case(
        "gpu",
        &[
            "--conf",
            "spark.driver.resource.gpu.amount=1",
            "--conf",
            "spark.driver.resource.gpu.vendor=nvidia.com",
            "--conf",
            "spark.driver.resource.gpu.discoveryScript=/opt/g.sh",
            PY,
        ],
    ),
    case(
        "ports",
        &[
            "--conf",
            "spark.driver.port=17078",
            "--conf",
            "spark.driver.blockManager.port=17079",
            "--conf",
            "spark.ui.port=14040",
            "--conf",
            "spark.kubernetes.driver.service.ipFamilyPolicy=PreferDualStack",
            "--conf",
            "spark.kubernetes.driver.service.ipFamilies=IPv4,IPv6",
            PY,
        ],
    ),
    case(
        "dynamic-allocation",
        &[
            "--conf",
            "spark.dynamicAllocation.enabled=true",
            "--conf",
            "spark.dynamicAllocation.shuffleTracking.enabled=true",
            "--conf",
            "spark.dynamicAllocation.maxExecutors=10",
            "--num-executors",
            "0",
            PY,
        ],
    ),
    case("hadoop-directory", &[PY]).env(&[("HADOOP_CONF_DIR", "hadoop")]),
    case(
        "hadoop-configmap",
        &["--conf", "spark.kubernetes.hadoop.configMapName=cm", PY],
    ),
    case(
        "kerberos",
        &["--conf", "spark.kubernetes.kerberos.krb5.path=krb5.conf", PY],
    )
    .env(&[("HADOOP_CONF_DIR", "hadoop")]),
    case(
        "credentials",
        &[
            "--conf",
            "spark.kubernetes.authenticate.driver.oauthToken=secret",
            "--conf",
            "spark.kubernetes.authenticate.driver.caCertFile=job.conf",
            "--conf",
            "spark.kubernetes.authenticate.driver.mounted.oauthTokenFile=/var/run/token",
            PY,
        ],
    ),
    case("proxy-user", &["--proxy-user", "alice", PY, "x"]),
    case(
        "namespace",
        &[
            "--conf",
            "spark.kubernetes.namespace=jobs",
            "--conf",
            "spark.kubernetes.driver.pod.name=my-driver",
            PY,
        ],
    ),
    case(
        "texts-that-need-escapes",
        &[
            "--conf",
            "spark.text= a=b:c#d!e\\f\tg ",
            "--conf",
            "spark.unicode=Ünï №",
            "--conf",
            "spark.empty=",
            PY,
        ],
    ),
    case("unknown-option", &["--nothing", PY]).refused(),
    case("driver-host", &["--conf", "spark.driver.bindAddress=1.2.3.4", PY]).refused(),
    case("local-file-without-upload-path", &["main.py"]).refused(),
    case(
        "limit-below-request",
        &[
            "--conf",
            "spark.kubernetes.driver.request.cores=4",
            "--conf",
            "spark.kubernetes.driver.limit.cores=1",
            PY,
        ],
    ),
    case("bad-memory", &["--driver-memory", "2x", PY]).refused(),
    case("zero-executor-cores", &["--executor-cores", "0", PY]).refused(),
    case("shell", &["pyspark-shell"]).refused(),
];

/// Two JVMs that live for a second each need no optimising compiler.
const SHORT_RUN: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

/// Files that command lines name.
const INPUTS: &[(&str, &str)] = &[
    (
        "conf/spark-defaults.conf",
        "spark.a defaults\nspark.executor.cores 3\n# comment\nnot.spark value\n",
    ),
    ("conf/log4j2.properties", "rootLogger.level = warn\n"),
    ("conf/spark-env.sh", "# nothing\n"),
    ("conf/metrics.properties.template", "not for the pod\n"),
    ("empty/none", ""),
    ("job.conf", "spark.a file\nspark.b   file \\\n  goes on\nspark.c:=x\n"),
    ("more.conf", "spark.b more\n"),
    ("hadoop/core-site.xml", "<configuration/>\n"),
    ("hadoop/hdfs-site.xml", "<configuration></configuration>\n"),
    ("krb5.conf", "[libdefaults]\n"),
    ("main.py", "print(1)\n"),
    ("lib.py", "x = 1\n"),
    (
        "driver.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: ignored\n  labels: {team: data, spark-role: overridden}\n  annotations: {example.com/a: \"1\"}\nspec:\n  \
         serviceAccountName: from-template\n  priorityClassName: high\n  restartPolicy: Always\n  securityContext: {runAsUser: 185, fsGroup: 185}\n  \
         tolerations: [{key: dedicated, operator: Equal, value: spark, effect: NoSchedule}]\n  hostAliases: [{ip: 10.1.1.1, hostnames: [foo.local]}]\n  \
         dnsConfig: {nameservers: [10.0.0.10], options: [{name: ndots, value: \"2\"}]}\n  initContainers:\n  - {name: init, image: busybox, command: [sh, -c, \"echo hi\"]}\n  \
         volumes: [{name: shared, emptyDir: {}}]\n  containers:\n  - {name: sidecar, image: \"fluentbit:1\"}\n  - name: main\n    image: overridden\n    \
         env: [{name: FROM_TEMPLATE, value: \"yes\"}]\n    resources: {requests: {cpu: \"7\", ephemeral-storage: 1Gi}, limits: {memory: 9Gi}}\n    \
         lifecycle: {preStop: {exec: {command: [sh, -c, \"sleep 1\"]}}}\n    volumeMounts: [{name: shared, mountPath: /shared}]\n",
    ),
    (
        "executor.yaml",
        "spec:\n  containers:\n  - name: exec\n    env: [{name: A, value: b}]\n",
    ),
];

/// One test per case and version.
pub fn trials(context: &Context) -> Vec<Trial> {
    let pairs = CASES
        .iter()
        .flat_map(|case| common::VERSIONS.map(|version| (case, version)));
    let known = pairs.filter(|(case, version)| line_of(version) >= case.since);
    known
        .map(|(case, version)| {
            let name = format!("spark_submit::{version}::{}", case.name);
            context.trial(&name, &[full(), context.spark(version)], move |context| {
                compare(context, case, version)
            })
        })
        .collect()
}

fn line_of(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn compare(context: &Context, case: &Case, version: &str) -> Result<(), Failed> {
    let home = context.spark_home(version).ok_or("this Spark is not installed")?;
    let directory = tempfile::tempdir()?;
    for (name, text) in INPUTS {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().ok_or("an input without a directory")?)?;
        std::fs::write(path, text)?;
    }
    let recorder = Recorder::start()?;
    let line = command_line(case, version, recorder.url());

    let mut theirs = Command::new(home.join("bin/spark-submit"));
    let theirs = prepare(&mut theirs, case, directory.path())
        .env("SPARK_HOME", &home)
        .env("SPARK_LAUNCHER_OPTS", SHORT_RUN)
        .env("SPARK_SUBMIT_OPTS", SHORT_RUN)
        .args(&line)
        .output()?;
    let mut ours = context.stoke(["submit", "--dry-run", "--output", "json"]);
    let ours = prepare(&mut ours, case, directory.path())
        .env("STOKE_SPARK_VERSION", version)
        .args(&line)
        .output()?;
    if case.refused {
        return match (theirs.status.success(), ours.status.success()) {
            (false, false) if recorder.objects().is_empty() => Ok(()),
            (theirs_accept, ours_accept) => Err(format!(
                "accepted by spark-submit: {theirs_accept}, by us: {ours_accept}\n{}",
                common::text(&ours)
            )
            .into()),
        };
    }
    common::expect_code(&theirs, 0)?;
    common::expect_code(&ours, 0)?;
    let list: Value = serde_json::from_slice(&ours.stdout)?;
    let ours = list["items"].as_array().cloned().unwrap_or_default();
    let differences = differences(&by_name(recorder.objects()), &by_name(ours));
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n{}", line.join(" "), differences.join("\n")).into())
}

/// The arguments of both programs.
fn command_line(case: &Case, version: &str, url: &str) -> Vec<String> {
    let image = format!("spark.kubernetes.container.image=apache/spark:{version}");
    let shared = [
        "--master",
        &format!("k8s://{url}"),
        "--deploy-mode",
        "cluster",
        "--conf",
        "spark.kubernetes.submission.waitAppCompletion=false",
        "--conf",
        &image,
    ]
    .map(str::to_owned);
    shared
        .into_iter()
        .chain(case.arguments.iter().map(|argument| (*argument).to_owned()))
        .collect()
}

/// The same surroundings for both programs: nothing of Spark's in the environment but what the case sets.
fn prepare<'a>(command: &'a mut Command, case: &Case, directory: &Path) -> &'a mut Command {
    for variable in [
        "SPARK_CONF_DIR",
        "HADOOP_CONF_DIR",
        "SPARK_USER",
        "HADOOP_USER_NAME",
        "MASTER",
        "DEPLOY_MODE",
        "KUBECONFIG",
    ] {
        command.env_remove(variable);
    }
    command.env("SPARK_CONF_DIR", directory.join("empty"));
    for (name, value) in case.env {
        // Directories are named relative to the inputs; spark-submit's scripts want them absolute.
        let value = if name.ends_with("_DIR") {
            directory.join(value).display().to_string()
        } else {
            (*value).to_owned()
        };
        command.env(name, value);
    }
    command.current_dir(directory).stdin(Stdio::null())
}
