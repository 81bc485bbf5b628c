//! Certificates and Secrets that are replaced, versions that are raised.

use serde_json::json;
use stoke_observe::runbook::{Ending, Kind};

use super::drill::{Drill, no_one};
use super::of_stage;
use super::stage::CERTIFICATES;

pub fn drills() -> Vec<Drill> {
    vec![
        Drill {
            runbook: "rotate-certificates",
            branch: "ours",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                for kind in [Kind::MutatingWebhookConfiguration, Kind::ValidatingWebhookConfiguration] {
                    let hook = json!({
                        "name": "applications.drill.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore",
                        "clientConfig": {"service": {"name": "webhook", "namespace": "default", "path": "/admission/check"}, "caBundle": ""},
                        "rules": [{"apiGroups": ["nothing.drill.dev"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}],
                    });
                    stage
                        .create(kind, json!({"metadata": {"name": "drill-webhook"}, "webhooks": [hook]}))
                        .await?;
                }
                stage
                    .until("there is a certificate, and it is trusted", async || {
                        let secret = stage.get(Kind::Secret, CERTIFICATES).await?;
                        let hooks = stage.get(Kind::ValidatingWebhookConfiguration, "drill-webhook").await?;
                        Ok(secret["data"]["ca.crt"].is_string()
                            && hooks["webhooks"][0]["clientConfig"]["caBundle"] == secret["data"]["ca.crt"])
                    })
                    .await?;
                let secret = stage.get(Kind::Secret, CERTIFICATES).await?;
                stage.note("uid", secret["metadata"]["uid"].as_str().unwrap_or_default());
                Ok(vec![("secret", CERTIFICATES.to_owned()), ("days", "100000".to_owned())])
            }),
            symptom: of_stage!(stage, {
                let secret = stage.get(Kind::Secret, CERTIFICATES).await?;
                let hooks = stage.get(Kind::MutatingWebhookConfiguration, "drill-webhook").await?;
                let trusted = hooks["webhooks"][0]["clientConfig"]["caBundle"] == secret["data"]["ca.crt"];
                Ok(secret["metadata"]["uid"] == stage.noted("uid").as_str() || !trusted)
            }),
            person: no_one,
            // With so many days it is renewed in any case.
            second: Ending::Resolved,
            undone: false,
        },
        Drill {
            runbook: "rotate-secrets",
            branch: "application and Connect server",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                // `old` in base64.
                stage
                    .create(
                        Kind::Secret,
                        json!({"metadata": {"name": "s3"}, "type": "Opaque", "data": {"key": "b2xk", "other": "b2xk"}}),
                    )
                    .await?;
                let more = json!({"driver": {"secrets": [{"name": "s3", "path": "/etc/s3", "secretType": "Generic"}]}});
                stage.application("etl", "sleep 100000", more).await?;
                let etl = stage.until_state("etl", "RUNNING").await?;
                stage.note("submission", etl["status"]["submissionID"].as_str().unwrap_or_default());
                // Times have whole seconds.
                tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
                Ok(vec![("secret", "s3".to_owned()), ("values", "values.env".to_owned())])
            }),
            symptom: of_stage!(stage, {
                let secret = stage.get(Kind::Secret, "s3").await?;
                let etl = stage.get(Kind::SparkApplication, "etl").await?;
                let copies = stage.list(Kind::Secret).await?;
                let copies = copies
                    .iter()
                    .filter(|one| one["metadata"]["labels"]["runbook.stoke.dev/record"].is_string())
                    .count();
                // `swordfish`.
                let is_new = secret["data"]["key"] == "c3dvcmRmaXNo" && secret["data"]["other"] == "b2xk";
                let begun = etl["status"]["submissionID"] != stage.noted("submission").as_str();
                Ok(!is_new || !begun || copies > 0 || etl["status"]["applicationState"]["state"] != "RUNNING")
            }),
            person: no_one,
            second: Ending::Resolved,
            undone: false,
        },
        Drill {
            runbook: "upgrade-spark",
            branch: "copy first",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage
                    .application("etl", "exit 0", json!({"sparkVersion": "4.0.5"}))
                    .await?;
                stage.until_state("etl", "COMPLETED").await?;
                let given = [("application", "etl"), ("spark-version", "4.1.4"), ("image", "shell:2")];
                Ok(given.map(|(name, value)| (name, value.to_owned())).to_vec())
            }),
            symptom: of_stage!(stage, {
                let etl = stage.get(Kind::SparkApplication, "etl").await?;
                let all = stage.list(Kind::SparkApplication).await?;
                Ok(etl["spec"]["sparkVersion"] != "4.1.4"
                    || etl["status"]["applicationState"]["state"] != "COMPLETED"
                    || all.len() > 1)
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: false,
        },
        Drill {
            runbook: "upgrade-operator",
            branch: "rolling",
            quick: false,
            needs: None,
            inject: of_stage!(stage, {
                stage
                    .workload(Kind::Deployment, "spark-operator-controller", 2, "sleep 100000")
                    .await?;
                stage.create(Kind::Lease, json!({"metadata": {"name": "spark-operator-controller-lock"}, "spec": {"holderIdentity": "one"}})).await?;
                let client = stage.session.client.clone();
                // What holds a lease renews it.
                let renewing = tokio::spawn(async move {
                    loop {
                        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
                        let patch = json!({"spec": {"renewTime": now}}).to_string().into_bytes();
                        let path =
                            "/apis/coordination.k8s.io/v1/namespaces/default/leases/spark-operator-controller-lock";
                        let request = http::Request::patch(path)
                            .header("content-type", "application/merge-patch+json")
                            .body(patch)
                            .unwrap();
                        let _: Result<serde_json::Value, _> = client.request(request).await;
                        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                    }
                });
                stage.keep(renewing);
                Ok(vec![("image", "shell:2".to_owned())])
            }),
            symptom: of_stage!(stage, {
                let pods = stage.list(Kind::Pod).await?;
                Ok(pods.iter().any(|pod| {
                    pod["spec"]["containers"][0]["image"] == "shell:1" && pod["metadata"]["deletionTimestamp"].is_null()
                }))
            }),
            person: no_one,
            second: Ending::NothingToDo,
            undone: true,
        },
    ]
}
