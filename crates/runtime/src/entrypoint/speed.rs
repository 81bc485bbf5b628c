//! JVM flags that make a process start faster and change nothing of what it computes, nor how fast it runs once it is warm.
//!
//! They stand in front of all other options, so that the user's own win.

use std::path::Path;

use super::options;
use super::{CPU_LIMIT, MEMORY_LIMIT, PREPARED, Situation};
use crate::image::STOKE;
use crate::launch::{Archive, Facts, Method};

/// Below this much memory, or with one processor, a JVM chooses the serial collector by itself (`is_server_class_machine` of HotSpot: two
/// processors and 2 GB, less 256 MB).
const SERVER_CLASS_MEMORY: u64 = 1792 << 20;

/// HotSpot's thresholds for the optimising compiler, ten times as high as by default (5000, 600, 15000, 40000).
///
/// A process that lives some seconds otherwise spends a third of its processor time on optimising code that it soon does not need any
/// more. Code that is hot for long passes these thresholds within fractions of a second and is then optimised as always: a job of 50 s is not slower
/// for it (`benches/compiler-thresholds.py`).
const PATIENT_OPTIMISER: [&str; 4] = [
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
];

/// The flags for a process. `archive` is the one its class path fits; `options` are all other options it will have.
pub fn flags(situation: &Situation, archive: Option<Archive>, options: &[&str]) -> Vec<String> {
    let mut flags = limits(situation);
    let ambient = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"]
        .iter()
        .filter_map(|name| situation.variable(name))
        .flat_map(str::split_whitespace);
    let all: Vec<&str> = options.iter().copied().chain(ambient).collect();
    if !all.iter().any(|option| {
        ["-XX:Tier", "-XX:+Tiered", "-XX:-Tiered", "-Xint", "-Xcomp"]
            .iter()
            .any(|start| option.starts_with(start))
    }) {
        flags.extend(PATIENT_OPTIMISER.map(str::to_owned));
    }
    if !options::choose_collector(all.iter().copied()) && !is_server_class(situation) {
        flags.push("-XX:+UseSerialGC".into());
    }
    let Some(archive) = archive.filter(|_| !options::choose_archive(all.iter().copied())) else {
        return flags;
    };
    let method = situation.method();
    let file = format!("{STOKE}/launch/{}", archive.file(method));
    // Should the archive not fit after all, the JVM starts without it, and the log stays the user's.
    match method {
        Method::AheadOfTime if situation.records() => flags.extend([
            RECORDS.to_owned(),
            format!("-XX:AOTConfiguration={PREPARED}/{}", archive.recording()),
        ]),
        _ if !situation.archives.contains(&archive) => {}
        Method::AheadOfTime => flags.extend([
            format!("-XX:AOTCache={file}"),
            "-XX:AOTMode=auto".into(),
            "-Xlog:aot=off".into(),
            "-Xlog:cds=off".into(),
        ]),
        Method::ClassData => flags.extend([
            format!("-XX:SharedArchiveFile={file}"),
            "-Xshare:auto".into(),
            "-Xlog:cds=off".into(),
        ]),
    }
    flags
}

/// The flag with which a JVM records its run.
const RECORDS: &str = "-XX:AOTMode=record";

/// Keeps the options of a run that is recorded beside its recording: the cache is made with the same.
pub(super) fn note_options(situation: &Situation, command: &[String]) -> std::io::Result<()> {
    let Some((archive, options)) = recorded_options(situation, command) else {
        return Ok(());
    };
    let text = serde_json::to_vec(&options).map_err(std::io::Error::other)?;
    crate::launch::write(Path::new(PREPARED), &archive.recorded_options(), &text, 0o644)
}

