//! Manifests that mean what the examples of the published operators mean: each ends well, or says in one sentence what this machine lacks.

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, VERSIONS, expect_code, expect_parts, full, stoke, text};
use crate::examples::nothing_left;

const SCALA: &str = "type: Scala
  mode: cluster
  image: spark:4.1.4
  imagePullPolicy: IfNotPresent
  mainClass: org.apache.spark.examples.SparkPi
  mainApplicationFile: local:///opt/spark/examples/jars/spark-examples.jar
  arguments: [\"20\"]
  sparkVersion: 4.1.4";
const PYTHON: &str = "type: Python
  pythonVersion: \"3\"
  mode: cluster
  image: spark:4.1.4
  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py
  sparkVersion: 4.1.4";
const PI: &[&str] = &["Pi is roughly 3.1", "COMPLETED"];

/// A name, the main part of a spec, more fields of it, of the driver and of the executor; the exit code and what is said.
struct Case {
    name: &'static str,
    main: &'static str,
    spec: &'static str,
    driver: &'static str,
    executor: &'static str,
    options: &'static [&'static str],
    code: i32,
    parts: &'static [&'static str],
}

impl Case {
    const fn new(name: &'static str, main: &'static str) -> Self {
        Case {
            name,
            main,
            spec: "",
            driver: "",
            executor: "",
            options: &[],
            code: 0,
            parts: PI,
        }
    }

    const fn spec(self, spec: &'static str) -> Self {
        Case { spec, ..self }
    }

    const fn pods(self, driver: &'static str, executor: &'static str) -> Self {
        Case {
            driver,
            executor,
            ..self
        }
    }

    const fn ends(self, code: i32, parts: &'static [&'static str]) -> Self {
        Case { code, parts, ..self }
    }

    const fn with(self, options: &'static [&'static str]) -> Self {
        Case { options, ..self }
    }

    fn manifest(&self) -> String {
        format!(
            "apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata:
  name: pi
spec:
  {}{}
  driver:
    cores: 1
    memory: 512m
    serviceAccount: default{}
  executor:
    instances: 1
    cores: 1
    memory: 512m{}
",
            self.main, self.spec, self.driver, self.executor
        )
    }
}

const MOUNT: &str = "
    volumeMounts:
      - name: files
        mountPath: /opt/files";
const TEMPLATE: &str = "
    template:
      metadata:
        labels: {team: a}
      spec:
        containers:
          - name: NAME
            env:
              - name: TEAM
                value: a";
const WAIT: &[&str] = &["--timeout", "40s"];

static CASES: &[Case] = &[
    Case::new("pi in Scala", SCALA),
    Case::new("pi in Python", PYTHON),
    Case::new("emptyDir", SCALA)
        .spec("\n  volumes:\n    - name: files\n      emptyDir: {}")
        .pods(MOUNT, MOUNT),
    Case::new("pod template", SCALA).pods(TEMPLATE, TEMPLATE),
    Case::new("dynamic allocation", SCALA)
        .spec("\n  dynamicAllocation:\n    enabled: true\n    initialExecutors: 1\n    minExecutors: 1\n    maxExecutors: 2"),
    Case::new("time to live", SCALA).spec("\n  timeToLiveSeconds: 600\n  restartPolicy:\n    type: Never"),
    Case::new("Prometheus of Spark's own", SCALA).spec(
        "\n  sparkConf:\n    spark.ui.prometheus.enabled: \"true\"\n    spark.metrics.conf.*.sink.prometheusServlet.class: org.apache.spark.metrics.sink.PrometheusServlet\n    spark.metrics.conf.*.sink.prometheusServlet.path: /metrics/prometheus",
    ),
    Case::new("Prometheus by the JMX exporter, which this machine lacks", SCALA)
        .spec(
            "
  monitoring:
    exposeDriverMetrics: true
    exposeExecutorMetrics: true
    prometheus:
      jmxExporterJar: /prometheus/jmx_prometheus_javaagent-0.11.0.jar
      port: 8090",
        )
        .ends(
            2,
            &[
                "jmxExporterJar /prometheus/jmx_prometheus_javaagent-0.11.0.jar is not on this machine",
                "leave out monitoring.prometheus",
            ],
        ),
    Case::new("a ConfigMap that is not there", SCALA)
        .spec("\n  volumes:\n    - name: files\n      configMap:\n        name: pi-files")
        .pods(MOUNT, MOUNT)
        .with(WAIT)
        .ends(124, &["FailedMount", "create the ConfigMap pi-files in the namespace default"]),
    Case::new("a Secret that is not there", SCALA)
        .spec("\n  volumes:\n    - name: files\n      secret:\n        secretName: pi-secret")
        .pods(MOUNT, MOUNT)
        .with(WAIT)
        .ends(124, &["FailedMount", "create the Secret pi-secret"]),
    Case::new("a claim that is not there", SCALA)
        .spec("\n  volumes:\n    - name: files\n      persistentVolumeClaim:\n        claimName: pi-claim")
        .pods(MOUNT, MOUNT)
        .with(WAIT)
        .ends(124, &["Unschedulable", "create the claim pi-claim"]),
    Case::new("Volcano", SCALA).spec("\n  batchScheduler: volcano").ends(
        1,
        &["this cluster does not serve PodGroup of scheduling.volcano.sh/v1beta1: install Volcano, or remove spec.batchScheduler"],
    ),
    Case::new("YuniKorn", SCALA)
        .spec("\n  batchScheduler: yunikorn")
        .with(WAIT)
        .ends(124, &["NoScheduler: no scheduler by the name yunikorn", "leave out spec.batchScheduler"]),
    Case::new("scheduler-plugins", SCALA)
        .spec("\n  batchScheduler: kube-scheduler")
        .with(WAIT)
        .ends(
            124,
            &[
                "NoScheduler: no scheduler by the name kube-scheduler",
                "leave out schedulerName and spec.batchScheduler",
            ],
        ),
    Case::new("a scheduler of one's own", SCALA)
        .pods("\n    schedulerName: mine", "")
        .with(WAIT)
        .ends(124, &["no scheduler by the name mine", "leave out schedulerName"]),
    Case::new("a jar that is not there", SCALA)
        .with(&["--set", "spec.mainApplicationFile=local:///opt/spark/examples/jars/spark-examples_2.12-3.1.1.jar"])
        .ends(2, &["is not in the image spark:4.1.4", "has spark-examples.jar, spark-examples_2.13-4.1.4.jar"]),
];

