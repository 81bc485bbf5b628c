//! Who one is and what one may do.

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{LocalSubjectAccessReview, SubjectAccessReview};
use kube::api::{Api, PostParams};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use serde_json::json;

use crate::case::{Answer, Case, Client, Ground};

/// Behaviour, client, proof.
type Row = (&'static str, Client, fn(&Ground) -> Result<(), String>);

pub fn cases() -> Vec<Case> {
    let rows: &[Row] = &[
        (
            "`auth whoami` and `auth can-i` (also `--list`, of paths and of subresources) answer for the administrator and for a service account's token",
            Client::Kubectl,
            who_and_what,
        ),
        (
            "`--as`, `--as-group` and `--as-uid` act as someone else, for those who may impersonate",
            Client::Kubectl,
            impersonation,
        ),
        (
            "a client certificate of the cluster's authority names its user (CN) and groups (O)",
            Client::Kubectl,
            certificates,
        ),
        (
            "no one grants by a role or binding what they do not hold, unless they may `escalate` or `bind`",
            Client::Kubectl,
            escalation,
        ),
        (
            "a cluster role that aggregates has the rules of the roles its selectors choose; `admin`, `edit` and `view` do",
            Client::Kubectl,
            aggregation,
        ),
        (
            "paths that are not resources are allowed by `nonResourceURLs`; discovery is for everyone who is known",
            Client::Kubectl,
            paths,
        ),
        (
            "`auth reconcile` brings roles and bindings in order",
            Client::Kubectl,
            reconcile,
        ),
        (
            "TokenReview knows the cluster's tokens, their audiences and their pods",
            Client::Kube,
            token_reviews,
        ),
        (
            "SubjectAccessReview and LocalSubjectAccessReview tell whether and by which binding someone may",
            Client::Kube,
            access_reviews,
        ),
    ];
    let case = |(behaviour, client, run): &Row| Case {
        area: "Access",
        behaviour,
        client: *client,
        run: *run,
    };
    rows.iter().map(case).collect()
}

struct Shell<'a> {
    ground: &'a Ground,
    namespace: String,
    /// Flags that say who asks.
    who: Vec<String>,
}

impl<'a> Shell<'a> {
    fn new(ground: &'a Ground) -> Shell<'a> {
        Shell {
            ground,
            namespace: ground.namespace(),
            who: Vec::new(),
        }
    }

    /// The same place, as the service account `robot`, which is made.
    fn robot(&self) -> Result<Shell<'a>, String> {
        self.run("create serviceaccount robot").ok()?;
        let token = self.run("create token robot").ok()?;
        Ok(self.with(&["--token", token.trim()]))
    }

