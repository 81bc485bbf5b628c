//! Quantities: any text is answered; the canonical form reads as the same amount and is its own canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stoke_model::quantity::Quantity;

fuzz_target!(|text: &str| {
    if let Ok(quantity) = text.parse::<Quantity>() {
        let canonical = quantity.to_string();
        let again: Quantity = canonical.parse().unwrap();
        assert_eq!(again, quantity);
        assert_eq!(again.to_string(), canonical);
        let _ = (quantity.bytes(), quantity.millicores(), quantity + quantity);
    }
});