/// Those that run at every change.
const BY_DEFAULT: [&str; 3] = [
    "pi in Scala",
    "a ConfigMap that is not there",
    "a jar that is not there",
];

pub fn trials(context: &Context) -> Vec<Trial> {
    let spark = [full(), context.spark(VERSIONS[0])];
    let mut trials: Vec<Trial> = CASES
        .iter()
        .map(|case| {
            let name = format!("published: {}", case.name);
            let spark = &spark[usize::from(BY_DEFAULT.contains(&case.name))..];
            context.trial(&name, spark, move |context| {
                let options: Vec<String> = case.options.iter().map(|option| (*option).to_owned()).collect();
                run(context, &case.manifest(), &options, case.code, case.parts)
            })
        })
        .collect();
    trials.push(context.trial("published: a ConfigMap", &spark, |context| {
        let main = PYTHON.replace("/opt/spark/examples/src/main/python/pi.py", "/opt/files/main.py");
        let volume = "\n  volumes:\n    - name: files\n      configMap:\n        name: pi-files";
        let application = Case::new("", PYTHON).spec(volume).pods(MOUNT, MOUNT).manifest();
        let application = application.replace(PYTHON, &main);
        let code = "from pyspark.sql import SparkSession\n    print('rows', SparkSession.builder.getOrCreate().range(7).count())";
        let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: pi-files\ndata:\n  main.py: |\n    {code}\n---\n");
        run(context, &format!("{map}{application}"), &[], 0, &["rows 7", "COMPLETED"])
    }));
    trials.push(
        context.trial("published: a schedule runs once, now", &spark, |context| {
            let application = Case::new("", SCALA).manifest();
            let (head, spec) = application.split_once("spec:\n").ok_or("no spec")?;
            let head = head.replace("SparkApplication", "ScheduledSparkApplication");
            let template: String = spec.lines().map(|line| format!("  {line}\n")).collect();
            let manifest =
                format!("{head}spec:\n  schedule: \"@every 5m\"\n  concurrencyPolicy: Allow\n  template:\n{template}");
            let told = "pi is a schedule (@every 5m): its template runs once, now";
            run(context, &manifest, &[], 0, &[told, PI[0], PI[1]])
        }),
    );
    for version in &VERSIONS[1..] {
        let name = format!("published: pi in Scala on Spark {version}");
        trials.push(context.trial(&name, &[context.spark(version)], move |context| {
            let scala = if version.starts_with('3') { "2.12" } else { "2.13" };
            let options = [
                format!("spec.image=spark:{version}"),
                format!("spec.sparkVersion={version}"),
                format!(
                    "spec.mainApplicationFile=local:///opt/spark/examples/jars/spark-examples_{scala}-{version}.jar"
                ),
            ];
            let options: Vec<String> = options
                .into_iter()
                .flat_map(|option| ["--set".to_owned(), option])
                .collect();
            run(context, &Case::new("", SCALA).manifest(), &options, 0, PI)
        }));
    }
    trials
}

fn run(context: &Context, manifest: &str, options: &[String], code: i32, parts: &[&str]) -> Result<(), Failed> {
    let home = context.private_home();
    let file = home.path().join("pi.yaml");
    let template = ["spark-kubernetes-driver", "spark-kubernetes-executor"];
    let manifest = template.iter().fold(manifest.to_owned(), |text, name| {
        text.replacen("name: NAME", &format!("name: {name}"), 1)
    });
    std::fs::write(&file, manifest)?;
    let output = stoke(home.path(), ["run".as_ref(), file.as_os_str()])
        .args(options)
        .output()?;
    expect_code(&output, code)?;
    expect_parts(&text(&output), parts)?;
    nothing_left(home.path())
}
