//! The classes worth archiving: those that drivers and executors load before the user's job begins, recorded from real runs.
//!
//! A list is kept as text, one package a line, its classes below it with one space in front, so that it can be read and compared.

use crate::launch::Archive;

/// The list of an archive, as it is kept.
fn text(archive: Archive) -> &'static str {
    match archive {
        Archive::Driver => include_str!("../../classes/driver.txt"),
        Archive::Executor => include_str!("../../classes/executor.txt"),
    }
}

/// The list in the form the JVM wants: one full class name a line, with slashes.
pub fn list(archive: Archive) -> String {
    expand(text(archive))
}

fn expand(text: &str) -> String {
    let mut package = "";
    let mut list = String::with_capacity(text.len() * 2);
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix(' ') {
            Some(class) => list.extend([package, "/", class, "\n"]),
            None => package = line,
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_expanded() {
        assert_eq!(
            expand("# from real runs\njava/lang\n Object\n String\norg/apache\n A$\n"),
            "java/lang/Object\njava/lang/String\norg/apache/A$\n"
        );
    }

    #[test]
    fn the_lists_cover_what_matters() {
        for (archive, class) in [
            (Archive::Driver, "org/apache/spark/deploy/SparkSubmit"),
            (Archive::Driver, "org/apache/spark/SparkContext"),
            (Archive::Executor, "org/apache/spark/executor/Executor"),
        ] {
            assert!(list(archive).lines().any(|line| line == class), "{class}");
        }
    }
}
