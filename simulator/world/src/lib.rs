//! Acme: catalogue, stores, tills, warehouses, days, people.

pub mod events;
