//! What clients send before anything else: protobuf bodies, discovery, schemas, validation of fields.

use std::collections::BTreeSet;

use http::{Request, Response};
use serde_json::Value;

use crate::case::{Case, Client, Ground};

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            area: "Wire",
            behaviour: "every `kubectl create` shorthand works: its protobuf bodies are read like JSON ones",
            client: Client::Kubectl,
            run: shorthands,
        },
        Case {
            area: "Wire",
            behaviour: "what was not said in a protobuf body is not stored, and what is embedded stands where JSON has it",
            client: Client::Kubectl,
            run: protobuf_says_what_json_says,
        },
        Case {
            area: "Wire",
            behaviour: "`explain` describes every field of built-in kinds and of custom resources, `--recursive` too",
            client: Client::Kubectl,
            run: explain,
        },
        Case {
            area: "Wire",
            behaviour: "unknown and duplicate fields are refused (`Strict`, kubectl's default), warned of (`Warn`) or dropped (`Ignore`); a value of a wrong type is always refused",
            client: Client::Kubectl,
            run: fields_are_validated,
        },
        Case {
            area: "Wire",
            behaviour: "duplicate fields are told with their paths, in the order of the body",
            client: Client::Kube,
            run: duplicates_are_told,
        },
        Case {
            area: "Wire",
            behaviour: "aggregated and legacy discovery tell the same resources, verbs and subresources",
            client: Client::Kube,
            run: discoveries_agree,
        },
        Case {
            area: "Wire",
            behaviour: "OpenAPI v3 documents have URLs with hashes: current ones may be cached for good, old ones lead to the current one, `If-None-Match` is answered 304",
            client: Client::Kube,
            run: documents_are_cached,
        },
    ]
}

fn shorthands(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let commands: &[(&str, &str)] = &[
        ("configmap m --from-literal=k=v", "configmap/m created"),
        ("secret generic s --from-literal=a=b", "secret/s created"),
        (
            "secret docker-registry d --docker-server=x --docker-username=u --docker-password=p",
            "secret/d created",
        ),
        ("serviceaccount robot", "serviceaccount/robot created"),
        (
            "role reader --verb=get,list --resource=pods,pods/log",
            "role.rbac.authorization.k8s.io/reader created",
        ),
        (
            "rolebinding reads --role=reader --serviceaccount=NS:robot",
            "rolebinding.rbac.authorization.k8s.io/reads created",
        ),
        (
            "clusterrole NS-nodes --verb=get --resource=nodes",
            "clusterrole.rbac.authorization.k8s.io/NS-nodes created",
        ),
        (
            "clusterrolebinding NS-nodes --clusterrole=NS-nodes --user=u",
            "clusterrolebinding.rbac.authorization.k8s.io/NS-nodes created",
        ),
        ("quota q --hard=secrets=100", "resourcequota/q created"),
        (
            "priorityclass NS-low --value=10 --description=low",
            "priorityclass.scheduling.k8s.io/NS-low created",
        ),
        (
            "poddisruptionbudget b --selector=a=b --min-available=50%",
            "poddisruptionbudget.policy/b created",
        ),
        ("service clusterip c --tcp=80:8080", "service/c created"),
        ("service nodeport n --tcp=80", "service/n created"),
        ("service loadbalancer l --tcp=80", "service/l created"),
        (
            "service externalname e --external-name=example.com",
            "service/e created",
        ),
        (
            "ingress i --rule=example.com/path=c:80",
            "ingress.networking.k8s.io/i created",
        ),
        ("deployment w --image=shell --replicas=0", "deployment.apps/w created"),
        ("job j --image=shell -- true", "job.batch/j created"),
        (
            "cronjob c --image=shell --schedule=0_0_*_*_* -- true",
            "cronjob.batch/c created",
        ),
        ("namespace NS-more", "namespace/NS-more created"),
        ("token robot --duration=20m", "eyJ"),
    ];
    for (command, expected) in commands {
        let command = command.replace("NS", &namespace);
        let words: Vec<String> = command.split(' ').map(|word| word.replace('_', " ")).collect();
        let arguments: Vec<&str> = ["create"].into_iter().chain(words.iter().map(String::as_str)).collect();
        ground
            .kubectl(&namespace, &arguments, "")
            .has(&expected.replace("NS", &namespace))?;
    }
    Ok(())
}

