//! Services beside the way of the stock: the reconciler of papers and, where the scenario asks for it, the item projector.
//!
//! They run from the beginning to the end; no step stops them. What they have not read yet is waited for at the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};
use backbone::Backbone;
use contracts::topics;
use tokio_util::sync::CancellationToken;

pub struct Extras {
    cancel: CancellationToken,
    threads: Vec<thread::JoinHandle<()>>,
    /// Group and the topic that it reads.
    groups: Vec<(&'static str, &'static str)>,
    failed: Arc<Mutex<Option<String>>>,
    reconciler: Arc<reconciler::Counters>,
    projector: Arc<item_projector::Counters>,
    is_running: bool,
}

impl Extras {
    /// Outside, they are processes of their own.
    pub fn outside() -> Self {
        Self {
            cancel: CancellationToken::new(),
            threads: Vec::new(),
            groups: Vec::new(),
            failed: Arc::default(),
            reconciler: Arc::default(),
            projector: Arc::default(),
            is_running: false,
        }
    }

    pub fn start(backbone: &Backbone, project_items: bool) -> Result<Self> {
        let mut extras = Self {
            is_running: true,
            ..Self::outside()
        };
        let config = reconciler::Config {
            counters: Arc::clone(&extras.reconciler),
            ..reconciler::Config::default()
        };
        let (of_it, cancel) = (backbone.clone(), extras.cancel.clone());
        extras.spawn(reconciler::GROUP, topics::PAPERS, move || {
            reconciler::run(&config, &of_it, &cancel).map_err(|error| error.to_string())
        })?;
        if project_items {
            let config = item_projector::Config {
                counters: Arc::clone(&extras.projector),
                ..item_projector::Config::default()
            };
            let (of_it, cancel) = (backbone.clone(), extras.cancel.clone());
            extras.spawn(item_projector::GROUP, topics::MOVEMENTS, move || {
                item_projector::run(&config, &of_it, &cancel).map_err(|error| error.to_string())
            })?;
        }
        Ok(extras)
    }

    fn spawn(
        &mut self,
        group: &'static str,
        topic: &'static str,
        service: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Result<()> {
        let failed = Arc::clone(&self.failed);
        let thread = thread::Builder::new()
            .name(group.into())
            .spawn(move || {
                if let Err(error) = service() {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            })
            .with_context(|| format!("the thread of {group}"))?;
        self.threads.push(thread);
        self.groups.push((group, topic));
        Ok(())
    }

    pub fn groups(&self) -> &[(&'static str, &'static str)] {
        &self.groups
    }

    /// Why one of them ended, once.
    pub fn failure(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub const fn is_running(&self) -> bool {
        self.is_running
    }

    /// Deliveries that contradict each other now; `None`: nobody here looks.
    pub fn discrepancies(&self) -> Option<u64> {
        self.is_running.then(|| self.reconciler.snapshot().open)
    }

    pub fn items(&self) -> u64 {
        self.projector.snapshot().items
    }

    pub async fn stop(&mut self) {
        self.cancel.cancel();
        for thread in self.threads.drain(..) {
            // A panic of it has been printed already.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
