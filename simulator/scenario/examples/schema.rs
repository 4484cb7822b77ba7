//! Prints the JSON Schema of scenario files.
//!
//! `cargo run -p scenario --example schema > scenarios/scenario.schema.json`

fn main() {
    println!("{:#}", scenario::schema());
}
