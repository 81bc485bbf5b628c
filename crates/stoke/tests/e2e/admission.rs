//! Admission as people meet it: kubectl applies to a cluster whose API server calls `stoke operator run` over TLS.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use libtest_mimic::{Failed, Trial};

use crate::common::{Context, eventually, expect_code, expect_parts, program, stoke, text};
use crate::up::Up;

pub fn trials(context: &Context) -> Vec<Trial> {
    let kubectl = || program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    vec![
        context.trial(
            "admission: kubectl is told what is defaulted, doubtful and refused",
            &[kubectl()],
            verdicts,
        ),
        context.trial(
            "admission: certificates change twice under load and an operator goes, and no request fails",
            &[kubectl()],
            rotation,
        ),
        context.trial(
            "admission: without the webhook everything works and the status tells",
            &[kubectl()],
            absent,
        ),
    ]
}

/// An operator that only reviews; the cluster's own does the work.
pub struct Hook {
    child: Child,
    port: u16,
    metrics: u16,
}

impl Hook {
    pub fn start(up: &Up, options: &[&str]) -> Result<Self, Failed> {
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| Ok(socket.local_addr()?.port()));
        let (port, metrics, probes) = (free()?, free()?, free()?);
        let mut command = stoke(up.home.path(), ["operator", "run", "--namespaces", "review-only"]);
        command.args([
            "--leader-election=false",
            "--enable-webhook",
            "--webhook-namespace",
            "default",
        ]);
        command.arg("--kubeconfig").arg(up.kubeconfig());
        command.args([
            format!("--webhook-port={port}"),
            format!("--metrics-bind-address=127.0.0.1:{metrics}"),
            format!("--health-probe-bind-address=127.0.0.1:{probes}"),
        ]);
        command.args(options).stdout(Stdio::null()).stderr(Stdio::null());
        let hook = Hook {
            child: command.spawn()?,
            port,
            metrics,
        };
        eventually("the webhook is ready", Duration::from_secs(30), || {
            get(probes, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        })?;
        Ok(hook)
    }

