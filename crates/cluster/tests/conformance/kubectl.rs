//! Plain kubectl, default flags: what people type every day.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::case::{Case, Client, Ground};

/// Area, behaviour, proof.
type Row = (&'static str, &'static str, fn(&Ground) -> Result<(), String>);

pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case {
        area: "Objects",
        behaviour: "an update with an old resourceVersion is refused with 409 `Conflict`",
        client: Client::Kube,
        run: an_old_version_does_not_win,
    }];
    let with_kubectl: &[Row] = &[
        (
            "Objects",
            "`apply` creates an object, says `unchanged` when nothing changes, and `configured` when something does; a `List` too",
            apply,
        ),
        (
            "Objects",
            "a name that is taken is refused with 409 `AlreadyExists`",
            a_name_is_taken_once,
        ),
        (
            "kubectl",
            "`get` in every output form: wide, yaml, json, name, jsonpath, go-template, custom-columns, labels, sorted, by selector and field, in all namespaces, from files",
            outputs,
        ),
        (
            "kubectl",
            "the columns of `get` are those of Kubernetes, for every kind",
            columns,
        ),
        (
            "kubectl",
            "`get events` and `events` tell when, what and to whom; `LAST SEEN` comes first",
            events,
        ),
        (
            "kubectl",
            "`describe` tells each kind of object and its events",
            describe,
        ),
        (
            "kubectl",
            "`diff` shows what `apply` would change and changes nothing",
            diff,
        ),
        (
            "kubectl",
            "`apply --prune` deletes what is no longer in the files",
            prune,
        ),
        (
            "kubectl",
            "`apply --server-side` refuses to take fields of another manager, and takes them with `--force-conflicts`",
            server_side,
        ),
        (
            "kubectl",
            "`edit` opens the object and stores what the editor leaves",
            edit,
        ),
        (
            "kubectl",
            "`patch` strategic, merge and JSON, and `replace`, also with `--force`",
            patch_and_replace,
        ),
        (
            "kubectl",
            "`label` and `annotate` add, overwrite only when told to, and remove",
            label_and_annotate,
        ),
        (
            "kubectl",
            "`set image`, `set selector` and `set subject` change what they name",
            set,
        ),
        (
            "kubectl",
            "`api-resources`, `api-versions`, `version`, `cluster-info` (also `dump`) and `config view` answer",
            about_the_cluster,
        ),
        (
            "kubectl",
            "`wait` for a condition, a field, creation and deletion",
            wait,
        ),
        (
            "kubectl",
            "`run`, `expose`, `delete` by name, label and file, dry runs of client and server",
            run_and_delete,
        ),
        (
            "kubectl",
            "what is not there is refused in plain words: `top`, unknown kinds, missing objects, wrong selectors",
            refusals,
        ),
    ];
    cases.extend(with_kubectl.iter().map(|(area, behaviour, run)| Case {
        area,
        behaviour,
        client: Client::Kubectl,
        run: *run,
    }));
    cases
}

/// A pod that no one starts, with a config map, both of app `x`.
const PAIR: &str = r"apiVersion: v1
kind: ConfigMap
metadata: {name: m, labels: {app: x}}
data: {k: a}
---
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: x}}
spec: {schedulerName: nobody, containers: [{name: main, image: shell}]}
";

/// kubectl in a namespace; a word may be quoted.
struct Shell<'a> {
    ground: &'a Ground,
    namespace: String,
}

