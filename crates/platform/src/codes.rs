//! What the codes of this room mean. The table is `codes.txt`.

use stoke_diagnostics::codes::{Code, Table, lines};

/// The codes of this room.
pub const TABLE: Table = Table { room: "platform", read };

fn read() -> Vec<Code> {
    lines(include_str!("codes.txt"))
}
