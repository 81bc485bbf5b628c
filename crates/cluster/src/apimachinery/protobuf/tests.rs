use super::table::{Field, Kind, Shape, Special};
use super::*;

/// A body as a Go client writes it: strings that were not set are there, empty.
fn config_map() -> Vec<u8> {
    let mut metadata = Writer::default();
    metadata.bytes(1, b"settings");
    metadata.bytes(2, b"");
    metadata.bytes(5, b"");
    metadata.varint(7, 0);
    metadata.bytes(8, b"");
    let mut entry = Writer::default();
    entry.bytes(1, b"colour");
    entry.bytes(2, b"blue");
    let mut binary = Writer::default();
    binary.bytes(1, b"raw");
    binary.bytes(2, &[0, 255]);
    let mut object = Writer::default();
    object.bytes(1, &metadata.finish());
    object.bytes(2, &entry.finish());
    object.bytes(3, &binary.finish());
    envelope("v1", "ConfigMap", &object.finish())
}

#[test]
fn a_body_of_a_go_client_becomes_the_json_it_would_have_sent() {
    assert_eq!(
        decode(&config_map()).unwrap(),
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "settings"},
            "data": {"colour": "blue"}, "binaryData": {"raw": "AP8="}})
    );
}

#[test]
fn every_cut_of_a_body_is_refused_or_shorter() {
    let whole = config_map();
    // The last four bytes say that two texts of the envelope are empty.
    for length in 0..whole.len() - 4 {
        if let Ok(value) = decode(&whole[..length]) {
            assert_ne!(value, decode(&whole).unwrap(), "{length}");
        }
    }
    assert_eq!(decode(b"{}").unwrap_err(), ProtobufError::NotAnEnvelope);
}

#[test]
fn pods_keep_what_pointers_say_and_inline_what_is_embedded() {
    let pod = json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": "p", "creationTimestamp": "2026-01-02T03:04:05Z", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u", "controller": false}]},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "resources": {"requests": {"cpu": "500m"}},
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "livenessProbe": {"httpGet": {"port": "http", "path": "/"}, "periodSeconds": 5}}],
            "securityContext": {"supplementalGroups": [1, -2]},
            "volumes": [{"name": "v", "emptyDir": {}}]},
        "status": {"startTime": "2026-01-02T03:04:05Z"}});
    assert_eq!(decode(&encode(&pod).unwrap()).unwrap(), pod);
}

#[test]
fn wrong_wire_types_unknown_fields_and_bad_text_are_told_by_their_place() {
    let refuse = |object: Writer| {
        decode(&envelope("v1", "ConfigMap", &object.finish()))
            .unwrap_err()
            .to_string()
    };
    let mut number = Writer::default();
    number.varint(1, 7);
    assert_eq!(
        refuse(number),
        "ConfigMap.metadata: wrong wireType = Varint, expected Delimited"
    );
    let mut name = Writer::default();
    name.bytes(1, &[0xff]);
    let mut metadata = Writer::default();
    metadata.bytes(1, &name.finish());
    assert_eq!(
        refuse(metadata),
        "ConfigMap.metadata.name: string field contains invalid UTF-8"
    );
    let mut unknown = Writer::default();
    unknown.bytes(900, b"later version");
    unknown.varint(901, -1);
    unknown.double(902, 0.5);
    let decoded = decode(&envelope("v1", "ConfigMap", &unknown.finish())).unwrap();
    assert_eq!(decoded, json!({"kind": "ConfigMap", "apiVersion": "v1"}));
    assert_eq!(
        decode(&envelope("example.com/v1", "Toy", b"")).unwrap_err().to_string(),
        "no protobuf message is known for kind \"Toy\" in version \"example.com/v1\""
    );
}

#[test]
fn depth_and_number_of_values_are_limited() {
    let mut schema = Writer::default();
    schema.bytes(5, b"object");
    let mut schema = schema.finish();
    for _ in 0..200 {
        let mut or_bool = Writer::default();
        or_bool.bytes(2, &schema);
        let mut outer = Writer::default();
        outer.bytes(29, &or_bool.finish());
        outer.bytes(31, &schema);
        // `not` nests a schema in itself.
        let mut not = Writer::default();
        not.bytes(28, &schema);
        schema = not.finish();
    }
    let mut wrapped = schema;
    for number in [1, 4, 7, 2] {
        let mut outer = Writer::default();
        outer.bytes(number, &wrapped);
        wrapped = outer.finish();
    }
    let error = decode(&envelope(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &wrapped,
    ))
    .unwrap_err();
    assert!(error.to_string().ends_with("exceeded max depth of 100"), "{error}");
    let mut list = Writer::default();
    for _ in 0..600_000 {
        list.bytes(2, b"");
    }
    let error = decode(&envelope("v1", "ConfigMapList", &list.finish())).unwrap_err();
    assert!(error.to_string().contains("more than 500000 values"), "{error}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), kind in 0..4usize) {
        let kind = ["Pod", "ConfigMap", "DeleteOptions", "Status"][kind];
        // An answer, whatever it is; never a panic.
        let _ = decode(&envelope("v1", kind, &bytes));
        let mut raw = MAGIC.to_vec();
        raw.extend_from_slice(&bytes);
        let _ = decode(&raw);
    }

    #[test]
    fn any_change_of_a_body_is_answered(changes in proptest::collection::vec((0..400usize, proptest::prelude::any::<u8>()), 1..4)) {
        let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}, "livenessProbe": {"httpGet": {"port": 80}}}],
                "securityContext": {"supplementalGroups": [1, 2]}, "volumes": [{"name": "v", "secret": {"secretName": "s"}}]}});
        let mut body = encode(&pod).unwrap();
        for (at, byte) in changes {
            let at = at % body.len();
            body[at] = byte;
        }
        if let Ok(object) = decode(&body)
            && let Ok(written) = encode(&object)
        {
            proptest::prop_assert!(decode(&written).is_ok(), "{object}");
        }
    }
}

