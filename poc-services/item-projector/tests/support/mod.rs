//! The cluster under test: an embedded broker of the test's own, or the Apache Kafka that `STOCKSTREAM_KAFKA` names.

use std::sync::{Mutex, MutexGuard, PoisonError};

use backbone::{Backbone, BackboneOptions};
use contracts::topics;

use crate::kafka::Kafka;

/// Names the Apache Kafka to test instead of the embedded broker.
const VARIABLE: &str = "STOCKSTREAM_KAFKA";

pub struct Cluster {
    pub backbone: Backbone,
    embedded: Option<Kafka>,
    /// Services know their topics by name: on a cluster that all tests share, one of them runs at a time.
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Cluster {
    /// With new topics.
    pub fn start() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let Ok(bootstrap) = std::env::var(VARIABLE) else {
            return Self::embedded();
        };
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let backbone = Backbone::connect(BackboneOptions {
            bootstrap,
            label: "Apache Kafka".into(),
            settings: Vec::new(),
            compress: false,
        })
        .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            // What the groups committed goes with them.
            backbone.delete_topics(&topics::ALL).await.unwrap();
            backbone.ensure_topics(&topics::ALL).await.unwrap();
        });
        Self {
            backbone,
            embedded: None,
            _turn: Some(turn),
        }
    }

    /// An embedded broker whatever the environment says.
    pub fn embedded() -> Self {
        let kafka = Kafka::start();
        Self {
            backbone: kafka.backbone.clone(),
            embedded: Some(kafka),
            _turn: None,
        }
    }

    pub fn broker(&self) -> &embedded::broker::Broker {
        &self.embedded.as_ref().unwrap().broker
    }
}
