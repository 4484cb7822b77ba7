//! tlog4690
