//! The embedded API server refuses what the real one refuses, and stores what it stores.
//!
//! `kinds/*.yaml` has for every kind one object with most of its fields; [`generate`] breaks each field in every way its type allows and adds the cases
//! written there by hand. `recorded.jsonl.zst` has what a real server answered to each. By default the cases are sent to the embedded server and
//! its answers compared with the record; what differs has to be listed in `differences.yaml` with its reason and its count.
//!
//! `STOKE_TESTS=real KUBECONFIG=… cargo test -p stoke-cluster --test verdicts` sends them to a real server too and fails where it answers
//! otherwise than the record; `scripts/record-api-verdicts` writes the record.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod compare;
mod differences;
mod generate;
mod mutate;
mod record;
mod send;

#[path = "../server/mod.rs"]
mod server;

use std::fmt::Write as _;

use kube::Client;

/// Words of a variable of the environment.
fn asked(variable: &str, word: &str) -> bool {
    std::env::var(variable).is_ok_and(|text| text.split([',', ' ']).any(|found| found == word))
}

async fn real_client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = kube::Config::infer().await.expect("KUBECONFIG names a real cluster");
    Client::try_from(config).expect("a client of the real cluster")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_server_answers_as_the_record_of_the_real_one() {
    let kinds = generate::kinds();
    let recorded = record::read();
    let mut wrong = String::new();
    // A controller may write an object between its creation and the cases about it: what differs once more, in a new server, differs.
    for _ in 0..2 {
        let (server, client, _home) = server::start().await;
        let answers = send::all(&client, &kinds).await;
        server.stop().await;
        let found = compare::compare(&recorded, &answers);
        if let Ok(path) = std::env::var("STOKE_VERDICTS_REPORT") {
            std::fs::write(path, compare::report(&found)).unwrap();
        }
        println!("{} cases, {} differ", answers.len(), found.len());
        wrong = differences::check(&differences::read(), &found);
        if wrong.is_empty() {
            return;
        }
        println!("{wrong}\n{}", compare::report(&found));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_server_answers_as_recorded() {
    let write = asked("STOKE_WRITE_VERDICTS", "1");
    if !write && !asked("STOKE_TESTS", "real") {
        return;
    }
    let answers = send::all(&real_client().await, &generate::kinds()).await;
    if write {
        return record::write(&answers);
    }
    let mut drift = String::new();
    for difference in compare::compare(&record::read(), &answers) {
        let _ = writeln!(drift, "{difference}");
    }
    assert!(drift.is_empty(), "the real server has changed its mind:\n{drift}");
}
