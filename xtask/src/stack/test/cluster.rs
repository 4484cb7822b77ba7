//! What Kafka's own tools say about the cluster.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::stack::fetch;

/// Who leads a partition, and who is in sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// `None`: nobody.
    pub leader: Option<usize>,
    pub in_sync: Vec<usize>,
}

/// Runs one of Kafka's tools.
fn tool(cache: &Path, java: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(java)
        .args(["-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(fetch::kafka_jars(cache).join("*"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("Kafka's tools")?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        arguments[0],
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Partition 0 of a topic.
pub fn partition(cache: &Path, java: &Path, bootstrap: &str, topic: &str) -> Result<Partition> {
    let text = tool(
        cache,
        java,
        &[
            "org.apache.kafka.tools.TopicCommand",
            "--bootstrap-server",
            bootstrap,
            "--describe",
            "--topic",
            topic,
        ],
    )?;
    first_partition(&text).with_context(|| format!("kafka-topics says nothing of {topic}[0]: {text}"))
}

/// The node that is the active controller.
pub fn controller(cache: &Path, java: &Path, bootstrap: &str) -> Result<usize> {
    let text = tool(
        cache,
        java,
        &[
            "org.apache.kafka.tools.MetadataQuorumCommand",
            "--bootstrap-server",
            bootstrap,
            "describe",
            "--status",
        ],
    )?;
    leader_id(&text).with_context(|| format!("kafka-metadata-quorum names no leader: {text}"))
}

/// From `Topic: movements⇥Partition: 0⇥Leader: 2⇥Replicas: 2,3,1⇥Isr: 2,3,1⇥…`.
fn first_partition(text: &str) -> Option<Partition> {
    let line = text.lines().find(|line| {
        let mut words = line.split_whitespace();
        words.any(|word| word == "Partition:") && words.next() == Some("0")
    })?;
    let value = |key: &str| {
        let mut words = line.split_whitespace();
        words.find(|word| *word == key)?;
        words.next()
    };
    Some(Partition {
        leader: value("Leader:")?.parse().ok(),
        in_sync: value("Isr:")?
            .split(',')
            .filter_map(|id| id.parse().ok())
            .collect(),
    })
}

/// From the line `LeaderId: 3`.
fn leader_id(text: &str) -> Option<usize> {
    text.lines()
        .find_map(|line| line.strip_prefix("LeaderId:"))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "Topic: movements\tTopicId: x\tPartitionCount: 2\tReplicationFactor: 3\tConfigs: a=b\n\
                         \tTopic: movements\tPartition: 1\tLeader: 3\tReplicas: 3,1,2\tIsr: 3,1,2\tElr: \tLastKnownElr: \n\
                         \tTopic: movements\tPartition: 0\tLeader: 2\tReplicas: 2,3,1\tIsr: 2,1\tElr: \tLastKnownElr: \n";

    #[test]
    fn leader_and_replicas_in_sync_are_read_from_the_tools_output() {
        let partition = first_partition(TOPIC).expect("it is there");
        assert_eq!(partition.leader, Some(2));
        assert_eq!(partition.in_sync, [2, 1]);
        let without = TOPIC.replace("Leader: 2", "Leader: none");
        assert_eq!(first_partition(&without).expect("it is there").leader, None);
        assert_eq!(first_partition("Error"), None);
    }

    #[test]
    fn the_controller_is_read_from_the_tools_output() {
        assert_eq!(
            leader_id("ClusterId: x\nLeaderId:              3\nLeaderEpoch: 2\n"),
            Some(3)
        );
        assert_eq!(leader_id("ClusterId: x\n"), None);
    }
}
