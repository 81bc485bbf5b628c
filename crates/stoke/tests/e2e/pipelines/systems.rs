//! What the systems themselves say of their files, and of files that are wrong.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::Failed;

use super::World;
use crate::common::{Context, expect_code, expect_parts, repository, stoke, text};

const TEKTON: &str = "github.com/tektoncd/pipeline v1.1.0";
const ARGO: &str = "github.com/argoproj/argo-workflows/v3 v3.6.2";
const GROOVY: &str = "4.0.33";

/// The file of a system, with and without an image.
fn files(system: &str) -> Result<[String; 2], Failed> {
    let home = tempfile::tempdir()?;
    let mut made = Vec::new();
    for more in [[].as_slice(), &["--image", "registry.example.com/team/etl:main"]] {
        let output = stoke(home.path(), ["ci", "init", system, "--print"].iter().chain(more)).output()?;
        expect_code(&output, 0)?;
        made.push(String::from_utf8(output.stdout)?);
    }
    made.try_into().map_err(|_| "two files".into())
}

/// Every file is taken, and each of the changes is refused with these words.
fn judged(
    system: &str,
    judge: impl Fn(&Path) -> std::io::Result<Output>,
    changes: &[(&str, &str, &str)],
) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("file.yaml");
    for file in files(system)? {
        std::fs::write(&path, &file)?;
        expect_code(&judge(&path)?, 0)?;
        for (from, to, words) in changes {
            let wrong = file.replacen(from, to, 1);
            if wrong == file {
                return Err(format!("{from} is not in the file").into());
            }
            std::fs::write(&path, wrong)?;
            let output = judge(&path)?;
            if output.status.success() {
                return Err(format!("{system} takes {to}").into());
            }
            expect_parts(&text(&output), &[words])?;
        }
    }
    Ok(())
}

fn schema(python: &Path, arguments: &[&str], file: &Path) -> std::io::Result<Output> {
    Command::new(python)
        .args(["-m", "check_jsonschema"])
        .args(arguments)
        .arg(file)
        .output()
}

pub fn schemas() -> Result<(), Failed> {
    let python = stoke_testkit::python::environment("schemas", &["check-jsonschema==0.39.0"])?;
    let judge = |schema_: &'static str| {
        let python = python.clone();
        move |path: &Path| schema(&python, &["--builtin-schema", schema_], path)
    };
    judged(
        "github",
        judge("vendor.github-workflows"),
        &[("runs-on", "runs-at", "runs-at")],
    )?;
    judged(
        "gitlab",
        judge("vendor.gitlab-ci"),
        &[("rules:", "rules: 7\n  x:", "rules")],
    )
}

/// A program of this repository, built with a module of its system.
fn program(name: &str, module: &str) -> Result<PathBuf, Failed> {
    let source = std::fs::read_to_string(repository().join(format!("crates/stoke/tests/e2e/pipelines/{name}.go")))?;
    let home = stoke_testkit::target_directory().join("tmp").join(format!("ci-{name}"));
    let (kept, executable) = (home.join("main.go"), home.join(name));
    if executable.exists() && std::fs::read_to_string(&kept).is_ok_and(|kept| kept == source) {
        return Ok(executable);
    }
    std::fs::create_dir_all(&home)?;
    let _ = std::fs::remove_file(&executable);
    std::fs::write(&kept, source)?;
    std::fs::write(
        home.join("go.mod"),
        format!("module {name}\n\ngo 1.24.0\n\nrequire {module}\n"),
    )?;
    for arguments in [["mod", "tidy"].as_slice(), &["build", "-o", name, "."]] {
        let output = Command::new("go")
            .args(arguments)
            .current_dir(&home)
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local")
            .output()?;
        expect_code(&output, 0)?;
    }
    Ok(executable)
}

pub fn tekton() -> Result<(), Failed> {
    let program = program("tekton", TEKTON)?;
    let judge = |path: &Path| Command::new(&program).arg(path).output();
    judged(
        "tekton",
        judge,
        &[
            ("workingDir", "workingdirectory", "workingdirectory"),
            ("- clone", "- nothing", "nothing"),
            ("$(params.revision)", "$(params.revison)", "revison"),
            ("workspace: source", "workspace: sauce", "sauce"),
            ("operator: in", "operator: equals", "equals"),
            ("name: stoke-check", "name: stoke-chekc", "stoke-check"),
        ],
    )
}

