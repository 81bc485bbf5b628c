//! One file per verb: its arguments, and what it does with the rooms.

pub mod connect;
pub mod convert;
pub mod delete;
pub mod down;
pub mod env;
pub mod explain;
pub mod kept;
pub mod kubeconfig;
pub mod logs;
pub mod operator;
pub mod ps;
pub mod run;
pub mod runtime;
pub mod snapshot;
pub mod status;
pub mod submit;
pub mod ui;
pub mod up;
