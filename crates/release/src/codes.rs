//! What the codes of releases mean. The table is `codes.txt`.

use stoke_diagnostics::codes::{Code, Table, lines};

/// The codes of this room.
pub const TABLE: Table = Table { room: "release", read };

fn read() -> Vec<Code> {
    lines(include_str!("codes.txt"))
}