    fn with(&self, who: &[&str]) -> Shell<'a> {
        Shell {
            ground: self.ground,
            namespace: self.namespace.clone(),
            who: who.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    fn run(&self, command: &str) -> Answer {
        self.feed(command, "")
    }

    fn feed(&self, command: &str, input: &str) -> Answer {
        let command = command.replace("NS", &self.namespace);
        let mut words: Vec<&str> = self.who.iter().map(String::as_str).collect();
        words.extend(command.split_whitespace());
        self.ground.kubectl(&self.namespace, &words, input)
    }
}

fn who_and_what(ground: &Ground) -> Result<(), String> {
    let admin = Shell::new(ground);
    admin.run("auth whoami").has("[system:masters system:authenticated]")?;
    admin.run("auth can-i * *").has("yes")?;
    let robot = admin.robot()?;
    let account = format!("system:serviceaccount:{}:robot", admin.namespace);
    robot
        .run("auth whoami -o jsonpath={.status.userInfo.username}")
        .has(&account)?;
    robot.run("auth can-i get pods").refused_with("no")?;
    robot.run("get pods").refused_with(&format!(
        "pods is forbidden: User \"{account}\" cannot list resource \"pods\" in API group \"\" in the namespace \"{}\"",
        admin.namespace
    ))?;
    admin
        .run("create role reader --verb=get,list --resource=pods,pods/log")
        .ok()?;
    admin
        .run("create rolebinding reads --role=reader --serviceaccount=NS:robot")
        .ok()?;
    robot.run("auth can-i get pods").has("yes")?;
    robot.run("auth can-i get pods --subresource=log").has("yes")?;
    robot.run("auth can-i get pods --subresource=exec").refused_with("no")?;
    robot.run("auth can-i get pods -n default").refused_with("no")?;
    robot.run("get pods").has("No resources found")?;
    let list = robot.run("auth can-i --list").ok()?;
    let row = list
        .lines()
        .find(|line| line.starts_with("pods/log"))
        .unwrap_or_default();
    if row.split_whitespace().collect::<Vec<_>>() != ["pods/log", "[]", "[]", "[get", "list]"] {
        return Err(list);
    }
    admin.run("delete serviceaccount robot").ok()?;
    robot
        .run("get pods")
        .refused_with("You must be logged in to the server (Unauthorized)")
}

fn impersonation(ground: &Ground) -> Result<(), String> {
    let admin = Shell::new(ground);
    let jane = admin.with(&["--as", "jane", "--as-group", "devs", "--as-uid", "u1"]);
    jane.run("auth whoami -o jsonpath={.status.userInfo}")
        .has(r#"{"groups":["devs","system:authenticated"],"uid":"u1","username":"jane"}"#)?;
    jane.run("get configmaps")
        .refused_with("User \"jane\" cannot list resource \"configmaps\"")?;
    admin
        .run("create rolebinding devs --clusterrole=view --group=devs")
        .ok()?;
    jane.run("get configmaps").has("kube-root-ca.crt")?;
    admin
        .with(&["--as", "jane"])
        .run("get configmaps")
        .refused_with("Forbidden")?;
    let account = admin.with(&[
        "--as",
        "system:serviceaccount:NS:default"
            .replace("NS", &admin.namespace)
            .as_str(),
    ]);
    account.run("auth can-i create pods").has("yes")?;
    let robot = admin.robot()?;
    let as_admin: Vec<&str> = robot
        .who
        .iter()
        .map(String::as_str)
        .chain(["--as", "kubernetes-admin"])
        .collect();
    admin
        .with(&as_admin)
        .run("get pods")
        .refused_with("cannot impersonate resource \"users\" in API group \"\" at the cluster scope")
}

fn certificates(ground: &Ground) -> Result<(), String> {
    let admin = Shell::new(ground);
    let pki = ground.directory().join("cluster/pki");
    let key = KeyPair::from_pem(&std::fs::read_to_string(pki.join("ca.key")).unwrap()).unwrap();
    let named = |names: &[(DnType, &str)]| {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, name) in names {
            parameters.distinguished_name.push(kind.clone(), *name);
        }
        parameters
    };
    let issuer = Issuer::new(named(&[(DnType::CommonName, "kubernetes")]), key);
    let mut parameters = named(&[(DnType::CommonName, "carol"), (DnType::OrganizationName, "auditors")]);
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let own = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&own, &issuer).unwrap();
    let path = |name: &str| {
        ground
            .directory()
            .join(format!("{}-{name}", admin.namespace))
            .display()
            .to_string()
    };
    std::fs::write(path("crt"), certificate.pem()).unwrap();
    std::fs::write(path("key"), own.serialize_pem()).unwrap();
    // A kubeconfig with nothing but the certificate: a token would come first.
    let view = admin.run("config view --raw -o json").ok()?;
    let mut config: serde_json::Value = serde_json::from_str(&view).unwrap();
    config["users"][0]["user"] = json!({"client-certificate": path("crt"), "client-key": path("key")});
    std::fs::write(path("config"), config.to_string()).unwrap();
    let carol = admin.with(&["--kubeconfig", &path("config")]);
    carol
        .run("auth whoami -o jsonpath={.status.userInfo}")
        .has(r#"{"groups":["auditors","system:authenticated"],"username":"carol"}"#)?;
    carol
        .run("get pods")
        .refused_with("User \"carol\" cannot list resource \"pods\"")?;
    admin
        .run("create rolebinding auditors --clusterrole=view --group=auditors")
        .ok()?;
    carol.run("get pods").has("No resources found")
}

fn escalation(ground: &Ground) -> Result<(), String> {
    let admin = Shell::new(ground);
    let robot = admin.robot()?;
    admin.run("create role manager --verb=create,get,update,patch --resource=roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io").ok()?;
    admin.run("create role reader --verb=get --resource=pods").ok()?;
    for role in ["manager", "reader"] {
        admin
            .run(&format!(
                "create rolebinding robot-{role} --role={role} --serviceaccount=NS:robot"
            ))
            .ok()?;
    }
    robot
        .run("create role same --verb=get --resource=pods")
        .has("created")?;
    let account = format!("system:serviceaccount:{}", admin.namespace);
    let groups = format!(
        "[\"system:serviceaccounts\" \"system:serviceaccounts:{}\" \"system:authenticated\"]",
        admin.namespace
    );
    let words = |rules: &str| {
        format!(
            "is forbidden: user \"{account}:robot\" (groups={groups}) is attempting to grant RBAC permissions not currently held:\n{rules}"
        )
    };
    robot
        .run("create role more --verb=get,delete --resource=pods,secrets")
        .refused_with(&format!("roles.rbac.authorization.k8s.io \"more\" {}", words("{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"delete\"]}")))?;
    robot
        .run("create rolebinding own --role=reader --user=u")
        .has("created")?;
    robot
        .run("create rolebinding most --clusterrole=cluster-admin --user=u")
        .refused_with(&words("{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}"))?;
    robot
        .run("create rolebinding none --role=nothing --user=u")
        .refused_with("roles.rbac.authorization.k8s.io \"nothing\" not found")?;
    robot
        .feed(
            "patch role same --type=json --patch-file=/dev/stdin",
            r#"[{"op": "add", "path": "/rules/0/verbs/-", "value": "delete"}]"#,
        )
        .refused_with("is attempting to grant RBAC permissions not currently held")?;
    admin.run("create role free --verb=escalate,bind --resource=roles.rbac.authorization.k8s.io,clusterroles.rbac.authorization.k8s.io").ok()?;
    admin
        .run("create rolebinding robot-free --role=free --serviceaccount=NS:robot")
        .ok()?;
    robot
        .run("create role more --verb=get,delete --resource=pods,secrets")
        .has("created")?;
    robot
        .run("create rolebinding most --clusterrole=cluster-admin --user=u")
        .has("created")
}

fn aggregation(ground: &Ground) -> Result<(), String> {
    let admin = Shell::new(ground);
    let roles = format!(
        r#"{{"apiVersion": "v1", "kind": "List", "items": [
        {{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {{"name": "{0}-all"}}, "rules": [],
          "aggregationRule": {{"clusterRoleSelectors": [{{"matchLabels": {{"part-of": "{0}"}}}}]}}}},
        {{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {{"name": "{0}-part", "labels": {{"part-of": "{0}"}}}},
          "rules": [{{"apiGroups": ["example.com"], "resources": ["toys"], "verbs": ["get"]}}]}},
        {{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {{"name": "{0}-rest", "labels": {{"part-of": "{0}"}}}},
          "rules": [{{"apiGroups": ["example.com"], "resources": ["games"], "verbs": ["get"]}}]}}]}}"#,
        admin.namespace
    );
    admin.feed("apply -f -", &roles).ok()?;
    admin
        .run("wait clusterrole/NS-all --for=jsonpath={.rules[0].resources[0]}=toys --timeout=10s")
        .ok()?;
    admin.run("delete clusterrole NS-part").ok()?;
    admin
        .run("wait clusterrole/NS-all --for=jsonpath={.rules[0].resources[0]}=games --timeout=10s")
        .ok()?;
    let robot = admin.robot()?;
    admin
        .run("create rolebinding robot --clusterrole=admin --serviceaccount=NS:robot")
        .ok()?;
    robot.run("auth can-i create rolebindings").has("yes")?;
    robot.run("auth can-i get secrets").has("yes")?;
    robot.run("auth can-i get nodes").refused_with("no")
}

