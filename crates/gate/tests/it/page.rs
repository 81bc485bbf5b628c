//! The table of `docs/reference/check.md`.

use stoke_gate::Gate;
use stoke_testkit::generated;

#[test]
fn the_generated_table_has_every_gate() {
    let row = |gate: &Gate| format!("| `{gate}` | {} |\n", gate.description());
    let rows: String = Gate::ALL.iter().map(row).collect();
    let (begin, end) = (
        "| gate | what it looks at |\n| --- | --- |\n",
        "\n```sh\nstoke check --gate",
    );
    assert_eq!(generated::part("docs/reference/check.md", begin, end, &rows), Ok(()));
}
