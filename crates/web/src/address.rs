//! Addresses of pages: those that Spark's UI has, behind a prefix where there is one.

use std::fmt::Write;

use stoke_history::rest::{Query, decode_path};

/// A part of an address, with everything escaped that is not plain.
pub fn part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            // Writing to memory does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    match out.as_str() {
        // Browsers would take these for directories.
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => out,
    }
}

/// Where an application's pages are.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// What stands before every address: empty, or `/prefix`.
    pub base: String,
    /// Application id.
    pub id: String,
    /// Attempt id, where the application has them.
    pub attempt: Option<String>,
}

impl Place {
    /// The address of one of its pages, `jobs/`; the first page is the empty name.
    pub fn to(&self, page: &str) -> String {
        let id = part(&self.id);
        match &self.attempt {
            Some(attempt) => format!("{}/history/{id}/{}/{page}", self.base, part(attempt)),
            None => format!("{}/history/{id}/{page}", self.base),
        }
    }

    /// The address of a resource of Spark's status API, `jobs/3`.
    pub fn rest(&self, resource: &str) -> String {
        let id = part(&self.id);
        match &self.attempt {
            Some(attempt) => format!("{}/api/v1/applications/{id}/{}/{resource}", self.base, part(attempt)),
            None => format!("{}/api/v1/applications/{id}/{resource}", self.base),
        }
    }

    /// A job's page.
    pub fn job(&self, id: i32) -> String {
        self.to(&format!("jobs/job/?id={id}"))
    }

    /// A stage attempt's page.
    pub fn stage(&self, (id, attempt): (i32, i32)) -> String {
        self.to(&format!("stages/stage/?id={id}&attempt={attempt}"))
    }

    /// The page of a SQL execution.
    pub fn execution(&self, id: i64) -> String {
        self.to(&format!("SQL/execution/?id={id}"))
    }

    /// The page of a cached RDD.
    pub fn rdd(&self, id: i32) -> String {
        self.to(&format!("storage/rdd/?id={id}"))
    }
}

/// Where the page of a data contract is.
pub fn contract(base: &str, id: &str) -> String {
    format!("{base}/data/contract/?id={}", part(id))
}

/// Where the page of an objective is, of one job where each has a record of its own.
pub fn objective(base: &str, id: &str, job: Option<&str>) -> String {
    let job = job.map(|job| format!("&job={}", part(job))).unwrap_or_default();
    format!("{base}/objectives/objective/?id={}{job}", part(id))
}

/// Where the page of a runbook is.
pub fn runbook(base: &str, name: &str) -> String {
    format!("{base}/runbooks/runbook/?id={}", part(name))
}

/// Where the page of a record of a run of a runbook is.
pub fn record(base: &str, id: &str) -> String {
    format!("{base}/runbooks/record/?id={}", part(id))
}

/// Where the page of an incident is.
pub fn incident(base: &str, id: &str) -> String {
    format!("{base}/incidents/incident/?id={}", part(id))
}

/// Where the pages of an application of a cluster are.
pub fn application(base: &str, namespace: &str, name: &str, page: &str) -> String {
    format!("{base}/applications/{}/{}/{page}", part(namespace), part(name))
}

/// The parts of a path, decoded.
pub fn parts(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(decode_path).collect()
}

/// The address of this page with other parameters.
#[derive(Debug, Clone, Default)]
pub struct Here {
    path: String,
    query: Vec<(String, String)>,
}

/// Parameters pages know; others do not stay in addresses.
const KNOWN: [&str; 28] = [
    "id",
    "attempt",
    "q",
    "state",
    "sort",
    "desc",
    "page",
    "per",
    "lang",
    "a",
    "b",
    "executors",
    "cores",
    "node",
    "within",
    "by",
    "team",
    "since",
    "until",
    "plan",
    "namespace",
    "change",
    "pod",
    "container",
    "level",
    "lines",
    "graph",
    "job",
];

impl Here {
    /// This page.
    pub fn new(path: String, query: &Query) -> Here {
        let known = KNOWN
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), query.first(name)?.to_owned())));
        Here {
            path,
            query: known.collect(),
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The address with these parameters instead; those without a value are left out.
    pub fn with(&self, changed: &[(&str, &str)]) -> String {
        let kept = self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let kept = kept.filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
        let all = kept
            .chain(changed.iter().copied())
            .filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = all.map(|(name, value)| format!("{name}={}", part(value))).collect();
        match pairs.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, pairs.join("&")),
        }
    }

    /// The parameters besides these, for a form.
    pub fn without(&self, names: &[&str]) -> Vec<(String, String)> {
        let kept = self
            .query
            .iter()
            .filter(|(name, value)| !names.contains(&name.as_str()) && !value.is_empty());
        kept.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_hostile_ids_stay_below_the_application() {
        let place = |id: &str, attempt: Option<&str>| Place {
            base: "/spark".to_owned(),
            id: id.to_owned(),
            attempt: attempt.map(str::to_owned),
        };
        assert_eq!(
            place("app-1", Some("2")).job(3),
            "/spark/history/app-1/2/jobs/job/?id=3"
        );
        assert_eq!(
            place("../x?<y>", None).to("jobs/"),
            "/spark/history/..%2Fx%3F%3Cy%3E/jobs/"
        );
        assert_eq!(place("..", None).to(""), "/spark/history/%2E%2E/");
        assert_eq!(place("ä", None).rest("jobs"), "/spark/api/v1/applications/%C3%A4/jobs");
    }

    #[test]
    fn parameters_are_replaced_and_left_out() {
        let here = Here::new("/x/".to_owned(), &Query::parse("q=a%26b&page=3&evil=1&sort=name"));
        assert_eq!(here.with(&[("page", "4")]), "/x/?q=a%26b&sort=name&page=4");
        assert_eq!(here.with(&[("page", ""), ("q", ""), ("sort", "")]), "/x/");
        assert_eq!(here.without(&["q", "page"]), [("sort".to_owned(), "name".to_owned())]);
    }
}
