//! `jupyter/*-notebook`: JupyterLab with a client of Spark Connect, as `start-notebook.py` of those images starts it.
//!
//! `JUPYTER_TOKEN` and `SPARK_REMOTE` reach it as they are; `JUPYTER_PORT` and `NOTEBOOK_ARGS` are as in the images.

use super::{Plan, Situation};

const PORT: u16 = 8888;

pub(super) fn plan(situation: &Situation<'_>, words: &[String]) -> Result<Plan, String> {
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    match texts[..] {
        [
            "start-notebook.py" | "start-notebook.sh" | "start-singleuser.py" | "jupyter-lab",
            ..,
        ] => Ok(lab(situation, &words[1..])),
        ["jupyter", "lab" | "notebook", ..] => Ok(lab(situation, &words[2..])),
        ["jupyter", ..] => {
            let mut command = vec![situation.python(), "-m".into(), "jupyter".into()];
            command.extend_from_slice(&words[1..]);
            Ok(Plan::plain(&command))
        }
        ["start.sh", ..] if words.len() > 1 => plan(situation, &words[1..]),
        ["start.sh"] => Ok(lab(situation, &[])),
        _ => Ok(Plan::plain(words)),
    }
}

fn lab(situation: &Situation<'_>, arguments: &[String]) -> Plan {
    let own = situation.variable("NOTEBOOK_ARGS").unwrap_or_default();
    let own = own.split_whitespace().map(str::to_owned);
    let all: Vec<String> = arguments.iter().cloned().chain(own).collect();
    let says = |names: &[&str]| {
        let named = |word: &String| {
            names
                .iter()
                .any(|name| word == name || word.starts_with(&format!("{name}=")))
        };
        all.iter().any(named)
    };
    // A service called `jupyter` has Kubernetes set JUPYTER_PORT to a URL, which Jupyter does not start with.
    let port = situation
        .variable("JUPYTER_PORT")
        .and_then(|port| port.parse().ok())
        .unwrap_or(PORT);
    let mut command = ["-m", "jupyterlab", "--no-browser"].map(str::to_owned).to_vec();
    command.insert(0, situation.python());
    if !says(&["--ip", "--ServerApp.ip"]) {
        command.push(format!("--ServerApp.ip={}", situation.address));
    }
    if !says(&["--port", "--ServerApp.port"]) {
        command.push(format!("--ServerApp.port={port}"));
    }
    let everywhere = |word: &String| match word.split_once('=') {
        Some((name @ ("--ip" | "--ServerApp.ip"), "*" | "''" | "")) => format!("{name}={}", situation.address),
        _ => situation.own_address(word),
    };
    command.extend(all.iter().map(everywhere));
    Plan {
        command,
        set: vec![("JUPYTER_PORT".into(), port.to_string())],
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::planned;

    #[test]
    fn the_images_ways_to_start_lead_to_one_server() {
        let command = |environment: &[(&str, &str)], words: &[&str]| {
            planned(super::plan, environment, &[], words).unwrap().command.join(" ")
        };
        let usual = "/p/venv/bin/python -m jupyterlab --no-browser --ServerApp.ip=127.7.1.9 --ServerApp.port=8888";
        for words in [
            &["start-notebook.py"][..],
            &["start-notebook.sh"],
            &["start.sh", "jupyter", "lab"],
            &["jupyter", "lab"],
            &["start.sh"],
        ] {
            assert_eq!(command(&[], words), usual);
        }
        assert_eq!(
            command(&[("JUPYTER_PORT", "tcp://127.7.192.3:8888")], &["jupyter-lab"]),
            usual
        );
        let own = command(
            &[("NOTEBOOK_ARGS", "--ip=*")],
            &["start-notebook.py", "--ServerApp.port=9999"],
        );
        assert_eq!(
            own,
            "/p/venv/bin/python -m jupyterlab --no-browser --ServerApp.port=9999 --ip=127.7.1.9"
        );
        assert_eq!(
            command(&[], &["jupyter", "--paths"]),
            "/p/venv/bin/python -m jupyter --paths"
        );
        assert_eq!(command(&[], &["start.sh", "python3", "x.py"]), "python3 x.py");
    }

    #[test]
    fn a_port_of_a_service_is_none() {
        let plan = planned(
            super::plan,
            &[("JUPYTER_PORT", "tcp://127.7.192.3:8888")],
            &[],
            &["start.sh"],
        )
        .unwrap();
        assert_eq!(plan.set, [("JUPYTER_PORT".to_owned(), "8888".to_owned())]);
    }
}
