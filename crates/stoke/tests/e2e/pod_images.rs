//! Images as roots of pods: built here, from a registry with a password, refused as by a kubelet; a Spark application from an image of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::common::{Context, Need, eventually, expect_code, expect_parts, full, program, repository, stoke, text};
use crate::examples::nothing_left;
use crate::up::Up;

const WITHIN: Duration = Duration::from_secs(60);

pub fn trials(context: &Context) -> Vec<Trial> {
    let busybox = || program("busybox", "apt-get install busybox-static");
    let kubectl = || program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    let registry = || program("docker-registry", "apt-get install docker-registry");
    let pods: [Need; 2] = [busybox(), kubectl()];
    vec![
        context.trial("pod image: its files, rights, user and digest", &pods, from_store),
        context.trial(
            "pod image: a registry with a password, and what it does not have",
            &[busybox(), kubectl(), registry()],
            from_registry,
        ),
        context.trial(
            "pod image: what a policy does not let in makes no pod",
            &[busybox(), kubectl(), registry()],
            admitted,
        ),
        context.trial(
            "pod image: a Spark application from its own image",
            &[full(), context.spark("4.1.4")],
            application,
        ),
    ]
}

fn busybox() -> Result<PathBuf, Failed> {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|directory| directory.join("busybox"))
        .find(|path| path.is_file());
    found.ok_or_else(|| "no busybox".into())
}

/// Writes a base with busybox; more arguments are its architecture and user.
pub fn base(directory: &Path, name: &str, more: &[&str]) -> Result<String, Failed> {
    let path = directory.join(name);
    let script = repository().join("crates/stoke/tests/e2e/pod_base.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(&path)
        .arg(busybox()?)
        .args(more)
        .output()?;
    expect_code(&output, 0)?;
    Ok(format!("archive:{}", path.display()))
}

/// Builds a job on a base, as `stoke image build` says where to.
pub fn build(home: &Path, base: &str, more: &[&str]) -> Result<String, Failed> {
    let job = tempfile::tempdir()?;
    std::fs::write(job.path().join("main.py"), "print(1)\n")?;
    let output = stoke(home, ["image", "build", ".", "--base", base, "-o", "json"])
        .args(more)
        .current_dir(job.path())
        .output()?;
    expect_code(&output, 0)?;
    let built: Value = serde_json::from_slice(&output.stdout)?;
    Ok(built["digest"].as_str().unwrap_or_default().to_owned())
}

/// Applies a pod of one container.
pub fn pod(up: &Up, name: &str, image: &str, container: Value, spec: Value) -> Result<(), Failed> {
    let mut of = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]});
    merge(&mut of["containers"][0], container);
    merge(&mut of, spec);
    let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": of});
    apply(up, &object)
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn apply(up: &Up, object: &Value) -> Result<(), Failed> {
    let file = up.home().join("object.json");
    std::fs::write(&file, object.to_string())?;
    expect_code(&up.kubectl(&["apply", "-f", &file.to_string_lossy()]).output()?, 0)
}

