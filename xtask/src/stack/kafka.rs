//! Apache Kafka: three nodes that are brokers and controllers at once, each in a data centre of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::fetch;
use super::state::State;

pub const NODES: usize = 3;
/// The node has registered, and the controller lets it serve.
pub const READY: &str = "Kafka Server started";
/// 16 bytes in base64; the same for all nodes of a cluster.
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qk";
const HEAP: [&str; 5] = [
    "-Xms256m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
];

/// Kafka says what happens on the console, which is the server's log file.
const LOG4J: &str = "\
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=info
rootLogger.appenderRef.console.ref=console
logger.state.name=state.change.logger
logger.state.level=warn
";

pub fn name(node: usize) -> String {
    format!("kafka-{node}")
}

/// From 1; `None`: it is no Kafka node.
pub fn node_of(name: &str) -> Option<usize> {
    name.strip_prefix("kafka-")?
        .parse()
        .ok()
        .filter(|node| (1..=NODES).contains(node))
}

/// The settings of one node.
fn properties(state: &State, node: usize) -> String {
    let voters: Vec<_> = state
        .controllers
        .iter()
        .enumerate()
        .map(|(index, port)| format!("{}@127.0.0.1:{port}", index + 1))
        .collect();
    let broker = state.brokers[node - 1];
    let controller = state.controllers[node - 1];
    let data = state.scratch.join(format!("kafka-{node}"));
    format!(
        "\
process.roles=broker,controller
node.id={node}
broker.rack=dc{node}
controller.quorum.voters={}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={}
# Three copies, two of them acknowledged, as on a real cluster.
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=3
share.coordinator.state.topic.min.isr=2
auto.create.topics.enable=false
# What would take minutes takes seconds: tests wait for it.
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1000
log.cleaner.backoff.ms=500
log.initial.task.delay.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
log.retention.check.interval.ms=1000
# Small: three of them share a laptop.
num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=8388608
",
        voters.join(","),
        data.display(),
    )
}

/// Writes the settings and prepares the folders of all nodes.
pub fn format(state: &State, cache: &Path, java: &Path) -> Result<()> {
    fs::write(state.scratch.join("log4j2.properties"), LOG4J).context("Kafka's log settings")?;
    let mut formatting = Vec::new();
    for node in 1..=NODES {
        let settings = state.scratch.join(format!("kafka-{node}.properties"));
        fs::write(&settings, properties(state, node)).with_context(|| settings.display().to_string())?;
        let child = Command::new(java)
            .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(fetch::kafka_jars(cache).join("*"))
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| java.display().to_string())?;
        formatting.push((node, child));
    }
    for (node, child) in formatting {
        let output = child.wait_with_output().context("Kafka's storage tool")?;
        if !output.status.success() {
            bail!(
                "the folder of Kafka node {node} cannot be prepared:\n{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    Ok(())
}

pub fn command(state: &State, node: usize, cache: &Path, java: &Path) -> Command {
    let mut command = Command::new(java);
    command
        .args(HEAP)
        .arg(format!(
            "-Dlog4j2.configurationFile={}",
            state.scratch.join("log4j2.properties").display()
        ))
        .arg("-cp")
        .arg(fetch::kafka_jars(cache).join("*"))
        .arg("kafka.Kafka")
        .arg(state.scratch.join(format!("kafka-{node}.properties")))
        .current_dir(&state.scratch);
    command
}

#[cfg(test)]
mod tests {
    use super::super::state;
    use super::*;

    #[test]
    fn a_node_is_in_a_data_centre_of_its_own_and_knows_all_controllers() {
        let state = state::example(Path::new("/scratch"));
        let second = properties(&state, 2);
        for line in [
            "node.id=2",
            "broker.rack=dc2",
            "controller.quorum.voters=1@127.0.0.1:20011,2@127.0.0.1:20012,3@127.0.0.1:20013",
            "listeners=PLAINTEXT://127.0.0.1:20002,CONTROLLER://127.0.0.1:20012",
            "advertised.listeners=PLAINTEXT://127.0.0.1:20002",
            "log.dirs=/scratch/kafka-2",
            "default.replication.factor=3",
            "min.insync.replicas=2",
        ] {
            assert!(
                second.lines().any(|l| l == line),
                "{line} is missing in\n{second}"
            );
        }
    }

    #[test]
    fn only_loopback_addresses_are_listened_on() {
        let state = state::example(Path::new("/scratch"));
        for node in 1..=NODES {
            for line in properties(&state, node)
                .lines()
                .filter(|line| line.contains("://"))
            {
                assert_eq!(
                    line.matches("://").count(),
                    line.matches("://127.0.0.1:").count(),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn names_and_nodes_belong_together() {
        for node in 1..=NODES {
            assert_eq!(node_of(&name(node)), Some(node));
        }
        for other in ["artemis", "kafka-0", "kafka-4", "kafka-", "kafka-x"] {
            assert_eq!(node_of(other), None);
        }
    }
}
