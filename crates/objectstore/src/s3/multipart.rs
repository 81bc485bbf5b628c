//! Multipart uploads.

use std::collections::BTreeMap;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::answers::{
    checksum_type, checksums_given, etag, fill_checksums, headers_of, owner, refuse_unsupported, tags_of_header,
    timestamp, url_encoded,
};
use super::body::receive;
use super::conditions::of_write;
use super::declared::{Declared, checksums};
use super::errors::invalid_argument;
use super::objects::{MOST_BYTES, before_body};
use crate::digest::{self, Algorithm};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::list::rolled_up;
use crate::store::objects::NewObject;
use crate::store::record::{PartRecord, Record, UploadRecord};
use crate::store::uploads::{self, NewPart, Part, PartBytes, PartKey, Upload};

/// Fewest bytes of a part that is not the last: 5 MiB.
const LEAST_PART: u64 = 5 << 20;
/// Most bytes of an object: 5 TiB.
const MOST_OBJECT: u64 = 5 << 40;

fn new_id() -> S3Result<String> {
    use ring::rand::SecureRandom;
    let mut bytes = [0; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| StoreError::Internal("no random numbers".into()))?;
    Ok(digest::hex(&bytes))
}

/// `CreateMultipartUpload`.
pub async fn create(
    store: &Store,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let mut input = request.input;
    refuse_unsupported!(input);
    let algorithm = input
        .checksum_algorithm
        .as_ref()
        .map(|name| {
            Algorithm::by_name(name.as_str())
                .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))
        })
        .transpose()?;
    let composite = match (algorithm, input.checksum_type.as_ref().map(ChecksumType::as_str)) {
        (None, None) | (Some(Algorithm::Crc64Nvme), None) => false,
        (Some(_), None) => true,
        (None, Some(_)) => {
            return Err(s3_error!(
                InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            ));
        }
        (Some(algorithm), Some(ChecksumType::FULL_OBJECT)) if algorithm.combines() => false,
        (Some(algorithm), Some(ChecksumType::COMPOSITE)) if algorithm != Algorithm::Crc64Nvme => true,
        (Some(algorithm), Some(kind)) => {
            return Err(s3_error!(
                InvalidRequest,
                "The {kind} checksum type cannot be used with the {} checksum algorithm.",
                algorithm.name()
            ));
        }
    };
    let record = UploadRecord {
        headers: headers_of!(input)?,
        tags: tags_of_header(input.tagging.as_deref())?,
        algorithm,
        composite,
    };
    let id = new_id()?;
    let (bucket, key, name) = (input.bucket.clone(), input.key.clone(), id.clone());
    store
        .change(move |change| uploads::begin(change, &bucket, &key, &name, &record))
        .await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: algorithm.map(|_| checksum_type(composite)),
        ..CreateMultipartUploadOutput::default()
    }))
}

/// Which part, its number checked.
pub fn part_key(bucket: String, key: String, upload: String, number: i32) -> S3Result<PartKey> {
    let number = u32::try_from(number)
        .ok()
        .filter(|number| (1..=10_000).contains(number));
    let number =
        number.ok_or_else(|| invalid_argument("Part number must be an integer between 1 and 10000, inclusive"))?;
    Ok(PartKey {
        bucket,
        key,
        upload,
        number,
    })
}

/// `UploadPart`.
pub async fn put_part(store: &Store, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
    let declared = Declared::of(&request.headers, request.trailing_headers)?;
    let mut input = request.input;
    let body = input.body.take();
    let at = part_key(input.bucket, input.key, input.upload_id, input.part_number)?;
    before_body(store, &at.bucket, input.content_length).await?;
    let of_upload = at.clone();
    let upload = store
        .read(move |index| uploads::find(index, &of_upload.bucket, &of_upload.key, &of_upload.upload))
        .await?;
    let mut algorithms = declared.algorithms.clone();
    algorithms.insert(upload.record.effective_algorithm());
    let received = receive(store, body, MOST_BYTES, algorithms).await?;
    declared.check(&received.digests)?;
    let new = NewPart {
        size: received.size,
        etag: received.digests.etag(),
        checksums: received.digests.checksums,
    };
    let mut answer = UploadPartOutput {
        e_tag: etag(&new.etag),
        ..UploadPartOutput::default()
    };
    fill_checksums!(answer, new.checksums);
    store
        .change_with(received.piece, move |change, entry| {
            uploads::put_part(change, &at, &new, PartBytes::New(entry))
        })
        .await?;
    Ok(S3Response::new(answer))
}