fn get(up: &Up, pod: &str, path: &str) -> Result<String, Failed> {
    let output = up
        .kubectl(&["get", "pod", pod, "-o", &format!("jsonpath={{{path}}}")])
        .output()?;
    expect_code(&output, 0)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a pod printed until its end.
pub fn printed(up: &Up, pod: &str) -> Result<String, Failed> {
    eventually(&format!("{pod} ends"), WITHIN, || {
        get(up, pod, ".status.phase").is_ok_and(|phase| phase == "Succeeded" || phase == "Failed")
    })?;
    Ok(text(&up.kubectl(&["logs", pod]).output()?))
}

/// Waits for a reason that a pod waits for; gives its message.
fn waits(up: &Up, pod: &str, reason: &str) -> Result<String, Failed> {
    let at = ".status.containerStatuses[0].state.waiting";
    eventually(&format!("{pod}: {reason}"), WITHIN, || {
        get(up, pod, &format!("{at}.reason")).is_ok_and(|found| found == reason)
    })?;
    get(up, pod, &format!("{at}.message"))
}

fn events(up: &Up, pod: &str) -> Result<String, Failed> {
    let about = format!("involvedObject.name={pod}");
    let shape = r#"jsonpath={range .items[*]}{.type} {.reason} {.message}{"\n"}{end}"#;
    Ok(text(
        &up.kubectl(&["get", "events", "--field-selector", &about, "-o", shape])
            .output()?,
    ))
}

fn from_store(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let base = base(up.home(), "base.tar", &[])?;
    let digest = build(up.home(), &base, &["--tag", "tool:v1"])?;

    // As it is: its entrypoint and arguments, environment, user by name, directory.
    pod(&up, "plain", "tool:v1", json!({}), json!({}))?;
    assert_eq!(printed(&up, "plain")?, "1234\n1234\n/home/app\nhello /home/app\n");
    assert_eq!(
        get(&up, "plain", ".status.containerStatuses[0].imageID")?,
        format!("tool@{digest}")
    );
    expect_parts(
        &events(&up, "plain")?,
        &["Normal Pulled Container image \"tool:v1\" already present on machine"],
    )?;

    // By digest, whatever its name; rights and owners of the image; a root that can be written, for this container alone.
    let script = "cat /etc/secret; ls /old; rm /new; touch /x; echo mine > /home/app/f; cat /home/app/f /opt/app/main.py; echo no > /opt/app/y; \
                  ls /var/run/secrets/kubernetes.io; ls /usr /lib";
    let by_digest = format!("registry.invalid/any@{digest}");
    for name in ["first", "second"] {
        pod(&up, name, &by_digest, json!({"args": [script]}), json!({}))?;
        expect_parts(
            &printed(&up, name)?,
            &[
                "can't open '/etc/secret': Permission denied",
                "ls: /old: No such file",
                "can't remove '/new': Permission denied",
                "touch: /x: Permission denied",
                "mine\nprint(1)\n",
                "can't create /opt/app/y: Permission denied",
                "serviceaccount",
                "ls: /usr: No such file",
            ],
        )?;
    }
    pod(
        &up,
        "root",
        "tool:v1",
        json!({"args": ["cat /etc/secret; id -u; echo $HOME"], "securityContext": {"runAsUser": 0}}),
        json!({}),
    )?;
    assert_eq!(printed(&up, "root")?, "of root\n0\n/root\n");
    pod(
        &up,
        "other",
        "tool:v1",
        json!({"command": ["sh", "-c", "id -u; id -g; pwd; touch /x"], "workingDir": "/tmp", "env": [{"name": "HOME", "value": "/h"}],
               "securityContext": {"runAsUser": 77, "readOnlyRootFilesystem": true}}),
        json!({}),
    )?;
    assert_eq!(
        printed(&up, "other")?,
        "77\n78\n/tmp\ntouch: /x: Read-only file system\n"
    );

    // What a kubelet says of these.
    base_of_another(&up)?;
    pod(
        &up,
        "named",
        "tool:v1",
        json!({}),
        json!({"securityContext": {"runAsNonRoot": true}}),
    )?;
    let message = waits(&up, "named", "CreateContainerConfigError")?;
    expect_parts(&message, &["runAsNonRoot"])?;
    pod(&up, "bad-name", "Tool:v1", json!({}), json!({}))?;
    expect_parts(
        &waits(&up, "bad-name", "InvalidImageName")?,
        &["couldn't parse image name \"Tool:v1\""],
    )?;
    expect_parts(
        &events(&up, "bad-name")?,
        &["Warning InspectFailed", "Warning Failed Error: InvalidImageName"],
    )?;

    // Everything that is kept is listed, and goes when no one uses it.
    pod(&up, "stays", "tool:v1", json!({"args": ["sleep 1000"]}), json!({}))?;
    expect_code(
        &up.kubectl(&["wait", "pod/stays", "--for=condition=Ready", "--timeout=60s"])
            .output()?,
        0,
    )?;
    let list = || -> Result<Value, Failed> {
        let output = up.stoke(&["image", "list", "-o", "json"]).output()?;
        expect_code(&output, 0)?;
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let found = list()?;
    assert_eq!(found[0]["name"], "local:tool:v1", "{found}");
    let rights: Vec<&str> = found[0]["unpacked"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tree| tree["rights"].as_str())
        .collect();
    assert_eq!(rights.len(), 3, "one tree for each user: {found}");
    expect_code(&up.stoke(&["image", "prune", "--all"]).output()?, 0)?;
    let found = list()?;
    assert_eq!(
        found[0]["unpacked"].as_array().map(Vec::len),
        Some(1),
        "what is in use stays: {found}"
    );
    assert_eq!(found[0]["unpacked"][0]["inUse"], true, "{found}");
    expect_code(
        &up.kubectl(&["delete", "pod", "stays", "--grace-period=0", "--force"])
            .output()?,
        0,
    )?;
    eventually("nothing is unpacked", WITHIN, || {
        let pruned = up.stoke(&["image", "prune", "--all"]).output();
        pruned.is_ok() && list().is_ok_and(|found| found[0]["unpacked"].as_array().is_some_and(Vec::is_empty))
    })?;
    expect_code(&up.stoke(&["image", "remove", "local:tool:v1"]).output()?, 0)?;
    let output = up.stoke(&["image", "remove", "local:tool:v1"]).output()?;
    expect_code(&output, 3)?;
    expect_parts(&text(&output), &["stoke::oci::not-found", "stoke image list"])?;
    up.down()
}

/// An image for another machine.
fn base_of_another(up: &Up) -> Result<(), Failed> {
    let foreign = base(up.home(), "foreign.tar", &["s390x"])?;
    pod(up, "foreign", &foreign, json!({}), json!({}))?;
    let message = waits(up, "foreign", "ErrImagePull").or_else(|_| waits(up, "foreign", "ImagePullBackOff"))?;
    expect_parts(&message, &["no match for platform in manifest", "linux/s390x"])?;
    expect_parts(&events(up, "foreign")?, &["Warning Failed Error: ErrImagePull"])
}

/// Debian's registry, with the password `very-secret` of `me`; ended with the test.
pub struct Registry {
    child: Child,
    pub address: String,
    pub directory: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    pub fn start(with_password: bool) -> Result<Registry, Failed> {
        let directory = tempfile::tempdir()?;
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let file = |name: &str| directory.path().join(name);
        std::fs::write(
            file("htpasswd"),
            "me:$2b$12$Fnx9omjLMTUOkOjHbrErheUbuwUugtSBxgNSxy3x7qcDehLAtVBe2\n",
        )?;
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            file("data").display()
        );
        if with_password {
            config += &format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                file("htpasswd").display()
            );
        }
        std::fs::write(file("config.yml"), config)?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(file("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let registry = Registry {
            child,
            address,
            directory,
        };
        eventually("the registry answers", WITHIN, || {
            std::net::TcpStream::connect(&registry.address).is_ok()
        })?;
        Ok(registry)
    }
}

fn from_registry(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let registry = Registry::start(true)?;
    let auths = |user: &str| json!({"auths": {&registry.address: {"username": user, "password": "very-secret"}}});
    let docker = up.home().join("docker");
    std::fs::create_dir_all(&docker)?;
    std::fs::write(docker.join("config.json"), auths("me").to_string())?;
    // Whoever builds has the password; the cluster has not.
    let base = base(up.home(), "base.tar", &[])?;
    let image = format!("{}/team/tool:v1", registry.address);
    let digest = build(up.home(), &base, &["--tag", "tool:v1"])?;
    let push = |source: &str, target: &str| {
        let mut command = up.stoke(&["image", "push", source, target]);
        command.env("DOCKER_CONFIG", &docker).output()
    };
    expect_code(&push("local:tool:v1", &image)?, 0)?;
    expect_code(&up.stoke(&["image", "remove", "local:tool:v1"]).output()?, 0)?;
    let secret = |name: &str, user: &str| {
        let text = auths(user).to_string();
        apply(
            &up,
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson",
                    "stringData": {".dockerconfigjson": text}}),
        )
    };
    secret("wrong", "you")?;
    pod(&up, "none", &image, json!({}), json!({}))?;
    pod(
        &up,
        "wrong",
        &image,
        json!({}),
        json!({"imagePullSecrets": [{"name": "wrong"}]}),
    )?;
    pod(
        &up,
        "late",
        &image,
        json!({}),
        json!({"imagePullSecrets": [{"name": "late"}]}),
    )?;
    pod(&up, "never", &image, json!({"imagePullPolicy": "Never"}), json!({}))?;
    for name in ["none", "wrong", "late"] {
        let message = waits(&up, name, "ImagePullBackOff")?;
        expect_parts(
            &message,
            &[&format!("Back-off pulling image \"{image}\": ErrImagePull"), "401"],
        )
        .or_else(|_| expect_parts(&message, &["credentials"]))?;
        if message.contains("very-secret") {
            return Err("a secret is told".into());
        }
        expect_parts(
            &events(&up, name)?,
            &[
                &format!("Normal Pulling Pulling image \"{image}\""),
                &format!("Warning Failed Failed to pull image \"{image}\": failed to pull and unpack image"),
                "Warning Failed Error: ErrImagePull",
                &format!("Normal BackOff Back-off pulling image \"{image}\""),
                "Warning Failed Error: ImagePullBackOff",
            ],
        )?;
    }
    expect_parts(
        &events(&up, "late")?,
        &["FailedToRetrieveImagePullSecret Unable to retrieve some image pull secrets (late)"],
    )?;
    expect_parts(
        &waits(&up, "never", "ErrImageNeverPull")?,
        &["is not present with pull policy of Never"],
    )?;
    // The Secret comes, and the pod starts at its next try.
    secret("late", "me")?;
    assert_eq!(printed(&up, "late")?, "1234\n1234\n/home/app\nhello /home/app\n");
    let id = format!("{}/team/tool@{digest}", registry.address);
    assert_eq!(get(&up, "late", ".status.containerStatuses[0].imageID")?, id);
    expect_parts(
        &events(&up, "late")?,
        &[&format!("Normal Pulled Successfully pulled image \"{image}\" in ")],
    )?;
    // Now it is here: asked for only where the policy says so.
    assert_eq!(printed(&up, "never")?, "1234\n1234\n/home/app\nhello /home/app\n");
    pod(&up, "present", &image, json!({}), json!({}))?;
    printed(&up, "present")?;
    expect_parts(&events(&up, "present")?, &["already present on machine"])?;
    pod(
        &up,
        "always",
        &image,
        json!({"imagePullPolicy": "Always"}),
        json!({"imagePullSecrets": [{"name": "late"}]}),
    )?;
    printed(&up, "always")?;
    expect_parts(
        &events(&up, "always")?,
        &["Normal Pulling", "Successfully pulled image"],
    )?;

    // Not there, and another content than its digest says.
    let with_secret = || json!({"imagePullSecrets": [{"name": "late"}]});
    pod(
        &up,
        "missing",
        &format!("{}/team/tool:v9", registry.address),
        json!({}),
        with_secret(),
    )?;
    let message = waits(&up, "missing", "ImagePullBackOff")?;
    expect_parts(&message, &["v9", "images.yaml"])?;
    let other = build(up.home(), &base, &["--tag", "tool:v2", "--compression", "none"])?;
    expect_code(
        &push("local:tool:v2", &format!("{}/team/tool:v2", registry.address))?,
        0,
    )?;
    expect_code(&up.stoke(&["image", "remove", "local:tool:v2"]).output()?, 0)?;
    spoil(&registry.directory.path().join("data"), &other)?;
    pod(
        &up,
        "spoilt",
        &format!("{}/team/tool@{other}", registry.address),
        json!({}),
        with_secret(),
    )?;
    let message = waits(&up, "spoilt", "ImagePullBackOff")?;
    expect_parts(&message, &[&other[7..19]])?;
    up.down()
}