#[test]
fn options_of_every_group_are_the_same_message() {
    for api_version in ["v1", "apps/v1", "rbac.authorization.k8s.io/v1", "meta.k8s.io/v1"] {
        let options = json!({"kind": "DeleteOptions", "apiVersion": api_version, "gracePeriodSeconds": 0, "propagationPolicy": "Foreground"});
        assert_eq!(decode(&encode(&options).unwrap()).unwrap(), options);
    }
}

#[test]
fn a_watch_event_is_framed_by_its_length() {
    let event =
        json!({"type": "ADDED", "object": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}});
    let frame = encode_watch_event(&event).unwrap();
    let (length, rest) = frame.split_at(4);
    assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, rest.len());
    let mut reader = Reader::new(rest);
    let (number, wire) = reader.key().unwrap().unwrap();
    assert_eq!((number, reader.text(wire).unwrap()), (1, "ADDED"));
    let (number, wire) = reader.key().unwrap().unwrap();
    let mut extension = Reader::new(reader.length_delimited(wire).unwrap());
    assert_eq!(number, 2);
    let (_, wire) = extension.key().unwrap().unwrap();
    assert_eq!(
        decode(extension.length_delimited(wire).unwrap()).unwrap(),
        event["object"]
    );
}

/// A value for a field that JSON would not leave out.
fn sample(field: &Field, depth: usize) -> Option<Value> {
    let one = match field.kind {
        Kind::Text => json!("text"),
        Kind::Truth => json!(true),
        Kind::Whole | Kind::Long => json!(-7),
        Kind::Real => json!(0.5),
        Kind::Bytes => json!("AAECAw=="),
        Kind::Message(id) => {
            let message = Table::get().message(id);
            match message.special {
                Some(Special::Quantity) => json!("1500m"),
                Some(Special::IntOrString) => json!("80%"),
                Some(Special::Time) => json!("2026-01-02T03:04:05Z"),
                Some(Special::MicroTime) => json!("2026-01-02T03:04:05.000006Z"),
                Some(Special::Raw) => json!({"any": [1, "json"]}),
                Some(Special::Texts) => json!(["a", ""]),
                Some(Special::SchemaOrBool) => json!(true),
                Some(Special::SchemaOrArray) => json!([{"type": "string"}]),
                Some(Special::SchemaOrTexts) => json!(["x"]),
                None if depth == 0 => return None,
                None => object(message, depth - 1),
            }
        }
    };
    Some(match field.shape {
        Shape::One => one,
        Shape::List => json!([one]),
        Shape::Map => json!({"key": one}),
    })
}

fn object(message: &Message, depth: usize) -> Value {
    let mut value = json!({});
    for field in &message.fields {
        match (field.inline, field.kind) {
            (true, Kind::Message(id)) => {
                let inner = object(Table::get().message(id), depth);
                for (name, field) in inner.as_object().into_iter().flatten() {
                    value[name] = field.clone();
                }
            }
            _ => {
                if let Some(sample) = sample(field, depth) {
                    value[field.name] = sample;
                }
            }
        }
    }
    value
}

#[test]
fn every_message_of_the_table_survives_the_way_there_and_back() {
    let mut seen = 0;
    for (name, message) in Table::get().iter() {
        if message.special.is_some() || name.starts_with("runtime.") || name.ends_with("WatchEvent") {
            continue;
        }
        let before = object(message, 4);
        let mut writer = Writer::default();
        encode::message(message, &before, &mut writer, 0).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (package, kind) = name.rsplit_once('.').unwrap();
        let (group, version) = package.split_once('/').unwrap();
        let group = if group == "core" {
            String::new()
        } else {
            format!("{group}/")
        };
        let body = envelope(&format!("{group}{version}"), kind, &writer.finish());
        let mut after = decode(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
        for field in ["kind", "apiVersion"] {
            if before.get(field).is_none() {
                after.as_object_mut().unwrap().shift_remove(field);
            } else {
                after[field] = before[field].clone();
            }
        }
        assert_eq!(after, before, "{name}");
        seen += 1;
    }
    assert!(seen > 400, "{seen}");
}
