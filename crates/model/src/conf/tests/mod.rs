mod lint;
mod properties;
mod table;