/// The archive that a recorded run is for, and its options: what stands between `java` and the class path or the main class, the flags
/// of recording left out.
fn recorded_options(situation: &Situation, command: &[String]) -> Option<(Archive, Vec<String>)> {
    let archive = Archive::ALL.into_iter().find(|archive| {
        let file = format!("-XX:AOTConfiguration={PREPARED}/{}", archive.recording());
        situation.records() && command.contains(&file)
    })?;
    let mut options = Vec::new();
    let mut words = command.iter().skip(1);
    while let Some(word) = words.next() {
        if word == "-cp" {
            words.next();
        } else if word.starts_with('-') {
            options.push(word.clone());
        } else {
            break;
        }
    }
    options.retain(|option| option != RECORDS && !option.starts_with("-XX:AOTConfiguration="));
    Some((archive, options))
}

/// What a JVM in a real container would read from its control group: processors and memory.
fn limits(situation: &Situation) -> Vec<String> {
    let cpus = limit(situation, CPU_LIMIT).map(|millis| {
        format!(
            "-XX:ActiveProcessorCount={}",
            millis.div_ceil(1000).clamp(1, u64::from(situation.machine_cpus.max(1)))
        )
    });
    let memory =
        limit(situation, MEMORY_LIMIT).map(|bytes| format!("-XX:MaxRAM={}", bytes.min(situation.machine_memory)));
    cpus.into_iter().chain(memory).collect()
}

fn limit(situation: &Situation, name: &str) -> Option<u64> {
    situation.variable(name)?.parse().ok().filter(|&value| value > 0)
}

fn is_server_class(situation: &Situation) -> bool {
    let cpus = limit(situation, CPU_LIMIT).map_or(u64::from(situation.machine_cpus), |millis| millis.div_ceil(1000));
    let memory = limit(situation, MEMORY_LIMIT).unwrap_or(situation.machine_memory);
    cpus >= 2 && memory >= SERVER_CLASS_MEMORY
}

