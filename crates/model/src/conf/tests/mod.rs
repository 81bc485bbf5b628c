mod lint;
mod properties;
mod table;
mod verdicts;