/// Changes a blob of a registry on its disk.
fn spoil(data: &Path, digest: &str) -> Result<(), Failed> {
    let hex = digest.trim_start_matches("sha256:");
    let file = data.join(format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]));
    let mut bytes = std::fs::read(&file)?;
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    Ok(std::fs::write(file, bytes)?)
}

/// Applies an application with an image of no Spark: its driver pod is what is looked at.
fn submit(up: &Up, name: &str, image: &str) -> Result<(), Failed> {
    let pods = json!({"memory": "512m", "coreRequest": "100m"});
    apply(
        up,
        &json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": name},
            "spec": {"type": "Python", "mode": "cluster", "image": image, "sparkVersion": "4.1.4", "mainApplicationFile": "local:///opt/app/main.py",
                "driver": pods, "executor": {"instances": 1, "memory": "512m"}}}),
    )
}

/// The status of an application, once it has the words in its message.
fn says(up: &Up, name: &str, state: &str, words: &str) -> Result<String, Failed> {
    let status = || -> Option<Value> {
        let output = up
            .kubectl(&["get", "sparkapplication", name, "-o", "json"])
            .output()
            .ok()?;
        let object: Value = serde_json::from_slice(&output.stdout).ok()?;
        Some(object["status"]["applicationState"].clone())
    };
    let message = |status: &Value| status["errorMessage"].as_str().unwrap_or_default().to_owned();
    eventually(&format!("{name}: {state}, {words}"), WITHIN, || {
        status()
            .is_some_and(|status| message(&status).contains(words) && (state.is_empty() || status["state"] == state))
    })
    .map_err(|error| format!("{error:?}: {:?}", status()))?;
    Ok(status().as_ref().map(message).unwrap_or_default())
}

