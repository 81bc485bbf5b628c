//! How words are listed: once, in both languages.

/// Makes a type with a field for each word, and its two values. A word that is missing in one language does not compile.
macro_rules! catalogue {
    ($(#[$about:meta])* $type:ident; $($name:ident: $english:literal, $russian:literal;)*) => {
        $(#[$about])*
        #[derive(Debug)]
        pub struct $type { $(pub $name: &'static str,)* }
        static ENGLISH: $type = $type { $($name: $english,)* };
        static RUSSIAN: $type = $type { $($name: $russian,)* };
        /// Names, English and Russian, for those who look whether the list is whole.
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $russian),)*];
    };
}