fn paths(ground: &Ground) -> Result<(), String> {
    let admin = Shell::new(ground);
    let robot = admin.robot()?;
    robot.run("api-versions").has("apps/v1")?;
    robot.run("get --raw /openapi/v3").has("serverRelativeURL")?;
    robot.run("auth can-i get /metrics").refused_with("no")?;
    admin
        .run("create clusterrole NS-metrics --verb=get --non-resource-url=/metrics,/logs/*")
        .ok()?;
    admin
        .run("create clusterrolebinding NS-metrics --clusterrole=NS-metrics --serviceaccount=NS:robot")
        .ok()?;
    robot.run("auth can-i get /metrics").has("yes")?;
    robot.run("auth can-i get /logs/today").has("yes")?;
    robot.run("auth can-i post /metrics").refused_with("no")
}

fn reconcile(ground: &Ground) -> Result<(), String> {
    let admin = Shell::new(ground);
    let manifest = |verbs: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: r, namespace: {}}}\nrules: [{{apiGroups: [\"\"], resources: [pods], verbs: [{verbs}]}}]\n",
            admin.namespace
        )
    };
    admin
        .feed("auth reconcile -f -", &manifest("get"))
        .has("reconciliation required create")?;
    admin
        .feed("auth reconcile -f -", &manifest("get, list"))
        .has("{Verbs:[list]")?;
    admin.run("get role r -o jsonpath={.rules[*].verbs}").has("list")
}

fn token_reviews(ground: &Ground) -> Result<(), String> {
    let admin = Shell::new(ground);
    admin.run("create serviceaccount robot").ok()?;
    let token = |flags: &str| {
        admin
            .run(&format!("create token robot {flags}"))
            .ok()
            .map(|token| token.trim().to_owned())
    };
    let (plain, vault) = (token("")?, token("--audience=vault")?);
    let reviews: Api<TokenReview> = Api::all(ground.bench.client.clone());
    let ask = |token: &str, audiences: Option<Vec<String>>| {
        let spec = TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences,
        };
        let review = TokenReview {
            spec,
            ..TokenReview::default()
        };
        ground
            .runtime
            .block_on(reviews.create(&PostParams::default(), &review))
            .unwrap()
            .status
            .unwrap()
    };
    let known = ask(&plain, None);
    let user = known.user.unwrap_or_default();
    let expected = format!("system:serviceaccount:{}:robot", admin.namespace);
    if known.authenticated != Some(true) || user.username.as_deref() != Some(&expected) {
        return Err(format!("{user:?}"));
    }
    let answers = [
        ask(&vault, None).authenticated == Some(true),
        ask(&vault, Some(vec!["vault".into()])).authenticated == Some(true),
        ask("no token", None).authenticated == Some(true),
    ];
    if answers != [false, true, false] {
        return Err(format!("{answers:?}"));
    }
    admin
        .with(&["--token", &vault])
        .run("get pods")
        .refused_with("Unauthorized")
}

