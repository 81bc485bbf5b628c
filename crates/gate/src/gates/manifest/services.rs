//! Ports that a Service names, in the pods of the job that it selects.

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::{Document, Node, join, join_index, nearest};

use crate::Settings;
use crate::gates::pods::template;
use crate::job::Job;

/// Named ports of services that no pod has which they select, where the job has such pods.
pub(super) fn look(job: &Job, settings: &Settings) -> Vec<Diagnostic> {
    let services = job
        .documents()
        .filter(|document| document.kind == "Service" && document.api_version == "v1");
    services
        .flat_map(|service| of_service(service, job, settings))
        .collect()
}

fn of_service(service: &Document, job: &Job, settings: &Settings) -> Vec<Diagnostic> {
    let wanted = service.node.lookup("spec.selector").map_or(&[][..], Node::entries);
    let named = service
        .node
        .lookup("spec.ports")
        .map_or(&[][..], Node::items)
        .iter()
        .enumerate();
    let named: Vec<(usize, &Node, &str)> = named
        .filter_map(|(index, port)| {
            let target = port.get("targetPort")?;
            Some((index, target, target.as_str()?))
        })
        .collect();
    if wanted.is_empty() || named.is_empty() {
        return Vec::new();
    }
    let namespace = settings.namespace_of(service);
    let pods = job
        .documents()
        .filter(|document| settings.namespace_of(document) == namespace);
    let pods = pods.filter_map(|document| {
        let (path, _) = template(document)?;
        let pod = if path.is_empty() {
            Some(&document.node)
        } else {
            document.node.lookup(path)
        }?;
        let labels = pod.lookup("metadata.labels")?;
        let has = |entry: &stoke_model::manifest::Entry| {
            labels
                .get(&entry.key)
                .is_some_and(|value| value.content == entry.value.content)
        };
        wanted.iter().all(has).then_some(pod)
    });
    let pods: Vec<&Node> = pods.collect();
    if pods.is_empty() {
        return Vec::new();
    }
    let containers = pods.iter().flat_map(|pod| {
        let lists = ["spec.containers", "spec.initContainers"];
        lists
            .into_iter()
            .filter_map(|list| pod.lookup(list))
            .flat_map(Node::items)
    });
    let ports = containers
        .filter_map(|container| container.get("ports"))
        .flat_map(Node::items);
    let ports: Vec<&str> = ports.filter_map(|port| port.get("name")?.as_str()).collect();
    let lacking = named
        .into_iter()
        .filter(|(_, _, name)| !ports.contains(name) && !name.contains('$') && name.parse::<u16>().is_err());
    lacking
        .map(|(index, node, name)| {
            let path = join(&join_index("spec.ports", index), "targetPort");
            let message = format!(
                "no container of the pods that this service selects has a port called `{name}`: nothing answers"
            );
            let fix = match nearest(name, ports.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if ports.is_empty() => "write the number of the port, or name the container's port".to_owned(),
                None => format!("write one of {}", ports.join(", ")),
            };
            Diagnostic::at(
                Severity::Error,
                "unknown-port",
                &service.source,
                node.place,
                &path,
                message,
            )
            .with_fix(fix)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::gates::found;
    use crate::gates::manifest::look;

    #[test]
    fn a_services_ports_are_those_of_its_pods() {
        let pods = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b, c: d}}\n    spec: {containers: [{name: c, image: x, ports: [{name: http, containerPort: 80}]}]}\n";
        for (selector, target, wrong) in [
            ("{a: b}", "http", false),
            ("{a: b}", "80", false),
            ("{a: b}", "htpp", true),
            ("{a: b}", "web", true),
            // Pods that are not among the files.
            ("{a: x}", "web", false),
            ("{a: b, z: z}", "web", false),
        ] {
            let service = format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec:\n  selector: {selector}\n  ports: [{{port: 80, targetPort: {target}}}]\n"
            );
            let found = found(&[("d.yaml", pods), ("s.yaml", &service)], look);
            let codes: Vec<&str> = found.iter().map(|one| &*one.code).collect();
            assert_eq!(
                codes,
                if wrong { vec!["unknown-port"] } else { vec![] },
                "{selector} {target}"
            );
        }
    }
}