/// A part as a completion names it.
struct Named {
    number: u32,
    etag: Option<String>,
    checksums: BTreeMap<Algorithm, String>,
}

/// What a completion says about the whole.
struct Claims {
    checksums: BTreeMap<Algorithm, String>,
    size: Option<u64>,
}

/// The object that the named parts make, and their contents in order.
fn assemble(
    upload: &Upload,
    parts: &[Part],
    named: &[Named],
    claims: &Claims,
) -> Result<(NewObject, Vec<i64>), StoreError> {
    if !named.is_sorted_by(|a, b| a.number < b.number) {
        return Err(StoreError::InvalidPartOrder);
    }
    let mut chosen: Vec<&Part> = Vec::with_capacity(named.len());
    for name in named {
        let part = parts
            .binary_search_by_key(&name.number, |part| part.number)
            .map_err(|_| StoreError::InvalidPart(name.number))?;
        let part = &parts[part];
        let same = name.etag.as_ref().is_some_and(|etag| *etag == part.etag)
            && name
                .checksums
                .iter()
                .all(|(algorithm, value)| part.checksums.get(algorithm).is_none_or(|known| known == value));
        if !same {
            return Err(StoreError::InvalidPart(name.number));
        }
        chosen.push(part);
    }
    let Some((_, before)) = chosen.split_last() else {
        return Err(StoreError::Invalid("You must specify at least one part".into()));
    };
    if let Some(small) = before.iter().find(|part| part.size < LEAST_PART) {
        return Err(StoreError::PartTooSmall {
            number: small.number,
            size: small.size,
        });
    }
    let size = chosen.iter().map(|part| part.size).sum();
    if size > MOST_OBJECT {
        return Err(StoreError::TooLarge);
    }
    if claims.size.is_some_and(|claimed| claimed != size) {
        return Err(StoreError::Invalid(
            "The provided 'x-amz-mp-object-size' header does not match what was computed.".into(),
        ));
    }
    let algorithm = upload.record.effective_algorithm();
    let sums = || {
        chosen
            .iter()
            .map(|part| part.checksums.get(&algorithm).map_or("", String::as_str))
    };
    let checksum = if upload.record.composite {
        digest::composite(algorithm, sums().collect::<Vec<_>>().into_iter())
    } else {
        digest::combined(algorithm, sums().zip(chosen.iter().map(|part| part.size)))
    };
    for (claimed, value) in &claims.checksums {
        // A composite checksum may be sent without its count.
        let known = |sum: &String| sum == value || sum.split('-').next() == Some(value);
        if *claimed == algorithm && !checksum.as_ref().is_some_and(known) {
            return Err(StoreError::BadDigest(algorithm.name()));
        }
    }
    let etag = digest::etag_of_parts(chosen.iter().map(|part| part.etag.as_str()))
        .ok_or_else(|| StoreError::Internal("a part has no MD5".into()))?;
    let record = Record {
        headers: upload.record.headers.clone(),
        checksums: checksum.map(|value| (algorithm, value)).into_iter().collect(),
        composite: upload.record.composite,
        parts: chosen
            .iter()
            .map(|part| PartRecord {
                size: part.size,
                checksums: part.checksums.clone(),
            })
            .collect(),
        upload: Some(upload.id.clone()),
        tags: upload.record.tags.clone(),
    };
    Ok((
        NewObject { size, etag, record },
        chosen.iter().map(|part| part.content).collect(),
    ))
}

