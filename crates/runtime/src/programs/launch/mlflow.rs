//! `ghcr.io/mlflow/mlflow`: the image has no entrypoint; manifests give `mlflow server …`. PostgreSQL's and S3's clients are in.

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
    if situation.variable("MLFLOW_HOST") == Some("0.0.0.0") {
        plan.set.push(("MLFLOW_HOST".into(), situation.address.clone()));
    }
    Ok(plan)
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
        let kept = planned(super::plan, &[("MLFLOW_PORT", "5001")], &[], &["mlflow", "server"]).unwrap();
        assert_eq!((kept.remove.len(), kept.set.len()), (0, 0));
        let other = planned(super::plan, &[], &[], &["python3", "-c", "1"]).unwrap();
        assert_eq!(other.command, ["python3", "-c", "1"]);
    }
}
