use serde_json::json;
use stoke_eventlog::event::{ExecutorRequest, ResourceProfile, TaskRequest};

use super::*;
use crate::facts::cluster::{Container, Event, Node};
use crate::facts::run::{Task, Totals};

fn run(properties: &[(&str, &str)]) -> Run {
    let executor = |id: &str| Executor {
        id: id.to_owned(),
        cores: 2,
        added: 10_000,
        ..Executor::default()
    };
    Run {
        spark_version: "4.1.4".to_owned(),
        started: 5_000,
        ended: Some(60_000),
        executors: vec![executor("1"), executor("2")],
        spark: properties
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Run::default()
    }
}

fn pod(role: Role, containers: Vec<Container>) -> Pod {
    Pod {
        labels: BTreeMap::new(),
        name: match &role {
            Role::Driver => "etl-driver".to_owned(),
            Role::Executor(id) => format!("etl-exec-{id}"),
        },
        role,
        phase: String::new(),
        reason: String::new(),
        message: String::new(),
        node: Some("node-1".to_owned()),
        created: Some(1_000),
        deleted: None,
        conditions: Vec::new(),
        containers,
        spec: json!({"volumes": [{"persistentVolumeClaim": {"claimName": "own"}}, {"persistentVolumeClaim": {"claimName": "shared"}}]}),
    }
}

fn container(cpu: &str, memory: &str, init: bool, started: i64, finished: i64) -> Container {
    Container {
        init,
        requests: [("cpu", cpu), ("memory", memory)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        state: State::Terminated {
            reason: String::new(),
            message: String::new(),
            exit_code: 0,
            started: Some(started),
            finished: Some(finished),
        },
        ..Container::default()
    }
}

#[test]
fn without_pods_the_configuration_counts() {
    type Row<'a> = (&'a [(&'a str, &'a str)], (i64, i64, i64, i64));
    let table: [Row<'_>; 5] = [
        (&[], (2_000, 1408, 0, 0)),
        (
            &[
                ("spark.executor.memory", "4g"),
                ("spark.executor.memoryOverhead", "1g"),
                ("spark.memory.offHeap.enabled", "true"),
                ("spark.memory.offHeap.size", "1g"),
            ],
            (2_000, 6144, 0, 0),
        ),
        (
            &[
                ("spark.kubernetes.executor.request.cores", "1500m"),
                ("spark.executor.resource.gpu.amount", "2"),
            ],
            (1_500, 1408, 0, 2),
        ),
        (
            &[
                (
                    "spark.kubernetes.executor.volumes.persistentVolumeClaim.spill.options.claimName",
                    "OnDemand",
                ),
                (
                    "spark.kubernetes.executor.volumes.persistentVolumeClaim.spill.options.sizeLimit",
                    "10Gi",
                ),
                (
                    "spark.kubernetes.executor.volumes.persistentVolumeClaim.data.options.claimName",
                    "shared",
                ),
                (
                    "spark.kubernetes.executor.volumes.persistentVolumeClaim.data.options.sizeLimit",
                    "1Ti",
                ),
            ],
            (2_000, 1408, 10, 0),
        ),
        (&[("spark.executor.memory", "1t")], (2_000, (1 << 20) + 104_857, 0, 0)),
    ];
    for (properties, (millicores, mib, gib, gpus)) in table {
        let (holders, notes) = holders(&run(properties), None).unwrap();
        let executor = &holders[1];
        let held = (
            executor.millicores,
            executor.memory >> 20,
            executor.storage >> 30,
            executor.gpus,
        );
        assert_eq!(held, (millicores, mib, gib, gpus), "{properties:?}");
        assert_eq!((executor.from, executor.until, executor.slots), (10_000, 60_000, 2));
        assert_eq!(
            (holders[0].id.as_str(), holders[0].from, holders[0].millicores),
            ("driver", 5_000, 1_000)
        );
        assert!(notes[0].contains("without a known pod"), "{notes:?}");
    }
    let error = holders(&run(&[("spark.executor.memory", "lots")]), None).unwrap_err();
    assert_eq!(error.code(), "stoke::insight::bad-setting");
}

