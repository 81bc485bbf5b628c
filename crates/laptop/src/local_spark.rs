//! A Spark of this machine that a command runs beside everything else: found or installed, kept to itself, gone with what it wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stoke_model::conf::properties;
use stoke_runtime::{Runtime, Runtimes, Version};
use tokio::process::Command;

use crate::error::Outcome;
use crate::home::Home;
use crate::images;
use crate::report::Reporter;

/// A Spark with what runs it.
pub struct AtHand {
    /// The version, as the job names it.
    pub named: String,
    /// The Spark.
    pub runtime: Runtime,
    /// `JAVA_HOME`.
    pub java: PathBuf,
}

/// The Spark of a version, installed when it is missing; else why it cannot be had, and what to do about it.
pub fn at_hand(runtimes: &Runtimes, named: &str, reporter: &mut dyn Reporter) -> Result<AtHand, (String, String)> {
    let version: Version = named.parse().map_err(|error| {
        (
            format!("Spark {named}: {error}"),
            "name a whole version, for example 4.1.4, or say --spark".to_owned(),
        )
    })?;
    let refused = |error: &dyn std::fmt::Display| {
        (
            error.to_string().replace('\n', "; "),
            format!("`stoke runtime install {named}`"),
        )
    };
    let java = runtimes.java(&version, None).map_err(|error| refused(&error))?;
    let runtime = match runtimes.find(&version).map_err(|error| refused(&error))? {
        Some(runtime) => runtime,
        None => {
            tokio::task::block_in_place(|| images::install(runtimes, &version, false, reporter)).map_err(|failure| {
                (
                    failure.diagnostic.message.clone(),
                    failure.diagnostic.fix_text().to_owned(),
                )
            })?
        }
    };
    Ok(AtHand {
        named: named.to_owned(),
        runtime,
        java: java.home,
    })
}

/// A directory of one's own, gone when it is dropped.
pub fn private(home: &Home) -> Outcome<Scratch> {
    let root = home.root().join("scratch");
    std::fs::create_dir_all(&root)?;
    for number in 0.. {
        let path = root.join(format!("check-{}-{number}", std::process::id()));
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => return Ok(made.map(|()| Scratch(path))?),
        }
    }
    unreachable!("the loop ends only by returning")
}

/// A directory that goes with this value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sets what keeps a Spark to itself: no UI, no address but this machine's own, all of its files below a directory.
pub fn keep_apart(properties: &mut BTreeMap<String, String>, scratch: &Path) {
    let below = |name: &str| scratch.join(name).display().to_string();
    for (key, value) in [
        ("spark.ui.enabled", "false".to_owned()),
        ("spark.driver.host", "127.0.0.1".to_owned()),
        ("spark.driver.bindAddress", "127.0.0.1".to_owned()),
        ("spark.local.dir", below("local")),
        ("spark.sql.warehouse.dir", below("warehouse")),
    ] {
        properties.insert(key.to_owned(), value);
    }
}

/// Writes a file of Spark's properties.
///
/// # Errors
/// When it cannot be written.
pub fn write_properties(file: &Path, properties: &BTreeMap<String, String>) -> std::io::Result<()> {
    std::fs::write(file, properties::store(properties, []))
}

/// Writes what Spark's libraries need to know of this machine into a directory of its configuration. It runs outside of a container here, where snappy-java takes a machine that has musl
/// installed beside its own C library for one of musl, and loads the library for that: the other one is named.
///
/// # Errors
/// When it cannot be written.
pub fn configure(spark: &AtHand, conf: &Path) -> std::io::Result<()> {
    match stoke_sandbox::has_foreign_loader() {
        true => name_snappy(&spark.runtime.spark_home.join("jars"), conf),
        false => Ok(()),
    }
}

/// Takes snappy's library for glibc out of its jar, and names it where snappy-java looks first: `org-xerial-snappy.properties` of its class path. A Spark without that jar needs nothing.
fn name_snappy(jars: &Path, conf: &Path) -> std::io::Result<()> {
    let is_snappy = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("snappy-java-") && name.ends_with(".jar")
    };
    let mut jars = std::fs::read_dir(jars)?.flatten().map(|entry| entry.path());
    let Some(jar) = jars.find(is_snappy) else { return Ok(()) };
    let mut archive = zip::ZipArchive::new(std::fs::File::open(jar)?)?;
    let library = format!("org/xerial/snappy/native/Linux/{}/{SNAPPY}", std::env::consts::ARCH);
    // One that is not made for this machine is looked for by snappy-java, as ever.
    let Ok(mut entry) = archive.by_name(&library) else {
        return Ok(());
    };
    std::io::copy(&mut entry, &mut std::fs::File::create(conf.join(SNAPPY))?)?;
    let properties = format!("org.xerial.snappy.lib.path={}\n", conf.display());
    std::fs::write(conf.join("org-xerial-snappy.properties"), properties)
}

/// The library of snappy-java.
const SNAPPY: &str = "libsnappyjava.so";

/// `spark-submit` with properties and nothing of the user's own settings; the program and its arguments are still to come.
pub fn submit(spark: &AtHand, master: &str, properties: &Path, conf: &Path) -> Command {
    let mut command = Command::new(spark.runtime.spark_home.join("bin/spark-submit"));
    command.args(["--master", master, "--properties-file"]).arg(properties);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["PYTHON", "PYSPARK", "SPARK_"]
            .iter()
            .any(|begin| name.starts_with(begin))
        {
            command.env_remove(name);
        }
    }
    let interpreter = spark
        .runtime
        .python
        .as_ref()
        .map(|python| python.environment.join("bin/python3"));
    command
        .env("SPARK_HOME", &spark.runtime.spark_home)
        .env("JAVA_HOME", &spark.java)
        .env("SPARK_CONF_DIR", conf)
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .env("PYSPARK_PYTHON", interpreter.unwrap_or_else(|| "python3".into()));
    command
}