impl<'a> Shell<'a> {
    fn new(ground: &'a Ground) -> Shell<'a> {
        Shell {
            ground,
            namespace: ground.namespace(),
        }
    }

    fn answer(&self, command: &str, input: &str) -> crate::case::Answer {
        let command = command.replace("NS", &self.namespace);
        let mut words: Vec<String> = Vec::new();
        for (index, part) in command.split('\'').enumerate() {
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.ground.kubectl(&self.namespace, &words, input)
    }

    fn ok(&self, command: &str) -> Result<String, String> {
        self.answer(command, "").ok()
    }

    fn has(&self, command: &str, part: &str) -> Result<(), String> {
        self.answer(command, "").has(&part.replace("NS", &self.namespace))
    }

    fn refuses(&self, command: &str, part: &str) -> Result<(), String> {
        self.answer(command, "")
            .refused_with(&part.replace("NS", &self.namespace))
    }

    fn apply(&self, manifest: &str) -> Result<(), String> {
        self.answer("apply -f -", manifest).ok().map(drop)
    }

    /// A file of the case.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.ground.directory().join(format!("{}-{name}", self.namespace));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

fn a_name_is_taken_once(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    let file = shell.file("m.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n");
    shell.has(&format!("create -f {file}"), "configmap/m created")?;
    shell.refuses(&format!("create -f {file}"), "Error from server (AlreadyExists)")
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
    let shell = Shell::new(ground);
    let apply = |value: &str| shell.answer("apply -f -", &PAIR.replace("k: a", &format!("k: {value}")));
    apply("a").has("configmap/m created\npod/p created")?;
    apply("a").has("configmap/m unchanged\npod/p unchanged")?;
    apply("b").has("configmap/m configured\npod/p unchanged")?;
    shell.has("get configmap m -o jsonpath={.data.k}", "b")?;
    shell.has("apply view-last-applied configmap m", "k: b")?;
    // What `get` writes can be applied again, also as a list.
    let list = shell.ok("get configmaps -o yaml --field-selector metadata.name=m")?;
    shell.answer("apply -f -", &list).has("configmap/m ")?;
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "dat": {}}]}"#;
    shell.answer("apply -f -", list).refused_with("unknown field \"dat\"")
}

fn outputs(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    shell.apply(PAIR)?;
    let file = shell.file("pair.yaml", PAIR);
    for (command, expected) in [
        (
            "get pods",
            "NAME   READY   STATUS    RESTARTS   AGE\np      0/1     Pending   0          ",
        ),
        ("get pods --no-headers", "p     0/1   Pending   0     "),
        (
            "get pods -o wide",
            "IP       NODE     NOMINATED NODE   READINESS GATES\np ",
        ),
        ("get pod p -o yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n"),
        (
            "get pod p -o json",
            "{\n    \"apiVersion\": \"v1\",\n    \"kind\": \"Pod\",",
        ),
        (
            "get pods,configmaps -o name",
            "pod/p\nconfigmap/kube-root-ca.crt\nconfigmap/m\n",
        ),
        (
            "get pods -o 'jsonpath={range .items[*]}{.metadata.name}={.status.qosClass}{end}'",
            "p=BestEffort",
        ),
        (
            "get pods -o 'go-template={{range .items}}<{{.metadata.name}}>{{end}}'",
            "<p>",
        ),
        (
            "get pods -o custom-columns=WHO:.metadata.name,HOW:.status.phase",
            "WHO   HOW\np     Pending\n",
        ),
        ("get pods --show-labels", "LABELS\np "),
        ("get pods -L app", "APP\np "),
        (
            "get configmaps --sort-by=.metadata.name",
            "NAME               DATA   AGE\nkube-root-ca.crt   1  ",
        ),
        ("get pods -l 'app in (x,y)' -o name", "pod/p"),
        (
            "get pods --field-selector status.phase=Pending,metadata.name!=q -o name",
            "pod/p",
        ),
        (
            "get pods --field-selector status.phase=Running",
            "No resources found in NS namespace.",
        ),
        (
            "get pods -A --field-selector metadata.namespace=NS",
            "NAMESPACE   NAME   READY   STATUS ",
        ),
        ("get all", "NAME    READY   STATUS    RESTARTS   AGE\npod/p   0/1 "),
        ("get --raw /api/v1/namespaces/NS", "\"kind\":\"Namespace\""),
        ("get pods --chunk-size=1 -A -o name", "pod/p"),
        (
            "get pods -o jsonpath-as-json={.items[*].spec.schedulerName}",
            "[\n    \"nobody\"\n]",
        ),
    ] {
        shell.has(command, expected)?;
    }
    shell.has(&format!("get -f {file} -o name"), "configmap/m\npod/p")
}

