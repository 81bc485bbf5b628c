//! Faults of object stores and data, and incidents.

use std::net::Ipv4Addr;

use libtest_mimic::Failed;
use serde_json::json;
use stoke_laptop::object_store::access;
use stoke_objectstore::{Config, ObjectStore};
use stoke_observe::runbook::{Ending, Kind};
use stoke_storage::{Access, Address};

use super::drill::{Drill, no_one};
use super::of_stage;
use super::stage::Stage;

async fn store(stage: &Stage) -> Result<ObjectStore, Failed> {
    let mut config = Config::new(stage.path().join("objects"), Ipv4Addr::new(127, 77, 0, 1));
    config.port = stage.noted("port").parse().ok().or(Some(0));
    let store = ObjectStore::start(config).await.map_err(|error| error.to_string())?;
    stage.note("port", store.address().port().to_string());
    Ok(store)
}

fn reached(store: &ObjectStore) -> Access {
    access(&store.endpoint(), store.region(), store.credentials())
}

/// Whether the store can be written to, and no schedule is held.
async fn is_wrong(stage: &Stage) -> Result<bool, Failed> {
    let access = stage.access.lock().unwrap().clone();
    let place = stoke_storage::open(&Address::parse("s3://spark/data")?, &access)?;
    let wrong = place.write("symptom", b"x".to_vec()).await.is_err();
    let held = stage
        .list(Kind::ScheduledSparkApplication)
        .await?
        .iter()
        .any(|schedule| schedule["spec"]["suspend"] == true);
    Ok(wrong || held)
}

fn given() -> Vec<(&'static str, String)> {
    vec![("store", "s3://spark/data".to_owned())]
}

pub fn drills() -> Vec<Drill> {
    vec![
        Drill {
            runbook: "object-store",
            branch: "down",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                let up = store(stage).await?;
                *stage.access.lock().unwrap() = reached(&up);
                up.stop().await;
                stage.schedule("nightly", "0 3 * * *", "exit 0").await?;
                Ok(given())
            }),
            symptom: of_stage!(stage, is_wrong(stage).await),
            person: |stage, step| {
                Box::pin(async move {
                    assert_eq!(step, "repaired");
                    if stage.noted("repaired").is_empty() {
                        stage.keep(store(stage).await?);
                        stage.note("repaired", "yes");
                    }
                    Ok(())
                })
            },
            second: Ending::Resolved,
            undone: false,
        },
        Drill {
            runbook: "object-store",
            branch: "denied",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                let up = store(stage).await?;
                *stage.access.lock().unwrap() = Access::s3(
                    &up.endpoint(),
                    up.region(),
                    &up.credentials().access_key_id,
                    "withdrawn",
                );
                stage.keep(up);
                stage.application("etl", "exit 1", json!({})).await?;
                stage.until_state("etl", "FAILED").await?;
                stage
                    .patch(
                        Kind::SparkApplication,
                        "etl",
                        json!({"spec": {"arguments": ["sleep 100000"]}}),
                    )
                    .await?;
                let mut given = given();
                given.push(("application", "etl".to_owned()));
                Ok(given)
            }),
            symptom: of_stage!(
                stage,
                Ok(is_wrong(stage).await? || stage.state("etl").await? != "RUNNING")
            ),
            person: |stage, _| {
                Box::pin(async move {
                    let credentials = stoke_objectstore::Credentials::load(&stage.path().join("objects/credentials"))?;
                    let endpoint = format!("http://127.77.0.1:{}", stage.noted("port"));
                    *stage.access.lock().unwrap() = access(&endpoint, stoke_objectstore::REGION, &credentials);
                    Ok(())
                })
            },
            // The application that runs is begun again: that is what was asked for.
            second: Ending::Resolved,
            undone: false,
        },
        Drill {
            runbook: "data-corruption",
            branch: "files",
            quick: true,
            needs: None,
            inject: of_stage!(stage, {
                let data = stage.path().join("data/day=1");
                std::fs::create_dir_all(&data)?;
                std::fs::write(data.join("good.parquet"), b"PAR1 rows PAR1")?;
                std::fs::write(data.join("cut.parquet"), b"PAR1 rows")?;
                std::fs::write(data.join("empty.parquet"), b"")?;
                stage.schedule("writer", "0 3 * * *", "exit 0").await?;
                let run = stage.trigger("writer").await?;
                stage.until_state(&run, "COMPLETED").await?;
                Ok(vec![
                    ("store", stage.path().join("data").display().to_string()),
                    ("application", run),
                ])
            }),
            symptom: of_stage!(stage, {
                let data = stage.path().join("data/day=1");
                let schedule = stage.get(Kind::ScheduledSparkApplication, "writer").await?;
                let left = ["cut.parquet", "empty.parquet"]
                    .iter()
                    .any(|name| data.join(name).exists());
                Ok(left || !data.join("good.parquet").exists() || schedule["spec"]["suspend"] == true)
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: true,
        },
        Drill {
            runbook: "incident",
            branch: "an application failed",
            quick: true,
            needs: None,
            inject: of_stage!(stage, {
                stage.application("etl", "exit 3", json!({})).await?;
                stage.until_state("etl", "FAILED").await?;
                Ok(vec![("title", "orders are late".to_owned())])
            }),
            symptom: of_stage!(stage, Ok(stage.state("etl").await? != "COMPLETED")),
            person: |stage, step| {
                Box::pin(async move {
                    assert_eq!(step, "respond");
                    let open = stoke_laptop::incident::all(&stage.home).map_err(|error| error.to_string())?;
                    if open.len() != 1
                        || !open[0]
                            .opening()
                            .is_some_and(|opening| opening.title.contains("application etl failed"))
                    {
                        return Err(format!("{open:?}").into());
                    }
                    let repair = json!({"metadata": {"annotations": {"stoke.dev/on-edit": "Restart"}}, "spec": {"arguments": ["exit 0"]}});
                    stage.patch(Kind::SparkApplication, "etl", repair).await?;
                    stage.until_state("etl", "COMPLETED").await.map(drop)
                })
            },
            second: Ending::NothingToDo,
            undone: false,
        },
    ]
}
