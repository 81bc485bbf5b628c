//! Plain kubectl, default flags.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::case::{Case, Client, Ground};

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            area: "Objects",
            behaviour: "`apply` creates an object, says `unchanged` when nothing changes, and `configured` when something does",
            client: Client::Kubectl,
            run: apply,
        },
        Case {
            area: "Objects",
            behaviour: "a name that is taken is refused with 409 `AlreadyExists`",
            client: Client::Kubectl,
            run: a_name_is_taken_once,
        },
        Case {
            area: "Objects",
            behaviour: "an update with an old resourceVersion is refused with 409 `Conflict`",
            client: Client::Kube,
            run: an_old_version_does_not_win,
        },
    ]
}

fn a_name_is_taken_once(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let file = ground.directory().join(format!("{namespace}.yaml"));
    std::fs::write(&file, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n").unwrap();
    let file = file.display().to_string();
    let create = || ground.kubectl(&namespace, &["create", "-f", &file], "");
    create().has("configmap/m created")?;
    create().refused_with("Error from server (AlreadyExists)")
}

fn an_old_version_does_not_win(ground: &Ground) -> Result<(), String> {
    let maps: Api<ConfigMap> = Api::namespaced(ground.bench.client.clone(), &ground.namespace());
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "m"}, "data": {"k": "1"}})).unwrap();
    ground.runtime.block_on(async {
        let first = maps.create(&PostParams::default(), &map).await.unwrap();
        let mut second = first.clone();
        second.data = Some([("k".to_owned(), "2".to_owned())].into());
        maps.replace("m", &PostParams::default(), &second).await.unwrap();
        match maps.replace("m", &PostParams::default(), &first).await {
            Err(kube::Error::Api(status)) if status.code == 409 && status.reason == "Conflict" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
}

fn apply(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let map = |value: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata: {{k: {value}}}\n");
    let apply = |value: &str| ground.kubectl(&namespace, &["apply", "-f", "-"], &map(value));
    apply("a").has("configmap/m created")?;
    apply("a").has("configmap/m unchanged")?;
    apply("b").has("configmap/m configured")?;
    let value = ground.kubectl(&namespace, &["get", "configmap", "m", "-o", "jsonpath={.data.k}"], "");
    value.has("b")
}