fn protobuf_says_what_json_says(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let run = |command: &str| {
        let arguments: Vec<&str> = command.split(' ').collect();
        ground.kubectl(&namespace, &arguments, "").ok()
    };
    run("create secret generic s --from-literal=a=b")?;
    let secret = run("get secret s -o jsonpath={.data.a},{.type},{.metadata.generateName}")?;
    if secret != "Yg==,Opaque," {
        return Err(secret);
    }
    run("create poddisruptionbudget b --selector=a=b --min-available=50%")?;
    let budget = run("get pdb b -o jsonpath={.spec}")?;
    if budget != r#"{"minAvailable":"50%","selector":{"matchLabels":{"a":"b"}}}"# {
        return Err(budget);
    }
    run("create ingress i --rule=example.com/path=c:80")?;
    let rule = run("get ingress i -o jsonpath={.spec.rules[0].http.paths[0].backend.service}")?;
    if rule != r#"{"name":"c","port":{"number":80}}"# {
        return Err(rule);
    }
    Ok(())
}

fn explain(ground: &Ground) -> Result<(), String> {
    for (path, expected) in [
        ("pod.spec.containers.resources", "limits\t<map[string]Quantity>"),
        ("pod.spec.containers", "image\t<string>"),
        ("deployment.spec.strategy.rollingUpdate", "maxSurge\t<IntOrString>"),
        ("configmaps", "Immutable, if set to true"),
        ("crd.spec.versions", "schema\t<CustomResourceValidation>"),
        ("sparkapplications.spec.driver", "cores\t<integer>"),
    ] {
        ground.kubectl("default", &["explain", path], "").has(expected)?;
    }
    let recursive = ground
        .kubectl("default", &["explain", "pod.spec.containers", "--recursive"], "")
        .ok()?;
    for expected in [
        "      secretKeyRef\t<SecretKeySelector>\n        key\t<string> -required-\n        name\t<string>\n",
        "livenessProbe\t<Probe>",
    ] {
        if !recursive.contains(expected) {
            return Err(format!("no {expected:?} in {recursive}"));
        }
    }
    ground
        .kubectl("default", &["explain", "pod.spec.nothing"], "")
        .refused_with("field \"nothing\" does not exist")
}

fn pod(extra: &str, image: &str) -> String {
    format!(
        r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "p"}}, "spec": {{"containers": [{{"name": "c", "image": {image}}}], "nodeSelector": {{"no": "where"}}{extra}}}}}"#
    )
}

fn fields_are_validated(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let create = |validate: &str, body: &str| {
        ground.kubectl(&namespace, &["create", validate, "--dry-run=server", "-f", "-"], body)
    };
    let strange = pod(
        r#", "hostnames": "h", "dnsPolicy": "None", "dnsPolicy": "Default""#,
        "\"x\"",
    );
    create("--validate=true", &strange).refused_with(
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: unknown field \"spec.hostnames\"",
    )?;
    create("--validate=warn", &strange).has("Warning: unknown field \"spec.hostnames\"")?;
    let silent = create("--validate=ignore", &strange).ok()?;
    if silent.contains("Warning") {
        return Err(silent);
    }
    create("--validate=ignore", &pod("", "5")).refused_with(
        "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string",
    )?;
    let patch = r#"{"data": {"a": "b"}, "dat": {}}"#;
    let arguments = [
        "patch",
        "configmap",
        "kube-root-ca.crt",
        "--dry-run=server",
        "--type=merge",
        "-p",
        patch,
    ];
    ground
        .kubectl(&namespace, &arguments, "")
        .has("Warning: unknown field \"dat\"")
}

/// Sends a request as it is.
fn send(ground: &Ground, request: Request<Vec<u8>>) -> Response<String> {
    use http_body_util::BodyExt;
    ground.runtime.block_on(async {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, kube::client::Body::from(body));
        let (parts, body) = ground.bench.client.send(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Response::from_parts(parts, String::from_utf8(bytes.to_vec()).unwrap())
    })
}

fn get(ground: &Ground, path: &str, accept: &str) -> Value {
    let request = Request::get(path).header("accept", accept).body(Vec::new()).unwrap();
    serde_json::from_str(send(ground, request).body()).unwrap()
}

