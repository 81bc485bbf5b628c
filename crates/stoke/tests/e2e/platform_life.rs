//! Components of a platform in their life: an earlier version, the next one, back again, pods killed, the cluster stopped; their data are there each time.

use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, eventually, expect_code, expect_parts, full, program, reached, text};
use crate::platform_up::World;

pub fn trials(context: &Context) -> Vec<Trial> {
    let kubectl = program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    vec![context.trial(
        "platform life: components go to the next version and back, are killed and stopped, and keep their data",
        &[full(), kubectl, reached("repo1.maven.org:443")],
        life,
    )]
}

/// Each component in an earlier version; `platform.yaml` says the next one where these words are replaced.
const EARLIER: &str = r#"name: life
namespace: life
components:
  files: {kind: object-store, bucket: life, endpoint: "http://127.0.0.1:26900", credentials: {secret: store-keys}}
  database:
    kind: postgresql
    version: "15.15"
    login: {secret: database-login}
    storage: {size: 1Gi}
    resources: {cpu: 100m, memory: 256Mi}
  metastore:
    kind: hive-metastore
    version: 3.1.2
    database: {component: database}
    store: files
    resources: {cpu: 100m, memory: 768Mi}
  experiments:
    kind: mlflow
    version: 3.17.1
    database: {component: database}
    store: files
    resources: {cpu: 100m, memory: 1Gi}
  stream:
    kind: kafka
    version: 4.1.1
    replicas: 1
    storage: {size: 1Gi}
    resources: {cpu: 100m, memory: 768Mi}
  schedules:
    kind: airflow
    version: 3.3.1
    database: {component: database}
    fernetKey: {secret: airflow-keys, key: fernet}
    signingKey: {secret: airflow-keys, key: signing}
    resources: {cpu: 100m, memory: 1Gi}
"#;

/// The version that each has in [`EARLIER`], and the one after it.
const VERSIONS: [(&str, &str, &str); 5] = [
    ("database", "15.15", "15.19"),
    ("metastore", "3.1.2", "3.1.3"),
    ("experiments", "3.17.1", "3.17.2"),
    ("stream", "4.1.1", "4.1.2"),
    ("schedules", "3.3.1", "3.3.2"),
];

/// What programs are told in their containers.
const PSQL: &str = "PGPASSWORD=\"$POSTGRES_PASSWORD\" psql -h \"$POD_IP\" -U \"$POSTGRES_USER\" -d postgres -tAc";
const BROKER: &str = "--bootstrap-server \"$POD_NAME.stream-pods.life.svc:9092\"";

fn later() -> String {
    let mut text = EARLIER.to_owned();
    for (_, earlier, later) in VERSIONS {
        assert!(text.contains(earlier));
        text = text.replace(earlier, later);
    }
    text
}

impl World {
    /// A shell's answer in a component's container.
    fn shell(&self, pod: &str, script: &str) -> Result<String, Failed> {
        let exec = ["exec", "-n", "life", pod, "--", "bash", "-c", script];
        let output = self.kubectl(&exec).output()?;
        expect_code(&output, 0)?;
        Ok(text(&output))
    }

