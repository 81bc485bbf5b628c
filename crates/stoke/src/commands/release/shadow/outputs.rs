//! What both wrote at an output, compared as each of them sees it.

use std::sync::Arc;

use stoke_laptop::object_store;
use stoke_objectstore::REGION;
use stoke_objectstore::shadow::{Shadow, Spot};
use stoke_quality::difference::{Difference, Options};
use stoke_quality::{QualityError, Storage};
use stoke_release::shadow::Compared;
use stoke_storage::Address;

use crate::commands::quality::diff::compared;
use crate::commands::quality::files_at;
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// Lines of a comparison that are kept as evidence.
const LINES: usize = 40;

/// Compares an output of the old run with that of the new one.
pub async fn compare(
    spot: &Spot,
    shadows: &[Arc<Shadow>],
    endpoint: &str,
    options: &Options,
    terminal: &mut Terminal,
) -> Outcome<Compared> {
    let [old, new] = shadows else {
        return Ok(Compared::NotCompared);
    };
    let open = |shadow: &Shadow| -> Outcome<Storage> {
        let address = Address::parse(&spot.to_string()).map_err(super::super::storage)?;
        let access = object_store::access(endpoint, REGION, shadow.credentials());
        files_at(&address, &access).map_err(super::super::storage)
    };
    let (old, new) = (open(old)?, open(new)?);
    match compared(&old, &new, options, terminal).await? {
        Ok(found) => Ok(told(&found)),
        Err(QualityError::Interrupted) => {
            let failure = Failure::new(
                "stoke::run::interrupted",
                "interrupted while outputs were compared",
                130,
            );
            Err(failure)
        }
        Err(error) => Ok(Compared::Unread { why: error.to_string() }),
    }
}

fn told(found: &Difference) -> Compared {
    let tolerated = found.columns.iter().any(|column| column.within_tolerance > 0);
    Compared::Read {
        equal: found.is_equal(),
        within_tolerance: found.is_equal() && (tolerated || !found.distributions.is_empty()),
        old_rows: found.left.rows,
        new_rows: found.right.rows,
        lines: found.to_string().lines().take(LINES).map(str::to_owned).collect(),
        difference: serde_json::to_value(found).unwrap_or_default(),
    }
}