/// The options without the modules that this Java does not have: with them it would refuse to start. Spark adds the incubating vector module
/// only as an accelerator.
pub fn supported(options: &[String], facts: &Facts) -> Vec<String> {
    let there = |option: &&String| match option.strip_prefix("--add-modules=") {
        Some(module) => {
            facts.java_modules.is_empty()
                || module.contains(',')
                || module == "ALL-SYSTEM"
                || facts.java_modules.iter().any(|name| name == module)
        }
        None => true,
    };
    options.iter().filter(there).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(cpu: &str, memory: &str) -> Situation {
        Situation {
            archives: vec![Archive::Driver],
            environment: [(CPU_LIMIT, cpu), (MEMORY_LIMIT, memory)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            machine_cpus: 8,
            machine_memory: 16 << 30,
            ..Situation::default()
        }
    }

    fn flags_of(cpu: &str, memory: &str, archive: Option<Archive>, options: &[&str]) -> String {
        flags(&situation(cpu, memory), archive, options)
            .into_iter()
            .filter(|flag| !flag.contains("Tier4"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn the_collector_is_the_one_a_container_of_that_size_would_get() {
        assert_eq!(flags_of("", "", None, &[]), "");
        assert_eq!(
            flags_of("1000", "4294967296", None, &[]),
            "-XX:ActiveProcessorCount=1 -XX:MaxRAM=4294967296 -XX:+UseSerialGC"
        );
        assert_eq!(
            flags_of("1001", "4294967296", None, &[]),
            "-XX:ActiveProcessorCount=2 -XX:MaxRAM=4294967296"
        );
        assert_eq!(
            flags_of("", "1476395008", None, &[]),
            "-XX:MaxRAM=1476395008 -XX:+UseSerialGC"
        );
        assert_eq!(
            flags_of("", "1476395008", None, &["-XX:+UseG1GC"]),
            "-XX:MaxRAM=1476395008"
        );
        assert_eq!(flags_of("99000", "", None, &[]), "-XX:ActiveProcessorCount=8");
    }

    fn on_java_25(environment: &[(&str, &str)], archives: &[Archive]) -> Situation {
        let mut situation = situation("", "");
        situation.archives = archives.to_vec();
        situation.facts = Some(Facts {
            version: "4.1.4".into(),
            java_major: 25,
            java_modules: vec![],
            class_path: vec![],
            driver_options: Some(vec![]),
            root_names: vec![],
        });
        let more = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        situation.environment.extend(more);
        situation
    }

    #[test]
    fn java_25_gets_a_cache_or_records_one() {
        let text = |environment: &[(&str, &str)], archives: &[Archive], options: &[&str]| {
            flags(&on_java_25(environment, archives), Some(Archive::Executor), options)
                .into_iter()
                .filter(|flag| !flag.contains("Tier4"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let cache = "-XX:AOTCache=/opt/stoke/launch/executor.aot -XX:AOTMode=auto -Xlog:aot=off -Xlog:cds=off";
        let records = "-XX:AOTMode=record -XX:AOTConfiguration=/opt/stoke/prepared/executor.recording";
        assert_eq!(text(&[], &[Archive::Executor], &[]), cache);
        assert_eq!(text(&[], &[Archive::Driver], &[]), "");
        assert_eq!(text(&[], &[Archive::Executor], &["-XX:AOTMode=off"]), "");
        assert_eq!(text(&[("STOKE_RECORD", "yes")], &[], &[]), records);
        assert_eq!(text(&[("STOKE_RECORD", "yes")], &[Archive::Executor], &[]), records);
    }

    #[test]
    fn the_options_of_a_recorded_run_are_kept_without_its_paths() {
        let command = [
            "/java/bin/java",
            "-XX:AOTMode=record",
            "-XX:AOTConfiguration=/opt/stoke/prepared/driver.recording",
            "-cp",
            "/opt/spark/jars/a.jar",
            "-Xmx1g",
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            "org.apache.spark.deploy.SparkSubmit",
            "--conf",
            "a=b",
        ]
        .map(str::to_owned);
        let kept = ["-Xmx1g", "--add-opens=java.base/java.lang=ALL-UNNAMED"].map(str::to_owned);
        let recording = on_java_25(&[("STOKE_RECORD", "yes")], &[]);
        assert_eq!(
            recorded_options(&recording, &command),
            Some((Archive::Driver, kept.to_vec()))
        );
        assert_eq!(recorded_options(&on_java_25(&[], &[]), &command), None);
        assert_eq!(recorded_options(&recording, &command[3..]), None);
    }

    #[test]
    fn the_optimiser_is_patient_unless_the_user_speaks_of_compilation() {
        let patient = |options: &[&str]| flags(&situation("", ""), None, options).len() == PATIENT_OPTIMISER.len();
        assert!(patient(&["-Xmx1g", "-XX:+UseG1GC"]));
        for option in [
            "-XX:TieredStopAtLevel=1",
            "-XX:-TieredCompilation",
            "-XX:Tier3DelayOn=5",
            "-Xint",
        ] {
            assert!(!patient(&[option]), "{option}");
        }
    }

    #[test]
    fn the_archive_is_used_when_it_is_there_and_the_user_says_nothing() {
        let archive = "-XX:SharedArchiveFile=/opt/stoke/launch/driver.jsa -Xshare:auto -Xlog:cds=off";
        assert_eq!(flags_of("", "", Some(Archive::Driver), &["-Xmx1g"]), archive);
        assert_eq!(flags_of("", "", Some(Archive::Driver), &["-Xshare:off"]), "");
        assert_eq!(flags_of("", "", Some(Archive::Executor), &[]), "");
        let mut ambient = situation("", "");
        ambient
            .environment
            .insert("JAVA_TOOL_OPTIONS".into(), "-Da=b -XX:SharedArchiveFile=/x".into());
        assert_eq!(flags(&ambient, Some(Archive::Driver), &["-Xint"]), Vec::<String>::new());
    }
}
