//! One file per verb: its arguments, and what it does with the rooms.

pub mod bundle;
pub mod compare;
pub mod connect;
pub mod convert;
pub mod cost;
pub mod delete;
pub mod doctor;
pub mod down;
pub mod env;
pub mod explain;
pub mod history;
pub mod kept;
pub mod kubeconfig;
pub mod logs;
pub mod operator;
pub mod ps;
pub mod run;
pub mod runtime;
pub mod size;
pub mod snapshot;
pub mod status;
pub mod submit;
pub mod trace;
pub mod ui;
pub mod up;
pub mod what_if;
