//! Deletion vectors: positions of deleted rows as a Roaring bitmap of 64 bits.
//!
//! Delta tables and Iceberg v3 keep the same bytes: a length, a magic number, the bitmap in Roaring's portable form, and a CRC-32.

use roaring::RoaringTreemap;

/// What the bitmap begins with.
const MAGIC: [u8; 4] = [0xD1, 0xD3, 0x39, 0x64];

/// The bitmap of a vector without its length and checksum, as it stands in a log.
///
/// # Errors
/// When it is none.
pub(super) fn of_bitmap(bytes: &[u8]) -> Result<RoaringTreemap, String> {
    let rest = bytes
        .strip_prefix(&MAGIC)
        .ok_or("the deletion vector does not begin with its magic number")?;
    RoaringTreemap::deserialize_from(rest).map_err(|error| format!("the deletion vector: {error}"))
}

/// The bitmap of a vector with its length before it and its checksum after it, as it stands in a file.
///
/// # Errors
/// When it is none, or its length or checksum are otherwise.
pub(super) fn of_stretch(bytes: &[u8]) -> Result<RoaringTreemap, String> {
    let short = || "the deletion vector ends too early".to_owned();
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
    let length = u32::from_be_bytes(*length) as usize;
    let (bitmap, checksum) = (rest.get(..length), rest.get(length..length + 4));
    let (bitmap, checksum) = bitmap.zip(checksum).ok_or_else(short)?;
    let mut crc = flate2::Crc::new();
    crc.update(bitmap);
    if checksum != crc.sum().to_be_bytes() {
        return Err("the checksum of the deletion vector is another".into());
    }
    of_bitmap(bitmap)
}

/// Base 85 as ZeroMQ writes it (Z85): five characters for four bytes.
///
/// # Errors
/// When a character is none of its 85, or characters are missing.
pub(super) fn z85(text: &str) -> Result<Vec<u8>, String> {
    const DIGITS: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let strange = || format!("{text:?} is not of base 85");
    if !text.len().is_multiple_of(5) {
        return Err(strange());
    }
    let mut bytes = Vec::with_capacity(text.len() / 5 * 4);
    for group in text.as_bytes().chunks(5) {
        let mut number = 0_u64;
        for character in group {
            let digit = DIGITS.iter().position(|digit| digit == character).ok_or_else(strange)?;
            number = number * 85 + digit as u64;
        }
        bytes.extend(u32::try_from(number).map_err(|_| strange())?.to_be_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_85_is_read() {
        assert_eq!(
            z85("HelloWorld").unwrap(),
            [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B]
        );
        assert!(z85("Hell").is_err());
        assert!(z85("#####").is_err());
        assert!(z85("Hel\"o").is_err());
    }

    #[test]
    fn what_is_no_vector_is_told() {
        let mut map = RoaringTreemap::new();
        map.insert_range(3..70_000);
        let mut bytes = MAGIC.to_vec();
        map.serialize_into(&mut bytes).unwrap();
        assert_eq!(of_bitmap(&bytes).unwrap(), map);
        let mut stretch = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        stretch.extend(&bytes);
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        stretch.extend(crc.sum().to_be_bytes());
        assert_eq!(of_stretch(&stretch).unwrap(), map);
        for length in 0..stretch.len() {
            assert!(of_stretch(&stretch[..length]).is_err(), "{length}");
        }
        stretch[9] ^= 1;
        assert!(of_stretch(&stretch).unwrap_err().contains("checksum"));
    }
}
