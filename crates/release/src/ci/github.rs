//! A workflow of GitHub Actions.

use serde_json::{Value, json};

use super::Step;

pub const HEAD: &str = "Written by `stoke ci init`. It needs `stoke` on the runner, and STOKE_RELEASES: the place where releases are kept.";

pub fn workflow(steps: &[Step]) -> Value {
    let only = "github.ref_name == github.event.repository.default_branch";
    let of = |step: &Step| {
        let mut value = json!({"name": step.name, "run": step.lines.join("\n")});
        if step.releases {
            value["if"] = json!(only);
        }
        if step.signs {
            // A secret is a text there; what signs wants a file, which only lives as long as the step.
            let file = "umask 077\nSTOKE_KEY=\"$RUNNER_TEMP/stoke.key\"\ntrap 'rm -f \"$STOKE_KEY\"' EXIT\nprintf '%s\\n' \"$STOKE_KEY_TEXT\" > \"$STOKE_KEY\"";
            value["run"] = json!(format!("{file}\n{}", step.lines.join("\n")));
            value["env"] = json!({"STOKE_KEY_TEXT": "${{ secrets.STOKE_KEY }}", "COSIGN_PASSWORD": "${{ secrets.COSIGN_PASSWORD }}"});
        }
        value
    };
    let mut all = vec![json!({"uses": "actions/checkout@v4"})];
    all.extend(steps.iter().map(of));
    json!({
        "name": "stoke",
        "on": {"push": {}, "pull_request": {}},
        "permissions": {"contents": "read"},
        // One at a time: the ledger would hold the second one up anyway.
        "concurrency": {"group": "stoke-${{ github.ref }}"},
        // A variable that is not there is empty, and is not used.
        "env": {"STOKE_RELEASES": "${{ vars.STOKE_RELEASES }}", "STOKE_LEDGER": "${{ vars.STOKE_LEDGER }}"},
        "jobs": {"stoke": {"runs-on": "self-hosted", "timeout-minutes": 60, "steps": all}},
    })
}
