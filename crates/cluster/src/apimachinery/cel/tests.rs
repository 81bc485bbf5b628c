use serde_json::json;

use super::check::Type;
use super::*;
use crate::apimachinery::schema::Schema;

fn eval(text: &str) -> Result<serde_json::Value, String> {
    let object = json!({
        "name": "web", "replicas": 3, "ratio": 2, "tags": ["a", "b", "c"], "ports": [{"name": "http", "port": 80}, {"name": "db", "port": 5432}],
        "labels": {"app-name": "x", "team": "y"}, "max-size": 4, "namespace": "n", "nothing": null, "since": "2024-01-02T03:04:05Z"});
    let program = Program::parse(text).map_err(|error| error.describe(text))?;
    let variables = [("self", Value::of(&object, None))];
    let value = program.eval(&variables, &Budget::new(EXPRESSION_BUDGET));
    value.map(|value| value.json()).map_err(|error| error.message)
}

#[test]
fn expressions_give_what_the_language_says() {
    for (text, expected) in [
        ("1 + 2 * 3 - 4 / 2 % 3", json!(5)),
        ("-(-3)", json!(3)),
        ("self.replicas > 2 && self.name == 'web'", json!(true)),
        ("1 == 1.0 && 2u == 2", json!(true)),
        ("'a' in self.tags && !('z' in self.tags)", json!(true)),
        ("'team' in self.labels", json!(true)),
        ("self.labels['app-name'] + \"-\" + self.name", json!("x-web")),
        ("has(self.name) && !has(self.missing)", json!(true)),
        ("self.tags.all(t, t.size() == 1)", json!(true)),
        ("self.ports.exists(p, p.port == 80)", json!(true)),
        ("self.ports.exists_one(p, p.port > 100)", json!(true)),
        ("self.ports.map(p, p.name)", json!(["http", "db"])),
        ("self.ports.map(p, p.port > 100, p.name)", json!(["db"])),
        ("self.tags.filter(t, t != 'b')", json!(["a", "c"])),
        ("self.labels.all(k, self.labels[k].size() == 1)", json!(true)),
        ("self.tags.all(i, t, i < 3 && t != '')", json!(true)),
        (
            "self.labels.transformMap(k, v, v + '!')",
            json!({"app-name": "x!", "team": "y!"}),
        ),
        ("self.tags.transformList(i, t, i)", json!([0, 1, 2])),
        ("cel.bind(x, self.replicas * 2, x + x)", json!(12)),
        ("self.ports.sortBy(p, p.name).map(p, p.name)", json!(["db", "http"])),
        ("self.max__dash__size == 4 && self.__namespace__ == 'n'", json!(true)),
        ("self.?missing.orValue('d')", json!("d")),
        ("self.?name.optMap(n, n + '1').value()", json!("web1")),
        ("self.labels[?'none'].hasValue()", json!(false)),
        ("[1, 2, 3] + [4] == [1, 2, 3, 4]", json!(true)),
        ("{'a': 1, 'b': [2]} == {'b': [2], 'a': 1}", json!(true)),
        ("true ? 'yes' : 'no'", json!("yes")),
        ("false || 1 / 0 == 1 || true", json!(true)),
        ("self.nothing == null", json!(true)),
        ("type(self.replicas) == int && type('') == string", json!(true)),
        ("int('12') + int(3.9)", json!(15)),
        ("string(12) + string(true)", json!("12true")),
        ("duration('1h30m') > duration('80m')", json!(true)),
        ("timestamp(self.since).getFullYear()", json!(2024)),
        (
            "timestamp('2024-01-02T03:04:05Z') + duration('1s') == timestamp('2024-01-02T03:04:06Z')",
            json!(true),
        ),
        ("'hello'.matches('^h.*o$')", json!(true)),
        ("'a,b,c'.split(',')", json!(["a", "b", "c"])),
        ("'a-b-c'.split('-', 2)", json!(["a", "b-c"])),
        ("['a', 'b'].join('+')", json!("a+b")),
        ("'hello'.substring(1, 3) + 'x'.upperAscii()", json!("elX")),
        ("'abcabc'.lastIndexOf('b')", json!(4)),
        (
            "'%s has %d, %.2f and %x'.format(['a', 3, 1.5, 255])",
            json!("a has 3, 1.50 and ff"),
        ),
        ("quantity('1Gi').isGreaterThan(quantity('500M'))", json!(true)),
        ("quantity('200m').add(quantity('800m')) == quantity('1')", json!(true)),
        ("semver('1.10.0').isGreaterThan(semver('1.9.0'))", json!(true)),
        ("semver('1.0.0-alpha').isLessThan(semver('1.0.0'))", json!(true)),
        ("cidr('10.0.0.0/8').containsIP('10.1.2.3')", json!(true)),
        ("isIP('::1') && !isIP('1.2.3')", json!(true)),
        ("url('https://a.b:8080/p?x=1').getPort()", json!("8080")),
        ("!format.dns1123Label().validate('ok-name').hasValue()", json!(true)),
        ("sets.equivalent([1, 2], [2, 1, 1])", json!(true)),
        ("[3, 1, 2].sort() == [1, 2, 3] && [1, 2].isSorted()", json!(true)),
        ("math.greatest(1, 5, 3)", json!(5)),
        ("r'\\d' == '\\\\d'", json!(true)),
        ("'''a\nb'''.size()", json!(3)),
        ("b'abc'.size() == 3 && base64.encode(b'abc') == 'YWJj'", json!(true)),
        ("dyn(1) == dyn('1')", json!(false)),
        ("'é'.size()", json!(1)),
    ] {
        assert_eq!(eval(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    for (text, expected) in [
        ("self.missing == 1", "no such key: missing"),
        ("self.tags[7]", "index out of bounds: 7"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("'a' + 1", "no such overload"),
        ("'x'.matches('(')", "error parsing regexp: `(`"),
        (
            "timestamp('never')",
            "type conversion error from 'string' to 'timestamp'",
        ),
    ] {
        assert_eq!(eval(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn an_expression_that_costs_too_much_is_stopped() {
    let started = std::time::Instant::now();
    for text in [
        "lists.range(1000000).all(a, lists.range(1000000).all(b, a + b >= 0))",
        "lists.range(300).map(a, lists.range(300).map(b, lists.range(300).map(c, a * b * c))).size() > 0",
        "cel.bind(a, 'xxxxxxxxxxxxxxxx'.replace('x', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'), cel.bind(b, a.replace('y', a), cel.bind(c, b.replace('y', b), c.replace('y', c)))).size() > 0",
    ] {
        let error = eval(text).unwrap_err();
        assert!(error.starts_with("operation cancelled"), "{error}");
    }
    assert!(
        started.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn wrong_texts_are_refused_with_their_place() {
    for (text, expected) in [
        (
            "self.name ==",
            "ERROR: <input>:1:13: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | self.name ==\n | ............^",
        ),
        (
            "a b",
            "ERROR: <input>:1:3: Syntax error: extraneous input 'b' expecting <EOF>\n | a b\n | ..^",
        ),
        (
            "1 +\n#",
            "ERROR: <input>:2:1: Syntax error: token recognition error at: '#'\n | #\n | ^",
        ),
    ] {
        let error = Program::parse(text).unwrap_err();
        assert_eq!(error.describe(text), expected);
    }
    let deep = "(".repeat(5000);
    assert!(Program::parse(&deep).is_err());
    assert!(Program::parse(&format!("{}true", "!".repeat(5000))).is_err());
    assert!(Program::parse(&vec!["1"; 20_000].join("+")).is_err());
}

#[test]
fn types_are_checked_against_the_schema() {
    let schema = Schema::parse(
        &json!({"type": "object", "properties": {
            "name": {"type": "string"}, "replicas": {"type": "integer"}, "port": {"x-kubernetes-int-or-string": true},
            "tags": {"type": "array", "items": {"type": "string"}}, "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "at": {"type": "string", "format": "date-time"}, "max-size": {"type": "integer"}, "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}),
        &|_| None,
    );
    let complaint = |text: &str| {
        let program = Program::parse(text).unwrap();
        let checked = program.check(&[("self", Type::of(&schema)), ("oldSelf", Type::of(&schema))]);
        checked.err().map(|error| error.message)
    };
    for fine in [
        "self.name == 'x' && self.replicas > 1",
        "self.port == 80 || self.port == 'http'",
        "self.tags.all(t, t.startsWith('a'))",
        "self.labels.exists(k, self.labels[k] == k)",
        "self.at > timestamp('2024-01-01T00:00:00Z')",
        "self.max__dash__size <= oldSelf.max__dash__size",
        "self.raw.anything.at.all == 1",
        "type(self.port) == int ? self.port > 1024 : true",
        "self.replicas < 1.5",
    ] {
        assert_eq!(complaint(fine), None, "{fine}");
    }
    for (wrong, expected) in [
        ("self.nme == 'x'", "undefined field 'nme'"),
        ("selff.name == 'x'", "undeclared reference to 'selff' (in container '')"),
        (
            "self.name == 1",
            "found no matching overload for '_==_' applied to '(string, int)'",
        ),
        (
            "self.name + 1 == 'x'",
            "found no matching overload for '_+_' applied to '(string, int)'",
        ),
        ("self.name.foo()", "undeclared reference to 'foo' (in container '')"),
        (
            "self.replicas.startsWith('a')",
            "found no matching overload for 'startsWith' applied to 'int.(string)'",
        ),
        (
            "self.tags.all(t, t)",
            "found no matching overload for '_&&_' applied to '(bool, string)'",
        ),
        (
            "self.replicas.all(t, true)",
            "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
        ),
        (
            "size(self.replicas) > 1",
            "found no matching overload for 'size' applied to '(int)'",
        ),
    ] {
        assert_eq!(complaint(wrong).as_deref(), Some(expected), "{wrong}");
    }
}