fn columns(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    for command in [
        "create configmap a --from-literal=k=v",
        "create secret generic s --from-literal=k=v",
        "create quota q --hard=secrets=100",
        "create poddisruptionbudget b --selector=a=b --min-available=1",
        "create service loadbalancer l --tcp=80",
        "create ingress i --rule=example.com/p=c:80,tls",
        "create role r --verb=get --resource=pods",
        "create rolebinding rb --role=r --user=u",
    ] {
        shell.ok(command)?;
    }
    for (kind, header) in [
        ("configmap", "NAME DATA AGE"),
        ("secret", "NAME TYPE DATA AGE"),
        ("serviceaccount", "NAME SECRETS AGE"),
        ("namespace", "NAME STATUS AGE"),
        (
            "node -o wide",
            "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME",
        ),
        ("quota", "NAME REQUEST LIMIT AGE"),
        ("pdb", "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE"),
        (
            "service -o wide",
            "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR",
        ),
        ("ingress", "NAME CLASS HOSTS ADDRESS PORTS AGE"),
        ("endpoints kubernetes -n default", "NAME ENDPOINTS AGE"),
        ("endpointslices -n default", "NAME ADDRESSTYPE PORTS ENDPOINTS AGE"),
        ("roles", "NAME CREATED AT"),
        ("rolebindings -o wide", "NAME ROLE AGE USERS GROUPS SERVICEACCOUNTS"),
        ("crd", "NAME CREATED AT"),
        (
            "storageclass",
            "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE",
        ),
        (
            "priorityclass -o wide",
            "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY",
        ),
    ] {
        let text = shell.ok(&format!("get {kind}"))?;
        let first = text.lines().find(|line| line.contains("NAME")).unwrap_or_default();
        let found = first.split_whitespace().collect::<Vec<_>>().join(" ");
        if found != header {
            return Err(format!("get {kind}: {found}, expected {header}"));
        }
    }
    shell.has("get storageclass", "(default)")?;
    shell.has("get ingress i", "example.com             80, 443")?;
    shell.has("get pdb b", "b      1               N/A               0 ")
}

fn events(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    let event = r#"{"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "type": "Warning", "reason": "Tried",
        "message": "it did not work", "count": 3, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:05:00Z",
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "NS"}, "source": {"component": "tester"}}"#;
    shell.apply(&event.replace("NS", &shell.namespace))?;
    let table = shell.ok("get events")?;
    let words = |line: Option<&str>| {
        line.unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let (head, row) = (words(table.lines().next()), words(table.lines().nth(1)));
    if head != "LAST SEEN TYPE REASON OBJECT MESSAGE" || !row.ends_with("Warning Tried pod/p it did not work") {
        return Err(table);
    }
    let wide = words(shell.ok("get events -o wide")?.lines().next());
    if wide != "LAST SEEN TYPE REASON OBJECT SUBOBJECT SOURCE MESSAGE FIRST SEEN COUNT NAME" {
        return Err(wide);
    }
    shell.has("events --for pod/p --types=Warning", "(x3 over ")?;
    shell.has(
        "get events.events.k8s.io -o jsonpath={.items[0].note}",
        "it did not work",
    )
}

fn describe(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    shell.apply(PAIR)?;
    shell.ok("create secret generic s --from-literal=k=v")?;
    shell.ok("create quota q --hard=secrets=100")?;
    shell.ok("create service clusterip c --tcp=80")?;
    for (what, expected) in [
        ("pod p", "Status:           Pending"),
        ("configmap m", "Data\n====\nk:\n----\na\n"),
        ("secret s", "k:  1 bytes"),
        ("quota q", "Resource    Used  Hard"),
        ("service c", "Session Affinity:         None"),
        ("service kubernetes -n default", "Endpoints:                127."),
        ("serviceaccount default", "Image pull secrets:  <none>"),
        ("namespace NS", "Status:       Active"),
        ("node", "Allocatable:"),
        ("clusterrole view", "[get list watch]"),
        ("storageclass", "IsDefaultClass:        Yes"),
        (
            "priorityclass system-node-critical",
            "PreemptionPolicy:  PreemptLowerPriority",
        ),
        (
            "crd sparkapplications.sparkoperator.k8s.io",
            "Kind:         CustomResourceDefinition",
        ),
    ] {
        shell.has(&format!("describe {what}"), expected)?;
    }
    Ok(())
}

fn diff(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    shell.apply(PAIR)?;
    let changed = shell.answer("diff -f -", &PAIR.replace("k: a", "k: b")).refused()?;
    if !changed.contains("-  k: a\n+  k: b\n") {
        return Err(changed);
    }
    shell.has("get configmap m -o jsonpath={.data.k}", "a")?;
    shell.answer("diff -f -", PAIR).ok().map(drop)
}

fn prune(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    shell.apply(PAIR)?;
    let rest = PAIR.split("---\n").nth(1).unwrap();
    let answer = shell.answer(
        "apply -f - --prune -l app=x --prune-allowlist=core/v1/ConfigMap --prune-allowlist=core/v1/Pod",
        rest,
    );
    answer.has("configmap/m pruned")?;
    shell.refuses("get configmap m", "NotFound")
}