    /// One endpoint of the service, as a pod would be.
    pub fn endpoint(&self, up: &Up, name: &str) -> Result<(), Failed> {
        let slice = format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, labels: {{kubernetes.io/service-name: spark-operator-webhook-svc}}}}\n\
             addressType: IPv4\nendpoints: [{{addresses: [127.0.0.1]}}]\nports: [{{name: webhook, port: {}}}]\n",
            self.port
        );
        expect_code(&apply(up, &[], &slice)?, 0)
    }

    pub fn metrics(&self) -> String {
        get(self.metrics, "/metrics").unwrap_or_default()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// `kubectl apply` of a text.
pub fn apply(up: &Up, options: &[&str], manifest: &str) -> Result<Output, Failed> {
    let file = up.home.path().join("manifest.yaml");
    std::fs::write(&file, manifest)?;
    let mut command = up.kubectl(&["apply", "-f"]);
    Ok(command.arg(file).args(options).output()?)
}

/// What `stoke operator manifests` has of the webhook, applied as its documentation says.
pub fn configure(up: &Up, policy: &str) -> Result<(), Failed> {
    let manifests = ["operator", "manifests", "--no-crds", "--namespace", "default"];
    let manifests = up
        .stoke(&manifests)
        .args(["--webhook-failure-policy", policy])
        .output()?;
    expect_code(&manifests, 0)?;
    let selected = ["-l", "app.kubernetes.io/component=webhook"];
    let applied = apply(up, &selected, &String::from_utf8_lossy(&manifests.stdout))?;
    expect_code(&applied, 0)?;
    expect_parts(
        &text(&applied),
        &[
            "mutatingwebhookconfiguration",
            "validatingwebhookconfiguration",
            "spark-operator-webhook-svc",
        ],
    )
}

/// An application that is never run.
pub fn application(name: &str, more: &str) -> String {
    format!(
        "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: {name}}}\nspec:\n  suspend: true\n  type: Python\n  \
         sparkVersion: 4.1.4\n  image: apache/spark:4.1.4\n  mainApplicationFile: local:///opt/spark/examples/src/main/python/pi.py\n  \
         driver: {{}}\n  executor: {{instances: 2}}\n{more}"
    )
}

fn verdicts(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    configure(&up, "Fail")?;
    let hook = Hook::start(&up, &[])?;
    hook.endpoint(&up, "one")?;
    // Good: not a word, and the published defaults are in it; applied again, nothing changes.
    let good = apply(&up, &[], &application("good", ""))?;
    expect_code(&good, 0)?;
    if text(&good).contains("Warning") {
        return Err(text(&good).into());
    }
    let fields = "{.spec.mode} {.spec.restartPolicy.type} {.spec.driver.memory} {.spec.executor.cores} {.spec.executor.instances}";
    let stored = up
        .kubectl(&["get", "sparkapplication", "good", "-o", &format!("jsonpath={fields}")])
        .output()?;
    expect_parts(&text(&stored), &["cluster Never 1g 1 2"])?;
    expect_parts(&text(&apply(&up, &[], &application("good", ""))?), &["unchanged"])?;
    expect_code(
        &apply(&up, &["--server-side", "--force-conflicts"], &application("good", ""))?,
        0,
    )?;
    // Doubtful: stored, with a warning.
    let doubtful = apply(
        &up,
        &[],
        &application("doubtful", "  restartPolicy: {type: OnFailure}\n"),
    )?;
    expect_code(&doubtful, 0)?;
    let warning = "Warning: spec.restartPolicy.type: `OnFailure` without a number of retries retries nothing; add for example `onFailureRetries: 3` [no-retries]";
    expect_parts(&text(&doubtful), &[warning, "doubtful created"])?;
    // Refused: the file, the webhook, the key, the cause, the fix and the code; nothing is stored.
    let wrong = application(
        "wrong",
        "  sparkConf: {spark.kubernetes.container.image: x, spark.executor.memry: 1g}\n",
    );
    for options in [&[][..], &["--dry-run=server"], &["--server-side"]] {
        let refused = apply(&up, options, &wrong)?;
        expect_code(&refused, 1)?;
        expect_parts(
            &text(&refused),
            &[
                "admission webhook \"check.sparkoperator.k8s.io\" denied the request: 2 errors\n- spec.sparkConf[\"",
                "sparkConf key \"spark.kubernetes.container.image\" is not allowed: set `image`; remove the key [conf-refused]",
                "- spec.sparkConf[\"spark.executor.memry\"]: ",
                "write spark.executor.memory [conf-unknown-key]",
            ],
        )?;
    }
    expect_parts(&text(&apply(&up, &[], &wrong)?), &["manifest.yaml"])?;
    expect_code(&up.kubectl(&["get", "sparkapplication", "wrong"]).output()?, 1)?;
    // The other kinds.
    let schedule = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: ScheduledSparkApplication\nmetadata: {name: s}\nspec: {suspend: true, schedule: '61 * * * *', \
                    template: {type: Python, sparkVersion: 4.1.4, image: 'apache/spark:4.1.4', mainApplicationFile: 'local:///a.py', driver: {}, executor: {}}}\n";
    expect_parts(
        &text(&apply(&up, &[], schedule)?),
        &["denied the request: spec.schedule: "],
    )?;
    expect_parts(
        &text(&apply(&up, &[], &schedule.replace("61 *", "59 *"))?),
        &["created"],
    )?;
    let zone = [
        "get",
        "scheduledsparkapplication",
        "s",
        "-o",
        "jsonpath={.spec.timeZone} {.spec.template.mode}",
    ];
    expect_parts(&text(&up.kubectl(&zone).output()?), &["Local cluster"])?;
    let connect = "apiVersion: sparkoperator.k8s.io/v1alpha1\nkind: SparkConnect\nmetadata: {name: lab}\nspec: {sparkVersion: 4.1.4, image: 'apache/spark:4.1.4', \
                   sparkConf: {spark.master: local}, server: {}, executor: {}}\n";
    expect_parts(
        &text(&apply(&up, &[], connect)?),
        &["sparkConf key \"spark.master\" is not allowed"],
    )?;
    // Sizes that can never run here.
    let bounds = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: team}\nspec: {hard: {requests.memory: 2Gi}}\n---\n\
                  apiVersion: v1\nkind: LimitRange\nmetadata: {name: small}\nspec: {limits: [{type: Container, max: {cpu: '4'}}]}\n";
    expect_code(&apply(&up, &[], bounds)?, 0)?;
    std::thread::sleep(Duration::from_secs(3));
    let large = application("large", "").replace("driver: {}", "driver: {cores: 5}");
    expect_parts(
        &text(&apply(&up, &[], &large)?),
        &[
            "- spec.driver.cores: the driver's container spark-kubernetes-driver has requests.cpu 5; LimitRange `small` allows at most 4; ",
            "- spec.executor.memory: the driver and one executor have requests.memory ",
            "ResourceQuota `team` allows 2Gi in all, so no executor could ever start; ask for less, or have quota `team` raised [above-quota]",
        ],
    )?;
    // Another namespace is not ours to review.
    expect_code(&up.kubectl(&["create", "namespace", "elsewhere"]).output()?, 0)?;
    expect_code(&apply(&up, &["-n", "elsewhere"], &wrong)?, 0)?;
    let metrics = hook.metrics();
    expect_parts(
        &metrics,
        &[
            "stoke_admission_reviews_total{kind=\"SparkApplication\",result=\"refused\"} 5",
            "stoke_admission_refusals_total{code=\"conf-refused\"} 4",
            "stoke_admission_reviews_total{kind=\"SparkApplication\",result=\"warned\"} 1",
            "stoke_webhook_certificate_steps_total{step=\"create\"} 1",
        ],
    )?;
    // One that serves what another put into the Secret takes over.
    let terms = ["--webhook-make-certificates=false", "--webhook-certificate-settle=2s"];
    let other = Hook::start(&up, &terms)?;
    other.endpoint(&up, "two")?;
    drop(hook);
    expect_parts(&text(&apply(&up, &[], &wrong)?), &["denied the request: 2 errors"])?;
    // As cert-manager does it: a Secret without a mark of ours, filled again when the certificate is renewed.
    let secret = ["delete", "secret", "spark-operator-webhook-certs"];
    expect_code(&up.kubectl(&secret).output()?, 0)?;
    let authority = Authority::new()?;
    for _ in 0..2 {
        let certificate = authority.secret()?;
        expect_code(&apply(&up, &[], &certificate)?, 0)?;
        eventually("the certificate of another is trusted", Duration::from_secs(20), || {
            trusted(&up).is_ok_and(|bundle| bundle == BASE64.encode(&authority.certificate))
        })?;
        expect_parts(&text(&apply(&up, &[], &wrong)?), &["denied the request: 2 errors"])?;
        let read = [
            "get",
            "secret",
            "spark-operator-webhook-certs",
            "-o",
            "jsonpath={.data.tls\\.crt}",
        ];
        if !certificate.contains(&text(&up.kubectl(&read).output()?)) {
            return Err("the operator wrote into the Secret of another".into());
        }
    }
    drop(other);
    up.down()
}

