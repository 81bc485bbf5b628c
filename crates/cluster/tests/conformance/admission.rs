//! Webhooks and policies that users define, with a webhook server of our own behind real TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::case::{Case, Client, Ground};

/// Behaviour and proof.
type Row = (&'static str, fn(&Ground) -> Result<(), String>);

const ROWS: &[Row] = &[
    (
        "mutating webhooks change objects in order (JSONPatch), and see again what later ones changed if they ask for it",
        mutating,
    ),
    (
        "validating webhooks refuse in Kubernetes' words, warn, and are told user, operation, old and new object; matchConditions and selectors choose",
        validating,
    ),
    (
        "a webhook that fails is fatal or passed over as its failurePolicy says; one with a service is called at a ready endpoint",
        failing,
    ),
    ("a webhook with side effects is not called for a dry run", dry_run),
    (
        "ValidatingAdmissionPolicy denies or warns as its binding says: params, variables, matchConditions, messageExpression, namespaceObject, authorizer",
        policies,
    ),
    (
        "a policy that does not compile is refused with the place, MutatingAdmissionPolicy is refused by name",
        wrong_policies,
    ),
];

pub fn cases() -> Vec<Case> {
    ROWS.iter()
        .map(|(behaviour, run)| Case {
            area: "Admission",
            behaviour,
            client: Client::Kubectl,
            run: *run,
        })
        .collect()
}

/// What a webhook answers to a request at a path.
type Answer = Arc<dyn Fn(&str, &Value) -> Value + Send + Sync>;

/// A webhook server on loopback; ends with the test's runtime.
struct Hooks {
    address: SocketAddr,
    bundle: String,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Hooks {
    fn start(ground: &Ground, answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Hooks {
        let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let bundle = STANDARD.encode(key.cert.pem());
        let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer: Answer = Arc::new(answer);
        let (address, log) = (
            ground.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap(),
            seen.clone(),
        );
        let listener = address;
        let address = listener.local_addr().unwrap();
        ground.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer, log) = (acceptor.clone(), answer.clone(), log.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                        let (answer, log) = (answer.clone(), log.clone());
                        async move {
                            let path = request.uri().path().to_owned();
                            let body = request.into_body().collect().await.unwrap().to_bytes();
                            let review: Value = serde_json::from_slice(&body).unwrap();
                            log.lock().unwrap().push(review["request"].clone());
                            let mut response = answer(&path, &review["request"]);
                            response["uid"] = review["request"]["uid"].clone();
                            let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
                            Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(review.to_string()))))
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Hooks { address, bundle, seen }
    }

    /// One webhook for ConfigMaps of one namespace.
    fn hook(&self, namespace: &str, name: &str, path: &str) -> Value {
        json!({"name": format!("{name}.{namespace}.example.com"), "admissionReviewVersions": ["v1"], "sideEffects": "None", "timeoutSeconds": 5,
            "clientConfig": {"url": format!("https://{}{path}", self.address), "caBundle": self.bundle},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "objectSelector": {"matchExpressions": [{"key": "plain", "operator": "DoesNotExist"}]},
            "rules": [{"operations": ["CREATE", "UPDATE", "DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}]})
    }
}

fn configure(ground: &Ground, kind: &str, namespace: &str, webhooks: Vec<Value>) -> Result<(), String> {
    let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
        "metadata": {"name": namespace}, "webhooks": webhooks});
    ground
        .kubectl(namespace, &["apply", "-f", "-"], &object.to_string())
        .ok()
        .map(drop)
}

fn config_map(name: &str, data: Value, labels: Value) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": data})
        .to_string()
}

fn patch(operations: Value) -> Value {
    json!({"allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(operations.to_string())})
}

fn mutating(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let hooks = Hooks::start(ground, |path, request| {
        let order = request["object"]["data"]["order"].as_str().unwrap_or_default();
        match path {
            "/a" if order.contains('b') && !order.contains('c') => {
                patch(json!([{"op": "replace", "path": "/data/order", "value": format!("{order}c")}]))
            }
            "/a" if order.contains('a') => json!({"allowed": true}),
            "/a" => patch(json!([{"op": "add", "path": "/data/order", "value": format!("{order}a")}])),
            _ if order.contains('b') => json!({"allowed": true}),
            _ => patch(json!([{"op": "replace", "path": "/data/order", "value": format!("{order}b")}])),
        }
    });
    let mut first = hooks.hook(&namespace, "a", "/a");
    first["reinvocationPolicy"] = "IfNeeded".into();
    configure(
        ground,
        "Mutating",
        &namespace,
        vec![first, hooks.hook(&namespace, "b", "/b")],
    )?;
    ground
        .kubectl(
            &namespace,
            &["create", "-f", "-"],
            &config_map("m", json!({"order": ""}), json!({})),
        )
        .ok()?;
    ground
        .kubectl(
            &namespace,
            &["get", "configmap", "m", "-o", "jsonpath={.data.order}"],
            "",
        )
        .has("abc")?;
    ground
        .kubectl(
            &namespace,
            &["create", "-f", "-"],
            &config_map("n", json!({"order": "x"}), json!({"plain": "1"})),
        )
        .ok()?;
    let plain = ground
        .kubectl(
            &namespace,
            &["get", "configmap", "n", "-o", "jsonpath={.data.order}"],
            "",
        )
        .ok()?;
    if plain.trim() == "x" {
        Ok(())
    } else {
        Err(format!("what the selector leaves out was changed: {plain}"))
    }
}

fn validating(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let hooks = Hooks::start(ground, |_, request| {
        if request["operation"] == "DELETE" {
            let keep = request["oldObject"]["data"]["keep"] == "yes";
            return json!({"allowed": !keep, "status": {"message": "it is kept", "code": 403, "reason": "Forbidden"}});
        }
        let bad = request["object"]["data"]["bad"] == "yes";
        json!({"allowed": !bad, "warnings": ["mind the gap"], "status": {"message": "no bad maps", "code": 418}})
    });
    let mut hook = hooks.hook(&namespace, "v", "/");
    hook["matchConditions"] = json!([{"name": "not-skipped", "expression": "!(request.operation == 'CREATE' && object.metadata.name.startsWith('skip'))"}]);
    configure(ground, "Validating", &namespace, vec![hook])?;
    let name = format!("v.{namespace}.example.com");
    let bad = config_map("bad", json!({"bad": "yes"}), json!({}));
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &bad)
        .refused_with(&format!("admission webhook \"{name}\" denied the request: no bad maps"))?;
    ground
        .kubectl(
            &namespace,
            &["create", "-f", "-"],
            &config_map("skip", json!({"bad": "yes"}), json!({})),
        )
        .ok()?;
    let good = config_map("good", json!({"keep": "yes"}), json!({}));
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &good)
        .has("Warning: mind the gap")?;
    let denied = format!("Error from server (Forbidden): admission webhook \"{name}\" denied the request: it is kept");
    ground
        .kubectl(&namespace, &["delete", "configmap", "good"], "")
        .refused_with(&denied)?;
    ground.kubectl(&namespace, &["get", "configmap", "good"], "").ok()?;
    ground
        .kubectl(
            &namespace,
            &[
                "patch",
                "configmap",
                "good",
                "--type=merge",
                "-p",
                "{\"data\":{\"keep\":\"no\"}}",
            ],
            "",
        )
        .ok()?;
    let seen = hooks.seen.lock().unwrap().last().cloned().unwrap_or_default();
    let told = seen["operation"] == "UPDATE"
        && seen["userInfo"]["username"] == "kubernetes-admin"
        && seen["oldObject"]["data"]["keep"] == "yes"
        && seen["object"]["data"]["keep"] == "no"
        && seen["resource"]["resource"] == "configmaps"
        && seen["namespace"] == *namespace
        && seen["dryRun"] == false;
    if told {
        Ok(())
    } else {
        Err(format!("the webhook was told {seen}"))
    }
}

fn failing(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let hooks = Hooks::start(
        ground,
        |_, _| json!({"allowed": true, "warnings": ["asked through the service"]}),
    );
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hooks"}, "spec": {"ports": [{"port": 443, "targetPort": hooks.address.port()}]}});
    let map = |name: &str| config_map(name, json!({}), json!({}));
    let create = |name: &str| ground.kubectl(&namespace, &["create", "-f", "-"], &map(name));
    let mut hook = hooks.hook(&namespace, "f", "/");
    hook["clientConfig"] =
        json!({"service": {"name": "hooks", "namespace": namespace, "path": "/x"}, "caBundle": hooks.bundle});
    configure(ground, "Validating", &namespace, vec![hook.clone()])?;
    create("a").refused_with("failed to call webhook: service \"hooks\" not found")?;
    hook["failurePolicy"] = "Ignore".into();
    configure(ground, "Validating", &namespace, vec![hook.clone()])?;
    create("a").ok()?;
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &service.to_string())
        .ok()?;
    hook["failurePolicy"] = "Fail".into();
    configure(ground, "Validating", &namespace, vec![hook.clone()])?;
    create("b").refused_with("no endpoints available for service \"hooks\"")?;
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "hooks-1", "labels": {"kubernetes.io/service-name": "hooks"}},
        "addressType": "IPv4", "ports": [{"port": hooks.address.port()}], "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}]});
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &slice.to_string())
        .ok()?;
    // The certificate is for another name than the service's: that is a failure too, and says so.
    create("b").refused_with(&format!("failed calling webhook \"f.{namespace}.example.com\": failed to call webhook: Post \"https://hooks.{namespace}.svc:443/x?timeout=5s\": tls"))?;
    hook["clientConfig"] = json!({"url": format!("https://{}/", hooks.address), "caBundle": hooks.bundle});
    configure(ground, "Validating", &namespace, vec![hook])?;
    create("b").has("asked through the service")
}