fn server_side(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    let map = |value: &str| {
        PAIR.split("---\n")
            .next()
            .unwrap()
            .replace("k: a", &format!("k: {value}"))
    };
    shell
        .answer("apply --server-side -f -", &map("a"))
        .has("configmap/m serverside-applied")?;
    let other = "apply --server-side --field-manager=other -f -";
    shell.answer(other, &map("a")).has("serverside-applied")?;
    let refused = shell.answer(other, &map("b")).refused()?;
    for part in ["Apply failed with 1 conflict", "conflict with \"kubectl\": .data.k"] {
        if !refused.contains(part) {
            return Err(refused);
        }
    }
    shell
        .answer(&format!("{other} --force-conflicts"), &map("b"))
        .has("serverside-applied")?;
    let managers =
        shell.ok("get configmap m -o jsonpath={.metadata.managedFields[*].manager} --show-managed-fields")?;
    if managers == "kubectl other" {
        Ok(())
    } else {
        Err(managers)
    }
}

fn edit(ground: &Ground) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let shell = Shell::new(ground);
    shell.apply(PAIR)?;
    let editor = shell.file("editor", "#!/bin/sh\nsed -i 's/^  k: a$/  k: edited/' \"$1\"\n");
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700)).unwrap();
    // The editor is named by the environment, which the cases share.
    let output = std::process::Command::new("kubectl")
        .env("KUBE_EDITOR", &editor)
        .arg("--kubeconfig")
        .arg(ground.kubeconfig())
        .args(["--namespace", &shell.namespace, "edit", "configmap", "m"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !text.contains("configmap/m edited") {
        return Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    }
    shell.has("get configmap m -o jsonpath={.data.k}", "edited")
}

fn patch_and_replace(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    shell.apply(PAIR)?;
    let data = |expected: &str| shell.has("get configmap m -o jsonpath={.data}", expected);
    shell.has(r#"patch configmap m -p '{"data":{"z":"1"}}'"#, "configmap/m patched")?;
    data(r#"{"k":"a","z":"1"}"#)?;
    shell.has(
        r#"patch configmap m --type=merge -p '{"data":{"z":null}}'"#,
        "configmap/m patched",
    )?;
    shell.has(
        r#"patch configmap m --type=merge -p '{"data":{"z":null}}'"#,
        "configmap/m patched (no change)",
    )?;
    shell.has(r#"patch configmap m --type=json -p '[{"op":"test","path":"/data/k","value":"a"},{"op":"add","path":"/data/y","value":"2"}]'"#, "patched")?;
    data(r#"{"k":"a","y":"2"}"#)?;
    shell.refuses(
        r#"patch configmap m --type=json -p '[{"op":"test","path":"/data/k","value":"no"}]'"#,
        "the server rejected our request due to an error in our request",
    )?;
    let map = PAIR.split("---\n").next().unwrap();
    shell.answer("replace -f -", map).has("configmap/m replaced")?;
    data(r#"{"k":"a"}"#)?;
    let before = shell.ok("get configmap m -o jsonpath={.metadata.uid}")?;
    let file = shell.file("map.yaml", map);
    shell.has(&format!("replace --force -f {file}"), "configmap/m replaced")?;
    let after = shell.ok("get configmap m -o jsonpath={.metadata.uid}")?;
    if before == after {
        Err("--force did not make a new object".into())
    } else {
        Ok(())
    }
}

fn label_and_annotate(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    shell.apply(PAIR)?;
    shell.has("label configmap m tier=1", "configmap/m labeled")?;
    shell.refuses(
        "label configmap m tier=2",
        "'tier' already has a value (1), and --overwrite is false",
    )?;
    shell.has("label configmap m tier=2 --overwrite", "configmap/m labeled")?;
    shell.has("get configmaps -l tier=2 -o name", "configmap/m")?;
    shell.has("label configmap m tier-", "configmap/m unlabeled")?;
    shell.has(
        "annotate pods,configmaps -l app=x 'note=several words'",
        "configmap/m annotated",
    )?;
    shell.has("get pod p -o jsonpath={.metadata.annotations.note}", "several words")?;
    shell.has("annotate pod p note-", "pod/p annotated")?;
    shell.refuses(
        "label configmap m 'bad key=1'",
        "name part must consist of alphanumeric characters",
    )
}

fn set(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    shell.apply(PAIR)?;
    shell.ok("create service clusterip c --tcp=80")?;
    shell.ok("create role r --verb=get --resource=pods")?;
    shell.ok("create rolebinding b --role=r --user=u")?;
    shell.has("set image pod/p main=other", "pod/p image updated")?;
    shell.has("get pod p -o jsonpath={.spec.containers[0].image}", "other")?;
    shell.has("set selector service c a=b", "service/c selector updated")?;
    shell.has(
        "set subject rolebinding b --serviceaccount=NS:default",
        "subjects updated",
    )?;
    shell.has("get rolebinding b -o jsonpath={.subjects[*].name}", "u default")
}

fn about_the_cluster(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    for (command, expected) in [
        ("api-resources --namespaced=false --sort-by=name", "nodes "),
        (
            "api-resources --api-group=batch -o name",
            "cronjobs.batch\njobs.batch\n",
        ),
        ("api-versions", "rbac.authorization.k8s.io/v1\n"),
        ("version", "Server Version: v1."),
        ("cluster-info", "is running at"),
        ("config view", "certificate-authority-data: DATA+OMITTED"),
        ("config current-context", "stoke"),
        ("get --raw /readyz", "ok"),
    ] {
        shell.has(command, expected)?;
    }
    let directory = ground.directory().join(format!("{}-dump", shell.namespace));
    let dump = format!(
        "cluster-info dump --namespaces NS --output-directory={}",
        directory.display()
    );
    shell.has(&dump, "Cluster info dumped to ")
}

fn wait(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    shell.apply(PAIR)?;
    shell.has(
        "wait --for=jsonpath={.status.phase}=Pending pod/p --timeout=10s",
        "pod/p condition met",
    )?;
    shell.refuses(
        "wait --for=condition=Ready pod/p --timeout=1s",
        "timed out waiting for the condition on pods/p",
    )?;
    let later = |command: &'static str, then: &str, met: &str| {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| shell.has(command, met));
            std::thread::sleep(std::time::Duration::from_millis(500));
            shell.ok(then)?;
            waiting.join().unwrap()
        })
    };
    later(
        "wait --for=create configmap/late --timeout=20s",
        "create configmap late",
        "configmap/late condition met",
    )?;
    later(
        "wait --for=delete configmap/late --timeout=20s",
        "delete configmap late",
        "configmap/late condition met",
    )
}

fn run_and_delete(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    shell.has(
        "run q --image=shell --dry-run=client -o yaml",
        "creationTimestamp: null\n  labels:\n    run: q\n",
    )?;
    shell.has(
        "run q --image=shell --dry-run=server -o jsonpath={.status.phase}",
        "Pending",
    )?;
    shell.refuses("get pod q", "Error from server (NotFound): pods \"q\" not found")?;
    shell.has(
        r#"run q --image=shell --port=80 --labels=a=b --overrides='{"spec":{"schedulerName":"nobody"}}'"#,
        "pod/q created",
    )?;
    shell.has("expose pod q --port=80 --target-port=8080", "service/q exposed")?;
    shell.has(
        "get service q -o jsonpath={.spec.selector.a}:{.spec.ports[0].targetPort}",
        "b:8080",
    )?;
    shell.has("delete pods -l a=b", "pod \"q\" deleted")?;
    shell.has("delete service q --cascade=foreground", "service \"q\" deleted")?;
    shell.apply(PAIR)?;
    let file = shell.file("pair.yaml", PAIR);
    shell.has(&format!("delete -f {file}"), "pod \"p\" deleted")?;
    shell.has("delete pod p --ignore-not-found", "")?;
    shell.refuses("delete pod p", "NotFound")
}

fn refusals(ground: &Ground) -> Result<(), String> {
    let shell = Shell::new(ground);
    for (command, expected) in [
        ("top pods", "error: Metrics API not available"),
        ("top nodes", "error: Metrics API not available"),
        ("get unicorns", "the server doesn't have a resource type \"unicorns\""),
        (
            "get pods nothing",
            "Error from server (NotFound): pods \"nothing\" not found",
        ),
        ("get pods -l 'a in'", "unable to parse requirement"),
        (
            "get pods --field-selector spec.nothing=1",
            "field label not supported: spec.nothing",
        ),
        (
            "create namespace Bad_Name",
            "a lowercase RFC 1123 label must consist of",
        ),
        ("delete namespace kube-system", "this namespace may not be deleted"),
    ] {
        shell.refuses(command, expected)?;
    }
    Ok(())
}