/// An authority like one of cert-manager.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: String,
}

impl Authority {
    fn new() -> Result<Self, Failed> {
        let mut parameters = rcgen::CertificateParams::default();
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, "another authority");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?.pem();
        Ok(Authority {
            issuer: rcgen::Issuer::new(parameters, key),
            certificate,
        })
    }

    /// The Secret with a new certificate of the webhook's service.
    fn secret(&self) -> Result<String, Failed> {
        let parameters = rcgen::CertificateParams::new(["spark-operator-webhook-svc.default.svc".to_owned()])?;
        let key = rcgen::KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?.pem();
        let [authority, certificate, key] =
            [&self.certificate, &certificate, &key.serialize_pem()].map(|pem| BASE64.encode(pem));
        Ok(format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: spark-operator-webhook-certs, annotations: {{cert-manager.io/issuer-name: another}}}}\n\
             type: kubernetes.io/tls\ndata: {{ca.crt: {authority}, tls.crt: {certificate}, tls.key: {key}}}\n"
        ))
    }
}

/// What API servers trust of the checking webhook.
fn trusted(up: &Up) -> Result<String, Failed> {
    let path = "jsonpath={.webhooks[0].clientConfig.caBundle}";
    let configuration = [
        "get",
        "validatingwebhookconfiguration",
        "spark-operator-webhook",
        "-o",
        path,
    ];
    Ok(text(&up.kubectl(&configuration).output()?))
}

