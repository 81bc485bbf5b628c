//! `apache/kafka`: a broker in KRaft mode. `KAFKA_*` become properties as the image's own script makes them; `CLUSTER_ID` is as there.

use super::{Before, Plan, Run, Situation};

const PROPERTIES: &str = "/opt/kafka/config/server.properties";
const LOGGING: &str = "/opt/kafka/config/log4j2.properties";
/// The cluster of the image when none is said.
const CLUSTER: &str = "5L6g3nShT-eMCtK--X86sw";

/// What the image has where no variable says anything: one node that is broker and controller.
const ALONE: [(&str, &str); 12] = [
    ("advertised.listeners", "PLAINTEXT://localhost:9092"),
    ("controller.listener.names", "CONTROLLER"),
    ("controller.quorum.voters", "1@localhost:9093"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("inter.broker.listener.name", "PLAINTEXT"),
    (
        "listener.security.protocol.map",
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    ),
    ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
    ("log.dirs", "/var/lib/kafka/data"),
    ("node.id", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("process.roles", "broker,controller"),
    ("transaction.state.log.replication.factor", "1"),
];

/// Properties whose values have hosts in them.
const WITH_HOSTS: [&str; 4] = [
    "advertised.listeners",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "listeners",
];

/// The listener for clients of this machine.
const HERE: &str = "HERE";
const HERE_PORT: u16 = 9094;

/// Variables that the image's scripts read themselves.
const NOT_PROPERTIES: [&str; 8] = [
    "KAFKA_VERSION",
    "KAFKA_HEAP_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
];

/// To the container's log.
const LOG: &str = "\
appender.stdout.type = Console
appender.stdout.name = STDOUT
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = STDOUT
";

pub(super) fn plan(situation: &Situation<'_>, words: &[String]) -> Result<Plan, String> {
    let Some((first, rest)) = words.split_first() else {
        return server(situation);
    };
    let class = match first.as_str() {
        "/etc/kafka/docker/run" => return server(situation),
        "kafka-server-start.sh" => "kafka.Kafka",
        "kafka-topics.sh" => "org.apache.kafka.tools.TopicCommand",
        "kafka-console-producer.sh" => "org.apache.kafka.tools.ConsoleProducer",
        "kafka-console-consumer.sh" => "org.apache.kafka.tools.consumer.ConsoleConsumer",
        "kafka-consumer-groups.sh" => "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        "kafka-configs.sh" => "kafka.admin.ConfigCommand",
        "kafka-storage.sh" => "kafka.tools.StorageTool",
        "kafka-metadata-quorum.sh" => "org.apache.kafka.tools.MetadataQuorumCommand",
        "kafka-broker-api-versions.sh" => "org.apache.kafka.tools.BrokerApiVersionsCommand",
        _ => return Ok(Plan::plain(words)),
    };
    let arguments: Vec<String> = rest.iter().map(|word| situation.own_host(word)).collect();
    Ok(Plan::plain(&command(situation, "-Xmx128m", class, &arguments)))
}

fn server(situation: &Situation<'_>) -> Result<Plan, String> {
    let properties = properties(situation);
    let text = properties
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    let cluster = situation.variable("CLUSTER_ID").unwrap_or(CLUSTER).to_owned();
    let mut format: Vec<String> = super::words(&["format", "--ignore-formatted", "-c", PROPERTIES, "-t"]);
    format.push(cluster);
    let has = |name: &str| properties.iter().any(|(known, _)| known == name);
    if has("controller.quorum.bootstrap.servers") && !has("controller.quorum.voters") {
        format.push("--standalone".into());
    }
    let heap = situation
        .variable("KAFKA_HEAP_OPTS")
        .map_or_else(|| format!("-Xmx{}m", situation.heap(60, 384)), str::to_owned);
    Ok(Plan {
        before: vec![
            Before::File(PROPERTIES.into(), text),
            Before::File(LOGGING.into(), LOG.into()),
            Before::Run(Run {
                command: command(situation, "-Xmx128m", "kafka.tools.StorageTool", &format),
                ..Run::default()
            }),
        ],
        command: command(situation, &heap, "kafka.Kafka", &[PROPERTIES.to_owned()]),
        ..Plan::default()
    })
}

fn command(situation: &Situation<'_>, heap: &str, class: &str, arguments: &[String]) -> Vec<String> {
    let mut command = vec![situation.java()];
    command.extend(heap.split_whitespace().map(str::to_owned));
    command.extend(
        situation
            .variable("KAFKA_OPTS")
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned),
    );
    if class == "kafka.Kafka" {
        command.push(format!("-Dlog4j2.configurationFile={LOGGING}"));
    }
    command.extend(["-cp".to_owned(), format!("{}/*", situation.jars()), class.to_owned()]);
    command.extend_from_slice(arguments);
    command
}

/// The properties of the broker, sorted.
fn properties(situation: &Situation<'_>) -> Vec<(String, String)> {
    let own = situation.environment.iter().filter_map(|(name, value)| {
        let rest = name.strip_prefix("KAFKA_")?;
        let said = !NOT_PROPERTIES.contains(&name.as_str()) && !is_of_a_service(rest);
        said.then(|| (property(rest), value.clone()))
    });
    let mut all: Vec<(String, String)> = own.collect();
    if all.is_empty() {
        all = ALONE.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    }
    for (name, value) in &mut all {
        if WITH_HOSTS.contains(&name.as_str()) {
            *value = situation.own_host(&situation.own_address(value));
        }
    }
    answer_this_machine(&situation.address, &mut all);
    all.sort();
    all
}

/// Clients of this machine do not know the cluster's names. Where a broker tells its clients such a name, and asks no one who they are, it gets a listener that
/// tells its address.
fn answer_this_machine(address: &str, all: &mut [(String, String)]) {
    let listener = format!("{HERE}://{address}:{HERE_PORT}");
    let value = |name: &str| {
        all.iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    };
    let advertised = value("advertised.listeners");
    let is_open = !advertised.is_empty() && advertised.split(',').all(|one| one.trim().starts_with("PLAINTEXT://"));
    let knows_names = advertised
        .split(',')
        .any(|one| !one.contains(&format!("://{address}:")));
    let is_free = !value("listeners").is_empty() && !value("listeners").contains(&format!(":{HERE_PORT}"));
    let map = "listener.security.protocol.map";
    if !(is_open && knows_names && is_free) || value(map).is_empty() {
        return;
    }
    for (name, value) in all {
        match name.as_str() {
            "listeners" | "advertised.listeners" => *value = format!("{value},{listener}"),
            name if name == map => *value = format!("{value},{HERE}:PLAINTEXT"),
            _ => {}
        }
    }
}

/// `LOG_DIRS` is `log.dirs`; `__` stands for `_` and `___` for `-`, as in the image.
fn property(name: &str) -> String {
    let name = name
        .to_lowercase()
        .replace("___", "-")
        .replace("__", "\u{0}")
        .replace('_', ".");
    name.replace('\u{0}', "_")
}

/// Whether Kubernetes sets such a variable for a service called `kafka`, or beginning so: `KAFKA_PORT`, `KAFKA_PORT_9092_TCP_ADDR`, `KAFKA_SERVICE_HOST`.
fn is_of_a_service(rest: &str) -> bool {
    let words: Vec<&str> = rest.split('_').collect();
    let linked = words.windows(2).any(|pair| {
        matches!(pair, ["SERVICE", "HOST" | "PORT"])
            || (pair[0] == "PORT" && pair[1].bytes().all(|byte| byte.is_ascii_digit()))
    });
    linked || words.last() == Some(&"PORT")
}

#[cfg(test)]
mod tests {
    use super::super::tests::planned;
    use super::*;

    fn written(environment: &[(&str, &str)]) -> (String, Plan) {
        let plan = planned(super::plan, environment, &[], &["/etc/kafka/docker/run"]).unwrap();
        let Before::File(_, text) = plan.before[0].clone() else {
            panic!("{plan:?}")
        };
        (text, plan)
    }

    #[test]
    fn variables_become_properties_and_links_of_services_do_not() {
        let (text, plan) = written(&[
            ("KAFKA_NODE_ID", "7"),
            ("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://0.0.0.0:9093"),
            ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://kafka.data.svc:9092"),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "7@localhost:9093"),
            ("KAFKA_A__B___C", "x"),
            ("KAFKA_HEAP_OPTS", "-Xmx300m -Xms300m"),
            ("KAFKA_PORT", "tcp://127.7.192.3:9092"),
            ("KAFKA_PORT_9092_TCP_ADDR", "127.7.192.3"),
            ("KAFKA_SERVICE_HOST", "127.7.192.3"),
            ("KAFKA_SERVICE_PORT_CLIENTS", "9092"),
        ]);
        assert_eq!(
            text,
            "a_b-c=x\nadvertised.listeners=PLAINTEXT://kafka.data.svc:9092\ncontroller.quorum.voters=7@127.7.1.9:9093\n\
             listeners=PLAINTEXT://127.7.1.9:9092,CONTROLLER://127.7.1.9:9093\nnode.id=7\n"
        );
        assert!(
            plan.command.join(" ").starts_with("java -Xmx300m -Xms300m -Dlog4j2"),
            "{plan:?}"
        );
        assert!(plan.command.ends_with(&["kafka.Kafka".into(), PROPERTIES.into()]));
    }

    #[test]
    fn a_broker_that_tells_names_has_a_listener_for_this_machine() {
        let advertised = |listeners: &'static str| {
            let (text, _) = written(&[
                ("KAFKA_ADVERTISED_LISTENERS", listeners),
                ("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093"),
                (
                    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
                    "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                ),
            ]);
            text
        };
        assert_eq!(
            advertised("PLAINTEXT://stream-0.stream-pods.data.svc:9092"),
            "advertised.listeners=PLAINTEXT://stream-0.stream-pods.data.svc:9092,HERE://127.7.1.9:9094\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,HERE:PLAINTEXT\n\
             listeners=PLAINTEXT://127.7.1.9:9092,CONTROLLER://127.7.1.9:9093,HERE://127.7.1.9:9094\n"
        );
        // One that tells its address needs none, and one that asks who its clients are must not have one.
        for without in [
            "PLAINTEXT://localhost:9092",
            "SASL_PLAINTEXT://stream-0.stream-pods:9092",
        ] {
            assert!(!advertised(without).contains("HERE"), "{without}");
        }
    }

    #[test]
    fn without_variables_one_node_is_all() {
        let (text, plan) = written(&[("KAFKA_PORT", "tcp://127.7.192.3:9092")]);
        assert!(
            text.contains("process.roles=broker,controller\n")
                && text.contains("advertised.listeners=PLAINTEXT://127.7.1.9:9092\n")
        );
        let Before::Run(format) = &plan.before[2] else {
            panic!("{plan:?}")
        };
        assert!(format.command.join(" ").ends_with(&format!("-t {CLUSTER}")));
        let (_, dynamic) = written(&[
            ("KAFKA_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS", "kafka-0:9093"),
            ("CLUSTER_ID", "abc"),
        ]);
        let Before::Run(format) = &dynamic.before[2] else {
            panic!("{dynamic:?}")
        };
        assert!(format.command.join(" ").ends_with("-t abc --standalone"));
    }

    #[test]
    fn commands_ask_the_broker_of_their_pod() {
        let plan = planned(
            super::plan,
            &[],
            &[],
            &["kafka-topics.sh", "--bootstrap-server", "localhost:9092", "--list"],
        )
        .unwrap();
        assert!(
            plan.command
                .join(" ")
                .ends_with("TopicCommand --bootstrap-server 127.7.1.9:9092 --list"),
            "{plan:?}"
        );
    }
}
