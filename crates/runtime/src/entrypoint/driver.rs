//! The driver: `spark-submit` in client mode, or the very `java` command that `spark-submit` would run, without the launcher in between.
//!
//! The rules are those of `SparkSubmitCommandBuilder` and `AbstractCommandBuilder` in Spark's `launcher` module and of `bin/spark-submit`,
//! `bin/spark-class` and `bin/load-spark-env.sh`. What is not understood here for certain goes through `bin/spark-submit`.

use std::collections::BTreeMap;

use super::class_path::ClassPath;
use super::{Launch, Situation, options, properties, speed};
use crate::image::PACKAGES;
use crate::launch::Archive;

/// The option that names a properties file.
pub(super) const PROPERTIES_FILE: &str = "--properties-file";
/// Where drivers find the API server.
const DRIVER_MASTER: &str = "spark.kubernetes.driver.master";
/// Where Ivy keeps what it fetches.
const IVY: &str = "spark.jars.ivy";
/// The class of a Spark Connect server.
const CONNECT_SERVER: &str = "org.apache.spark.sql.connect.service.SparkConnectServer";
/// Where a Spark Connect server listens; Spark has the key from 4.0 on.
const CONNECT_ADDRESS: &str = "spark.connect.grpc.binding.address";
/// The class that `spark-submit` is.
const SUBMIT: &str = "org.apache.spark.deploy.SparkSubmit";

/// The driver's command for the arguments behind `driver`.
pub fn command(situation: &Situation, arguments: &[String]) -> Launch {
    let address = situation.variable("SPARK_DRIVER_BIND_ADDRESS").unwrap_or_default();
    let request = Request::read(situation, arguments);
    let mut submit: Vec<String> = Vec::new();
    let mut conf = |key: &str, value: &str| submit.extend(["--conf".to_owned(), format!("{key}={value}")]);
    conf("spark.driver.bindAddress", address);
    conf("spark.executorEnv.SPARK_DRIVER_POD_IP", address);
    if let Some(master) = api_server(situation, request.as_ref()) {
        conf(DRIVER_MASTER, &master);
    }
    if let Some(ivy) = &situation.own_packages {
        conf(IVY, ivy);
    }
    if !address.is_empty() && request.is_some_and(|request| listens_everywhere(situation, &request)) {
        conf(CONNECT_ADDRESS, address);
    }
    submit.extend(["--deploy-mode".to_owned(), "client".to_owned()]);
    submit.extend_from_slice(arguments);

    let mut launch = direct(situation, &submit).unwrap_or_else(|| Launch {
        command: std::iter::once(format!("{}/bin/spark-submit", situation.spark_home()))
            .chain(submit)
            .collect(),
        ..Launch::default()
    });
    if situation.variable("SPARK_LOCAL_IP").is_none() && !address.is_empty() {
        launch.set.push(("SPARK_LOCAL_IP".into(), address.into()));
    }
    launch
}

/// Spark takes the API server's port to be 443. Where the node says another one (443 cannot be had without privileges), the driver is told, unless
/// the user says where it is.
fn api_server(situation: &Situation, request: Option<&Request>) -> Option<String> {
    let port = situation
        .variable("KUBERNETES_SERVICE_PORT")
        .filter(|port| *port != "443")?;
    let told = request.is_some_and(|request| request.properties.contains_key(DRIVER_MASTER));
    (!told).then(|| format!("https://kubernetes.default.svc:{port}"))
}

/// Whether this is a Spark Connect server that would listen on all addresses of the machine and need not. Pods here have addresses of their own and
/// share the machine's network, so two such servers would meet at one port.
fn listens_everywhere(situation: &Situation, request: &Request) -> bool {
    let knows_the_key = situation
        .facts
        .as_ref()
        .is_some_and(|facts| facts.version.split('.').next().and_then(|major| major.parse().ok()) >= Some(4_u32));
    let is_server = request.class.as_deref() == Some(CONNECT_SERVER);
    knows_the_key && is_server && !request.properties.contains_key(CONNECT_ADDRESS)
}

/// Whether this driver uses the shared packages, and with them whether it asks for any at its start (`spark.jars.packages`).
pub(super) fn uses_packages(situation: &Situation, arguments: &[String]) -> Option<bool> {
    let request = Request::read(situation, arguments)?;
    (request.property(IVY) == Some(PACKAGES)).then(|| request.property("spark.jars.packages").is_some())
}

/// What `spark-submit`'s arguments say, as far as its launcher cares.
struct Request {
    properties: BTreeMap<String, String>,
    class: Option<String>,
    has_file: bool,
}

