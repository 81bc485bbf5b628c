mod lint;
mod properties;
mod table;
mod third_party;
mod verdicts;
