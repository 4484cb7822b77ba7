//! The embedded broker on its own, for `kcat` and Kafka's tools: `cargo run --example broker -- --listen ADDRESS`.

use std::process::ExitCode;

use embedded::broker::{Broker, BrokerOptions};

#[tokio::main]
async fn main() -> ExitCode {
    let mut options = BrokerOptions {
        listen: Some(([127, 0, 0, 1], 9092).into()),
        ..BrokerOptions::default()
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        let parsed = match pair {
            [name, value] if name == "--listen" => {
                value.parse().map(|address| options.listen = Some(address)).ok()
            }
            [name, value] if name == "--memory-mib" => value
                .parse()
                .map(|mebibytes: usize| options.memory_bytes = mebibytes << 20)
                .ok(),
            _ => None,
        };
        if parsed.is_none() {
            eprintln!("usage: broker [--listen 127.0.0.1:9092] [--memory-mib 768]");
            return ExitCode::FAILURE;
        }
    }
    match Broker::start(options).await {
        Ok(broker) => {
            println!("{}", broker.bootstrap());
            if tokio::signal::ctrl_c().await.is_ok() {
                broker.shutdown().await;
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
