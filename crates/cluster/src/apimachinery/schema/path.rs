//! Where in an object something stands: a chain of fields and items, written out only when someone has to be told.

use std::fmt;

/// A place, as the way to it. A walk through an object makes one for each step, on the stack.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// Where the walk began, as text.
    Start(&'a str),
    /// A field of a structure: `spec.image`; without a dot where there is nothing before it.
    Field(&'a Path<'a>, &'a str),
    /// A key of a map: as a field, but with its dot wherever it stands.
    Key(&'a Path<'a>, &'a str),
    /// An item of a list: `args[0]`.
    Item(&'a Path<'a>, usize),
    /// A key of a map, as validation writes it: `limits[cpu]`.
    Named(&'a Path<'a>, &'a str),
}

impl Path<'_> {
    /// The beginning of an object.
    pub const ROOT: Path<'static> = Path::Start("");

    /// A field of what is here.
    pub fn field<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path::Field(self, name)
    }

    /// An item of the list that is here.
    pub fn item(&self, index: usize) -> Path<'_> {
        Path::Item(self, index)
    }

    /// A key of the map that is here.
    pub fn named<'b>(&'b self, key: &'b str) -> Path<'b> {
        Path::Named(self, key)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Start(text) => out.write_str(text),
            Path::Field(Path::Start(""), name) => out.write_str(name),
            Path::Field(before, name) | Path::Key(before, name) => write!(out, "{before}.{name}"),
            Path::Item(before, index) => write!(out, "{before}[{index}]"),
            Path::Named(before, key) => write!(out, "{before}[{key}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn places_are_written_as_kubernetes_writes_them() {
        let spec = Path::Field(&Path::ROOT, "spec");
        let list = Path::Field(&spec, "containers");
        let item = Path::Item(&list, 1);
        for (place, text) in [
            (Path::ROOT, ""),
            (spec, "spec"),
            (Path::Field(&item, "image"), "spec.containers[1].image"),
            (Path::Key(&Path::ROOT, "a"), ".a"),
            (Path::Field(&Path::Start("status"), "a"), "status.a"),
        ] {
            assert_eq!(place.to_string(), text);
        }
    }
}