fn access_reviews(ground: &Ground) -> Result<(), String> {
    let admin = Shell::new(ground);
    let namespace = admin.namespace.as_str();
    admin
        .run("create rolebinding viewers --clusterrole=view --group=viewers")
        .ok()?;
    let client = ground.bench.client.clone();
    let attributes = json!({"namespace": namespace, "verb": "list", "resource": "pods"});
    let spec = json!({"user": "dan", "groups": ["viewers"], "resourceAttributes": attributes});
    let review: SubjectAccessReview = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
    let local: LocalSubjectAccessReview = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let locals: Api<LocalSubjectAccessReview> = Api::namespaced(client, namespace);
    ground.runtime.block_on(async {
        let reason = format!(
            "RBAC: allowed by RoleBinding \"viewers/{namespace}\" of ClusterRole \"view\" to Group \"viewers\""
        );
        let status = reviews
            .create(&PostParams::default(), &review)
            .await
            .unwrap()
            .status
            .unwrap();
        if (status.allowed, status.reason.as_deref()) != (true, Some(reason.as_str())) {
            return Err(format!("{status:?}"));
        }
        let status = locals
            .create(&PostParams::default(), &local)
            .await
            .unwrap()
            .status
            .unwrap();
        let mut nobody = review.clone();
        nobody.spec.groups = None;
        let denied = reviews
            .create(&PostParams::default(), &nobody)
            .await
            .unwrap()
            .status
            .unwrap();
        if (status.allowed, denied.allowed) != (true, false) {
            return Err(format!("{status:?} {denied:?}"));
        }
        nobody.spec.user = None;
        match reviews.create(&PostParams::default(), &nobody).await {
            Err(kube::Error::Api(status))
                if status
                    .message
                    .contains("at least one of user or group must be specified") =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
}