fn duplicates_are_told(ground: &Ground) -> Result<(), String> {
    let body =
        r#"{"metadata": {"name": "m", "odd": 1}, "data": {"k": "1", "k": "2"}, "immutable": false, "immutable": true}"#;
    let path = format!(
        "/api/v1/namespaces/{}/configmaps?dryRun=All&fieldValidation",
        ground.namespace()
    );
    let post = |validation: &str| {
        let request = Request::post(format!("{path}={validation}"));
        send(
            ground,
            request
                .header("content-type", "application/json")
                .body(body.as_bytes().to_vec())
                .unwrap(),
        )
    };
    let refused = post("Strict");
    let status: Value = serde_json::from_str(refused.body()).unwrap();
    let expected = r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "metadata.odd", duplicate field "data.k", duplicate field "immutable""#;
    if (refused.status().as_u16(), status["message"].as_str()) != (400, Some(expected)) {
        return Err(status.to_string());
    }
    let warned = post("Warn");
    let warnings: Vec<&str> = warned
        .headers()
        .get_all("warning")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    let stored: Value = serde_json::from_str(warned.body()).unwrap();
    let right = warnings.len() == 3
        && warnings[1] == r#"299 - "duplicate field \"data.k\"""#
        && stored["data"]["k"] == "2"
        && stored["immutable"] == true;
    if right {
        Ok(())
    } else {
        Err(format!("{warnings:?} {stored}"))
    }
}

/// One line a resource: where it is, its kind, its scope, its verbs.
fn resource(group: &str, version: &str, name: &str, kind: &Value, scope: bool, verbs: &Value) -> String {
    format!("{group}/{version} {name} {kind} {scope} {verbs}")
}

fn discoveries_agree(ground: &Ground) -> Result<(), String> {
    let mut aggregated = BTreeSet::new();
    for path in ["/api", "/apis"] {
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
        let list = get(ground, path, accept);
        for group in list["items"].as_array().unwrap() {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().unwrap() {
                let number = version["version"].as_str().unwrap();
                for entry in version["resources"].as_array().unwrap() {
                    let plural = entry["resource"].as_str().unwrap();
                    let scope = entry["scope"] == "Namespaced";
                    let line = |name_of: &str, entry: &Value| {
                        resource(
                            name,
                            number,
                            name_of,
                            &entry["responseKind"]["kind"],
                            scope,
                            &entry["verbs"],
                        )
                    };
                    aggregated.insert(line(plural, entry));
                    for sub in entry["subresources"].as_array().into_iter().flatten() {
                        aggregated.insert(line(&format!("{plural}/{}", sub["subresource"].as_str().unwrap()), sub));
                    }
                }
            }
        }
    }
    let mut legacy = BTreeSet::new();
    let groups = get(ground, "/apis", "application/json");
    let versions = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["versions"].as_array().unwrap());
    let paths = versions.map(|version| format!("/apis/{}", version["groupVersion"].as_str().unwrap()));
    for path in paths.chain(["/api/v1".to_owned()]) {
        let list = get(ground, &path, "application/json");
        let (group, version) = list["groupVersion"]
            .as_str()
            .map(|text| text.split_once('/').unwrap_or(("", text)))
            .unwrap();
        for entry in list["resources"].as_array().unwrap() {
            let name = entry["name"].as_str().unwrap();
            legacy.insert(resource(
                group,
                version,
                name,
                &entry["kind"],
                entry["namespaced"] == true,
                &entry["verbs"],
            ));
        }
    }
    let differences: Vec<&String> = aggregated.symmetric_difference(&legacy).collect();
    if differences.is_empty() && aggregated.len() > 60 {
        Ok(())
    } else {
        Err(format!(
            "{} entries, and these only in one: {differences:#?}",
            aggregated.len()
        ))
    }
}

fn documents_are_cached(ground: &Ground) -> Result<(), String> {
    let index = get(ground, "/openapi/v3", "application/json");
    let url = index["paths"]["apis/batch/v1"]["serverRelativeURL"].as_str().unwrap();
    let ask = |url: &str, header: (&str, &str)| {
        send(
            ground,
            Request::get(url).header(header.0, header.1).body(Vec::new()).unwrap(),
        )
    };
    let current = ask(url, ("accept", "application/json"));
    let header = |response: &Response<String>, name: &str| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let tag = header(&current, "etag").ok_or("no ETag")?;
    let document: Value = serde_json::from_str(current.body()).unwrap();
    if !document["components"]["schemas"]["io.k8s.api.batch.v1.Job"].is_object() {
        return Err("the document does not describe jobs".into());
    }
    let old = ask("/openapi/v3/apis/batch/v1?hash=OLD", ("accept", "application/json"));
    let again = ask(url, ("if-none-match", &tag));
    let seen = (
        header(&current, "cache-control").is_some_and(|value| value.contains("immutable")),
        (old.status().as_u16(), header(&old, "location")),
        again.status().as_u16(),
    );
    if seen == (true, (301, Some(url.to_owned())), 304) {
        Ok(())
    } else {
        Err(format!("{seen:?}"))
    }
}
