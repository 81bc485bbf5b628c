//! Commands in containers, attaching, copying, forwarding ports.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, TerminalSize};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::case::{Case, Client, Ground};

pub fn cases() -> Vec<Case> {
    let case = |behaviour, client, run| Case {
        area: "Pods: streams",
        behaviour,
        client,
        run,
    };
    vec![
        case(
            "`exec` gives the command's output, error output and exit code",
            Client::Kubectl,
            exec_kubectl,
        ),
        case(
            "`exec -i` passes input on and tells its end",
            Client::Kubectl,
            exec_input,
        ),
        case(
            "`exec -it` is a terminal with a size and Ctrl-C",
            Client::Kubectl,
            exec_terminal,
        ),
        case(
            "`exec` of what cannot run says why, in the words of a real node",
            Client::Kubectl,
            exec_refusals,
        ),
        case(
            "`exec` needs the verb `create` on `pods/exec`",
            Client::Kubectl,
            exec_authorised,
        ),
        case("`cp` copies files and directories both ways", Client::Kubectl, copy),
        case("`attach` and `run -i` reach the main process", Client::Kubectl, attach),
        case(
            "`port-forward` carries many connections at once, to pods, services and deployments' pods",
            Client::Kubectl,
            forward,
        ),
        case(
            "`port-forward` to a port no one listens on says so",
            Client::Kubectl,
            forward_refused,
        ),
        case(
            "exec by WebSocket, `v4.channel.k8s.io`, with exit code",
            Client::Python,
            exec_python,
        ),
        case(
            "port-forward by WebSocket, `v4.channel.k8s.io`",
            Client::Python,
            forward_python,
        ),
        case(
            "exec, terminals with sizes, attach and port-forward by WebSocket",
            Client::Kube,
            kube_rs,
        ),
        case(
            "exec and port-forward by SPDY, as clients before 1.30 do",
            Client::Go,
            spdy,
        ),
    ]
}

/// A running pod `p` with this script.
fn pod(ground: &Ground, namespace: &str, script: &str, more: serde_json::Value) -> Result<(), String> {
    let mut container = json!({"name": "c", "image": "shell", "args": [script]});
    if let (Some(container), Some(more)) = (container.as_object_mut(), more.as_object()) {
        container.extend(more.clone());
    }
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "p"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}});
    ground
        .kubectl(namespace, &["create", "-f", "-"], &pod.to_string())
        .ok()?;
    ground
        .kubectl(
            namespace,
            &["wait", "--for=condition=Ready", "pod/p", "--timeout=20s"],
            "",
        )
        .ok()
        .map(drop)
}

fn expect(what: &str, is: &str, wanted: &str) -> Result<(), String> {
    if is == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {is:?} instead of {wanted:?}"))
    }
}