pub fn argo() -> Result<(), Failed> {
    let program = program("argo", ARGO)?;
    let judge = |path: &Path| Command::new(&program).arg(path).output();
    judged(
        "argo",
        judge,
        &[
            ("workingDir", "workingdirectory", "workingdirectory"),
            ("- clone", "- nothing", "nothing"),
            // Parameters of the workflow may be given when it is submitted; those of a template may not.
            (
                "{{workflow.parameters.revision}}",
                "{{inputs.parameters.revision}}",
                "inputs.parameters.revision",
            ),
            ("entrypoint: pipeline", "entrypoint: pipelines", "pipelines"),
        ],
    )?;
    // The schema that Argo publishes for editors.
    let module = Command::new("go")
        .args(["list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-workflows/v3"])
        .current_dir(program.parent().unwrap_or(Path::new(".")))
        .env("GOFLAGS", "-mod=mod")
        .output()?;
    expect_code(&module, 0)?;
    let published = format!(
        "{}/api/jsonschema/schema.json",
        String::from_utf8_lossy(&module.stdout).trim()
    );
    let python = stoke_testkit::python::environment("schemas", &["check-jsonschema==0.39.0"])?;
    judged(
        "argo",
        |path: &Path| schema(&python, &["--schemafile", &published], path),
        &[("entrypoint: pipeline", "entrypoint: 7", "entrypoint")],
    )
}

/// Groovy runs the file: on a branch, on the primary one, and with mistakes.
pub fn jenkins(context: &Context) -> Result<(), Failed> {
    let jars = stoke_testkit::target_directory().join("tmp/groovy");
    let jar = jars.join(format!("groovy-{GROOVY}.jar"));
    if !jar.exists() {
        let output = Command::new("mvn")
            .args(["-q", "dependency:copy"])
            .arg(format!("-Dartifact=org.apache.groovy:groovy:{GROOVY}"))
            .arg(format!("-DoutputDirectory={}", jars.display()))
            .output()?;
        expect_code(&output, 0)?;
    }
    let world = World::new(context)?;
    world.commit("jenkins")?;
    let written = std::fs::read_to_string(world.path("job/Jenkinsfile"))?;
    let run = |text: &str, primary: bool, directory: &str| -> Result<Output, Failed> {
        let file = world.path("Jenkinsfile");
        std::fs::write(&file, text)?;
        let mut java = Command::new("java");
        world
            .ready(&mut java)?
            .arg("-cp")
            .arg(&jar)
            .arg("groovy.ui.GroovyMain")
            .arg(repository().join("crates/stoke/tests/e2e/pipelines/declarative.groovy"))
            .arg(&file)
            .current_dir(world.path(directory))
            .env("STOKE_RELEASES", world.path("releases"))
            .env("CREDENTIAL_stoke_key", world.path("stoke.key"))
            .env("CREDENTIAL_stoke_key_password", "secret");
        if primary {
            java.env("BRANCH_IS_PRIMARY", "true");
        }
        Ok(java.output()?)
    };
    for (from, to) in [
        ("steps {", "step {"),
        ("agent { label 'stoke' }", ""),
        ("disableConcurrentBuilds", "disableConcurentBuilds"),
        ("'MINUTES'", "'HALFHOURS'"),
        ("junit allowEmptyResults", "junit allowEmptyResult"),
        ("sh 'stoke", "sh 'it's"),
    ] {
        let wrong = written.replacen(from, to, 1);
        assert_ne!(wrong, written, "{from}");
        expect_code(&run(&wrong, false, "bin")?, 2)?;
    }
    world.git(&["clone", "-q", "job.git", "feature"])?;
    let output = run(&written, false, "feature")?;
    expect_code(&output, 0)?;
    expect_parts(
        &text(&output),
        &[
            "== check\n",
            "== test\n",
            "== build skipped",
            "== sign skipped",
            "== promote skipped",
        ],
    )?;
    assert!(world.released()?.is_empty());
    world.git(&["clone", "-q", "job.git", "main"])?;
    let output = run(&written, true, "main")?;
    expect_code(&output, 0)?;
    expect_parts(&text(&output), &["reports: stoke-check.xml stoke-tests.xml"])?;
    assert!(!text(&output).contains("skipped"), "{}", text(&output));
    world.done(&world.path("main"))
}