fn driver_is_there(up: &Up, name: &str) -> bool {
    let output = up.kubectl(&["get", "pod", &format!("{name}-driver")]).output();
    output.is_ok_and(|output| output.status.success())
}

fn admitted(context: &Context) -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let work = |arguments: &[&str]| -> Result<(), Failed> {
        let mut command = stoke(home.path(), arguments);
        let output = command.current_dir(home.path()).env("COSIGN_PASSWORD", "").output()?;
        expect_code(&output, 0)
    };
    let mut registry = Registry::start(false)?;
    let name = |what: &str| format!("{}/team/{what}:v1", registry.address);
    let (signed, unsigned, stranger) = (name("signed"), name("unsigned"), name("stranger"));
    let base = base(home.path(), "base.tar", &[])?;
    let mut digests = Vec::new();
    for (number, image) in [&signed, &unsigned, &stranger].into_iter().enumerate() {
        // Each has content of its own, so that evidence for one is none for another.
        let epoch = format!("{}", 1_000_000 * (number + 1));
        let job = tempfile::tempdir()?;
        std::fs::write(job.path().join("main.py"), format!("print({number})\n"))?;
        let output = stoke(
            home.path(),
            ["image", "build", ".", "--base", &base, "--push", image, "-o", "json"],
        )
        .current_dir(job.path())
        .env("SOURCE_DATE_EPOCH", epoch)
        .output()?;
        expect_code(&output, 0)?;
        let built: Value = serde_json::from_slice(&output.stdout)?;
        digests.push(built["digest"].as_str().unwrap_or_default().to_owned());
    }
    work(&["keygen", "ci"])?;
    work(&["keygen", "other"])?;
    work(&["sign", &signed, "--key", "ci.key"])?;
    work(&["sign", &stranger, "--key", "other.key"])?;
    let policy = home.path().join("policy.yaml");
    std::fs::write(
        &policy,
        format!(
            "authorities: {{ci: {{keyFile: ci.pub}}}}\nrules:\n- {{images: ['{}/team/**'], require: [{{by: [ci]}}]}}\n",
            registry.address
        ),
    )?;
    let policy = policy.display().to_string();
    let up = Up::start_with(context, &["--image-policy", &policy])?;

    submit(&up, "signed", &signed)?;
    let pinned = format!("{signed}@{}", digests[0]);
    eventually("the driver of a signed image", WITHIN, || {
        driver_is_there(&up, "signed")
    })?;
    assert_eq!(get(&up, "signed-driver", ".spec.containers[0].image")?, pinned);
    let properties = up
        .kubectl(&[
            "get",
            "configmaps",
            "-l",
            "sparkoperator.k8s.io/app-name=signed",
            "-o",
            "yaml",
        ])
        .output()?;
    if text(&properties).contains(&format!("{signed}\n")) {
        return Err("executors would have the tag".into());
    }
    eventually("it ran from that digest", WITHIN, || {
        let id = get(&up, "signed-driver", ".status.containerStatuses[0].imageID");
        id.is_ok_and(|id| id.ends_with(&digests[0]))
    })?;

    for (name, image, why) in [
        ("unsigned", unsigned.as_str(), "it has no signature by ci"),
        ("stranger", stranger.as_str(), "attached, and refused"),
        ("outside", "docker.io/library/x:1", "it refuses others"),
    ] {
        submit(&up, name, image)?;
        let message = says(&up, name, "FAILED", "image-denied")?;
        expect_parts(
            &message,
            &[why, &format!("image {image} is refused by the image policy")],
        )?;
        assert!(!driver_is_there(&up, name), "{name} has a pod");
        let about = format!("involvedObject.name={name}");
        let told = up
            .kubectl(&["get", "events", "--field-selector", &about, "-o", "yaml"])
            .output()?;
        expect_parts(&text(&told), &["image-denied"])?;
    }
    // The same, before anything is submitted.
    let manifest = home.path().join("app.yaml");
    for (image, code, parts) in [
        (&signed, 0, vec![]),
        (
            &unsigned,
            1,
            vec!["image-denied", "app.yaml:6", "it has no signature by ci"],
        ),
    ] {
        std::fs::write(
            &manifest,
            format!(
                "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: a}}\nspec:\n  type: Python\n  image: {image}\n  \
                 sparkVersion: 4.1.4\n  mainApplicationFile: local:///opt/app/main.py\n  driver: {{}}\n  executor: {{}}\n"
            ),
        )?;
        let output = stoke(home.path(), ["check", "--gate", "images", "--image-policy", &policy])
            .arg(&manifest)
            .output()?;
        expect_code(&output, code)?;
        expect_parts(&text(&output), &parts)?;
    }
    // Altered in the registry, under the digest that was signed.
    spoil(&registry.directory.path().join("data"), &digests[0])?;
    submit(
        &up,
        "altered",
        &format!("{}/team/signed@{}", registry.address, digests[0]),
    )?;
    let message = says(&up, "altered", "", "image-")?;
    assert!(!driver_is_there(&up, "altered"), "{message}");

    // A registry that is down: nothing is let in, and it is asked again.
    registry.child.kill()?;
    registry.child.wait()?;
    submit(&up, "waiting", &unsigned)?;
    let message = says(&up, "waiting", "", "image-unknown")?;
    expect_parts(
        &message,
        &["cannot be verified", "it is asked again", "stoke::oci::unavailable"],
    )?;
    assert!(!driver_is_there(&up, "waiting"));
    registry.child = Command::new("docker-registry")
        .arg("serve")
        .arg(registry.directory.path().join("config.yml"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    says(&up, "waiting", "FAILED", "image-denied")?;
    drop(registry);
    up.down()
}

const PROGRAM: &str = r#"
import os
from pyspark.sql import SparkSession
def where():
    return os.path.exists("/opt/app/of_the_image.py"), os.path.exists("/usr/share/doc")
spark = SparkSession.builder.getOrCreate()
print("driver", where())
print("executor", spark.sparkContext.parallelize([1], 1).map(lambda _: where()).collect())
print("sum", spark.range(100).selectExpr("sum(id)").first()[0])
"#;

fn application(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let job = tempfile::tempdir()?;
    std::fs::write(job.path().join("main.py"), PROGRAM)?;
    std::fs::write(job.path().join("of_the_image.py"), "")?;
    let output = stoke(
        home.path(),
        [
            "image",
            "build",
            ".",
            "--base",
            "runtime:4.1.4",
            "--tag",
            "sums:v1",
            "-o",
            "json",
        ],
    )
    .current_dir(job.path())
    .output()?;
    expect_code(&output, 0)?;
    let built: Value = serde_json::from_slice(&output.stdout)?;
    let digest = built["digest"].as_str().unwrap_or_default();
    let manifest = home.path().join("app.json");
    let spec = json!({"type": "Python", "mode": "cluster", "image": format!("local:sums@{digest}"), "sparkVersion": "4.1.4",
        "mainApplicationFile": "local:///opt/app/main.py", "driver": {"memory": "512m", "coreRequest": "250m"},
        "executor": {"instances": 1, "memory": "512m", "coreRequest": "250m"}});
    let object = json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "sums"}, "spec": spec});
    std::fs::write(&manifest, object.to_string())?;
    let output = stoke(home.path(), ["run", "--quiet"]).arg(&manifest).output()?;
    expect_code(&output, 0)?;
    // Neither sees this machine's files.
    expect_parts(
        &text(&output),
        &[
            "driver (True, False)",
            "executor [(True, False)]",
            "sum 4950",
            "COMPLETED",
        ],
    )?;
    nothing_left(home.path())
}