/// kubectl with its streams apart: standard output, standard error, exit code.
fn apart(ground: &Ground, namespace: &str, arguments: &[&str], input: &[u8]) -> (Vec<u8>, String, Option<i32>) {
    let mut child = kubectl(ground, namespace, arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (
        output.stdout,
        String::from_utf8_lossy(&output.stderr).into_owned(),
        output.status.code(),
    )
}

fn kubectl(ground: &Ground, namespace: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command
        .arg("--kubeconfig")
        .arg(ground.kubeconfig())
        .args(["--namespace", namespace])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn exec_kubectl(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    pod(
        ground,
        &namespace,
        "sleep 300",
        json!({"env": [{"name": "A", "value": "b"}]}),
    )?;
    let run = |script: &str| apart(ground, &namespace, &["exec", "p", "--", "sh", "-c", script], b"");
    let (out, err, code) = run("echo out $A; echo err >&2; exit 7");
    expect("output", &String::from_utf8_lossy(&out), "out b\n")?;
    expect("error output", &err, "err\ncommand terminated with exit code 7\n")?;
    expect("exit code", &format!("{code:?}"), "Some(7)")?;
    let (out, err, code) = run("head -c 5000000 /dev/zero");
    expect(
        "five megabytes",
        &format!("{} {err} {code:?}", out.len()),
        "5000000  Some(0)",
    )?;
    // A child that keeps the output open does not hold up the end.
    let (out, _, code) = run("sleep 60 & echo started");
    expect(
        "with a child left",
        &format!("{:?} {code:?}", String::from_utf8_lossy(&out)),
        "\"started\\n\" Some(0)",
    )
}

fn exec_input(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    pod(ground, &namespace, "sleep 300", json!({}))?;
    let input: Vec<u8> = (0..3_000_000_u32)
        .map(|number| u8::try_from(number % 251).unwrap())
        .collect();
    let (out, err, _) = apart(ground, &namespace, &["exec", "-i", "p", "--", "cat"], &input);
    if out != input {
        return Err(format!("{} bytes of {} came back: {err}", out.len(), input.len()));
    }
    let (out, ..) = apart(
        ground,
        &namespace,
        &[
            "exec",
            "-i",
            "p",
            "--",
            "sh",
            "-c",
            "cat >/tmp/f; sleep 0.2; wc -c </tmp/f",
        ],
        b"later",
    );
    expect("after the end of input", String::from_utf8_lossy(&out).trim(), "5")
}

/// Drives kubectl on a terminal of its own, as a person would.
const PERSON: &str = r#"
import os, pty, sys, time, select, struct, fcntl, termios
arguments = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
    os.execvp(arguments[0], arguments)
shown = b""
def until(text, seconds=15):
    global shown
    end = time.time() + seconds
    while text not in shown:
        if not select.select([terminal], [], [], max(0, end - time.time()))[0]:
            sys.exit("never shown: %r in %r" % (text, shown))
        try:
            part = os.read(terminal, 4096)
        except OSError:
            part = b""
        if not part:
            sys.exit("ended before %r: %r" % (text, shown))
        shown += part
    before, shown = shown.split(text, 1)
    return before
def type(text):
    os.write(terminal, text)
type(b"echo at $((1+1)); tty\n")
until(b"at 2\r\n")
until(b"/dev/pts/")
type(b"echo size; stty size\n")
until(b"31 97")
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 111, 0, 0))
os.kill(pid, 28)
type(b"until stty size | grep '^44 111'; do sleep 0.1; done\n")
until(b"44 111\r\n")
# Control-C is typed when the program is known to have the terminal.
type(b"sh -c 'echo as$((1+1))leep; exec sleep 100'\n")
until(b"as2leep\r\n")
type(b"\x03")
type(b"echo after$((2+2))\n")
until(b"after4\r\n")
type(b"exit 9\n")
until(b"exit code 9")
_, status = os.waitpid(pid, 0)
print("exit", os.waitstatus_to_exitcode(status))
"#;

fn exec_terminal(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    pod(ground, &namespace, "sleep 300", json!({}))?;
    let output = Command::new("python3")
        .args(["-c", PERSON, "kubectl", "--kubeconfig"])
        .arg(ground.kubeconfig())
        .args(["--namespace", &namespace, "exec", "-it", "p", "--", "sh"])
        .output()
        .map_err(|error| format!("python3: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    expect("the terminal", said.trim(), "exit 9")
}

fn exec_refusals(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    pod(ground, &namespace, "sleep 300", json!({}))?;
    let kubectl = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    kubectl(&["exec", "p", "--", "no-such-program"]).refused_with(
        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"no-such-program\": executable file not found in $PATH",
    )?;
    kubectl(&["exec", "p", "-c", "none", "--", "true"]).refused_with("container none is not valid for pod p")?;
    kubectl(&["exec", "none", "--", "true"]).refused_with("pods \"none\" not found")?;
    let over = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "two"}, "spec": {"restartPolicy": "Never",
        "containers": [{"name": "over", "image": "shell", "args": ["true"]}, {"name": "on", "image": "shell", "args": ["sleep 300"]}]}});
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &over.to_string())
        .ok()?;
    let ended = "jsonpath={.status.containerStatuses[?(@.name==\"over\")].state.terminated.exitCode}=0";
    kubectl(&["wait", &format!("--for={ended}"), "pod/two", "--timeout=20s"]).ok()?;
    kubectl(&["exec", "two", "-c", "over", "--", "true"])
        .refused_with("unable to upgrade connection: container not found (\"over\")")?;
    kubectl(&["exec", "two", "-c", "on", "--", "echo", "here"]).has("here")
}