impl Request {
    /// Reads the options up to the application's resource. None when there is one that is not understood here.
    fn read(situation: &Situation, arguments: &[String]) -> Option<Request> {
        let mut request = Request {
            properties: BTreeMap::new(),
            class: None,
            has_file: false,
        };
        let mut given: Vec<(&str, &str)> = Vec::new();
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(option) = rest.next().filter(|word| word.starts_with('-')) {
            let value = rest.next()?;
            match option {
                "--conf" | "-c" => given.push(value.split_once('=')?),
                PROPERTIES_FILE => {
                    request.properties = properties::parse(situation.property_files.get(value)?);
                    request.has_file = true;
                }
                "--class" => request.class = Some(value.to_owned()),
                "--deploy-mode" if value == "client" => {}
                "--proxy-user" | "--name" => {}
                _ => return None,
            }
        }
        request
            .properties
            .extend(given.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
        Some(request)
    }

    fn property(&self, key: &str) -> Option<&str> {
        self.properties
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

/// Variables with which Spark's scripts or launcher behave in ways not followed here.
const UNUSUAL_VARIABLES: [&str; 7] = [
    "SPARK_PREPEND_CLASSES",
    "SPARK_TESTING",
    "SPARK_SQL_TESTING",
    "SPARK_PRINT_LAUNCH_COMMAND",
    "SPARK_LAUNCHER_OPTS",
    "SPARK_REMOTE",
    "SPARK_API_MODE",
];
/// Properties likewise.
const UNUSUAL_PROPERTIES: [&str; 3] = ["spark.remote", "spark.api.mode", "spark.driver.defaultExtraClassPath"];
/// Files of the configuration directory likewise.
const UNUSUAL_FILES: [&str; 2] = ["spark-env.sh", "java-opts"];
/// Classes that are started as daemons, with other variables.
const UNUSUAL_CLASSES: [&str; 2] = [
    "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2",
    CONNECT_SERVER,
];

/// The `java` command that `spark-submit` with these arguments ends in; none when that is not certain.
fn direct(situation: &Situation, submit: &[String]) -> Option<Launch> {
    let facts = situation.facts.as_ref()?;
    let own_options = speed::supported(facts.driver_options.as_ref()?, facts);
    let request = Request::read(situation, submit).filter(|request| request.has_file)?;
    let conf = situation.conf_directory();
    let unusual = UNUSUAL_VARIABLES.iter().any(|name| situation.variable(name).is_some())
        || UNUSUAL_PROPERTIES.iter().any(|key| request.property(key).is_some())
        || UNUSUAL_FILES
            .iter()
            .any(|file| situation.names_in(&conf).iter().any(|name| name == file))
        || request
            .class
            .as_deref()
            .is_some_and(|class| UNUSUAL_CLASSES.contains(&class));
    if unusual {
        return None;
    }

    let mut user = options::split(situation.variable("SPARK_SUBMIT_OPTS").unwrap_or_default())?;
    let memory = [
        request.property("spark.driver.memory"),
        situation.variable("SPARK_DRIVER_MEMORY"),
        situation.variable("SPARK_MEM"),
    ];
    let memory = memory.into_iter().flatten().next().unwrap_or("1g");
    user.push(format!("-Xmx{memory}"));
    for key in ["spark.driver.defaultJavaOptions", "spark.driver.extraJavaOptions"] {
        let options = options::split(request.property(key).unwrap_or_default())?;
        if options.iter().any(|option| option.contains("-Xmx")) {
            return None;
        }
        user.extend(options);
    }

    let path = ClassPath {
        own: request
            .property("spark.driver.extraClassPath")
            .map(str::to_owned)
            .into_iter()
            .collect(),
        directories: vec![conf.clone()],
        behind: ["HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_DIST_CLASSPATH"]
            .iter()
            .filter_map(|name| situation.variable(name).map(str::to_owned))
            .collect(),
    };
    let path = path.order(situation, Some(facts));
    let all: Vec<&str> = user.iter().chain(&own_options).map(String::as_str).collect();
    let mut command = vec![situation.java()];
    command.extend(speed::flags(situation, path.archive.then_some(Archive::Driver), &all));
    command.extend(["-cp".to_owned(), path.text]);
    command.extend(user);
    command.extend(own_options);
    command.push(SUBMIT.to_owned());
    command.extend_from_slice(submit);

    // What the scripts export.
    let scala = if facts.version.starts_with('3') { "2.12" } else { "2.13" };
    let exported = [
        ("PYTHONHASHSEED", "0"),
        ("SPARK_ENV_LOADED", "1"),
        ("SPARK_CONF_DIR", &conf),
        ("SPARK_SCALA_VERSION", scala),
    ];
    let mut set: Vec<(String, String)> = exported
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    if let Some(libraries) = request.property("spark.driver.extraLibraryPath") {
        let name = if cfg!(target_os = "macos") {
            "DYLD_LIBRARY_PATH"
        } else {
            "LD_LIBRARY_PATH"
        };
        let before = situation
            .variable(name)
            .map(|before| format!("{before}:"))
            .unwrap_or_default();
        set.push((name.into(), format!("{before}{libraries}")));
    }
    Some(Launch {
        command,
        set,
        remove: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Facts;

    const FILE: &str = "/opt/spark/conf/spark.properties";

    fn situation(properties: &str) -> Situation {
        Situation {
            facts: Some(Facts {
                version: "4.1.4".into(),
                java_major: 17,
                java_modules: vec!["java.base".into()],
                class_path: vec!["/opt/spark/jars/a.jar".into()],
                driver_options: Some(vec![
                    "-XX:+IgnoreUnrecognizedVMOptions".into(),
                    "--add-modules=jdk.incubator.vector".into(),
                    "-Dspark=own".into(),
                ]),
                root_names: vec!["org".into()],
            }),
            environment: [
                ("SPARK_DRIVER_BIND_ADDRESS", "127.70.1.2"),
                ("JAVA_HOME", "/jvm"),
                ("SPARK_CONF_DIR", "/opt/spark/conf"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            property_files: [(FILE.to_owned(), properties.to_owned())].into(),
            machine_cpus: 8,
            machine_memory: 16 << 30,
            ..Situation::default()
        }
    }

    fn arguments(extra: &[&str]) -> Vec<String> {
        let standard = [
            "--properties-file",
            FILE,
            "--class",
            "org.apache.spark.deploy.PythonRunner",
        ];
        extra
            .iter()
            .chain(&standard)
            .chain(&["local:///opt/pi.py", "--conf", "20"])
            .map(|word| (*word).to_owned())
            .collect()
    }

    /// The options of the command, without the class path and what only serves speed.
    fn java_options(launch: &Launch) -> Vec<String> {
        let class = launch.command.iter().position(|word| word == SUBMIT).unwrap();
        let path = launch.command.iter().position(|word| word == "-cp").unwrap();
        launch.command[path + 2..class].to_vec()
    }

    #[test]
    fn the_launcher_is_left_out_and_changes_nothing_else() {
        let mut situation = situation(
            "spark.driver.memory=700m\nspark.driver.extraJavaOptions=-Da\\=b -Dq\\='x y'\nspark.driver.defaultJavaOptions=-Dd\\=1\nspark.driver.extraLibraryPath=/native\n",
        );
        situation.environment.insert("SPARK_SUBMIT_OPTS".into(), "-Ds=t".into());
        situation.environment.insert("LD_LIBRARY_PATH".into(), "/lib1".into());
        let launch = command(&situation, &arguments(&[]));
        assert_eq!(launch.command[0], "/jvm/bin/java");
        // The module that this Java does not have is left out; else the JVM would not start.
        assert_eq!(
            java_options(&launch),
            [
                "-Ds=t",
                "-Xmx700m",
                "-Dd=1",
                "-Da=b",
                "-Dq=x y",
                "-XX:+IgnoreUnrecognizedVMOptions",
                "-Dspark=own"
            ]
        );
        let class = launch.command.iter().position(|word| word == SUBMIT).unwrap();
        assert_eq!(
            launch.command[class + 1..],
            [
                "--conf",
                "spark.driver.bindAddress=127.70.1.2",
                "--conf",
                "spark.executorEnv.SPARK_DRIVER_POD_IP=127.70.1.2",
                "--deploy-mode",
                "client",
                "--properties-file",
                FILE,
                "--class",
                "org.apache.spark.deploy.PythonRunner",
                "local:///opt/pi.py",
                "--conf",
                "20",
            ]
        );
        let set: BTreeMap<_, _> = launch.set.into_iter().collect();
        assert_eq!(set["LD_LIBRARY_PATH"], "/lib1:/native");
        assert_eq!(set["SPARK_LOCAL_IP"], "127.70.1.2");
        assert_eq!(set["PYTHONHASHSEED"], "0");
    }

    #[test]
    fn command_line_properties_win_over_the_file() {
        let launch = command(
            &situation("spark.driver.memory=700m\n"),
            &arguments(&["--conf", "spark.driver.memory=2g"]),
        );
        assert_eq!(java_options(&launch)[0], "-Xmx2g");
        let launch = command(&situation(""), &arguments(&[]));
        assert_eq!(java_options(&launch)[0], "-Xmx1g");
    }

    #[test]
    fn what_is_unusual_goes_through_spark_submit() {
        let submit = |situation: &Situation, extra: &[&str]| {
            command(situation, &arguments(extra)).command[0] == "/opt/spark/bin/spark-submit"
        };
        assert!(!submit(&situation(""), &[]));
        for properties in [
            "spark.remote=x",
            "spark.api.mode=connect",
            "spark.driver.extraJavaOptions=-Xmx3g",
            "spark.driver.extraJavaOptions='open",
        ] {
            assert!(submit(&situation(properties), &[]), "{properties}");
        }
        for extra in [
            &["--packages", "a:b:1"][..],
            &["--verbose"],
            &["--class", UNUSUAL_CLASSES[1], "--load-spark-defaults"],
        ] {
            assert!(submit(&situation(""), extra), "{extra:?}");
        }
        for file in UNUSUAL_FILES {
            let listings = [("/opt/spark/conf".to_owned(), vec![file.to_owned()])].into();
            assert!(
                submit(
                    &Situation {
                        listings,
                        ..situation("")
                    },
                    &[]
                ),
                "{file}"
            );
        }
        assert!(submit(
            &Situation {
                facts: None,
                ..situation("")
            },
            &[]
        ));
        let mut testing = situation("");
        testing.environment.insert("SPARK_PREPEND_CLASSES".into(), "1".into());
        assert!(submit(&testing, &[]));
        assert!(submit(
            &Situation {
                property_files: BTreeMap::new(),
                ..situation("")
            },
            &[]
        ));
    }

    #[test]
    fn a_driver_that_uses_the_shared_packages_gets_its_own() {
        let uses = |properties: &str, extra: &[&str]| uses_packages(&situation(properties), &arguments(extra));
        let shared = format!("spark.jars.ivy={PACKAGES}\n");
        assert_eq!(uses("", &[]), None);
        assert_eq!(uses("spark.jars.ivy=/mine\nspark.jars.packages=a:b:1\n", &[]), None);
        assert_eq!(uses(&shared, &[]), Some(false));
        assert_eq!(uses(&format!("{shared}spark.jars.packages=a:b:1\n"), &[]), Some(true));
        assert_eq!(uses(&shared, &["--conf", "spark.jars.ivy=/mine"]), None);

        let mut situation = situation(&shared);
        situation.own_packages = Some(format!("{PACKAGES}/runs/7"));
        let command = command(&situation, &arguments(&[])).command;
        let told = format!("spark.jars.ivy={PACKAGES}/runs/7");
        assert_eq!(command.iter().filter(|word| **word == told).count(), 1);
    }

    #[test]
    fn a_connect_server_listens_at_its_own_address_where_spark_can() {
        let told = |version: &str, class: &str, properties: &str| {
            let mut situation = situation(properties);
            if let Some(facts) = &mut situation.facts {
                facts.version = version.into();
            }
            let arguments = arguments(&[]).into_iter().map(|word| match word.as_str() {
                "org.apache.spark.deploy.PythonRunner" => class.to_owned(),
                _ => word,
            });
            let command = command(&situation, &arguments.collect::<Vec<_>>()).command;
            let address = |word: &String| {
                word.strip_prefix("spark.connect.grpc.binding.address=")
                    .map(str::to_owned)
            };
            command.iter().find_map(address)
        };
        assert_eq!(told("4.1.4", CONNECT_SERVER, ""), Some("127.70.1.2".into()));
        assert_eq!(told("4.0.5", CONNECT_SERVER, ""), Some("127.70.1.2".into()));
        assert_eq!(told("3.5.9", CONNECT_SERVER, ""), None);
        assert_eq!(told("4.1.4", "org.apache.spark.deploy.PythonRunner", ""), None);
        let own = "spark.connect.grpc.binding.address=0.0.0.0\n";
        assert_eq!(told("4.1.4", CONNECT_SERVER, own), None);
    }

    #[test]
    fn the_api_server_is_told_where_it_is_not_obvious() {
        let told = |port: &str, properties: &str| {
            let mut situation = situation(properties);
            situation
                .environment
                .insert("KUBERNETES_SERVICE_PORT".into(), port.into());
            let command = command(&situation, &arguments(&[])).command;
            command
                .into_iter()
                .find_map(|word| word.strip_prefix("spark.kubernetes.driver.master=").map(str::to_owned))
        };
        assert_eq!(told("6443", ""), Some("https://kubernetes.default.svc:6443".into()));
        assert_eq!(told("443", ""), None);
        assert_eq!(told("6443", "spark.kubernetes.driver.master=local[2]\n"), None);
    }
}