/// `CompleteMultipartUpload`.
pub async fn complete(
    store: &Store,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let condition = of_write(&request.headers)?;
    let claims = Claims {
        checksums: checksums(&request.headers)?,
        size: request.input.mpu_object_size.and_then(|size| u64::try_from(size).ok()),
    };
    let input = request.input;
    let mut named = Vec::new();
    for part in input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .unwrap_or_default()
    {
        let number = part.part_number.and_then(|number| u32::try_from(number).ok());
        named.push(Named {
            number: number.ok_or_else(|| s3_error!(MalformedXML, "A part of the list has no part number"))?,
            checksums: checksums_given!(part),
            etag: part.e_tag.map(ETag::into_value),
        });
    }
    let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id);
    let object = store
        .change(move |change| {
            uploads::complete(change, (&bucket, &key, &id), &condition, |upload, parts| {
                assemble(upload, parts, &named, &claims)
            })
        })
        .await?;
    let mut answer = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, url_encoded(&input.key))),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: etag(&object.etag),
        checksum_type: Some(checksum_type(object.record.composite)),
        ..CompleteMultipartUploadOutput::default()
    };
    fill_checksums!(answer, object.record.checksums);
    Ok(S3Response::new(answer))
}

/// `AbortMultipartUpload`.
pub async fn abort(
    store: &Store,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    store
        .change(move |change| {
            uploads::find(change.index, &input.bucket, &input.key, &input.upload_id)?;
            uploads::discard(change, &input.upload_id)
        })
        .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub async fn list_parts(store: &Store, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
    let (upload, parts) = store
        .read(move |index| {
            let upload = uploads::find(index, &bucket, &key, &id)?;
            Ok((upload, uploads::parts(index, &id)?))
        })
        .await?;
    let after = u32::try_from(input.part_number_marker.unwrap_or(0)).unwrap_or(0);
    let most =
        usize::try_from(input.max_parts.unwrap_or(1000)).map_err(|_| invalid_argument("max-parts is negative"))?;
    let most = most.min(1000);
    let behind: Vec<Part> = parts.into_iter().filter(|part| part.number > after).collect();
    let truncated = behind.len() > most;
    let page: Vec<s3s::dto::Part> = behind
        .into_iter()
        .take(most)
        .map(|part| {
            let mut answer = s3s::dto::Part {
                e_tag: etag(&part.etag),
                last_modified: Some(timestamp(part.modified)),
                part_number: i32::try_from(part.number).ok(),
                size: i64::try_from(part.size).ok(),
                ..s3s::dto::Part::default()
            };
            fill_checksums!(answer, part.checksums);
            answer
        })
        .collect();
    let algorithm = upload.record.algorithm;
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: i32::try_from(most).ok(),
        part_number_marker: input.part_number_marker.or(Some(0)),
        next_part_number_marker: page.last().and_then(|part| part.part_number),
        is_truncated: Some(truncated),
        parts: Some(page),
        initiator: owner().map(|owner| Initiator {
            display_name: owner.display_name,
            id: owner.id,
        }),
        owner: owner(),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        checksum_algorithm: algorithm.map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: algorithm.map(|_| checksum_type(upload.record.composite)),
        ..ListPartsOutput::default()
    }))
}

