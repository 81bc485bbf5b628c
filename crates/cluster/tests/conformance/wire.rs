//! What clients send before anything else: protobuf bodies, discovery, schemas, validation of fields.

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
        ("namespace NS-more", "namespace/NS-more created"),
        ("token robot --duration=20m", "eyJ"),
    ];
    for (command, expected) in commands {
        let command = command.replace("NS", &namespace);
        let arguments: Vec<&str> = ["create"].into_iter().chain(command.split(' ')).collect();
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
