//! What is reasoned about runs: the same as the rooms say that commands print.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use stoke_eventlog::{Options, Source};
use stoke_insight::cost::{Prices, Window, showback};
use stoke_insight::facts::{Run, collect};
use stoke_insight::whatif::{Plan, what_if};
use stoke_insight::{compare, cost, size};

use crate::site::{Site, real};

const PRICES: &str = "
currency: EUR
prices: [{cpuHour: 0.0425, gibHour: 0.0046}]
";

fn prices() -> Prices {
    Prices::read("prices.yaml", PRICES).unwrap()
}

/// The runs of the same logs, read by the room itself.
fn runs() -> Vec<Arc<Run>> {
    let logs = real();
    let source = Source::directory(logs.path());
    let read = |log| Arc::new(collect::run(&source, &log, Options::default()).unwrap());
    source.logs().unwrap().into_iter().map(read).collect()
}

fn site(prices: Option<Prices>) -> Site {
    Site::on(
        real(),
        stoke_web::Settings {
            prices,
            ..Default::default()
        },
    )
}

/// A value as it comes out of JSON: numbers beyond 64 bits lose digits there, in both.
fn told(value: impl Into<Value>) -> Value {
    serde_json::from_str(&value.into().to_string()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn comparisons_are_those_of_the_command() {
    let (site, runs) = (Site::new(), runs());
    for (place, a) in runs.iter().enumerate() {
        let b = &runs[(place + 1) % runs.len()];
        let path = format!("/compare?a={}&b={}", a.id, b.id);
        let page = site.twin(&path).await;
        let expected = compare::compare(a, b);
        assert_eq!(page["comparison"], told(json!(expected)), "{path}");
        let rows = page["explanations"]["rows"].as_array().unwrap();
        let sum: i64 = rows[..rows.len() - 1]
            .iter()
            .map(|row| row["milliseconds"].as_i64().unwrap())
            .sum();
        assert_eq!(
            (sum, rows.last().unwrap()["milliseconds"].as_i64().unwrap()),
            (expected.difference, expected.difference)
        );
        assert_eq!(page["stages"]["total"], expected.stages.len(), "{path}");
        let text = site.get(&path).await.text();
        assert!(text.contains("class=\"whole\"") && text.contains(&a.id) && text.contains(&b.id));
    }
    let none = site.get("/compare").await;
    assert!(none.status == StatusCode::OK && none.text().contains("Name two runs"));
    assert_eq!(
        site.get("/compare?a=nothing&b=nothing").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_and_sizes_are_those_of_the_command() {
    let (site, runs) = (Site::new(), runs());
    let mut predicted = 0;
    for run in &runs {
        let path = format!("/history/{}/what-if/?executors=3&cores=2&node=16x64Gi", run.id);
        let page = site.twin(&path).await;
        let plan = Plan { executors: 3, cores: 2 };
        match what_if(run, plan) {
            Ok(outcome) => {
                assert_eq!(page["outcome"], told(json!(outcome)), "{path}");
                let rows = page["curve"]["rows"].as_array().unwrap();
                assert!(rows.len() > 3, "{path}");
                for row in rows {
                    let plan = Plan {
                        executors: row["executors"].as_u64().unwrap() as u32,
                        cores: 2,
                    };
                    let known = what_if(run, plan).unwrap();
                    assert_eq!(row["predicted"], known.predicted, "{path}");
                    assert_eq!(
                        (&row["least"], &row["most"]),
                        (&json!(known.range.least), &json!(known.range.most))
                    );
                }
                predicted += 1;
            }
            Err(error) => assert_eq!(page["outcome"], error.to_string(), "{path}"),
        }
        let options = size::Options {
            node: Some(size::NodeShape::parse("16x64Gi").unwrap()),
            spark_version: run.spark_version.clone(),
            ..size::Options::default()
        };
        match size::for_run(run, &options) {
            Ok(sizing) => assert_eq!(page["sizing"], told(json!(sizing)), "{path}"),
            Err(error) => assert_eq!(page["sizing"], error.to_string(), "{path}"),
        }
    }
    assert!(predicted > 3);
    let wrong = site
        .twin(&format!("/history/{}/what-if/?executors=0&node=large", runs[0].id))
        .await;
    assert!(
        wrong["outcome"].as_str().unwrap().contains("run nothing")
            && wrong["sizing"].as_str().unwrap().contains("large")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_are_those_of_the_command_and_sum_to_the_whole() {
    for prices in [None, Some(prices())] {
        let (site, runs) = (site(prices.clone()), runs());
        let mut bills = Vec::new();
        for run in &runs {
            let expected = cost::of(run, None, prices.as_ref()).unwrap();
            let path = format!("/history/{}/cost/", run.id);
            assert_eq!(site.twin(&path).await["bill"], told(json!(expected)), "{path}");
            bills.extend(showback::daily(run, None, prices.as_ref(), Window::ALL).unwrap());
        }
        let page = site.twin("/cost").await;
        assert_eq!(page["reports"], told(json!(showback::by_label(&bills, "team"))));
        assert_eq!(page["complete"], true);
        let rows = page["applications"]["rows"].as_array().unwrap();
        if prices.is_none() {
            for row in rows {
                let parts: i64 = ["work", "idle", "tail", "lost", "driver"]
                    .iter()
                    .map(|name| row[*name].as_i64().unwrap())
                    .sum();
                // Each part is rounded to a millisecond.
                assert!((parts - row["cost"].as_i64().unwrap()).abs() <= 5, "{row}");
            }
        }
        let text = site.get("/cost").await.text();
        assert!(text.contains("class=\"tail\"") && text.contains("class=\"idle\""));
        let later = site.twin("/cost?since=2999-01-01").await;
        assert_eq!(later["reports"], json!([]));
    }
}
