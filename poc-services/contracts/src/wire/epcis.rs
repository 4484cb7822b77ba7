//! epcis