/// `ListMultipartUploads`.
pub async fn list_uploads(
    store: &Store,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let (bucket, prefix) = (input.bucket.clone(), input.prefix.clone().unwrap_or_default());
    let (most, encode) = super::listing::limits(input.max_uploads, input.encoding_type.as_ref())?;
    let wanted = prefix.clone();
    let all = store.read(move |index| uploads::all(index, &bucket, &wanted)).await?;
    let marker = input.key_marker.clone().unwrap_or_default();
    let id_marker = input.upload_id_marker.clone().unwrap_or_default();
    // Uploads of one key come by age; those behind the marker are the ones after it in that order.
    let place = all
        .iter()
        .position(|upload| upload.key == marker && upload.id == id_marker);
    let (mut found, mut prefixes): (Vec<Upload>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut truncated, mut last) = (false, (String::new(), String::new()));
    for (at, upload) in all.into_iter().enumerate() {
        let behind = match place {
            Some(place) => at > place,
            None => marker.is_empty() || upload.key > marker,
        };
        let rolled = input
            .delimiter
            .as_deref()
            .and_then(|delimiter| rolled_up(&upload.key, &prefix, delimiter))
            .map(str::to_string);
        if !behind
            || rolled
                .as_ref()
                .is_some_and(|rolled| prefixes.last() == Some(rolled) || *rolled == marker)
        {
            continue;
        }
        if found.len() + prefixes.len() == most {
            truncated = true;
            break;
        }
        match rolled {
            Some(rolled) => {
                last = (rolled.clone(), String::new());
                prefixes.push(rolled);
            }
            None => {
                last = (upload.key.clone(), upload.id.clone());
                found.push(upload);
            }
        }
    }
    let name = |text: String| if encode { url_encoded(&text) } else { text };
    let uploads = found
        .into_iter()
        .map(|upload| MultipartUpload {
            key: Some(name(upload.key)),
            upload_id: Some(upload.id),
            initiated: Some(timestamp(upload.created)),
            owner: owner(),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            ..MultipartUpload::default()
        })
        .collect();
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix.map(name),
        delimiter: input.delimiter.map(name),
        encoding_type: input.encoding_type,
        key_marker: Some(name(marker)),
        upload_id_marker: Some(id_marker),
        max_uploads: i32::try_from(most).ok(),
        is_truncated: Some(truncated),
        next_key_marker: truncated.then(|| name(last.0)),
        next_upload_id_marker: truncated.then_some(last.1),
        uploads: Some(uploads),
        common_prefixes: Some(super::listing::common_prefixes(prefixes, encode)),
        ..ListMultipartUploadsOutput::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u32, size: u64) -> Part {
        let mut digester = digest::Digester::new([Algorithm::Crc32, Algorithm::Crc64Nvme]);
        digester.update(&vec![number as u8; size.min(64) as usize]);
        let digests = digester.finish();
        Part {
            number,
            size,
            modified: 0,
            etag: digests.etag(),
            content: i64::from(number) * 10,
            checksums: digests.checksums,
        }
    }

    #[test]
    fn a_completion_is_accepted_or_refused_with_its_own_error() {
        let upload = Upload {
            id: "u".into(),
            key: "k".into(),
            created: 0,
            record: UploadRecord {
                algorithm: Some(Algorithm::Crc32),
                composite: true,
                ..UploadRecord::default()
            },
        };
        let parts = [part(1, LEAST_PART), part(2, LEAST_PART - 1), part(7, 3)];
        let names = |numbers: &[u32]| -> Vec<Named> {
            let of = |number: &u32| {
                parts
                    .iter()
                    .find(|part| part.number == *number)
                    .map(|part| part.etag.clone())
            };
            numbers
                .iter()
                .map(|number| Named {
                    number: *number,
                    etag: of(number).or(Some("e".into())),
                    checksums: BTreeMap::new(),
                })
                .collect()
        };
        let nothing = || Claims {
            checksums: BTreeMap::new(),
            size: None,
        };
        let good = assemble(&upload, &parts, &names(&[1, 7]), &nothing()).unwrap();
        assert_eq!((good.0.size, good.1), (LEAST_PART + 3, vec![10, 70]));
        assert!(good.0.etag.ends_with("-2") && good.0.record.checksums[&Algorithm::Crc32].ends_with("-2"));
        let refusal = |named: Vec<Named>, claims: Claims| assemble(&upload, &parts, &named, &claims).unwrap_err();
        assert_eq!(refusal(names(&[7, 1]), nothing()), StoreError::InvalidPartOrder);
        assert_eq!(refusal(names(&[1, 1]), nothing()), StoreError::InvalidPartOrder);
        assert_eq!(refusal(names(&[1, 3]), nothing()), StoreError::InvalidPart(3));
        assert!(matches!(refusal(names(&[]), nothing()), StoreError::Invalid(_)));
        assert!(matches!(
            refusal(names(&[1, 2, 7]), nothing()),
            StoreError::PartTooSmall { number: 2, .. }
        ));
        let mut wrong = names(&[1, 7]);
        wrong[1].etag = Some("0".repeat(32));
        assert_eq!(refusal(wrong, nothing()), StoreError::InvalidPart(7));
        let claim = |checksum: &str| Claims {
            checksums: BTreeMap::from([(Algorithm::Crc32, checksum.to_string())]),
            size: None,
        };
        assert_eq!(
            refusal(names(&[1, 7]), claim("AAAAAA==")),
            StoreError::BadDigest("CRC32")
        );
        let right = good.0.record.checksums[&Algorithm::Crc32].clone();
        assert!(assemble(&upload, &parts, &names(&[1, 7]), &claim(&right)).is_ok());
        let size = Claims {
            size: Some(1),
            ..nothing()
        };
        assert!(matches!(refusal(names(&[1, 7]), size), StoreError::Invalid(_)));
    }
}