    /// Each pod with its image, without those that an upgrade is ending.
    fn images(&self) -> Result<String, Failed> {
        let output = self.kubectl(&["get", "pods", "-n", "life", "-o", "json"]).output()?;
        expect_code(&output, 0)?;
        let list: Value = serde_json::from_slice(&output.stdout)?;
        let pods = list["items"].as_array().into_iter().flatten();
        let stay = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let lines = stay.map(|pod| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let image = text(&pod["spec"]["containers"][0]["image"]);
            format!("{} {image}", text(&pod["metadata"]["name"]))
        });
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

fn life(context: &Context) -> Result<(), Failed> {
    let world = World::new(context, EARLIER)?;
    let up = ["platform", "up", "--detach", "--timeout", "30m"];
    let brought = world.json(&up)?;
    write(&world, &brought)?;
    are_there(&world, &brought, |(_, earlier, _)| earlier)?;

    // To the next version, and with the same file of before back again.
    for (file, version) in [
        (
            later(),
            (|(_, _, later)| later) as fn((&str, &'static str, &'static str)) -> &'static str,
        ),
        (EARLIER.to_owned(), |(_, earlier, _)| earlier),
    ] {
        std::fs::write(world.work.path().join("platform.yaml"), file)?;
        let begun = Instant::now();
        let said = world.run(&["platform", "apply", "--timeout", "30m"], 0)?;
        println!("platform life: applied in {:?}", begun.elapsed());
        expect_parts(&said, &["0 created, 5 changed, 0 removed"])?;
        expect_parts(
            &world.run(&["platform", "status"], 0)?,
            &["all ready, as the file says"],
        )?;
        let brought = world.json(&up)?;
        are_there(&world, &brought, version)?;
    }

    // A program that is killed, and a pod that is deleted.
    let pods = world.images()?;
    for pod in pods.lines().filter_map(|line| line.split(' ').next()) {
        world.shell(pod, "kill -9 1 || kill -9 -1")?;
    }
    heal(&world)?;
    let output = world
        .kubectl(&["delete", "pods", "--all", "-n", "life", "--wait=false"])
        .output()?;
    expect_code(&output, 0)?;
    heal(&world)?;

    // The cluster stopped and started; the platform removed but for its data, and made again.
    world.run(&["down"], 0)?;
    let brought = world.json(&up)?;
    are_there(&world, &brought, |(_, earlier, _)| earlier)?;
    world.run(&["platform", "down", "--storage", "keep"], 0)?;
    std::fs::write(world.work.path().join("platform.yaml"), later())?;
    let brought = world.json(&up)?;
    are_there(&world, &brought, |(_, _, later)| later)?;

    world.run(&["platform", "down", "--storage", "delete"], 0)?;
    expect_parts(&world.asked(&["get", "namespace", "life"]), &["NotFound"])?;
    world.run(&["down", "--wipe"], 0)?;
    world.nothing_left()
}

/// Until all is as it was, with its data.
fn heal(world: &World) -> Result<(), Failed> {
    let begun = Instant::now();
    // What was killed is not seen as gone at once.
    std::thread::sleep(Duration::from_secs(5));
    eventually("all components are ready again", Duration::from_secs(600), || {
        std::thread::sleep(Duration::from_secs(3));
        let status = world.run(&["platform", "status"], 0);
        status.is_ok_and(|said| said.contains("all ready, as the file says"))
    })?;
    println!("platform life: healed in {:?}", begun.elapsed());
    let brought = world.json(&["platform", "up"])?;
    are_there(world, &brought, |(_, earlier, _)| earlier)
}

/// Something in every component.
fn write(world: &World, brought: &Value) -> Result<(), Failed> {
    let table = "CREATE TABLE teas (name text); INSERT INTO teas VALUES ('oolong')";
    world.shell("database-0", &format!("{PSQL} \"{table}\""))?;
    let produce = format!("echo 'tea for two' | /opt/kafka/bin/kafka-console-producer.sh {BROKER} --topic orders");
    world.shell("stream-0", &produce)?;
    world.shell("deploy/metastore", include_str!("platform_up/create_database.sh"))?;
    let url = crate::platform_up::url(brought, "experiments")?.trim_end_matches('/');
    let create = format!("{url}/api/2.0/mlflow/experiments/create");
    crate::platform_up::curl(&[
        "-H",
        "Content-Type: application/json",
        "-d",
        r#"{"name": "teas"}"#,
        &create,
    ])?;
    world.shell("deploy/schedules", "airflow variables set tea oolong")?;
    Ok(())
}

/// What was written is read in each component, which says the version that it is.
fn are_there(
    world: &World,
    brought: &Value,
    version: fn((&'static str, &'static str, &'static str)) -> &'static str,
) -> Result<(), Failed> {
    let images = world.images()?;
    for of in VERSIONS {
        let pods: Vec<&str> = images.lines().filter(|line| line.starts_with(of.0)).collect();
        assert!(
            !pods.is_empty() && pods.iter().all(|line| line.ends_with(version(of))),
            "{} is not {}: {images}",
            of.0,
            version(of)
        );
    }
    let server = version(VERSIONS[0]);
    let said = world.shell(
        "database-0",
        &format!("{PSQL} 'SELECT name FROM teas; SHOW server_version'"),
    )?;
    expect_parts(&said, &["oolong", server])?;
    let consume = format!(
        "/opt/kafka/bin/kafka-console-consumer.sh {BROKER} --topic orders --from-beginning --max-messages 1 --timeout-ms 60000"
    );
    expect_parts(&world.shell("stream-0", &consume)?, &["tea for two"])?;
    let databases = world.shell("deploy/metastore", include_str!("platform_up/list_databases.sh"))?;
    expect_parts(&databases, &["default", "teas"])?;
    let url = crate::platform_up::url(brought, "experiments")?.trim_end_matches('/');
    let search = format!("{url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=teas");
    expect_parts(&crate::platform_up::curl(&[&search])?, &["teas", "active"])?;
    expect_parts(
        &crate::platform_up::curl(&[&format!("{url}/version")])?,
        &[version(VERSIONS[2])],
    )?;
    expect_parts(
        &world.shell("deploy/schedules", "airflow variables get tea; airflow version")?,
        &["oolong", version(VERSIONS[4])],
    )
}
