//! The order of the class path, and when it may be one that a class-data archive can be used with.

use std::collections::BTreeSet;

use super::Situation;
use crate::launch::Facts;

/// A class path in the order that the official images give, as three parts.
pub struct ClassPath {
    /// Entries in front of Spark's jars where order matters: the user's own jars.
    pub own: Vec<String>,
    /// Directories in front of Spark's jars: configuration, the working directory.
    pub directories: Vec<String>,
    /// Everything behind Spark's jars.
    pub behind: Vec<String>,
}

/// An ordered class path.
pub struct Ordered {
    /// The text for `-cp`.
    pub text: String,
    /// Whether it begins with Spark's jars, so that an archive made of them can be used.
    pub archive: bool,
}

impl ClassPath {
    /// Orders the class path. Spark's jars come first when that means the same: nothing of the user's own is in front of them, and no
    /// name in one of the directories is also at the root of a jar. Otherwise the official order is kept.
    pub fn order(self, situation: &Situation, facts: Option<&Facts>) -> Ordered {
        let wildcard = vec![format!("{}/jars/*", situation.spark_home())];
        let jars = facts.map_or(&wildcard, |facts| &facts.class_path);
        let archive = facts.is_some_and(|facts| self.own.is_empty() && self.is_neutral(situation, facts));
        let ClassPath {
            own,
            directories,
            behind,
        } = self;
        let parts = if archive && situation.records() {
            // A cache takes no directory with files in it, and is good for every class path that begins with the recorded one.
            [jars.clone(), Vec::new(), Vec::new(), Vec::new()]
        } else if archive {
            [jars.clone(), own, directories, behind]
        } else {
            [own, directories, jars.clone(), behind]
        };
        let mut seen = BTreeSet::new();
        let entries: Vec<String> = parts
            .into_iter()
            .flatten()
            .filter(|entry| !entry.is_empty() && seen.insert(entry.clone()))
            .collect();
        Ordered {
            text: entries.join(":"),
            archive,
        }
    }

    fn is_neutral(&self, situation: &Situation, facts: &Facts) -> bool {
        let names = self
            .directories
            .iter()
            .flat_map(|directory| situation.names_in(directory));
        // `..data` and the like are how Kubernetes lays out mounted ConfigMaps.
        names
            .filter(|name| !name.starts_with(".."))
            .all(|name| facts.root_names.binary_search(name).is_err())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            version: "4.1.4".into(),
            java_major: 17,
            java_modules: vec![],
            class_path: vec!["/opt/spark/jars/a.jar".into(), "/opt/spark/jars/b.jar".into()],
            driver_options: None,
            root_names: vec!["META-INF".into(), "core-default.xml".into(), "org".into()],
        }
    }

    fn order(own: &[&str], conf: &[&str]) -> (String, bool) {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        let situation = Situation {
            listings: [("/conf".to_owned(), list(conf))].into(),
            ..Situation::default()
        };
        let path = ClassPath {
            own: list(own),
            directories: list(&["/conf", ""]),
            behind: list(&["/extra.jar", "/conf"]),
        };
        let ordered = path.order(&situation, Some(&facts()));
        (ordered.text, ordered.archive)
    }

    #[test]
    fn jars_lead_only_when_it_means_the_same() {
        let jars = "/opt/spark/jars/a.jar:/opt/spark/jars/b.jar";
        assert_eq!(
            order(&[], &["spark.properties", "..data", "log4j2.properties"]),
            (format!("{jars}:/conf:/extra.jar"), true)
        );
        assert_eq!(
            order(&[], &["core-default.xml"]),
            (format!("/conf:{jars}:/extra.jar"), false)
        );
        assert_eq!(order(&[], &["org"]), (format!("/conf:{jars}:/extra.jar"), false));
        assert_eq!(
            order(&["/mine.jar"], &[]),
            (format!("/mine.jar:/conf:{jars}:/extra.jar"), false)
        );
    }

    #[test]
    fn a_recorded_run_has_the_jars_alone() {
        let path = ClassPath {
            own: vec![],
            directories: vec!["/conf".into()],
            behind: vec!["/extra.jar".into()],
        };
        let mut facts = facts();
        facts.java_major = 25;
        let situation = Situation {
            facts: Some(facts.clone()),
            environment: [("STOKE_RECORD".to_owned(), "yes".to_owned())].into(),
            ..Situation::default()
        };
        assert_eq!(
            path.order(&situation, Some(&facts)).text,
            "/opt/spark/jars/a.jar:/opt/spark/jars/b.jar"
        );
    }

    #[test]
    fn without_facts_it_is_the_official_path() {
        let path = ClassPath {
            own: vec![],
            directories: vec!["/opt/spark/conf".into()],
            behind: vec![],
        };
        assert_eq!(
            path.order(&Situation::default(), None).text,
            "/opt/spark/conf:/opt/spark/jars/*"
        );
    }
}