fn dry_run(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let hooks = Hooks::start(ground, |_, _| json!({"allowed": true}));
    configure(ground, "Validating", &namespace, vec![hooks.hook(&namespace, "d", "/")])?;
    let map = config_map("a", json!({}), json!({}));
    ground
        .kubectl(&namespace, &["create", "--dry-run=server", "-f", "-"], &map)
        .ok()?;
    if hooks
        .seen
        .lock()
        .unwrap()
        .last()
        .is_none_or(|request| request["dryRun"] != true)
    {
        return Err("a webhook without side effects is asked about a dry run, and told that it is one".into());
    }
    ground
        .kubectl(&namespace, &["get", "configmap", "a"], "")
        .refused_with("not found")?;
    let mut hook = hooks.hook(&namespace, "d", "/");
    hook["sideEffects"] = "Some".into();
    let refused = configure(ground, "Validating", &namespace, vec![hook]).unwrap_err();
    if refused.contains("supported values: \"None\", \"NoneOnDryRun\"") {
        Ok(())
    } else {
        Err(refused)
    }
}

fn policies(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": namespace},
        "spec": {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}]},
            "matchConditions": [{"name": "ours", "expression": "!object.metadata.name.startsWith('free')"}],
            "variables": [{"name": "most", "expression": "int(params.data.most)"}, {"name": "keys", "expression": "has(object.data) ? object.data.size() : 0"},
                {"name": "over", "expression": "variables.keys > variables.most"}],
            "validations": [
                {"expression": "!variables.over", "messageExpression": "'at most ' + string(variables.most) + ' keys in ' + namespaceObject.metadata.name", "reason": "Forbidden"},
                {"expression": "!('owner' in object.metadata.?labels.orValue({})) || object.metadata.labels['owner'] == request.userInfo.username", "message": "owner must be you"},
                {"expression": "authorizer.group('').resource('secrets').namespace(request.namespace).check('delete').allowed()", "message": "you may not delete secrets"}]}});
    let binding = |actions: Value| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": namespace},
            "spec": {"policyName": namespace, "validationActions": actions, "paramRef": {"name": "limits", "namespace": namespace, "parameterNotFoundAction": "Deny"},
                "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}}})
        .to_string()
    };
    ground
        .kubectl(&namespace, &["apply", "-f", "-"], &policy.to_string())
        .ok()?;
    ground
        .kubectl(&namespace, &["apply", "-f", "-"], &binding(json!(["Deny"])))
        .ok()?;
    let secret = |name: &str, labels: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}, "stringData": {"a": "1", "b": "2"}}).to_string()
    };
    let create = |name: &str, labels: Value| ground.kubectl(&namespace, &["create", "-f", "-"], &secret(name, labels));
    create("s", json!({})).refused_with("no params found for policy binding with `Deny` parameterNotFoundAction")?;
    ground
        .kubectl(
            &namespace,
            &["create", "configmap", "limits", "--from-literal=most=1"],
            "",
        )
        .ok()?;
    let denied = format!(
        "secrets \"s\" is forbidden: ValidatingAdmissionPolicy '{namespace}' with binding '{namespace}' denied request: at most 1 keys in {namespace}"
    );
    create("s", json!({})).refused_with(&denied)?;
    create("free-1", json!({})).ok()?;
    ground
        .kubectl(&namespace, &["apply", "-f", "-"], &binding(json!(["Warn"])))
        .ok()?;
    create("s", json!({})).has(&format!("Warning: Validation failed for ValidatingAdmissionPolicy '{namespace}' with binding '{namespace}': at most 1 keys"))?;
    ground
        .kubectl(&namespace, &["apply", "-f", "-"], &binding(json!(["Deny"])))
        .ok()?;
    ground
        .kubectl(
            &namespace,
            &[
                "patch",
                "configmap",
                "limits",
                "--type=merge",
                "-p",
                "{\"data\":{\"most\":\"5\"}}",
            ],
            "",
        )
        .ok()?;
    create("t", json!({"owner": "somebody"})).refused_with("owner must be you")?;
    create("t", json!({"owner": "kubernetes-admin"})).ok().map(drop)
}

fn wrong_policies(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let policy = |expression: &str| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": format!("{namespace}-x")},
            "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["events"]}]},
                "validations": [{"expression": expression}]}})
        .to_string()
    };
    let create = |expression: &str| ground.kubectl(&namespace, &["create", "-f", "-"], &policy(expression));
    create("object.metadata.name ==").refused_with("spec.validations[0].expression")?;
    create("params.x == 1").refused_with("undeclared reference to 'params'")?;
    create("'text'").refused_with("must evaluate to bool")?;
    let mutating = json!({"apiVersion": "admissionregistration.k8s.io/v1beta1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": "m"}, "spec": {}});
    ground
        .kubectl(
            &namespace,
            &["create", "--validate=ignore", "-f", "-"],
            &mutating.to_string(),
        )
        .refused_with("mutatingadmissionpolicies.admissionregistration.k8s.io")
}