fn exec_authorised(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    pod(ground, &namespace, "sleep 300", json!({}))?;
    let kubectl = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    for name in ["reader", "runner"] {
        kubectl(&["create", "serviceaccount", name]).ok()?;
        let account = format!("--serviceaccount={namespace}:{name}");
        kubectl(&["create", "role", name, "--verb=get,list", "--resource=pods"]).ok()?;
        kubectl(&["create", "rolebinding", name, &format!("--role={name}"), &account]).ok()?;
    }
    for (name, verb) in [("reader", "get"), ("runner", "create")] {
        let role = format!("{name}-exec");
        kubectl(&[
            "create",
            "role",
            &role,
            &format!("--verb={verb}"),
            "--resource=pods/exec",
        ])
        .ok()?;
        let account = format!("--serviceaccount={namespace}:{name}");
        kubectl(&["create", "rolebinding", &role, &format!("--role={role}"), &account]).ok()?;
    }
    let as_account = |name: &str| {
        let token = kubectl(&["create", "token", name]).ok()?;
        Ok::<_, String>(kubectl(&["--token", token.trim(), "exec", "p", "--", "echo", "ran"]))
    };
    as_account("reader")?.refused_with("cannot create resource \"pods/exec\"")?;
    as_account("runner")?.has("ran")
}

fn copy(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    pod(ground, &namespace, "sleep 300", json!({}))?;
    let here = tempfile::tempdir().unwrap();
    let tree = here.path().join("tree");
    std::fs::create_dir_all(tree.join("deep")).unwrap();
    let large: Vec<u8> = (0..2_000_000_u32)
        .map(|number| u8::try_from(number % 253).unwrap())
        .collect();
    std::fs::write(tree.join("large"), &large).unwrap();
    std::fs::write(tree.join("deep/small"), "small").unwrap();
    let tree = tree.display().to_string();
    let kubectl = |arguments: &[&str]| ground.kubectl(&namespace, arguments, "");
    kubectl(&["cp", &tree, "p:/tmp/there"]).ok()?;
    kubectl(&[
        "exec",
        "p",
        "--",
        "sh",
        "-c",
        "cat /tmp/there/deep/small; wc -c </tmp/there/large",
    ])
    .has("small2000000")?;
    let back = here.path().join("back");
    kubectl(&["cp", "p:/tmp/there", &back.display().to_string()]).ok()?;
    if std::fs::read(back.join("large")).unwrap_or_default() != large {
        return Err("the large file came back changed".to_owned());
    }
    expect(
        "the small file",
        &std::fs::read_to_string(back.join("deep/small")).unwrap_or_default(),
        "small",
    )
}

fn attach(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    pod(
        ground,
        &namespace,
        "while read line; do echo got $line; test $line = end && exit; done",
        json!({"stdin": true, "stdinOnce": true}),
    )?;
    let (out, err, _) = apart(ground, &namespace, &["attach", "-i", "p"], b"one\nend\n");
    let out = String::from_utf8_lossy(&out);
    if !out.contains("got one\ngot end") {
        return Err(format!("attach shows {out:?} {err:?}"));
    }
    let arguments = [
        "run",
        "r",
        "-i",
        "--rm",
        "--quiet",
        "--restart=Never",
        "--image=shell",
        "--",
        "wc -c",
    ];
    let (out, err, code) = apart(ground, &namespace, &arguments, b"12345");
    if !String::from_utf8_lossy(&out).contains('5') || code != Some(0) {
        return Err(format!(
            "run -i shows {:?} {err:?} {code:?}",
            String::from_utf8_lossy(&out)
        ));
    }
    Ok(())
}

/// Answers every connection with what it says, in capitals, at its end. Listens on its own address only.
const SERVER: &str = r#"exec python3 -c '
import socket, threading, os
server = socket.create_server((os.environ["IP"], 7000), backlog=256)
def answer(peer):
    said = b""
    while True:
        part = peer.recv(65536)
        if not part: break
        said += part
    peer.sendall(said.upper())
    peer.close()
