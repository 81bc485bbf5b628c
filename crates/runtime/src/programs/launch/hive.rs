//! `apache/hive:3.1.3` with `SERVICE_NAME=metastore`: a Hive Metastore, as the image's entrypoint starts it.
//!
//! `DB_DRIVER` (`derby`, `postgres`), `SERVICE_OPTS`, `HADOOP_CLIENT_OPTS`, `IS_RESUME`, `HIVE_CUSTOM_CONF_DIR` and files in `/opt/hive/conf` are as in the image.
//! Two things are better than there: the driver of PostgreSQL is in, and a schema that exists is no error.

use super::{Before, Plan, Run, Situation};

const METASTORE: &str = "org.apache.hadoop.hive.metastore.HiveMetaStore";
const SCHEMA_TOOL: &str = "org.apache.hadoop.hive.metastore.tools.MetastoreSchemaTool";
const CONFIGURATION: &str = "/opt/hive/conf";
/// Where Java 17 must let the metastore's libraries look.
const OPENS: [&str; 7] = [
    "java.lang",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
];

pub(super) fn plan(situation: &Situation<'_>, words: &[String]) -> Result<Plan, String> {
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    match texts[..] {
        [] => service(situation),
        ["schematool", ..] => Ok(becomes(situation, SCHEMA_TOOL, &words[1..])),
        ["hive", "--service", "metastore", ..] => Ok(becomes(situation, METASTORE, &words[3..])),
        ["hive", "--service", "schemaTool" | "schematool", ..] => Ok(becomes(situation, SCHEMA_TOOL, &words[3..])),
        ["hive", ..] => Err("of Hive there is the metastore here: `hive --service metastore`, `schematool`".into()),
        _ => Ok(Plan::plain(words)),
    }
}

/// What the image does without arguments.
fn service(situation: &Situation<'_>) -> Result<Plan, String> {
    let name = situation.variable("SERVICE_NAME").unwrap_or("hiveserver2");
    if name != "metastore" {
        return Err(format!(
            "SERVICE_NAME={name}: of Hive there is the metastore here; set SERVICE_NAME=metastore"
        ));
    }
    // A service called `metastore` has Kubernetes set METASTORE_PORT to a URL: that is none.
    let port = situation
        .variable("METASTORE_PORT")
        .and_then(|port| port.parse::<u16>().ok());
    let port = port.map_or_else(Vec::new, |port| vec!["-p".to_owned(), port.to_string()]);
    let mut plan = becomes(situation, METASTORE, &port);
    if situation.variable("IS_RESUME") != Some("true") {
        let database = situation.variable("DB_DRIVER").unwrap_or("derby");
        let arguments = ["-dbType", database, "-initOrUpgradeSchema"].map(str::to_owned);
        let command = command(situation, SCHEMA_TOOL, &arguments);
        plan.before.push(Before::Run(Run {
            command,
            ..Run::default()
        }));
    }
    Ok(plan)
}

fn becomes(situation: &Situation<'_>, class: &str, arguments: &[String]) -> Plan {
    Plan {
        command: command(situation, class, arguments),
        set: vec![("METASTORE_HOME".into(), home(situation))],
        // It reads this variable itself, and ends when a service has made it a URL; a number is given as an argument.
        remove: vec!["METASTORE_PORT"],
        ..Plan::default()
    }
}

fn home(situation: &Situation<'_>) -> String {
    situation.directory.join("unpacked").display().to_string()
}

fn command(situation: &Situation<'_>, class: &str, arguments: &[String]) -> Vec<String> {
    let mut command = vec![situation.java(), format!("-Xmx{}m", situation.heap(60, 400))];
    command.extend(
        OPENS
            .iter()
            .flat_map(|package| ["--add-opens".to_owned(), format!("java.base/{package}=ALL-UNNAMED")]),
    );
    // To the container's log; and its asynchronous loggers want a library that it does not bring.
    command.extend(["-Dmetastore.async.log.enabled=false", "-Dmetastore.root.logger=console"].map(str::to_owned));
    for name in ["HADOOP_CLIENT_OPTS", "SERVICE_OPTS"] {
        let options = situation.variable(name).unwrap_or_default();
        command.extend(options.split_whitespace().map(str::to_owned));
    }
    let mut class_path: Vec<String> = situation
        .variable("HIVE_CUSTOM_CONF_DIR")
        .map(str::to_owned)
        .into_iter()
        .collect();
    let home = home(situation);
    class_path.extend([CONFIGURATION.into(), format!("{home}/conf")]);
    // Newer libraries of these names stand before the distribution's own.
    class_path.extend([format!("{}/*", situation.jars()), format!("{home}/lib/*")]);
    command.extend(["-cp".to_owned(), class_path.join(":"), class.to_owned()]);
    command.extend_from_slice(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::super::tests::planned;
    use super::*;

    const SERVICE: [(&str, &str); 4] = [
        ("SERVICE_NAME", "metastore"),
        ("DB_DRIVER", "postgres"),
        ("SERVICE_OPTS", "-Djavax.jdo.option.ConnectionUserName=hive  -Da=b"),
        ("METASTORE_PORT", "tcp://127.7.192.3:9083"),
    ];

    #[test]
    fn the_schema_is_there_before_the_service() {
        let plan = planned(super::plan, &SERVICE, &[], &[]).unwrap();
        let Before::Run(run) = &plan.before[0] else {
            panic!("{plan:?}")
        };
        let schema = run.command.join(" ");
        assert!(
            schema.ends_with(&format!("{SCHEMA_TOOL} -dbType postgres -initOrUpgradeSchema")),
            "{schema}"
        );
        for command in [schema, plan.command.join(" ")] {
            assert!(command.starts_with("java -Xmx400m --add-opens"), "{command}");
            assert!(
                command.contains(" -Djavax.jdo.option.ConnectionUserName=hive -Da=b -cp /opt/hive/conf:"),
                "{command}"
            );
        }
        // A URL is no port.
        assert_eq!(
            (plan.command.last().unwrap().as_str(), &plan.remove[..]),
            (METASTORE, &["METASTORE_PORT"][..])
        );
        let resumed = [&SERVICE[..], &[("IS_RESUME", "true")]].concat();
        assert_eq!(planned(super::plan, &resumed, &[], &[]).unwrap().before, []);
    }

    #[test]
    fn the_heap_follows_the_limit_and_the_port_the_variable() {
        let environment = [
            ("SERVICE_NAME", "metastore"),
            ("IS_RESUME", "true"),
            ("STOKE_MEMORY_LIMIT_BYTES", "1073741824"),
            ("METASTORE_PORT", "9183"),
        ];
        let command = planned(super::plan, &environment, &[], &[]).unwrap().command.join(" ");
        assert!(
            command.contains("-Xmx614m") && command.ends_with("-p 9183"),
            "{command}"
        );
    }

    #[test]
    fn the_images_commands_are_known_and_other_services_are_refused() {
        let command = |words: &[&str]| planned(super::plan, &[], &[], words).map(|plan| plan.command.join(" "));
        assert!(
            command(&["schematool", "-dbType", "postgres", "-info"])
                .unwrap()
                .ends_with("-dbType postgres -info")
        );
        assert!(
            command(&["hive", "--service", "metastore", "-p", "1"])
                .unwrap()
                .ends_with("HiveMetaStore -p 1")
        );
        assert!(command(&[]).unwrap_err().contains("SERVICE_NAME=metastore"));
        assert!(command(&["hive", "-e", "select 1"]).is_err());
    }
}
