//! An embedded broker of the test's own with all topics, and clients for it. Shared by the tests of the services.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use backbone::{Backbone, BackboneOptions};
use contracts::topics;
use embedded::broker::{Broker, BrokerOptions};

pub struct Kafka {
    pub runtime: tokio::runtime::Runtime,
    pub broker: Broker,
    pub backbone: Backbone,
}

impl Kafka {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With settings of the clients.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let broker = runtime.block_on(Broker::start(BrokerOptions::default())).unwrap();
        let backbone = Backbone::connect(BackboneOptions {
            bootstrap: broker.bootstrap(),
            label: "embedded".into(),
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            compress: false,
        })
        .unwrap();
        runtime.block_on(backbone.ensure_topics(&topics::ALL)).unwrap();
        Self {
            runtime,
            broker,
            backbone,
        }
    }
}