#[test]
fn pods_count_from_their_node_to_their_end() {
    let mut cluster = Cluster {
        pods: vec![
            pod(Role::Driver, vec![container("1", "1Gi", false, 4_000, 61_000)]),
            pod(
                Role::Executor("1".to_owned()),
                vec![
                    container("2", "2Gi", false, 9_000, 58_000),
                    container("100m", "64Mi", false, 9_000, 59_000),
                    container("1", "4Gi", true, 8_000, 8_500),
                ],
            ),
            pod(
                Role::Executor("9".to_owned()),
                vec![container("3", "1Gi", false, 20_000, 25_000)],
            ),
        ],
        nodes: vec![Node {
            name: "node-1".to_owned(),
            labels: [(SHAPE[0], "m5.large"), ("karpenter.sh/capacity-type", "spot")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            ..Node::default()
        }],
        claims: vec![
            json!({"metadata": {"name": "own", "ownerReferences": [{}]}, "spec": {"resources": {"requests": {"storage": "5Gi"}}}}),
            json!({"metadata": {"name": "shared"}, "spec": {"resources": {"requests": {"storage": "1Ti"}}}}),
        ],
        ..Cluster::default()
    };
    cluster.events.push(Event {
        kind: "Pod".to_owned(),
        name: "etl-exec-1".to_owned(),
        reason: "Scheduled".to_owned(),
        first: Some(7_000),
        ..Event::default()
    });
    let (holders, _) = holders(&run(&[]), Some(&cluster)).unwrap();
    let of = |id: &str| holders.iter().find(|holder| holder.id == id).unwrap();
    let (driver, first, second, stranger) = (of("driver"), of("1"), of("2"), of("9"));
    assert_eq!(
        (driver.from, driver.until, driver.millicores, driver.slots),
        (4_000, 61_000, 1_000, 0)
    );
    assert_eq!((first.from, first.until), (7_000, 59_000));
    assert_eq!(
        (first.millicores, first.memory >> 20, first.storage >> 30),
        (2_100, 4096, 5)
    );
    assert_eq!(
        (first.shape.as_deref(), first.capacity),
        (Some("m5.large"), Some(Capacity::Spot))
    );
    assert_eq!(
        (second.pod.as_deref(), second.from, second.shape.as_deref()),
        (None, 10_000, None)
    );
    assert_eq!(
        (stranger.from, stranger.until, stranger.slots, stranger.busy.len()),
        (20_000, 25_000, 3, 0)
    );
}

#[test]
fn attempts_are_told_apart() {
    let task = |index, attempt, outcome, speculative| Task {
        index,
        attempt,
        outcome,
        speculative,
        launched: 6_000,
        duration: 1_000,
        ..Task::default()
    };
    let mut run = run(&[("spark.task.cpus", "2")]);
    let tasks = vec![
        task(0, 0, Outcome::Killed, false),
        task(0, 1, Outcome::Succeeded, true),
        task(1, 0, Outcome::Succeeded, false),
        task(1, 1, Outcome::Killed, true),
        task(2, 0, Outcome::Killed, false),
        task(3, 0, Outcome::Failed, false),
        task(4, 0, Outcome::Running, false),
    ];
    let stage = Stage {
        tasks,
        totals: Totals {
            killed: 3,
            ..Totals::default()
        },
        ..Stage::default()
    };
    run.stages.insert((0, 0), stage);
    let (holders, _) = holders(&run, None).unwrap();
    let uses: Vec<Use> = holders[1].busy.iter().map(|busy| busy.what).collect();
    use Use::*;
    assert_eq!(
        uses,
        [
            Speculation(0),
            Work(0),
            Work(0),
            Speculation(0),
            Killed(0),
            Failed(0),
            Unfinished(0)
        ]
    );
    assert!(
        holders[1]
            .busy
            .iter()
            .all(|busy| busy.cores == 2 && busy.from == 11_000)
    );
    assert_eq!(holders[1].busy.iter().map(|busy| busy.until).max(), Some(60_000));
}

#[test]
fn profiles_ask_for_their_own() {
    let mut run = run(&[("spark.executor.memory", "1g")]);
    run.executors[1].profile = 1;
    let request = |name: &str, amount| {
        let request = ExecutorRequest {
            name: name.to_owned(),
            amount,
            script: String::new(),
            vendor: String::new(),
        };
        (name.to_owned(), request)
    };
    run.profiles.insert(
        1,
        ResourceProfile {
            id: 1,
            executor: [request("memory", 8_192), request("gpu", 1), request("cores", 2)].into(),
            task: [(
                "cpus".to_owned(),
                TaskRequest {
                    name: "cpus".to_owned(),
                    amount: 2.0,
                },
            )]
            .into(),
        },
    );
    let (holders, _) = holders(&run, None).unwrap();
    assert_eq!((holders[1].memory >> 20, holders[1].gpus), (1408, 0));
    assert_eq!((holders[2].memory >> 20, holders[2].gpus), (8_192 + 819, 1));
    let stage = Stage {
        profile: 1,
        ..Stage::default()
    };
    assert_eq!((task_cores(&run, &stage), task_cores(&run, &Stage::default())), (2, 1));
}

#[test]
fn the_driver_of_a_local_run_is_its_executor() {
    let mut run = run(&[]);
    run.executors = vec![Executor {
        id: DRIVER.to_owned(),
        cores: 4,
        ..Executor::default()
    }];
    let (holders, notes) = holders(&run, None).unwrap();
    assert_eq!((holders.len(), holders[0].slots, holders[0].millicores), (1, 4, 4_000));
    assert!(notes[0].starts_with("local mode"), "{notes:?}");
}
