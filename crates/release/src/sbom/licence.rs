//! What a licence is that a package names: an identifier of SPDX, an expression of them, or a text.

/// How documents write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Licence {
    /// One of SPDX's list that is not deprecated.
    Identifier(String),
    Expression(String),
    /// Something else, as it stands.
    Text(String),
}

impl Licence {
    pub(super) fn read(text: &str) -> Licence {
        if let Some(known) = spdx::license_id(text)
            && known.name == text
            && !known.is_deprecated()
        {
            return Licence::Identifier(text.to_owned());
        }
        let expression = spdx::Expression::parse(text);
        let current = |expression: &spdx::Expression| {
            expression
                .requirements()
                .all(|requirement| requirement.req.license.id().is_some_and(|id| !id.is_deprecated()))
        };
        match expression {
            Ok(expression) if current(&expression) => Licence::Expression(text.to_owned()),
            _ => Licence::Text(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_spdx_knows_is_an_identifier() {
        let identifier = |text: &str| Licence::Identifier(text.to_owned());
        assert_eq!(Licence::read("Apache-2.0"), identifier("Apache-2.0"));
        assert_eq!(
            Licence::read("MIT OR Apache-2.0"),
            Licence::Expression("MIT OR Apache-2.0".to_owned())
        );
        for text in [
            "BSD",
            "MIT License",
            "GPL-2.0",
            "apache-2.0",
            "see the file",
            "",
            "Apache License, Version 2.0",
        ] {
            assert_eq!(Licence::read(text), Licence::Text(text.to_owned()));
        }
    }
}