while True:
    peer, _ = server.accept()
    threading.Thread(target=answer, args=(peer,), daemon=True).start()
'"#;

fn server(ground: &Ground, namespace: &str) -> Result<(), String> {
    let address = json!({"env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "ports": [{"name": "main", "containerPort": 7000}],
        "readinessProbe": {"tcpSocket": {"port": 7000}, "periodSeconds": 1}});
    pod(ground, namespace, SERVER, address)
}

/// A port of this machine that is free now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

struct Forwarding(std::process::Child, u16);

impl Forwarding {
    /// What kubectl said of errors; it ends by that.
    fn complaints(&mut self) -> String {
        let mut text = String::new();
        let _ = self.0.kill();
        let _ = self.0.stderr.take().unwrap().read_to_string(&mut text);
        text
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn forwarding(ground: &Ground, namespace: &str, what: &str, port: &str) -> Result<Forwarding, String> {
    let local = free_port();
    let mapping = format!("{local}:{port}");
    let arguments = ["port-forward", "--address=127.0.0.1", what, &mapping];
    let child = kubectl(ground, namespace, &arguments)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut forwarding = Forwarding(child, local);
    let end = Instant::now() + Duration::from_secs(10);
    while TcpListener::bind(("127.0.0.1", local)).is_ok() {
        if Instant::now() > end || forwarding.0.try_wait().unwrap().is_some() {
            return Err(format!(
                "port-forward {what} does not listen: {}",
                forwarding.complaints()
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(forwarding)
}

fn say(port: u16, text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    stream.write_all(text)?;
    // Only the half is closed: the answer still comes.
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn forward(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    server(ground, &namespace)?;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"selector": {"app": "p"}, "ports": [{"port": 8700, "targetPort": "main"}]}});
    ground
        .kubectl(&namespace, &["create", "-f", "-"], &service.to_string())
        .ok()?;
    for (what, port) in [("pod/p", "7000"), ("service/s", "8700")] {
        let mut forwarding = forwarding(ground, &namespace, what, port)?;
        let local = forwarding.1;
        let threads: Vec<_> = (0..40)
            .map(|number| {
                std::thread::spawn(move || {
                    let text = format!("abc{number} ").repeat(2000);
                    match say(local, text.as_bytes()) {
                        Ok(answer) if answer == text.to_uppercase().as_bytes() => Ok(()),
                        other => Err(format!("connection {number}: {:?}", other.map(|answer| answer.len()))),
                    }
                })
            })
            .collect();
        let failed: Vec<String> = threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap().err())
            .collect();
        if !failed.is_empty() {
            return Err(format!("{failed:?}: {}", forwarding.complaints()));
        }
    }
    Ok(())
}

fn forward_refused(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    pod(ground, &namespace, "sleep 300", json!({}))?;
    let mut forwarding = forwarding(ground, &namespace, "pod/p", "7999")?;
    let _ = say(forwarding.1, b"hello");
    // kubectl gives up by itself once a connection could not be made.
    std::thread::sleep(Duration::from_millis(300));
    let text = forwarding.complaints();
    for part in ["error forwarding port 7999 to pod", "connection refused"] {
        if !text.contains(part) {
            return Err(format!("{part:?} is not said: {text}"));
        }
    }
    Ok(())
}

fn exec_python(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    pod(ground, &namespace, "sleep 300", json!({}))?;
    let script = r#"
import sys
from kubernetes import client, config
from kubernetes.stream import stream
config.load_kube_config(sys.argv[1])
api, namespace = client.CoreV1Api(), sys.argv[2]
run = lambda script, **more: stream(api.connect_get_namespaced_pod_exec, "p", namespace,
    command=["sh", "-c", script], stderr=True, stdin=False, stdout=True, tty=False, **more)
assert run("echo out; echo err >&2") in ("out\nerr\n", "err\nout\n")
talk = stream(api.connect_get_namespaced_pod_exec, "p", namespace, command=["sh"], stderr=True, stdin=True, stdout=True,
    tty=False, _preload_content=False)
talk.write_stdin("echo said $((40+2))\n")
assert talk.readline_stdout(timeout=10) == "said 42"
talk.write_stdin("exit 5\n")
talk.run_forever(timeout=10)
assert talk.returncode == 5, talk.returncode
try:
    stream(api.connect_get_namespaced_pod_exec, "p", namespace, command=["true"], container="none", stdout=True)
    sys.exit("a container that is not there was taken")
except client.ApiException as error:
    assert "400" in str(error), error
print("done")
"#;
    expect("python", ground.python(script, &[&namespace])?.trim(), "done")
}

fn forward_python(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    server(ground, &namespace)?;
    let script = r#"
import sys, socket, urllib3
from kubernetes import client, config
from kubernetes.stream import portforward
config.load_kube_config(sys.argv[1])
api, namespace = client.CoreV1Api(), sys.argv[2]
forward = portforward(api.connect_get_namespaced_pod_portforward, "p", namespace, ports="7000,7001")
good, bad = forward.socket(7000), forward.socket(7001)
good.setblocking(True)
good.sendall(b"hello")
import time
end = time.time() + 10
while not forward.error(7001) and time.time() < end: time.sleep(0.05)
assert "connection refused" in forward.error(7001), forward.error(7001)
assert not forward.error(7000), forward.error(7000)
print("done")
"#;
    expect("python", ground.python(script, &[&namespace])?.trim(), "done")
}

fn kube_rs(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    server(ground, &namespace)?;
    ground.runtime.block_on(async {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let config = Kubeconfig::read_from(ground.kubeconfig()).map_err(|error| text(&error))?;
        let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default())
            .await
            .map_err(|error| text(&error))?;
        let client = kube::Client::try_from(config).map_err(|error| text(&error))?;
        let pods: Api<Pod> = Api::namespaced(client, &namespace);

        let parameters = AttachParams::default().stdin(true).stderr(false);
        let mut process = pods
            .exec("p", ["sh", "-c", "cat; exit 4"], &parameters)
            .await
            .map_err(|error| text(&error))?;
        let (mut stdin, mut stdout) = (process.stdin().unwrap(), process.stdout().unwrap());
        let status = process.take_status().unwrap();
        stdin.write_all(b"through").await.unwrap();
        stdin.shutdown().await.unwrap();
        let mut answer = String::new();
        stdout.read_to_string(&mut answer).await.unwrap();
        expect("exec", &answer, "through")?;
        let status = status.await.ok_or("no status")?;
        let causes = status.details.and_then(|details| details.causes).unwrap_or_default();
        expect("exit code", causes[0].message.as_deref().unwrap_or_default(), "4")?;

        let parameters = AttachParams::interactive_tty();
        let mut process = pods
            .exec("p", ["sh"], &parameters)
            .await
            .map_err(|error| text(&error))?;
        let (mut stdin, mut stdout) = (process.stdin().unwrap(), process.stdout().unwrap());
        let mut sizes = process.terminal_size().unwrap();
        futures::SinkExt::send(&mut sizes, TerminalSize { height: 21, width: 77 })
            .await
            .unwrap();
        stdin.write_all(b"sleep 0.3; stty size\n").await.unwrap();
        let mut shown = String::new();
        let mut buffer = [0; 1024];
        while !shown.contains("21 77") {
            let read = tokio::time::timeout(Duration::from_secs(10), stdout.read(&mut buffer)).await;
            match read {
                Ok(Ok(count)) if count > 0 => shown.push_str(&String::from_utf8_lossy(&buffer[..count])),
                other => return Err(format!("{other:?} after {shown:?}")),
            }
        }
        drop(process);

        let mut forward = pods.portforward("p", &[7000]).await.map_err(|error| text(&error))?;
        let mut stream = forward.take_stream(7000).unwrap();
        stream.write_all(b"hello").await.unwrap();
        drop(stream);
        forward.abort();
        Ok(())
    })
}

fn spdy(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    server(ground, &namespace)?;
    let said = ground.go("spdy", include_str!("spdy.go"), &[&namespace])?;
    expect("client-go", said.trim(), "done")
}
