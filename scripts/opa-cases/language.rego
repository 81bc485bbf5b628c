=== complete rules
x := 1
===
x = 1
===
x := 1 if input.name == "pi"
===
x if input.name == "other"
===
x := true if input.no
===
default x := false
x if input.missing
===
default x := 5
x := 7 if input.name
===
default x = 5
x := 7 if input.missing
===
default x := input.name
===
default x := [1, {"a": 2}]
x := 1 if false
===
default x := 1 + 1
===
default x := [v | v := 1]
===
default x := 1
default x := 2
===
default x := y
y := 1
===
x := 1 if input.missing
else := 2 if input.name
else := 3
===
x := 1 if { false } else := 2 if { true }
===
x := 1 if { false } else if { true }
===
x := 1 if { true } else := 2
===
x := 1 if { false } else = 4 if { true }
===
x if { false } else := input.missing
===
x := 1 if { false } else := 2 if { false }
x := 3
===
x := 1
x := 2
===
x := 1
x := 1
===
x := 1 if input.name
x := 2 if input.list
===
x := 1 if input.name
x := 2 if input.missing
===
default x := 0
x := 1
x := 2
===
x := v if some v in [1, 2]
===
x := v if some v in [1, 1]
===
x := v if { v := input.list[_] }
===
x := input.list[_]
===
x = y if { y := 1 }
===
x := y { y := 1 }
===
x { true }
===
x = 1 { true }
===
x[1] { true }
===
x[v] { v := 1 }
===
x := 1 { true }
=== the value of a rule that is not there
y if input.missing
x := y
===
y if input.missing
x if not y
===
y := false
x if not y
===
y := false
x if y
===
y := null
x if y
===
y := 0
x if y
===
y := ""
x if y
===
y := []
x if y
===
y := false
x := y
===
y := input.missing
x := [y]
===
y := input.missing
x := {"a": y}
===
y := input.missing
x contains y
===
y := input.missing
x := count(y)
===
y := input.missing
x if y == y
===
y := input.missing
x if y != 1
=== partial sets
x contains 1
x contains 2
x contains 1
===
x contains v if some v in input.list
===
x contains v if { some v in data.numbers; v > 5 }
===
x contains input.missing
===
x contains [a, b] if { some a in [1, 2]; some b in ["x", "y"] }
===
x contains {"msg": m} if { some n in input.list; m := sprintf("%s!", [n]) }
===
x contains "b"
x contains 1
x contains null
x contains [1]
x contains {"a": 1}
===
x contains v if v := input.list[_]
===
x contains input.list[_]
===
x contains {1, 2}
===
y contains 1
y contains 2
x := y[1]
===
y contains 1
x := y[5]
===
y contains 1
x if y[1]
===
y contains v if some v in ["a", "b"]
x if y["a"]
===
y contains v if some v in ["a", "b"]
x if y.a
===
y contains v if some v in ["a", "b"]
x := y.a
===
y contains v if some v in ["a", "b"]
x := count(y)
===
y contains v if some v in [[1, 2], [1, 3]]
x contains b if y[[1, b]]
===
y contains v if some v in [1, 2]
x := 1 in y
===
y contains 1
x := y
===
y contains 1 if false
x := y
===
y contains 1 if false
x if not y
===
y contains 1 if false
x if y
===
y contains 1 if false
x if y == set()
===
y contains 1 if false
x if count(y) == 0
===
x contains 1
x := 2
===
x contains 1
x[2] := 3
===
default x := set()
x contains 1
===
x contains v
===
x contains v if not v
=== partial objects
x[k] := v if some k, v in input.list
===
x["a"] := 1
x["b"] := 2
===
x["a"] := 1
x["a"] := 2
===
x["a"] := 1
x["a"] := 1
===
x.a := 1
x.b := 2
===
x.a.b := 1
x.a.c := 2
===
x.a.b := 1
x.a := {"c": 2}
===
x.a.b contains 1
x.a.b contains 2
===
x[k].n := v if some k, v in {"a": 1, "b": 2}
===
x[k] contains v if some k, v in {"a": 1, "b": 2}
===
x[name] := age if { some name; age := data.people[name].age }
===
x[k] := v if { k := input.list[_]; v := count(k) }
===
x[k] := v if { some i; k := "same"; v := data.numbers[i] }
===
x[1] := "a"
x[true] := "b"
x[null] := "c"
===
x[[1, 2]] := 3
===
x["a"]["b"] := 1
===
x.y := 1
x := {"z": 2}
===
x.y.z := 1
x.y := 2
===
y.a := 1
y.b := 2
x := y
===
y.a := 1
x := y.a
===
y.a := 1
x := y.b
===
y.a := 1
x := y["a"]
===
y[k] := v if some k, v in {"a": 1}
x := y[_]
===
y[k] := v if some k, v in {"a": 1, "b": 2}
x := {k: v | v := y[k]}
===
x[v] if some v in ["a", "b"]
===
x["a"] if true
===
x.a if true
x.b if false
===
x[v] := true if some v in input.list
===
x.a := input.missing
===
x["a"] := v if some v in [1, 2]
===
x[input.name] := 1
===
x[input.missing] := 1
=== functions
f(a) := a + 1
x := f(1)
===
f(a, b) := a + b
x := f(1, 2)
===
f(a) := a + 1
x := f(input.missing)
===
f(a) := a + 1
x := f("a")
===
f(a) := a + 1
x := f(input.name)
===
f(a) if a > 1
x := f(2)
===
f(a) if a > 1
x := f(0)
===
f(a) if a > 1
x if not f(0)
===
f(a) := true if a > 1
f(a) := false if a <= 1
x := [f(1), f(2)]
===
f("a") := 1
f("b") := 2
x := f("b")
===
f("a") := 1
x := f("z")
===
f([a, b]) := b
x := f([1, 2])
===
f([a, b]) := b
x := f([1, 2, 3])
===
f({"a": v}) := v
x := f({"a": 5})
===
f({"a": v}) := v
x := f({"a": 5, "b": 6})
===
f(_) := 1
x := f(2)
===
f(_, _) := 1
x := f(2, 3)
===
f(a, a) := "same"
x := f(1, 1)
===
f(a, a) := "same"
x := f(1, 2)
===
f() := 1
x := f()
===
f() := 1
x := f
===
f(n) := "big" if n > 10
else := "small"
x := [f(11), f(1)]
===
f(n) := "big" if n > 10
else := "middle" if n > 5
x := [f(11), f(7)]
===
default f(_) := 0
f(a) := 1 if a > 5
x := [f(1), f(9)]
===
default f(a) := a
x := f(1)
===
default f(_) := 0
f(a) := a if a > 5
x := f(input.missing)
===
default f(_, _) := "no"
f(a, b) := "yes" if a == b
x := [f(1, 1), f(1, 2)]
===
f(a) := 1
f(a) := 2
x := f(0)
===
f(a) := 1 if a > 0
f(a) := 2 if a > 5
x := f(9)
===
f(a) := 1 if a > 0
f(a) := 2 if a > 5
x := f(3)
===
f(a) := 1 if a > 0
f(a) := 1 if a > 5
x := f(9)
===
f(a) := b if some b in [1, 2]
x := f(1)
===
f(a) := b if some b in [1, 1]
x := f(1)
===
f(a) := 1
x := f(1, 2)
===
f(a) := 1
f(a, b) := 2
x := f(1)
===
f(a) := 1
x := f()
===
f(a) := a
x := f
===
f(a) := a
x if f
===
f(a) := f(a - 1)
x := f(1)
===
f(a) := g(a)
g(a) := f(a)
x := f(1)
===
f(a) := a * 2
x := [f(v) | some v in [1, 2]]
===
f(a) := [b | some b in a; b > 1]
x := f([1, 2, 3])
===
f(a) = b if { b := a * 2 }
x := f(4)
===
f(a, b) if a == b
x if f(3, b)
===
f(a) := b if { b := a + 1 }
x if f(1, 2)
===
f(a) := b if { b := a + 1 }
x := y if f(1, y)
===
f(a) := input[a]
x := f("name")
===
f(a) := data.people[a].age
x := f("ann")
===
f(x) := x
x := f(3)
===
f(input) := input
x := f(3)
===
f(data) := 1
x := f(3)
===
count(a) := 7
x := count([1])
===
f(a) := a if { a := 5 }
x := f(1)
===
f(a) := b if { a == 1; b := 2 }
x := f(1)
===
f(a) contains 1
x := f(1)
===
f.g(a) := a
x := f.g(1)
===
p.f(a) := a
x := p.f(1)
===
f(a) := "x" if is_string(a)
f(a) := "n" if is_number(a)
x := [f("q"), f(3)]
===
megabytes(text) if {
	amount := to_number(trim_suffix(text, "g")) * 1024
	amount
}
x := megabytes("4g")
===
megabytes(text) if { amount := to_number(trim_suffix(text, "g")) * 1024; amount }
x if megabytes("32g") > megabytes("16g")
===
megabytes(text) := to_number(trim_suffix(text, "g")) * 1024
x if megabytes("32g") > megabytes("16g")
=== some and variables
x contains i if { some i; input.list[i] == "b" }
===
x if { some i; data.numbers[i] == 3; i == 2 }
===
x if { some i; i == 2; data.numbers[i] == 3 }
===
x contains [i, j] if { some i, j; data.numbers[i] == data.numbers[j]; i != j }
===
x contains [i, j] if { some i, j; data.numbers[i] < data.numbers[j] }
===
x if { some i; i == 1 }
===
x if { some i; i > 1 }
===
x if { some i }
===
x if { y := 1; y := 2 }
===
x if { y := 1; y = 2 }
===
x if { y = 1; y = 1 }
===
x if { y := 1; y == 1 }
===
x if { y == 1; y := 1 }
===
x := y if { y == 1 }
===
x := z if { z := y; y := 3 }
===
x := z if { z = y; y = 3 }
===
x if { z > y; z = 4; y = 3 }
===
x if { not y; y := false }
===
x if { not input.list[i] == "q" }
===
x if { not input.list[_] == "q" }
===
x if { some i; not input.list[i] == "q" }
===
x if { some i; input.list[i]; not input.list[i] == "a" }
===
x contains i if { input.list[i]; not input.list[i] == "a" }
===
x if { y }
===
x := y
===
x if { some y; y }
===
x if { [a, b] := [1, 2]; a < b }
===
x := b if { [_, b] := [1, 2] }
===
x := b if { [a, b] := [1] }
===
x := b if { {"k": b} := {"k": 7} }
===
x := b if { {"k": b} := {"k": 7, "z": 1} }
===
x := b if { {"k": b} = {"k": 7, "z": 1} }
===
x := [a, b] if { [a, [b, 2]] = [1, [5, 2]] }
===
x := a if { [a, a] = [1, 1] }
===
x := a if { [a, a] = [1, 2] }
===
x := a if { {a} = {1} }
===
x if { {1, 2} = {2, 1} }
===
x := a if { a := input.list[0] }
===
x := a if { "b" = input.list[a] }
===
x := [a, b] if { some a, b in input.list; b == "b" }
===
x contains a if { some a in input.list }
===
x contains a if { some a, _ in data.people }
===
x contains a if { some {"age": a} in data.people }
===
x if { some _ in input.list }
===
x if { some _ in [] }
===
x if { some "a" in input.list }
===
x if { some 0, "a" in input.list }
===
x contains v if { some v in input.list; some v in input.list }
===
x contains v if { v := 1; some v in input.list }
===
x contains k if { k := "a"; some k, v in {"a": 1, "b": 2} }
===
x := a if { a := b; b := c; c := 4 }
===
x if { a := b; b := a }
===
x if { a = b; b = a }
===
x if { a := a }
===
x if { input := 1 }
===
x if { data := 1 }
===
x := input if { input := {"q": 1} }
===
x if { some input; input == 1 }
===
input := 1
x := input
===
x := count if { count := 3 }
===
x := y if { y := 1 } 
y := 2
===
y := 2
x := z if { y := 1; z := y }
===
y := 2
x if { some y; y == 1 }
===
y := [1, 2]
x contains v if v := y[_]
===
y := [1, 2]
x contains y[i] if y[i] > 1
===
i := 1
x := input.list[i]
===
i := 5
x contains v if v := input.list[i]
===
x contains v if { v := input.list[i]; i := 1 }
===
x contains v if { v := input.list[i]; i > 0 }
===
x if input.list[_] == "b"
===
x if { input.list[_] == "b"; input.list[_] == "a" }
===
x if { some i; input.list[i] == "b"; input.list[i] == "a" }
===
x contains input.pod.spec.containers[_].name
===
x contains c.name if { c := input.pod.spec.containers[_]; c.securityContext.privileged }
===
x contains c.name if { c := input.pod.spec.containers[_]; not c.securityContext.privileged }
===
x contains c.name if { c := input.pod.spec.containers[_]; not c.resources.limits.memory }
===
x contains n if { some n; input.pod.spec.containers[_].name == n }
===
x contains msg if { c := input.pod.spec.containers[_]; not startswith(c.image, "registry/"); msg := sprintf("container %v has image %v", [c.name, c.image]) }
===
x := [c | some c in input.pod.spec.containers; c.name == "b"][0].image
===
x if { a := 1 }
===
x if { a := false }
===
x if { a := null }
===
x if { a = false }
===
x if { false; a := 1 }
===
x := 1 if { true; true }
===
x if { true; false }
===
x if { }
===
x if {}
===
x if
===
x := if true
===
x contains
===
x := {}
===
x := { true }
===
x := {1}
=== every
x if every n in data.numbers { n > 0 }
===
x if every n in data.numbers { n > 1 }
===
x if every n in [] { n > 1 }
===
x if every n in input.missing { n > 1 }
===
x if not every n in data.numbers { n > 1 }
===
x if every k, v in data.people { v.age > 10; k != "" }
===
x if every i, v in input.list { i < 2; is_string(v) }
===
x if every n in {1, 2} { n < 3 }
===
x if every n in "abc" { n }
===
x if every n in 5 { n }
===
x if every n in input.name { n }
===
x if every n in input.zero { n }
===
x if every n in input.nothing { n }
===
x if every n in [1, 2] { some m in [1, 2, 3]; m > n }
===
x if every n in [1, 3] { some m in [1, 2, 3]; m > n }
===
x if { m := 0; every n in [1, 2] { n > m } }
===
x if every n in [1, 2] { every m in [3, 4] { m > n } }
===
x if every _ in [1, 2] { true }
===
x if every n in [1, 2] { y := n; y > 0 }
===
x if every n in [1, 2] { n > y }
===
x if { every n in [1, 2] { n > 0 }; n == 1 }
===
x if every n in [false, 1] { n }
===
x if every n in [false, 1] { true }
===
x := every n in [1] { n }
===
x if every n in [1, 2] {}
===
x if every c in input.pod.spec.containers { startswith(c.image, "r") }
===
x if every c in input.pod.spec.containers { c.securityContext.privileged }
===
x if every c in input.pod.spec.initContainers { c.securityContext.privileged }
=== with
x := input.name with input as {"name": "q"}
===
x := y with input as {"name": "q"}
y := input.name
===
x := y with input.name as "q"
y := [input.name, input.zero]
===
x := y with input.pod.metadata.name as "q"
y := input.pod.metadata
===
x := y with input.deep.er as 1
y := input.deep
===
x := y with data.numbers as [9]
y := sum(data.numbers)
===
x := y with data.people.ann as {"age": 1}
y := [p.age | some p in data.people]
===
x := y with data.new as 5
y := data.new
===
x := y with data.p.z as 5
z := 1
y := z
===
x := y with z as 5
z := 1
y := z
===
x := y with data.p.f as g
f(a) := 1
g(a) := a
y := f(7)
===
x := y with f as g
f(a) := 1
g(a) := a
y := f(7)
===
x := y with f as 3
f(a) := 1
y := f(7)
===
x := y with count as 42
y := count([])
===
x := y with count as f
f(a) := "mock"
y := count([])
===
x := y with count as f
f(a) := count(a) + 1
y := count([1])
===
x := y with http.send as {"status": 1}
y := http.send({"url": "x"}).status
===
x := y with time.now_ns as 5
y := time.now_ns()
===
x := y with time.now_ns as f
f() := 6
y := time.now_ns()
===
x := y with time.now_ns as 1714979289000000000
y := time.date(time.now_ns())
===
x if y with input as {"a": 1} with data.b as 2
y if { input.a == 1; data.b == 2 }
===
x if not y with input as {"a": 1}
y if input.a == 2
===
x if y with input as {"a": 1}
y if not z with input as {"b": 1}
z if input.a
===
x := [a, b] if { a := input.name with input as {"name": 1}; b := input.name }
===
x := count(input.list) with input.list as [1, 2, 3]
===
x := [v | v := input.name with input.name as n; n := "k"]
===
x := y with input as {"n": v} if { v := 3 }
y := input.n
===
x if { some v in [1, 2]; y with input as {"n": v} }
y if input.n == 2
===
x := y with input as input.pod
y := input.metadata.name
===
x := y with input as null
y := input
===
x := y with input as {"a": input.missing}
y := 1
===
x := y with nope as 1
y := 1
===
x := y with nope.z as 1
y := 1
===
x if { with input as 1 }
===
x := y with data as {"numbers": [4]}
y := data.numbers
===
x := f(1) with input as {"k": 10}
f(a) := a + input.k
===
x contains v with input.list as [7] if some v in input.list
===
x contains v if { some v in y with input.list as [7] }
y := input.list
===
x := y with input.list[0] as "q"
y := input.list
===
x := y with input.zero.a as "q"
y := input.zero
===
x := y with is_string as is_number
y := is_string(5)
===
x := y with is_string as count
y := is_string("x")
===
x := y with f as g
f(a) := 1
g(a, b) := a
y := f(7)
===
x := count([1]) with count as [1]
=== references and packages
x := y.z
y := {"z": 1}
===
x := data.p.y
y := 4
===
x := data["p"].y
y := 4
===
x := data.q.y
+++
package q
y := 4
===
import data.q
x := q.y
+++
package q
y := 4
===
import data.q as z
x := z.y
+++
package q
y := 4
===
import data.q.y
x := y
+++
package q
y := 4
===
import data.q.f
x := f(2)
+++
package q
f(a) := a * 2
===
import data.q
x := q.f(2)
+++
package q
f(a) := a * 2
===
x := data.q.f(2)
+++
package q
f(a) := a * 2
===
import data.q.f
x := f
+++
package q
f(a) := a * 2
===
import data.q.nope
x := nope
+++
package q
y := 4
===
import data.q
x := q.nope
+++
package q
y := 4
===
import data.q
x := q.nope(1)
+++
package q
y := 4
===
import data.q
import data.q
x := 1
===
import data.q
import data.r as q
x := 1
===
import data.q
q := 1
x := q
===
import input.name
x := name
===
import input.pod.metadata as m
x := m.name
===
import input as i
x := i.name
===
import data as d
x := d.numbers
===
import foo.bar
x := 1
===
import data.unused
x := 1
===
import rego.v1
x if true
===
import future.keywords
x if true
===
import future.keywords.if
import future.keywords.in
x if 1 in [1]
===
import future.keywords.nope
x := 1
===
import future.nope
x := 1
===
import rego.v2
x := 1
===
x := data.q
+++
package q
y := 4
z contains 1
f(a) := a
===
x := data.q.r
+++
package q.r
y := 4
===
x := {k | data.q[k]}
+++
package q
y := 4
z := 1 if false
w := 2
===
x := {k: v | v := data.q[k].y}
+++
package q.a
y := 4
+++
package q.b
y := 5
===
x := {p | data.q[p].deny[_]}
+++
package q.a
deny contains "x"
+++
package q.b
deny contains "y" if false
===
x := y
+++
package p
y := 3
===
x contains 1
+++
package p
x contains 2
===
x := 1
+++
package p
x := 2
===
x := data.numbers
+++
package numbers
y := 1
===
x := data.people.cat
+++
package people
cat := {"age": 1}
===
x := data.people.ann
+++
package people
ann := {"age": 1}
===
x := count(data.people)
+++
package people
cat := {"age": 1}
===
package p.x
y := 1
===
package p
x.y := 1
+++
package p.x
z := 2
===
package p
x := 1
+++
package p.x
z := 2
===
package p["x"]
y := 1
===
package p["a.b"]
y := 1
+++
package p
x := data.p["a.b"].y
===
x := data.p.x
===
x := y
y := x
===
x := data.p.y
y := data.p.z
z := data.p.x
===
x if not y
y if not x
===
x contains y if y := x[_]
===
x := data.p
y := 1
===
x := data.p[v] if v := "y"
y := 3
===
x := data[v].y if v := "q"
+++
package q
y := 3
===
x := data[_].y
+++
package q
y := 3
===
x := { "k": y }
y := { "j": z }
z := 1
===
x := y[0]
y := [z]
z := 1
===
x := y[z]
y := {"a": 1}
z := "a"
===
x := y[z].b[w]
y := {"a": {"b": [5, 6]}}
z := "a"
w := 1
===
x := f(1)[0]
f(a) := [a]
===
x := f(1).k
f(a) := {"k": a}
===
x := [1, 2, 3][_]
===
x := {"a": 1}[_]
===
x contains [1, 2, 3][_]
===
x := {"a": 1}[k] if k := "a"
===
x := [y | y := input.list[_]][1]
===
x := input["pod"]["metadata"].name
===
x := input.pod.metadata.labels["app.kubernetes.io/name"]
===
x := input.pod.metadata.labels.app\.kubernetes
===
x := input.pod.metadata.labels["nope"]
===
x := object.get(input.pod.metadata.labels, "nope", "none")
===
x := object.get(input, ["pod", "metadata", "name"], "none")
===
x := object.get(input, ["pod", "nope", "name"], "none")
===
x := input.pod.spec.containers[i].name if i := 1
===
x := [i | input.pod.spec.containers[i].name == "b"]
===
x := data.p["y"]
y := 1
===
x := data.p.y.z.w
y.z.w := 1
===
x := data.p.y.z
y.z.w := 1
y.z.v := 2
===
x := data.p.y[k] if k := "z"
y.z := 1
=== assignments of types the compiler knows
x := 1 + "a"
===
x := "a" - 1
===
x := 1 * null
===
x := count(1)
===
x := upper(1)
===
x := concat(",", "abc")
===
y := "a"
x := y + 1
===
y := "a"
x := count(y) + y
===
y := {"a": 1}
x := y.b
===
y := {"a": 1}
x := y.a.b
===
y := [1, 2]
x := y.a
===
y := 5
x := y.a
===
y := 5
x := y[0]
===
y := "abc"
x := y[0]
===
y := true
x if y.a
===
x if 1 == "a"
===
x if 1 = "a"
===
y := 1
x if y == "a"
===
y := 1
x if y = "a"
===
y := 1
x if y != "a"
===
x if [1] == {1}
===
x if "a" < 1
===
f(a) := upper(a)
x := f(1)
===
f(a) := a
x := upper(f(1))
===
x if startswith(input.name, 1)
===
x if not startswith(input.name, 1)
===
x if not upper(1)
===
x := sprintf("%s", "a")
===
x := sprintf("%s", {"a"})
===
x := sprintf(1, [1])
===
x if { y := input.name; y + 1 }
===
x := input.name + 1
===
x if not input.name + 1 == 2
===
x := [v | v := input.name + 1]
===
x if { input.name - 1 }
===
x := -input.name
===
x := -"a"
===
x := input.name / 2
===
x := input.zero / input.zero
===
x if not 1 / input.zero == 1
===
x := input.list - 1
===
x := input.name & {"a"}
===
x := input.list | {"a"}
===
x if 1 in 5
===
x := object.get(input, "a")
===
x := regex.match("(", input.name)
===
x if not regex.match("(", input.name)
===
x := regex.match(input.name, input.zero)
===
x if { json.unmarshal("{") }
===
x if not json.unmarshal("{")
===
x := time.parse_rfc3339_ns("x")
===
x := to_number("8Gi")
===
x if not to_number("8Gi")
===
x := to_number(input.list)
===
x := units.parse_bytes("8Gi") > units.parse_bytes("4Gi")
=== what policies say
deny contains msg if {
	input.pod.kind == "Pod"
	some c in input.pod.spec.containers
	not c.resources.limits.cpu
	msg := sprintf("%s has no cpu limit", [c.name])
}
x := deny
===
deny[msg] {
	c := input.pod.spec.containers[_]
	not c.resources.limits.cpu
	msg := sprintf("%s has no cpu limit", [c.name])
}
x := deny
===
violation[{"msg": msg, "details": {"missing": missing}}] {
	provided := {label | input.pod.metadata.labels[label]}
	required := {label | label := ["owner", "app"][_]}
	missing := required - provided
	count(missing) > 0
	msg := sprintf("you must provide labels: %v", [missing])
}
x := violation
===
violation contains {"msg": msg, "details": {"missing": missing}} if {
	provided := {label | some label, _ in input.pod.metadata.labels}
	required := {"owner", "app"}
	missing := required - provided
	count(missing) > 0
	msg := sprintf("you must provide labels: %v", [missing])
}
x := violation
===
x contains msg if {
	some path, value
	walk(input.pod, [path, value])
	value == "nginx"
	msg := concat("/", [sprintf("%v", [p]) | some p in path])
}
===
allowed := {"registry.example.com", "docker.io"}
x contains c.name if {
	some c in input.pod.spec.containers
	registry := split(c.image, "/")[0]
	not registry in allowed
}
===
x contains c.name if {
	some c in input.pod.spec.containers
	not any_prefix(c.image)
}
any_prefix(image) if { some p in ["registry.example.com/", "docker.io/"]; startswith(image, p) }
===
x contains c.name if {
	some c in input.pod.spec.containers
	[_, tag] := split(c.image, ":")
	tag == "latest"
}
===
canonify(v) := to_number(trim_suffix(v, "m")) if endswith(v, "m")
canonify(v) := to_number(v) * 1000 if not endswith(v, "m")
x := [canonify("500m"), canonify("2")]
===
canonify(v) = n { endswith(v, "m"); n := to_number(replace(v, "m", "")) }
canonify(v) = n { not endswith(v, "m"); n := to_number(v) * 1000 }
x = [canonify("500m"), canonify("2")]
===
has_field(object, field) if object[field]
has_field(object, field) if object[field] == false
has_field(object, field) := false if { not object[field]; not object[field] == false }
x := [has_field({"a": false}, "a"), has_field({"a": 1}, "a"), has_field({}, "a")]
===
has_field(object, field) { object[field] }
x { has_field(input, "name") }
===
get_default(object, field, default_value) := object[field] if object[field]
get_default(object, field, default_value) := default_value if not object[field]
x := [get_default(input, "name", "q"), get_default(input, "nope", "q")]
===
x := result if {
	items := [i | some i in data.numbers; i > 1]
	result := sum(items)
}
===
x if { regex.match("^[a-z]+$", input.name); count(input.name) < 64 }
===
x contains key if { some key in object.keys(input.pod.metadata.labels); not regex.match("^[a-z]+$", key) }
===
x contains name if { some c in input.pod.spec.containers; some e in c.env; e.name == "PASSWORD"; name := c.name }
===
x := input.pod.spec.containers[count(input.pod.spec.containers) - 1].name
===
x := {"allowed": allowed, "reasons": reasons}
default allowed := false
allowed if count(reasons) == 0
reasons contains "no owner" if not input.pod.metadata.labels.owner
===
x := all_ok
all_ok if { every c in input.pod.spec.containers { c.resources.limits.memory } }
===
x if { input.pod.metadata.labels[_] == "web" }
===
x := object.union(input.pod.metadata.labels, {"owner": "me"})
===
x := yaml.unmarshal("spec:\n  a: [1, 2]\n").spec.a[1]
===
x := {"a": 1} == json.unmarshal("{\"a\": 1}")
===
x := glob.match("registry.example.com/**", ["/"], "registry.example.com/a/b")
===
x := glob.match("*.example.com/*", null, "registry.example.com/a/b")
===
x if semver.compare("3.5.1", "3.5.0") > 0
===
x if net.cidr_contains("10.0.0.0/8", input.pod.status.podIP)
=== comments and layout
# a comment
x := 1 # another
===
x := [
	1,
	# in between
	2,
]
===
x := {
	"a": 1,
	"b": 2
}
===
x if {
	input.name == "pi"

	count(input.list) == 2
}
===
x if { input.name == "pi"; ; true }
===
x if {
	input.name ==
		"pi"
}
===
x := 1 +
	2
