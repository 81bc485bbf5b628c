//! `ghcr.io/projectnessie/nessie`: an Iceberg REST catalogue. It reads `QUARKUS_*` and `NESSIE_*`, and `config/application.properties` in `/deployments`.

use super::{Plan, Situation};

const JAR: &str = "nessie-quarkus-0.99.0-runner.jar";

pub(super) fn plan(situation: &Situation<'_>, words: &[String]) -> Result<Plan, String> {
    if words.first().is_some_and(|first| !first.starts_with('-')) {
        return Ok(Plan::plain(words));
    }
    let mut command = vec![situation.java(), format!("-Xmx{}m", situation.heap(60, 400))];
    for name in ["JAVA_OPTS", "JAVA_OPTS_APPEND"] {
        command.extend(
            situation
                .variable(name)
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned),
        );
    }
    command.extend(words.iter().cloned());
    command.extend(["-jar".to_owned(), format!("{}/{JAR}", situation.jars())]);
    let mut plan = Plan::plain(&command);
    for name in ["QUARKUS_HTTP_HOST", "QUARKUS_MANAGEMENT_HOST"] {
        if situation.variable(name).is_none_or(|host| host == "0.0.0.0") {
            plan.set.push((name.into(), situation.address.clone()));
        }
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::super::tests::planned;

    #[test]
    fn both_of_its_servers_listen_at_the_pods_address() {
        let environment = [
            ("QUARKUS_HTTP_HOST", "0.0.0.0"),
            ("JAVA_OPTS_APPEND", "-Da=b"),
            ("JAVA_HOME", "/jvm"),
        ];
        let plan = planned(super::plan, &environment, &[], &[]).unwrap();
        assert_eq!(
            plan.command.join(" "),
            format!("/jvm/bin/java -Xmx400m -Da=b -jar /p/jars/{}", super::JAR)
        );
        let names: Vec<&str> = plan.set.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["QUARKUS_HTTP_HOST", "QUARKUS_MANAGEMENT_HOST"]);
        let own = planned(super::plan, &[("QUARKUS_HTTP_HOST", "127.0.0.1")], &[], &[]).unwrap();
        assert_eq!(own.set.len(), 1);
    }

    #[test]
    fn the_jar_is_the_one_of_the_lock() {
        assert!(super::super::super::catalogue::PROGRAMS.iter().any(|program| {
            let lock = super::super::super::lock::Lock::read(program.lock_text(), "x86_64").unwrap();
            lock.artifacts.iter().any(|artifact| artifact.file() == super::JAR)
        }));
    }
}
