//! The executor: `java` with the options that the driver put into the pod's environment.

use super::class_path::ClassPath;
use super::{Launch, Situation, speed};
use crate::launch::Archive;

/// The class of executors on Kubernetes, since Spark 3.2.
const BACKEND: &str = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend";
/// The backend's options and the variables they are taken from.
const ARGUMENTS: [(&str, &str); 7] = [
    ("--driver-url", "SPARK_DRIVER_URL"),
    ("--executor-id", "SPARK_EXECUTOR_ID"),
    ("--cores", "SPARK_EXECUTOR_CORES"),
    ("--app-id", "SPARK_APPLICATION_ID"),
    ("--hostname", "SPARK_EXECUTOR_POD_IP"),
    ("--resourceProfileId", "SPARK_RESOURCE_PROFILE_ID"),
    ("--podName", "SPARK_EXECUTOR_POD_NAME"),
];

/// The executor's command; everything comes from the environment.
pub fn command(situation: &Situation) -> Launch {
    let facts = situation.facts.as_ref();
    let mut user = java_options(situation);
    if let Some(facts) = facts {
        user = speed::supported(&user, facts);
    }
    let memory = situation.variable("SPARK_EXECUTOR_MEMORY").unwrap_or("1g");
    let heap = [format!("-Xms{memory}"), format!("-Xmx{memory}")];

    let hadoop = situation.variable("HADOOP_CONF_DIR").map(str::to_owned);
    let extra = ["SPARK_EXTRA_CLASSPATH"]
        .iter()
        .filter_map(|name| situation.variable(name).map(str::to_owned));
    let path = ClassPath {
        own: situation
            .variable("SPARK_CLASSPATH")
            .map(str::to_owned)
            .into_iter()
            .collect(),
        directories: std::iter::once(situation.conf_directory())
            .chain(hadoop)
            .chain([situation.directory.clone()])
            .collect(),
        behind: extra
            .chain(situation.variable("SPARK_DIST_CLASSPATH").map(str::to_owned))
            .collect(),
    };
    let path = path.order(situation, facts);
    let all: Vec<&str> = user.iter().map(String::as_str).collect();
    let mut command = vec![situation.java()];
    command.extend(speed::flags(situation, path.archive.then_some(Archive::Executor), &all));
    command.extend(user);
    command.extend(heap);
    command.extend(["-cp".to_owned(), path.text, BACKEND.to_owned()]);
    for (option, variable) in ARGUMENTS {
        command.extend([
            option.to_owned(),
            situation.variable(variable).unwrap_or_default().to_owned(),
        ]);
    }
    let mut launch = Launch {
        command,
        ..Launch::default()
    };
    if let (None, Some(address)) = (
        situation.variable("SPARK_LOCAL_IP"),
        situation.variable("SPARK_EXECUTOR_POD_IP"),
    ) {
        launch.set.push(("SPARK_LOCAL_IP".into(), address.into()));
    }
    launch
}

/// The values of `SPARK_JAVA_OPT_0`, `SPARK_JAVA_OPT_1`, … in the order of their numbers.
fn java_options(situation: &Situation) -> Vec<String> {
    let numbered = |(name, value): (&String, &String)| {
        Some((
            name.strip_prefix("SPARK_JAVA_OPT_")?.parse::<u32>().ok()?,
            value.clone(),
        ))
    };
    let mut options: Vec<(u32, String)> = situation.environment.iter().filter_map(numbered).collect();
    options.sort_by_key(|(number, _)| *number);
    options.into_iter().map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(more: &[(&str, &str)]) -> Situation {
        let standard = [
            (
                "SPARK_DRIVER_URL",
                "spark://CoarseGrainedScheduler@pi-driver-svc.default.svc:7078",
            ),
            ("SPARK_EXECUTOR_ID", "3"),
            ("SPARK_EXECUTOR_CORES", "2"),
            ("SPARK_EXECUTOR_MEMORY", "512m"),
            ("SPARK_APPLICATION_ID", "spark-1"),
            ("SPARK_EXECUTOR_POD_IP", "127.70.1.3"),
            ("SPARK_RESOURCE_PROFILE_ID", "0"),
            ("SPARK_EXECUTOR_POD_NAME", "pi-exec-3"),
            ("JAVA_HOME", "/jvm"),
        ];
        Situation {
            environment: standard
                .iter()
                .chain(more)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            directory: "/opt/spark/work-dir".into(),
            machine_cpus: 8,
            machine_memory: 16 << 30,
            ..Situation::default()
        }
    }

    #[test]
    fn options_keep_their_numeric_order() {
        let options: Vec<(String, String)> = (0..12)
            .map(|n| (format!("SPARK_JAVA_OPT_{n}"), format!("-Dn={n}")))
            .collect();
        let options: Vec<(&str, &str)> = options
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let command = command(&situation(&options)).command;
        let start = command.iter().position(|word| word == "-Dn=0").unwrap();
        let expected: Vec<String> = (0..12)
            .map(|n| format!("-Dn={n}"))
            .chain(["-Xms512m".into(), "-Xmx512m".into()])
            .collect();
        assert_eq!(command[start..start + 14], expected);
    }

    #[test]
    fn the_backend_gets_what_the_driver_said() {
        let more = [
            ("SPARK_EXTRA_CLASSPATH", "/x.jar"),
            ("HADOOP_CONF_DIR", "/opt/hadoop/conf"),
            ("SPARK_DIST_CLASSPATH", "/dist/*"),
        ];
        let launch = command(&situation(&more));
        let path = launch.command.iter().position(|word| word == "-cp").unwrap();
        assert_eq!(
            launch.command[path + 1],
            "/opt/spark/conf:/opt/hadoop/conf:/opt/spark/work-dir:/opt/spark/jars/*:/x.jar:/dist/*"
        );
        let expected = "--driver-url spark://CoarseGrainedScheduler@pi-driver-svc.default.svc:7078 --executor-id 3 --cores 2 --app-id spark-1 \
            --hostname 127.70.1.3 --resourceProfileId 0 --podName pi-exec-3";
        assert_eq!(launch.command[path + 2], BACKEND);
        assert_eq!(launch.command[path + 3..].join(" "), expected);
        assert_eq!(launch.set, [("SPARK_LOCAL_IP".to_owned(), "127.70.1.3".to_owned())]);
    }
}
