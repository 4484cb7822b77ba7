//! A run whose services are processes of their own: what it can only know from topics.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Ran, run};
use contracts::topics;
use embedded::broker::{Broker, BrokerOptions};
use embedded::queue::{QueueOptions, QueueServer};

const SCENARIO: &str = "title: outside
seed: 5
world:
  {stores: 16, warehouses: 2, data_centres: 1, skus: 120, assortment: 40, transactions_per_day: 12000,
   start: 2026-03-16 10:00, contradicting_deliveries: 5, tills: {ibm_4690: 40, poslog_6: 50, poslog_2: 10}}
load: {speed: 3600}
stop: {duration: 15h}
";

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Ends with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Service {
    fn start(name: &str, kafka: &str, more: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_stockstream"))
            .args(["serve", name, "--kafka", kafka])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        Self(child)
    }

    /// Where a gateway says that it listens.
    fn address(&mut self) -> String {
        let said = BufReader::new(self.0.stdout.take().expect("its output")).lines();
        let address = said
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("listens on ")?.to_owned()));
        address.expect("it listens")
    }
}

/// A run over servers of the test's own and these services beside the way of the stock.
fn ran_with(beside: &[&str]) -> Ran {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let broker = runtime
        .block_on(Broker::start(BrokerOptions::default()))
        .expect("a broker");
    let queue = runtime
        .block_on(QueueServer::start(QueueOptions::default()))
        .expect("a queue");
    let (kafka, amqp) = (broker.bootstrap(), queue.url());
    let mut gateway = Service::start("store-gateway", &kafka, &["--listen", "127.0.0.1:0"]);
    let _mq_source = Service::start("mq-source", &kafka, &["--amqp", &amqp, "--warehouses", "2"]);
    let others = ["normaliser"].iter().chain(beside);
    let _others: Vec<_> = others.map(|name| Service::start(name, &kafka, &[])).collect();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let file = folder.path().join("outside.yaml");
    std::fs::write(&file, SCENARIO).expect("a scratch file");
    let (file, gateway) = (file.display().to_string(), gateway.address());
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            run(&[
                &file,
                "--services",
                "outside",
                "--kafka",
                &kafka,
                "--amqp",
                &amqp,
                "--gateway",
                &gateway,
            ])
        });
        // Its first barrier would make the topics those of an earlier run.
        while broker.stats().appended_records(topics::CATALOGUE) == 0 && !load.is_finished() {
            std::thread::park_timeout(LOOK_EVERY);
        }
        let _inventory = Service::start("inventory", &kafka, &[]);
        load.join().expect("the run ended")
    })
}

#[test]
fn the_list_of_contradicting_deliveries_is_compared_with_that_of_services_outside() {
    let ran = ran_with(&["reconciler"]);
    ran.assert_pass();
    let expected = ran.number("/deliveries/expected");
    assert!(expected > 2, "{expected}");
    assert_eq!(ran.number("/deliveries/found"), expected);
    assert!(ran.out.contains("contradict each other"), "{}", ran.out);
}

#[test]
fn a_run_whose_services_have_no_reconciler_says_that_the_list_is_not_there() {
    let ran = ran_with(&[]);
    assert_ne!(ran.code, 0, "{}", ran.out);
    assert_eq!(ran.number("/audit/cells_diverging"), 0, "{}", ran.out);
    assert_eq!(ran.number("/deliveries/found"), 0);
    assert!(ran.out.contains("does a reconciler run?"), "{}", ran.out);
}