===
x := 1; y := 2
===
x := 1 y := 2
===
x if input.name == "pi"
  input.zero
===
  x := 1
===
x := 1


y := 2
===
package p
package q
x := 1
===
x := 1
import data.q
===
# METADATA
# title: a rule
x := 1
===
# METADATA
# title: a rule
# scope: nope
x := 1
===
# METADATA
# title: [
x := 1
===
# METADATA
# title: hello
# custom: {level: 3}
x := rego.metadata.rule().title
===
x := rego.metadata.rule()
===
x := rego.metadata.chain()
===
x = 1 if true
===
x := "a"
	if true
===
é := 1
x := é
===
x-y := 1
===
x_y := 1
x := x_y
===
1x := 1
===
X := 1
x := X
===
in := 1
x := 1
===
if := 1
x := 1
===
contains := 1
x := 1
===
every := 1
x := 1
===
some := 1
x := 1
===
not := 1
x := 1
===
true := 1
x := 1
===
null := 1
x := 1
===
x := input.if
===
x := input.default
===
x := input["in"]
===
x := y.contains
y := {"contains": 1}
===
x := {if: 1}
=== v0
+v0
x { true }
===
+v0
x = 1 { true }
===
+v0
x = 1
===
+v0
x := 1
===
+v0
x[1]
===
+v0
x[v] { v := [1, 2][_] }
===
+v0
x[k] = v { v := input.list[k] }
===
+v0
x[v] { v = input.list[_] }
===
+v0
x { input.missing }
x { input.name }
===
+v0
default x = false
x { input.missing }
===
+v0
x = 1 { input.missing } else = 2 { true }
===
+v0
x { input.missing } { input.name }
===
+v0
x = y { y := 1 }
===
+v0
f(a) = b { b := a + 1 }
x = f(1)
===
+v0
f(a) { a > 1 }
x = f(2)
===
+v0
f(a) = a
x = f(2)
===
+v0
x { any([true, false]) }
===
+v0
x { all([true, false]) }
===
+v0
x = [any([]), all([]), any({true}), all({true, 1})]
===
+v0
x { re_match("^a", "abc") }
===
+v0
x = set_diff({1, 2}, {2})
===
+v0
x = cast_array({1, 2})
===
+v0
x = [cast_string("a"), cast_set([1, 1]), cast_null(null), cast_boolean(true), cast_object({})]
===
+v0
x { cast_string(1) }
===
+v0
x { net.cidr_overlap("10.0.0.0/8", "10.1.2.3") }
===
+v0
import future.keywords
x if 1 in [1]
===
+v0
import future.keywords.in
x { 1 in [1] }
===
+v0
import future.keywords.every
x { every v in [1] { v > 0 } }
===
+v0
import future.keywords.contains
x contains 1
===
+v0
import future.keywords.contains
import future.keywords.if
x contains 1 if true
===
+v0
import rego.v1
x if 1 in [1]
===
+v0
import rego.v1
x { true }
===
+v0
x if true
===
+v0
x contains 1
===
+v0
x { every v in [1] { v > 0 } }
===
+v0
x { 1 in [1] }
===
+v0
if = 1
x = if
===
+v0
in = 1
x = in
===
+v0
contains(a, b) = 7
x = contains("a", "b")
===
+v0
every = 1
x = every
===
+v0
input = 1
x = input
===
+v0
x { input := 1; input == 1 }
===
+v0
data := 1
x = data
===
+v0
import data.q
import data.q
x = 1
===
+v0
x.a = 1
===
+v0
x.a { true }
===
+v0
x.y.z { true }
===
+v0
x["a"] { true }
===
+v0
x["a"]
===
+v0
x[1][2] { true }
===
+v0
x { not y[_] == 1 }
y = [1]
===
+v0
x { some i; input.list[i] == "b" }
===
+v0
deny[msg] { msg := "a" }
deny["b"]
x = deny
===
+v0
deny[{"msg": msg}] { msg := "a" }
x = deny
===
+v0
violation[{"msg": msg, "details": {}}] { not input.missing; msg := "m" }
x = violation
===
+v0
x { a = 1; a == 1 }
===
+v0
x { a == 1; a = 1 }
===
+v0
x = [v | v = input.list[_]]
===
+v0
a = 1
x { a == 1 }
===
+v0
x = y { y = input.list[_]; y == "b" }
===
+v0
x = {"a": a, "b": b} { a = 1; b = 2 }
===
+v0
x { f(1, y); y == 2 }
f(a) = b { b = a + 1 }
===
+v0
x { count(input.list, n); n == 2 }
===
+v0
x = n { count(input.list, n) }
===
+v0
x = n { plus(1, 2, n) }
===
+v0
x = plus(1, 2)
===
+v0
x { eq(1, 1) }
===
+v0
x { gt(2, 1) }
===
+v0
x = minus({1, 2}, {1})
===
+v0
x = rem(7, 3)
===
+v0
x = or({1}, {2})
===
+v0
x = and({1, 2}, {2})
===
+v0
x { equal(1, 1) }
===
+v0
x { neq(1, 2) }
===
+v0
x = mul(2, 3)
===
+v0
x = div(6, 3)
===
+v0
x { lte(1, 1) }
===
+v0
x = internal.member_2(1, [1])
===
x := plus(1, 2)
===
x if gt(2, 1)
===
x if eq(1, 1)
===
x := equal(1, 1)
===
x := n if count(input.list, n)
===
x := n if plus(1, 2, n)
===
x := count([1], [2])
===
x if { any([true]) }
===
x if { re_match("a", "a") }
===
x if { walk([1], [[0], 1]) }
===
x if { walk(input, p); p[1] == "pi" }
===
x := n if { [_, n] = walk([7])[_]; is_number(n) }
===
x := [p | [p, _] := walk({"a": {"b": 1}})[_]]
===
x := [p | [p, _] = walk({"a": {"b": 1}})]
===
x contains p if walk(input.pod.metadata, [p, "web"])
===
x := {v | walk({"a": [1, {"b": 2}]}, [["a", i], v])}
===
x if { print("a", input.missing); true }
===
x if { trace("a") }
=== negation: what is called within is called before
f(q) := q
g(q, r) := q
x if not f(input.missing) = 1
===
f(q) := q
g(q, r) := q
x if not 1 = f(input.missing)
===
f(q) := q
g(q, r) := q
x if not input.x = f(input.missing)
===
f(q) := q
g(q, r) := q
x if not [f(input.missing)] == [1]
===
f(q) := q
g(q, r) := q
x if not {"a": f(input.missing)} == {"a": 1}
===
f(q) := q
g(q, r) := q
x if not lower(input.missing) in {"a"}
===
f(q) := q
g(q, r) := q
x if not "a" in lower(input.missing)
===
f(q) := q
g(q, r) := q
x if not "a" in split(input.missing, ",")
===
f(q) := q
g(q, r) := q
x if not input.missing[f(1)]
===
f(q) := q
g(q, r) := q
x if not input.list[f(input.missing)]
===
f(q) := q
g(q, r) := q
x if not -input.zero == f(input.missing)
===
f(q) := q
g(q, r) := q
x if not count([v | v := f(input.missing)]) == 1
===
f(q) := q
g(q, r) := q
x if not f(false) == true
===
f(q) := q
g(q, r) := q
x if not f(f(input.missing))
===
f(q) := q
g(q, r) := q
x if not input.missing.x == 1
===
f(q) := q
g(q, r) := q
x if not f([input.missing])
===
f(q) := q
g(q, r) := q
x if not f(input.missing)
===
f(q) := q
g(q, r) := q
x if not input.name in [f(input.missing)]
===
f(q) := q
g(q, r) := q
x if not data.p.nope[f(input.missing)]
===
f(q) := q
g(q, r) := q
x if not f(input.missing) == 1 with input as {"missing": 2}
===
f(q) := q
g(q, r) := q
x if not f(input.missing) == 1 with input as {}
===
f(q) := q
g(q, r) := q
x if not f({v | v := 1; not f(input.missing) == 1})
===
f(q) := q
g(q, r) := q
x if not (f(input.missing) == 1)
===
f(q) := q
g(q, r) := q
x if not input.missing == f(1)
===
f(q) := q
g(q, r) := q
x if not input.missing + f(1) == 1
===
f(q) := q
g(q, r) := q
x if every v in [1] { not f(input.missing) == v }
===
f(q) := q
g(q, r) := q
x if not input.missing > 1
===
f(q) := q
g(q, r) := q
x if not startswith(input.missing, "a")
===
f(q) := q
g(q, r) := q
x if not count(input.missing)
===
f(q) := q
g(q, r) := q
x if not input.missing in {1}
===
f(q) := q
g(q, r) := q
x if not 1 in input.missing
===
f(q) := q
g(q, r) := q
x if not input.missing != 1
===
f(q) := q
g(q, r) := q
x if not input.missing == 1
===
f(q) := q
g(q, r) := q
x if not 1 == input.missing
===
f(q) := q
g(q, r) := q
x if not input.missing = 1
===
f(q) := q
g(q, r) := q
x if not input.missing
===
f(q) := q
g(q, r) := q
x if not g(1, input.missing)
===
f(q) := q
g(q, r) := q
x if not startswith("a", input.missing)
===
f(q) := q
g(q, r) := q
x if not is_string(input.missing)
===
f(q) := q
g(q, r) := q
x if not f([v | v := input.missing])
===
f(q) := q
g(q, r) := q
x if not count([input.missing]) == 1
===
f(q) := q
g(q, r) := q
x if not {input.missing} == {1}
===
f(q) := q
g(q, r) := q
x if not [input.missing] == [1]
===
f(q) := q
g(q, r) := q
x if not data.p.nope > 1
===
f(q) := q
g(q, r) := q
x if { x := input; not startswith(x.missing, "a") }
===
f(q) := q
g(q, r) := q
x if not input[input.missing]
===
x if not startswith(lower(input.pod.metadata.labels.env), "prod")
===
x if { some c in input.pod.spec.containers; not contains(lower(c.missing), "q") }
===
x contains c.name if { some c in input.pod.spec.containers; not to_number(c.missing) > 1 }
===
x contains c.name if { some c in input.pod.spec.containers; not startswith(c.image, "nginx") }
===
x contains c.name if { some c in input.pod.spec.containers; not c.replicas > 1 }
===
x contains c.name if { some c in input.pod.spec.containers; not c.securityContext.privileged == true }
===
deny contains c.name if { some c in input.pod.spec.containers; not allowed(c) }
allowed(c) if not contains(lower(c.missing), "x")
x := deny
===
+v0
x { not startswith(lower(input.missing), "a") }
===
+v0
x { not startswith(input.missing, "a") }
===
+v0
x { not startswith(lower(input.name), "a") }
===
y if false
x if not y > 1
===
y if false
x if not y == 1
===
y := 5 if false
x if not f(y)
f(a) := a
===
x := [1 | not startswith(input.missing, "a")]
===
x := {c.name | some c in input.pod.spec.containers; not startswith(c.image, "nginx")}
===
x if {
	not startswith(input.name, "q")
	not input.zero > 1
}
===
x := 1 if not input.zero > 1
else := 2
===
x := 1 if not input.missing > 1
else := 2
===
x if { y := [v | some v in input.list; not contains(v, "a")]; not count(y) == 2 }
===
x if not count([v | some v in input.list; not contains(v, "a")]) == 2
===
x if not f({"a": [v | some v in input.list; not contains(v, input.missing)]})
f(a) := a.a == ["q"]
===
x if not regex.match("^{.*}$", input.name)
===
x if regex.match(`^\${[A-Z]+}$`, "${HOME}")
=== variables that nothing gives a value
x if { some i; not input.list[i] }
===
x if { not data.people[name].age > 50 }
===
x if { not y.a; y := {"a": 1} }
===
x if { y := [i | not input.list[i]] }
===
x if { y := [i | some i; i > 1] }
===
x if { not f(z) }
f(a) := a
===
x if { not f(z); z := true }
f(a) := a
===
x contains c if { not c in input.list }
===
x if { every v in input.list { not v == w } }
===
x contains i if { i in input.list }
===
x if { input.list[i]; not data.numbers[i] == 5 }
===
x := {k: v | v := input.list[k]; not k == 1}
===
x if { some k, v in input.pod.metadata.labels; not startswith(k, "app") }
===
x if { walk(input.pod, [p, v]); not v == 1; count(p) > 2 }
===
f(a, b) if { not a == b }
x if f(1, 2)
===
f([a, {"k": b}]) if { not a == b }
x if f([1, {"k": 2}])
===
x := y if { y := 1; not z }
z if false
===
import data.people
x if { not people.cat }
===
x if { not input.list[0] == input.list[j]; j := 1 }
===
x if { a := 1; b := {c | c := a; not c == 2}; not b == set() }
===
x[k] := v if { some k; v := input.pod.metadata.labels[k]; not v == "q" }
===
x if { {"a": a} := {"a": 1}; not a == 2 }
===
x if { [a, [b]] = [1, [2]]; not a == b }
===
x if { input.list[_] == a; not a == "z" }
===
x if { a = input.list[_]; not a == "a" }
===
x if { not input.name == q; q = "z" }
===
x := q if { q = input.list[i]; i = 1; not i == 0 }
===
x if { some a in input.list; some b in input.list; not a == b }
===
x if { data.p.y[a]; not a == 1 }
y contains 2
===
x if { y[a]; not a == 1 }
y contains 2
===
x if { y[[1, b]]; not b == 1 }
y contains [1, 2]
===
x if { f(1, o); not o == 1 }
f(a) := a + 1
===
x if { count(input.list, o); not o == 1 }
=== what may not be said twice
f(a, b, a) := b
x := f(1, 2, 1)
===
default f(_) := 1
default f(_) := 2
x := f(0)
===
x := data.p.y
+++
package p.y
z := 1
===
package p.q
y := data.p
+++
package p
x := 1
===
x := count(data.p)
===
x := [v | v := data.p[_]]
===
x := [k | data[k]]
===
x := data[_]
===
x := [v | v := data[_].ann.age]
===
x := data[k].ann.age if k := "people"
===
x := y if { some k; y := data[k].ann.age }
===
import data.people
people := 1
x := people
===
import data.people as folk
x := folk.ann.age
===
import data.people as p
x := p.ann.age
===
data := 1
x := data
===
f(input) := 1
x := f(2)
===
y := 1 if { input := 2; input == 2 }
x := y
=== types
x := y.ann.age
y := {"ann": {"age": 3}}
===
x := y.bob
y := {"ann": {"age": 3}}
===
x := y.ann.b
y := {"ann": {"age": 3}}
===
x := y[2]
y := [1, 2]
===
x := y[k] if k := "z"
y := {"a": 1}
===
x if y.z
y := {"a": 1}
===
x if not y.z
y := {"a": 1}
===
y := {"a": 1} if input.name
y := {"b": 1} if input.missing
x := y.b
===
y := {"a": 1}
x := object.get(y, "b", 3)
===
f(a) := upper(a)
x := f(input.zero)
===
f(a) := count(a)
x := f(5)
===
x if upper(input.zero) == 1
===
x if count(input.list) == "2"
===
x if count(input.list) > "2"
===
x if count(input.list) = "2"
===
x if count(input.list) != "2"
===
x if startswith(count(input.list), "2")
===
x if lower(input.name) in 5
===
x if input.name in "abc"
===
x if "a" in {"a": "b"}
===
y := 5
x if startswith(y, "5")
===
y := "5"
x if startswith(y, "5")
===
y := 5 if input.name
y := "5" if input.missing
x if startswith(y, "5")
===
y contains "a"
x := concat(",", y)
===
y contains 1
x := concat(",", y)
===
x := sum(["a"])
===
x := max("abc")
===
x := {1} | [2]
===
x := {1} - 2
===
x := {1} + {2}
===
x := [1] + [2]
===
y := [1]
x := y + 1
===
x if { y := 1; y == "a" }
===
x if { y := input.name; y == 1; y == "a" }
===
x if { y := "a"; y + 1 }
===
x := count(input.list) + "1"
===
x := -{1}
===
x := to_number(1, 2)
===
x := to_number()
===
x := sprintf("%d")
===
x := sprintf("%d", 1, 2, 3)
===
x if contains("a")
===
x if { y := "abc"; y.z }
===
x := true.z
===
x := input.name.z.w
===
x := count(null)
===
x := time.parse_rfc3339_ns(5)
===
x := object.get([1], 0, 2)
===
x := object.get("a", 0, 2)
===
x := json.unmarshal({"a": 1})
===
x := regex.match("a", ["a"])
===
x := split("a,b", ",")[0] + 1
===
x := upper(split("a,b", ",")[0])
===
x := upper(count("a"))
===
x if { y := [1, 2][_]; y == "a" }
===
x if { some y in [1, 2]; y == "a" }
===
x if { some y in ["a"]; y == 1 }
===
x if 1 in ["a"]
===
x := {"a": 1}.b
===
x := [1][5]
