//! `ghcr.io/mlflow/mlflow`: the image has no entrypoint; manifests give `mlflow server …`. PostgreSQL's and S3's clients are in.

use std::path::Path;

use super::{Plan, Situation};

pub(super) fn plan(situation: &Situation<'_>, words: &[String]) -> Result<Plan, String> {
    let Some(("mlflow", rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
        return Ok(Plan::plain(words));
    };
    let mut command = vec![situation.python(), "-m".into(), "mlflow".into()];
    command.extend(rest.iter().map(|word| situation.own_address(word)));
    let mut plan = Plan::plain(&command);
    // A service called `mlflow` has Kubernetes set MLFLOW_PORT to a URL, which MLflow takes for its own and refuses.
    if situation
        .variable("MLFLOW_PORT")
        .is_some_and(|port| port.parse::<u16>().is_err())
    {
        plan.remove.push("MLFLOW_PORT");
    }
    if let Some(hosts) = situation.variable("MLFLOW_SERVER_ALLOWED_HOSTS") {
        allow_addresses(situation, hosts, &mut plan);
    }
    if situation.variable("MLFLOW_HOST") == Some("0.0.0.0") {
        plan.set.push(("MLFLOW_HOST".into(), situation.address.clone()));
    }
    Ok(plan)
}

/// Clients of this machine ask by address, of the pod or of a Service: those of names that are allowed are allowed as well, and so are pages that came from there.
fn allow_addresses(situation: &Situation<'_>, hosts: &str, plan: &mut Plan) {
    let allowed: Vec<&str> = hosts.split(',').map(str::trim).collect();
    let file = (situation.read)(Path::new("/etc/hosts")).unwrap_or_default();
    let mut addresses = vec![situation.address.as_str()];
    addresses.extend(file.lines().filter_map(|line| {
        let mut fields = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = fields.next()?;
        fields.any(|name| allowed.contains(&name)).then_some(address)
    }));
    addresses.sort_unstable();
    addresses.dedup();
    let with = |variable: &str, begin: &str| {
        let own = situation.variable(variable).into_iter().map(str::to_owned);
        let more = addresses.iter().map(|address| match begin.is_empty() {
            true => format!("{address},{address}:*"),
            false => format!("{begin}{address}:*"),
        });
        own.chain(more).collect::<Vec<_>>().join(",")
    };
    for (variable, begin) in [
        ("MLFLOW_SERVER_ALLOWED_HOSTS", ""),
        ("MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", "http://"),
    ] {
        plan.set.push((variable.to_owned(), with(variable, begin)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::planned;

    #[test]
    fn it_listens_at_the_pods_address() {
        let environment = [("MLFLOW_PORT", "tcp://127.7.192.3:5000"), ("MLFLOW_HOST", "0.0.0.0")];
        let plan = planned(
            super::plan,
            &environment,
            &[],
            &["mlflow", "server", "--host", "0.0.0.0", "--port", "5000"],
        )
        .unwrap();
        assert_eq!(
            plan.command.join(" "),
            "/p/venv/bin/python -m mlflow server --host 127.7.1.9 --port 5000"
        );
        assert_eq!(
            (plan.remove, plan.set),
            (vec!["MLFLOW_PORT"], vec![("MLFLOW_HOST".into(), "127.7.1.9".into())])
        );
        let hosts = [("MLFLOW_SERVER_ALLOWED_HOSTS", "localhost,experiments.data.svc")];
        let asked = planned(super::plan, &hosts, &[], &["mlflow", "server"]).unwrap();
        assert_eq!(
            asked.set,
            [
                (
                    "MLFLOW_SERVER_ALLOWED_HOSTS".to_owned(),
                    "localhost,experiments.data.svc,127.7.1.9,127.7.1.9:*,127.7.192.5,127.7.192.5:*".to_owned()
                ),
                (
                    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS".to_owned(),
                    "http://127.7.1.9:*,http://127.7.192.5:*".to_owned()
                )
            ]
        );
        let kept = planned(super::plan, &[("MLFLOW_PORT", "5001")], &[], &["mlflow", "server"]).unwrap();
        assert_eq!((kept.remove.len(), kept.set.len()), (0, 0));
        let other = planned(super::plan, &[], &[], &["python3", "-c", "1"]).unwrap();
        assert_eq!(other.command, ["python3", "-c", "1"]);
    }
}