/// With `Fail` every request needs an answer of the webhook that the API server trusts.
fn rotation(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    configure(&up, "Fail")?;
    let terms = [
        "--webhook-certificate-lifetime=24s",
        "--webhook-certificate-renew-before=16s",
        "--webhook-certificate-settle=2s",
    ];
    let first = Hook::start(&up, &terms)?;
    let second = Hook::start(&up, &terms)?;
    first.endpoint(&up, "one")?;
    second.endpoint(&up, "two")?;
    let forgets = |hook: &Hook| -> u32 {
        let line = "stoke_webhook_certificate_steps_total{step=\"forget\"} ";
        let metrics = hook.metrics();
        metrics
            .lines()
            .find_map(|found| found.strip_prefix(line)?.parse().ok())
            .unwrap_or(0)
    };
    let bundle = || trusted(&up).unwrap_or_default();
    let before = bundle();
    let mut first = Some(first);
    let (begun, mut answered) = (Instant::now(), 0_u32);
    // What the first one counted goes with it.
    let (mut forgotten, mut gone) = (0, 0);
    while forgotten < 2 {
        if begun.elapsed() > Duration::from_secs(120) {
            return Err(format!("two rotations are not over after {answered} requests").into());
        }
        // The warning tells that the webhook was asked.
        let doubtful = application("doubtful", "  restartPolicy: {type: OnFailure}\n");
        let output = apply(&up, &["--dry-run=server"], &doubtful)?;
        expect_code(&output, 0)?;
        expect_parts(&text(&output), &["[no-retries]"])?;
        answered += 1;
        forgotten = gone + first.as_ref().map_or(0, forgets) + forgets(&second);
        if forgotten > 0
            && let Some(first) = first.take()
        {
            gone = forgets(&first);
        }
    }
    if before == bundle() || answered < 10 {
        return Err(format!("{answered} requests, and the authorities are the same").into());
    }
    drop(second);
    up.down()
}

fn absent(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    configure(&up, "Ignore")?;
    // No one answers: what would be refused is stored, and the operator says the same in the status.
    let wrong = application("wrong", "  sparkConf: {spark.kubernetes.container.image: x}\n")
        .replace("suspend: true", "suspend: false");
    expect_code(&apply(&up, &[], &wrong)?, 0)?;
    let status = "jsonpath={.status.applicationState.state} {.status.applicationState.errorMessage}";
    eventually("the status tells", Duration::from_secs(30), || {
        let read = up.kubectl(&["get", "sparkapplication", "wrong", "-o", status]).output();
        read.is_ok_and(|output| text(&output).starts_with("FAILED ") && text(&output).contains("is not allowed"))
    })?;
    // With `Fail` it is the API server that refuses.
    configure(&up, "Fail")?;
    let failed = apply(&up, &[], &application("good", ""))?;
    expect_code(&failed, 1)?;
    expect_parts(&text(&failed), &["failed calling webhook"])?;
    // Uninstalled, the API server asks no one any more.
    let uninstall = ["operator", "uninstall", "--namespace", "default"];
    expect_code(&up.stoke(&uninstall).env("KUBECONFIG", up.kubeconfig()).output()?, 0)?;
    expect_code(&apply(&up, &[], &application("good", ""))?, 0)?;
    up.down()
}
