//! What every code means: `stoke explain CODE`. The table is `codes.txt`.

use stoke_diagnostics::codes::{Code, Table, lines};

/// The codes of this room.
pub const TABLE: Table = Table { room: "observe", read };

fn read() -> Vec<Code> {
    lines(concat!(include_str!("codes.txt"), include_str!("slo/codes.txt")))
}
