//! `apache/airflow`: arguments are a command of `airflow`, as in the image; `AIRFLOW__*` reach it as they are.
//!
//! `_AIRFLOW_DB_MIGRATE` migrates the database before, as there. The user is the one of Airflow's simple auth manager, or of the FAB provider, which is in.

use super::{Before, Plan, Run, Situation};

pub(super) fn plan(situation: &Situation<'_>, words: &[String]) -> Result<Plan, String> {
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    let rest = match texts[..] {
        ["airflow", ..] => &words[1..],
        ["bash" | "sh" | "python" | "python3", ..] => return Ok(Plan::plain(words)),
        [first, ..] if first.starts_with('/') => return Ok(Plan::plain(words)),
        _ => words,
    };
    let airflow = |arguments: &[String]| {
        let mut command = vec![situation.python(), "-m".into(), "airflow".into()];
        command.extend(arguments.iter().map(|word| situation.own_address(word)));
        command
    };
    let mut plan = Plan::plain(&airflow(rest));
    let own_host = |name: &str| situation.variable(name).is_none_or(|host| host == "0.0.0.0");
    if own_host("AIRFLOW__API__HOST") {
        plan.set.push(("AIRFLOW__API__HOST".into(), situation.address.clone()));
    }
    // Tasks ask the API server where it listens; unsaid they ask this machine.
    let execution = "AIRFLOW__CORE__EXECUTION_API_SERVER_URL";
    if situation.variable(execution).is_none() && situation.variable("AIRFLOW__API__BASE_URL").is_none() {
        let port = situation.variable("AIRFLOW__API__PORT").unwrap_or("8080");
        plan.set.push((
            execution.into(),
            format!("http://{}:{port}/execution/", situation.address),
        ));
    }
    if situation.variable("_AIRFLOW_DB_MIGRATE").is_some() {
        plan.before.push(Before::Run(Run {
            command: airflow(&super::words(&["db", "migrate"])),
            set: plan.set.clone(),
            input: None,
        }));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::super::tests::planned;

    #[test]
    fn arguments_are_commands_of_airflow() {
        let plan = planned(super::plan, &[("_AIRFLOW_DB_MIGRATE", "true")], &[], &["standalone"]).unwrap();
        assert_eq!(plan.command.join(" "), "/p/venv/bin/python -m airflow standalone");
        assert_eq!(plan.before.len(), 1);
        assert_eq!(
            plan.set,
            [
                ("AIRFLOW__API__HOST".to_owned(), "127.7.1.9".to_owned()),
                (
                    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL".to_owned(),
                    "http://127.7.1.9:8080/execution/".to_owned()
                ),
            ]
        );
        let own = [
            ("AIRFLOW__API__HOST", "127.0.0.1"),
            ("AIRFLOW__API__BASE_URL", "http://airflow:8080"),
        ];
        assert_eq!(
            planned(super::plan, &own, &[], &["airflow", "version"]).unwrap().set,
            []
        );
        let shell = planned(super::plan, &[], &[], &["bash", "-c", "airflow version"]).unwrap();
        assert_eq!(shell.command, ["bash", "-c", "airflow version"]);
    }
}
