//! Golden bytes, laws and tables of every format and record.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

mod copybook;
mod epcis;
mod epcis_cases;
mod epcis_drafts;
mod epcis_effects;
mod gs1;
mod poslog;
mod poslog_laws;
mod poslog_written;
mod proto;
mod queue_message;
mod source_mark;
mod tlog4690;
