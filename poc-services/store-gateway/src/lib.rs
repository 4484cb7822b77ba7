//! store-gateway
